-- What there are points of. A series is a metric with its labels (and, for a histogram, the bounds of its buckets, without
-- the last one, +Inf). Points name it by its number, which takes 4 bytes in each of some million rows.
CREATE TABLE monitoring_series (
    id          int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The first half of the SHA-256 of metric, kind, labels and bounds: a text of any length is found by 16 bytes.
    fingerprint uuid NOT NULL UNIQUE,
    metric      text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('gauge', 'counter', 'histogram')),
    -- The service whose /metrics it stands in; also one of the labels.
    target      text NOT NULL,
    labels      jsonb NOT NULL,
    bounds      float8[],
    -- Written at most once a day.
    seen_on     date NOT NULL
);
CREATE INDEX monitoring_series_by_metric ON monitoring_series (metric);

-- Who scrapes, and the number of the last round. Every round takes its number by updating this row, in the transaction that
-- writes its points: so rounds are numbered in the order in which they are committed, and whoever lost the lease writes nothing.
CREATE TABLE monitoring_lease (
    id     int PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    holder uuid,
    until  timestamptz,
    round  bigint NOT NULL
);
INSERT INTO monitoring_lease (round) VALUES (0);

-- The rounds whose points are still there, with their moments: from when to when a round's points have to be looked for.
CREATE TABLE monitoring_round (
    round    bigint PRIMARY KEY,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL
);

-- Up to which round the points are contained in the roll-ups of a tier. It moves in the transaction that writes the
-- roll-ups: each point goes into each tier exactly once, whatever crashes, comes late, or sets its clock back.
CREATE TABLE monitoring_cursor (
    tier  text PRIMARY KEY CHECK (tier IN ('minute', 'hour')),
    round bigint NOT NULL
);
INSERT INTO monitoring_cursor (tier, round) VALUES ('minute', 0), ('hour', 0);

-- Raw points of gauges and counters. Partitions (ten minutes, six hours, thirty days by tier) are made by the service as
-- they are needed and dropped when they are old. increase and covered_us (how long it took to come about) are a counter's
-- since the scrape before; null where there was none.
CREATE TABLE monitoring_level_raw (
    series     int NOT NULL,
    at         timestamptz NOT NULL,
    round      bigint NOT NULL,
    value      float8 NOT NULL,
    increase   float8,
    covered_us bigint
) PARTITION BY RANGE (at);
CREATE INDEX monitoring_level_raw_at ON monitoring_level_raw (series, at);

-- Raw points of histograms: the cumulative counts as they were exported (the last one is of +Inf), and what was added to
-- each bucket since the scrape before; null where nothing was, or where there was no scrape before (then covered_us is too).
CREATE TABLE monitoring_histogram_raw (
    series     int NOT NULL,
    at         timestamptz NOT NULL,
    round      bigint NOT NULL,
    totals     bigint[] NOT NULL,
    total_sum  float8 NOT NULL,
    observed   float8,
    covered_us bigint,
    buckets    bigint[]
) PARTITION BY RANGE (at);
CREATE INDEX monitoring_histogram_raw_at ON monitoring_histogram_raw (series, at);

-- Roll-ups of gauges (of their values) and counters (of their rates from scrape to scrape). Where all values are equal,
-- there is no sketch: min says all.
CREATE TABLE monitoring_level_minute (
    series     int NOT NULL,
    at         timestamptz NOT NULL,
    samples    bigint NOT NULL,
    sum        float8 NOT NULL,
    min        float8 NOT NULL,
    max        float8 NOT NULL,
    increase   float8 NOT NULL,
    covered_us bigint NOT NULL,
    sketch     bytea,
    PRIMARY KEY (series, at)
) PARTITION BY RANGE (at);
CREATE TABLE monitoring_level_hour (
    LIKE monitoring_level_minute,
    PRIMARY KEY (series, at)
) PARTITION BY RANGE (at);

-- Roll-ups of histograms: what was observed in all, and what was added to each bucket; null where nothing was.
CREATE TABLE monitoring_histogram_minute (
    series     int NOT NULL,
    at         timestamptz NOT NULL,
    observed   float8 NOT NULL,
    covered_us bigint NOT NULL,
    buckets    bigint[],
    PRIMARY KEY (series, at)
) PARTITION BY RANGE (at);
CREATE TABLE monitoring_histogram_hour (
    LIKE monitoring_histogram_minute,
    PRIMARY KEY (series, at)
) PARTITION BY RANGE (at);
