-- What the simulated payment provider knows. A real one would be somewhere else; nothing but its own module touches this.
CREATE TABLE payments_provider_request (
    -- The caller's idempotency key.
    saga_id    uuid PRIMARY KEY,
    token      text NOT NULL,
    amount     bigint NOT NULL,
    currency   text NOT NULL,
    reference  text NOT NULL,
    -- True when the customer has to finish on the provider's side, after which the provider calls back.
    open       boolean NOT NULL,
    -- What it comes to, and when; null when that is still open, or never.
    outcome    text CHECK (outcome IN ('succeeded', 'declined')),
    reason     text,
    settles_at timestamptz,
    -- When the provider tells of the outcome without being asked (again); null when it does not.
    notify_at  timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX payments_provider_request_due ON payments_provider_request (notify_at) WHERE notify_at IS NOT NULL;
