//! What the starting of servers says. The test harness captures what tests print, so this goes around it.

use std::io::Write;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

/// Writes one line to standard error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes lines to standard error.
pub(crate) fn say_all(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Runs `work`; says what it is when that takes longer than two seconds, and again every fifteen.
pub(crate) async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    let mut ticks = tokio::time::interval_at(begin + Duration::from_secs(2), Duration::from_secs(15));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => say(&format!("{what} … {} s", begin.elapsed().as_secs())),
        }
    }
}
