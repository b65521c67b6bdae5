-- Figures on ClickHouse. What is written is `analytics_event` and `analytics_activity`, in numbered blocks; all other tables of
-- figures are made from them by materialized views. How a block is written, and why nothing counts twice: docs/adr/0019.
--
-- Each table that is written to remembers the deduplication tokens of its last blocks (`non_replicated_deduplication_window`).
-- Views need windows of their own: their blocks carry the token of the block they are made from. The folders of parts are
-- synced, so that what is acknowledged survives a loss of power.

-- The state of the projection, one row a change. A version is a compare-and-swap: its token lets it in once.
CREATE TABLE IF NOT EXISTS analytics_state (
    version Int64,
    writer  UUID,
    -- The build that is read.
    live    Int64,
    state   String,
    at      DateTime64(6, 'UTC')
) ENGINE = MergeTree ORDER BY version
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Every event, once in a build. Ordered for ranges of time within a kind. The block's number is in the partition's key, so that
-- parts are chosen by it and the last one is known without reading; there is one partition a build until a million blocks.
CREATE TABLE IF NOT EXISTS analytics_event (
    build       Int64,
    block       UInt64 CODEC(Delta, ZSTD),
    writer      UUID CODEC(ZSTD),
    -- When it was written down: by the owner, of what comes from a history. Of a hold: until when.
    noted_at    DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    event_id    UUID,
    -- placed, confirmed, cancelled, refunded, succeeded, declined, voided, returned, product; `repeated`: an order or a refund
    -- that was known by another event; `hold` and `release` of comparing.
    kind        LowCardinality(String),
    -- The order, the refund or the product.
    subject     UUID,
    -- What an order or a refund counts once by, besides its event; 0 for others.
    identity    UInt128,
    at          DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    currency    LowCardinality(String),
    country     LowCardinality(String),
    order_id    Nullable(UUID),
    customer_id Nullable(UUID),
    amount      Int64,
    lines       Int64,
    units       Int64,
    products    Array(UUID),
    quantities  Array(Int64),
    prices      Array(Int64),
    version     Int64,
    sku         String,
    name        String,
    category    LowCardinality(String),
    brand       LowCardinality(Nullable(String)),
    INDEX by_subject subject TYPE bloom_filter GRANULARITY 4
) ENGINE = MergeTree PARTITION BY (build, intDiv(block, 1000000)) ORDER BY (kind, at, event_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Where the views are. A block that is in the table above is inserted here from there, by its writer or by whoever finds that this
-- was not done: with the same rows and the same token whoever does it, so each view takes it once. Nobody writes here what is not
-- in the table: a view takes the first that comes with a token, also from a writer that has lost the race for the number.
CREATE TABLE IF NOT EXISTS analytics_event_published AS analytics_event ENGINE = Null;

-- What a build has seen: events, and orders and refunds by their identity.
CREATE TABLE IF NOT EXISTS analytics_claim (
    build    Int64,
    id       UInt128,
    is_event Bool,
    noted_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD)
) ENGINE = MergeTree PARTITION BY build ORDER BY id
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS analytics_claim_of_event TO analytics_claim AS
SELECT build, claimed AS id, claimed = toUInt128(event_id) AS is_event, noted_at
FROM analytics_event_published
ARRAY JOIN arrayFilter(c -> c != 0, [toUInt128(event_id), identity]) AS claimed
WHERE kind NOT IN ('hold', 'release');

-- Sums by day. One table for all kinds, so that an answer is one scan: of one moment. `part` says what of:
-- `sales` by country, `product` of the lines by product, `refund`, `payment`.
CREATE TABLE IF NOT EXISTS analytics_figure (
    build            Int64,
    part             LowCardinality(String),
    currency         LowCardinality(String),
    day              Date32,
    country          LowCardinality(String),
    product_id       UUID,
    -- How many rows were summed up; so a row whose sums are all nothing stays.
    parts            UInt64,
    placed           Int128,
    cancelled        Int128,
    orders           Int128,
    lines            Int128,
    units            Int128,
    gross            Int128,
    refunds          Int128,
    refunded_units   Int128,
    refunded         Int128,
    succeeded        Int128,
    succeeded_amount Int128,
    declined         Int128,
    voided           Int128
) ENGINE = SummingMergeTree PARTITION BY build ORDER BY (part, currency, day, country, product_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Row 0 of an event is itself, the others are its lines.
CREATE MATERIALIZED VIEW IF NOT EXISTS analytics_figure_of_event TO analytics_figure AS
SELECT
    build,
    multiIf(n > 0, 'product', kind = 'refunded', 'refund', kind IN ('placed', 'confirmed', 'cancelled'), 'sales', 'payment') AS part,
    e.currency AS currency,
    toDate32(at) AS day,
    if(n = 0 AND kind IN ('placed', 'confirmed', 'cancelled'), e.country, '') AS country,
    product AS product_id,
    1 AS parts,
    toInt128(kind = 'placed') AS placed,
    toInt128(kind = 'cancelled') AS cancelled,
    toInt128(kind = 'confirmed' AND (n = 0 OR indexOf(products, product) = n)) AS orders,
    if(kind = 'confirmed', if(n = 0, toInt128(e.lines), 1), 0) AS lines,
    if(kind = 'confirmed', toInt128(if(n = 0, e.units, quantity)), 0) AS units,
    if(kind = 'confirmed', if(n = 0, toInt128(amount), toInt128(quantity) * price), 0) AS gross,
    toInt128(n = 0 AND (kind = 'refunded' OR kind = 'returned' AND amount != 0)) AS refunds,
    if(kind = 'refunded' AND n > 0, toInt128(quantity), 0) AS refunded_units,
    multiIf(kind = 'refunded' AND n > 0, toInt128(quantity) * price, kind IN ('refunded', 'returned'), toInt128(amount), 0) AS refunded,
    toInt128(kind = 'succeeded' AND amount != 0) AS succeeded,
    if(kind = 'succeeded', toInt128(amount), 0) AS succeeded_amount,
    toInt128(kind = 'declined') AS declined,
    toInt128(kind = 'voided') AS voided
FROM analytics_event_published AS e
ARRAY JOIN
    range(0, length(products) + 1) AS n,
    arrayPushFront(products, toUUID('00000000-0000-0000-0000-000000000000')) AS product,
    arrayPushFront(quantities, 0) AS quantity,
    arrayPushFront(prices, 0) AS price
WHERE kind IN ('placed', 'confirmed', 'cancelled', 'refunded', 'succeeded', 'declined', 'voided', 'returned');

-- Products as they are now; the newest version wins, and is asked for by argMax.
CREATE TABLE IF NOT EXISTS analytics_product (
    build      Int64,
    product_id UUID,
    version    Int64,
    sku        String,
    name       String,
    category   LowCardinality(String),
    brand      LowCardinality(Nullable(String))
) ENGINE = ReplacingMergeTree(version) PARTITION BY build ORDER BY product_id
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS analytics_product_of_event TO analytics_product AS
SELECT build, subject AS product_id, version, sku, name, category, brand FROM analytics_event_published WHERE kind = 'product';
