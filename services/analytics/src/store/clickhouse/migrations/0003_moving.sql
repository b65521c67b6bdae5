-- What this database is to the service, one row a change; a version is a compare-and-swap, as in `analytics_state`.
CREATE TABLE IF NOT EXISTS analytics_standing (
    version  Int64,
    writer   UUID,
    standing String,
    at       DateTime64(6, 'UTC')
) ENGINE = MergeTree ORDER BY version
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- What was written to while it was copied elsewhere. Rows are only added: a key is marked as long as more was noted of it than was
-- forgotten, so that whatever is added twice, or late, loses no mark.
CREATE TABLE IF NOT EXISTS analytics_journal (
    key       String,
    noted     SimpleAggregateFunction(sum, Int64),
    forgotten SimpleAggregateFunction(max, Int64)
) ENGINE = AggregatingMergeTree ORDER BY key
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
