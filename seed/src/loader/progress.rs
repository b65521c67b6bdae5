//! What a load tells while it runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Owner;

/// How often a load reports, at most.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// How far the load of one kind of records is.
#[derive(Clone, Copy, Debug)]
pub struct ProgressEvent {
    /// Whose records they are.
    pub owner: Owner,
    /// Their kind, such as `products`.
    pub what: &'static str,
    /// Records that were handed to the connection so far.
    pub rows: u64,
    /// The mean since the beginning.
    pub rows_per_s: f64,
    /// Whether the owner has answered: all rows are in.
    pub finished: bool,
}

/// Who is told; cheap to clone.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(ProgressEvent) + Send + Sync>);

impl Progress {
    /// Tells `listener`, from any thread and at most five times a second for each kind.
    pub fn new(listener: impl Fn(ProgressEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Tells nobody.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }
}

/// Counts the rows of one load.
pub(super) struct Meter {
    progress: Progress,
    owner: Owner,
    what: &'static str,
    started: Instant,
    reported: Instant,
}

impl Meter {
    pub fn start(progress: &Progress, owner: Owner, what: &'static str) -> Self {
        let now = Instant::now();
        Self {
            progress: progress.clone(),
            owner,
            what,
            started: now,
            reported: now,
        }
    }

    /// Reports, if the last report is old enough.
    pub fn rows(&mut self, rows: u64) {
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            self.report(rows, false);
        }
    }

    /// Reports the end.
    pub fn finished(&self, rows: u64) {
        self.report(rows, true);
    }

    fn report(&self, rows: u64, finished: bool) {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
        let rows_per_s = rows as f64 / seconds;
        (self.progress.0)(ProgressEvent {
            owner: self.owner,
            what: self.what,
            rows,
            rows_per_s,
            finished,
        });
    }
}
