//! Preferences: a JSON object changed by JSON Merge Patch (RFC 7396).

use emporium_service_kit::validate::has_nul;
use serde_json::{Map, Value};

use crate::error::Error;

/// The most bytes that preferences take as JSON.
pub const BYTES_MAX: usize = 8 * 1024;

/// How deep they may be nested. Readers take 128 levels, and preferences travel inside lists of users.
const DEPTH_MAX: usize = 16;

/// `target` after `patch`; null removes a member.
pub fn patched(target: &Map<String, Value>, patch: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    refuse_nul(&patch)?;
    let mut result = target.clone();
    merge(&mut result, patch);
    check(&result)?;
    Ok(result)
}

/// Checks that preferences can be kept.
pub fn check(preferences: &Map<String, Value>) -> Result<(), Error> {
    refuse_nul(preferences)?;
    if preferences.values().map(depth).max().unwrap_or(0) >= DEPTH_MAX {
        return Err(Error::PreferencesTooDeep(DEPTH_MAX));
    }
    if serde_json::to_vec(preferences)?.len() > BYTES_MAX {
        return Err(Error::PreferencesTooLarge(BYTES_MAX));
    }
    Ok(())
}

fn refuse_nul(object: &Map<String, Value>) -> Result<(), Error> {
    if object
        .iter()
        .any(|(key, value)| key.contains('\0') || has_nul(value))
    {
        return Err(Error::PreferencesWithNul);
    }
    Ok(())
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// RFC 7396, section 2. Recursion is bounded by the depth that the JSON reader accepts.
fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, change) in patch {
        match change {
            Value::Null => {
                target.remove(&key);
            }
            Value::Object(change) => {
                let entry = target.entry(key).or_insert(Value::Null);
                if !entry.is_object() {
                    *entry = Value::Object(Map::new());
                }
                if let Value::Object(inner) = entry {
                    merge(inner, change);
                }
            }
            other => {
                target.insert(key, other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    fn apply(target: Value, patch: Value) -> Value {
        Value::Object(patched(&object(target), object(patch)).unwrap())
    }

    #[test]
    fn examples_of_the_rfc() {
        // RFC 7396, appendix A, as far as target and patch are objects.
        for (target, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ] {
            assert_eq!(
                apply(target.clone(), patch.clone()),
                result,
                "{target} with {patch}"
            );
        }
    }

    #[test]
    fn bounds() {
        let empty = Map::new();
        let long = "x".repeat(BYTES_MAX);
        assert!(matches!(
            patched(&empty, object(json!({"a": long}))),
            Err(Error::PreferencesTooLarge(_))
        ));
        for bad in [
            json!({"a\0": 1}),
            json!({"a": {"b": ["\0"]}}),
            json!({"a": {"\0": 1}}),
        ] {
            assert!(matches!(
                patched(&empty, object(bad)),
                Err(Error::PreferencesWithNul)
            ));
        }
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
        assert!(patched(&empty, object(nested(DEPTH_MAX))).is_ok());
        assert!(matches!(
            patched(&empty, object(nested(DEPTH_MAX + 1))),
            Err(Error::PreferencesTooDeep(_))
        ));
        // A removed member does not count.
        let full = object(json!({"a": "x".repeat(BYTES_MAX - 8)}));
        assert!(patched(&full, object(json!({"a": null, "b": 1}))).is_ok());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,3}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn objects() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::btree_map("[a-d]", values(), 0..4).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_patch_twice_is_a_patch_once(target in objects(), patch in objects()) {
            let once = patched(&target, patch.clone()).unwrap();
            let twice = patched(&once, patch.clone()).unwrap();
            prop_assert_eq!(&once, &twice);
            for (key, value) in &patch {
                prop_assert_eq!(once.contains_key(key), !value.is_null());
            }
            for (key, value) in &target {
                if !patch.contains_key(key) {
                    prop_assert_eq!(once.get(key), Some(value));
                }
            }
        }
    }
}
