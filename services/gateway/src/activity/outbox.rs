//! The queue between those who do something and the analytics service.
//!
//! What came first goes first; what finds the queue full is dropped, so that a burst costs its own end and not what is
//! older. A batch that got no answer is sent again with the ids it had, after pauses that grow to [`PAUSE_MAX`]; the service
//! knows them, so that nothing counts twice. A batch that is refused is dropped: the same batch would be refused again.
//! Every activity is counted once as emitted, and once as delivered or dropped.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use emporium_service_kit::client::CallError;
use emporium_service_kit::metrics::{self, Metrics};
use prometheus::{IntCounterVec, IntGauge};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::clients::ActivityLog;
use crate::clients::activity::{Activity, What};

/// Activities of one batch: as many as analytics takes.
const BATCH_MAX: usize = 500;
/// Bytes of a batch, by [`weight`]; analytics reads 256 KiB.
const BATCH_BYTES_MAX: usize = 200 * 1024;
/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_millis(200);
/// The first and the longest pause after a batch that got no answer.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a stopping gateway goes on sending.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

const FULL: &str = "queue-full";
const REFUSED: &str = "refused";
const STOPPING: &str = "stopping";

/// Where activities go in. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    queue: mpsc::Sender<Activity>,
    measures: Measures,
}

/// Where they come out.
pub struct Outbox {
    log: ActivityLog,
    measures: Measures,
    /// Kept here and not in a task, so that a task that failed loses nothing.
    held: Mutex<Held>,
}

struct Held {
    queue: mpsc::Receiver<Activity>,
    /// Taken out of the queue and not delivered yet.
    batch: Vec<Activity>,
    bytes: usize,
}

#[derive(Clone)]
struct Measures {
    emitted: IntCounterVec,
    delivered: IntCounterVec,
    dropped: IntCounterVec,
    waiting: IntGauge,
}

/// A queue that holds `size` activities, and its other end.
pub fn outbox(log: ActivityLog, metrics: &Metrics, size: usize) -> (Sender, Arc<Outbox>) {
    let (sender, receiver) = mpsc::channel(size.max(1));
    let measures = Measures::new(metrics);
    let outbox = Outbox {
        log,
        measures: measures.clone(),
        held: Mutex::new(Held {
            queue: receiver,
            batch: Vec::new(),
            bytes: 0,
        }),
    };
    let sender = Sender {
        queue: sender,
        measures,
    };
    (sender, Arc::new(outbox))
}

impl Measures {
    fn new(metrics: &Metrics) -> Self {
        let counter = |name, help, label| metrics.register(metrics::counter(name, help, &[label]));
        let waiting = metrics::gauge(
            "emporium_gateway_activities_waiting",
            "Activities of visitors that are not delivered yet.",
        );
        Self {
            emitted: counter(
                "emporium_gateway_activities_emitted_total",
                "Activities of visitors, by what they did.",
                "kind",
            ),
            delivered: counter(
                "emporium_gateway_activities_delivered_total",
                "Activities that analytics has taken.",
                "kind",
            ),
            dropped: counter(
                "emporium_gateway_activities_dropped_total",
                "Activities that were not delivered, by the reason.",
                "reason",
            ),
            waiting: metrics.register(waiting),
        }
    }

    fn drop_all(&self, reason: &str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.dropped.with_label_values(&[reason]).inc_by(count);
    }
}

impl Sender {
    /// Puts an activity into the queue, or drops it when there is no room. Never waits.
    pub fn send(&self, activity: Activity) {
        let measures = &self.measures;
        measures.emitted.with_label_values(&[activity.what.kind()]).inc();
        match self.queue.try_send(activity) {
            Ok(()) => measures.waiting.inc(),
            Err(TrySendError::Full(_)) => measures.drop_all(FULL, 1),
            Err(TrySendError::Closed(_)) => measures.drop_all(STOPPING, 1),
        }
    }
}

impl Outbox {
    /// Sends until `stop`, then what is left, for at most [`FLUSH_TIMEOUT`].
    pub async fn run(&self, stop: CancellationToken) {
        let mut held = self.held.lock().await;
        // What is under way when the gateway stops is sent again by the flush, and counts once.
        let _ = stop.run_until_cancelled(self.pump(&mut held)).await;
        held.queue.close();
        let in_time = timeout(FLUSH_TIMEOUT, self.flush(&mut held)).await;
        let mut left = held.batch.len();
        while held.queue.try_recv().is_ok() {
            left += 1;
        }
        held.clear();
        self.measures.waiting.set(0);
        self.measures.drop_all(STOPPING, left);
        if in_time.is_err() || left > 0 {
            tracing::warn!(left, "activities of visitors were not delivered before the end");
        }
    }

    async fn pump(&self, held: &mut Held) {
        loop {
            held.fill().await;
            let mut pauses = pauses();
            while !self.deliver(held).await {
                tokio::time::sleep(pauses.next().unwrap_or(PAUSE_MAX)).await;
            }
        }
    }

    async fn flush(&self, held: &mut Held) {
        let mut pauses = pauses();
        loop {
            held.top_up();
            if held.batch.is_empty() {
                return;
            }
            if !self.deliver(held).await {
                tokio::time::sleep(pauses.next().unwrap_or(PAUSE_MAX)).await;
            }
        }
    }

    /// True when the batch is done with, one way or the other.
    async fn deliver(&self, held: &mut Held) -> bool {
        let count = held.batch.len();
        match self.log.record(&held.batch).await {
            Ok(recorded) => {
                if recorded.received != count as u64 {
                    tracing::warn!(
                        count,
                        recorded.received,
                        "analytics read another number of activities"
                    );
                }
                for activity in &held.batch {
                    let kind = [activity.what.kind()];
                    self.measures.delivered.with_label_values(&kind).inc();
                }
            }
            Err(error) if refused(&error) => {
                tracing::error!(%error, count, "analytics refuses activities; they are dropped");
                self.measures.drop_all(REFUSED, count);
            }
            Err(error) => {
                tracing::debug!(%error, count, "activities wait for analytics");
                return false;
            }
        }
        self.measures
            .waiting
            .sub(i64::try_from(count).unwrap_or_default());
        held.clear();
        true
    }
}

impl Held {
    /// Waits for an activity, and a moment for more.
    async fn fill(&mut self) {
        if self.batch.is_empty() {
            match self.queue.recv().await {
                Some(activity) => self.add(activity),
                None => std::future::pending().await,
            }
        }
        let end = Instant::now() + LINGER;
        while self.has_room() {
            match timeout_at(end, self.queue.recv()).await {
                Ok(Some(activity)) => self.add(activity),
                _ => return,
            }
        }
    }

    /// Takes what is there, without waiting.
    fn top_up(&mut self) {
        while self.has_room() {
            match self.queue.try_recv() {
                Ok(activity) => self.add(activity),
                Err(_) => return,
            }
        }
    }

    fn has_room(&self) -> bool {
        self.batch.len() < BATCH_MAX && self.bytes < BATCH_BYTES_MAX
    }

    fn add(&mut self, activity: Activity) {
        self.bytes += weight(&activity);
        self.batch.push(activity);
    }

    fn clear(&mut self) {
        self.batch.clear();
        self.bytes = 0;
    }
}

/// At least the bytes of its JSON: four UUIDs with their names, and a text in which each byte may be escaped.
fn weight(activity: &Activity) -> usize {
    const REST: usize = 300;
    match &activity.what {
        What::Search { query, .. } => REST + 2 * query.len(),
        _ => REST,
    }
}

/// The batch was read, and is not acceptable. Everything else may be otherwise the next time.
fn refused(error: &CallError) -> bool {
    matches!(
        error.status().map(|status| status.as_u16()),
        Some(400 | 413 | 422)
    )
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(PAUSE_MIN)
        .with_max_delay(PAUSE_MAX)
        .without_max_times()
        .with_jitter()
        .build()
}
