-- The projection of orders and products. Each table has two generations (0 and 1), one of which is live: queries read that
-- one. All of it can be dropped and made again from the owners' histories.
--
-- Every row is what one event says, or whole-number sums over events: so the order in which events come changes nothing.
-- Nothing is kept by pairs of goods: pairs are counted when they are asked for, over a bounded number of baskets.

-- One row a confirmed order. The row decides whether an order counts: what is summed up is summed for new rows.
CREATE TABLE recommendations_basket (
    generation  smallint NOT NULL,
    order_id    uuid NOT NULL,
    -- NULL for guests.
    customer_id uuid,
    placed_at   timestamptz NOT NULL,
    -- How many distinct goods.
    size        integer NOT NULL,
    -- Distinct, by id; and the units of each.
    goods       uuid[] NOT NULL,
    units       bigint[] NOT NULL,
    PRIMARY KEY (generation, order_id)
) PARTITION BY LIST (generation);
CREATE TABLE recommendations_basket_g0 PARTITION OF recommendations_basket FOR VALUES IN (0);
CREATE TABLE recommendations_basket_g1 PARTITION OF recommendations_basket FOR VALUES IN (1);
CREATE INDEX recommendations_basket_by_time ON recommendations_basket (placed_at);
CREATE INDEX recommendations_basket_by_customer ON recommendations_basket (customer_id, placed_at, order_id)
    WHERE customer_id IS NOT NULL;

-- In which baskets a good is, newest last: only baskets of at most 200 goods, which are those that tell of pairs.
CREATE TABLE recommendations_purchase (
    generation smallint NOT NULL,
    good_id    uuid NOT NULL,
    placed_at  timestamptz NOT NULL,
    order_id   uuid NOT NULL,
    PRIMARY KEY (generation, good_id, placed_at, order_id)
) PARTITION BY LIST (generation);
CREATE TABLE recommendations_purchase_g0 PARTITION OF recommendations_purchase FOR VALUES IN (0);
CREATE TABLE recommendations_purchase_g1 PARTITION OF recommendations_purchase FOR VALUES IN (1);

-- Goods: what the catalog says, by version, and in how many baskets they are: all of them, and with weights that halve with
-- age, every 60 days ("season") and every 7 ("week"). A weight is kept relative to the beginning of its era, in whole quanta;
-- see src/decay.rs. Era -1: none yet.
CREATE TABLE recommendations_good (
    generation      smallint NOT NULL,
    good_id         uuid NOT NULL,
    -- 0: the catalog has not told of it.
    version         bigint NOT NULL,
    active          boolean NOT NULL,
    baskets         bigint NOT NULL,
    season_even_era integer NOT NULL,
    season_even     bigint NOT NULL,
    season_odd_era  integer NOT NULL,
    season_odd      bigint NOT NULL,
    week_even_era   integer NOT NULL,
    week_even       bigint NOT NULL,
    week_odd_era    integer NOT NULL,
    week_odd        bigint NOT NULL,
    PRIMARY KEY (generation, good_id)
) PARTITION BY LIST (generation);
-- Rows of goods that sell change often: room in the page keeps the changes there (HOT).
CREATE TABLE recommendations_good_g0 PARTITION OF recommendations_good FOR VALUES IN (0) WITH (fillfactor = 60);
CREATE TABLE recommendations_good_g1 PARTITION OF recommendations_good FOR VALUES IN (1) WITH (fillfactor = 60);

-- Units that customers gave back.
CREATE TABLE recommendations_return (
    generation  smallint NOT NULL,
    customer_id uuid NOT NULL,
    good_id     uuid NOT NULL,
    -- numeric, since nothing bounds what refunds name.
    units       numeric NOT NULL,
    PRIMARY KEY (generation, customer_id, good_id)
) PARTITION BY LIST (generation);
CREATE TABLE recommendations_return_g0 PARTITION OF recommendations_return FOR VALUES IN (0);
CREATE TABLE recommendations_return_g1 PARTITION OF recommendations_return FOR VALUES IN (1);
