//! Figures put into their shapes, the same for every adapter.

use emporium_service_kit::{Currency, Money, StoreError};
use sqlx::FromRow;
use time::{Date, OffsetDateTime};

use crate::model::{
    Baskets, Bucket, By, Cohort, Cohorts, Funnel, FunnelDay, Live, LiveMinute, Repeat, Retained, Revenue,
    Sales, Stages, share,
};

/// A group as its statement gives it. `place` counts from 1 and, beyond the limit, is that of all others; 0 is what the whole
/// range comes to, where the groups alone do not.
#[derive(Debug, FromRow)]
pub(super) struct Group {
    pub place: i64,
    pub key: Option<String>,
    pub placed: i64,
    pub cancelled: i64,
    pub orders: i64,
    pub lines: i64,
    pub units: i64,
    pub gross: i64,
    pub refunds: i64,
}

/// Puts rows where they belong, and sums them up.
pub(super) fn arrange(
    rows: Vec<Group>,
    currency: Currency,
    by: By,
    limit: u32,
) -> Result<Revenue, StoreError> {
    let periods = matches!(by, By::Day | By::Week | By::Month);
    let mut revenue = Revenue {
        items: Vec::with_capacity(rows.len()),
        others: None,
        unallocated: None,
        total: Sales::nothing(None, by, currency),
    };
    let mut whole = None;
    for row in rows {
        let place = row.place;
        let sales = row.sales(currency, by);
        if place == 0 {
            whole = Some(sales);
            continue;
        }
        revenue.total = plus(&revenue.total, &sales).ok_or_else(too_large)?;
        if periods || place <= i64::from(limit) {
            revenue.items.push(sales);
        } else {
            revenue.others = Some(sales);
        }
    }
    if let Some(whole) = whole {
        revenue.unallocated = Some(minus(&whole, &revenue.total).ok_or_else(too_large)?);
        revenue.total = whole;
    }
    Ok(revenue)
}

pub(super) fn too_large() -> StoreError {
    StoreError::Data("a sum is beyond 64 bits".into())
}

impl Group {
    fn sales(self, currency: Currency, by: By) -> Sales {
        let counted = |count: i64| (by != By::Category).then_some(count);
        let money = |amount| Money::new(amount, currency);
        Sales {
            placed: counted(self.placed),
            cancelled: counted(self.cancelled),
            orders: counted(self.orders),
            lines: self.lines,
            units: self.units,
            gross: money(self.gross),
            refunds: money(self.refunds),
            // Both are never negative.
            net: money(self.gross.saturating_sub(self.refunds)),
            key: self.key,
        }
    }
}

/// The sum of two groups; `None` beyond 64 bits.
fn plus(one: &Sales, other: &Sales) -> Option<Sales> {
    let counts = |a: Option<i64>, b: Option<i64>| match (a, b) {
        (Some(a), Some(b)) => a.checked_add(b).map(Some),
        _ => Some(None),
    };
    Some(Sales {
        key: None,
        placed: counts(one.placed, other.placed)?,
        cancelled: counts(one.cancelled, other.cancelled)?,
        orders: counts(one.orders, other.orders)?,
        lines: one.lines.checked_add(other.lines)?,
        units: one.units.checked_add(other.units)?,
        gross: one.gross.checked_add(other.gross).ok()?,
        refunds: one.refunds.checked_add(other.refunds).ok()?,
        net: one.net.checked_add(other.net).ok()?,
    })
}

/// What is left of a whole; lines and units belong to products all of them.
fn minus(whole: &Sales, part: &Sales) -> Option<Sales> {
    let gross = whole.gross.checked_sub(part.gross).ok()?;
    let refunds = whole.refunds.checked_sub(part.refunds).ok()?;
    Some(Sales {
        key: None,
        lines: whole.lines.checked_sub(part.lines)?,
        units: whole.units.checked_sub(part.units)?,
        net: gross.checked_sub(refunds).ok()?,
        gross,
        refunds,
        ..whole.clone()
    })
}

/// Where classes of basket sizes begin.
pub(super) const BASKETS: [i64; 10] = [0, 1, 2, 3, 4, 5, 6, 11, 21, 51];

/// Baskets of no order.
pub(super) fn no_baskets() -> Baskets {
    Baskets {
        orders: 0,
        mean_lines: None,
        mean_units: None,
        mean_value: None,
        by_lines: classes(),
        by_units: classes(),
    }
}

/// The classes, without orders.
pub(crate) fn classes() -> Vec<Bucket> {
    let ends = BASKETS[1..].iter().map(|next| Some(next - 1)).chain([None]);
    BASKETS
        .iter()
        .zip(ends)
        .map(|(&from, to)| Bucket { from, to, orders: 0 })
        .collect()
}

fn sum(numbers: impl Iterator<Item = i64>) -> Result<i64, StoreError> {
    let mut numbers = numbers;
    numbers.try_fold(0_i64, i64::checked_add).ok_or_else(too_large)
}

/// The last hour of its sixty minutes: when, orders, units, gross.
pub(super) fn live_of(
    rows: Vec<(OffsetDateTime, i64, i64, i64)>,
    currency: Currency,
) -> Result<Live, StoreError> {
    let money = |amount| Money::new(amount, currency);
    Ok(Live {
        orders: sum(rows.iter().map(|row| row.1))?,
        units: sum(rows.iter().map(|row| row.2))?,
        gross: money(sum(rows.iter().map(|row| row.3))?),
        items: rows
            .into_iter()
            .map(|(minute, orders, units, gross)| LiveMinute {
                minute,
                orders,
                units,
                gross: money(gross),
            })
            .collect(),
    })
}

/// The funnel of every day of a range.
pub(super) fn funnel_of(items: Vec<FunnelDay>) -> Result<Funnel, StoreError> {
    let total = |of: fn(&Stages) -> i64| sum(items.iter().map(|item| of(&item.stages)));
    let total = Stages {
        visitors: total(|day| day.visitors)?,
        viewed: total(|day| day.viewed)?,
        carted: total(|day| day.carted)?,
        began_checkout: total(|day| day.began_checkout)?,
        paid: total(|day| day.paid)?,
    };
    Ok(Funnel { items, total })
}

/// Customers of a cohort who bought in one month.
#[derive(Debug, FromRow)]
pub(super) struct CohortRow {
    /// The cohort's month.
    pub cohort: Date,
    /// Customers of the cohort.
    pub customers: i64,
    /// Of these, who bought again.
    pub again: i64,
    /// Months since.
    pub since: i32,
    /// Who bought in that month.
    pub active: i64,
}

/// Cohorts from rows in the order of cohort and month.
pub(super) fn cohorts_of(rows: Vec<CohortRow>) -> Cohorts {
    let mut items: Vec<Cohort> = Vec::new();
    for row in rows {
        if items.last().is_none_or(|cohort| cohort.month != row.cohort) {
            items.push(Cohort {
                month: row.cohort,
                customers: row.customers,
                bought_again: row.again,
                share_again: share(row.again, row.customers).unwrap_or_default(),
                retained: Vec::new(),
            });
        }
        if let Some(cohort) = items.last_mut() {
            cohort.retained.push(Retained {
                months: row.since,
                customers: row.active,
                share: share(row.active, row.customers).unwrap_or_default(),
            });
        }
    }
    Cohorts { items }
}

/// Who came back: customers, their orders, guests' orders, customers who bought again, and who had bought before.
pub(super) fn repeat_of([customers, orders, guest_orders, again, returning]: [i64; 5]) -> Repeat {
    Repeat {
        customers,
        orders,
        guest_orders,
        repeat_customers: again,
        repeat_rate: share(again, customers),
        returning_customers: returning,
        returning_rate: share(returning, customers),
    }
}
