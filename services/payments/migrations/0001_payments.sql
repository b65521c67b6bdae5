CREATE TABLE payments_charge (
    saga_id            uuid PRIMARY KEY,
    -- Null in tombstones: a saga was voided before its charge arrived, so that a late request for it is refused.
    order_id           uuid,
    customer_id        uuid,
    amount             bigint NOT NULL CHECK (amount >= 0),
    currency           text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    state              text NOT NULL CHECK (state IN ('succeeded', 'declined', 'pending', 'open', 'voided')),
    -- The provider took the money. For a voided charge that means: too late, and given back in the same transaction.
    captured           boolean NOT NULL DEFAULT false,
    refunded           bigint NOT NULL DEFAULT 0,
    reason             text,
    provider_reference text,
    -- When the saga gave the charge up. A charge that had succeeded stays so, refunded in full.
    voided_at          timestamptz,
    version            bigint NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    CHECK (refunded >= 0 AND refunded <= amount),
    CHECK (refunded = 0 OR captured),
    CHECK (captured = (state = 'succeeded') OR state = 'voided')
);
CREATE INDEX payments_charge_of_order ON payments_charge (order_id);
-- For the reconciliation, which looks only at charges without an answer; there are few.
CREATE INDEX payments_charge_pending ON payments_charge (updated_at, saga_id) WHERE state = 'pending';

CREATE TABLE payments_refund (
    refund_id  uuid PRIMARY KEY,
    -- Null for imported refunds that no charge is known for.
    saga_id    uuid REFERENCES payments_charge (saga_id),
    order_id   uuid,
    amount     bigint NOT NULL CHECK (amount > 0),
    currency   text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    reason     text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX payments_refund_of_charge ON payments_refund (saga_id);

-- The ledger: double entry, append-only. Debits are positive, credits negative.
CREATE TABLE payments_ledger_account (
    account     text PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('asset', 'income', 'contra_income')),
    description text NOT NULL
);
INSERT INTO payments_ledger_account (account, kind, description) VALUES
    ('provider_clearing', 'asset', 'Money that the payment provider holds for the shop'),
    ('sales', 'income', 'Charges that succeeded'),
    ('refunds', 'contra_income', 'Refunds of charges'),
    ('unmatched_refunds', 'contra_income', 'Imported refunds that belong to no known charge');

CREATE TABLE payments_ledger_transaction (
    id        uuid PRIMARY KEY,
    kind      text NOT NULL CHECK (kind IN ('charge', 'refund')),
    -- The saga of a charge, the id of a refund.
    reference uuid NOT NULL,
    at        timestamptz NOT NULL,
    -- Nothing is ever booked twice, whatever the code does.
    UNIQUE (reference, kind)
);

CREATE TABLE payments_ledger_entry (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id uuid NOT NULL,
    account        text NOT NULL,
    amount         bigint NOT NULL CHECK (amount <> 0),
    currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$')
);
CREATE INDEX payments_ledger_entry_of_transaction ON payments_ledger_entry (transaction_id);

-- What a statement enters is checked as a whole: it sums to zero in each transaction and currency, and its transactions and
-- accounts exist. So do all entries then, since none is changed or removed. (Foreign keys and a trigger for each row would
-- say the same, at a look-up or three for each row of a bulk load.)
CREATE FUNCTION payments_ledger_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM entered GROUP BY transaction_id, currency HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'a ledger transaction does not sum to zero' USING ERRCODE = 'check_violation';
    END IF;
    -- Subqueries, not joins: looked up in the key's index, whatever size the tables had when this was planned.
    IF EXISTS (
        SELECT FROM entered
        WHERE (SELECT t.id FROM payments_ledger_transaction AS t WHERE t.id = entered.transaction_id) IS NULL
           OR (SELECT a.account FROM payments_ledger_account AS a WHERE a.account = entered.account) IS NULL
    ) THEN
        RAISE EXCEPTION 'a ledger entry has no transaction or no account' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER payments_ledger_check AFTER INSERT ON payments_ledger_entry REFERENCING NEW TABLE AS entered
    FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_check();

-- What is booked stays; a mistake is corrected by a further transaction.
CREATE FUNCTION payments_ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER payments_ledger_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_refuse_change();
CREATE TRIGGER payments_ledger_account_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_ledger_account
    FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_refuse_change();
CREATE TRIGGER payments_ledger_transaction_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_refuse_change();
