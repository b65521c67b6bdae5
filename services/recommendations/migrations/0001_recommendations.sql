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
    -- Distinct, by id, 16 bytes each; and the units of each. A shelf reads some thousands of baskets, and the server sends an
    -- array element by element: of the gift shop's baskets, with twenty goods each, that was most of the work.
    goods       bytea NOT NULL,
    units       bigint[] NOT NULL,
    PRIMARY KEY (generation, order_id)
) PARTITION BY LIST (generation);
CREATE TABLE recommendations_basket_g0 PARTITION OF recommendations_basket FOR VALUES IN (0);
CREATE TABLE recommendations_basket_g1 PARTITION OF recommendations_basket FOR VALUES IN (1);
-- To read them by hand:
-- SELECT encode(substr(goods, 16 * n - 15, 16), 'hex')::uuid FROM recommendations_basket, generate_series(1, size) AS n
COMMENT ON COLUMN recommendations_basket.goods IS 'ids of 16 bytes each, by id';
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
    -- What popular goods are found by: the logarithms of how much a good sells these days, and of its number of baskets, in
    -- steps of a sixteenth of a doubling; NULL: never bought. The first is of the sum relative to 1970, so it holds for any
    -- now. As numbers of baskets they would change with every order, and a row whose indexed columns change is not kept in
    -- its page (HOT); a step changes some sixteen times in seven days, however many orders there are. What is added before
    -- cutting keeps equal sums of different eras in the same step, whatever the logarithm rounds.
    week_step       integer GENERATED ALWAYS AS (floor(1e-6 + 16 * (16 * greatest(week_even_era, week_odd_era) + ln(nullif(
        week_even * power(2::float8, greatest(16 * least(week_even_era - week_odd_era, 0), -900))
        + week_odd * power(2::float8, greatest(16 * least(week_odd_era - week_even_era, 0), -900)), 0)) / ln(2::float8)))) STORED,
    baskets_step    integer GENERATED ALWAYS AS (floor(1e-6 + 16 * ln(nullif(baskets, 0)::float8) / ln(2::float8))) STORED,
    PRIMARY KEY (generation, good_id)
) PARTITION BY LIST (generation);
CREATE INDEX recommendations_good_by_week ON recommendations_good (week_step DESC) WHERE active;
CREATE INDEX recommendations_good_by_baskets ON recommendations_good (baskets_step DESC) WHERE active;
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

-- Shelves that were made before; not a part of the projection. Losing it costs work and no data.
CREATE UNLOGGED TABLE recommendations_cache (
    key        text PRIMARY KEY,
    -- What it was made from; a shelf whose subject has another stamp by now is not shown.
    stamp      text NOT NULL,
    shelf      jsonb NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX recommendations_cache_by_expiry ON recommendations_cache (expires_at);
