//! Attributes laid out for filters: one `{p, v}` for each scalar, with the keys that lead to it. A dotted path in a MongoDB filter
//! promises something else than [`AttributeFilter`] does: it takes numbers in a path for places in a list, and `null` for what
//! is not there.

use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;

use super::review::bson;
use crate::attributes::{AttributeFilter, Attributes};

/// Between the keys of a path; no key has one.
const DOT: &str = ".";

/// The facets of a review; at most [`crate::attributes::VALUES_MAX`]. A list stands for its items, a list in a list for nothing:
/// as the lax mode of SQL/JSON paths unwraps one level.
pub fn of(attributes: &Attributes) -> Vec<Document> {
    let mut facets = Vec::new();
    object(&mut facets, "", attributes);
    facets
}

fn object(facets: &mut Vec<Document>, path: &str, fields: &Attributes) {
    for (name, value) in fields {
        let path = if path.is_empty() {
            name.clone()
        } else {
            [path, name].join(DOT)
        };
        match value {
            Value::Array(items) => items.iter().for_each(|item| item_of(facets, &path, item)),
            value => item_of(facets, &path, value),
        }
    }
}

fn item_of(facets: &mut Vec<Document>, path: &str, value: &Value) {
    match value {
        Value::Array(_) => {}
        Value::Object(fields) => object(facets, path, fields),
        scalar => facets.push(doc! { "p": path, "v": bson(scalar) }),
    }
}

/// The conditions of all filters.
pub fn conditions(filters: &[AttributeFilter]) -> Vec<Document> {
    filters.iter().map(condition).collect()
}

fn condition(filter: &AttributeFilter) -> Document {
    let mut values = vec![Bson::String(filter.text.clone())];
    values.extend(filter.scalar.as_ref().map(bson));
    doc! { "facets": { "$elemMatch": { "p": filter.path.join(DOT), "v": { "$in": values } } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_scalar_is_a_facet() {
        let value = json!({"size": 2, "pros": ["light", ["deep"]], "photos": [{"caption": "front"}, 7],
            "fit": {"width": "2", "none": {}}, "again": null});
        let mut facets: Vec<String> = of(value.as_object().unwrap())
            .iter()
            .map(|facet| format!("{} {}", facet.get_str("p").unwrap(), facet.get("v").unwrap()))
            .collect();
        facets.sort();
        assert_eq!(
            facets,
            [
                "again null",
                "fit.width \"2\"",
                "photos 7",
                "photos.caption \"front\"",
                "pros \"light\"",
                "size 2"
            ]
        );
    }
}
