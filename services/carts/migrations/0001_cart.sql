-- One row a cart. A cart is read and written as a whole, by its key, so it is kept as a whole: reading it is one index
-- probe, and changing a line is one atomic statement that also bumps the revision.
CREATE TABLE carts_cart (
    id         uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('user', 'anonymous')),
    revision   bigint NOT NULL,
    -- {"<product id>": {"q": quantity, "t": added at, microseconds since 1970}}
    lines      jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- What the reaper goes by. Every write moves expires_at; were that column indexed, no update could be heap-only (HOT).
    -- The day seldom changes, so most writes touch no index at all.
    expires_on date NOT NULL GENERATED ALWAYS AS ((expires_at AT TIME ZONE 'UTC')::date) STORED,
    PRIMARY KEY (id, kind)
) WITH (fillfactor = 70);
CREATE INDEX carts_cart_by_expiry ON carts_cart (expires_on);

-- Which sagas have taken their goods off a cart already. Not in the cart's row: a busy buyer would make that grow, and a
-- saga has to be remembered even when there is no cart.
CREATE TABLE carts_purchase (
    user_id    uuid NOT NULL,
    saga_id    uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, saga_id)
);
CREATE INDEX carts_purchase_by_expiry ON carts_purchase (expires_at);
