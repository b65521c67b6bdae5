-- Which hours a move has brought into a store, by where that is. They stand here for every store, as a Prometheus keeps nothing
-- of the kind.
CREATE TABLE monitoring_copied (
    place      text PRIMARY KEY,
    -- The move that fills the store, or was the last one to.
    move       uuid NOT NULL,
    -- Grows each time when the store is emptied: a Prometheus forgets nothing, so what counts there is marked with this.
    generation int NOT NULL,
    -- Hours from this one on
    first_at   timestamptz NOT NULL,
    -- up to this one are copied; from it on the store has collected by itself.
    own_since  timestamptz NOT NULL
);

-- A move reads hour by hour. Rows are written in about the order of their time.
CREATE INDEX monitoring_level_hour_by_time ON monitoring_level_hour USING brin (at) WITH (pages_per_range = 16);
CREATE INDEX monitoring_histogram_hour_by_time ON monitoring_histogram_hour USING brin (at) WITH (pages_per_range = 16);
