-- The copy of users has two generations, so that it is rebuilt beside the live one and compared with it; see
-- docs/adr/0014. What there is, is the live one; its events were claimed as those of generation 0.
CREATE TABLE orders_customer (
    generation     smallint NOT NULL,
    id             uuid NOT NULL,
    name           text NOT NULL,
    email          text NOT NULL,
    active         boolean NOT NULL,
    version        bigint NOT NULL,
    last_synced_at timestamptz NOT NULL,
    PRIMARY KEY (generation, id)
) PARTITION BY LIST (generation);
CREATE TABLE orders_customer_g0 PARTITION OF orders_customer FOR VALUES IN (0);
CREATE TABLE orders_customer_g1 PARTITION OF orders_customer FOR VALUES IN (1);

INSERT INTO orders_customer (generation, id, name, email, active, version, last_synced_at)
SELECT 0, id, name, email, active, version, last_synced_at FROM orders_customer_copy;
DROP TABLE orders_customer_copy;
-- Claims of payments cannot be told from those of users, and no rebuild makes them again. So all of them are dated before what
-- a rebuild compares (29 days), and are kept for as long as it compares what was written down before now.
INSERT INTO orders_inbox (consumer, event_id, handled_at)
SELECT 'orders/0', event_id, least(handled_at, now() - interval '29 days 1 hour') FROM orders_inbox WHERE consumer = 'orders';
INSERT INTO orders_projections (projection, live_since)
SELECT 'orders', now() WHERE EXISTS (SELECT FROM orders_inbox WHERE consumer = 'orders/0')
ON CONFLICT (projection) DO UPDATE SET live_since = excluded.live_since;

-- What is read.
CREATE VIEW orders_customer_copy AS
SELECT id, name, email, active, version, last_synced_at FROM orders_customer
WHERE generation = (SELECT live FROM orders_projections WHERE projection = 'orders');
