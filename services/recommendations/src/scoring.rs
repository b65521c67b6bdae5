//! The formulas, and counting pairs of goods by them. Nothing here asks a store.
//!
//! `d60(b)` and `d7(b)` are the weights of a basket, which halve every 60 and every 7 days, and `p(b) = max(d60(b), 0.01)`;
//! `|b|` is its number of distinct goods:
//!
//! ```text
//! c_ij = Σ p(b) / |b|   over baskets with i and j, i ≠ j        w_j = Σ d7(b)   over baskets with j
//! n_i  = Σ d60(b)       over baskets with i                     N_j = number of baskets with j
//! f_j  = (n_j + 10)^-0.7 · ((w_j + 0.1) / (N_j + 10))^0.3
//!
//! also bought:  c_ij · f_j        together, for you:  S_j = f_j · Σ_i q_i · (n_i + 10)^-0.3 · c_ij,   q_i = 1/√rank of i
//! buy again:    R_j = (number of the customer's baskets with j) · (w_j + 1)^0.3
//! all goods:    R_j / max R + 0.3 · S_j / max S
//! popular:      w_j, or 0 below 0.01; equal ones by N_j
//! ```
//!
//! Why so: a basket of 200 goods says little about any pair of them (`1/|b|`). Assortment and season turn over (60 days), but
//! where nothing newer is known, the old goes (`p`): without a floor, one order after years of rest would empty all shelves. The
//! candidate's popularity is damped more than the anchor's, so that best-sellers do not fill every list (0.7 and 0.3). A good
//! with few baskets must not win by chance (`+ 10`). The last factor of `f_j` is a trend: what share of a good's baskets is
//! of these days; its own total is below it, so best-sellers gain nothing. Recent purchases say more (`q`). How these were
//! chosen and measured is in the service's documentation.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::decay::{Decayed, HalfLife};

/// Only so many of the newest baskets of a good tell what it is bought with, together with others or for a customer.
pub const BASKETS_MAX: usize = 500;
/// And so many, where the one good is all that is asked about: each is a read somewhere else
/// in the tables, which is what the shelf's time goes into.
pub const ALSO_BOUGHT_BASKETS_MAX: usize = 200;
/// What a basket weighs in a pair however old it is, so that a shop that sold nothing for years still knows what goes together.
pub const PAIR_FLOOR: f64 = 0.01;
/// A basket of more goods than this tells nothing of pairs. It counts in every other way.
pub const BASKET_GOODS_MAX: usize = 200;
/// So many of a customer's latest goods are the anchors of "for you".
pub const ANCHORS_MAX: usize = 50;
/// The share of `S` in the order of all goods.
const NEW_SHARE: f64 = 0.3;
/// A good of which a week's half-life has left less than this does not sell these days: one order of 46 days ago.
pub const SELLS_MIN: f64 = 0.01;

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

    /// What popular goods are ranked by: 0 for all that do not sell these days, among which the number of baskets decides.
    pub fn popularity(&self) -> f64 {
        if self.week < SELLS_MIN { 0.0 } else { self.week }
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

/// `p`: what a basket of this age says of a pair, before it is divided by its size.
pub fn pair_weight(age_days: f64) -> f64 {
    HalfLife::Season.weight(age_days).max(PAIR_FLOOR)
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

/// A good that is no anchor.
const NO_ANCHOR: usize = usize::MAX;

/// Baskets of anchors, within the bounds, each with what its anchors weigh. They are gone through from the newest to the
/// oldest, by id at the same moment, so the same baskets give the same bits, wherever they come from.
///
/// Each good is looked up once, here, and has a number from then on: a shelf of the gift shop meets half a million goods in its
/// baskets, of a few thousand different ones.
pub struct Baskets {
    now: OffsetDateTime,
    anchors: Vec<Anchor>,
    /// So many of the newest count for each anchor.
    newest: usize,
    /// Goods by number.
    goods: Vec<Uuid>,
    numbers: ById<usize>,
    /// By a good's number: its place among the anchors.
    places: Vec<usize>,
    newest_first: Vec<Numbered>,
    /// Numbers of the goods of all baskets, one basket after another.
    lines: Vec<usize>,
}

/// A basket whose goods are numbers.
struct Numbered {
    at: OffsetDateTime,
    lines: Range<usize>,
}

impl Baskets {
    /// Of all baskets of the anchors that a store has, or at least of the `newest` ones of each; more of them do not count.
    pub fn new(now: OffsetDateTime, anchors: &[Anchor], newest: usize, baskets: &[Basket]) -> Self {
        let mut known: Vec<&Basket> = baskets
            .iter()
            .filter(|basket| basket.goods.len() <= BASKET_GOODS_MAX)
            .collect();
        known.sort_unstable_by_key(|basket| Reverse((basket.at, basket.order_id)));
        let mut all = Self {
            now,
            anchors: anchors.to_vec(),
            newest,
            goods: Vec::new(),
            numbers: ById::default(),
            places: Vec::new(),
            newest_first: Vec::with_capacity(known.len()),
            lines: Vec::with_capacity(known.iter().map(|basket| basket.goods.len()).sum()),
        };
        for (place, anchor) in anchors.iter().enumerate() {
            let number = all.number(anchor.good);
            all.places[number] = place;
        }
        for basket in known {
            let begin = all.lines.len();
            for good in &basket.goods {
                let number = all.number(*good);
                all.lines.push(number);
            }
            let lines = begin..all.lines.len();
            all.newest_first.push(Numbered { at: basket.at, lines });
        }
        all
    }

    fn number(&mut self, good: Uuid) -> usize {
        *self.numbers.entry(good).or_insert_with(|| {
            self.goods.push(good);
            self.places.push(NO_ANCHOR);
            self.goods.len() - 1
        })
    }

    /// Calls `each` for each basket, its goods' numbers, with its weight (`p/|b|`) and its anchors: place and weight of each
    /// one for which the basket is among the newest.
    #[allow(clippy::cast_precision_loss)] // at most 200
    fn visit(&self, mut each: impl FnMut(&[usize], f64, &[(usize, f64)])) {
        let mut left = vec![self.newest; self.anchors.len()];
        let mut met = Vec::new();
        for basket in &self.newest_first {
            let goods = &self.lines[basket.lines.clone()];
            met.clear();
            for good in goods {
                let place = self.places[*good];
                if place != NO_ANCHOR && left[place] > 0 {
                    left[place] -= 1;
                    met.push((place, self.anchors[place].weight));
                }
            }
            if !met.is_empty() {
                let age_days = (self.now - basket.at).as_seconds_f64() / 86_400.0;
                let weight = pair_weight(age_days) / goods.len() as f64;
                each(goods, weight, &met);
            }
        }
    }

    /// All goods that are in a basket with an anchor, in no particular order.
    pub fn companions(&self) -> Vec<Companion> {
        let mut found = vec![(0.0, 0_u32); self.goods.len()];
        self.visit(|goods, weight, met| {
            let all: f64 = met.iter().map(|(_, weight)| weight).sum();
            for good in goods {
                let own = self.own(*good, met);
                if own.is_some() && met.len() == 1 {
                    continue;
                }
                let (score, together) = &mut found[*good];
                *score += weight * (all - own.unwrap_or(0.0));
                *together += 1;
            }
        });
        let companion = |(good, (score, together)): (&Uuid, (f64, u32))| Companion {
            good: *good,
            score,
            together,
        };
        let found = self.goods.iter().zip(found);
        found
            .filter(|(_, (_, together))| *together > 0)
            .map(companion)
            .collect()
    }

    /// Of each of these goods the anchor that adds most to its score; the first of equals. `None`: it has none.
    pub fn reasons(&self, goods: &[Uuid]) -> Vec<Option<Uuid>> {
        let mut rows = vec![None; self.goods.len()];
        for (row, good) in goods.iter().enumerate() {
            if let Some(number) = self.numbers.get(good) {
                rows[*number] = Some(row);
            }
        }
        let width = self.anchors.len();
        let mut parts = vec![0.0; goods.len() * width];
        self.visit(|goods, weight, met| {
            for row in goods.iter().filter_map(|good| rows[*good]) {
                for (place, anchor) in met {
                    parts[row * width + place] += weight * anchor;
                }
            }
        });
        let reason = |(row, good): (usize, &Uuid)| {
            let parts = parts[row * width..].iter().zip(&self.anchors);
            let others = parts.filter(|(_, anchor)| anchor.good != *good);
            let best = others.fold((0.0, None), |best, (part, anchor)| {
                if *part > best.0 {
                    (*part, Some(anchor.good))
                } else {
                    best
                }
            });
            best.1
        };
        goods.iter().enumerate().map(reason).collect()
    }

    /// What the good itself weighs as an anchor of this basket.
    fn own(&self, good: usize, met: &[(usize, f64)]) -> Option<f64> {
        let place = self.places[good];
        if place == NO_ANCHOR {
            return None;
        }
        let own = met.iter().find(|(met, _)| *met == place);
        own.map(|(_, weight)| *weight)
    }
}

#[cfg(test)]
mod tests;
