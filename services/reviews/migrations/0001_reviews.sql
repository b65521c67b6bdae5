-- Reviews are this service's own: the source of truth. The free part of a review is one jsonb document.
CREATE TABLE reviews_review (
    -- UUIDv7, so by it reviews are in the order of posting.
    id            uuid PRIMARY KEY,
    product_id    uuid NOT NULL,
    author_id     uuid NOT NULL,
    -- As the gateway gave it at posting; shown until the users service's events have said it.
    author_name   text,
    rating        smallint NOT NULL CHECK (rating BETWEEN 1 AND 5),
    title         text NOT NULL,
    body          text NOT NULL,
    attributes    jsonb NOT NULL CHECK (jsonb_typeof(attributes) = 'object'),
    -- At most ten, written and read with their review.
    answers       jsonb NOT NULL DEFAULT '[]',
    hidden        boolean NOT NULL DEFAULT false,
    hidden_reason text,
    helpful       bigint NOT NULL DEFAULT 0 CHECK (helpful >= 0),
    unhelpful     bigint NOT NULL DEFAULT 0 CHECK (unhelpful >= 0),
    score         bigint NOT NULL GENERATED ALWAYS AS (helpful - unhelpful) STORED,
    version       bigint NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CHECK (hidden OR hidden_reason IS NULL),
    -- One review for each customer and product.
    CONSTRAINT reviews_review_once UNIQUE (author_id, product_id)
) WITH (fillfactor = 85);

-- One index an order of a product's list. The worst-first one sorts the turned rating, so that all four go the same way and
-- one comparison of rows finds where a page begins.
--
-- Filters have none: they look through a bounded stretch of an order, which is as long however many reviews there are. An
-- inverted index of the attributes would bound nothing, since it finds what is common in all products before it finds this
-- product's, and each posting would pay for it.
CREATE INDEX reviews_review_helpful ON reviews_review (product_id, score DESC, id DESC) WHERE NOT hidden;
CREATE INDEX reviews_review_new ON reviews_review (product_id, created_at DESC, id DESC) WHERE NOT hidden;
CREATE INDEX reviews_review_best ON reviews_review (product_id, rating DESC, id DESC) WHERE NOT hidden;
CREATE INDEX reviews_review_worst ON reviews_review (product_id, (6 - rating) DESC, id DESC) WHERE NOT hidden;
CREATE INDEX reviews_review_author ON reviews_review (author_id, id DESC);
CREATE INDEX reviews_review_hidden ON reviews_review (id DESC) WHERE hidden;

CREATE TABLE reviews_vote (
    review_id uuid NOT NULL REFERENCES reviews_review ON DELETE CASCADE,
    voter_id  uuid NOT NULL,
    helpful   boolean NOT NULL,
    PRIMARY KEY (review_id, voter_id)
);

-- The projection `ratings`, in two generations. Which one is read says reviews_projections.

-- What a customer has of a product, and how the customer's review of it counts. One row for both, so that its lock puts
-- orders and reviews in an order, whichever comes first.
CREATE TABLE reviews_standing (
    generation  smallint NOT NULL,
    customer_id uuid NOT NULL,
    product_id  uuid NOT NULL,
    -- Units in confirmed orders, and units given back: sums, so that events may come in any order.
    bought      bigint NOT NULL DEFAULT 0,
    refunded    bigint NOT NULL DEFAULT 0,
    -- Of the review; all three or none. Only a newer version replaces them.
    rating      smallint,
    visible     boolean,
    version     bigint,
    PRIMARY KEY (generation, customer_id, product_id)
) PARTITION BY LIST (generation);
CREATE TABLE reviews_standing_g0 PARTITION OF reviews_standing FOR VALUES IN (0) WITH (fillfactor = 85);
CREATE TABLE reviews_standing_g1 PARTITION OF reviews_standing FOR VALUES IN (1) WITH (fillfactor = 85);

CREATE TABLE reviews_summary (
    generation smallint NOT NULL,
    product_id uuid NOT NULL,
    -- How many visible reviews gave 1, 2, 3, 4 and 5.
    ratings_1  bigint NOT NULL DEFAULT 0,
    ratings_2  bigint NOT NULL DEFAULT 0,
    ratings_3  bigint NOT NULL DEFAULT 0,
    ratings_4  bigint NOT NULL DEFAULT 0,
    ratings_5  bigint NOT NULL DEFAULT 0,
    -- How many of them are by somebody whose purchase is verified.
    verified   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, product_id)
) PARTITION BY LIST (generation);
CREATE TABLE reviews_summary_g0 PARTITION OF reviews_summary FOR VALUES IN (0) WITH (fillfactor = 70);
CREATE TABLE reviews_summary_g1 PARTITION OF reviews_summary FOR VALUES IN (1) WITH (fillfactor = 70);

-- Names of users, by the users service's events.
CREATE TABLE reviews_author (
    generation smallint NOT NULL,
    user_id    uuid NOT NULL,
    name       text NOT NULL,
    active     boolean NOT NULL,
    version    bigint NOT NULL,
    PRIMARY KEY (generation, user_id)
) PARTITION BY LIST (generation);
CREATE TABLE reviews_author_g0 PARTITION OF reviews_author FOR VALUES IN (0);
CREATE TABLE reviews_author_g1 PARTITION OF reviews_author FOR VALUES IN (1);
