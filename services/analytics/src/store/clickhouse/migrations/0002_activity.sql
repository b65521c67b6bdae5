-- What visitors do: no projection, so no builds. Written in blocks as events are.

-- Single activities. They are needed as long as the same one may come again (two days); what nobody removes before goes by
-- itself. The id carries the moment, and so the day.
CREATE TABLE IF NOT EXISTS analytics_activity (
    block       UInt64 CODEC(Delta, ZSTD),
    writer      UUID CODEC(ZSTD),
    arrived     DateTime DEFAULT now(),
    day         Date32,
    id          UUID,
    kind        Int16,
    stage       Int16,
    visitor_id  UUID,
    customer_id Nullable(UUID),
    product_id  Nullable(UUID),
    quantity    Nullable(Int32),
    query       String,
    results     Nullable(Int64)
) ENGINE = MergeTree PARTITION BY intDiv(block, 1000000) ORDER BY (day, id)
TTL arrived + INTERVAL 40 DAY
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS analytics_activity_published AS analytics_activity ENGINE = Null;

-- The last block's number, which stays when its activities are removed.
CREATE TABLE IF NOT EXISTS analytics_activity_block (block UInt64)
ENGINE = ReplacingMergeTree(block) ORDER BY tuple()
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS analytics_activity_block_of_activity TO analytics_activity_block AS
SELECT max(a.block) AS block FROM analytics_activity_published AS a;

-- How far each visitor came on each day: 0 was there, 1 viewed, 2 put into the cart, 3 began a checkout, and then who it was.
CREATE TABLE IF NOT EXISTS analytics_visit (
    day         Date32,
    visitor_id  UUID,
    stage       SimpleAggregateFunction(max, Int16),
    customer_id SimpleAggregateFunction(min, Nullable(UUID))
) ENGINE = AggregatingMergeTree ORDER BY (day, visitor_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS analytics_visit_of_activity TO analytics_visit AS
SELECT day, visitor_id, max(a.stage) AS stage, min(if(a.stage = 3, a.customer_id, NULL)) AS customer_id
FROM analytics_activity_published AS a GROUP BY day, visitor_id;

-- Searches that found nothing.
CREATE TABLE IF NOT EXISTS analytics_empty_search (
    day      Date32,
    query    String,
    searches Int64
) ENGINE = SummingMergeTree ORDER BY (day, query)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS analytics_empty_search_of_activity TO analytics_empty_search AS
SELECT day, query, toInt64(count()) AS searches FROM analytics_activity_published WHERE results = 0 AND query != '' GROUP BY day, query;

-- Closed days. A second row of a day, with the same figures, says that only the most frequent searches are left.
CREATE TABLE IF NOT EXISTS analytics_funnel_day (
    day      Date32,
    visitors Int64,
    viewed   Int64,
    carted   Int64,
    began    Int64,
    paid     Int64,
    trimmed  UInt8
) ENGINE = ReplacingMergeTree(trimmed) ORDER BY day
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
