-- The standings of stores that keep none themselves, by where they are: indexes that are made from this database, a server
-- whose points nobody can swap. JSON under compare-and-swap, as in the table of the database's own standing.
CREATE TABLE {prefix}_places (
    place    text PRIMARY KEY,
    version  bigint NOT NULL,
    standing text NOT NULL
);
