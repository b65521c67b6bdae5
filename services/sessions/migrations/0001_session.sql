-- A login session. The token itself is nowhere: whoever reads this table cannot act as anybody.
CREATE TABLE sessions_session (
    token_hash   bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    user_id      uuid NOT NULL,
    role         text NOT NULL CHECK (role IN ('customer', 'admin')),
    began_at     timestamptz NOT NULL,
    -- Slides with use, never beyond ends_at.
    expires_at   timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    -- What the reaper goes by. Sliding moves expires_at; were that column indexed, no update could be heap-only (HOT). The
    -- hour changes seldom.
    expires_hour timestamp NOT NULL GENERATED ALWAYS AS (date_trunc('hour', expires_at AT TIME ZONE 'UTC')) STORED,
    CHECK (expires_at <= ends_at)
) WITH (fillfactor = 80);
CREATE INDEX sessions_session_by_user ON sessions_session (user_id);
CREATE INDEX sessions_session_by_expiry ON sessions_session (expires_hour);

-- Every revocation of all of a user's sessions takes the next number. A login notes the last number before it has the
-- credentials verified, and begins no session when the user's number has grown beyond that: what was verified is then older
-- than the revocation.
CREATE SEQUENCE sessions_revocation AS bigint;

-- One row for each user who ever logged in or was revoked: logins and revocations of a user queue on it.
CREATE TABLE sessions_account (
    user_id    uuid PRIMARY KEY,
    revocation bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

-- Attempts to log in, by the SHA-256 of the e-mail address. At most as many entries a row as failures are allowed.
CREATE TABLE sessions_attempt (
    email_hash bytea PRIMARY KEY CHECK (octet_length(email_hash) = 32),
    -- Failures within the window.
    failed_at  timestamptz[] NOT NULL,
    -- Attempts whose outcome is not known yet. They count as failures until it is, or else many guesses at once would all
    -- be let in before the first one has failed.
    pending_at timestamptz[] NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_attempt_by_expiry ON sessions_attempt (expires_at);
