//! The part of the suite about servers that die, or stand still, in the middle of the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use emporium_service_kit::StoreError;
use emporium_test_kit::contract::{all_away, away, kill_amid};
use emporium_test_kit::eventually;
use futures::future::join_all;
use uuid::Uuid;

use super::{Bench, draft, edit, hide, list, opinion};
use crate::listing::{NewestReviews, Viewer, Which};
use crate::model::Review;
use crate::store::{AnswerDraft, Edited, ReviewStore};

/// Longest time until a store that is back has to be used again, in seconds.
const RECOVERY_MAX: u64 = 5;
const WRITERS: usize = 8;

/// What is tested.
pub type Own = emporium_test_kit::Own<Bench>;

/// Edits a review of its own without pause and remembers the last version that was acknowledged.
struct Writer {
    review: Review,
    acknowledged: AtomicI64,
}

impl Writer {
    async fn run(&self, store: &Arc<dyn ReviewStore>, stop: &AtomicBool) {
        let mut version = self.review.version;
        for rating in (1..=5).cycle() {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            match store.edit(&edit(&self.review, version, opinion(rating))).await {
                Ok(Edited::Done(review)) => {
                    version = review.version;
                    self.acknowledged.store(version, Ordering::SeqCst);
                }
                // The one before was written, but its answer was lost.
                Ok(Edited::Stale(newer)) => version = newer,
                Ok(Edited::Missing) => panic!("a review is lost"),
                // Not a tight loop while nobody is there.
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn version(&self) -> i64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// The server is killed while reviews are written, and starts again: all that was acknowledged is there, in the reviews, in
/// summaries and in the history, and the store works again within seconds.
pub async fn a_restart_loses_nothing(own: Own) {
    let Own { store: bench, server } = own;
    let product = Uuid::new_v4();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let review = bench.post(product, Uuid::new_v4(), opinion(3)).await;
        let acknowledged = AtomicI64::new(0);
        writers.push(Arc::new(Writer { review, acknowledged }));
    }
    let voter = Uuid::new_v4();
    bench.vote(&writers[0].review, voter, Some(true)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let running: Vec<_> = writers
        .iter()
        .map(|writer| {
            let (writer, store, stop) = (writer.clone(), bench.store.clone(), stop.clone());
            tokio::spawn(async move { writer.run(&store, &stop).await })
        })
        .collect();
    let versions = || writers.iter().map(|writer| writer.version()).collect();
    kill_amid(
        &*server,
        async || bench.store.ping().await,
        RECOVERY_MAX,
        versions,
    )
    .await;
    stop.store(true, Ordering::SeqCst);
    for ended in join_all(running).await {
        ended.unwrap();
    }

    let history = bench.history().await;
    for writer in &writers {
        let found = bench.find(&writer.review).await;
        // A write whose answer was lost may be there as well.
        assert!(
            found.version >= writer.version(),
            "{} < {}",
            found.version,
            writer.version()
        );
        let subject = writer.review.id.to_string();
        let versions = history.iter().filter(|event| event.subject == subject);
        let versions: Vec<i64> = versions.map(|event| event.aggregateversion).collect();
        let right: Vec<i64> = (1..=found.version).collect();
        assert_eq!(versions, right, "one event a version");
    }
    assert_eq!(bench.summary(product).await, bench.counted(product).await);
    assert_eq!(bench.find(&writers[0].review).await.helpful, 1);
}

/// The server stands still with its connections open: every verb fails in time, and works again soon after.
pub async fn a_pause_is_an_error_in_time(own: Own) {
    let Own { store: bench, server } = own;
    let store = &bench.store;
    let product = Uuid::new_v4();
    let review = bench.post(product, Uuid::new_v4(), opinion(3)).await;
    let (new, voter) = (draft(product, Uuid::new_v4(), opinion(1)), Uuid::new_v4());
    let answer = AnswerDraft {
        review_id: review.id,
        answer_id: Uuid::new_v4(),
        author_id: voter,
        text: "Thank you.".to_owned(),
    };
    let newest = NewestReviews {
        which: Which::By(review.author_id),
        before: None,
        max: 10,
    };
    let products = [product];
    server.pause().await;
    // The second round meets connections that are being opened.
    for _ in 0..2 {
        let (change, hidden, whole) = (edit(&review, 1, opinion(4)), hide(), list(product));
        let calls = [
            away("post", store.post(&new)),
            away("edit", store.edit(&change)),
            away("vote", store.vote(review.id, voter, Some(true))),
            away("answer", store.answer(&answer)),
            away(
                "take_answer_back",
                store.take_answer_back(review.id, answer.answer_id),
            ),
            away("moderate", store.moderate(review.id, &hidden)),
            away("find", store.find(review.id, Viewer::MODERATOR)),
            away("find_own", store.find_own(product, review.author_id)),
            away("of_product", store.of_product(&whole)),
            away("newest", store.newest(&newest)),
            away("summaries", store.summaries(&products)),
            away("history", store.history(0, 10)),
            away("ping", store.ping()),
        ];
        all_away(server.error_max(), calls).await;
    }
    server.resume().await;
    let found = eventually("it works again", RECOVERY_MAX, async || {
        store.post(&new).await.ok()?;
        store.vote(review.id, voter, Some(true)).await.ok()?;
        store.find(review.id, Viewer::customer(voter)).await.ok()?
    })
    .await;
    assert_eq!((found.own_vote, found.helpful), (Some(true), 1));
    assert_eq!(bench.summary(product).await, bench.counted(product).await);
    let own = store.find_own(product, new.author_id).await.unwrap();
    assert_eq!(own.map(|review| review.rating), Some(1), "posted once");
}
