//! What the suites of projections have in common: how events come (in any order, again, to many members at once, while the
//! server dies), and the two generations beside each other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use emporium_event_bus::history::HistoryItem;
use emporium_event_bus::projection::{Comparison, Cursor, Generations, Outcome, Piece, Work};
use emporium_event_bus::{ApplyError, CloudEvent, Consumer};
use emporium_service_kit::StoreError;
use futures::future::{join, join_all};
use rand::Rng;
use rand::seq::SliceRandom;
use uuid::Uuid;

use crate::{OwnServer, eventually};

/// Events of a batch of [`deliver`].
const BATCH: usize = 5;
/// After how many batches the server is killed.
const KILLED_AFTER: [usize; 2] = [100, 400];
/// How many [`members_deliver`].
const MEMBERS: usize = 6;
/// How long a member of [`Beside`] holds its rebuild: for the whole test.
const LEASE: Duration = Duration::from_mins(10);

/// Applies events, all at once.
pub async fn apply(projection: &dyn Consumer, events: &[CloudEvent]) {
    projection
        .apply(&events.iter().collect::<Vec<_>>())
        .await
        .unwrap();
}

/// Delivers events as the bus does: in batches, each again until it is acknowledged.
pub async fn deliver(projection: &dyn Consumer, events: &[CloudEvent]) {
    deliver_counted(projection, events, &AtomicUsize::new(0)).await;
}

async fn deliver_counted(projection: &dyn Consumer, events: &[CloudEvent], done: &AtomicUsize) {
    for batch in events.chunks(BATCH) {
        let batch: Vec<&CloudEvent> = batch.iter().collect();
        loop {
            match projection.apply(&batch).await {
                Ok(()) => break,
                // Not a tight loop while nobody is there.
                Err(ApplyError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
        }
        done.fetch_add(1, Ordering::SeqCst);
    }
}

/// The same with more than two thousand events, while the server is killed twice and started again.
pub async fn deliver_through_kills(
    projection: &dyn Consumer,
    events: &[CloudEvent],
    server: &dyn OwnServer,
    ping: impl AsyncFn() -> Result<(), StoreError>,
) {
    let done = AtomicUsize::new(0);
    let torment = async {
        for batches in KILLED_AFTER {
            assert!(events.len() > batches * BATCH, "that many are delivered");
            eventually("so many batches are acknowledged", 60, async || {
                (done.load(Ordering::SeqCst) >= batches).then_some(())
            })
            .await;
            server.kill().await;
            assert!(matches!(ping().await, Err(StoreError::Unavailable(_))));
            server.restart().await;
        }
    };
    join(deliver_counted(projection, events, &done), torment).await;
}

/// Delivers the same events by many members at once, each in an order and in batches of its own, so that they overlap in every
/// way. Nobody may be refused.
pub async fn members_deliver(projection: &dyn Consumer, events: &[CloudEvent]) {
    let member = async |turn: usize| {
        let mut mine: Vec<&CloudEvent> = events.iter().cycle().skip(turn * 37).take(events.len()).collect();
        if turn.is_multiple_of(2) {
            mine.reverse();
        }
        for batch in mine.chunks(5 + 3 * turn) {
            projection.apply(batch).await.unwrap();
        }
    };
    join_all((0..MEMBERS).map(member)).await;
}

/// An event like `good` that nobody can read is refused with its type and its id, and so is the batch it comes with.
pub async fn refuses_the_unreadable(projection: &dyn Consumer, good: &CloudEvent) {
    let mut bad = good.clone();
    bad.id = Uuid::now_v7();
    bad.data = serde_json::value::to_raw_value(&serde_json::json!({"order_id": 7})).unwrap();
    let refused = projection.apply(&[good, &bad]).await.unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, ApplyError::Rejected(_)), "{text}");
    assert!(
        text.contains(&good.kind) && text.contains(&bad.id.to_string()),
        "{text}"
    );
}

/// The most of a batch, so that a history is many of them.
const BATCH_MAX: usize = 40;

/// Each one to three times, in any order, in batches of any size up to [`BATCH_MAX`].
pub fn deliveries<'a, T>(items: impl IntoIterator<Item = &'a T>, rng: &mut impl Rng) -> Vec<Vec<&'a T>> {
    let mut all: Vec<&T> = items
        .into_iter()
        .flat_map(|item| std::iter::repeat_n(item, rng.random_range(1..=3)))
        .collect();
    all.shuffle(rng);
    let mut batches = Vec::new();
    while !all.is_empty() {
        let size = rng.random_range(1..=all.len().min(BATCH_MAX));
        batches.push(all.split_off(all.len() - size));
    }
    batches
}

/// A projection's live generation, and the other one, which is being built beside it.
pub struct Beside<'a> {
    projection: &'a dyn Consumer,
    generations: &'a dyn Generations,
    work: Work,
}

impl<'a> Beside<'a> {
    /// Begins a rebuild from the histories of these owners (`/orders`). From here on, what is applied is applied to both.
    pub async fn begin(projection: &'a dyn Consumer, owners: &[&str]) -> Self {
        let generations = projection.generations().expect("it has two generations");
        let work = Work {
            rebuild: generations.want().await.unwrap(),
            member: Uuid::new_v4(),
            lease: LEASE,
        };
        let taken = generations.take(work.member, work.lease).await.unwrap();
        assert_eq!(taken.unwrap().id, work.rebuild);
        let owners: Vec<String> = owners.iter().map(|&owner| owner.to_owned()).collect();
        generations.begin(&work, &owners).await.unwrap();
        Self {
            projection,
            generations,
            work,
        }
    }

    /// Which rebuild it is.
    pub fn rebuild(&self) -> Uuid {
        self.work.rebuild
    }

    /// Fills the other generation with these events of an owner, as one piece of the history.
    pub async fn fill(&self, owner: &str, events: &[&CloudEvent]) {
        let kinds = self.projection.kinds_of_history();
        let items: Vec<HistoryItem> = (1..)
            .zip(events)
            .filter(|(_, event)| kinds.contains(&event.kind.as_str()))
            .map(|(position, event)| HistoryItem {
                position,
                event: (*event).clone(),
                recorded_at: None,
            })
            .collect();
        let read = i64::try_from(events.len()).unwrap();
        let piece = Piece {
            owner,
            items: &items.iter().collect::<Vec<_>>(),
            events: read,
            cursor: Cursor {
                after: read,
                ..Cursor::default()
            },
        };
        self.generations.fill(&self.work, &piece).await.unwrap();
    }

    /// Delivers events to both, differently: the other generation gets some of them first, in an order of its own, as if from the
    /// history of `/orders`; then both get all of them, and it passes over those that it has.
    pub async fn deliver(&self, events: &[&CloudEvent], rng: &mut impl Rng) {
        for batch in deliveries(events.iter().copied(), rng) {
            if rng.random_bool(0.7) {
                self.fill("/orders", &batch).await;
            }
        }
        for batch in deliveries(events.iter().copied(), rng) {
            self.projection.apply(&batch).await.unwrap();
        }
    }

    /// Compares both; `None` while the live one lacks what the other one has.
    pub async fn compare(&self) -> Option<Comparison> {
        self.generations.compare(&self.work, &[]).await.unwrap()
    }

    /// Both are equal; `when` says since what.
    pub async fn are_equal(&self, when: &str) -> Comparison {
        let comparison = self.compare().await.expect("both have the same events");
        assert!(comparison.equal(), "{when}: {:#?}", comparison.differences);
        comparison
    }

    /// Makes the other one the live one.
    pub async fn switch(self, comparison: &Comparison) -> Outcome {
        self.generations
            .switch(&self.work, Some(comparison))
            .await
            .unwrap()
    }
}
