-- Sessions of a blocked user stay, marked, so that a look-up can say why they are of no use.
ALTER TABLE sessions_session ADD COLUMN blocked boolean NOT NULL DEFAULT false;

-- The user's version in the newest event that told whether the user is blocked: an older one that comes late, or again,
-- changes nothing.
ALTER TABLE sessions_account
    ADD COLUMN version bigint NOT NULL DEFAULT 0,
    ADD COLUMN blocked boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN sessions_account.blocked IS 'As of that version.';
