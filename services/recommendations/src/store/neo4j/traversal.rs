//! What shelves are made from, in a transaction.

use async_trait::async_trait;
use emporium_service_kit::StoreError;
use neo4rs::BoltType;
use time::OffsetDateTime;
use uuid::Uuid;

use super::client::{Statement, Tx};
use super::rows::{
    AtRow, BasketRow, BoughtRow, CountRow, CustomerStampRow, GoodRow, ProductStampRow, ReturnRow, SizeRow,
    StepRow, at, id, ids, moment,
};
use super::statements as cypher;
use crate::decay::HalfLife;
use crate::scoring::{Anchor, Basket, ById, SELLS_MIN};
use crate::store::shelf::{Bought, Good, Moment, week_step, wide};
use crate::store::{CUSTOMER_BASKETS_MAX, CUSTOMER_LINES_MAX, Subject};

/// A build of the graph, as one transaction sees it. That all of it is of one moment is [`super::moments`]'s work.
pub(super) struct Traversal<'a> {
    tx: &'a mut Tx,
    build: i64,
    now: OffsetDateTime,
}

impl<'a> Traversal<'a> {
    /// Begins one; the clock tells what is in the future.
    pub async fn begin(tx: &'a mut Tx, build: i64, clock: OffsetDateTime) -> Result<Self, StoreError> {
        let parameters = [("build", build.into()), ("clock", at(clock).into())];
        let newest: Option<AtRow> = tx.row(&cypher::NOW, parameters).await?;
        let now = newest.map_or(clock, |row| moment(row.at));
        Ok(Self { tx, build, now })
    }

    fn build(&self) -> (&'static str, BoltType) {
        ("build", self.build.into())
    }

    /// How many of the customer's newest baskets are looked at: the one that reaches the number of goods is the last.
    async fn looked_at(&mut self, customer: Uuid) -> Result<i64, StoreError> {
        let max = ("max", wide(CUSTOMER_BASKETS_MAX).into());
        let parameters = [self.build(), ("customer", id(customer)), max];
        let sizes: Vec<SizeRow> = self.tx.rows(&cypher::BOUGHT_SIZES, parameters).await?;
        let mut newer = 0;
        let counts = |row: &&SizeRow| {
            let counts = newer < wide(CUSTOMER_LINES_MAX);
            newer += row.size;
            counts
        };
        Ok(wide(sizes.iter().take_while(counts).count()))
    }
}

#[async_trait]
impl Moment for Traversal<'_> {
    fn now(&self) -> OffsetDateTime {
        self.now
    }

    async fn baskets(&mut self, anchors: &[Anchor], newest: usize) -> Result<Vec<Basket>, StoreError> {
        let goods = ids(anchors.iter().map(|anchor| anchor.good));
        let parameters = [self.build(), ("goods", goods), ("newest", wide(newest).into())];
        let rows: Vec<BasketRow> = self.tx.rows(&cypher::BASKETS, parameters).await?;
        let basket = |row: BasketRow| Basket {
            order_id: row.id.0,
            at: moment(row.at),
            goods: row.goods.goods(),
        };
        Ok(rows.into_iter().map(basket).collect())
    }

    async fn goods(&mut self, goods: &[Uuid]) -> Result<ById<Good>, StoreError> {
        let parameters = [self.build(), ("ids", ids(goods.iter().copied()))];
        let rows: Vec<GoodRow> = self.tx.rows(&cypher::GOODS, parameters).await?;
        Ok(rows.iter().map(|row| row.good(self.now)).collect())
    }

    async fn bought(&mut self, customer: Uuid) -> Result<Vec<Bought>, StoreError> {
        let max = self.looked_at(customer).await?;
        let parameters = [self.build(), ("customer", id(customer)), ("max", max.into())];
        let rows: Vec<BoughtRow> = self.tx.rows(&cypher::BOUGHT, parameters).await?;
        let bought = |row: BoughtRow| Bought {
            placed_at: moment(row.at),
            goods: row.goods.goods(),
            units: row.units,
        };
        Ok(rows.into_iter().map(bought).collect())
    }

    async fn returned(&mut self, customer: Uuid, goods: &[Uuid]) -> Result<ById<i64>, StoreError> {
        let goods = ids(goods.iter().copied());
        let parameters = [self.build(), ("customer", id(customer)), ("goods", goods)];
        let rows: Vec<ReturnRow> = self.tx.rows(&cypher::RETURNED, parameters).await?;
        // What cannot be read is more than a machine counts.
        let units = |row: ReturnRow| (row.good.0, row.units.parse().unwrap_or(i64::MAX));
        Ok(rows.into_iter().map(units).collect())
    }

    async fn selling(&mut self, count: usize) -> Result<Vec<(Uuid, Good)>, StoreError> {
        let floor = i64::from(week_step(SELLS_MIN, HalfLife::Week.now(self.now))) - 1;
        self.down_to_step(&cypher::WEEK_STEP, &cypher::SELLING, count, floor)
            .await
    }

    async fn most_bought(&mut self, count: usize) -> Result<Vec<(Uuid, Good)>, StoreError> {
        self.down_to_step(&cypher::BASKETS_STEP, &cypher::MOST_BOUGHT, count, 0)
            .await
    }

    async fn all_sold(&mut self, goods: &[Uuid]) -> Result<bool, StoreError> {
        if goods.is_empty() {
            return Ok(true);
        }
        let parameters = [self.build(), ("ids", ids(goods.iter().copied()))];
        let sold: Option<CountRow> = self.tx.row(&cypher::SOLD, parameters).await?;
        Ok(sold.is_some_and(|sold| sold.count == goods.len() as u64))
    }

    async fn stamp(&mut self, subject: Subject) -> Result<String, StoreError> {
        let of = match subject {
            Subject::Product(product) => {
                let parameters = [self.build(), ("id", id(product))];
                let row: Option<ProductStampRow> = self.tx.row(&cypher::STAMP_PRODUCT, parameters).await?;
                row.map(|row| row.baskets.to_string())
            }
            Subject::Customer(customer) => {
                let max = ("max", wide(CUSTOMER_BASKETS_MAX).into());
                let parameters = [self.build(), ("customer", id(customer)), max];
                let row: Option<CustomerStampRow> = self.tx.row(&cypher::STAMP_CUSTOMER, parameters).await?;
                row.map(|row| {
                    let newest = row.newest.map(|newest| newest.0.to_string());
                    format!("{}/{}", row.orders, newest.unwrap_or_default())
                })
            }
            Subject::Everybody => None,
        };
        // A build's number never comes again.
        Ok(format!("{}/{}", self.build, of.unwrap_or_default()))
    }
}

impl Traversal<'_> {
    /// All goods from the step of the `count`-th on, or from the floor when there are fewer.
    async fn down_to_step(
        &mut self,
        nth: &Statement,
        all: &Statement,
        count: usize,
        floor: i64,
    ) -> Result<Vec<(Uuid, Good)>, StoreError> {
        let skip = wide(count.saturating_sub(1));
        let parameters = [self.build(), ("least", floor.into()), ("skip", skip.into())];
        let step: Option<StepRow> = self.tx.row(nth, parameters).await?;
        let least = step.map_or(floor, |row| row.step);
        let parameters = [self.build(), ("least", least.into())];
        let rows: Vec<GoodRow> = self.tx.rows(all, parameters).await?;
        Ok(rows.iter().map(|row| row.good(self.now)).collect())
    }
}
