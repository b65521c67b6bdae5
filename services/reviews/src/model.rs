//! What a review is, and what callers send about one.
//!
//! Titles, texts, reasons and everything inside `attributes` are **plain text**. They are kept as they were written, `<` and
//! `&` included: whoever puts them on a page escapes them for that page.

use emporium_service_kit::garde;
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::attributes::{Attributes, bounded};
use crate::rules;

/// The longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 120;
/// The longest text of a review, in characters.
pub const TEXT_CHARS_MAX: usize = 8_000;
/// The longest answer, in characters.
pub const ANSWER_CHARS_MAX: usize = 4_000;
/// The most answers a review has.
pub const ANSWERS_MAX: usize = 10;

/// Whether readers see a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Everybody does: where every review begins.
    Visible,
    /// Its author and moderators do.
    Hidden,
}

impl State {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::Hidden => "hidden",
        }
    }

    /// From its name in a store.
    pub fn of(visible: bool) -> Self {
        if visible { Self::Visible } else { Self::Hidden }
    }
}

/// The seller's answer to a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    /// Chosen by whoever answered, so that sending it again does not answer twice.
    pub id: Uuid,
    /// The account that wrote it first.
    pub author_id: Uuid,
    /// Plain text.
    pub text: String,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its text was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A review, as one viewer sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Review {
    /// UUIDv7: by it, reviews are in the order in which they were posted.
    pub id: Uuid,
    /// What it is about.
    pub product_id: Uuid,
    /// The customer; each has one review a product.
    pub author_id: Uuid,
    /// The author's name, as the users service has it now, or as it was when the review was posted while that is not known here
    /// yet; null when the author is blocked, or was never named.
    pub author_name: Option<String>,
    /// 1 to 5.
    pub rating: i16,
    /// One line of plain text.
    pub title: String,
    /// Plain text; lines end with `\n`.
    pub text: String,
    /// Of free shape: pros and cons, what matters in the product's category, captions of photos.
    #[schema(value_type = Object)]
    pub attributes: Attributes,
    /// Whether readers see it.
    pub state: State,
    /// Why a moderator has hidden it.
    pub hidden_reason: Option<String>,
    /// Whether the author has units of the product from confirmed orders that were not all refunded.
    pub verified: bool,
    /// How many found it helpful.
    pub helpful: i64,
    /// How many did not.
    pub unhelpful: i64,
    /// What the viewer voted.
    pub own_vote: Option<bool>,
    /// The seller's answers, oldest first.
    pub answers: Vec<Answer>,
    /// Grows by one with each edit, answer and moderation that changes something; votes leave it alone.
    pub version: i64,
    /// When it was posted.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its author last changed it.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// The opinion in a review: what its author may change.
#[derive(Debug, Clone, PartialEq)]
pub struct Opinion {
    /// 1 to 5.
    pub rating: i16,
    /// One line.
    pub title: String,
    /// Lines that end with `\n`.
    pub text: String,
    /// Free shape, within bounds.
    pub attributes: Attributes,
}

/// A new review.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReview {
    /// The customer.
    #[garde(skip)]
    pub author_id: Uuid,
    /// How the customer is called, for as long as the users service's events have not said it.
    #[serde(default)]
    #[garde(inner(length(chars, max = 200)), custom(rules::name_opt))]
    pub author_name: Option<String>,
    /// 1 to 5.
    #[garde(range(min = 1, max = 5))]
    #[schema(minimum = 1, maximum = 5)]
    pub rating: i64,
    /// One line of plain text, 1 to 120 characters.
    #[garde(length(chars, max = TITLE_CHARS_MAX), custom(rules::title))]
    #[schema(max_length = 120)]
    pub title: String,
    /// Plain text, 1 to 8,000 characters.
    #[garde(length(chars, max = TEXT_CHARS_MAX), custom(rules::prose))]
    #[schema(max_length = 8000)]
    pub text: String,
    /// Any JSON object: at most 16 KiB, 5 levels, 64 keys, 256 values; keys of 1 to 64 characters without `.` and `:` and
    /// not beginning with `$`; texts of at most 2,000 characters; numbers within 2^53 of zero.
    #[serde(default)]
    #[garde(custom(bounded))]
    #[schema(value_type = Object)]
    pub attributes: Attributes,
}

/// What the author makes of a review.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditReview {
    /// Who edits; somebody else's review is as good as none.
    #[garde(skip)]
    pub author_id: Uuid,
    /// The version that was edited. When the review is at another one, and differs, nothing is changed.
    #[garde(range(min = 1))]
    pub version: i64,
    /// 1 to 5.
    #[garde(range(min = 1, max = 5))]
    #[schema(minimum = 1, maximum = 5)]
    pub rating: i64,
    /// One line of plain text, 1 to 120 characters.
    #[garde(length(chars, max = TITLE_CHARS_MAX), custom(rules::title))]
    #[schema(max_length = 120)]
    pub title: String,
    /// Plain text, 1 to 8,000 characters.
    #[garde(length(chars, max = TEXT_CHARS_MAX), custom(rules::prose))]
    #[schema(max_length = 8000)]
    pub text: String,
    /// As for a new review.
    #[serde(default)]
    #[garde(custom(bounded))]
    #[schema(value_type = Object)]
    pub attributes: Attributes,
}

/// A request's opinion in its normal form.
macro_rules! opinion {
    ($request:ident) => {
        impl From<$request> for Opinion {
            fn from(request: $request) -> Self {
                Self {
                    // Validated to 1..=5.
                    rating: i16::try_from(request.rating).unwrap_or(1),
                    title: request.title,
                    text: rules::with_line_feeds(&request.text),
                    attributes: request.attributes,
                }
            }
        }
    };
}

opinion!(NewReview);
opinion!(EditReview);

/// `{"helpful":bool}`.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoteRequest {
    /// Whether the review helped.
    #[garde(skip)]
    pub helpful: bool,
}

/// The votes of a review, after one was cast or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Votes {
    /// How many found it helpful.
    pub helpful: i64,
    /// How many did not.
    pub unhelpful: i64,
    /// What the voter's vote is now.
    pub own_vote: Option<bool>,
}

/// An answer as it is sent.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// The seller's account that writes.
    #[garde(skip)]
    pub author_id: Uuid,
    /// Plain text, 1 to 4,000 characters.
    #[garde(length(chars, max = ANSWER_CHARS_MAX), custom(rules::prose))]
    #[schema(max_length = 4000)]
    pub text: String,
}

/// A moderator's decision.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModerationRequest {
    /// Whether readers see the review from now on.
    #[garde(skip)]
    pub state: State,
    /// Why it is hidden, for its author: 1 to 500 characters. Needed with `hidden`, refused with `visible`.
    #[serde(default)]
    #[garde(inner(length(chars, max = 500)), custom(rules::reason_for(&self.state)))]
    #[schema(max_length = 500)]
    pub reason: Option<String>,
}

/// How a product is rated. Hidden reviews do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// The product.
    pub product_id: Uuid,
    /// Visible reviews.
    pub count: i64,
    /// Mean rating, 1.0 to 5.0.
    pub average: f64,
    /// How many gave 1, 2, 3, 4 and 5.
    pub histogram: [i64; 5],
    /// How many of them have the mark of a verified purchase.
    pub verified: i64,
    /// The same as a share, 0.0 to 1.0.
    pub verified_share: f64,
}

impl Summary {
    /// From its counts; `None` when there are no reviews.
    pub fn of(product_id: Uuid, histogram: [i64; 5], verified: i64) -> Option<Self> {
        let count: i64 = histogram.iter().sum();
        let sum: i64 = (1..).zip(histogram).map(|(rating, n)| rating * n).sum();
        (count > 0).then(|| Self {
            product_id,
            count,
            average: ratio(sum, count),
            histogram,
            verified,
            verified_share: ratio(verified, count),
        })
    }
}

/// Counts of reviews are far below 2^53, where `f64` begins to leave out integers.
#[allow(clippy::cast_precision_loss)]
fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_come_from_counts() {
        let summary = Summary::of(Uuid::nil(), [1, 0, 0, 0, 3], 1).unwrap();
        assert_eq!((summary.count, summary.verified), (4, 1));
        assert!((summary.average - 4.0).abs() < 1e-9);
        assert!((summary.verified_share - 0.25).abs() < 1e-9);
        assert_eq!(Summary::of(Uuid::nil(), [0; 5], 0), None);
    }
}
