//! Rows of both sides, by what, day, country and currency.

use std::collections::BTreeMap;

use emporium_service_kit::days::{Days, day};
use emporium_service_kit::{Currency, Money};
use serde::Serialize;
use time::Date;

use super::totals::{OrdersRow, PaymentsRow, RefundsRow};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// Confirmed orders, by the day they were placed on, and country.
    Orders,
    /// Refunds of orders.
    Refunds,
    /// Charges that the provider took.
    Charges,
    /// What payments gave back.
    ChargesRefunded,
}

impl What {
    /// Its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Orders => "confirmed orders",
            Self::Refunds => "refunds of orders",
            Self::Charges => "charges",
            Self::ChargesRefunded => "charges given back",
        }
    }

    /// Whose tables are right.
    pub(super) fn owner(self) -> &'static str {
        match self {
            Self::Orders | Self::Refunds => "orders",
            Self::Charges | Self::ChargesRefunded => "payments",
        }
    }
}

/// Which row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    what: What,
    day: Date,
    country: Option<String>,
    currency: String,
}

/// What a side says of a row; nothing is zeroes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Figures {
    /// How many.
    pub number: i64,
    /// Minor units.
    pub amount: i64,
}

impl Figures {
    fn add(&mut self, other: Self) {
        self.number = self.number.saturating_add(other.number);
        self.amount = self.amount.saturating_add(other.amount);
    }
}

/// What an owner and analytics say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pair {
    owner: Figures,
    analytics: Figures,
}

impl Pair {
    fn differs(&self) -> bool {
        self.owner != self.analytics
    }
}

/// One side's rows.
pub(super) struct Owners {
    pub orders: Vec<OrdersRow>,
    pub refunds: Vec<RefundsRow>,
    pub payments: Vec<PaymentsRow>,
}

/// Both sides of some days.
#[derive(Debug, Default)]
pub(super) struct Window(BTreeMap<Key, Pair>);

impl Window {
    pub(super) fn of(owners: &Owners, analytics: &Owners) -> Self {
        let mut rows: BTreeMap<Key, Pair> = BTreeMap::new();
        each(owners, |key, figures| {
            rows.entry(key).or_default().owner.add(figures);
        });
        each(analytics, |key, figures| {
            rows.entry(key).or_default().analytics.add(figures);
        });
        Self(rows)
    }

    pub(super) fn differs(&self) -> bool {
        self.0.values().any(Pair::differs)
    }

    /// Takes over what is said now of the rows that differed. The others agreed when they were read, and stay as they were:
    /// what was sold since is on its way.
    pub(super) fn look_again(&mut self, fresh: &Self) {
        for (key, pair) in self.0.iter_mut().filter(|(_, pair)| pair.differs()) {
            *pair = fresh.0.get(key).copied().unwrap_or_default();
        }
    }
}

fn each(side: &Owners, mut row: impl FnMut(Key, Figures)) {
    let mut put = |what, day, country: Option<&String>, number, money: Money| {
        let key = Key {
            what,
            day,
            country: country.cloned(),
            currency: money.currency.to_string(),
        };
        let figures = Figures {
            number,
            amount: money.amount,
        };
        // A day without any is the same as a day that is not told of.
        if figures != Figures::default() {
            row(key, figures);
        }
    };
    for orders in &side.orders {
        put(
            What::Orders,
            orders.day,
            orders.country.as_ref(),
            orders.orders,
            orders.total,
        );
    }
    for refunds in &side.refunds {
        put(What::Refunds, refunds.day, None, refunds.refunds, refunds.amount);
    }
    for payments in &side.payments {
        put(
            What::Charges,
            payments.day,
            None,
            payments.succeeded,
            payments.succeeded_amount,
        );
        let back = payments.refunded_amount;
        put(What::ChargesRefunded, payments.day, None, payments.refunded, back);
    }
}

/// All rows of a kind and currency, summed up.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Compared {
    pub what: What,
    pub currency: String,
    /// Rows that were compared.
    pub rows: usize,
    /// Rows of them that differ.
    pub different: usize,
    /// What the owner says.
    pub owner: Figures,
    /// What analytics says.
    pub analytics: Figures,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    pub what: What,
    #[serde(with = "day")]
    pub day: Date,
    /// Orders only; null without a country.
    pub country: Option<String>,
    pub currency: String,
    /// What the owner says.
    pub owner: Figures,
    /// What analytics says.
    pub analytics: Figures,
}

pub(super) fn summed(windows: &[(Days, Window)]) -> Vec<Compared> {
    let mut sums: BTreeMap<(What, &str), Compared> = BTreeMap::new();
    for (key, pair) in windows.iter().flat_map(|(_, window)| &window.0) {
        let sum = sums.entry((key.what, &key.currency)).or_insert_with(|| Compared {
            what: key.what,
            currency: key.currency.clone(),
            rows: 0,
            different: 0,
            owner: Figures::default(),
            analytics: Figures::default(),
        });
        sum.rows += 1;
        sum.different += usize::from(pair.differs());
        sum.owner.add(pair.owner);
        sum.analytics.add(pair.analytics);
    }
    sums.into_values().collect()
}

/// The rows that differ.
pub(super) fn differing(windows: &[(Days, Window)]) -> impl Iterator<Item = (&Key, &Pair)> {
    let rows = windows.iter().flat_map(|(_, window)| &window.0);
    rows.filter(|(_, pair)| pair.differs())
}

/// The same for the report.
pub(super) fn told(rows: Vec<(&Key, &Pair)>) -> Vec<Difference> {
    let rows = rows.into_iter();
    rows.map(|(key, pair)| Difference {
        what: key.what,
        day: key.day,
        country: key.country.clone(),
        currency: key.currency.clone(),
        owner: pair.owner,
        analytics: pair.analytics,
    })
    .collect()
}

/// An amount for people.
pub(super) fn money(amount: i64, currency: &str) -> String {
    Money::new(amount, currency.parse().unwrap_or(Currency::GBP)).to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use time::macros::date;

    use super::*;

    const DAY: Date = date!(2010 - 12 - 01);

    fn pounds(amount: i64) -> Money {
        Money::new(amount, Currency::GBP)
    }

    fn side(orders: i64, country: Option<&str>, refunded: i64) -> Owners {
        Owners {
            orders: vec![OrdersRow {
                day: DAY,
                country: country.map(str::to_owned),
                orders: 2,
                total: pounds(orders),
            }],
            refunds: Vec::new(),
            payments: vec![PaymentsRow {
                day: DAY,
                succeeded: 2,
                succeeded_amount: pounds(500),
                refunded: i64::from(refunded > 0),
                refunded_amount: pounds(refunded),
            }],
        }
    }

    fn compared(owner: &Owners, analytics: &Owners) -> (Vec<Compared>, Vec<Difference>) {
        let days = Days { from: DAY, to: DAY };
        let windows = [(days, Window::of(owner, analytics))];
        (summed(&windows), told(differing(&windows).collect()))
    }

    /// A window of one row.
    pub fn window(day: Date, orders: i64, analytics: i64) -> Window {
        let side = |total| Owners {
            orders: vec![OrdersRow {
                day,
                country: None,
                orders: 1,
                total: pounds(total),
            }],
            refunds: Vec::new(),
            payments: Vec::new(),
        };
        Window::of(&side(orders), &side(analytics))
    }

    #[test]
    fn equal_sides_have_no_difference_and_are_summed() {
        let (sums, differences) = compared(&side(500, Some("GB"), 0), &side(500, Some("GB"), 0));
        assert!(differences.is_empty());
        let kinds: Vec<(What, usize, i64)> = sums
            .iter()
            .map(|sum| (sum.what, sum.rows, sum.owner.amount))
            .collect();
        assert_eq!(
            kinds,
            [(What::Orders, 1, 500), (What::Charges, 1, 500)],
            "nothing given back is no row"
        );
    }

    #[test]
    fn a_penny_a_country_and_a_missing_row_are_differences() {
        let whats = |owner: &Owners, analytics: &Owners| {
            compared(owner, analytics)
                .1
                .iter()
                .map(|one| one.what)
                .collect::<Vec<_>>()
        };
        assert_eq!(whats(&side(500, None, 0), &side(501, None, 0)), [What::Orders]);
        assert_eq!(
            whats(&side(500, Some("GB"), 0), &side(500, None, 0)),
            [What::Orders, What::Orders],
            "one row too many on either side, though the sums are equal"
        );
        assert_eq!(
            whats(&side(500, None, 7), &side(500, None, 0)),
            [What::ChargesRefunded]
        );
    }
}
