-- The bus: an append-only log. `bus_head` is locked by whoever appends, so positions become visible in their order.
CREATE TABLE bus_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    position  bigint NOT NULL DEFAULT 0
);
INSERT INTO bus_head DEFAULT VALUES;

CREATE TABLE bus_log (
    position    bigint PRIMARY KEY,
    id          uuid NOT NULL UNIQUE,
    source      text NOT NULL,
    type        text NOT NULL,
    subject     text NOT NULL,
    version     bigint NOT NULL,
    time        timestamptz NOT NULL,
    traceparent text,
    data        json NOT NULL,
    appended_at timestamptz NOT NULL DEFAULT now()
)
-- Every event is written here once and soon read by each group, then removed: only what does not fit into a page is worth
-- being compressed.
WITH (toast_tuple_target = 8160);
CREATE INDEX bus_log_by_age ON bus_log (appended_at);

-- One row a consumer group: how far it has got, and which of its members holds it. While `rebuilding`, the holder reads the
-- owners' histories, and `position` is where the group will go on; nobody gets events until then.
CREATE TABLE bus_group (
    name        text PRIMARY KEY,
    position    bigint NOT NULL,
    rebuilding  boolean NOT NULL DEFAULT false,
    member      uuid,
    leased_until timestamptz,
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE bus_dead_letter (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_name text NOT NULL,
    event_id   uuid NOT NULL,
    event      json NOT NULL,
    error      text NOT NULL,
    attempts   integer NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    replayed_at timestamptz,
    UNIQUE (group_name, event_id)
);
CREATE INDEX bus_dead_letter_replayed ON bus_dead_letter (replayed_at) WHERE replayed_at IS NOT NULL;
