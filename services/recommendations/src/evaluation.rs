//! Measuring shelves on real orders: what would have been suggested on a day, against what was bought next.
//!
//! How `emporium evaluate recommendations` calls this:
//!
//! 1. It makes a [`Basket`] of each order of a *known* customer: guests' orders train the live shelves, and not these, since
//!    the baselines that are compared have known customers only. [`code`] says which stock codes are goods.
//! 2. [`Split::at`] a date parts what is before it from the first basket of each known customer from it on.
//! 3. [`Baselines::of`] the training baskets gives popularity, raw and cosine co-occurrence, and own repeats.
//! 4. [`Trained::open`] feeds the training baskets, as events, to the service's own store in an empty database, which is then
//!    asked by the same verb that answers the API. It has seen nothing from the split on. [`Trained::on`] does the same on a
//!    store that somebody else has opened.
//! 5. [`Test::result`] of each list, [`Figures::of`] all of a method's results.
//!
//! The conventions, which decide more than the methods do:
//!
//! - A basket is one invoice; its time is its earliest line; a good counts once. Lines have a quantity and a price above 0.
//! - A customer's test is the first basket from midnight (UTC) of the split on, however late; by time, then invoice number.
//! - Popularity is the number of training baskets with the good. It decides between equal scores, then the code does. Goods
//!   that score nothing are candidates too, so every list has ten.
//! - [`Scope::New`]: candidates are training goods that are not in the customer's past; the truth are goods of the test basket
//!   that are not, those included that nobody sold before. Customers without such a good are left out.
//! - [`Scope::All`]: candidates are all training goods, the truth is the whole test basket, and every customer counts.
//! - `c_ij` is the number of baskets with both, `c_ii` is 0, sums are over the customer's distinct past goods, unweighted.
//! - Recall@10 is hits by the number of true goods, averaged over customers; the hit rate is the share of customers with a hit;
//!   standard errors are the deviation (n − 1) by √customers.

use std::collections::{BTreeSet, HashMap};

use time::{Date, OffsetDateTime};

use crate::model::Scope;

mod baselines;
mod service;
pub use baselines::{Baselines, Method};
pub use service::{TrainError, Trained};

/// Length of the lists that are measured.
pub const LENGTH: usize = 10;

/// An invoice of a known customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basket {
    /// The customer's number or id.
    pub customer: String,
    /// The invoice's number, which decides between baskets of the same moment.
    pub invoice: String,
    /// Its earliest line.
    pub at: OffsetDateTime,
    /// The goods' codes.
    pub goods: BTreeSet<String>,
}

/// The code of a good, in capitals: one that starts with five digits. `None`: it is no good, such as postage.
pub fn code(text: &str) -> Option<String> {
    let code = text.trim().to_uppercase();
    let digits = code.bytes().take(5).filter(u8::is_ascii_digit).count();
    (digits == 5).then_some(code)
}

/// A customer whose next basket is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// The customer.
    pub customer: String,
    /// How many of the customer's training baskets have each good.
    pub past: HashMap<String, usize>,
    /// The next basket.
    pub next: BTreeSet<String>,
}

/// How well one list did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListResult {
    /// Hits by true goods.
    pub recall: f64,
    /// Whether there is a hit.
    pub hit: bool,
}

impl Test {
    /// The goods that a list has to find.
    pub fn truth(&self, scope: Scope) -> BTreeSet<&str> {
        let wanted = |good: &&String| scope == Scope::All || !self.past.contains_key(*good);
        self.next.iter().filter(wanted).map(String::as_str).collect()
    }

    /// What the first ten of a list come to; `None` when the customer does not count in this scope.
    #[allow(clippy::cast_precision_loss)] // numbers of goods
    pub fn result(&self, scope: Scope, list: &[String]) -> Option<ListResult> {
        let truth = self.truth(scope);
        if truth.is_empty() {
            return None;
        }
        let found = list.iter().take(LENGTH);
        let hits = found.filter(|good| truth.contains(good.as_str())).count();
        Some(ListResult {
            recall: hits as f64 / truth.len() as f64,
            hit: hits > 0,
        })
    }
}

/// Baskets before a date, and what came next.
#[derive(Debug, Clone, Default)]
pub struct Split {
    /// Before it, by time, then invoice.
    pub train: Vec<Basket>,
    /// Known customers, by number.
    pub tests: Vec<Test>,
}

impl Split {
    /// Parts baskets at midnight of a date.
    pub fn at(mut baskets: Vec<Basket>, date: Date) -> Self {
        baskets.retain(|basket| !basket.goods.is_empty());
        baskets.sort_by(|a, b| (a.at, &a.invoice).cmp(&(b.at, &b.invoice)));
        let from = baskets.partition_point(|basket| basket.at < date.midnight().assume_utc());
        let later = baskets.split_off(from);
        let mut tests: HashMap<&str, Test> = HashMap::new();
        for basket in &baskets {
            let test = tests.entry(&basket.customer).or_insert_with(|| Test {
                customer: basket.customer.clone(),
                past: HashMap::new(),
                next: BTreeSet::new(),
            });
            for good in &basket.goods {
                *test.past.entry(good.clone()).or_default() += 1;
            }
        }
        for basket in later {
            if let Some(test) = tests.get_mut(basket.customer.as_str())
                && test.next.is_empty()
            {
                test.next = basket.goods;
            }
        }
        let mut tests: Vec<Test> = tests.into_values().filter(|test| !test.next.is_empty()).collect();
        tests.sort_by(|a, b| a.customer.cmp(&b.customer));
        Self {
            train: baskets,
            tests,
        }
    }
}

/// What a method comes to over all customers of a scope.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Mean recall@10.
    pub recall: f64,
    /// Its standard error.
    pub recall_se: f64,
    /// Share of customers with a hit.
    pub hit_rate: f64,
    /// Its standard error.
    pub hit_rate_se: f64,
    /// How many customers.
    pub customers: usize,
}

impl Figures {
    /// Of the results of a method's lists.
    pub fn of(results: &[ListResult]) -> Self {
        let (recall, recall_se) = mean(results.iter().map(|result| result.recall));
        let (hit_rate, hit_rate_se) = mean(results.iter().map(|result| f64::from(u8::from(result.hit))));
        Self {
            recall,
            recall_se,
            hit_rate,
            hit_rate_se,
            customers: results.len(),
        }
    }
}

/// Mean and standard error; zeroes for nothing.
#[allow(clippy::cast_precision_loss)] // numbers of customers
fn mean(values: impl ExactSizeIterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.len() as f64;
    if count == 0.0 {
        return (0.0, 0.0);
    }
    let mean = values.clone().sum::<f64>() / count;
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    let error = if count > 1.0 {
        (squares / (count - 1.0) / count).sqrt()
    } else {
        0.0
    };
    (mean, error)
}

#[cfg(test)]
mod tests;
