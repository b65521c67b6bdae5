//! Which differences are real. Row by row, since a shop that trades all the time never stands still as a whole.
//!
//! A row differs for a moment whenever something is on its way from an owner to analytics. It differs for good when it stayed
//! exactly the same for [`SETTLED`], and in that time first each owner had published everything it had written down, and
//! then analytics had applied everything that was published: so whatever made the row was in analytics, if it ever came.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use emporium_service_kit::days::Days;

use super::compare::{self, Difference, Key, Pair, Window};
use super::totals::{Books, UnderWay};
use crate::Error;
use crate::terminal::Later;

/// How long a difference has to stay before it is believed: longer than relays and consumers take to notice anything.
const SETTLED: Duration = Duration::from_secs(3);
/// The pause between looks at days that differ.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What came of looking again.
pub(super) struct Outcome {
    /// Rows that differ for good.
    pub differences: Vec<Difference>,
    /// Rows that differed at every look, and moved or waited for what was on its way until the time was up.
    pub unsettled: Vec<Difference>,
    /// What was on its way at the last look, if anything.
    pub under_way: Option<String>,
}

/// Looks again at the rows that differ, until each has agreed once, or differs for good, or the time is up.
pub(super) async fn settle(
    books: &Books,
    windows: &mut [(Days, Window)],
    deadline: Instant,
    progress: &mut Later,
) -> Result<Outcome, Error> {
    let mut rows = Rows::new(windows, Instant::now());
    let mut under_way = None;
    while rows.are_open() && Instant::now() < deadline {
        progress.tell(format_args!(
            "{} rows differ; looking whether they stay so",
            rows.0.len()
        ));
        tokio::time::sleep(LOOK_AGAIN).await;
        // Asked first: what is applied by then is in what is read next.
        let moving = books.under_way().await?;
        for (days, window) in windows.iter_mut().filter(|(_, window)| window.differs()) {
            window.look_again(&books.ask(*days).await?);
        }
        rows.look(windows, &moving, Instant::now());
        under_way = moving.into_reason();
    }
    let (differences, unsettled) = compare::differing(windows).partition(|(key, _)| rows.is_settled(key));
    Ok(Outcome {
        differences: compare::told(differences),
        unsettled: compare::told(unsettled),
        under_way,
    })
}

/// How long a row has been as it is, and what was seen since.
#[derive(Debug)]
struct Standing {
    pair: Pair,
    since: Instant,
    /// Each owner had published everything at some moment.
    published: [bool; 2],
    /// Analytics had applied everything at some moment after that.
    applied: bool,
    settled: bool,
}

impl Standing {
    fn new(pair: Pair, since: Instant) -> Self {
        Self {
            pair,
            since,
            published: [false; 2],
            applied: false,
            settled: false,
        }
    }

    /// It was the same again, read after that was asked.
    fn stays(&mut self, moving: &UnderWay, now: Instant) {
        for (published, owner) in self.published.iter_mut().zip(&moving.owners) {
            *published |= owner.is_none();
        }
        self.applied |= self.published == [true; 2] && moving.analytics.is_none();
        self.settled |= self.applied && now.saturating_duration_since(self.since) >= SETTLED;
    }
}

/// The rows that differ.
#[derive(Debug)]
struct Rows(BTreeMap<Key, Standing>);

impl Rows {
    fn new(windows: &[(Days, Window)], now: Instant) -> Self {
        let rows = compare::differing(windows);
        Self(
            rows.map(|(key, pair)| (key.clone(), Standing::new(*pair, now)))
                .collect(),
        )
    }

    fn look(&mut self, windows: &[(Days, Window)], moving: &UnderWay, now: Instant) {
        let mut before = std::mem::take(&mut self.0);
        for (key, pair) in compare::differing(windows) {
            let mut standing = before.remove(key).unwrap_or_else(|| Standing::new(*pair, now));
            if standing.pair == *pair {
                standing.stays(moving, now);
            } else {
                standing = Standing::new(*pair, now);
            }
            self.0.insert(key.clone(), standing);
        }
    }

    fn are_open(&self) -> bool {
        self.0.values().any(|row| !row.settled)
    }

    fn is_settled(&self, key: &Key) -> bool {
        self.0.get(key).is_some_and(|row| row.settled)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::compare::tests::window;
    use super::*;

    const IDLE: UnderWay = UnderWay {
        owners: [None, None],
        analytics: None,
    };

    fn busy(orders: bool, payments: bool, analytics: bool) -> UnderWay {
        let busy = |is: bool| is.then(|| "busy".to_owned());
        UnderWay {
            owners: [busy(orders), busy(payments)],
            analytics: busy(analytics),
        }
    }

    /// One row a day: what orders and analytics say.
    fn days(rows: &[(i64, i64)]) -> Vec<(Days, Window)> {
        let first = date!(2010 - 12 - 01);
        let mut day = first;
        rows.iter()
            .map(|(orders, analytics)| {
                let one = (Days { from: day, to: day }, window(day, *orders, *analytics));
                day = day.next_day().unwrap();
                one
            })
            .collect()
    }

    /// Looks again at what there is now.
    fn again(windows: &mut [(Days, Window)], rows: &[(i64, i64)]) {
        for ((_, window), (_, fresh)) in windows.iter_mut().zip(days(rows)) {
            window.look_again(&fresh);
        }
    }

    #[test]
    fn an_old_difference_is_found_while_the_shop_trades() {
        let mut windows = days(&[(500, 499), (10, 9)]);
        let begun = Instant::now();
        let mut rows = Rows::new(&windows, begun);
        for look in 1..=10_u32 {
            let now = begun + Duration::from_millis(500) * look;
            let sold = i64::from(look) * 10;
            again(&mut windows, &[(500, 499), (10 + sold, 9 + sold)]);
            // Never idle as a whole: each part is, now and then.
            let moving = busy(look % 3 != 0, look % 3 != 1, look % 3 != 2);
            rows.look(&windows, &moving, now);
        }
        let settled: Vec<bool> = rows.0.values().map(|row| row.settled).collect();
        assert_eq!(settled, [true, false], "the second moves at every look");
        assert!(rows.are_open());
    }

    #[test]
    fn what_agrees_once_is_right() {
        let mut windows = days(&[(500, 499)]);
        let begun = Instant::now();
        let mut rows = Rows::new(&windows, begun);
        again(&mut windows, &[(510, 510)]);
        rows.look(&windows, &busy(true, true, true), begun);
        assert!(!rows.are_open());
        again(&mut windows, &[(520, 519)]);
        assert!(!windows[0].1.differs(), "it is not asked about any more");
    }

    #[test]
    fn nothing_settles_before_its_time_or_without_its_events() {
        let windows = days(&[(500, 499)]);
        let begun = Instant::now();
        let settled = |looks: &[(u64, UnderWay)]| {
            let mut rows = Rows::new(&windows, begun);
            for (ms, moving) in looks {
                rows.look(&windows, moving, begun + Duration::from_millis(*ms));
            }
            !rows.are_open()
        };
        assert!(!settled(&[(500, IDLE), (2_999, IDLE)]));
        assert!(settled(&[(500, IDLE), (3_000, busy(true, true, true))]));
        for never in [
            busy(true, false, false),
            busy(false, true, false),
            busy(false, false, true),
        ] {
            assert!(!settled(&[(500, never.clone()), (60_000, never)]));
        }
        // Analytics had applied everything only before the owners had published.
        let before = busy(true, true, false);
        let after = busy(false, false, true);
        assert!(!settled(&[(500, before.clone()), (60_000, after.clone())]));
        assert!(settled(&[(500, after), (60_000, before)]));
    }
}
