-- Whose turn it is to make a shelf that many ask for at once. Losing it costs work and no data.
CREATE UNLOGGED TABLE recommendations_cache_turn (
    key   text PRIMARY KEY,
    who   uuid NOT NULL,
    until timestamptz NOT NULL
);
