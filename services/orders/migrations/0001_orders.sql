-- An order with its snapshots: what was ordered, at which price, to which address. Snapshots never change afterwards;
-- status, reason, version and the two cart claims are the only columns that do.
CREATE TABLE orders_order (
    id               uuid PRIMARY KEY,
    number           text NOT NULL,
    customer_id      uuid,
    status           text NOT NULL CHECK (status IN ('pending', 'reserved', 'paid', 'confirmed', 'cancelled')),
    fulfilment       text NOT NULL DEFAULT 'none' CHECK (fulfilment IN ('none', 'shipped', 'delivered', 'returned')),
    currency         text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    total            bigint NOT NULL CHECK (total >= 0),
    points           bigint NOT NULL DEFAULT 0 CHECK (points >= 0),
    shipping_address jsonb,
    billing_address  jsonb,
    placed_at        timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    reason           text,
    source           text NOT NULL CHECK (source IN ('shop', 'seed', 'online-retail')),
    reference        text,
    version          bigint NOT NULL DEFAULT 1,
    -- The cart this order was made from, at this revision.
    cart_revision    bigint,
    -- True while the customer may not begin another checkout: from placing until the order is cancelled, waits for a
    -- payment that comes later, or has taken its lines out of the cart.
    checkout_open    boolean NOT NULL DEFAULT false,
    -- True while the cart still holds what this order buys: from placing until cancelled or taken out of the cart.
    cart_held        boolean NOT NULL DEFAULT false
);
-- The two lists; `id` makes the order of equal times definite.
CREATE INDEX orders_order_by_customer ON orders_order (customer_id, placed_at DESC, id DESC) WHERE customer_id IS NOT NULL;
CREATE INDEX orders_order_by_status ON orders_order (status, placed_at DESC, id DESC);
CREATE INDEX orders_order_by_time ON orders_order (placed_at DESC, id DESC);
-- One checkout of a customer at a time, and no cart bought twice: the database decides races, nobody else.
CREATE UNIQUE INDEX orders_one_checkout ON orders_order (customer_id) WHERE checkout_open;
CREATE UNIQUE INDEX orders_cart_once ON orders_order (customer_id, cart_revision) WHERE cart_held;

CREATE SEQUENCE orders_number_seq START 100001;

-- Lines and charges are written in the transaction of their order and never again, so a foreign key could only cost: it
-- would look up the order once for every line of a bulk load.
CREATE TABLE orders_line (
    order_id   uuid NOT NULL,
    position   integer NOT NULL,
    product_id uuid NOT NULL,
    sku        text NOT NULL,
    name       text NOT NULL,
    quantity   bigint NOT NULL CHECK (quantity > 0),
    unit_price bigint NOT NULL CHECK (unit_price >= 0),
    PRIMARY KEY (order_id, position)
);

CREATE TABLE orders_charge (
    order_id uuid NOT NULL,
    position integer NOT NULL,
    kind     text NOT NULL CHECK (kind IN ('postage', 'discount', 'fee', 'manual', 'adjustment')),
    name     text NOT NULL,
    amount   bigint NOT NULL,
    PRIMARY KEY (order_id, position)
);

-- Money given back. A refund may belong to no order that we know (imported history).
CREATE TABLE orders_refund (
    id          uuid PRIMARY KEY,
    order_id    uuid,
    customer_id uuid,
    at          timestamptz NOT NULL,
    source      text NOT NULL,
    reference   text,
    currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount      bigint NOT NULL CHECK (amount >= 0),
    lines       jsonb NOT NULL,
    charges     jsonb NOT NULL
);
CREATE INDEX orders_refund_by_order ON orders_refund (order_id) WHERE order_id IS NOT NULL;

-- The checkout saga of an order; its id is the order's.
CREATE TABLE orders_saga (
    order_id      uuid PRIMARY KEY REFERENCES orders_order (id),
    -- What is to be done next.
    step          text NOT NULL CHECK (step IN
                      ('reserve', 'points', 'charge', 'await', 'commit', 'settle', 'compensate', 'done')),
    -- Attempts at this step whose outcome is unknown, crashes included.
    attempts      integer NOT NULL DEFAULT 0,
    -- When the step is to be worked on. While a worker holds the saga this is the end of its lease: a worker that dies
    -- leaves a saga that simply becomes due.
    due_at        timestamptz NOT NULL,
    -- Who holds it; null while it waits.
    worker        uuid,
    -- Fencing token: grows with every claim, and a worker may write only under its own.
    claim         bigint NOT NULL DEFAULT 1,
    -- Set by an event that may end the waiting, so that a wake-up during an attempt is not lost.
    woken         boolean NOT NULL DEFAULT false,
    -- After this moment an unknown outcome is no longer waited for.
    deadline      timestamptz NOT NULL,
    -- The provider will call back (`tok_later`).
    open          boolean NOT NULL DEFAULT false,
    -- What the ended order still owes to other services, in no order.
    owed          text[] NOT NULL DEFAULT '{}',
    -- Kept only until the charge has an answer.
    payment_token text,
    traceparent   text,
    ended_at      timestamptz
);
CREATE INDEX orders_saga_due ON orders_saga (due_at) WHERE step <> 'done';

-- The saga's timeline, as the order page shows it.
CREATE TABLE orders_step (
    order_id uuid NOT NULL,
    seq      bigint GENERATED ALWAYS AS IDENTITY,
    step     text NOT NULL,
    state    text NOT NULL,
    at       timestamptz NOT NULL,
    detail   text,
    PRIMARY KEY (order_id, seq)
);

-- One row an Idempotency-Key of a customer. A key is claimed, then (perhaps) an order is placed under it, then it is answered.
CREATE TABLE orders_idempotency (
    customer_id   uuid NOT NULL,
    key           text NOT NULL,
    -- SHA-256 of the request's canonical body.
    fingerprint   bytea NOT NULL,
    -- Fencing token of whoever is working on the answer, and until when others wait for it.
    claim         uuid NOT NULL,
    claimed_until timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    order_id      uuid,
    status        smallint,
    body          bytea,
    PRIMARY KEY (customer_id, key),
    CHECK ((status IS NULL) = (body IS NULL))
);
CREATE INDEX orders_idempotency_by_age ON orders_idempotency (created_at);

-- How often orders took their lines out of a customer's cart. A checkout that read the cart before such a moment and
-- places its order after it would buy the same lines again; it compares this number instead.
CREATE TABLE orders_cart_clearing (
    customer_id uuid PRIMARY KEY,
    clearings   bigint NOT NULL
);

-- What orders needs of a user, from `user.registered` and `user.updated`, or from the users API on a miss.
CREATE TABLE orders_customer_copy (
    id             uuid PRIMARY KEY,
    name           text NOT NULL,
    email          text NOT NULL,
    active         boolean NOT NULL,
    version        bigint NOT NULL,
    last_synced_at timestamptz NOT NULL
);
