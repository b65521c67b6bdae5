//! Collections, their validators and indexes, made by numbered migrations.
//!
//! Every step may run again and by two processes at once: a collection that is there gets the validator, an index that is there
//! stays. So nobody has to hold a lock, and a migration that was cut off is simply run again. What was done is noted in
//! [`CONTROL`]; a store that a newer program has used is refused.

use mongodb::bson::{Bson, Document, doc};

use super::client::Mongo;
use super::codec::Fields;
use super::error::{Failure, code};
use super::tx::Find;
use emporium_service_kit::StoreError;

/// Reviews, one document each.
pub const REVIEW: &str = "reviews_review";
/// Votes, one document each: a review may have any number.
pub const VOTE: &str = "reviews_vote";
/// Events, the owner's history.
pub const OUTBOX: &str = "reviews_outbox";
/// Which events a generation has seen.
pub const INBOX: &str = "reviews_inbox";
/// Few documents by name: how far migrations, outbox and projection are.
pub const CONTROL: &str = "reviews_control";
/// [`FENCES`] documents that effects and changes of the projection's state both write.
pub const FENCE: &str = "reviews_fence";
/// Keys of records that were written to while they were copied to another store.
pub const JOURNAL: &str = "reviews_journal";
/// How many fences there are: so many effects may go side by side, about.
pub const FENCES: i32 = 64;

/// The collections of a generation: standings, summaries, authors.
pub fn standing(place: i16) -> &'static str {
    of_place(["reviews_standing_0", "reviews_standing_1"], place)
}

/// See [`standing`].
pub fn summary(place: i16) -> &'static str {
    of_place(["reviews_summary_0", "reviews_summary_1"], place)
}

/// See [`standing`].
pub fn author(place: i16) -> &'static str {
    of_place(["reviews_author_0", "reviews_author_1"], place)
}

fn of_place(names: [&'static str; 2], place: i16) -> &'static str {
    names[usize::from(place == 1)]
}

/// The note of the last migration in [`CONTROL`].
const NOTE: &str = "migrations";
/// The last migration.
const LAST: i64 = 2;

/// Why a store cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer program has used it.
    #[error("a newer program has used this database (migration {0}): run that one, or name another database")]
    Newer(i64),
    /// A step failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Brings the store up to date.
pub async fn migrate(mongo: &Mongo) -> Result<(), MigrateError> {
    let find = Find::by(doc! { "_id": NOTE }).limit(1);
    let note = mongo.read(find.command(CONTROL)).await?.pop();
    let done = note.map_or(Ok(0), |note| note.long("version"))?;
    if done > LAST {
        return Err(MigrateError::Newer(done));
    }
    if done < 1 {
        first(mongo).await?;
    }
    if done < 2 {
        second(mongo).await?;
    }
    let set = doc! { "$max": { "version": LAST } };
    upsert(mongo, CONTROL, &[(Bson::from(NOTE), set)]).await?;
    Ok(())
}

async fn first(mongo: &Mongo) -> Result<(), StoreError> {
    collection(mongo, CONTROL, control()).await?;
    collection(
        mongo,
        FENCE,
        object(&["touched"], doc! { "_id": int(), "touched": long() }),
    )
    .await?;
    collection(mongo, REVIEW, review()).await?;
    collection(mongo, VOTE, vote()).await?;
    collection(mongo, OUTBOX, outbox()).await?;
    collection(mongo, INBOX, inbox()).await?;
    for place in [0, 1] {
        collection(mongo, standing(place), standings()).await?;
        collection(mongo, summary(place), summaries()).await?;
        collection(mongo, author(place), authors()).await?;
    }
    indexes(mongo, REVIEW, review_indexes()).await?;
    indexes(mongo, OUTBOX, outbox_indexes()).await?;
    indexes(mongo, INBOX, vec![index("age", doc! { "g": 1, "handled_at": 1 })]).await?;
    let fences: Vec<(Bson, Document)> = (0..FENCES)
        .map(|n| (Bson::Int32(n), doc! { "$setOnInsert": { "touched": 0_i64 } }))
        .collect();
    upsert(mongo, FENCE, &fences).await?;
    let outbox = doc! { "$setOnInsert": { "turn": 0_i64, "sequenced": 0_i64, "published": 0_i64 } };
    let closing = doc! { "$setOnInsert": { "by": Bson::Null } };
    upsert(
        mongo,
        CONTROL,
        &[(Bson::from("outbox"), outbox), (Bson::from("closing"), closing)],
    )
    .await
}

/// Moves: their journal, and events of another store's past, of which nobody knows when they were written down.
async fn second(mongo: &Mongo) -> Result<(), StoreError> {
    let mark = whole(doc! { "_id": text(), "times": long() });
    collection(mongo, JOURNAL, mark).await?;
    collection(mongo, OUTBOX, outbox()).await
}

/// Makes the documents, or changes them. Two processes may do it at once, of which one meets the other's key.
async fn upsert(mongo: &Mongo, collection: &str, documents: &[(Bson, Document)]) -> Result<(), StoreError> {
    let one = |(id, change): &(Bson, Document)| doc! { "q": { "_id": id }, "u": change, "upsert": true };
    let updates: Vec<Document> = documents.iter().map(one).collect();
    let journalled = doc! { "w": "majority", "j": true };
    let command =
        doc! { "update": collection, "updates": updates, "ordered": false, "writeConcern": journalled };
    match mongo.command(command.clone()).await {
        Err(failure) if failure.code() == Some(code::DUPLICATE_KEY) => mongo.command(command).await?,
        done => done?,
    };
    Ok(())
}

async fn collection(mongo: &Mongo, name: &str, schema: Document) -> Result<(), StoreError> {
    let create = doc! { "create": name, "validator": { "$and": validator(name, schema) } };
    match mongo.command(create.clone()).await {
        Err(failure) if failure.code() == Some(code::NAMESPACE_EXISTS) => {
            let mut change = doc! { "collMod": name };
            change.extend(create.into_iter().skip(1));
            mongo.command(change).await?
        }
        done => done?,
    };
    Ok(())
}

/// The schema, and what a schema cannot say.
fn validator(name: &str, schema: Document) -> Vec<Document> {
    let mut rules = vec![doc! { "$jsonSchema": schema }];
    if name == REVIEW {
        rules.push(doc! { "$expr": { "$eq": ["$score", { "$subtract": ["$helpful", "$unhelpful"] }] } });
        rules.push(doc! { "$or": [{ "hidden": true }, { "hidden_reason": null }] });
    }
    rules
}

async fn indexes(mongo: &Mongo, name: &str, indexes: Vec<Document>) -> Result<(), StoreError> {
    let made: Result<_, Failure> = mongo
        .command(doc! { "createIndexes": name, "indexes": indexes })
        .await;
    made?;
    Ok(())
}

fn index(name: &str, key: Document) -> Document {
    doc! { "name": name, "key": key }
}

fn unique(name: &str, key: Document) -> Document {
    doc! { "name": name, "key": key, "unique": true }
}

/// One index an order of a product's list, one for each other list. None is partial: a list by `hidden` is as good, and some
/// servers scan where a partial index would do. Filters by attributes have none, as in PostgreSQL: they look through a bounded
/// stretch of an order.
fn review_indexes() -> Vec<Document> {
    vec![
        index(
            "helpful",
            doc! { "product_id": 1, "hidden": 1, "score": -1, "_id": -1 },
        ),
        index(
            "new",
            doc! { "product_id": 1, "hidden": 1, "created_at": -1, "_id": -1 },
        ),
        index(
            "best",
            doc! { "product_id": 1, "hidden": 1, "rating": -1, "_id": -1 },
        ),
        index(
            "worst",
            doc! { "product_id": 1, "hidden": 1, "rating": 1, "_id": -1 },
        ),
        unique("once", doc! { "author_id": 1, "product_id": 1 }),
        index("author", doc! { "author_id": 1, "_id": -1 }),
        index("state", doc! { "hidden": 1, "_id": -1 }),
    ]
}

fn outbox_indexes() -> Vec<Document> {
    vec![
        doc! { "name": "position", "key": { "position": 1 }, "unique": true, "sparse": true },
        doc! { "name": "waiting", "key": { "waiting": 1, "_id": 1 }, "sparse": true },
        unique("once", doc! { "subject": 1, "version": 1 }),
    ]
}

fn long() -> Document {
    doc! { "bsonType": "long" }
}

fn count() -> Document {
    doc! { "bsonType": "long", "minimum": 0 }
}

fn int() -> Document {
    doc! { "bsonType": "int" }
}

fn rating() -> Document {
    doc! { "bsonType": "int", "minimum": 1, "maximum": 5 }
}

fn truth() -> Document {
    doc! { "bsonType": "bool" }
}

fn text() -> Document {
    doc! { "bsonType": "string" }
}

fn text_or_null() -> Document {
    doc! { "bsonType": ["string", "null"] }
}

fn key() -> Document {
    doc! { "bsonType": "binData" }
}

/// A document with these fields and no others, of which `required` have to be there.
fn object(required: &[&str], properties: Document) -> Document {
    let required: Vec<&str> = [&["_id"], required].concat();
    doc! { "bsonType": "object", "required": required, "properties": properties, "additionalProperties": false }
}

/// A document with all these fields and no others.
fn whole(properties: Document) -> Document {
    let names: Vec<String> = properties.keys().cloned().collect();
    let required: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "_id")
        .collect();
    object(&required, properties)
}

fn review() -> Document {
    let answer = doc! { "bsonType": "object", "additionalProperties": false,
    "required": ["id", "author_id", "text", "created_at", "updated_at"],
    "properties": { "id": key(), "author_id": key(), "text": text(), "created_at": long(), "updated_at": long() } };
    let facet = doc! { "bsonType": "object", "additionalProperties": false, "required": ["p", "v"],
    "properties": { "p": text(), "v": { "bsonType": ["string", "long", "double", "bool", "null"] } } };
    whole(
        doc! { "_id": key(), "product_id": key(), "author_id": key(), "author_name": text_or_null(), "rating": rating(),
        "title": text(), "body": text(), "attributes": { "bsonType": "object" },
        "facets": { "bsonType": "array", "maxItems": 256, "items": facet },
        "answers": { "bsonType": "array", "maxItems": 10, "items": answer },
        "hidden": truth(), "hidden_reason": text_or_null(), "helpful": count(), "unhelpful": count(), "score": long(),
        "version": { "bsonType": "long", "minimum": 1 }, "created_at": long(), "updated_at": long(), "told_at": long() },
    )
}

fn vote() -> Document {
    whole(doc! { "_id": key(), "review_id": key(), "voter_id": key(), "helpful": truth() })
}

fn standings() -> Document {
    let properties = doc! { "_id": key(), "customer_id": key(), "product_id": key(), "bought": count(), "refunded": count(),
    "rating": rating(), "visible": truth(), "version": long() };
    let mut schema = object(&["customer_id", "product_id", "bought", "refunded"], properties);
    // All three or none.
    schema.insert(
        "dependencies",
        doc! { "rating": ["visible", "version"], "visible": ["rating", "version"], "version": ["rating", "visible"] },
    );
    schema
}

fn summaries() -> Document {
    let mut properties = doc! { "_id": key(), "verified": count() };
    for place in 1..=5 {
        properties.insert(format!("ratings_{place}"), count());
    }
    whole(properties)
}

fn authors() -> Document {
    whole(doc! { "_id": key(), "name": text(), "active": truth(), "version": long() })
}

fn outbox() -> Document {
    object(
        &["type", "subject", "version", "time", "data"],
        doc! { "_id": key(), "waiting": long(), "position": { "bsonType": "long", "minimum": 1 }, "recorded_at": long(),
        "type": text(), "subject": text(), "version": long(), "time": long(), "traceparent": text(), "data": text() },
    )
}

fn inbox() -> Document {
    whole(doc! { "_id": key(), "g": int(), "handled_at": long() })
}

fn control() -> Document {
    object(
        &[],
        doc! { "_id": text(), "version": long(), "revision": long(), "state": text(),
        "by": { "bsonType": ["binData", "null"] }, "turn": long(), "sequenced": count(), "published": count(),
        "bus": key(), "bus_event": key(), "bus_position": long() },
    )
}
