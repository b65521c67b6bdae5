//! How a group stands, kept in memory: what pages and reports show beside the data costs them no call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use emporium_service_kit::Clock;
use emporium_service_kit::metrics::Metrics;
use prometheus::{Gauge, IntCounter, IntGauge, Opts};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::bus::Progress;

/// Members look at the bus every second when nothing happens. What was seen longer ago than this is not called current.
const CURRENT: Duration = Duration::from_secs(3);
/// How often waiting dead letters are counted.
pub(super) const COUNT_EVERY: Duration = Duration::from_secs(5);
/// Characters of an error that the status keeps.
const ERROR_MAX: usize = 500;

/// What a group does just now, as far as this member knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupState {
    /// Events are applied as they come.
    Running,
    /// An operator has paused it.
    Paused,
    /// It is being built from the owners' histories.
    Rebuilding,
    /// What this member tried last failed; it tries again.
    Failing,
}

/// How a group stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GroupStatus {
    /// What it does.
    pub state: GroupState,
    /// What went wrong the last time, while it is failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often in a row it failed.
    pub failures: u32,
    /// Everything on the bus up to and with this position is applied; not known while it is being built.
    pub position: Option<i64>,
    /// The bus's last position.
    pub end: Option<i64>,
    /// Positions between the two.
    pub lag_events: Option<i64>,
    /// How long the first of these events has been on the bus, in milliseconds; 0 when there is none.
    pub lag_ms: Option<i64>,
    /// Everything that was put on the bus before this moment is applied, or put aside as a dead letter.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
    /// Events that could not be applied and wait for their replay; counted every few seconds, up to 10,000.
    pub dead_letters: i64,
}

/// What is known of a group.
#[derive(Default)]
struct Known {
    progress: Option<Progress>,
    looked: bool,
    /// When the bus was asked the last time.
    seen_at: Option<OffsetDateTime>,
    as_of: Option<OffsetDateTime>,
    paused: bool,
    failures: u32,
    error: Option<String>,
    dead_letters: i64,
    count_at: Option<Instant>,
}

/// Keeps the status of a group, and its metrics.
pub(super) struct Tracker {
    known: Mutex<Known>,
    clock: Clock,
    lag: IntGauge,
    lag_seconds: Gauge,
    dead: IntCounter,
}

impl Tracker {
    pub(super) fn new(group: &str, metrics: &Metrics) -> Self {
        let (lag, lag_seconds, dead) = measures(group);
        Self {
            known: Mutex::default(),
            clock: Clock::System,
            lag: metrics.register(lag),
            lag_seconds: metrics.register(lag_seconds),
            dead: metrics.register(dead),
        }
    }

    pub(super) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// The bus told how far the group is; it was asked at `asked`. What was published while it answered is not in that.
    pub(super) fn saw(&self, progress: Progress, asked: OffsetDateTime) {
        let mut known = self.known();
        let as_of = asked - progress.waited;
        // Two looks differ by how long each took. What was applied stays so, unless the group was set back.
        let set_back = known
            .progress
            .as_ref()
            .is_some_and(|before| progress.position < before.position);
        known.as_of = known
            .as_of
            .filter(|before| !set_back && *before > as_of)
            .or(Some(as_of));
        known.seen_at = Some(asked);
        known.paused = progress.paused;
        known.progress = Some(progress);
        known.looked = true;
        self.lag.set(progress.lag);
        self.lag_seconds.set(progress.waited.as_secs_f64());
    }

    /// The group is being built. What was applied before can still be read.
    pub(super) fn saw_building(&self, paused: bool) {
        let mut known = self.known();
        known.progress = None;
        known.looked = true;
        known.paused = paused;
    }

    /// So many positions more were passed. On a bus that is not `ordered` other members may hold events from before these, so
    /// that only the bus can tell when nothing waits.
    pub(super) fn passed(&self, positions: i64, ordered: bool) {
        let mut known = self.known();
        let Some(progress) = known.progress.as_mut() else {
            return;
        };
        progress.lag = (progress.lag - positions).max(0);
        let lag = progress.lag;
        if lag == 0 && ordered {
            progress.position = progress.end;
            progress.waited = Duration::ZERO;
            known.as_of = known.seen_at;
            self.lag_seconds.set(0.0);
        }
        self.lag.set(lag);
    }

    pub(super) fn worked(&self) {
        let mut known = self.known();
        known.failures = 0;
        known.error = None;
    }

    pub(super) fn failed(&self, error: &anyhow::Error) {
        let mut known = self.known();
        known.failures = known.failures.saturating_add(1);
        known.error = Some(shortened(error.to_string(), ERROR_MAX));
        if let Some(as_of) = known.as_of {
            self.lag_seconds
                .set((self.clock.now() - as_of).as_seconds_f64().max(0.0));
        }
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.known().paused = paused;
    }

    pub(super) fn is_paused(&self) -> bool {
        self.known().paused
    }

    /// Whether it is time to count dead letters again.
    pub(super) fn letters_are_due(&self) -> bool {
        let mut known = self.known();
        let due = known.count_at.is_none_or(|at| Instant::now() >= at);
        if due {
            known.count_at = Some(Instant::now() + COUNT_EVERY);
        }
        due
    }

    pub(super) fn set_letters(&self, waiting: i64) {
        self.known().dead_letters = waiting;
    }

    pub(super) fn one_more_letter(&self) {
        self.dead.inc();
        self.known().count_at = None;
    }

    pub(super) fn count_letters_soon(&self) {
        self.known().count_at = None;
    }

    pub(super) fn status(&self) -> GroupStatus {
        let now = self.clock.now();
        let known = self.known();
        let state = match &*known {
            Known { failures: 1.., .. } => GroupState::Failing,
            Known { paused: true, .. } => GroupState::Paused,
            Known {
                progress: None,
                looked: true,
                ..
            } => GroupState::Rebuilding,
            _ => GroupState::Running,
        };
        let lag_events = known.progress.map(|progress| progress.lag);
        let current = lag_events == Some(0) && known.seen_at.is_some_and(|at| now - at < CURRENT);
        let behind =
            |as_of: OffsetDateTime| i64::try_from((now - as_of).whole_milliseconds()).unwrap_or(i64::MAX);
        GroupStatus {
            state,
            error: known.error.clone(),
            failures: known.failures,
            position: known.progress.map(|progress| progress.position),
            end: known.progress.map(|progress| progress.end),
            lag_events,
            lag_ms: if current {
                Some(0)
            } else {
                known.as_of.map(|as_of| behind(as_of).max(0))
            },
            as_of: known.as_of,
            dead_letters: known.dead_letters,
        }
    }
}

/// A reason may quote the payload; what is kept is bounded, and says so.
pub(super) fn shortened(mut reason: String, max: usize) -> String {
    if let Some((end, _)) = reason.char_indices().nth(max) {
        reason.truncate(end);
        reason.push_str(" … (cut)");
    }
    reason
}

/// The group's name is a constant label of its own metrics, so that the groups of one service share the metrics' names.
#[allow(clippy::expect_used)] // names are constants: a bad one is found by the first test that makes a group
fn measures(group: &str) -> (IntGauge, Gauge, IntCounter) {
    let lag = Opts::new(
        "emporium_consumer_lag",
        "Positions between the bus's end and the group.",
    );
    let lag_seconds = Opts::new(
        "emporium_consumer_lag_seconds",
        "How long the first event that the group has not acknowledged has been on the bus.",
    );
    let dead = Opts::new("emporium_dead_letters_total", "Events put aside.");
    (
        IntGauge::with_opts(lag.const_label("group", group)).expect("a valid gauge"),
        Gauge::with_opts(lag_seconds.const_label("group", group)).expect("a valid gauge"),
        IntCounter::with_opts(dead.const_label("group", group)).expect("a valid counter"),
    )
}

#[cfg(test)]
mod tests {
    use emporium_service_kit::ServiceName;

    use super::*;

    fn tracker(now: OffsetDateTime) -> Tracker {
        let mut tracker = Tracker::new("group", &Metrics::new(ServiceName::Users));
        tracker.set_clock(Clock::manual(now));
        tracker
    }

    fn progress(lag: i64, waited: Duration) -> Progress {
        Progress {
            position: 10 - lag,
            end: 10,
            lag,
            waited,
            paused: false,
        }
    }

    #[test]
    fn what_was_published_while_the_bus_answered_is_not_in_it() {
        let asked = OffsetDateTime::UNIX_EPOCH;
        let tracker = tracker(asked + time::Duration::SECOND);
        tracker.saw(progress(0, Duration::ZERO), asked);
        assert_eq!(tracker.status().as_of, Some(asked));
    }

    #[test]
    fn passing_the_last_events_says_that_nothing_waits_only_on_an_ordered_bus() {
        let asked = OffsetDateTime::UNIX_EPOCH + time::Duration::HOUR;
        let waited = Duration::from_mins(5);
        for (ordered, as_of, position) in [(true, asked, 10), (false, asked - waited, 6)] {
            let tracker = tracker(asked);
            tracker.saw(progress(4, waited), asked);
            tracker.passed(4, ordered);
            let status = tracker.status();
            assert_eq!((status.as_of, status.position), (Some(as_of), Some(position)));
        }
    }
}
