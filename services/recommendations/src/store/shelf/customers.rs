//! Shelves of customers.

use std::collections::HashSet;

use emporium_service_kit::StoreError;
use time::OffsetDateTime;
use uuid::Uuid;

use super::goods::{Ranked, best, explain, ranked};
use super::popular::popular;
use super::{Bought, Good, Moment};
use crate::model::{Reason, Scope, Suggestion};
use crate::scoring::{ANCHORS_MAX, Anchor, BASKETS_MAX, Baskets, ById, all_goods, recency};
use crate::store::JUST_BOUGHT;

/// A good that the customer bought before.
#[derive(Debug, Clone, Copy)]
struct Past {
    /// The place of its latest order, counted back from 1.
    rank: usize,
    /// When that was.
    latest: OffsetDateTime,
    /// In how many orders.
    times: usize,
    /// How many units.
    units: i64,
}

fn past(orders: &[Bought]) -> ById<Past> {
    let mut past: ById<Past> = ById::default();
    for (rank, order) in (1..).zip(orders) {
        for (good, units) in order.goods.iter().zip(&order.units) {
            let known = past.entry(*good).or_insert(Past {
                rank,
                latest: order.placed_at,
                times: 0,
                units: 0,
            });
            known.times += 1;
            known.units = known.units.saturating_add(*units);
        }
    }
    past
}

/// The latest goods; of one order those with the most baskets come first.
fn anchors(past: &ById<Past>, goods: &ById<Good>) -> Vec<Anchor> {
    let mut latest: Vec<(usize, i64, Uuid, f64)> = past
        .iter()
        .filter_map(|(id, past)| {
            let demand = &goods.get(id)?.demand;
            let weight = recency(past.rank) * demand.anchor();
            Some((past.rank, -demand.baskets, *id, weight))
        })
        .collect();
    latest.sort_unstable_by_key(|(rank, fewer, id, _)| (*rank, *fewer, *id));
    latest.truncate(ANCHORS_MAX);
    let anchor = |(_, _, good, weight)| Anchor { good, weight };
    latest.into_iter().map(anchor).collect()
}

pub(super) async fn for_you(
    moment: &mut dyn Moment,
    customer: Uuid,
    scope: Scope,
    limit: usize,
) -> Result<Vec<Suggestion>, StoreError> {
    let past = past(&moment.bought(customer).await?);
    if past.is_empty() {
        return popular(moment, limit).await;
    }
    let ids: Vec<Uuid> = past.keys().copied().collect();
    let mut goods = moment.goods(&ids).await?;
    let anchors = anchors(&past, &goods);
    let found = moment.baskets(&anchors, BASKETS_MAX).await?;
    let baskets = Baskets::new(moment.now(), &anchors, BASKETS_MAX, &found);
    let companions = baskets.companions();
    let unknown: Vec<Uuid> = companions
        .iter()
        .map(|companion| companion.good)
        .filter(|id| !past.contains_key(id))
        .collect();
    goods.extend(moment.goods(&unknown).await?);
    let mut ranked: Vec<Ranked> = companions
        .iter()
        .filter(|companion| scope == Scope::All || !past.contains_key(&companion.good))
        .filter_map(|companion| Some(ranked(companion, goods.get(&companion.good)?)))
        .collect();
    if scope == Scope::All {
        ranked = with_own(ranked, &past, &goods);
    }
    ranked.retain(|ranked| {
        goods
            .get(&ranked.suggestion.product_id)
            .is_some_and(|good| good.sold)
    });
    let mut items = best(ranked, limit);
    explain(&mut items, &baskets);
    fill(moment, items, &past, scope, limit).await
}

/// Own goods beside those of others. The largest values are of all goods, sold or not, as the formula says.
fn with_own(mut ranked: Vec<Ranked>, past: &ById<Past>, goods: &ById<Good>) -> Vec<Ranked> {
    let again = |id: &Uuid| {
        let demand = goods.get(id).map(|good| good.demand).unwrap_or_default();
        past.get(id).map_or(0.0, |past| demand.again(past.times))
    };
    let again_max = past.keys().map(again).fold(0.0, f64::max);
    let scores = ranked.iter().map(|ranked| ranked.suggestion.score);
    let new_max = scores.fold(0.0, f64::max);
    let met: HashSet<Uuid> = ranked.iter().map(|ranked| ranked.suggestion.product_id).collect();
    ranked.extend(
        past.keys()
            .filter(|id| !met.contains(id))
            .map(|id| own(*id, 0.0, goods)),
    );
    for ranked in &mut ranked {
        let item = &mut ranked.suggestion;
        item.score = all_goods(again(&item.product_id), again_max, item.score, new_max);
        if let Some(past) = past.get(&item.product_id) {
            (item.reason, item.together) = (Reason::BoughtBefore, None);
            item.times = u32::try_from(past.times).ok();
        }
    }
    ranked
}

fn own(id: Uuid, score: f64, goods: &ById<Good>) -> Ranked {
    Ranked {
        suggestion: Suggestion {
            product_id: id,
            score,
            reason: Reason::BoughtBefore,
            because: None,
            together: None,
            times: None,
        },
        baskets: goods.get(&id).map_or(0, |good| good.demand.baskets),
    }
}

/// What is popular follows, where the customer's goods lead to too little.
async fn fill(
    moment: &mut dyn Moment,
    mut items: Vec<Suggestion>,
    past: &ById<Past>,
    scope: Scope,
    limit: usize,
) -> Result<Vec<Suggestion>, StoreError> {
    if items.len() >= limit {
        return Ok(items);
    }
    let mut shown: HashSet<Uuid> = items.iter().map(|item| item.product_id).collect();
    if scope == Scope::New {
        shown.extend(past.keys());
    }
    let filling = popular(moment, limit + shown.len()).await?;
    items.extend(
        filling
            .into_iter()
            .filter(|item| !shown.contains(&item.product_id)),
    );
    items.truncate(limit);
    Ok(items)
}

pub(super) async fn buy_again(
    moment: &mut dyn Moment,
    customer: Uuid,
    limit: usize,
) -> Result<Vec<Suggestion>, StoreError> {
    let past = past(&moment.bought(customer).await?);
    let ids: Vec<Uuid> = past.keys().copied().collect();
    let goods = moment.goods(&ids).await?;
    let returned = moment.returned(customer, &ids).await?;
    let just = moment.now() - JUST_BOUGHT;
    let ranked = past.iter().filter_map(|(id, past)| {
        let good = goods.get(id).filter(|good| good.sold)?;
        if past.latest > just || returned.get(id).is_some_and(|units| *units >= past.units) {
            return None;
        }
        let mut ranked = own(*id, good.demand.again(past.times), &goods);
        ranked.suggestion.times = u32::try_from(past.times).ok();
        Some(ranked)
    });
    Ok(best(ranked.collect(), limit))
}
