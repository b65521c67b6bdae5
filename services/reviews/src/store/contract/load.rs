//! The part of the suite about reviews of the past.

use time::Duration;
use uuid::Uuid;

use super::{Bench, bought, draft, list, opinion};
use crate::listing::Viewer;
use crate::model::Answer;
use crate::store::{PastReview, Posted};

fn past(bench: &Bench, product: Uuid, author: Uuid, rating: i16) -> PastReview {
    bench.tick();
    let created_at = bench.clock.now() - Duration::days(30);
    PastReview {
        id: emporium_service_kit::ids::derived(created_at, "test", author.as_bytes()),
        created_at,
        draft: draft(product, author, opinion(rating)),
        answers: Vec::new(),
        votes: Vec::new(),
    }
}

fn answer(at: &PastReview, days: i64) -> Answer {
    let at = at.created_at + Duration::days(days);
    Answer {
        id: Uuid::new_v4(),
        author_id: Uuid::new_v4(),
        text: "Thank you.".to_owned(),
        created_at: at,
        updated_at: at,
    }
}

/// They are as if posted, answered and voted on at their times: in lists, in summaries, in the history; a mark that was there
/// before them is theirs.
pub async fn reviews_of_the_past_are_as_if_posted_then(bench: Bench) {
    let (product, buyer) = (Uuid::new_v4(), Uuid::new_v4());
    bench.absorb(&[bought(buyer, product, 1)]).await;
    let plain = past(&bench, product, Uuid::new_v4(), 2);
    let voters = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    let mut rich = past(&bench, product, buyer, 5);
    rich.votes = vec![(voters[0], true), (voters[1], true), (voters[2], false)];
    rich.answers = vec![answer(&rich, 1), answer(&rich, 2)];
    assert_eq!(bench.store.load(&[plain.clone(), rich.clone()]).await.unwrap(), 2);

    let viewer = Viewer::customer(voters[2]);
    let found = bench.store.find(rich.id, viewer).await.unwrap().unwrap();
    assert_eq!(
        (found.helpful, found.unhelpful, found.own_vote),
        (2, 1, Some(false))
    );
    assert_eq!((&found.answers, found.version), (&rich.answers, 3));
    assert_eq!(
        (found.created_at, found.updated_at),
        (rich.created_at, rich.created_at)
    );
    assert!(found.verified);
    let listed = bench.pages(&list(product), 1).await;
    let ids: Vec<Uuid> = listed.iter().map(|review| review.id).collect();
    assert_eq!(ids, [rich.id, plain.id], "the newest first");
    assert_eq!(bench.summary(product).await.unwrap().histogram, [0, 1, 0, 0, 1]);
    assert_eq!(bench.summary(product).await, bench.counted(product).await);

    let history = bench.history().await;
    let mut told: Vec<(String, i64)> = history
        .iter()
        .filter(|event| event.subject == rich.id.to_string())
        .map(|event| (event.kind.clone(), event.aggregateversion))
        .collect();
    told.sort_by_key(|(_, version)| *version);
    let kinds = ["review.posted.v1", "review.answered.v1", "review.answered.v1"].map(str::to_owned);
    assert_eq!(told, kinds.into_iter().zip(1..).collect::<Vec<_>>());
    let times: Vec<_> = history.iter().map(|event| event.time).collect();
    assert!(times.contains(&rich.created_at) && times.contains(&rich.answers[1].created_at));
    // They are votes and versions like any.
    assert_eq!(bench.vote(&found, voters[2], None).await, (2, 0));
    bench.moderate(&found, super::hide()).await;
    assert_eq!(bench.find(&found).await.version, 4);
    assert_eq!(bench.summary(product).await.unwrap().histogram, [0, 1, 0, 0, 0]);
    // When their events come back, nothing changes.
    bench.absorb(&history).await;
    assert_eq!(bench.summary(product).await, bench.counted(product).await);
}

/// Loading again changes nothing; a customer's own review stays; of two of one chunk the first one counts.
pub async fn what_is_there_stays_when_the_past_is_loaded(bench: Bench) {
    let (product, author) = (Uuid::new_v4(), Uuid::new_v4());
    let own = bench.post(product, author, opinion(1)).await;
    let first = past(&bench, product, Uuid::new_v4(), 3);
    let same_pair = PastReview {
        draft: draft(product, first.draft.author_id, opinion(4)),
        ..past(&bench, product, Uuid::new_v4(), 4)
    };
    let mut same_id = past(&bench, product, Uuid::new_v4(), 5);
    same_id.id = first.id;
    same_id.votes = vec![(Uuid::new_v4(), true)];
    let chunk = [
        first.clone(),
        past(&bench, product, author, 5),
        same_pair,
        same_id,
    ];
    let events = bench.history().await.len();
    assert_eq!(bench.store.load(&chunk).await.unwrap(), 1);
    assert_eq!(bench.store.load(&chunk).await.unwrap(), 0);
    assert_eq!(bench.store.load(&[]).await.unwrap(), 0);
    assert_eq!(bench.history().await.len(), events + 1);
    let kept = bench.store.find_own(product, author).await.unwrap().unwrap();
    assert_eq!((kept.id, kept.rating), (own.id, 1));
    let loaded = bench
        .store
        .find(first.id, Viewer::default())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((loaded.rating, loaded.helpful), (3, 0));
    assert_eq!(bench.summary(product).await.unwrap().histogram, [1, 0, 1, 0, 0]);
}

/// Loads of the same, and customers who post meanwhile: one review each, and summaries that have them all.
pub async fn loads_and_posts_at_once_lose_nothing(bench: Bench) {
    let product = Uuid::new_v4();
    let authors: Vec<Uuid> = (0..40).map(|_| Uuid::new_v4()).collect();
    let chunk: Vec<PastReview> = authors
        .iter()
        .map(|author| past(&bench, product, *author, 4))
        .collect();
    let drafts: Vec<_> = authors
        .iter()
        .map(|author| draft(product, *author, opinion(2)))
        .collect();
    let posts = futures::future::join_all(drafts.iter().rev().map(|draft| bench.store.post(draft)));
    let loads = futures::future::join_all(
        chunk
            .chunks(8)
            .chain([chunk.as_slice()])
            .map(|part| bench.store.load(part)),
    );
    let (posted, loaded) = futures::join!(posts, loads);
    let done = |outcome: &Result<Posted, _>| matches!(outcome.as_ref().unwrap(), Posted::Done(_));
    let posted = i64::try_from(posted.iter().filter(|outcome| done(outcome)).count()).unwrap();
    let loaded: u64 = loaded.into_iter().map(Result::unwrap).sum();
    let loaded = i64::try_from(loaded).unwrap();
    assert_eq!(posted + loaded, 40);
    let summary = bench.summary(product).await.unwrap();
    assert_eq!(summary.histogram, [0, posted, 0, loaded, 0]);
    assert_eq!(Some(summary), bench.counted(product).await);
}
