//! What records say: JSON with its fields in one order and times as microseconds, so that a record is one text in every store.

use emporium_event_bus::bus::Mark;
use emporium_event_bus::outbox::Recorded;
use emporium_moving::Record;
use emporium_service_kit::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::serde::timestamp::microseconds;
use uuid::Uuid;

use super::{Published, RecordKey, Vote};
use crate::attributes::Attributes;
use crate::model::{Answer, Review, State};

#[derive(Serialize, Deserialize)]
struct ReviewText {
    product_id: Uuid,
    author_id: Uuid,
    author_name: Option<String>,
    rating: i16,
    title: String,
    text: String,
    attributes: Attributes,
    answers: Vec<AnswerText>,
    state: State,
    hidden_reason: Option<String>,
    helpful: i64,
    unhelpful: i64,
    version: i64,
    #[serde(with = "microseconds")]
    created_at: OffsetDateTime,
    #[serde(with = "microseconds")]
    updated_at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
struct AnswerText {
    id: Uuid,
    author_id: Uuid,
    text: String,
    #[serde(with = "microseconds")]
    created_at: OffsetDateTime,
    #[serde(with = "microseconds")]
    updated_at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
struct VoteText {
    helpful: bool,
}

#[derive(Serialize, Deserialize)]
struct EventText {
    id: Uuid,
    #[serde(with = "microseconds::option")]
    recorded_at: Option<OffsetDateTime>,
    kind: String,
    subject: String,
    version: i64,
    #[serde(with = "microseconds")]
    time: OffsetDateTime,
    traceparent: Option<String>,
    /// As a text, so that not a space of it changes.
    data: String,
}

#[derive(Serialize, Deserialize)]
struct HeadText {
    published: i64,
    bus: Option<BusText>,
}

#[derive(Serialize, Deserialize)]
struct BusText {
    bus: Uuid,
    event: Uuid,
    position: i64,
}

fn failed(error: serde_json::Error) -> StoreError {
    StoreError::Failed(error.into())
}

fn record(key: RecordKey, content: &impl Serialize) -> Result<Record, StoreError> {
    Ok(Record {
        key: key.text(),
        content: serde_json::to_string(content).map_err(failed)?,
        expires_at: None,
    })
}

/// The same object in one spelling: stores have fields in orders of their own, and PostgreSQL's numbers know no zero below zero.
pub(in crate::store) fn canonical(attributes: Attributes) -> Attributes {
    let mut fields: Vec<(String, Value)> = attributes.into_iter().collect();
    fields.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    fields
        .into_iter()
        .map(|(name, value)| (name, canonical_value(value)))
        .collect()
}

fn canonical_value(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(canonical(fields)),
        Value::Array(items) => Value::Array(items.into_iter().map(canonical_value).collect()),
        Value::Number(number) if number.is_f64() && number.as_f64() == Some(0.0) => Value::from(0.0),
        other => other,
    }
}

/// The record of a review.
pub fn of_review(review: Review) -> Result<Record, StoreError> {
    let answer = |answer: Answer| AnswerText {
        id: answer.id,
        author_id: answer.author_id,
        text: answer.text,
        created_at: answer.created_at,
        updated_at: answer.updated_at,
    };
    let text = ReviewText {
        product_id: review.product_id,
        author_id: review.author_id,
        author_name: review.author_name,
        rating: review.rating,
        title: review.title,
        text: review.text,
        attributes: canonical(review.attributes),
        answers: review.answers.into_iter().map(answer).collect(),
        state: review.state,
        hidden_reason: review.hidden_reason,
        helpful: review.helpful,
        unhelpful: review.unhelpful,
        version: review.version,
        created_at: review.created_at,
        updated_at: review.updated_at,
    };
    record(RecordKey::Review(review.id), &text)
}

/// The review of a record.
pub fn to_review(id: Uuid, content: &str) -> Result<Review, StoreError> {
    let text: ReviewText = serde_json::from_str(content).map_err(failed)?;
    let answer = |answer: AnswerText| Answer {
        id: answer.id,
        author_id: answer.author_id,
        text: answer.text,
        created_at: answer.created_at,
        updated_at: answer.updated_at,
    };
    Ok(Review {
        id,
        product_id: text.product_id,
        author_id: text.author_id,
        author_name: text.author_name,
        rating: text.rating,
        title: text.title,
        text: text.text,
        attributes: text.attributes,
        state: text.state,
        hidden_reason: text.hidden_reason,
        verified: false,
        helpful: text.helpful,
        unhelpful: text.unhelpful,
        own_vote: None,
        answers: text.answers.into_iter().map(answer).collect(),
        version: text.version,
        created_at: text.created_at,
        updated_at: text.updated_at,
    })
}

/// The record of a vote.
pub fn of_vote(vote: &Vote) -> Result<Record, StoreError> {
    let text = VoteText {
        helpful: vote.helpful,
    };
    record(RecordKey::Vote(vote.review_id, vote.voter_id), &text)
}

/// Whether it helped.
pub fn to_vote(content: &str) -> Result<bool, StoreError> {
    let text: VoteText = serde_json::from_str(content).map_err(failed)?;
    Ok(text.helpful)
}

/// The record of an event.
pub fn of_event(event: &Recorded) -> Result<Record, StoreError> {
    let text = EventText {
        id: event.id,
        recorded_at: event.recorded_at,
        kind: event.kind.clone(),
        subject: event.subject.clone(),
        version: event.version,
        time: event.time,
        traceparent: event.traceparent.clone(),
        data: event.data.get().to_owned(),
    };
    record(RecordKey::Event(event.position), &text)
}

/// The event of a record.
pub fn to_event(position: i64, content: &str) -> Result<Recorded, StoreError> {
    let text: EventText = serde_json::from_str(content).map_err(failed)?;
    Ok(Recorded {
        position,
        recorded_at: text.recorded_at,
        id: text.id,
        kind: text.kind,
        subject: text.subject,
        version: text.version,
        time: text.time,
        traceparent: text.traceparent,
        data: RawValue::from_string(text.data).map_err(failed)?,
    })
}

/// The record of how far publishing is.
pub fn of_head(head: &Published) -> Result<Record, StoreError> {
    let bus = head.mark.as_ref().map(|mark| BusText {
        bus: mark.bus,
        event: mark.event,
        position: mark.position,
    });
    let published = head.position;
    record(RecordKey::Head, &HeadText { published, bus })
}

/// How far publishing is.
pub fn to_head(content: &str) -> Result<Published, StoreError> {
    let text: HeadText = serde_json::from_str(content).map_err(failed)?;
    Ok(Published {
        position: text.published,
        mark: text.bus.map(|mark| Mark {
            bus: mark.bus,
            event: mark.event,
            position: mark.position,
        }),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn review(attributes: &Value) -> Review {
        let at = datetime!(2030-01-02 03:04:05.000006 UTC);
        let answer = Answer {
            id: Uuid::from_u128(4),
            author_id: Uuid::from_u128(5),
            text: "Thanks.\nReally.".to_owned(),
            created_at: at,
            updated_at: at,
        };
        Review {
            id: Uuid::from_u128(1),
            product_id: Uuid::from_u128(2),
            author_id: Uuid::from_u128(3),
            author_name: Some("Ada".to_owned()),
            rating: 4,
            title: "\u{1F600}".to_owned(),
            text: "<script>".to_owned(),
            attributes: attributes.as_object().unwrap().clone(),
            state: State::Hidden,
            hidden_reason: Some("why".to_owned()),
            verified: false,
            helpful: 2,
            unhelpful: 1,
            own_vote: None,
            answers: vec![answer],
            version: 7,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn a_review_is_one_text_whatever_order_its_store_has_its_fields_in() {
        let one = review(&json!({"b": [{"y": -0.0, "x": 1}], "a": 2.5}));
        let other = review(&json!({"a": 2.5, "b": [{"x": 1, "y": 0.0}]}));
        let record = of_review(one.clone()).unwrap();
        assert_eq!(record, of_review(other).unwrap());
        assert_eq!(to_review(one.id, &record.content).unwrap(), one);
        let other = review(&json!({"a": 2.5, "b": [{"x": 1, "y": 0.5}]}));
        assert_ne!(record, of_review(other).unwrap());
    }

    #[test]
    fn events_keep_every_byte() {
        let data = "{ \"a\" : 1.0 ,\"b\":\"\\u00fc\"}";
        let event = Recorded {
            position: 9,
            recorded_at: None,
            id: Uuid::from_u128(1),
            kind: "review.posted.v1".to_owned(),
            subject: "s".to_owned(),
            version: 1,
            time: datetime!(2030-01-02 03:04:05.000006 UTC),
            traceparent: Some("00-1".to_owned()),
            data: RawValue::from_string(data.to_owned()).unwrap(),
        };
        let record = of_event(&event).unwrap();
        let back = to_event(9, &record.content).unwrap();
        assert_eq!(back.data.get(), data);
        assert_eq!(of_event(&back).unwrap(), record);
    }

    #[test]
    fn the_head_comes_back() {
        let mark = Mark {
            bus: Uuid::from_u128(1),
            event: Uuid::nil(),
            position: 3,
        };
        for head in [
            Published {
                position: 5,
                mark: Some(mark),
            },
            Published {
                position: 5,
                mark: None,
            },
        ] {
            assert_eq!(to_head(&of_head(&head).unwrap().content).unwrap(), head);
        }
    }
}
