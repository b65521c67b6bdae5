CREATE TABLE catalog_category (
    slug text PRIMARY KEY,
    name text NOT NULL
);

-- What editors change. Wide, rarely written.
CREATE TABLE catalog_product (
    id          uuid PRIMARY KEY,
    sku         text NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    category    text NOT NULL REFERENCES catalog_category (slug),
    brand       text,
    price       bigint NOT NULL CHECK (price >= 0),
    currency    text NOT NULL,
    attributes  jsonb NOT NULL,
    source      text NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT catalog_product_sku UNIQUE (sku)
);

-- What trade changes. Narrow and often written: no index but the key, so that updates stay within the page (HOT).
-- This row is also the product's lock, and `version` counts every change of the product, whichever table it is in.
CREATE TABLE catalog_stock (
    product_id uuid PRIMARY KEY REFERENCES catalog_product (id),
    on_hand    bigint NOT NULL CHECK (on_hand >= 0),
    reserved   bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    popularity bigint NOT NULL DEFAULT 0,
    archived   boolean NOT NULL DEFAULT false,
    version    bigint NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL,
    CONSTRAINT catalog_stock_covers_reservations CHECK (reserved <= on_hand)
) WITH (fillfactor = 70);

-- Changes of the stock on hand by people, and imported ones (history only).
CREATE TABLE catalog_stock_adjustment (
    id              uuid PRIMARY KEY,
    product_id      uuid NOT NULL REFERENCES catalog_product (id),
    delta           bigint NOT NULL,
    reason          text NOT NULL,
    reference       text,
    at              timestamptz NOT NULL,
    idempotency_key text,
    CONSTRAINT catalog_stock_adjustment_once UNIQUE (product_id, idempotency_key)
);

-- Lines are read and written as a whole only, so they are arrays: a reservation is one row. A row without lines that was
-- released is a tombstone.
CREATE TABLE catalog_reservation (
    saga_id     uuid PRIMARY KEY,
    state       text NOT NULL CHECK (state IN ('held', 'committed', 'released', 'expired')),
    product_ids uuid[] NOT NULL,
    quantities  bigint[] NOT NULL CHECK (cardinality(quantities) = cardinality(product_ids)),
    expires_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    CHECK ((state = 'held') = (ended_at IS NULL))
);
CREATE INDEX catalog_reservation_due ON catalog_reservation (expires_at) WHERE state = 'held';
CREATE INDEX catalog_reservation_ended ON catalog_reservation (ended_at) WHERE ended_at IS NOT NULL;
