//! A review as a document.

use emporium_service_kit::StoreError;
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Number, Value};
use uuid::Uuid;

use super::codec::{Fields, id, micros};
use super::error::foreign;
use super::facets;
use crate::attributes::Attributes;
use crate::model::{Answer, Review, State};

/// A review as it is kept: without what is joined when it is read. The name is the one given at posting.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub review: Review,
    /// When its last event was written, in microseconds, or just after the one before: later events of a review are numbered
    /// later, whatever clocks say.
    pub told_at: i64,
}

impl Kept {
    /// The place in time of its next event.
    pub fn tell(&mut self, now: i64) -> i64 {
        self.told_at = now.max(self.told_at + 1);
        self.told_at
    }

    pub fn document(&self) -> Document {
        let review = &self.review;
        let answers: Vec<Document> = review.answers.iter().map(answer_document).collect();
        doc! {
            "_id": id(review.id), "product_id": id(review.product_id), "author_id": id(review.author_id),
            "author_name": review.author_name.clone(), "rating": i32::from(review.rating), "title": &review.title,
            "body": &review.text, "attributes": object(&review.attributes), "facets": facets::of(&review.attributes),
            "answers": answers, "hidden": review.state == State::Hidden, "hidden_reason": review.hidden_reason.clone(),
            "helpful": review.helpful, "unhelpful": review.unhelpful, "score": review.helpful - review.unhelpful,
            "version": review.version, "created_at": micros(review.created_at), "updated_at": micros(review.updated_at),
            "told_at": self.told_at,
        }
    }

    pub fn read(document: &Document) -> Result<Self, StoreError> {
        let answers = document.get_array("answers").map_err(|_| foreign("answers"))?;
        let attributes = document
            .get_document("attributes")
            .map_err(|_| foreign("attributes"))?;
        let rating = document.int("rating")?;
        let review = Review {
            id: document.uuid("_id")?,
            product_id: document.uuid("product_id")?,
            author_id: document.uuid("author_id")?,
            author_name: document.text_opt("author_name")?,
            rating: i16::try_from(rating).map_err(|_| foreign("rating"))?,
            title: document.text("title")?,
            text: document.text("body")?,
            attributes: map(attributes)?,
            state: State::of(!document.truth("hidden")?),
            hidden_reason: document.text_opt("hidden_reason")?,
            verified: false,
            helpful: document.long("helpful")?,
            unhelpful: document.long("unhelpful")?,
            own_vote: None,
            answers: answers.iter().map(answer).collect::<Result<_, _>>()?,
            version: document.long("version")?,
            created_at: document.time("created_at")?,
            updated_at: document.time("updated_at")?,
        };
        let told_at = document.long("told_at")?;
        Ok(Self { review, told_at })
    }
}

fn answer_document(answer: &Answer) -> Document {
    doc! { "id": id(answer.id), "author_id": id(answer.author_id), "text": &answer.text,
    "created_at": micros(answer.created_at), "updated_at": micros(answer.updated_at) }
}

fn answer(value: &Bson) -> Result<Answer, StoreError> {
    let document = value.as_document().ok_or_else(|| foreign("answers"))?;
    Ok(Answer {
        id: document.uuid("id")?,
        author_id: document.uuid("author_id")?,
        text: document.text("text")?,
        created_at: document.time("created_at")?,
        updated_at: document.time("updated_at")?,
    })
}

/// A vote's key.
pub fn vote_key(review: Uuid, voter: Uuid) -> Bson {
    super::codec::pair(review, voter)
}

fn object(attributes: &Attributes) -> Document {
    let field = |(name, value): (&String, &Value)| (name.clone(), bson(value));
    attributes.iter().map(field).collect()
}

/// A JSON value. Written by hand: the driver's own way would read `{"$oid": …}` as something else than an object.
pub fn bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(truth) => Bson::Boolean(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Bson::Int64(whole),
            (None, float) => Bson::Double(float.unwrap_or(f64::NAN)),
        },
        Value::String(text) => Bson::String(text.clone()),
        Value::Array(items) => Bson::Array(items.iter().map(bson).collect()),
        Value::Object(fields) => Bson::Document(object(fields)),
    }
}

fn map(document: &Document) -> Result<Attributes, StoreError> {
    let field = |(name, value): (&String, &Bson)| Ok((name.clone(), json(value)?));
    document.iter().map(field).collect()
}

fn json(value: &Bson) -> Result<Value, StoreError> {
    Ok(match value {
        Bson::Null => Value::Null,
        Bson::Boolean(truth) => Value::Bool(*truth),
        Bson::Int64(whole) => Value::from(*whole),
        Bson::Int32(whole) => Value::from(*whole),
        Bson::Double(float) => Number::from_f64(*float).map_or(Value::Null, Value::Number),
        Bson::String(text) => Value::String(text.clone()),
        Bson::Array(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Bson::Document(fields) => Value::Object(map(fields)?),
        _ => return Err(foreign("attributes")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn free_shapes_come_back_as_they_went_in() {
        let value = json!({"$oid": "x", "a": [1, -2.5, [true, null], {"b": "\u{1F600}"}], "n": 9_007_199_254_740_991_i64,
            "f": 2.0, "": {}});
        let attributes = value.as_object().unwrap();
        assert_eq!(&map(&object(attributes)).unwrap(), attributes);
    }
}
