-- When the owner wrote the event down, which for imported history is long after its `time`. Of rows that were there before,
-- nobody knows: NULL.
ALTER TABLE {prefix}_outbox ADD COLUMN recorded_at timestamptz;
ALTER TABLE {prefix}_outbox ALTER COLUMN recorded_at SET DEFAULT now();

-- One row a projection with two generations (0 and 1) of its tables; see projection.rs.
CREATE TABLE {prefix}_projections (
    projection   text PRIMARY KEY,
    -- The generation that is read.
    live         smallint NOT NULL DEFAULT 0 CHECK (live IN (0, 1)),
    -- Since when; NULL until the first one was built.
    live_since   timestamptz,
    -- Whether events are applied to the other generation as well.
    building     boolean NOT NULL DEFAULT false,
    -- The rebuild that is wanted or under way, and how far it is.
    rebuild      uuid,
    cause        text,
    phase        text,
    -- By owner: {"/orders": {"after": 17, "end": 40, "done": false}}.
    cursors      jsonb NOT NULL DEFAULT '{}',
    events       bigint NOT NULL DEFAULT 0,
    started_at   timestamptz,
    -- Who is at it.
    builder      uuid,
    leased_until timestamptz,
    -- What came of the last one.
    outcome      jsonb
);
