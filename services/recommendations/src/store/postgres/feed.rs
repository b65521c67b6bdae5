//! How events get into the tables.
//!
//! An order's row decides whether it counts: lines and sums are written for orders whose row is new. Rows are written in the
//! order of their keys, and tables in the order basket, purchase, good, return, since members that work at once would get
//! into a deadlock otherwise; so goods that changed and goods that were bought are one statement.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use emporium_event_bus::projection::{GenerationHandler, Table};
use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::Tx;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::events::{Facts, KINDS, Order, Refund};
use crate::scoring::BASKET_GOODS_MAX;
use crate::store::change::{Change, changes};

const TABLES: &[Table] = &[
    Table {
        name: "recommendations_basket",
        key: &["order_id"],
        values: &[
            "customer_id",
            "placed_at AT TIME ZONE 'UTC'",
            "size",
            "goods",
            "units",
        ],
    },
    Table {
        name: "recommendations_purchase",
        key: &["good_id", "placed_at AT TIME ZONE 'UTC'", "order_id"],
        values: &["1"],
    },
    Table {
        name: "recommendations_good",
        key: &["good_id"],
        values: &[
            "version",
            "active",
            "baskets",
            "season_even_era",
            "season_even",
            "season_odd_era",
            "season_odd",
            "week_even_era",
            "week_even",
            "week_odd_era",
            "week_odd",
        ],
    },
    Table {
        name: "recommendations_return",
        key: &["customer_id", "good_id"],
        values: &["units"],
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
        let orders = add_baskets(tx, generation, &facts.orders).await?;
        add_purchases(tx, generation, &orders).await?;
        put_goods(tx, generation, changes(&facts.products, &orders)).await?;
        add_returns(tx, generation, &facts.refunds).await?;
        Ok(())
    }
}

/// `$2` to `$4` are orders, `$5` to `$7` their lines.
const ADD_BASKETS: &str = "
    INSERT INTO recommendations_basket (generation, order_id, customer_id, placed_at, size, goods, units)
    SELECT $1, o.order_id, o.customer_id, o.placed_at, l.size, l.goods, l.units
    FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[]) AS o (order_id, customer_id, placed_at)
    JOIN (
        SELECT order_id, count(*)::integer AS size, string_agg(uuid_send(good_id), '' ORDER BY good_id) AS goods,
               array_agg(units ORDER BY good_id) AS units
        FROM unnest($5::uuid[], $6::uuid[], $7::bigint[]) AS l (order_id, good_id, units) GROUP BY order_id
    ) AS l ON l.order_id = o.order_id
    ORDER BY o.order_id
    ON CONFLICT (generation, order_id) DO NOTHING
    RETURNING order_id";

/// Gives those that are new.
async fn add_baskets<'a>(
    tx: &mut Tx,
    generation: i16,
    orders: &'a BTreeMap<Uuid, Order>,
) -> Result<Vec<&'a Order>, sqlx::Error> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let (mut of, mut goods, mut units) = (Vec::new(), Vec::new(), Vec::new());
    for order in orders.values() {
        for (good, number) in &order.goods {
            of.push(order.order_id);
            goods.push(*good);
            units.push(*number);
        }
    }
    let new: Vec<Uuid> = sqlx::query_scalar(ADD_BASKETS)
        .bind(generation)
        .bind(orders.keys().copied().collect::<Vec<_>>())
        .bind(each(orders, |order| order.customer_id))
        .bind(each(orders, |order| order.at))
        .bind(of)
        .bind(goods)
        .bind(units)
        .fetch_all(tx)
        .await?;
    let new: HashSet<Uuid> = new.into_iter().collect();
    Ok(orders
        .values()
        .filter(|order| new.contains(&order.order_id))
        .collect())
}

fn each<T>(orders: &BTreeMap<Uuid, Order>, field: impl Fn(&Order) -> T) -> Vec<T> {
    orders.values().map(field).collect()
}

async fn add_purchases(tx: &mut Tx, generation: i16, orders: &[&Order]) -> Result<(), sqlx::Error> {
    let mut rows: Vec<(Uuid, OffsetDateTime, Uuid)> = orders
        .iter()
        .filter(|order| order.goods.len() <= BASKET_GOODS_MAX)
        .flat_map(|order| order.goods.keys().map(|good| (*good, order.at, order.order_id)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_unstable();
    sqlx::query(
        "INSERT INTO recommendations_purchase (generation, good_id, placed_at, order_id)
         SELECT $1, good_id, placed_at, order_id
         FROM unnest($2::uuid[], $3::timestamptz[], $4::uuid[]) AS p (good_id, placed_at, order_id)",
    )
    .bind(generation)
    .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Of each parity the sums of the newest era stay. `numeric` in between, since an addition beyond 64 bits is an error.
const PUT_GOODS: &str = "
    INSERT INTO recommendations_good AS g (generation, good_id, version, active, baskets, season_even_era, season_even,
        season_odd_era, season_odd, week_even_era, week_even, week_odd_era, week_odd)
    SELECT $1, c.* FROM unnest($2::uuid[], $3::bigint[], $4::boolean[], $5::bigint[], $6::integer[], $7::bigint[],
        $8::integer[], $9::bigint[], $10::integer[], $11::bigint[], $12::integer[], $13::bigint[]) AS c
    ON CONFLICT (generation, good_id) DO UPDATE SET
        version = greatest(g.version, excluded.version),
        active = CASE WHEN excluded.version > g.version THEN excluded.active ELSE g.active END,
        baskets = g.baskets + excluded.baskets,
        season_even = CASE WHEN excluded.season_even_era = g.season_even_era
            THEN least(g.season_even::numeric + excluded.season_even, 9223372036854775807)::bigint
            WHEN excluded.season_even_era > g.season_even_era THEN excluded.season_even ELSE g.season_even END,
        season_even_era = greatest(g.season_even_era, excluded.season_even_era),
        season_odd = CASE WHEN excluded.season_odd_era = g.season_odd_era
            THEN least(g.season_odd::numeric + excluded.season_odd, 9223372036854775807)::bigint
            WHEN excluded.season_odd_era > g.season_odd_era THEN excluded.season_odd ELSE g.season_odd END,
        season_odd_era = greatest(g.season_odd_era, excluded.season_odd_era),
        week_even = CASE WHEN excluded.week_even_era = g.week_even_era
            THEN least(g.week_even::numeric + excluded.week_even, 9223372036854775807)::bigint
            WHEN excluded.week_even_era > g.week_even_era THEN excluded.week_even ELSE g.week_even END,
        week_even_era = greatest(g.week_even_era, excluded.week_even_era),
        week_odd = CASE WHEN excluded.week_odd_era = g.week_odd_era
            THEN least(g.week_odd::numeric + excluded.week_odd, 9223372036854775807)::bigint
            WHEN excluded.week_odd_era > g.week_odd_era THEN excluded.week_odd ELSE g.week_odd END,
        week_odd_era = greatest(g.week_odd_era, excluded.week_odd_era)";

async fn put_goods(tx: &mut Tx, generation: i16, changes: BTreeMap<Uuid, Change>) -> Result<(), sqlx::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut query = sqlx::query(PUT_GOODS)
        .bind(generation)
        .bind(changes.keys().copied().collect::<Vec<_>>())
        .bind(column(&changes, |change| {
            change.product.map_or(0, |product| product.version)
        }))
        .bind(column(&changes, |change| {
            change.product.is_some_and(|product| product.active)
        }))
        .bind(column(&changes, |change| change.sums.baskets));
    for decayed in [
        |change: &Change| change.sums.season,
        |change: &Change| change.sums.week,
    ] {
        for slot in 0..2 {
            query = query
                .bind(column(&changes, |change| decayed(change).eras[slot]))
                .bind(column(&changes, |change| decayed(change).sums[slot]));
        }
    }
    query.execute(tx).await?;
    Ok(())
}

fn column<T>(changes: &BTreeMap<Uuid, Change>, field: impl Fn(&Change) -> T) -> Vec<T> {
    changes.values().map(field).collect()
}

async fn add_returns(tx: &mut Tx, generation: i16, refunds: &[Refund]) -> Result<(), sqlx::Error> {
    let lines = || {
        refunds.iter().flat_map(|refund| {
            refund
                .goods
                .iter()
                .map(|(good, units)| (refund.customer_id, *good, *units))
        })
    };
    if refunds.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO recommendations_return AS r (generation, customer_id, good_id, units)
         SELECT $1, customer_id, good_id, sum(units)
         FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) AS l (customer_id, good_id, units)
         GROUP BY 2, 3 ORDER BY 2, 3
         ON CONFLICT (generation, customer_id, good_id) DO UPDATE SET units = r.units + excluded.units",
    )
    .bind(generation)
    .bind(lines().map(|line| line.0).collect::<Vec<_>>())
    .bind(lines().map(|line| line.1).collect::<Vec<_>>())
    .bind(lines().map(|line| line.2).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
