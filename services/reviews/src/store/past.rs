//! What reviews of the past change and tell, whatever the store. Pure.

use emporium_event_bus::{EventData, NewEvent};
use emporium_service_kit::{StoreError, ids};

use super::PastReview;
use crate::changes::{Changes, Pair, Rated};
use crate::events::{AnswerChange, ReviewAnswered, ReviewPosted};
use crate::model::State;

/// How they count.
pub fn changes(reviews: &[&PastReview]) -> Changes {
    let mut changes = Changes::default();
    for review in reviews {
        let pair = Pair {
            customer_id: review.draft.author_id,
            product_id: review.draft.product_id,
        };
        // Answers move the review's version on, but nothing that summaries show: as in `conclude`.
        let rated = Rated {
            rating: review.draft.opinion.rating,
            visible: true,
            version: 1,
        };
        changes.rated(pair, rated);
    }
    changes
}

/// One for each version. Their ids follow from those of the reviews and answers, so one review never gives two of one version.
pub fn events(reviews: &[&PastReview]) -> Result<Vec<NewEvent>, StoreError> {
    let mut events = Vec::with_capacity(reviews.len());
    for review in reviews {
        let (draft, at) = (&review.draft, review.created_at);
        let posted = ReviewPosted {
            review_id: review.id,
            product_id: draft.product_id,
            author_id: draft.author_id,
            rating: draft.opinion.rating,
            state: State::Visible,
            posted_at: at,
            version: 1,
        };
        let id = ids::derived(at, ReviewPosted::TYPE, review.id.as_bytes());
        events.push(NewEvent::at(id, at, review.id, 1, &posted).map_err(failed)?);
        for (version, answer) in (2..).zip(&review.answers) {
            let answered = ReviewAnswered {
                review_id: review.id,
                product_id: draft.product_id,
                author_id: draft.author_id,
                answer_id: answer.id,
                change: AnswerChange::Added,
                version,
            };
            let key = [review.id.as_bytes().as_slice(), answer.id.as_bytes()].concat();
            let id = ids::derived(answer.created_at, ReviewAnswered::TYPE, &key);
            events.push(NewEvent::at(id, answer.created_at, review.id, version, &answered).map_err(failed)?);
        }
    }
    Ok(events)
}

fn failed(error: serde_json::Error) -> StoreError {
    StoreError::Failed(error.into())
}
