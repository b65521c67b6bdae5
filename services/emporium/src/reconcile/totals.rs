//! The books that are compared: `GET /totals` of orders, payments and analytics. Tolerant readers: just the fields needed.

use std::time::Duration;

use emporium_event_bus::projection::ProjectionStatus;
use emporium_service_kit::client::{CallError, Client};
use emporium_service_kit::days::{Days, day};
use emporium_service_kit::{Clock, Money, ServiceName, StoreReport};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::Date;

use super::compare::{Owners, Window};
use crate::Error;
use crate::operator::Operator;
use crate::stores;
use crate::terminal::Later;

/// Days of one question.
const DAYS_MAX: i64 = 366;
/// How long a service may take to sum up a year.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The projection that is compared.
const PROJECTION: &str = "/projections/analytics";

/// Answer of orders, and the first part of analytics'.
#[derive(Debug, Deserialize)]
pub(super) struct OrderTotals {
    #[serde(with = "day::option")]
    first_day: Option<Date>,
    #[serde(with = "day::option")]
    last_day: Option<Date>,
    pub orders: Vec<OrdersRow>,
    pub refunds: Vec<RefundsRow>,
}

/// Answer of payments, and the second part of analytics'.
#[derive(Debug, Deserialize)]
pub(super) struct PaymentTotals {
    #[serde(with = "day::option")]
    first_day: Option<Date>,
    #[serde(with = "day::option")]
    last_day: Option<Date>,
    pub payments: Vec<PaymentsRow>,
}

/// Answer of analytics.
#[derive(Debug, Deserialize)]
pub(super) struct AllTotals {
    #[serde(with = "day::option")]
    first_day: Option<Date>,
    #[serde(with = "day::option")]
    last_day: Option<Date>,
    pub orders: Vec<OrdersRow>,
    pub refunds: Vec<RefundsRow>,
    pub payments: Vec<PaymentsRow>,
}

/// Confirmed orders of a day and country.
#[derive(Debug, Deserialize)]
pub(super) struct OrdersRow {
    #[serde(with = "day")]
    pub day: Date,
    pub country: Option<String>,
    pub orders: i64,
    pub total: Money,
}

/// Refunds of a day.
#[derive(Debug, Deserialize)]
pub(super) struct RefundsRow {
    #[serde(with = "day")]
    pub day: Date,
    pub refunds: i64,
    pub amount: Money,
}

/// Payments of a day.
#[derive(Debug, Deserialize)]
pub(super) struct PaymentsRow {
    #[serde(with = "day")]
    pub day: Date,
    pub succeeded: i64,
    pub succeeded_amount: Money,
    pub refunded: i64,
    pub refunded_amount: Money,
}

/// Whoever keeps one of the books.
pub(super) struct Books {
    orders: Client,
    payments: Client,
    analytics: Client,
    /// Lists of orders are the gateway's to see.
    lists: Client,
}

/// What is on its way, in words; `None` where nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnderWay {
    /// Out of orders, and out of payments.
    pub owners: [Option<String>; 2],
    /// Into analytics.
    pub analytics: Option<String>,
}

impl UnderWay {
    /// One of them.
    pub(super) fn into_reason(self) -> Option<String> {
        self.owners.into_iter().flatten().next().or(self.analytics)
    }
}

/// What an owner has not published, as it tells of its events. One that cannot tell may have anything.
fn unpublished(owner: ServiceName, reports: &[StoreReport]) -> Option<String> {
    let mut events = reports.iter().filter(|report| report.role == "events").peekable();
    if events.peek().is_none() {
        return Some(format!("{owner} tells nothing of its events"));
    }
    events.find_map(|report| match (&report.error, report.lag) {
        (Some(error), _) => Some(format!("{owner} cannot tell what it has not published ({error})")),
        (None, None) => Some(format!("{owner} does not know what it has not published")),
        (None, Some(0)) => None,
        (None, Some(lag)) => Some(format!("{lag} events of {owner} are on their way")),
    })
}

/// A page of orders, of which only the number counts.
#[derive(Deserialize)]
struct Page {
    items: Vec<serde::de::IgnoredAny>,
    next_cursor: Option<String>,
}

/// Orders are counted up to this.
pub(super) const COUNTED_MAX: usize = 1_000;

impl Books {
    pub(super) fn of(operator: &Operator) -> Result<Self, Error> {
        let client = |service| operator.client(ServiceName::Operator, service);
        Ok(Self {
            orders: client(ServiceName::Orders)?,
            payments: client(ServiceName::Payments)?,
            analytics: client(ServiceName::Analytics)?,
            lists: operator.client(ServiceName::Gateway, ServiceName::Orders)?,
        })
    }

    /// How analytics' projection stands.
    pub(super) async fn projection(&self) -> Result<ProjectionStatus, Error> {
        let call = self.analytics.get(PROJECTION).timeout(TIMEOUT);
        call.send().await.map_err(failed)
    }

    /// What keeps figures from standing still: events on their way out of the owners, or into analytics.
    pub(super) async fn under_way(&self) -> Result<UnderWay, Error> {
        let mut owners = [None, None];
        for (reason, owner) in owners.iter_mut().zip([&self.orders, &self.payments]) {
            let reports: Vec<StoreReport> = stores::reports(owner).await.map_err(failed)?;
            *reason = unpublished(owner.callee(), &reports);
        }
        // Last, so that nothing is missed between an owner and analytics.
        let group = self.projection().await?.group;
        let analytics = match group.lag_events {
            Some(0) => None,
            Some(lag) => Some(format!("analytics is {lag} events behind")),
            None => Some("analytics is being built".to_owned()),
        };
        Ok(UnderWay { owners, analytics })
    }

    /// The days that any of them has anything of.
    pub(super) async fn extent(&self) -> Result<Option<Days>, Error> {
        let today = Clock::System.now().date();
        let days = Days {
            from: today,
            to: today,
        };
        let (orders, payments, analytics) = futures::try_join!(
            ask::<OrderTotals>(&self.orders, days),
            ask::<PaymentTotals>(&self.payments, days),
            ask::<AllTotals>(&self.analytics, days)
        )
        .map_err(failed)?;
        let firsts = [orders.first_day, payments.first_day, analytics.first_day];
        let lasts = [orders.last_day, payments.last_day, analytics.last_day];
        let (from, to) = (
            firsts.into_iter().flatten().min(),
            lasts.into_iter().flatten().max(),
        );
        Ok(from.zip(to).map(|(from, to)| Days { from, to }))
    }

    /// Compares some days, in smaller pieces when they come to too many rows.
    pub(super) async fn compare(
        &self,
        days: Days,
        windows: &mut Vec<(Days, Window)>,
        progress: &mut Later,
    ) -> Result<(), Error> {
        let mut left = vec![days];
        while let Some(days) = left.pop() {
            progress.tell(format_args!("comparing {} to {}", days.from, days.to));
            match self.try_ask(days).await {
                Ok(window) => windows.push((days, window)),
                Err(error) if error.code() == Some("range-too-large") && days.count() > 1 => {
                    let (earlier, later) = halves(days);
                    left.push(later);
                    left.push(earlier);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Asks all three for the same days.
    pub(super) async fn ask(&self, days: Days) -> Result<Window, Error> {
        self.try_ask(days).await.map_err(failed)
    }

    async fn try_ask(&self, days: Days) -> Result<Window, CallError> {
        let (orders, payments, analytics) = futures::try_join!(
            ask::<OrderTotals>(&self.orders, days),
            ask::<PaymentTotals>(&self.payments, days),
            ask::<AllTotals>(&self.analytics, days)
        )?;
        let owners = Owners {
            orders: orders.orders,
            refunds: orders.refunds,
            payments: payments.payments,
        };
        let analytics = Owners {
            orders: analytics.orders,
            refunds: analytics.refunds,
            payments: analytics.payments,
        };
        Ok(Window::of(&owners, &analytics))
    }

    /// How many orders have this status; at most [`COUNTED_MAX`] are counted.
    pub(super) async fn count(&self, status: &str) -> Result<usize, Error> {
        let (mut found, mut cursor) = (0, None);
        loop {
            let mut query = vec![("status", status.to_owned()), ("limit", "100".to_owned())];
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let call = self.lists.get("/orders").query(&query).timeout(TIMEOUT);
            let page: Page = call.send().await.map_err(failed)?;
            found += page.items.len();
            cursor = page.next_cursor;
            if cursor.is_none() || found >= COUNTED_MAX {
                return Ok(found);
            }
        }
    }
}

async fn ask<T: DeserializeOwned>(service: &Client, days: Days) -> Result<T, CallError> {
    let call = service.get("/totals").timeout(TIMEOUT);
    call.query(&[("from", days.from.to_string()), ("to", days.to.to_string())])
        .send()
        .await
}

pub(super) fn failed(source: CallError) -> Error {
    if source.is_unavailable() || source.status().is_some_and(|status| status.is_server_error()) {
        return Error::Away(source.to_string());
    }
    Error::Call {
        what: "asking for totals",
        source,
    }
}

/// Days in pieces that may be asked for, in order.
pub(super) fn windows(days: Days) -> Vec<Days> {
    let mut windows = Vec::new();
    let mut from = days.from;
    while from <= days.to {
        let to = from
            .saturating_add(time::Duration::days(DAYS_MAX - 1))
            .min(days.to);
        windows.push(Days { from, to });
        let Some(next) = to.next_day() else { break };
        from = next;
    }
    windows
}

fn halves(days: Days) -> (Days, Days) {
    let middle = days
        .from
        .saturating_add(time::Duration::days(days.count() / 2 - 1));
    let next = middle.next_day().unwrap_or(days.to);
    (
        Days {
            from: days.from,
            to: middle,
        },
        Days {
            from: next,
            to: days.to,
        },
    )
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn who_cannot_tell_is_not_idle() {
        let report = |role: &str, lag: Option<i64>, error: Option<&str>| {
            let mut report = StoreReport::of(role, None, "sqlite");
            report.lag = lag;
            report.error = error.map(str::to_owned);
            report
        };
        let said = |reports: &[StoreReport]| unpublished(ServiceName::Orders, reports);
        let store = report("store", None, Some("away"));
        assert_eq!(said(&[store.clone(), report("events", Some(0), None)]), None);
        for (lag, error, part) in [
            (Some(7), None, "7 events"),
            (None, None, "does not know"),
            (None, Some("timed out"), "timed out"),
            (Some(0), Some("timed out"), "timed out"),
        ] {
            let why = said(&[store.clone(), report("events", lag, error)]);
            assert!(why.is_some_and(|why| why.contains(part)), "{part}");
        }
        assert!(said(&[store]).is_some());
    }

    #[test]
    fn windows_cover_every_day_once() {
        let days = Days {
            from: date!(2009 - 12 - 01),
            to: date!(2011 - 12 - 09),
        };
        let windows = windows(days);
        assert_eq!(windows.len(), 3);
        assert!(windows.iter().all(|window| window.count() <= DAYS_MAX));
        assert_eq!(
            windows.iter().map(|window| window.count()).sum::<i64>(),
            days.count()
        );
        assert_eq!((windows[0].from, windows[2].to), (days.from, days.to));
        for pair in windows.windows(2) {
            assert_eq!(pair[0].to.next_day(), Some(pair[1].from));
        }
    }

    #[test]
    fn halves_cover_every_day_once() {
        for count in 2..9 {
            let from = date!(2010 - 01 - 01);
            let to = from + time::Duration::days(count - 1);
            let (earlier, later) = halves(Days { from, to });
            assert_eq!((earlier.from, later.to), (from, to));
            assert_eq!(earlier.to.next_day(), Some(later.from));
            assert!(earlier.count() >= 1 && later.count() >= 1);
        }
    }
}
