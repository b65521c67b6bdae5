//! Queries as spans show them: the DSL as it was sent, with a `?` in the place of every value that came from outside.

use emporium_service_kit::observe;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// Under these keys stand values: what is compared with, in the long forms of the DSL that the adapter writes throughout.
const VALUES: [&str; 7] = ["value", "query", "text", "gte", "lte", "boost", "search_after"];

/// The texts of queries without their values, one a line, for a span; nothing when nobody listens to spans.
pub fn template(bodies: &[&Value]) -> String {
    if observe::is_heard() {
        masked(bodies)
    } else {
        String::new()
    }
}

fn masked(bodies: &[&Value]) -> String {
    let texts = bodies.iter().map(|body| serde_json::to_string(&Masked(body)));
    texts
        .map(Result::unwrap_or_default)
        .collect::<Vec<_>>()
        .join("\n")
}

struct Masked<'a>(&'a Value);

impl Serialize for Masked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    if VALUES.contains(&key.as_str()) && !value.is_object() {
                        map.serialize_entry(key, "?")?;
                    } else {
                        map.serialize_entry(key, &Masked(value))?;
                    }
                }
                map.end()
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Masked)),
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::masked;
    use serde_json::json;

    #[test]
    fn values_are_hidden_and_the_shape_is_shown() {
        let body = json!({"query": {"bool": {"filter": [{"term": {"brand": {"value": "secret"}}}], "must": [
            {"match": {"name": {"query": "secret words", "boost": 0.7}}}]}}, "size": 21, "search_after": ["secret", 5]});
        let text = masked(&[&body]);
        assert!(!text.contains("secret") && !text.contains("0.7"), "{text}");
        assert!(
            text.contains(r#"{"term":{"brand":{"value":"?"}}}"#) && text.contains(r#""size":21"#),
            "{text}"
        );
    }
}
