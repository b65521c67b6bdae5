//! Whether an index outside the database may answer just now, and if not, why.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Why an index must not answer. The text is for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nobody has looked yet.
    Unknown,
    /// There is no index, or none of this version's mapping, behind the alias.
    NotBuilt,
    /// The alias names the index of another database.
    Foreign,
    /// The server does not answer, or not in time.
    Silent(String),
    /// Changes of so long ago are not in it yet.
    Lagging(Duration),
}

impl Fault {
    /// One word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unknown | Self::NotBuilt => "not_built",
            Self::Foreign => "foreign",
            Self::Silent(_) => "silent",
            Self::Lagging(_) => "lagging",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("it has not been looked at yet"),
            Self::NotBuilt => f.write_str("the index is not built yet"),
            Self::Foreign => f.write_str(
                "the alias names the index of another database; give one of the shops an index prefix of its own, or POST /search/reindex",
            ),
            Self::Silent(reason) => write!(f, "the server does not answer: {reason}"),
            Self::Lagging(by) => write!(f, "it is {} s behind", by.as_secs()),
        }
    }
}

/// For so long a server is left alone that failed a caller; twice as long each time it does so again soon.
const HOLD_MIN: Duration = Duration::from_secs(1);
/// But no longer than this.
const HOLD_MAX: Duration = Duration::from_secs(16);
/// A server that kept its callers content for so long has a clean slate.
const STEADY: Duration = Duration::from_mins(1);

/// What is known of an index. Shared by all clones. It works as a circuit breaker: the first question that gets no answer
/// keeps the others away, and only whoever watches lets them in again, so no caller pays for finding out. A server that is
/// well when it is looked at, but too slow for what callers ask, is let in less and less often.
#[derive(Debug, Clone)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    fault: Option<Fault>,
    /// When it was let in last.
    well_since: Instant,
    /// How often it failed callers soon after it was let in.
    strikes: u32,
    /// It is not let in before this.
    held_until: Instant,
}

impl Default for Health {
    fn default() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            fault: Some(Fault::Unknown),
            well_since: now,
            strikes: 0,
            held_until: now,
        })))
    }
}

impl State {
    /// True when that is news.
    fn set(&mut self, fault: Option<Fault>) -> bool {
        let kind = |fault: &Option<Fault>| fault.as_ref().map(Fault::kind);
        let is_news = kind(&self.fault) != kind(&fault);
        self.fault = fault;
        is_news
    }
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What keeps the index from answering, if anything.
    pub fn fault(&self) -> Option<Fault> {
        self.state().fault.clone()
    }

    /// Notes what somebody found who looked; gives true when that is news.
    pub fn found(&self, fault: Option<Fault>, now: Instant) -> bool {
        let mut state = self.state();
        if fault.is_none() && state.fault.is_some() {
            if now < state.held_until {
                return false;
            }
            state.well_since = now;
        }
        state.set(fault)
    }

    /// Notes that a caller got no answer; gives true when that is news.
    pub fn failed(&self, fault: Fault, now: Instant) -> bool {
        let mut state = self.state();
        if state.fault.is_none() {
            let soon = now.saturating_duration_since(state.well_since) < STEADY;
            state.strikes = if soon { state.strikes.saturating_add(1) } else { 1 };
            let doubled = 2_u32.saturating_pow(state.strikes - 1);
            state.held_until = now + HOLD_MIN.saturating_mul(doubled).min(HOLD_MAX);
        }
        state.set(Some(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_fails_callers_again_and_again_is_let_in_less_and_less_often() {
        let (health, start) = (Health::default(), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        let slow = || Fault::Silent("slow".to_owned());
        assert!(health.found(None, at(0)), "the first look lets it in");
        let mut now = 0;
        for held in [1, 2, 4, 8, 16, 16] {
            assert!(health.failed(slow(), at(now)));
            assert!(!health.failed(slow(), at(now)), "others under way count once");
            assert!(!health.found(None, at(now + held - 1)) && health.fault().is_some());
            assert!(health.found(None, at(now + held)) && health.fault().is_none());
            now += held + 1;
        }
        assert!(health.failed(slow(), at(now + 60)), "well for a minute");
        assert!(health.found(None, at(now + 61)) && health.fault().is_none());
    }

    #[test]
    fn what_the_watch_finds_by_itself_is_not_held_against_the_server() {
        let (health, start) = (Health::default(), Instant::now());
        assert!(health.found(None, start) && health.found(Some(Fault::NotBuilt), start));
        assert!(health.found(None, start));
    }
}
