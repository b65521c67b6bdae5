CREATE TABLE users_account (
    id             uuid PRIMARY KEY,
    -- Lower case. COLLATE "C" lets the unique index answer prefix searches too.
    email          text COLLATE "C" NOT NULL CONSTRAINT users_account_email UNIQUE CHECK (length(email) BETWEEN 3 AND 254),
    name           text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    role           text NOT NULL CHECK (role IN ('customer', 'admin')),
    active         boolean NOT NULL DEFAULT true,
    -- Sums over users_points (and the opening balance of a bulk record), kept under the row lock that every change takes.
    points         bigint NOT NULL DEFAULT 0 CHECK (points >= 0),
    pending_points bigint NOT NULL DEFAULT 0 CHECK (pending_points >= 0),
    -- json, not jsonb: nothing is asked of it, and jsonb would write 1e308 out as 309 digits.
    preferences    json NOT NULL DEFAULT '{}' CHECK (json_typeof(preferences) = 'object'),
    origin         text NOT NULL CHECK (origin IN ('registered', 'generated', 'imported')),
    name_invented  boolean NOT NULL DEFAULT false,
    -- argon2id in PHC format; NULL for accounts that nobody can sign in to.
    password_hash  text,
    version        bigint NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL
);
-- The administrators' list: newest first, and by the beginning of any word of the name.
CREATE INDEX users_account_newest ON users_account (created_at, id);
CREATE INDEX users_account_name_words ON users_account USING gin (to_tsvector('simple', name));

CREATE TABLE users_address (
    id          uuid PRIMARY KEY,
    user_id     uuid NOT NULL REFERENCES users_account (id),
    street      text NOT NULL,
    city        text NOT NULL,
    postal_code text NOT NULL,
    country     text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    is_default  boolean NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE INDEX users_address_of_user ON users_address (user_id, created_at, id);
-- Never two defaults, whatever the code does.
CREATE UNIQUE INDEX users_address_default ON users_address (user_id) WHERE is_default;

-- Loyalty points of one checkout. A cancelled row without a user is a tombstone: the saga was cancelled before its points
-- arrived, so that a late request for them is refused.
CREATE TABLE users_points (
    saga_id    uuid PRIMARY KEY,
    user_id    uuid REFERENCES users_account (id),
    points     bigint NOT NULL CHECK (points >= 0),
    state      text NOT NULL CHECK (state IN ('pending', 'confirmed', 'cancelled')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (user_id IS NOT NULL OR state = 'cancelled')
);
CREATE INDEX users_points_of_user ON users_points (user_id);
