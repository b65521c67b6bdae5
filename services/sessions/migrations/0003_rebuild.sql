-- How the comparison of blocks with the users' history stands, and what came of the last one (src/rebuild/note.rs).
CREATE TABLE sessions_rebuild (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    note      text NOT NULL
);
