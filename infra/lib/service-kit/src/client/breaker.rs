//! A circuit breaker: after some failures in a row, calls are refused for a moment instead of piling up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const FAILURES_MAX: u32 = 10;
const OPEN_FOR: Duration = Duration::from_millis(500);

/// Shared by all clones of a client. Closed: calls pass. Open: refused for [`OPEN_FOR`] after [`FAILURES_MAX`] failures
/// in a row. Then one call is let through as a probe; its outcome closes or re-opens the circuit.
#[derive(Clone, Default)]
pub(super) struct Breaker(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    pub(super) fn admits(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open_until {
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                // The probe: others stay out until it is back, or until it is overdue.
                state.open_until = Some(Instant::now() + OPEN_FOR);
                true
            }
            None => true,
        }
    }

    pub(super) fn note(&self, success: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if success {
            *state = State::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX {
            state.open_until = Some(Instant::now() + OPEN_FOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_failures_in_a_row_and_closes_on_success() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert!(breaker.admits());
            breaker.note(false);
        }
        assert!(!breaker.admits());
        breaker.0.lock().unwrap().open_until = Some(Instant::now());
        assert!(breaker.admits(), "a probe is let through");
        assert!(!breaker.admits(), "but only one");
        breaker.note(true);
        assert!(breaker.admits());
    }
}
