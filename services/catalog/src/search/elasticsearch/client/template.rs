//! Queries as spans show them: the DSL as it was sent, with a `?` in the place of every value that came from outside.

use serde_json::{Map, Value};

/// Under these keys stand values: what is compared with, in the long forms of the DSL that the adapter writes throughout.
const VALUES: [&str; 7] = ["value", "query", "text", "gte", "lte", "boost", "search_after"];

/// The text of a query without its values.
pub fn template(body: &Value) -> String {
    masked(body).to_string()
}

fn masked(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().map(entry).collect::<Map<_, _>>()),
        Value::Array(items) => Value::Array(items.iter().map(masked).collect()),
        other => other.clone(),
    }
}

fn entry((key, value): (&String, &Value)) -> (String, Value) {
    let hidden = VALUES.contains(&key.as_str()) && !value.is_object();
    let shown = if hidden { Value::from("?") } else { masked(value) };
    (key.clone(), shown)
}

#[cfg(test)]
mod tests {
    use super::template;
    use serde_json::json;

    #[test]
    fn values_are_hidden_and_the_shape_is_shown() {
        let body = json!({"query": {"bool": {"filter": [{"term": {"brand": {"value": "secret"}}}], "must": [
            {"match": {"name": {"query": "secret words", "boost": 0.7}}}]}}, "size": 21, "search_after": ["secret", 5]});
        let text = template(&body);
        assert!(!text.contains("secret") && !text.contains("0.7"), "{text}");
        assert!(
            text.contains(r#"{"term":{"brand":{"value":"?"}}}"#) && text.contains(r#""size":21"#),
            "{text}"
        );
    }
}
