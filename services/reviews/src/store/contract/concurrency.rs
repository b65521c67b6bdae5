//! The part of the suite about many at once.

use std::collections::BTreeSet;

use futures::future::join_all;
use uuid::Uuid;

use super::{Bench, bought, draft, edit, hide, opinion, refunded};
use crate::store::{Edited, Moderation, Posted, Voted};

/// Of many who post for one customer and product at once, one gets a review and the others its id.
pub async fn concurrent_posts_make_one_review(bench: Bench) {
    for _ in 0..5 {
        let (product, author) = (Uuid::new_v4(), Uuid::new_v4());
        let drafts: Vec<_> = (0..16)
            .map(|n| draft(product, author, opinion(n % 5 + 1)))
            .collect();
        let outcomes = join_all(drafts.iter().map(|draft| bench.store.post(draft))).await;
        let mut posted = Vec::new();
        let mut ids = BTreeSet::new();
        for outcome in outcomes {
            match outcome.unwrap() {
                Posted::Done(review) => {
                    ids.insert(review.id);
                    posted.push(review);
                }
                Posted::Exists(id) => {
                    ids.insert(id);
                }
            }
        }
        assert_eq!((posted.len(), ids.len()), (1, 1));
        let summary = bench.summary(product).await.unwrap();
        assert_eq!(
            summary.histogram[usize::from(posted[0].rating.unsigned_abs()) - 1],
            1
        );
        assert_eq!(summary.count, 1);
    }
}

/// Votes that are cast and changed at once are counted exactly.
pub async fn concurrent_votes_all_count(bench: Bench) {
    let review = bench.post(Uuid::new_v4(), Uuid::new_v4(), opinion(3)).await;
    let voters: Vec<Uuid> = (0..40).map(|_| Uuid::new_v4()).collect();
    // Each voter votes for both at once and so ends with one of them; every fourth takes the vote back as well.
    let calls = voters.iter().enumerate().flat_map(|(n, voter)| {
        let last = (n % 4 == 0).then_some(None);
        [Some(Some(true)), Some(Some(false)), last]
            .into_iter()
            .flatten()
            .map(|vote| bench.store.vote(review.id, *voter, vote))
    });
    for outcome in join_all(calls).await {
        assert!(matches!(outcome.unwrap(), Voted::Done(_)));
    }
    let (mut helpful, mut unhelpful) = (0, 0);
    for voter in &voters {
        let viewer = crate::listing::Viewer::customer(*voter);
        match bench
            .store
            .find(review.id, viewer)
            .await
            .unwrap()
            .unwrap()
            .own_vote
        {
            Some(true) => helpful += 1,
            Some(false) => unhelpful += 1,
            None => {}
        }
    }
    let found = bench.find(&review).await;
    assert_eq!((found.helpful, found.unhelpful), (helpful, unhelpful));
    assert!(helpful + unhelpful >= 30, "only ten were ever taken back");
}

/// Of edits that were made from the same version at once, one is taken, and the others are told.
pub async fn concurrent_edits_lose_nothing(bench: Bench) {
    let review = bench.post(Uuid::new_v4(), Uuid::new_v4(), opinion(3)).await;
    for version in 1..=5 {
        let edits: Vec<_> = (0..8)
            .map(|n| {
                let mut opinion = opinion(n % 5 + 1);
                opinion.text = format!("edit {n} of version {version}");
                edit(&review, version, opinion)
            })
            .collect();
        let outcomes = join_all(edits.iter().map(|edit| bench.store.edit(edit))).await;
        let mut taken = Vec::new();
        for outcome in outcomes {
            match outcome.unwrap() {
                Edited::Done(review) => taken.push(review),
                other => assert_eq!(other, Edited::Stale(version + 1)),
            }
        }
        assert_eq!(taken.len(), 1);
        assert_eq!(bench.find(&review).await, *taken[0]);
    }
}

/// Customers post, edit, vote and buy while moderators hide and show, all about the same few products: nobody is turned
/// away, and summaries are what the lists say.
pub async fn everything_at_once_keeps_summaries_right(bench: Bench) {
    let products: Vec<Uuid> = (0..3).map(|_| Uuid::new_v4()).collect();
    let one_customer = async |n: i16| {
        let customer = Uuid::new_v4();
        for (turn, product) in (0..).zip(&products) {
            let deliver = async {
                bench.absorb(&[bought(customer, *product, 2)]).await;
                bench
                    .absorb(&[refunded(customer, *product, 1 + i64::from(n % 2))])
                    .await;
            };
            let act = async {
                let review = bench.post(*product, customer, opinion((n + turn) % 5 + 1)).await;
                bench.vote(&review, Uuid::new_v4(), Some(true)).await;
                bench
                    .store
                    .edit(&edit(&review, 1, opinion(n % 5 + 1)))
                    .await
                    .unwrap();
                if n % 3 == 0 {
                    bench.moderate(&review, hide()).await;
                }
                if n % 6 == 0 {
                    bench.moderate(&review, Moderation::Show).await;
                }
            };
            futures::join!(deliver, act);
        }
    };
    let replay = async {
        // The consumer brings the same changes once more, in batches that touch all products.
        for _ in 0..10 {
            let history = bench.history().await;
            bench.absorb(&history).await;
        }
    };
    futures::join!(join_all((0..24).map(one_customer)), replay);
    for product in &products {
        let summary = bench.summary(*product).await;
        assert_eq!(summary, bench.counted(*product).await);
        let summary = summary.unwrap();
        assert_eq!(
            summary.count,
            24 - 8 + 4,
            "a third is hidden, half of those shown again"
        );
        assert!(
            summary.verified > 0 && summary.verified < summary.count,
            "{summary:?}"
        );
    }
}
