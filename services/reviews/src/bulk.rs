//! Reviews of the past, as they are loaded: one record a review, with the votes and answers it got.

use std::collections::HashSet;

use emporium_service_kit::bulk::{check_rules, micros, moment};
use emporium_service_kit::garde;
use garde::Validate;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::attributes::{Attributes, bounded};
use crate::model::{ANSWER_CHARS_MAX, ANSWERS_MAX, Answer, Opinion, TEXT_CHARS_MAX, TITLE_CHARS_MAX};
use crate::rules;
use crate::store::{Draft, PastReview};

/// The most votes of one record.
pub const VOTES_MAX: usize = 1_000;

/// A record of `POST /bulk/reviews`: a visible review. Identity is its id, and who reviewed what: of both, what is there
/// already stays as it is.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkReview {
    /// UUIDv7 of the time of posting, since moderators' lists go by it.
    #[garde(custom(of_its_time(&self.created_at)))]
    id: Uuid,
    /// What it is about.
    #[garde(skip)]
    product_id: Uuid,
    /// The customer.
    #[garde(skip)]
    author_id: Uuid,
    /// How the customer is called, for as long as the users service's events have not said it.
    #[serde(default)]
    #[garde(inner(length(chars, max = 200)), custom(rules::name_opt))]
    author_name: Option<String>,
    /// 1 to 5.
    #[garde(range(min = 1, max = 5))]
    #[schema(minimum = 1, maximum = 5)]
    rating: i64,
    /// One line of plain text, 1 to 120 characters.
    #[garde(length(chars, max = TITLE_CHARS_MAX), custom(rules::title))]
    #[schema(max_length = 120)]
    title: String,
    /// Plain text, 1 to 8,000 characters.
    #[garde(length(chars, max = TEXT_CHARS_MAX), custom(rules::prose))]
    #[schema(max_length = 8000)]
    text: String,
    /// As for a new review.
    #[serde(default)]
    #[garde(custom(bounded))]
    #[schema(value_type = Object)]
    attributes: Attributes,
    /// When it was posted, from 1970 to 2099; also the event's time.
    #[serde(with = "time::serde::rfc3339")]
    #[garde(custom(moment))]
    created_at: OffsetDateTime,
    /// The seller's answers, at most 10, none before the review.
    #[serde(default)]
    #[garde(length(max = ANSWERS_MAX), dive, custom(answers_fit(&self.created_at)))]
    #[schema(max_items = 10)]
    answers: Vec<BulkAnswer>,
    /// Votes, at most 1,000: one a voter, none of the author's.
    #[serde(default)]
    #[garde(length(max = VOTES_MAX), custom(votes_fit(&self.author_id)))]
    #[schema(max_items = 1000)]
    votes: Vec<BulkVote>,
}

/// An answer in a record.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkAnswer {
    /// The answer.
    #[garde(skip)]
    id: Uuid,
    /// The seller's account that wrote it.
    #[garde(skip)]
    author_id: Uuid,
    /// Plain text, 1 to 4,000 characters.
    #[garde(length(chars, max = ANSWER_CHARS_MAX), custom(rules::prose))]
    #[schema(max_length = 4000)]
    text: String,
    /// When, from 1970 to 2099; also the event's time.
    #[serde(with = "time::serde::rfc3339")]
    #[garde(custom(moment))]
    at: OffsetDateTime,
}

/// A vote in a record.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkVote {
    /// The customer.
    voter_id: Uuid,
    /// Whether the review helped.
    helpful: bool,
}

fn refuse(message: &str) -> garde::Result {
    Err(garde::Error::new(message))
}

fn of_its_time(at: &OffsetDateTime) -> impl FnOnce(&Uuid, &()) -> garde::Result + '_ {
    move |id, ()| {
        let millis =
            |(seconds, nanos): (u64, u32)| i128::from(seconds) * 1_000 + i128::from(nanos / 1_000_000);
        let of_id = id.get_timestamp().map(|time| millis(time.to_unix()));
        if id.get_version_num() == 7 && of_id == Some(at.unix_timestamp_nanos().div_euclid(1_000_000)) {
            return Ok(());
        }
        refuse("must be a UUIDv7 of the millisecond of created_at")
    }
}

fn answers_fit(at: &OffsetDateTime) -> impl FnOnce(&Vec<BulkAnswer>, &()) -> garde::Result + '_ {
    move |answers, ()| {
        let ids: HashSet<Uuid> = answers.iter().map(|answer| answer.id).collect();
        if ids.len() < answers.len() {
            return refuse("must have an id each");
        }
        if answers.iter().any(|answer| answer.at < *at) {
            return refuse("must not be before the review");
        }
        Ok(())
    }
}

fn votes_fit(author: &Uuid) -> impl FnOnce(&Vec<BulkVote>, &()) -> garde::Result + '_ {
    move |votes, ()| {
        let voters: HashSet<Uuid> = votes.iter().map(|vote| vote.voter_id).collect();
        if voters.len() < votes.len() {
            return refuse("must be one a voter");
        }
        if voters.contains(author) {
            return refuse("must not be the author's");
        }
        Ok(())
    }
}

/// Reads a line; the error says why it is refused.
pub fn read(line: &[u8]) -> Result<PastReview, String> {
    let record: BulkReview = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    check_rules(&record)?;
    Ok(record.into())
}

impl From<BulkReview> for PastReview {
    fn from(record: BulkReview) -> Self {
        let mut answers: Vec<Answer> = record.answers.into_iter().map(Answer::from).collect();
        answers.sort_by_key(|answer| answer.created_at);
        Self {
            id: record.id,
            created_at: micros(record.created_at),
            draft: Draft {
                product_id: record.product_id,
                author_id: record.author_id,
                author_name: record.author_name,
                opinion: Opinion {
                    // Validated to 1..=5.
                    rating: i16::try_from(record.rating).unwrap_or(1),
                    title: record.title,
                    text: rules::with_line_feeds(&record.text),
                    attributes: record.attributes,
                },
            },
            answers,
            votes: record
                .votes
                .iter()
                .map(|vote| (vote.voter_id, vote.helpful))
                .collect(),
        }
    }
}

impl From<BulkAnswer> for Answer {
    fn from(answer: BulkAnswer) -> Self {
        Self {
            id: answer.id,
            author_id: answer.author_id,
            text: rules::with_line_feeds(&answer.text),
            created_at: micros(answer.at),
            updated_at: micros(answer.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A record with a field replaced.
    fn with(name: &str, value: Value) -> String {
        let id = "01941f29-7c00-7000-8000-000000000001";
        let mut record = json!({"id": id, "product_id": Uuid::from_u128(1), "author_id": Uuid::from_u128(2), "rating": 4,
            "title": "Good", "text": "It fits.\r\nIt lasts.", "created_at": "2025-01-01T00:00:00Z"});
        record[name] = value;
        record.to_string()
    }

    fn answer(id: u128, at: &str) -> Value {
        json!({"id": Uuid::from_u128(id), "author_id": Uuid::from_u128(9), "text": "Thank you.", "at": at})
    }

    #[test]
    fn a_record_is_a_review_with_what_it_got() {
        let answers = json!([
            answer(2, "2025-01-03T00:00:00Z"),
            answer(1, "2025-01-02T00:00:00Z")
        ]);
        let review = read(with("answers", answers).as_bytes()).unwrap();
        assert_eq!(review.draft.opinion.text, "It fits.\nIt lasts.");
        let ids: Vec<Uuid> = review.answers.iter().map(|answer| answer.id).collect();
        assert_eq!(ids, [Uuid::from_u128(1), Uuid::from_u128(2)], "the oldest first");
    }

    #[test]
    fn what_no_route_takes_no_record_brings() {
        let vote = |voter: u128| json!({"voter_id": Uuid::from_u128(voter), "helpful": true});
        let late: Vec<Value> = (0..11).map(|n| answer(n, "2025-01-02T00:00:00Z")).collect();
        let many: Vec<Value> = (10..1_011).map(vote).collect();
        for (name, value) in [
            ("id", json!(Uuid::from_u128(7))),
            ("id", json!("01941f29-7c01-7000-8000-000000000001")),
            ("rating", json!(0)),
            ("rating", json!(6)),
            ("title", json!("\u{202E}x")),
            ("title", json!("\u{200B}")),
            ("text", json!("a\u{0}b")),
            ("text", json!("x".repeat(8_001))),
            ("attributes", json!({"$where": 1})),
            ("created_at", json!("1969-12-31T23:59:59Z")),
            ("state", json!("hidden")),
            ("answers", json!([answer(1, "2024-12-31T00:00:00Z")])),
            (
                "answers",
                json!([
                    answer(1, "2025-01-02T00:00:00Z"),
                    answer(1, "2025-01-03T00:00:00Z")
                ]),
            ),
            ("answers", json!(late)),
            ("votes", json!([vote(3), vote(3)])),
            ("votes", json!([vote(2)])),
            ("votes", json!(many)),
        ] {
            assert!(
                read(with(name, value.clone()).as_bytes()).is_err(),
                "{name} {value}"
            );
        }
        assert!(read(with("votes", json!([vote(3), vote(4)])).as_bytes()).is_ok());
    }
}
