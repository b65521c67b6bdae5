//! Events that the service owns. The aggregate of all of them is the review, and `version` is the review's.
//!
//! They say that somebody rated something, and whether that shows; not in which words. Titles, texts and names stay where
//! they can be changed and taken back.

use emporium_event_bus::EventData;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::{Review, State};

/// Four events tell of a review's whole standing; each is a type of its own, because a schema belongs to one event.
macro_rules! review_events {
    ($($(#[$doc:meta])+ $name:ident = $kind:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
        pub struct $name {
            /// The review.
            pub review_id: Uuid,
            /// What it is about.
            pub product_id: Uuid,
            /// The customer who wrote it.
            pub author_id: Uuid,
            /// 1 to 5.
            pub rating: i16,
            /// Whether readers see it.
            pub state: State,
            /// When it was posted.
            #[serde(with = "time::serde::rfc3339")]
            pub posted_at: OffsetDateTime,
            /// The review's version after the change.
            pub version: i64,
        }

        impl EventData for $name {
            const TYPE: &'static str = $kind;
        }

        impl From<&Review> for $name {
            fn from(review: &Review) -> Self {
                Self {
                    review_id: review.id,
                    product_id: review.product_id,
                    author_id: review.author_id,
                    rating: review.rating,
                    state: review.state,
                    posted_at: review.created_at,
                    version: review.version,
                }
            }
        }
    )+};
}

review_events! {
    /// A review was posted, and shows.
    ReviewPosted = "review.posted.v1";
    /// Its author changed it.
    ReviewChanged = "review.changed.v1";
    /// A moderator has hidden it, or changed why.
    ReviewHidden = "review.hidden.v1";
    /// A moderator shows it again.
    ReviewShown = "review.shown.v1";
}

/// What happened to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnswerChange {
    /// It is new.
    Added,
    /// Its text changed.
    Changed,
    /// It is gone.
    Removed,
}

/// The seller answered a review, changed an answer or took one back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReviewAnswered {
    /// The review.
    pub review_id: Uuid,
    /// What it is about.
    pub product_id: Uuid,
    /// The customer who wrote the review.
    pub author_id: Uuid,
    /// The answer.
    pub answer_id: Uuid,
    /// What happened to it.
    pub change: AnswerChange,
    /// The review's version after the change.
    pub version: i64,
}

impl EventData for ReviewAnswered {
    const TYPE: &'static str = "review.answered.v1";
}
