//! Random sequences of operations, compared with a plain in-memory model of what reviews are. The model is written from the
//! contract, not from the adapters.

use emporium_test_kit::{check_sequences, sequences};
use time::Duration;
use uuid::Uuid;

use super::{Bench, bought, draft, list, named, opinion, refunded};
use crate::listing::{ProductReviews, Sort, Viewer};
use crate::model::{Answer, Review, State, Votes};
use crate::store::{AnswerDraft, Answered, Edit, Edited, Moderation, Posted, Voted};

mod operation;
mod oracle;
use operation::{Operation, operation};
use oracle::Model;

const CUSTOMERS: u8 = 3;
const PRODUCTS: u8 = 2;

/// Does one operation to both and compares what they give.
async fn step(bench: &Bench, model: &mut Model, operation: &Operation) {
    bench.clock.advance(Duration::milliseconds(2));
    match operation {
        Operation::Post { who, what, rating } => post(bench, model, (*who, *what), *rating).await,
        Operation::Edit {
            who,
            review,
            rating,
            off,
        } => edit(bench, model, (*who, *review), *rating, *off).await,
        Operation::Vote { who, review, helpful } => vote(bench, model, (*who, *review), *helpful).await,
        Operation::Answer { review, answer, text } => {
            give_answer(bench, model, *review, (*answer, *text)).await;
        }
        Operation::TakeBack { review, answer } => take_back(bench, model, *review, *answer).await,
        Operation::Hide { review, reason } => {
            moderate(bench, model, *review, Some(format!("reason {reason}"))).await;
        }
        Operation::Show { review } => moderate(bench, model, *review, None).await,
        Operation::Buy { .. } | Operation::Refund { .. } | Operation::Name { .. } => {
            tell(bench, model, operation).await;
        }
        Operation::Again { event } => {
            if !model.told.is_empty() {
                let again = model.told[usize::from(*event) % model.told.len()].clone();
                bench.absorb(&[again]).await;
            }
        }
        Operation::Own => {
            // Histories of other sequences are in it, too.
            let mut own = bench.history().await;
            let late = own.split_off(own.len().saturating_sub(20));
            bench.absorb(&late).await;
        }
        Operation::List {
            what,
            sort,
            rating,
            verified,
        } => {
            let wanted = ProductReviews {
                sort: Sort::ALL[usize::from(*sort)],
                rating: *rating,
                verified: *verified,
                // A page may be over before it has found anything.
                look: 2,
                ..list(model.what(*what))
            };
            assert_eq!(bench.pages(&wanted, 2).await, model.list(&wanted));
        }
    }
}

async fn post(bench: &Bench, model: &mut Model, (who, what): (u8, u8), rating: i16) {
    let (author, product) = (model.who(who), model.what(what));
    let mut new = draft(product, author, opinion(rating));
    new.author_name = Some("given".to_owned());
    let there = model
        .reviews
        .iter()
        .find(|review| review.author_id == author && review.product_id == product);
    match bench.store.post(&new).await.unwrap() {
        Posted::Exists(id) => assert_eq!(Some(id), there.map(|review| review.id)),
        Posted::Done(review) => {
            assert!(there.is_none());
            let now = bench.clock.now();
            model.reviews.push(Review {
                id: review.id,
                product_id: product,
                author_id: author,
                author_name: Some("given".to_owned()),
                rating,
                title: new.opinion.title,
                text: new.opinion.text,
                attributes: new.opinion.attributes,
                state: State::Visible,
                hidden_reason: None,
                verified: false,
                helpful: 0,
                unhelpful: 0,
                own_vote: None,
                answers: Vec::new(),
                version: 1,
                created_at: now,
                updated_at: now,
            });
            assert_eq!(
                *review,
                model.seen(model.reviews.len() - 1, Viewer::customer(author))
            );
        }
    }
}

async fn edit(bench: &Bench, model: &mut Model, (who, n): (u8, u8), rating: i16, off: i64) {
    let author = model.who(who);
    let version = model.at(n).map_or(1, |place| model.reviews[place].version) + off;
    let change = Edit {
        review_id: model.id(n),
        author_id: author,
        version,
        opinion: opinion(rating),
    };
    let given = bench.store.edit(&change).await.unwrap();
    let Some(place) = model
        .at(n)
        .filter(|place| model.reviews[*place].author_id == author)
    else {
        assert_eq!(given, Edited::Missing);
        return;
    };
    let review = &mut model.reviews[place];
    if review.rating != rating {
        if review.version != version {
            assert_eq!(given, Edited::Stale(review.version));
            return;
        }
        review.rating = rating;
        review.title = change.opinion.title;
        review.version += 1;
        review.updated_at = bench.clock.now();
    }
    assert_eq!(
        given,
        Edited::Done(Box::new(model.seen(place, Viewer::customer(author))))
    );
}

async fn vote(bench: &Bench, model: &mut Model, (who, n): (u8, u8), helpful: Option<bool>) {
    let voter = model.who(who);
    let given = bench.store.vote(model.id(n), voter, helpful).await.unwrap();
    let right = match model.at(n).map(|place| &model.reviews[place]) {
        Some(review) if review.author_id == voter => Voted::Own,
        Some(review) if review.state == State::Visible => {
            let id = review.id;
            match helpful {
                Some(helpful) => model.votes.insert((id, voter), helpful),
                None => model.votes.remove(&(id, voter)),
            };
            Voted::Done(Votes {
                helpful: model.count(id, true),
                unhelpful: model.count(id, false),
                own_vote: helpful,
            })
        }
        _ => Voted::Missing,
    };
    assert_eq!(given, right);
}

async fn give_answer(bench: &Bench, model: &mut Model, n: u8, (which, text): (u8, u8)) {
    let answered = AnswerDraft {
        review_id: model.id(n),
        answer_id: Uuid::from_u128(u128::from(which) + 1),
        author_id: Uuid::from_u128(9),
        text: format!("text {text}"),
    };
    let given = bench.store.answer(&answered).await.unwrap();
    let Some(place) = model.at(n) else {
        assert_eq!(given, Answered::Missing);
        return;
    };
    let now = bench.clock.now();
    let review = &mut model.reviews[place];
    let there = review
        .answers
        .iter_mut()
        .find(|answer| answer.id == answered.answer_id);
    let new = there.is_none();
    match there {
        Some(answer) if answer.text == answered.text => {}
        Some(answer) => {
            answer.text = answered.text;
            answer.updated_at = now;
            review.version += 1;
        }
        None => {
            review.answers.push(Answer {
                id: answered.answer_id,
                author_id: answered.author_id,
                text: answered.text,
                created_at: now,
                updated_at: now,
            });
            review.version += 1;
        }
    }
    assert_eq!(
        given,
        Answered::Done(Box::new(model.seen(place, Viewer::MODERATOR)), new)
    );
}

async fn take_back(bench: &Bench, model: &mut Model, n: u8, which: u8) {
    let answer = Uuid::from_u128(u128::from(which) + 1);
    let given = bench.store.take_answer_back(model.id(n), answer).await.unwrap();
    let right = model.at(n).map(|place| {
        let review = &mut model.reviews[place];
        let before = review.answers.len();
        review.answers.retain(|given| given.id != answer);
        review.version += i64::from(review.answers.len() < before);
        model.seen(place, Viewer::MODERATOR)
    });
    assert_eq!(given, right);
}

async fn moderate(bench: &Bench, model: &mut Model, n: u8, reason: Option<String>) {
    let moderation = reason.clone().map_or(Moderation::Show, Moderation::Hide);
    let given = bench.store.moderate(model.id(n), &moderation).await.unwrap();
    let right = model.at(n).map(|place| {
        let review = &mut model.reviews[place];
        let state = State::of(reason.is_none());
        if (review.state, &review.hidden_reason) != (state, &reason) {
            review.state = state;
            review.hidden_reason = reason;
            review.version += 1;
        }
        model.seen(place, Viewer::MODERATOR)
    });
    assert_eq!(given, right);
}

/// What orders and users tell.
async fn tell(bench: &Bench, model: &mut Model, operation: &Operation) {
    let event = match operation {
        Operation::Buy { who, what, units } => {
            let (who, what) = (model.who(*who), model.what(*what));
            *model.kept.entry((who, what)).or_default() += units;
            bought(who, what, *units)
        }
        Operation::Refund { who, what, units } => {
            let (who, what) = (model.who(*who), model.what(*what));
            *model.kept.entry((who, what)).or_default() -= units;
            refunded(who, what, *units)
        }
        Operation::Name { who, active, version } => {
            let (who, name) = (model.who(*who), format!("version {version}"));
            let newer = model.names.get(&who).is_none_or(|(known, _)| known < version);
            if newer {
                model.names.insert(who, (*version, active.then(|| name.clone())));
            }
            named(who, &name, *active, *version)
        }
        _ => return,
    };
    bench.absorb(std::slice::from_ref(&event)).await;
    model.told.push(event);
}

/// Everything that can be asked.
async fn compare(bench: &Bench, model: &Model) {
    let mut viewers = vec![Viewer::default(), Viewer::MODERATOR];
    viewers.push(Viewer::customer(model.who(0)));
    for (place, review) in model.reviews.iter().enumerate() {
        for viewer in &viewers {
            let seen = viewer
                .sees(review.author_id, review.state)
                .then(|| model.seen(place, *viewer));
            assert_eq!(bench.store.find(review.id, *viewer).await.unwrap(), seen);
        }
        let own = bench
            .store
            .find_own(review.product_id, review.author_id)
            .await
            .unwrap();
        assert_eq!(own, Some(model.seen(place, Viewer::customer(review.author_id))));
    }
    for product in &model.products {
        assert_eq!(bench.summary(*product).await, model.summary(*product));
        let wanted = list(*product);
        assert_eq!(bench.pages(&wanted, 50).await, model.list(&wanted));
    }
}

/// Checks many random sequences. `EMPORIUM_TEST_SEED` repeats a run.
pub fn check(bench: &Bench) {
    let config = sequences(bench.sequences, emporium_test_kit::seed());
    let operations = proptest::collection::vec(operation(), 1..24);
    check_sequences(config, &operations, async |operations| {
        let mut model = Model::new();
        for operation in &operations {
            step(bench, &mut model, operation).await;
        }
        compare(bench, &model).await;
    });
}
