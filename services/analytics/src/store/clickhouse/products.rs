//! The products that sold most.

use clickhouse::Row;
use emporium_service_kit::{Money, StoreError};
use serde::Deserialize;
use uuid::Uuid;

use super::client::ClickHouse;
use super::narrow;
use super::revenue::of_range;
use super::state::live;
use crate::model::{ProductSales, Rank, TopProducts};
use crate::store::Ranking;

#[derive(Row, Deserialize)]
struct Best {
    #[serde(with = "clickhouse::serde::uuid")]
    product_id: Uuid,
    orders: i128,
    units: i128,
    goods: i128,
    refunded_units: i128,
    refunded: i128,
    known: bool,
    sku: String,
    name: String,
    category: String,
    brand: Option<String>,
}

/// Products as they are now. Of a tuple, since `argMax` passes over values that are null.
macro_rules! newest {
    () => {
        concat!(
            "SELECT product_id, argMax(tuple(sku, name, toString(category), toString(brand)), version) AS newest
             FROM analytics_product WHERE build = ",
            live!(),
            " GROUP BY product_id"
        )
    };
}

/// Ranked first, so that only what is shown is looked up. An id is compared as the number it is: the type's own order begins with
/// the second half.
macro_rules! top {
    ($rank:literal, $filter:expr) => {
        concat!(
            "SELECT best.product_id AS product_id, best.orders AS orders, best.units AS units, best.goods AS goods,
                    best.refunded_units AS refunded_units, best.refunded AS refunded, p.product_id IS NOT NULL AS known,
                    ifNull(p.newest.1, '') AS sku, ifNull(p.newest.2, '') AS name, ifNull(p.newest.3, '') AS category,
                    p.newest.4 AS brand
             FROM (
                SELECT f.product_id AS product_id, sum(f.orders) AS orders, sum(f.units) AS units, sum(f.gross) AS goods,
                       sum(f.refunded_units) AS refunded_units, sum(f.refunded) AS refunded
                FROM analytics_figure AS f
                WHERE f.build = ",
            live!(),
            " AND f.part = 'product' AND f.currency = {currency:String} AND f.day BETWEEN {from:Date32} AND {to:Date32} ",
            $filter,
            " GROUP BY product_id HAVING orders > 0 ORDER BY ",
            $rank,
            ", toUInt128(product_id) LIMIT {limit:UInt32}
             ) AS best LEFT JOIN (",
            newest!(),
            ") AS p ON p.product_id = best.product_id
             ORDER BY ",
            $rank,
            ", toUInt128(product_id)"
        )
    };
}

/// Those whose category now is this one.
macro_rules! of_category {
    () => {
        concat!(
            "AND f.product_id IN (SELECT product_id FROM (",
            newest!(),
            ") WHERE newest.3 = {category:String})"
        )
    };
}

pub(super) async fn top(server: &ClickHouse, ranking: &Ranking) -> Result<TopProducts, StoreError> {
    let text = match (ranking.rank, ranking.category.is_some()) {
        (Rank::Revenue, false) => top!("goods DESC, units DESC", ""),
        (Rank::Revenue, true) => top!("goods DESC, units DESC", of_category!()),
        (Rank::Units, false) => top!("units DESC, goods DESC", ""),
        (Rank::Units, true) => top!("units DESC, goods DESC", of_category!()),
    };
    let rows: Vec<Best> = of_range(server.ask(text), ranking.days, ranking.currency)
        .param("limit", ranking.limit)
        .param("category", ranking.category.as_deref().unwrap_or_default())
        .rows()
        .await?;
    let money = |amount| Ok::<_, StoreError>(Money::new(narrow(amount)?, ranking.currency));
    let item = |row: Best| {
        Ok(ProductSales {
            product_id: row.product_id,
            orders: narrow(row.orders)?,
            units: narrow(row.units)?,
            gross: money(row.goods)?,
            refunded_units: narrow(row.refunded_units)?,
            refunds: money(row.refunded)?,
            sku: row.known.then_some(row.sku),
            name: row.known.then_some(row.name),
            category: row.known.then_some(row.category),
            brand: row.brand,
        })
    };
    let items = rows.into_iter().map(item).collect::<Result<_, StoreError>>()?;
    Ok(TopProducts { items })
}
