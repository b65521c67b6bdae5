-- Units sold are counted in `catalog_stock.popularity`, but while they are counted anew from the history of orders they are
-- counted here, and brought over when that is done (store/recount.rs).
CREATE TABLE catalog_recount (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    -- Which recount is under way; none most of the time.
    id        uuid
);
INSERT INTO catalog_recount DEFAULT VALUES;

-- What it has counted so far. Of products that are not known (yet), too, so nothing refers to them.
CREATE TABLE catalog_recount_units (
    product_id uuid PRIMARY KEY,
    units      bigint NOT NULL
) WITH (fillfactor = 50);
