//! The formulas, and counting pairs of goods by them. Nothing here asks a store.
//!
//! `d60(b)` and `d7(b)` are the weights of a basket, which halve every 60 and every 7 days; `|b|` is its number of distinct
//! goods:
//!
//! ```text
//! c_ij = Σ d60(b) / |b|   over baskets with i and j, i ≠ j      w_j = Σ d7(b)   over baskets with j
//! n_i  = Σ d60(b)         over baskets with i                   N_j = number of baskets with j
//! f_j  = (n_j + 10)^-0.7 · ((w_j + 0.1) / (N_j + 10))^0.3
//!
//! also bought:  c_ij · f_j        together, for you:  S_j = f_j · Σ_i q_i · (n_i + 10)^-0.3 · c_ij,   q_i = 1/√rank of i
//! buy again:    R_j = (number of the customer's baskets with j) · (w_j + 1)^0.3
//! all goods:    R_j / max R + 0.3 · S_j / max S
//! ```
//!
//! Why so: a basket of 200 goods says little about any pair of them (`1/|b|`). Assortment and season turn over (60 days). The
//! candidate's popularity is damped more than the anchor's, so that best-sellers do not fill every list (0.7 and 0.3). A good
//! with few baskets must not win by chance (`+ 10`). The last factor of `f_j` is a trend: what share of a good's baskets is
//! of these days; its own total is below it, so best-sellers gain nothing. Recent purchases say more (`q`). How these were
//! chosen and measured is in the service's documentation.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::decay::{Decayed, HalfLife};

/// Only so many of the newest baskets of a good tell what it is bought with.
pub const BASKETS_MAX: usize = 500;
/// Baskets older than this tell nothing.
pub const HORIZON: Duration = Duration::days(365);
/// A basket of more goods than this tells nothing of pairs. It counts in every other way.
pub const BASKET_GOODS_MAX: usize = 200;
/// So many of a customer's latest goods are the anchors of "for you".
pub const ANCHORS_MAX: usize = 50;
/// The share of `S` in the order of all goods.
const NEW_SHARE: f64 = 0.3;

/// How often a good is bought, as of now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Demand {
    /// `N`: baskets that have it.
    pub baskets: i64,
    /// `n`: baskets, those of 60 days ago by half.
    pub season: f64,
    /// `w`: baskets, those of 7 days ago by half.
    pub week: f64,
}

impl Demand {
    /// From sums that are kept.
    pub fn of(baskets: i64, season: &Decayed, week: &Decayed, now: OffsetDateTime) -> Self {
        Self {
            baskets,
            season: season.value(HalfLife::Season.now(now)),
            week: week.value(HalfLife::Week.now(now)),
        }
    }

    /// `f`: what a candidate's score is multiplied with.
    #[allow(clippy::cast_precision_loss)] // numbers of baskets
    pub fn candidate(&self) -> f64 {
        let trend = (self.week + 0.1) / (self.baskets as f64 + 10.0);
        (self.season + 10.0).powf(-0.7) * trend.powf(0.3)
    }

    /// What an anchor's baskets are multiplied with.
    pub fn anchor(&self) -> f64 {
        (self.season + 10.0).powf(-0.3)
    }

    /// `R` of a good that the customer bought so many times.
    #[allow(clippy::cast_precision_loss)] // numbers of baskets
    pub fn again(&self, times: usize) -> f64 {
        times as f64 * (self.week + 1.0).powf(0.3)
    }
}

/// `q` of a good whose latest basket is the customer's `rank`-th, counted back from 1.
#[allow(clippy::cast_precision_loss)] // at most a thousand
pub fn recency(rank: usize) -> f64 {
    1.0 / (rank as f64).sqrt()
}

/// The order of all goods, of `R` and `S` and their largest values; a largest value of 0 makes its part 0.
pub fn all_goods(again: f64, again_max: f64, new: f64, new_max: f64) -> f64 {
    let share = |value: f64, max: f64| if max > 0.0 { value / max } else { 0.0 };
    share(again, again_max) + NEW_SHARE * share(new, new_max)
}

/// A basket, as far as pairs are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basket {
    /// The order.
    pub order_id: Uuid,
    /// When it was placed.
    pub at: OffsetDateTime,
    /// Distinct goods.
    pub goods: Vec<Uuid>,
}

/// A good from which others are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anchor {
    /// The good.
    pub good: Uuid,
    /// What its baskets are multiplied with.
    pub weight: f64,
}

/// What is bought with anchors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Companion {
    /// The good.
    pub good: Uuid,
    /// `Σ_i weight_i · c_ij`, without `f_j`.
    pub score: f64,
    /// In how many of the baskets it is with an anchor other than itself.
    pub together: u32,
}

/// Ids are hashed by their own bits: a UUID is random enough, and most of the time of a shelf would be SipHash otherwise. Ids
/// of products are made by the catalog, so nobody can choose them to collide.
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    #[allow(clippy::cast_possible_truncation)] // the lower half is wanted
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            // Both halves of the product, so that every bit of the id reaches the lowest ones, which pick the place.
            let product = u128::from(self.0 ^ u64::from_be_bytes(word)) * 0x9E37_79B9_7F4A_7C15;
            self.0 = (product ^ (product >> 64)) as u64;
        }
    }
}

/// A map by id.
pub type ById<V> = HashMap<Uuid, V, BuildHasherDefault<IdHasher>>;

/// Baskets of anchors, within the bounds, each with what its anchors weigh. They are gone through from the newest to the
/// oldest, by id at the same moment, so the same baskets give the same bits, wherever they come from.
pub struct Baskets<'a> {
    now: OffsetDateTime,
    anchors: ById<(usize, f64)>,
    newest_first: Vec<&'a Basket>,
}

impl<'a> Baskets<'a> {
    /// Of all baskets of the anchors that a store has, or of as many as [`BASKETS_MAX`] newest of each within [`HORIZON`].
    pub fn new(now: OffsetDateTime, anchors: &[Anchor], baskets: &'a [Basket]) -> Self {
        let mut baskets: Vec<&Basket> = baskets
            .iter()
            .filter(|basket| basket.at >= now - HORIZON && basket.goods.len() <= BASKET_GOODS_MAX)
            .collect();
        baskets.sort_unstable_by_key(|basket| std::cmp::Reverse((basket.at, basket.order_id)));
        let anchors = anchors
            .iter()
            .enumerate()
            .map(|(place, anchor)| (anchor.good, (place, anchor.weight)))
            .collect();
        Self {
            now,
            anchors,
            newest_first: baskets,
        }
    }

    /// Calls `each` for each basket with its weight (`d60/|b|`) and its anchors: place and weight of each one for which the
    /// basket is among the newest.
    #[allow(clippy::cast_precision_loss)] // at most 200
    fn visit(&self, mut each: impl FnMut(&'a Basket, f64, &[(usize, f64)])) {
        let mut left = vec![BASKETS_MAX; self.anchors.len()];
        let mut met = Vec::new();
        for basket in &self.newest_first {
            met.clear();
            for good in &basket.goods {
                if let Some(&(place, weight)) = self.anchors.get(good)
                    && left[place] > 0
                {
                    left[place] -= 1;
                    met.push((place, weight));
                }
            }
            if !met.is_empty() {
                let age_days = (self.now - basket.at).as_seconds_f64() / 86_400.0;
                let weight = HalfLife::Season.weight(age_days) / basket.goods.len() as f64;
                each(basket, weight, &met);
            }
        }
    }

    /// All goods that are in a basket with an anchor, in no particular order.
    pub fn companions(&self) -> Vec<Companion> {
        let (mut places, mut found): (ById<usize>, Vec<Companion>) = Default::default();
        self.visit(|basket, weight, met| {
            let all: f64 = met.iter().map(|(_, weight)| weight).sum();
            for &good in &basket.goods {
                let own = self.own(good, met);
                if own.is_some() && met.len() == 1 {
                    continue;
                }
                let place = *places.entry(good).or_insert_with(|| {
                    found.push(Companion {
                        good,
                        score: 0.0,
                        together: 0,
                    });
                    found.len() - 1
                });
                found[place].score += weight * (all - own.unwrap_or(0.0));
                found[place].together += 1;
            }
        });
        found
    }

    /// Of each of these goods the anchor that adds most to its score; the first of equals. `None`: it has none.
    pub fn reasons(&self, goods: &[Uuid]) -> Vec<Option<Uuid>> {
        let wanted: ById<usize> = goods.iter().enumerate().map(|(n, good)| (*good, n)).collect();
        let mut parts = vec![0.0; goods.len() * self.anchors.len()];
        self.visit(|basket, weight, met| {
            for good in &basket.goods {
                let Some(row) = wanted.get(good) else { continue };
                for (place, anchor) in met {
                    parts[row * self.anchors.len() + place] += weight * anchor;
                }
            }
        });
        let mut anchors = vec![Uuid::nil(); self.anchors.len()];
        for (good, (place, _)) in &self.anchors {
            anchors[*place] = *good;
        }
        let reason = |(n, good): (usize, &Uuid)| {
            let row = &parts[n * anchors.len()..(n + 1) * anchors.len()];
            let others = row.iter().zip(&anchors).filter(|(_, anchor)| *anchor != good);
            let best = others.fold((0.0, None), |best, (part, anchor)| {
                if *part > best.0 {
                    (*part, Some(*anchor))
                } else {
                    best
                }
            });
            best.1
        };
        goods.iter().enumerate().map(reason).collect()
    }

    /// What the good itself weighs as an anchor of this basket.
    fn own(&self, good: Uuid, met: &[(usize, f64)]) -> Option<f64> {
        let (place, _) = self.anchors.get(&good)?;
        met.iter()
            .find(|(met, _)| met == place)
            .map(|(_, weight)| *weight)
    }
}

#[cfg(test)]
mod tests;
