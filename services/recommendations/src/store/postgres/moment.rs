//! What shelves are made from, all of one snapshot. Each statement reads a bounded number of rows, whatever is in the tables.

use async_trait::async_trait;
use emporium_service_kit::{Db, StoreError, Tx};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::decay::{Decayed, HalfLife};
use crate::scoring::{Anchor, Basket, ById, SELLS_MIN};
use crate::store::shelf::{Bought, Good, Moment, Sums, unpacked, week_step, wide};
use crate::store::{CUSTOMER_BASKETS_MAX, CUSTOMER_LINES_MAX, Subject};

/// A snapshot of the live generation.
pub struct Snapshot {
    tx: Tx,
    generation: i16,
    /// What stamps begin with.
    edition: String,
    now: OffsetDateTime,
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
        let sums = Sums {
            baskets: self.baskets,
            season: Decayed {
                eras: [self.season_even_era, self.season_odd_era],
                sums: [self.season_even, self.season_odd],
            },
            week: Decayed {
                eras: [self.week_even_era, self.week_odd_era],
                sums: [self.week_even, self.week_odd],
            },
        };
        Good::of(&sums, self.active, now)
    }
}

/// A generation that is live for the second time is not the one that it was: its stamps have the moment of the switch.
const LIVE: &str = "
    SELECT p.live, concat(p.live, '@', extract(epoch FROM p.live_since)), coalesce((SELECT b.placed_at FROM recommendations_basket AS b
        WHERE b.generation = p.live AND b.placed_at <= $1 ORDER BY b.placed_at DESC LIMIT 1), $1)
    FROM recommendations_projections AS p WHERE p.projection = 'recommendations'";

/// The newest baskets of each good. An array keeps the planner from reading whole tables instead, which it would think cheaper
/// for a join with many goods; and the server goes down the index once for all orders of one of its pages.
const BASKETS: &str = "
    SELECT order_id, placed_at, goods FROM recommendations_basket
    WHERE generation = $1 AND order_id = ANY (ARRAY(
        SELECT DISTINCT p.order_id
        FROM unnest($2::uuid[]) AS anchor (good_id)
        CROSS JOIN LATERAL (
            SELECT order_id FROM recommendations_purchase
            WHERE generation = $1 AND good_id = anchor.good_id
            ORDER BY placed_at DESC, order_id DESC LIMIT $3
        ) AS p
    ))";

/// What a [`GoodRow`] is made of, and where.
macro_rules! select_goods {
    ($which:literal) => {
        concat!(
            "SELECT good_id, active, baskets, season_even_era, season_even, season_odd_era, season_odd,
                    week_even_era, week_even, week_odd_era, week_odd
             FROM recommendations_good WHERE generation = $1 AND ",
            $which
        )
    };
}

const GOODS: &str = select_goods!("good_id = ANY ($2)");

/// Down an index, as far as is asked for and to the end of the last step.
const SELLING: &str =
    select_goods!("active AND week_step >= $2 ORDER BY week_step DESC FETCH FIRST $3 ROWS WITH TIES");

/// Down another one; `baskets_step` is NULL for those that nobody bought.
const MOST_BOUGHT: &str =
    select_goods!("active AND baskets_step >= 0 ORDER BY baskets_step DESC FETCH FIRST $2 ROWS WITH TIES");

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

impl Snapshot {
    /// Takes the snapshot.
    pub async fn begin(db: &Db, clock: OffsetDateTime) -> Result<Self, sqlx::Error> {
        let mut tx = db.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut tx)
            .await?;
        let (generation, edition, now) = sqlx::query_as(LIVE).bind(clock).fetch_one(&mut tx).await?;
        Ok(Self {
            tx,
            generation,
            edition,
            now,
        })
    }

    /// Ends it.
    pub async fn end(self) -> Result<(), sqlx::Error> {
        self.tx.commit().await
    }
}

#[async_trait]
impl Moment for Snapshot {
    fn now(&self) -> OffsetDateTime {
        self.now
    }

    async fn baskets(&mut self, anchors: &[Anchor], newest: usize) -> Result<Vec<Basket>, StoreError> {
        let goods: Vec<Uuid> = anchors.iter().map(|anchor| anchor.good).collect();
        let rows: Vec<(Uuid, OffsetDateTime, Vec<u8>)> = sqlx::query_as(BASKETS)
            .bind(self.generation)
            .bind(goods)
            .bind(wide(newest))
            .fetch_all(&mut self.tx)
            .await?;
        let basket = |(order_id, at, goods): (_, _, Vec<u8>)| Basket {
            order_id,
            at,
            goods: unpacked(&goods),
        };
        Ok(rows.into_iter().map(basket).collect())
    }

    async fn goods(&mut self, goods: &[Uuid]) -> Result<ById<Good>, StoreError> {
        let rows: Vec<GoodRow> = sqlx::query_as(GOODS)
            .bind(self.generation)
            .bind(goods)
            .fetch_all(&mut self.tx)
            .await?;
        Ok(rows.iter().map(|row| (row.good_id, row.good(self.now))).collect())
    }

    async fn bought(&mut self, customer: Uuid) -> Result<Vec<Bought>, StoreError> {
        let rows: Vec<(OffsetDateTime, Vec<u8>, Vec<i64>)> = sqlx::query_as(BOUGHT)
            .bind(self.generation)
            .bind(customer)
            .bind(wide(CUSTOMER_BASKETS_MAX))
            .bind(wide(CUSTOMER_LINES_MAX))
            .fetch_all(&mut self.tx)
            .await?;
        let bought = |(placed_at, goods, units): (_, Vec<u8>, _)| Bought {
            placed_at,
            goods: unpacked(&goods),
            units,
        };
        Ok(rows.into_iter().map(bought).collect())
    }

    async fn returned(&mut self, customer: Uuid, goods: &[Uuid]) -> Result<ById<i64>, StoreError> {
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

    async fn selling(&mut self, count: usize) -> Result<Vec<(Uuid, Good)>, StoreError> {
        let rows: Vec<GoodRow> = sqlx::query_as(SELLING)
            .bind(self.generation)
            .bind(week_step(SELLS_MIN, HalfLife::Week.now(self.now)) - 1)
            .bind(wide(count))
            .fetch_all(&mut self.tx)
            .await?;
        Ok(rows.iter().map(|row| (row.good_id, row.good(self.now))).collect())
    }

    async fn most_bought(&mut self, count: usize) -> Result<Vec<(Uuid, Good)>, StoreError> {
        let rows: Vec<GoodRow> = sqlx::query_as(MOST_BOUGHT)
            .bind(self.generation)
            .bind(wide(count))
            .fetch_all(&mut self.tx)
            .await?;
        Ok(rows.iter().map(|row| (row.good_id, row.good(self.now))).collect())
    }

    async fn all_sold(&mut self, goods: &[Uuid]) -> Result<bool, StoreError> {
        let sold: i64 = sqlx::query_scalar(SOLD)
            .bind(self.generation)
            .bind(goods)
            .fetch_one(&mut self.tx)
            .await?;
        Ok(sold == wide(goods.len()))
    }

    async fn stamp(&mut self, subject: Subject) -> Result<String, StoreError> {
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
        Ok(format!("{}/{}", self.edition, of.unwrap_or_default()))
    }
}
