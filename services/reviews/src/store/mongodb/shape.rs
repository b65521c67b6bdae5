//! Commands and answers as documents: what a command is called, its text without values, the batches of a cursor.

use std::fmt::Write;

use mongodb::bson::{Bson, Document, doc};

use super::error::foreign;
use emporium_service_kit::StoreError;

/// Documents of a batch of a cursor.
pub const BATCH: i32 = 1_000;
/// The most of a text.
const TEXT_MAX: usize = 2_000;

/// A command's name, from a closed list: it is a metric's label.
pub fn operation(command: &Document) -> &'static str {
    const NAMES: [&str; 16] = [
        "find",
        "getMore",
        "aggregate",
        "insert",
        "update",
        "delete",
        "findAndModify",
        "create",
        "collMod",
        "createIndexes",
        "explain",
        "ping",
        "hello",
        "buildInfo",
        "dbStats",
        "listCollections",
    ];
    let name = command.keys().next().map_or("", String::as_str);
    NAMES.into_iter().find(|known| *known == name).unwrap_or("other")
}

/// The text of a command without values: names of collections, of fields and operators stay, everything else is `?`. Documents
/// that are written are a `?` as a whole, since the names in a free part are a customer's as well.
pub fn text(command: &Document) -> String {
    let mut text = String::from("{ ");
    for (place, (name, value)) in command.iter().enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        let _ = write!(text, "{name}: ");
        match (place, value) {
            (0, Bson::String(collection)) => {
                let _ = write!(text, "\"{collection}\"");
            }
            _ if name == "documents" => text.push_str("[?]"),
            _ => push(&mut text, value),
        }
    }
    text.push_str(" }");
    if text.len() > TEXT_MAX {
        let cut = (0..=TEXT_MAX).rev().find(|place| text.is_char_boundary(*place));
        text.truncate(cut.unwrap_or(0));
        text.push('…');
    }
    text
}

fn push(text: &mut String, value: &Bson) {
    match value {
        Bson::Document(fields) => {
            text.push_str("{ ");
            for (place, (name, value)) in fields.iter().enumerate() {
                if place > 0 {
                    text.push_str(", ");
                }
                let _ = write!(text, "{name}: ");
                let replaces = name == "u"
                    && !matches!(value, Bson::Document(u) if u.keys().all(|key| key.starts_with('$')));
                // `$set` of whole documents is a replacement in all but name.
                if replaces || name == "attributes" {
                    text.push('?');
                } else {
                    push(text, value);
                }
            }
            text.push_str(" }");
        }
        // One of many stands for all.
        Bson::Array(items) => match items.first() {
            Some(first @ Bson::Document(_)) => {
                text.push('[');
                push(text, first);
                text.push_str(if items.len() > 1 { ", …]" } else { "]" });
            }
            _ => text.push_str("[?]"),
        },
        _ => text.push('?'),
    }
}

/// What an answer counts as rows: what came, or what was written.
pub fn rows(reply: &Document) -> u64 {
    let batch = reply.get_document("cursor").ok().and_then(|cursor| {
        let batch = cursor
            .get_array("firstBatch")
            .or_else(|_| cursor.get_array("nextBatch"));
        batch.ok().map(Vec::len)
    });
    match batch {
        Some(len) => len as u64,
        None => u64::try_from(count(reply)).unwrap_or(0),
    }
}

/// `n` of an answer to a write.
pub fn count(reply: &Document) -> i64 {
    match reply.get("n") {
        Some(Bson::Int32(n)) => i64::from(*n),
        Some(Bson::Int64(n)) => *n,
        #[allow(clippy::cast_possible_truncation)] // a count
        Some(Bson::Double(n)) => *n as i64,
        _ => 0,
    }
}

/// The code of the first write that was refused.
pub fn refused(reply: &Document) -> Option<i32> {
    let code = |error: &Document| error.get_i32("code").unwrap_or(-1);
    let writes = reply.get_array("writeErrors").ok();
    let first = writes.and_then(|errors| errors.first()?.as_document().map(code));
    first.or_else(|| reply.get_document("writeConcernError").ok().map(code))
}

/// The documents of a cursor's batch, and the command for the next one.
pub fn batch(mut reply: Document) -> Result<(Vec<Document>, Option<Document>), StoreError> {
    let Some(Bson::Document(mut cursor)) = reply.remove("cursor") else {
        return Err(foreign("an answer has no cursor"));
    };
    let batch = cursor.remove("firstBatch").or_else(|| cursor.remove("nextBatch"));
    let Some(Bson::Array(batch)) = batch else {
        return Err(foreign("a cursor has no batch"));
    };
    let document = |value| match value {
        Bson::Document(document) => Ok(document),
        _ => Err(foreign("a batch has something else")),
    };
    let documents = batch.into_iter().map(document).collect::<Result<Vec<_>, _>>()?;
    let id = cursor.get_i64("id").unwrap_or(0);
    if id == 0 {
        return Ok((documents, None));
    }
    let namespace = cursor.get_str("ns").unwrap_or_default();
    let collection = namespace.split_once('.').map_or(namespace, |(_, name)| name);
    Ok((
        documents,
        Some(doc! { "getMore": id, "collection": collection, "batchSize": BATCH }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_no_values() {
        let find = doc! { "find": "reviews_review", "filter": { "author_id": "secret", "facets": { "$elemMatch": { "p": "secret",
        "v": { "$in": ["secret"] } } } }, "sort": { "_id": -1 }, "limit": 5_i64 };
        assert_eq!(
            text(&find),
            "{ find: \"reviews_review\", filter: { author_id: ?, facets: { $elemMatch: { p: ?, v: { $in: [?] } } } }, sort: { _id: ? }, limit: ? }"
        );
        let insert = doc! { "insert": "reviews_review", "documents": [{ "attributes": { "secret": 1 } }] };
        assert_eq!(text(&insert), "{ insert: \"reviews_review\", documents: [?] }");
        let replace = doc! { "q": { "_id": 1 }, "u": { "attributes": { "secret": 1 } } };
        let add = doc! { "q": { "_id": 1 }, "u": { "$inc": { "verified": 1 } } };
        let update = doc! { "update": "x", "updates": [replace, add.clone()] };
        assert_eq!(
            text(&update),
            "{ update: \"x\", updates: [{ q: { _id: ? }, u: ? }, …] }"
        );
        let update = doc! { "update": "x", "updates": [add] };
        assert_eq!(
            text(&update),
            "{ update: \"x\", updates: [{ q: { _id: ? }, u: { $inc: { verified: ? } } }] }"
        );
        assert_eq!(operation(&update), "update");
        assert_eq!(operation(&doc! { "dropDatabase": 1 }), "other");
    }

    #[test]
    fn refused_writes_are_seen() {
        let refusal =
            doc! { "ok": 1, "n": 0, "writeErrors": [{ "index": 0, "code": 11_000, "errmsg": "x" }] };
        assert_eq!(refused(&refusal), Some(11_000));
        assert_eq!(refused(&doc! { "ok": 1, "n": 3 }), None);
        assert_eq!(refused(&doc! { "writeConcernError": { "code": 64 } }), Some(64));
        assert_eq!(count(&doc! { "n": 3 }), 3);
    }
}
