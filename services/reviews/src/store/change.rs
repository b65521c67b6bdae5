//! What the verbs have in common whatever the store: which event tells of a change, and what becomes of answers. Pure.

use emporium_event_bus::NewEvent;
use emporium_service_kit::{Clock, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{AnswerDraft, Moderation};
use crate::events::{AnswerChange, ReviewAnswered, ReviewChanged, ReviewHidden, ReviewPosted, ReviewShown};
use crate::model::{ANSWERS_MAX, Answer, Review};

/// Which event tells of a change.
#[derive(Debug, Clone, Copy)]
pub enum Told {
    Posted,
    Changed,
    Hidden,
    Shown,
    Answered(Uuid, AnswerChange),
}

impl Told {
    /// Of a moderator's decision.
    pub fn of(moderation: &Moderation) -> Self {
        match moderation {
            Moderation::Show => Self::Shown,
            Moderation::Hide(_) => Self::Hidden,
        }
    }

    /// Whether summaries may show the change: what an answer changes, none does.
    pub fn counts(self) -> bool {
        !matches!(self, Self::Answered(..))
    }

    /// The event, of the review as it is after the change.
    pub fn event(self, review: &Review, clock: &Clock) -> Result<NewEvent, StoreError> {
        let (id, version) = (review.id, review.version);
        let event = match self {
            Self::Posted => NewEvent::now(clock, id, version, &ReviewPosted::from(review)),
            Self::Changed => NewEvent::now(clock, id, version, &ReviewChanged::from(review)),
            Self::Hidden => NewEvent::now(clock, id, version, &ReviewHidden::from(review)),
            Self::Shown => NewEvent::now(clock, id, version, &ReviewShown::from(review)),
            Self::Answered(answer_id, change) => {
                let data = ReviewAnswered {
                    review_id: id,
                    product_id: review.product_id,
                    author_id: review.author_id,
                    answer_id,
                    change,
                    version,
                };
                NewEvent::now(clock, id, version, &data)
            }
        };
        event.map_err(|error| StoreError::Failed(error.into()))
    }
}

/// There is no place for one more answer.
pub struct TooMany;

/// Puts an answer among those that are there; `None` when it says so already.
pub fn answered(
    answers: &mut Vec<Answer>,
    draft: &AnswerDraft,
    now: OffsetDateTime,
) -> Result<Option<AnswerChange>, TooMany> {
    if let Some(answer) = answers.iter_mut().find(|answer| answer.id == draft.answer_id) {
        if answer.text == draft.text {
            return Ok(None);
        }
        answer.text.clone_from(&draft.text);
        answer.updated_at = now;
        return Ok(Some(AnswerChange::Changed));
    }
    if answers.len() >= ANSWERS_MAX {
        return Err(TooMany);
    }
    answers.push(Answer {
        id: draft.answer_id,
        author_id: draft.author_id,
        text: draft.text.clone(),
        created_at: now,
        updated_at: now,
    });
    Ok(Some(AnswerChange::Added))
}
