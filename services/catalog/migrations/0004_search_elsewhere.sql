-- What was removed from the PostgreSQL index by changes that came late or out of order (`SearchIndex::apply`). The service's
-- own transactions remove under the product's lock, where nothing comes late, and write nothing here.
CREATE TABLE catalog_search_removed (
    product_id uuid PRIMARY KEY,
    version    bigint NOT NULL
);

-- Search indexes outside this database: how far each has followed the event history, and who feeds it. Positions are those
-- of the outbox. One row an alias; nothing here is truth.
CREATE TABLE catalog_search_feed (
    alias             text PRIMARY KEY,
    -- Which database the index was made from: another one that finds the alias on the same server knows that it is not its.
    history           uuid NOT NULL DEFAULT gen_random_uuid(),
    -- The index that serves, and how much of the history is in it.
    index_name        text,
    position          bigint NOT NULL DEFAULT 0,
    -- The index that is being built, with as much of the history.
    building          text,
    building_position bigint NOT NULL DEFAULT 0,
    total             bigint NOT NULL DEFAULT 0,
    done              bigint NOT NULL DEFAULT 0,
    started_at        timestamptz,
    finished_at       timestamptz,
    reason            text,
    error             text,
    -- Somebody asked for a new index.
    wanted            boolean NOT NULL DEFAULT false,
    -- The instance that feeds, until its lease runs out.
    feeder            uuid,
    fed_until         timestamptz
) WITH (fillfactor = 50);
