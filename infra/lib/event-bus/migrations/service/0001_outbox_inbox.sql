-- `{prefix}` is the service's name. The outbox is also the service's event history: rows stay.
CREATE TABLE {prefix}_outbox (
    -- Order of writing. Rows of one aggregate are written under that aggregate's row lock, so it follows the version.
    written     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Set by the relay once the writing transaction has committed; see outbox.rs.
    position    bigint UNIQUE,
    id          uuid NOT NULL UNIQUE,
    type        text NOT NULL,
    subject     text NOT NULL,
    version     bigint NOT NULL,
    time        timestamptz NOT NULL,
    traceparent text,
    data        json NOT NULL
);
CREATE INDEX {prefix}_outbox_unsequenced ON {prefix}_outbox (written) WHERE position IS NULL;

CREATE TABLE {prefix}_outbox_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    sequenced bigint NOT NULL DEFAULT 0,
    published bigint NOT NULL DEFAULT 0
);
INSERT INTO {prefix}_outbox_head DEFAULT VALUES;

CREATE TABLE {prefix}_inbox (
    consumer   text NOT NULL,
    event_id   uuid NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
-- For removing old rows; see inbox.rs.
CREATE INDEX {prefix}_inbox_by_age ON {prefix}_inbox (consumer, handled_at);

-- Gives the next positions to committed events, in the order of writing. The first statement queues on the head row;
-- the second one has a snapshot of its own (READ COMMITTED), so it sees all that was committed by then.
CREATE FUNCTION {prefix}_outbox_number(batch_max bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    head bigint;
    numbered bigint;
BEGIN
    -- Nothing to do is the common case and takes no lock.
    IF NOT EXISTS (SELECT FROM {prefix}_outbox WHERE position IS NULL) THEN
        RETURN 0;
    END IF;
    SELECT sequenced INTO head FROM {prefix}_outbox_head FOR UPDATE;
    WITH waiting AS (
        SELECT written, row_number() OVER (ORDER BY written) AS n
        FROM (SELECT written FROM {prefix}_outbox WHERE position IS NULL ORDER BY written LIMIT batch_max) AS first
    )
    UPDATE {prefix}_outbox AS o SET position = head + waiting.n FROM waiting WHERE o.written = waiting.written;
    GET DIAGNOSTICS numbered = ROW_COUNT;
    UPDATE {prefix}_outbox_head SET sequenced = head + numbered;
    RETURN numbered;
END
$$;
