-- Shelves that were made before; not a part of the projection. Losing it costs work and no data.
CREATE UNLOGGED TABLE recommendations_cache (
    key        text PRIMARY KEY,
    -- What it was made from; a shelf whose subject has another stamp by now is not shown.
    stamp      text NOT NULL,
    shelf      jsonb NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX recommendations_cache_by_expiry ON recommendations_cache (expires_at);
