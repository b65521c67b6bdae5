//! What many buy: first what sells these days, then what was bought most, however long ago.
//!
//! Both are found down an index of coarse steps, which orders hardly ever change, and put into their exact order here.

use std::collections::HashSet;

use emporium_service_kit::StoreError;
use uuid::Uuid;

use super::goods::{Ranked, best};
use super::{Good, Moment};
use crate::model::{Reason, Suggestion};

pub(super) async fn popular(moment: &mut dyn Moment, limit: usize) -> Result<Vec<Suggestion>, StoreError> {
    let selling = selling(moment, limit).await?;
    let selling = selling
        .into_iter()
        .filter(|(_, good)| good.demand.popularity() > 0.0);
    let mut items = best(selling.map(ranked).collect(), limit);
    if items.len() < limit {
        let met: HashSet<Uuid> = items.iter().map(|item| item.product_id).collect();
        // As many as are missing, and room for all that are there already.
        let most_bought = moment.most_bought(limit).await?;
        let others = most_bought.into_iter().filter(|(id, _)| !met.contains(id));
        items.extend(best(others.map(ranked).collect(), limit - items.len()));
    }
    Ok(items)
}

/// Goods among which the `limit` are that sell best, all of them if fewer sell at all.
///
/// The index is of sums as they are. Of orders that are of a time to come only so much counts as if their era began now, so
/// such a good may stand before others that sell better: it is looked on until there are enough without them.
async fn selling(moment: &mut dyn Moment, limit: usize) -> Result<Vec<(Uuid, Good)>, StoreError> {
    let mut count = limit;
    loop {
        let goods = moment.selling(count).await?;
        let ahead = goods.iter().filter(|(_, good)| good.ahead).count();
        if goods.len() < count || goods.len() - ahead >= limit {
            return Ok(goods);
        }
        count = 2 * (limit + ahead);
    }
}

fn ranked((product_id, good): (Uuid, Good)) -> Ranked {
    Ranked {
        suggestion: Suggestion {
            product_id,
            score: good.demand.popularity(),
            reason: Reason::Popular,
            because: None,
            together: None,
            times: None,
        },
        baskets: good.demand.baskets,
    }
}
