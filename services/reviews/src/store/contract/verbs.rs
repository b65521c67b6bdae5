//! The part of the suite about single verbs: what they do, refuse and leave alone.

use serde_json::json;
use time::Duration;
use uuid::Uuid;

use super::{Bench, draft, edit, hide, list, opinion, with_attributes};
use crate::listing::Viewer;
use crate::model::{ANSWERS_MAX, Opinion, State};
use crate::store::{AnswerDraft, Answered, Draft, Edit, Edited, Moderation, Posted, Voted};

/// Posting twice gives the first one's id and changes nothing; everything comes back as it went in.
pub async fn one_review_for_a_customer_and_product(bench: Bench) {
    let (product, author) = (Uuid::new_v4(), Uuid::new_v4());
    let given = Opinion {
        title: "<script>alert('x')</script> & \u{200F}שלום 👩‍👩‍👧".to_owned(),
        text: "a\n\tb\\u0000 \"quoted\" %00 '; DROP TABLE reviews_review; --".to_owned(),
        ..with_attributes(
            4,
            &json!({
                "pros": ["light", "<b>cheap</b>"], "cons": [], "fit": {"size": "small", "width": 3.5, "deep": {"er": [null, true]}},
                "largest": 9_007_199_254_740_991_i64, "least": -0.25, "zero": 0, "photos": [{"caption": "\"front\""}]
            }),
        )
    };
    assert_eq!(bench.store.find_own(product, author).await.unwrap(), None);
    let named = Draft {
        author_name: Some("Ada".to_owned()),
        ..draft(product, author, given.clone())
    };
    let Posted::Done(review) = bench.store.post(&named).await.unwrap() else {
        panic!("nothing is there");
    };
    let review = *review;
    let stored = Opinion {
        rating: review.rating,
        title: review.title.clone(),
        text: review.text.clone(),
        attributes: review.attributes.clone(),
    };
    assert_eq!(stored, given);
    assert_eq!(
        (review.version, review.state, review.verified),
        (1, State::Visible, false)
    );
    assert_eq!(review.author_name.as_deref(), Some("Ada"));
    assert_eq!(
        (review.created_at, review.updated_at),
        (bench.clock.now(), bench.clock.now())
    );

    let again = bench
        .store
        .post(&draft(product, author, opinion(1)))
        .await
        .unwrap();
    assert_eq!(again, Posted::Exists(review.id));
    assert_eq!(
        bench.store.find_own(product, author).await.unwrap().as_ref(),
        Some(&review)
    );
    let listed = bench.store.of_product(&list(product)).await.unwrap();
    assert_eq!(listed.items, std::slice::from_ref(&review));
    bench.post(Uuid::new_v4(), author, opinion(1)).await;
    bench.post(product, Uuid::new_v4(), opinion(2)).await;
    assert_eq!(bench.summary(product).await.unwrap().histogram, [0, 1, 0, 1, 0]);
}

/// An edit is for the version that was edited; sent again, it changes nothing; it is the author's alone.
pub async fn edits_need_the_version(bench: Bench) {
    let (product, author) = (Uuid::new_v4(), Uuid::new_v4());
    let first = bench.post(product, author, opinion(2)).await;
    bench.clock.advance(Duration::hours(1));
    let Edited::Done(second) = bench.store.edit(&edit(&first, 1, opinion(5))).await.unwrap() else {
        panic!("it is at version 1");
    };
    let second = *second;
    assert_eq!((second.version, second.rating), (2, 5));
    assert_eq!(
        (second.created_at, second.updated_at),
        (first.created_at, bench.clock.now())
    );
    assert_eq!(bench.summary(product).await.unwrap().histogram, [0, 0, 0, 0, 1]);

    bench.clock.advance(Duration::hours(1));
    let again = bench.store.edit(&edit(&first, 1, opinion(5))).await.unwrap();
    assert_eq!(
        again,
        Edited::Done(Box::new(second.clone())),
        "a repetition is no second edit"
    );
    let stale = bench.store.edit(&edit(&first, 1, opinion(1))).await.unwrap();
    assert_eq!(stale, Edited::Stale(2));
    let ahead = bench.store.edit(&edit(&first, 7, opinion(1))).await.unwrap();
    assert_eq!(ahead, Edited::Stale(2));
    let somebody = Edit {
        author_id: Uuid::new_v4(),
        ..edit(&second, 2, opinion(1))
    };
    assert_eq!(bench.store.edit(&somebody).await.unwrap(), Edited::Missing);
    let nothing = Edit {
        review_id: Uuid::new_v4(),
        ..edit(&second, 2, opinion(1))
    };
    assert_eq!(bench.store.edit(&nothing).await.unwrap(), Edited::Missing);
    assert_eq!(bench.find(&first).await, second);
}

/// One vote a customer and review, of either kind, none on one's own; a viewer sees the own vote.
pub async fn votes_are_cast_changed_and_taken_back(bench: Bench) {
    let review = bench.post(Uuid::new_v4(), Uuid::new_v4(), opinion(3)).await;
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(
        bench.vote(&review, one, None).await,
        (0, 0),
        "there is none to take back"
    );
    assert_eq!(bench.vote(&review, one, Some(true)).await, (1, 0));
    assert_eq!(bench.vote(&review, one, Some(true)).await, (1, 0));
    assert_eq!(bench.vote(&review, other, Some(false)).await, (1, 1));
    assert_eq!(bench.vote(&review, one, Some(false)).await, (0, 2));
    let seen = bench
        .store
        .find(review.id, Viewer::customer(one))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((seen.own_vote, seen.unhelpful, seen.version), (Some(false), 2, 1));
    assert_eq!(bench.find(&review).await.own_vote, None);
    assert_eq!(bench.vote(&review, one, Some(true)).await, (1, 1));
    assert_eq!(bench.vote(&review, other, None).await, (1, 0));
    assert_eq!(bench.vote(&review, other, None).await, (1, 0));
    assert_eq!(bench.vote(&review, one, None).await, (0, 0));

    for helpful in [Some(true), Some(false), None] {
        let own = bench
            .store
            .vote(review.id, review.author_id, helpful)
            .await
            .unwrap();
        assert_eq!(own, Voted::Own);
        let missing = bench.store.vote(Uuid::new_v4(), one, helpful).await.unwrap();
        assert_eq!(missing, Voted::Missing);
    }
}

/// Answers have the caller's ids, so that each is given once; at ten, an eleventh is refused.
pub async fn answers_are_given_changed_and_taken_back(bench: Bench) {
    let review = bench.post(Uuid::new_v4(), Uuid::new_v4(), opinion(3)).await;
    let seller = Uuid::new_v4();
    let answer = |n: u128, text: &str| AnswerDraft {
        review_id: review.id,
        answer_id: Uuid::from_u128(n),
        author_id: seller,
        text: text.to_owned(),
    };
    let give = async |draft: &AnswerDraft| match bench.store.answer(draft).await.unwrap() {
        Answered::Done(review, new) => (*review, new),
        other => panic!("{other:?}"),
    };
    let (first, new) = give(&answer(1, "Thank you.")).await;
    assert!(new);
    assert_eq!((first.version, first.answers[0].text.as_str()), (2, "Thank you."));
    bench.clock.advance(Duration::hours(1));
    assert_eq!(give(&answer(1, "Thank you.")).await, (first.clone(), false));
    let (changed, new) = give(&answer(1, "Thanks!")).await;
    assert_eq!((new, changed.version, changed.answers.len()), (false, 3, 1));
    let told = &changed.answers[0];
    assert_eq!(
        (told.created_at, told.updated_at),
        (first.answers[0].created_at, bench.clock.now())
    );
    assert_eq!(
        changed.updated_at, review.updated_at,
        "the author has changed nothing"
    );
    for n in 2..=10 {
        assert!(give(&answer(n, "More.")).await.1);
    }
    assert_eq!(
        bench.store.answer(&answer(11, "Too much.")).await.unwrap(),
        Answered::Full
    );
    assert!(
        !give(&answer(10, "Less.")).await.1,
        "those that are there may change"
    );
    let after = bench
        .store
        .take_answer_back(review.id, Uuid::from_u128(3))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(after.answers.len(), ANSWERS_MAX - 1);
    let again = bench
        .store
        .take_answer_back(review.id, Uuid::from_u128(3))
        .await
        .unwrap();
    assert_eq!(again, Some(after));
    assert!(give(&answer(11, "In its place.")).await.1);
    let nothing = AnswerDraft {
        review_id: Uuid::new_v4(),
        ..answer(1, "x")
    };
    assert_eq!(bench.store.answer(&nothing).await.unwrap(), Answered::Missing);
    assert_eq!(
        bench
            .store
            .take_answer_back(Uuid::new_v4(), seller)
            .await
            .unwrap(),
        None
    );
}

/// A hidden review is neither listed nor counted nor voted on; its author may read and edit it, and it stays hidden.
pub async fn hidden_reviews_are_for_few(bench: Bench) {
    let (product, author, reader) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let review = bench.post(product, author, opinion(1)).await;
    bench.vote(&review, reader, Some(true)).await;
    let hidden = bench.moderate(&review, hide()).await;
    assert_eq!((hidden.state, hidden.version), (State::Hidden, 2));
    assert_eq!(hidden.hidden_reason.as_deref(), Some("off topic"));
    assert_eq!(
        bench.moderate(&review, hide()).await.version,
        2,
        "it is hidden already"
    );
    let otherwise = bench.moderate(&review, Moderation::Hide("spam".to_owned())).await;
    assert_eq!(
        (otherwise.version, otherwise.hidden_reason.as_deref()),
        (3, Some("spam"))
    );

    assert_eq!(bench.store.of_product(&list(product)).await.unwrap().items, []);
    assert_eq!(bench.summary(product).await, None);
    for stranger in [Viewer::default(), Viewer::customer(reader)] {
        assert_eq!(bench.store.find(review.id, stranger).await.unwrap(), None);
    }
    let vote = bench.store.vote(review.id, reader, Some(false)).await.unwrap();
    assert_eq!(vote, Voted::Missing);
    assert_eq!(
        bench
            .store
            .find(review.id, Viewer::customer(author))
            .await
            .unwrap(),
        Some(otherwise)
    );
    let again = bench
        .store
        .post(&draft(product, author, opinion(5)))
        .await
        .unwrap();
    assert_eq!(
        again,
        Posted::Exists(review.id),
        "hiding does not make room for another one"
    );
    let Edited::Done(edited) = bench.store.edit(&edit(&review, 3, opinion(4))).await.unwrap() else {
        panic!("it is at version 3");
    };
    assert_eq!((edited.state, edited.rating), (State::Hidden, 4));
    assert_eq!(bench.summary(product).await, None);

    let shown = bench.moderate(&review, Moderation::Show).await;
    assert_eq!(
        (shown.state, shown.hidden_reason, shown.helpful),
        (State::Visible, None, 1)
    );
    assert_eq!(
        bench.moderate(&review, Moderation::Show).await.version,
        shown.version
    );
    assert_eq!(bench.summary(product).await.unwrap().histogram, [0, 0, 0, 1, 0]);
    assert_eq!(bench.store.moderate(Uuid::new_v4(), &hide()).await.unwrap(), None);
}

/// Each version has its event, in order; votes and refused changes have none; no event has a word that somebody wrote.
pub async fn the_history_has_each_version_and_no_words(bench: Bench) {
    let words = "unmistakable";
    let review = bench
        .post(
            Uuid::new_v4(),
            Uuid::new_v4(),
            Opinion {
                title: words.to_owned(),
                text: words.to_owned(),
                ..with_attributes(2, &json!({ words: words }))
            },
        )
        .await;
    bench.vote(&review, Uuid::new_v4(), Some(true)).await;
    bench.store.edit(&edit(&review, 1, opinion(3))).await.unwrap();
    bench.store.edit(&edit(&review, 1, opinion(4))).await.unwrap();
    let answer = AnswerDraft {
        review_id: review.id,
        answer_id: Uuid::new_v4(),
        author_id: Uuid::new_v4(),
        text: words.to_owned(),
    };
    bench.store.answer(&answer).await.unwrap();
    bench.moderate(&review, Moderation::Hide(words.to_owned())).await;
    bench.moderate(&review, Moderation::Show).await;
    bench.moderate(&review, Moderation::Show).await;
    bench
        .store
        .take_answer_back(review.id, answer.answer_id)
        .await
        .unwrap();

    let history = bench.history().await;
    let kinds: Vec<&str> = history.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "review.posted.v1",
            "review.changed.v1",
            "review.answered.v1",
            "review.hidden.v1",
            "review.shown.v1",
            "review.answered.v1"
        ]
    );
    for (version, event) in (1..).zip(&history) {
        let data: serde_json::Value = event.data().unwrap();
        assert_eq!(
            (event.aggregateversion, &data["version"]),
            (version, &json!(version))
        );
        assert_eq!(
            (event.subject.as_str(), &data["review_id"]),
            (&*review.id.to_string(), &json!(review.id))
        );
        assert!(!event.data.get().contains(words), "{}", event.data.get());
    }
    let hidden: serde_json::Value = history[3].data().unwrap();
    assert_eq!(
        (&hidden["state"], &hidden["rating"]),
        (&json!("hidden"), &json!(3))
    );
}
