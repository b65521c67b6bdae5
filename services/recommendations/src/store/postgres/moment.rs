//! What shelves are made from, all of one snapshot. Each statement reads a bounded number of rows, whatever is in the tables.

use emporium_service_kit::{Db, Tx};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::decay::{Decayed, HalfLife};
use crate::model::{Reason, Suggestion};
use crate::scoring::{Anchor, BASKETS_MAX, Basket, ById, Demand, HORIZON};
use crate::store::{CUSTOMER_BASKETS_MAX, CUSTOMER_LINES_MAX, Subject};

/// A snapshot of the live generation.
pub struct Moment {
    tx: Tx,
    generation: i16,
    /// The time of the newest order that is not in the future; the clock's, when there is none.
    pub now: OffsetDateTime,
}

/// A good: how often it is bought, and whether it may be suggested.
#[derive(Debug, Clone, Copy, Default)]
pub struct Good {
    /// How often.
    pub demand: Demand,
    /// The catalog has told of it and not archived it.
    pub sold: bool,
}

/// A customer's order.
#[derive(Debug, FromRow)]
pub struct Bought {
    /// When it was placed.
    pub placed_at: OffsetDateTime,
    /// Distinct goods.
    pub goods: Vec<Uuid>,
    /// Units of each.
    pub units: Vec<i64>,
}

#[derive(FromRow)]
struct GoodRow {
    good_id: Uuid,
    active: bool,
    baskets: i64,
    season_even_era: i32,
    season_even: i64,
    season_odd_era: i32,
    season_odd: i64,
    week_even_era: i32,
    week_even: i64,
    week_odd_era: i32,
    week_odd: i64,
}

impl GoodRow {
    fn good(&self, now: OffsetDateTime) -> Good {
        let season = Decayed {
            eras: [self.season_even_era, self.season_odd_era],
            sums: [self.season_even, self.season_odd],
        };
        let week = Decayed {
            eras: [self.week_even_era, self.week_odd_era],
            sums: [self.week_even, self.week_odd],
        };
        Good {
            demand: Demand::of(self.baskets, &season, &week, now),
            sold: self.active,
        }
    }
}

const LIVE: &str = "
    SELECT p.live, coalesce((SELECT b.placed_at FROM recommendations_basket AS b
        WHERE b.generation = p.live AND b.placed_at <= $1 ORDER BY b.placed_at DESC LIMIT 1), $1)
    FROM recommendations_projections AS p WHERE p.projection = 'recommendations'";

/// The newest baskets of each good. `OFFSET 0` and `LIMIT` in the lateral parts keep the planner from reading whole tables
/// instead, which it would think cheaper with many goods.
const BASKETS: &str = "
    SELECT b.order_id, b.placed_at, b.goods
    FROM (
        SELECT DISTINCT p.order_id
        FROM unnest($2::uuid[]) AS anchor (good_id)
        CROSS JOIN LATERAL (
            SELECT order_id FROM recommendations_purchase
            WHERE generation = $1 AND good_id = anchor.good_id AND placed_at >= $3
            ORDER BY placed_at DESC, order_id DESC LIMIT $4
        ) AS p
        OFFSET 0
    ) AS wanted
    CROSS JOIN LATERAL (
        SELECT order_id, placed_at, goods FROM recommendations_basket
        WHERE generation = $1 AND order_id = wanted.order_id LIMIT 1
    ) AS b";

const GOODS: &str = "
    SELECT good_id, active, baskets, season_even_era, season_even, season_odd_era, season_odd,
           week_even_era, week_even, week_odd_era, week_odd
    FROM recommendations_good WHERE generation = $1 AND good_id = ANY ($2)";

const BOUGHT: &str = "
    SELECT placed_at, goods, units FROM (
        SELECT placed_at, order_id, goods, units,
               sum(size) OVER (ORDER BY placed_at DESC, order_id DESC) - size AS newer
        FROM (
            SELECT placed_at, order_id, goods, units, size FROM recommendations_basket
            WHERE generation = $1 AND customer_id = $2
            ORDER BY placed_at DESC, order_id DESC LIMIT $3
        ) AS newest
    ) AS counted
    WHERE newer < $4 ORDER BY placed_at DESC, order_id DESC";

/// `$2` is now, in half-lives. A good that nobody bought for long would be an underflow, which is an error in PostgreSQL.
const POPULAR: &str = "
    SELECT good_id, week FROM (
        SELECT good_id, baskets,
               (week_even * power(2, greatest(least(week_even_era * 16 - $2, 0), -900))
                + week_odd * power(2, greatest(least(week_odd_era * 16 - $2, 0), -900))) / 16384 AS week
        FROM recommendations_good WHERE generation = $1 AND active AND baskets > 0
    ) AS good
    ORDER BY week DESC, baskets DESC, good_id LIMIT $3";

const SOLD: &str =
    "SELECT count(*) FROM recommendations_good WHERE generation = $1 AND good_id = ANY ($2) AND active";

const STAMP_PRODUCT: &str =
    "SELECT baskets::text FROM recommendations_good WHERE generation = $1 AND good_id = $2";

/// Orders, of so many as are looked at, and the newest one.
const STAMP_CUSTOMER: &str = "
    SELECT concat(count(*), '/', (array_agg(order_id))[1]) FROM (
        SELECT order_id FROM recommendations_basket WHERE generation = $1 AND customer_id = $2
        ORDER BY placed_at DESC, order_id DESC LIMIT $3
    ) AS newest";

fn wide(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Moment {
    /// Takes the snapshot.
    pub async fn begin(db: &Db, clock: OffsetDateTime) -> Result<Self, sqlx::Error> {
        let mut tx = db.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut tx)
            .await?;
        let (generation, now) = sqlx::query_as(LIVE).bind(clock).fetch_one(&mut tx).await?;
        Ok(Self { tx, generation, now })
    }

    /// Ends it.
    pub async fn end(self) -> Result<(), sqlx::Error> {
        self.tx.commit().await
    }

    /// The newest baskets of each anchor, as many as count; of some anchors more, where another one brought them.
    pub async fn baskets(&mut self, anchors: &[Anchor]) -> Result<Vec<Basket>, sqlx::Error> {
        let goods: Vec<Uuid> = anchors.iter().map(|anchor| anchor.good).collect();
        let rows: Vec<(Uuid, OffsetDateTime, Vec<Uuid>)> = sqlx::query_as(BASKETS)
            .bind(self.generation)
            .bind(goods)
            .bind(self.now - HORIZON)
            .bind(wide(BASKETS_MAX))
            .fetch_all(&mut self.tx)
            .await?;
        let basket = |(order_id, at, goods)| Basket { order_id, at, goods };
        Ok(rows.into_iter().map(basket).collect())
    }

    /// Those of these goods that are known.
    pub async fn goods(&mut self, goods: &[Uuid]) -> Result<ById<Good>, sqlx::Error> {
        let rows: Vec<GoodRow> = sqlx::query_as(GOODS)
            .bind(self.generation)
            .bind(goods)
            .fetch_all(&mut self.tx)
            .await?;
        Ok(rows.iter().map(|row| (row.good_id, row.good(self.now))).collect())
    }

    /// The customer's orders, newest first, as many as are looked at.
    pub async fn bought(&mut self, customer: Uuid) -> Result<Vec<Bought>, sqlx::Error> {
        sqlx::query_as(BOUGHT)
            .bind(self.generation)
            .bind(customer)
            .bind(wide(CUSTOMER_BASKETS_MAX))
            .bind(wide(CUSTOMER_LINES_MAX))
            .fetch_all(&mut self.tx)
            .await
    }

    /// Units of these goods that the customer gave back. More than a machine counts are as good as all.
    pub async fn returned(&mut self, customer: Uuid, goods: &[Uuid]) -> Result<ById<i64>, sqlx::Error> {
        let rows: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT good_id, least(units, 9223372036854775807)::bigint FROM recommendations_return
             WHERE generation = $1 AND customer_id = $2 AND good_id = ANY ($3)",
        )
        .bind(self.generation)
        .bind(customer)
        .bind(goods)
        .fetch_all(&mut self.tx)
        .await?;
        Ok(rows.into_iter().collect())
    }

    /// What many buy these days. It looks at every good once.
    pub async fn popular(&mut self, limit: usize) -> Result<Vec<Suggestion>, sqlx::Error> {
        let rows: Vec<(Uuid, f64)> = sqlx::query_as(POPULAR)
            .bind(self.generation)
            .bind(HalfLife::Week.now(self.now))
            .bind(wide(limit))
            .fetch_all(&mut self.tx)
            .await?;
        let suggestion = |(product_id, score)| Suggestion {
            product_id,
            score,
            reason: Reason::Popular,
            because: None,
            together: None,
            times: None,
        };
        Ok(rows.into_iter().map(suggestion).collect())
    }

    /// Whether all of these, which are distinct, are sold.
    pub async fn all_sold(&mut self, goods: &[Uuid]) -> Result<bool, sqlx::Error> {
        let sold: i64 = sqlx::query_scalar(SOLD)
            .bind(self.generation)
            .bind(goods)
            .fetch_one(&mut self.tx)
            .await?;
        Ok(sold == wide(goods.len()))
    }

    /// The subject's stamp.
    pub async fn stamp(&mut self, subject: Subject) -> Result<String, sqlx::Error> {
        let of: Option<String> = match subject {
            Subject::Product(product) => {
                sqlx::query_scalar(STAMP_PRODUCT)
                    .bind(self.generation)
                    .bind(product)
                    .fetch_optional(&mut self.tx)
                    .await?
            }
            Subject::Customer(customer) => {
                sqlx::query_scalar(STAMP_CUSTOMER)
                    .bind(self.generation)
                    .bind(customer)
                    .bind(wide(CUSTOMER_BASKETS_MAX))
                    .fetch_optional(&mut self.tx)
                    .await?
            }
            Subject::Everybody => None,
        };
        Ok(format!("{}/{}", self.generation, of.unwrap_or_default()))
    }
}
