-- The projection of other services' events. Each table has two generations (0 and 1), one of which is live: queries read
-- that one. All of it can be dropped and made again from the owners' histories.
--
-- Every column is what one event says, or a sum over events: so the order in which events come changes nothing. What depends
-- on a product's present state (its category, say) is joined when it is asked for, and never summed up under it.
--
-- Days, months and minutes are UTC. Amounts are minor units. A country that is not known is ''.

-- Confirmed orders, one row each. The row decides whether an order counts: what is summed below is summed for new rows.
CREATE TABLE analytics_order (
    generation  smallint NOT NULL,
    order_id    uuid NOT NULL,
    -- NULL for guests.
    customer_id uuid,
    placed_at   timestamptz NOT NULL,
    country     text NOT NULL,
    currency    text NOT NULL,
    total       bigint NOT NULL,
    lines       bigint NOT NULL,
    units       bigint NOT NULL,
    PRIMARY KEY (generation, order_id)
) PARTITION BY LIST (generation);
CREATE TABLE analytics_order_g0 PARTITION OF analytics_order FOR VALUES IN (0);
CREATE TABLE analytics_order_g1 PARTITION OF analytics_order FOR VALUES IN (1);
CREATE INDEX analytics_order_by_time ON analytics_order (placed_at);

-- Refunds, one row each; they decide as orders do. Their country is their order's, which may come after them.
CREATE TABLE analytics_refund (
    generation  smallint NOT NULL,
    refund_id   uuid NOT NULL,
    order_id    uuid,
    at          timestamptz NOT NULL,
    currency    text NOT NULL,
    amount      bigint NOT NULL,
    PRIMARY KEY (generation, refund_id)
) PARTITION BY LIST (generation);
CREATE TABLE analytics_refund_g0 PARTITION OF analytics_refund FOR VALUES IN (0);
CREATE TABLE analytics_refund_g1 PARTITION OF analytics_refund FOR VALUES IN (1);
CREATE INDEX analytics_refund_by_time ON analytics_refund (at);

-- Sums by the day an order was placed on. Rows change often: room in the page keeps the changes there (HOT).
CREATE TABLE analytics_sales_day (
    generation smallint NOT NULL,
    day        date NOT NULL,
    country    text NOT NULL,
    currency   text NOT NULL,
    -- Checkouts begun in this shop; imported orders never were.
    placed     bigint NOT NULL DEFAULT 0,
    cancelled  bigint NOT NULL DEFAULT 0,
    orders     bigint NOT NULL DEFAULT 0,
    lines      bigint NOT NULL DEFAULT 0,
    units      bigint NOT NULL DEFAULT 0,
    gross      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, day, country, currency)
) PARTITION BY LIST (generation);
CREATE TABLE analytics_sales_day_g0 PARTITION OF analytics_sales_day FOR VALUES IN (0) WITH (fillfactor = 60);
CREATE TABLE analytics_sales_day_g1 PARTITION OF analytics_sales_day FOR VALUES IN (1) WITH (fillfactor = 60);

-- Sums by the minute an order was placed in. Asked for is the last hour; all minutes are kept, since a history gives all of them
-- again, and generations of which one was thinned out could not be compared.
CREATE TABLE analytics_sales_minute (
    generation smallint NOT NULL,
    minute     timestamptz NOT NULL,
    currency   text NOT NULL,
    orders     bigint NOT NULL,
    units      bigint NOT NULL,
    gross      bigint NOT NULL,
    PRIMARY KEY (generation, minute, currency)
) PARTITION BY LIST (generation);
CREATE TABLE analytics_sales_minute_g0 PARTITION OF analytics_sales_minute FOR VALUES IN (0) WITH (fillfactor = 60);
CREATE TABLE analytics_sales_minute_g1 PARTITION OF analytics_sales_minute FOR VALUES IN (1) WITH (fillfactor = 60);

-- Sums by day and product: of orders by the day they were placed on, of refunds by their own. Amounts are numeric, since
-- nothing bounds the lines that a refund names.
CREATE TABLE analytics_product_day (
    generation     smallint NOT NULL,
    day            date NOT NULL,
    product_id     uuid NOT NULL,
    currency       text NOT NULL,
    orders         bigint NOT NULL DEFAULT 0,
    lines          bigint NOT NULL DEFAULT 0,
    units          bigint NOT NULL DEFAULT 0,
    goods          numeric NOT NULL DEFAULT 0,
    refunded_units numeric NOT NULL DEFAULT 0,
    refunded       numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, day, product_id, currency)
) PARTITION BY LIST (generation);
CREATE TABLE analytics_product_day_g0 PARTITION OF analytics_product_day FOR VALUES IN (0) WITH (fillfactor = 80);
CREATE TABLE analytics_product_day_g1 PARTITION OF analytics_product_day FOR VALUES IN (1) WITH (fillfactor = 80);

-- Orders of each known customer by month (its first day): cohorts and who came back.
CREATE TABLE analytics_customer_month (
    generation  smallint NOT NULL,
    customer_id uuid NOT NULL,
    month       date NOT NULL,
    orders      bigint NOT NULL,
    PRIMARY KEY (generation, customer_id, month)
) PARTITION BY LIST (generation);
CREATE TABLE analytics_customer_month_g0 PARTITION OF analytics_customer_month FOR VALUES IN (0) WITH (fillfactor = 80);
CREATE TABLE analytics_customer_month_g1 PARTITION OF analytics_customer_month FOR VALUES IN (1) WITH (fillfactor = 80);

-- Payments by the day of the event, which is that of the ledger.
CREATE TABLE analytics_payment_day (
    generation       smallint NOT NULL,
    day              date NOT NULL,
    currency         text NOT NULL,
    succeeded        bigint NOT NULL,
    succeeded_amount bigint NOT NULL,
    declined         bigint NOT NULL,
    voided           bigint NOT NULL,
    refunded         bigint NOT NULL,
    refunded_amount  bigint NOT NULL,
    PRIMARY KEY (generation, day, currency)
) PARTITION BY LIST (generation);
CREATE TABLE analytics_payment_day_g0 PARTITION OF analytics_payment_day FOR VALUES IN (0) WITH (fillfactor = 60);
CREATE TABLE analytics_payment_day_g1 PARTITION OF analytics_payment_day FOR VALUES IN (1) WITH (fillfactor = 60);

-- Products as they are now; the newest version wins.
CREATE TABLE analytics_product (
    generation smallint NOT NULL,
    product_id uuid NOT NULL,
    version    bigint NOT NULL,
    sku        text NOT NULL,
    name       text NOT NULL,
    category   text NOT NULL,
    brand      text,
    PRIMARY KEY (generation, product_id)
) PARTITION BY LIST (generation);
CREATE TABLE analytics_product_g0 PARTITION OF analytics_product FOR VALUES IN (0);
CREATE TABLE analytics_product_g1 PARTITION OF analytics_product FOR VALUES IN (1);
CREATE INDEX analytics_product_by_category ON analytics_product (category);
