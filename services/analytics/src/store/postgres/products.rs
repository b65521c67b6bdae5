//! The products that sold most.

use emporium_service_kit::{Db, Money, StoreError};
use sqlx::FromRow;
use uuid::Uuid;

use super::live;
use crate::model::{ProductSales, Rank, TopProducts};
use crate::store::Ranking;

#[derive(FromRow)]
struct Row {
    product_id: Uuid,
    sku: Option<String>,
    name: Option<String>,
    category: Option<String>,
    brand: Option<String>,
    orders: i64,
    units: i64,
    goods: i64,
    refunded_units: i64,
    refunded: i64,
}

/// Ranked first, so that only what is shown is joined with the products; a category chooses products before the sums.
macro_rules! top {
    ($rank:literal) => {
        concat!(
            "WITH best AS (
                SELECT product_id, sum(orders)::bigint AS orders, sum(units)::bigint AS units, sum(goods)::bigint AS goods,
                       sum(refunded_units)::bigint AS refunded_units, sum(refunded)::bigint AS refunded
                FROM analytics_product_day
                WHERE generation = ",
            live!(),
            " AND currency = $1 AND day BETWEEN $2 AND $3
                  AND ($4::text IS NULL OR product_id IN (
                      SELECT product_id FROM analytics_product WHERE category = $4 AND generation = ",
            live!(),
            "))
                GROUP BY product_id HAVING sum(orders) > 0
                ORDER BY ",
            $rank,
            ", product_id LIMIT $5
            )
            SELECT best.*, p.sku, p.name, p.category, p.brand
            FROM best LEFT JOIN analytics_product AS p ON p.product_id = best.product_id AND p.generation = ",
            live!(),
            " ORDER BY ",
            $rank,
            ", best.product_id"
        )
    };
}

pub(super) async fn top(db: &Db, ranking: &Ranking) -> Result<TopProducts, StoreError> {
    let sql = match ranking.rank {
        Rank::Revenue => top!("goods DESC, units DESC"),
        Rank::Units => top!("units DESC, goods DESC"),
    };
    let rows: Vec<Row> = sqlx::query_as(sql)
        .bind(ranking.currency.as_str().to_owned())
        .bind(ranking.days.from)
        .bind(ranking.days.to)
        .bind(&ranking.category)
        .bind(i64::from(ranking.limit))
        .fetch_all(db)
        .await?;
    let money = |amount| Money::new(amount, ranking.currency);
    let item = |row: Row| ProductSales {
        product_id: row.product_id,
        sku: row.sku,
        name: row.name,
        category: row.category,
        brand: row.brand,
        orders: row.orders,
        units: row.units,
        gross: money(row.goods),
        refunded_units: row.refunded_units,
        refunds: money(row.refunded),
    };
    Ok(TopProducts {
        items: rows.into_iter().map(item).collect(),
    })
}
