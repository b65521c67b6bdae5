-- What visitors do in the shop, as the gateway tells it: a source of truth of its own, no projection, in no history.
--
-- The raw rows are kept for some days. By then their day is closed: its funnel is one row of `analytics_funnel_day`, and of
-- its searches the most frequent ones stay.

-- The id is a UUIDv7, so it carries the moment and rows are in the order of time. It is also what a repetition is known by.
CREATE TABLE analytics_activity (
    id          uuid PRIMARY KEY,
    kind        smallint NOT NULL,
    visitor_id  uuid NOT NULL,
    customer_id uuid,
    product_id  uuid,
    quantity    integer,
    query       text,
    results     bigint
);

-- How many of each kind a day has: its bound is taken from here.
CREATE TABLE analytics_activity_day (
    day   date NOT NULL,
    kind  smallint NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (day, kind)
) WITH (fillfactor = 50);

-- How far each visitor came on each day: 0 was there, 1 viewed, 2 put into the cart, 3 began a checkout.
CREATE TABLE analytics_visit (
    day         date NOT NULL,
    visitor_id  uuid NOT NULL,
    stage       smallint NOT NULL,
    -- Who began the checkout: by this, orders are found that came of it.
    customer_id uuid,
    PRIMARY KEY (day, visitor_id)
) WITH (fillfactor = 80);

-- Searches that found nothing.
CREATE TABLE analytics_empty_search (
    day      date NOT NULL,
    query    text NOT NULL,
    searches bigint NOT NULL,
    PRIMARY KEY (day, query)
) WITH (fillfactor = 80);

-- Closed days.
CREATE TABLE analytics_funnel_day (
    day      date PRIMARY KEY,
    visitors bigint NOT NULL,
    viewed   bigint NOT NULL,
    carted   bigint NOT NULL,
    began    bigint NOT NULL,
    paid     bigint NOT NULL,
    -- Whether only the most frequent searches are left.
    trimmed  boolean NOT NULL DEFAULT false
);
