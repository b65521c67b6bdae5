-- Whether this database holds what the service keeps, is left, or is being filled: one text (JSON) under compare-and-swap.
CREATE TABLE {prefix}_move_standing (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version   bigint NOT NULL,
    standing  text NOT NULL
);

-- What was written to while its store was copied elsewhere, and how many times.
CREATE TABLE {prefix}_move_journal (
    key   text PRIMARY KEY,
    times bigint NOT NULL DEFAULT 1
);
