//! Shelves of products.

use std::collections::HashSet;

use emporium_service_kit::StoreError;
use uuid::Uuid;

use super::{Good, Moment};
use crate::model::{Reason, Suggestion};
use crate::scoring::{ALSO_BOUGHT_BASKETS_MAX, ANCHORS_MAX, Anchor, BASKETS_MAX, Baskets, ById, Companion};
use crate::store::TOGETHER_MIN;

/// A suggestion and what decides between equal scores.
pub(super) struct Ranked {
    pub suggestion: Suggestion,
    pub baskets: i64,
}

/// The best ones, best first.
pub(super) fn best(mut ranked: Vec<Ranked>, limit: usize) -> Vec<Suggestion> {
    ranked.sort_unstable_by(|a, b| {
        let by_score = b.suggestion.score.total_cmp(&a.suggestion.score);
        by_score
            .then(b.baskets.cmp(&a.baskets))
            .then(a.suggestion.product_id.cmp(&b.suggestion.product_id))
    });
    ranked.truncate(limit);
    ranked.into_iter().map(|ranked| ranked.suggestion).collect()
}

/// A companion as a suggestion, with `f` in its score; its reason is found later, for the few that are shown.
pub(super) fn ranked(companion: &Companion, good: &Good) -> Ranked {
    Ranked {
        suggestion: Suggestion {
            product_id: companion.good,
            score: companion.score * good.demand.candidate(),
            reason: Reason::BoughtTogether,
            because: None,
            together: Some(companion.together),
            times: None,
        },
        baskets: good.demand.baskets,
    }
}

/// Says of each of these why it is there.
pub(super) fn explain(items: &mut [Suggestion], baskets: &Baskets) {
    let goods: Vec<Uuid> = items.iter().map(|item| item.product_id).collect();
    for (item, because) in items.iter_mut().zip(baskets.reasons(&goods)) {
        if item.reason == Reason::BoughtTogether {
            item.because = because;
        }
    }
}

/// The companions that are sold, ranked.
pub(super) fn sold(companions: &[Companion], goods: &ById<Good>) -> Vec<Ranked> {
    let sold = |companion: &Companion| {
        let good = goods.get(&companion.good).filter(|good| good.sold)?;
        Some(ranked(companion, good))
    };
    companions.iter().filter_map(sold).collect()
}

async fn with_anchors(
    moment: &mut dyn Moment,
    (anchors, newest): (&[Anchor], usize),
    together_min: u32,
    limit: usize,
) -> Result<Vec<Suggestion>, StoreError> {
    let found = moment.baskets(anchors, newest).await?;
    let baskets = Baskets::new(moment.now(), anchors, newest, &found);
    let own: HashSet<Uuid> = anchors.iter().map(|anchor| anchor.good).collect();
    let mut companions = baskets.companions();
    companions.retain(|companion| companion.together >= together_min && !own.contains(&companion.good));
    let ids: Vec<Uuid> = companions.iter().map(|companion| companion.good).collect();
    let goods = moment.goods(&ids).await?;
    let mut items = best(sold(&companions, &goods), limit);
    explain(&mut items, &baskets);
    Ok(items)
}

pub(super) async fn also_bought(
    moment: &mut dyn Moment,
    product: Uuid,
    limit: usize,
) -> Result<Vec<Suggestion>, StoreError> {
    let anchor = Anchor {
        good: product,
        weight: 1.0,
    };
    with_anchors(moment, (&[anchor], ALSO_BOUGHT_BASKETS_MAX), 1, limit).await
}

pub(super) async fn bought_together(
    moment: &mut dyn Moment,
    products: &[Uuid],
    limit: usize,
) -> Result<Vec<Suggestion>, StoreError> {
    let mut seen = HashSet::new();
    let mut products: Vec<Uuid> = products.iter().copied().filter(|id| seen.insert(*id)).collect();
    let all = products.clone();
    products.truncate(ANCHORS_MAX);
    let goods = moment.goods(&products).await?;
    let anchors: Vec<Anchor> = products
        .iter()
        .filter_map(|product| {
            let weight = goods.get(product)?.demand.anchor();
            Some(Anchor {
                good: *product,
                weight,
            })
        })
        .collect();
    // The rest of a long cart finds nothing, and is not suggested either.
    let more = all.len() - products.len();
    let mut items = with_anchors(moment, (&anchors, BASKETS_MAX), TOGETHER_MIN, limit + more).await?;
    items.retain(|item| !all.contains(&item.product_id));
    items.truncate(limit);
    Ok(items)
}
