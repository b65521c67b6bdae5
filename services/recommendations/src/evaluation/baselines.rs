//! The simple methods that the service is compared with.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use super::{Basket, LENGTH, Test};
use crate::model::Scope;

/// A simple method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Goods with the most baskets.
    Popularity,
    /// `Σ c_ij` over past goods.
    Raw,
    /// `Σ c_ij / √(n_i n_j)` over past goods.
    Cosine,
    /// Own goods by the number of own baskets with them; in the scope of new goods, popularity.
    OwnRepeats,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Popularity, Self::Raw, Self::Cosine, Self::OwnRepeats];

    /// Its name in figures and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Popularity => "popularity",
            Self::Raw => "raw",
            Self::Cosine => "cosine",
            Self::OwnRepeats => "own_repeats",
        }
    }
}

/// Goods by place: the most popular first, then by code. So a smaller place wins between equal scores.
type Place = u32;
/// `(j, c_ij)` of a good.
type Row = Vec<(Place, f64)>;

/// The simple methods, trained.
pub struct Baselines {
    codes: Vec<String>,
    places: HashMap<String, Place>,
    /// Baskets with each good.
    counts: Vec<f64>,
    baskets: Vec<Vec<Place>>,
    /// Which baskets each good is in.
    of_good: Vec<Vec<u32>>,
    /// Rows of `c`, each made when it is first needed.
    rows: Vec<OnceLock<Row>>,
}

impl Baselines {
    /// Of training baskets.
    #[allow(clippy::cast_possible_truncation)] // goods and baskets of a shop
    pub fn of(train: &[Basket]) -> Self {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for good in train.iter().flat_map(|basket| &basket.goods) {
            *counts.entry(good).or_default() += 1;
        }
        // Sorted by code, and the sort is stable.
        let mut order: Vec<(&str, u32)> = counts.into_iter().collect();
        order.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let codes: Vec<String> = order.iter().map(|(code, _)| (*code).to_owned()).collect();
        let places: HashMap<String, Place> = codes.iter().cloned().zip(0..).collect();
        let mut of_good = vec![Vec::new(); codes.len()];
        let mut baskets = Vec::with_capacity(train.len());
        for (number, basket) in train.iter().enumerate() {
            let goods: Vec<Place> = basket.goods.iter().map(|good| places[good]).collect();
            for good in &goods {
                of_good[*good as usize].push(number as u32);
            }
            baskets.push(goods);
        }
        Self {
            counts: order.iter().map(|(_, count)| f64::from(*count)).collect(),
            rows: (0..codes.len()).map(|_| OnceLock::new()).collect(),
            codes,
            places,
            baskets,
            of_good,
        }
    }

    /// The first ten of a method for a customer.
    #[allow(clippy::cast_precision_loss)] // numbers of baskets
    pub fn list(&self, method: Method, scope: Scope, test: &Test) -> Vec<String> {
        let mut past: Vec<(usize, usize)> = test
            .past
            .iter()
            .filter_map(|(good, times)| Some((*self.places.get(good)? as usize, *times)))
            .collect();
        past.sort_unstable();
        let mut scores = vec![0.0; self.codes.len()];
        match method {
            Method::Popularity => {}
            Method::OwnRepeats => past
                .iter()
                .for_each(|(good, times)| scores[*good] = *times as f64),
            Method::Raw => self.add_rows(&past, &mut scores, |_, _| 1.0),
            Method::Cosine => self.add_rows(&past, &mut scores, |i, j| {
                1.0 / (self.counts[i] * self.counts[j]).sqrt()
            }),
        }
        if scope == Scope::New {
            for (good, _) in &past {
                scores[*good] = f64::NEG_INFINITY;
            }
        }
        self.first(&scores)
    }

    fn add_rows(&self, past: &[(usize, usize)], scores: &mut [f64], factor: impl Fn(usize, usize) -> f64) {
        for (i, _) in past {
            for (j, together) in self.row(*i) {
                let j = *j as usize;
                scores[j] += together * factor(*i, j);
            }
        }
    }

    fn row(&self, good: usize) -> &Row {
        self.rows[good].get_or_init(|| {
            let mut row: BTreeMap<Place, f64> = BTreeMap::new();
            for basket in &self.of_good[good] {
                for other in &self.baskets[*basket as usize] {
                    if *other as usize != good {
                        *row.entry(*other).or_default() += 1.0;
                    }
                }
            }
            row.into_iter().collect()
        })
    }

    fn first(&self, scores: &[f64]) -> Vec<String> {
        let better = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
        let mut places: Vec<usize> = (0..scores.len())
            .filter(|place| scores[*place].is_finite())
            .collect();
        if places.len() > LENGTH {
            places.select_nth_unstable_by(LENGTH, better);
            places.truncate(LENGTH);
        }
        places.sort_unstable_by(better);
        places.iter().map(|place| self.codes[*place].clone()).collect()
    }
}
