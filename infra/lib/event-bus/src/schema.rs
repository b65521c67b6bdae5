//! Committed event schemas: what a v1 promised stays; it only gains fields.

use emporium_service_kit::contract::schema_of;
use serde_json::Value;
use utoipa::ToSchema;

use crate::event::EventData;

/// The JSON Schema (2020-12) document of an event's payload.
pub fn document<E: EventData + ToSchema>() -> Value {
    let mut root = schema_of::<E>();
    if let Value::Object(map) = &mut root {
        map.insert(
            "$schema".into(),
            "https://json-schema.org/draft/2020-12/schema".into(),
        );
        map.insert("title".into(), E::TYPE.into());
    }
    root
}

/// What `new` breaks of `old`: removed fields, changed types, fields that became optional. Empty when consumers of the
/// old schema can read the new one.
pub fn broken_promises(old: &Value, new: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    compare("", old, new, &mut broken);
    broken
}

fn compare(path: &str, old: &Value, new: &Value, broken: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, before) in old {
                let place = format!("{path}/{key}");
                match new.get(key) {
                    // Words may change; only shapes are promises.
                    _ if matches!(key.as_str(), "description" | "example" | "examples" | "title") => {}
                    Some(after) => compare(&place, before, after, broken),
                    None => broken.push(format!("{place} is gone")),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for before in old.iter().filter(|before| !new.contains(before)) {
                broken.push(format!("{path} no longer has {before}"));
            }
        }
        _ if old == new => {}
        _ => broken.push(format!("{path} was {old} and is {new}")),
    }
}

#[cfg(test)]
mod tests {
    use super::broken_promises;
    use serde_json::json;

    #[test]
    fn fields_may_come_but_not_go() {
        let v1 = json!({"properties": {"a": {"type": "string"}}, "required": ["a"]});
        let more = json!({"properties": {"a": {"type": "string", "description": "x"}, "b": {"type": "integer"}}, "required": ["a", "b"]});
        assert!(broken_promises(&v1, &more).is_empty());
        assert_eq!(broken_promises(&more, &v1).len(), 2);
        let changed = json!({"properties": {"a": {"type": "integer"}}, "required": ["a"]});
        assert_eq!(broken_promises(&v1, &changed).len(), 1);
    }
}
