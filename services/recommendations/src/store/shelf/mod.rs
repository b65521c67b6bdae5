//! The shelves, made of what a store finds: every adapter whose store gives these pieces has the same lists, to the last bit of
//! each score.

use async_trait::async_trait;
use emporium_service_kit::StoreError;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Made, Subject};
use crate::decay::{Decayed, HalfLife, QUANTA};
use crate::model::{Scope, Suggestion};
use crate::scoring::{Anchor, Basket, ById, Demand};

mod customers;
mod goods;
mod popular;

/// One moment of the live generation: all that is asked of it is of the same state of the store. Each question reads a bounded
/// piece, whatever the store holds.
#[async_trait]
pub(super) trait Moment: Send {
    /// The time of the newest order that is not in the future; the clock's, when there is none.
    fn now(&self) -> OffsetDateTime;

    /// The `newest` baskets of each anchor, of those with at most [`BASKET_GOODS_MAX`](crate::scoring::BASKET_GOODS_MAX) goods;
    /// of some anchors more, where another one brought them. Their goods are sorted by id, and the order of baskets does not
    /// matter.
    async fn baskets(&mut self, anchors: &[Anchor], newest: usize) -> Result<Vec<Basket>, StoreError>;

    /// Those of these goods that are known.
    async fn goods(&mut self, goods: &[Uuid]) -> Result<ById<Good>, StoreError>;

    /// The customer's orders, newest first, as many as are looked at
    /// ([`CUSTOMER_BASKETS_MAX`](super::CUSTOMER_BASKETS_MAX), [`CUSTOMER_LINES_MAX`](super::CUSTOMER_LINES_MAX)).
    async fn bought(&mut self, customer: Uuid) -> Result<Vec<Bought>, StoreError>;

    /// Units of these goods that the customer gave back. More than a machine counts are as good as all.
    async fn returned(&mut self, customer: Uuid, goods: &[Uuid]) -> Result<ById<i64>, StoreError>;

    /// At least `count` sold goods of which most is bought these days, if so many sell at all, and maybe some that do not: all
    /// from some `week_step` on, in no particular order.
    async fn selling(&mut self, count: usize) -> Result<Vec<(Uuid, Good)>, StoreError>;

    /// At least `count` sold goods that are in most baskets, if so many are in any: all from some `baskets_step` on, in no
    /// particular order.
    async fn most_bought(&mut self, count: usize) -> Result<Vec<(Uuid, Good)>, StoreError>;

    /// Whether all of these, which are distinct, are sold.
    async fn all_sold(&mut self, goods: &[Uuid]) -> Result<bool, StoreError>;

    /// The subject's stamp.
    async fn stamp(&mut self, subject: Subject) -> Result<String, StoreError>;
}

/// A good: how often it is bought, and whether it may be suggested.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Good {
    /// How often.
    pub demand: Demand,
    /// The catalog has told of it and not archived it.
    pub sold: bool,
    /// It has orders of a time to come, which count less than the index says.
    pub ahead: bool,
}

impl Good {
    /// From what is kept of it.
    pub fn of(kept: &Sums, sold: bool, now: OffsetDateTime) -> Self {
        Self {
            demand: Demand::of(kept.baskets, &kept.season, &kept.week, now),
            sold,
            ahead: kept.week.is_ahead(HalfLife::Week.now(now)),
        }
    }
}

/// What is kept of how often a good is bought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Baskets that have it.
    pub baskets: i64,
    /// The same, halved every 60 days.
    pub season: Decayed,
    /// The same, halved every 7 days.
    pub week: Decayed,
}

/// A customer's order.
#[derive(Debug)]
pub(super) struct Bought {
    /// When it was placed.
    pub placed_at: OffsetDateTime,
    /// Distinct goods.
    pub goods: Vec<Uuid>,
    /// Units of each.
    pub units: Vec<i64>,
}

/// What a shelf is asked for.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// [`RecommendationStore::also_bought`](super::RecommendationStore::also_bought).
    AlsoBought(Uuid),
    /// [`RecommendationStore::bought_together`](super::RecommendationStore::bought_together).
    BoughtTogether(Vec<Uuid>),
    /// [`RecommendationStore::for_you`](super::RecommendationStore::for_you).
    ForYou(Uuid, Scope),
    /// [`RecommendationStore::buy_again`](super::RecommendationStore::buy_again).
    BuyAgain(Uuid),
    /// [`RecommendationStore::popular`](super::RecommendationStore::popular).
    Popular,
}

impl Wanted {
    /// Whose purchases it is made from.
    fn subject(&self) -> Subject {
        match self {
            Self::AlsoBought(product) => Subject::Product(*product),
            Self::ForYou(customer, _) | Self::BuyAgain(customer) => Subject::Customer(*customer),
            Self::BoughtTogether(_) | Self::Popular => Subject::Everybody,
        }
    }

    /// Makes it, with its stamp at the same moment.
    pub async fn make(&self, moment: &mut dyn Moment, limit: usize) -> Result<Made, StoreError> {
        let items: Vec<Suggestion> = match self {
            Self::AlsoBought(product) => goods::also_bought(moment, *product, limit).await?,
            Self::BoughtTogether(products) => goods::bought_together(moment, products, limit).await?,
            Self::ForYou(customer, scope) => customers::for_you(moment, *customer, *scope, limit).await?,
            Self::BuyAgain(customer) => customers::buy_again(moment, *customer, limit).await?,
            Self::Popular => popular::popular(moment, limit).await?,
        };
        let stamp = moment.stamp(self.subject()).await?;
        Ok(Made { items, stamp })
    }
}

/// The stamp at this moment; `None` when one of `shown` is not sold any more.
pub(super) async fn stamp(
    moment: &mut dyn Moment,
    subject: Subject,
    shown: &[Uuid],
) -> Result<Option<String>, StoreError> {
    if moment.all_sold(shown).await? {
        moment.stamp(subject).await.map(Some)
    } else {
        Ok(None)
    }
}

/// Goods as stores have them: 16 bytes each.
pub(super) fn unpacked(goods: &[u8]) -> Vec<Uuid> {
    let (goods, _) = goods.as_chunks();
    goods.iter().copied().map(Uuid::from_bytes).collect()
}

/// The step of a good with so many baskets these days, of which some may not sell any more at `now`; see
/// [`Moment::selling`] and the table of goods in `migrations/`.
#[allow(clippy::cast_possible_truncation)] // some hundred thousand at most; and it saturates
pub(super) fn week_step(week: f64, now: f64) -> i32 {
    (16.0 * ((week * QUANTA).log2() + now)).floor() as i32
}

/// A number for a store's statement.
pub(super) fn wide(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
