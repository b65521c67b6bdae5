//! How events get into the tables.
//!
//! Orders and refunds have a row each, and only those whose row is new are summed up, in the same statement: so an order
//! counts once by its own identity too, whatever is delivered. Rows are written in the order of their keys, since members
//! that work at once would get into a deadlock otherwise.

use std::collections::HashSet;

use async_trait::async_trait;
use emporium_event_bus::projection::{GenerationHandler, Table};
use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::{Money, Tx};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::events::{Facts, KINDS, Line, Order, Outcome, Payment, Product, Refund};

const TABLES: &[Table] = &[
    Table {
        name: "analytics_order",
        key: &["order_id"],
        values: &[
            "customer_id",
            "placed_at AT TIME ZONE 'UTC'",
            "country",
            "currency",
            "total",
            "lines",
            "units",
        ],
    },
    Table {
        name: "analytics_refund",
        key: &["refund_id"],
        values: &["order_id", "at AT TIME ZONE 'UTC'", "currency", "amount"],
    },
    Table {
        name: "analytics_sales_day",
        key: &["day", "country", "currency"],
        values: &["placed", "cancelled", "orders", "lines", "units", "gross"],
    },
    Table {
        name: "analytics_sales_minute",
        key: &["minute AT TIME ZONE 'UTC'", "currency"],
        values: &["orders", "units", "gross"],
    },
    Table {
        name: "analytics_product_day",
        key: &["day", "product_id", "currency"],
        values: &["orders", "lines", "units", "goods", "refunded_units", "refunded"],
    },
    Table {
        name: "analytics_customer_month",
        key: &["customer_id", "month"],
        values: &["orders"],
    },
    Table {
        name: "analytics_payment_day",
        key: &["day", "currency"],
        values: &[
            "succeeded",
            "succeeded_amount",
            "declined",
            "voided",
            "refunded",
            "refunded_amount",
        ],
    },
    Table {
        name: "analytics_product",
        key: &["product_id"],
        values: &["version", "sku", "name", "category", "brand"],
    },
];

/// Writes facts into a generation.
pub struct Feed;

#[async_trait]
impl GenerationHandler for Feed {
    fn kinds(&self) -> &'static [&'static str] {
        KINDS
    }

    fn tables(&self) -> &'static [Table] {
        TABLES
    }

    async fn handle(&self, events: &[&CloudEvent], generation: i16, tx: &mut Tx) -> Result<(), ApplyError> {
        let facts = Facts::of(events)?;
        add_sales(tx, generation, &facts).await?;
        add_payments(tx, generation, &facts.payments).await?;
        put_products(tx, generation, &facts.products).await?;
        Ok(())
    }
}

fn each<'a, T, U>(items: &'a [T], field: impl Fn(&'a T) -> U) -> Vec<U> {
    items.iter().map(field).collect()
}

fn currency(money: Money) -> String {
    money.currency.as_str().to_owned()
}

fn country(order: &Order) -> &str {
    order.country.as_deref().unwrap_or_default()
}

/// The lines of many things, as columns: whose, product, quantity, price.
#[derive(Default)]
struct Lines {
    of: Vec<Uuid>,
    products: Vec<Uuid>,
    quantities: Vec<i64>,
    prices: Vec<i64>,
}

impl Lines {
    fn add(&mut self, of: Uuid, lines: &[Line]) {
        for line in lines {
            self.of.push(of);
            self.products.push(line.product_id);
            self.quantities.push(line.quantity);
            self.prices.push(line.unit_price);
        }
    }
}

/// Lines from which on the statement is planned anew: a plan that is kept takes each array for a few rows, and may compare
/// each line with each order.
const LINES_FEW: usize = 500;

/// Sales in one statement, which touches each table once: with one more, two members could each hold a row of a table that the
/// other one wants.
///
/// `$2` to `$7` are confirmed orders, `$8` to `$11` their lines, `$12` to `$15` checkouts begun or cancelled, `$16` to `$20`
/// refunds, `$21` to `$24` their lines.
const ADD_SALES: &str = "
    WITH line AS (
        SELECT * FROM unnest($8::uuid[], $9::uuid[], $10::bigint[], $11::bigint[])
            AS l (order_id, product_id, quantity, unit_price)
    ), sized AS (
        SELECT order_id, count(*) AS lines, sum(quantity)::bigint AS units FROM line GROUP BY order_id
    ), sale AS (
        INSERT INTO analytics_order (generation, order_id, customer_id, placed_at, country, currency, total, lines, units)
        SELECT $1, o.order_id, o.customer_id, o.placed_at, o.country, o.currency, o.total, coalesce(s.lines, 0), coalesce(s.units, 0)
        FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::bigint[])
            AS o (order_id, customer_id, placed_at, country, currency, total)
        LEFT JOIN sized AS s ON s.order_id = o.order_id
        ORDER BY o.order_id
        ON CONFLICT (generation, order_id) DO NOTHING
        RETURNING order_id, customer_id, placed_at, (placed_at AT TIME ZONE 'UTC')::date AS day, country, currency, total, lines, units
    ), refund AS (
        INSERT INTO analytics_refund (generation, refund_id, order_id, at, currency, amount)
        SELECT $1, refund_id, order_id, at, currency, amount
        FROM unnest($16::uuid[], $17::uuid[], $18::timestamptz[], $19::text[], $20::bigint[])
            AS r (refund_id, order_id, at, currency, amount)
        ORDER BY refund_id
        ON CONFLICT (generation, refund_id) DO NOTHING
        RETURNING refund_id, (at AT TIME ZONE 'UTC')::date AS day, currency
    ), by_day AS (
        INSERT INTO analytics_sales_day AS s (generation, day, country, currency, placed, cancelled, orders, lines, units, gross)
        SELECT $1, day, country, currency, sum(placed), sum(cancelled), sum(orders), sum(lines), sum(units), sum(total)
        FROM (
            SELECT day, country, currency, 0 AS placed, 0 AS cancelled, 1 AS orders, lines, units, total FROM sale
            UNION ALL
            SELECT (placed_at AT TIME ZONE 'UTC')::date, country, currency, (NOT cancelled)::integer, cancelled::integer, 0, 0, 0, 0
            FROM unnest($12::timestamptz[], $13::text[], $14::text[], $15::boolean[]) AS c (placed_at, country, currency, cancelled)
        ) AS part
        GROUP BY 2, 3, 4 ORDER BY 2, 3, 4
        ON CONFLICT (generation, day, country, currency) DO UPDATE
        SET placed = s.placed + excluded.placed, cancelled = s.cancelled + excluded.cancelled,
            orders = s.orders + excluded.orders, lines = s.lines + excluded.lines, units = s.units + excluded.units,
            gross = s.gross + excluded.gross
    ), by_minute AS (
        INSERT INTO analytics_sales_minute AS s (generation, minute, currency, orders, units, gross)
        SELECT $1, date_trunc('minute', placed_at, 'UTC'), currency, count(*), sum(units), sum(total)
        FROM sale GROUP BY 2, 3 ORDER BY 2, 3
        ON CONFLICT (generation, minute, currency) DO UPDATE
        SET orders = s.orders + excluded.orders, units = s.units + excluded.units, gross = s.gross + excluded.gross
    ), by_product AS (
        INSERT INTO analytics_product_day AS s
            (generation, day, product_id, currency, orders, lines, units, goods, refunded_units, refunded)
        SELECT $1, day, product_id, currency, count(DISTINCT order_id), sum(lines), sum(units), sum(goods), sum(refunded_units),
               sum(refunded)
        FROM (
            SELECT f.day, l.product_id, f.currency, l.order_id, 1 AS lines, l.quantity AS units,
                   l.quantity::numeric * l.unit_price AS goods, 0 AS refunded_units, 0 AS refunded
            FROM line AS l JOIN sale AS f ON f.order_id = l.order_id
            UNION ALL
            SELECT f.day, l.product_id, f.currency, NULL, 0, 0, 0, l.quantity, l.quantity::numeric * l.unit_price
            FROM unnest($21::uuid[], $22::uuid[], $23::bigint[], $24::bigint[])
                AS l (refund_id, product_id, quantity, unit_price)
            JOIN refund AS f ON f.refund_id = l.refund_id
        ) AS part
        GROUP BY 2, 3, 4 ORDER BY 2, 3, 4
        ON CONFLICT (generation, day, product_id, currency) DO UPDATE
        SET orders = s.orders + excluded.orders, lines = s.lines + excluded.lines, units = s.units + excluded.units,
            goods = s.goods + excluded.goods, refunded_units = s.refunded_units + excluded.refunded_units,
            refunded = s.refunded + excluded.refunded
    )
    INSERT INTO analytics_customer_month AS c (generation, customer_id, month, orders)
    SELECT $1, customer_id, date_trunc('month', day::timestamp)::date, count(*)
    FROM sale WHERE customer_id IS NOT NULL GROUP BY 2, 3 ORDER BY 2, 3
    ON CONFLICT (generation, customer_id, month) DO UPDATE SET orders = c.orders + excluded.orders";

async fn add_sales(tx: &mut Tx, generation: i16, facts: &Facts) -> Result<(), sqlx::Error> {
    // Of what comes twice, the row would decide between the two, but not between their lines.
    let mut seen = HashSet::new();
    let orders: Vec<&Order> = facts
        .confirmed
        .iter()
        .filter(|order| seen.insert(order.order_id))
        .collect();
    let refunds: Vec<&Refund> = facts
        .refunds
        .iter()
        .filter(|refund| seen.insert(refund.refund_id))
        .collect();
    let checkouts: Vec<(&Order, bool)> = (facts.placed.iter().map(|order| (order, false)))
        .chain(facts.cancelled.iter().map(|order| (order, true)))
        .collect();
    if orders.is_empty() && refunds.is_empty() && checkouts.is_empty() {
        return Ok(());
    }
    let (mut sold, mut returned) = (Lines::default(), Lines::default());
    for order in &orders {
        sold.add(order.order_id, &order.lines);
    }
    for refund in &refunds {
        returned.add(refund.refund_id, &refund.lines);
    }
    sqlx::query(ADD_SALES)
        .persistent(sold.of.len() + returned.of.len() < LINES_FEW)
        .bind(generation)
        .bind(each(&orders, |order| order.order_id))
        .bind(each(&orders, |order| order.customer_id))
        .bind(each(&orders, |order| order.placed_at))
        .bind(each(&orders, |order| country(order)))
        .bind(each(&orders, |order| currency(order.total)))
        .bind(each(&orders, |order| order.total.amount))
        .bind(sold.of)
        .bind(sold.products)
        .bind(sold.quantities)
        .bind(sold.prices)
        .bind(each(&checkouts, |(order, _)| order.placed_at))
        .bind(each(&checkouts, |(order, _)| country(order)))
        .bind(each(&checkouts, |(order, _)| currency(order.total)))
        .bind(each(&checkouts, |(_, cancelled)| *cancelled))
        .bind(each(&refunds, |refund| refund.refund_id))
        .bind(each(&refunds, |refund| refund.order_id))
        .bind(each(&refunds, |refund| refund.at))
        .bind(each(&refunds, |refund| currency(refund.amount)))
        .bind(each(&refunds, |refund| refund.amount.amount))
        .bind(returned.of)
        .bind(returned.products)
        .bind(returned.quantities)
        .bind(returned.prices)
        .execute(tx)
        .await?;
    Ok(())
}

const ADD_PAYMENTS: &str = "
    INSERT INTO analytics_payment_day AS p
        (generation, day, currency, succeeded, succeeded_amount, declined, voided, refunded, refunded_amount)
    SELECT $1, (at AT TIME ZONE 'UTC')::date, currency,
           count(*) FILTER (WHERE outcome = 'succeeded' AND amount <> 0),
           coalesce(sum(amount) FILTER (WHERE outcome = 'succeeded'), 0),
           count(*) FILTER (WHERE outcome = 'declined'), count(*) FILTER (WHERE outcome = 'voided'),
           count(*) FILTER (WHERE outcome = 'refunded' AND amount <> 0),
           coalesce(sum(amount) FILTER (WHERE outcome = 'refunded'), 0)
    FROM unnest($2::timestamptz[], $3::text[], $4::bigint[], $5::text[]) AS e (at, currency, amount, outcome)
    GROUP BY 2, 3 ORDER BY 2, 3
    ON CONFLICT (generation, day, currency) DO UPDATE
    SET succeeded = p.succeeded + excluded.succeeded, succeeded_amount = p.succeeded_amount + excluded.succeeded_amount,
        declined = p.declined + excluded.declined, voided = p.voided + excluded.voided,
        refunded = p.refunded + excluded.refunded, refunded_amount = p.refunded_amount + excluded.refunded_amount";

async fn add_payments(tx: &mut Tx, generation: i16, payments: &[Payment]) -> Result<(), sqlx::Error> {
    if payments.is_empty() {
        return Ok(());
    }
    let outcome = |payment: &Payment| match payment.outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Declined => "declined",
        Outcome::Voided => "voided",
        Outcome::Refunded => "refunded",
    };
    sqlx::query(ADD_PAYMENTS)
        .bind(generation)
        .bind(each(payments, |payment| -> OffsetDateTime { payment.at }))
        .bind(each(payments, |payment| currency(payment.amount)))
        .bind(each(payments, |payment| payment.amount.amount))
        .bind(each(payments, outcome))
        .execute(tx)
        .await?;
    Ok(())
}

const PUT_PRODUCTS: &str = "
    INSERT INTO analytics_product AS p (generation, product_id, version, sku, name, category, brand)
    SELECT $1, e.* FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
        AS e (product_id, version, sku, name, category, brand)
    ORDER BY product_id
    ON CONFLICT (generation, product_id) DO UPDATE
    SET version = excluded.version, sku = excluded.sku, name = excluded.name, category = excluded.category,
        brand = excluded.brand
    WHERE p.version < excluded.version";

async fn put_products(tx: &mut Tx, generation: i16, products: &[Product]) -> Result<(), sqlx::Error> {
    if products.is_empty() {
        return Ok(());
    }
    sqlx::query(PUT_PRODUCTS)
        .bind(generation)
        .bind(each(products, |product| product.id))
        .bind(each(products, |product| product.version))
        .bind(each(products, |product| product.sku.as_str()))
        .bind(each(products, |product| product.name.as_str()))
        .bind(each(products, |product| product.category.as_str()))
        .bind(each(products, |product| product.brand.as_deref()))
        .execute(tx)
        .await?;
    Ok(())
}
