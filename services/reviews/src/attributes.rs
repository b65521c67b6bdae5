//! The part of a review that has no fixed shape, its bounds, and how lists are filtered by it.

use emporium_service_kit::{Problem, garde};
use serde_json::{Map, Number, Value};

use crate::rules;

/// Any JSON object.
pub type Attributes = Map<String, Value>;

/// The most bytes of attributes, as compact JSON.
pub const BYTES_MAX: usize = 16 << 10;
/// The deepest nesting; the object itself is the first level.
pub const DEPTH_MAX: usize = 5;
/// The most keys, those of nested objects included.
pub const KEYS_MAX: usize = 64;
/// The most values, those in lists included: a filtered list looks through them.
pub const VALUES_MAX: usize = 256;
/// The longest key, in characters.
pub const KEY_CHARS_MAX: usize = 64;
/// The longest text, in characters.
pub const TEXT_CHARS_MAX: usize = 2_000;
/// The largest number, on either side of zero: all stores and readers keep these exactly (RFC 7493, section 2.2).
pub const NUMBER_MAX: f64 = 9_007_199_254_740_991.0;
/// The most attributes that one list is filtered by.
pub const FILTERS_MAX: usize = 5;

/// What was counted so far.
#[derive(Default)]
struct Census {
    keys: usize,
    values: usize,
}

/// Attributes that can be kept, looked through and shown.
#[allow(clippy::trivially_copy_pass_by_ref)] // garde hands over references
pub fn bounded(attributes: &Attributes, _: &()) -> garde::Result {
    let mut census = Census::default();
    census.object(attributes, 1)?;
    let bytes = serde_json::to_vec(attributes).map_or(usize::MAX, |json| json.len());
    if bytes > BYTES_MAX {
        return refuse("must be at most 16 KiB of JSON");
    }
    Ok(())
}

fn refuse(message: &str) -> garde::Result {
    Err(garde::Error::new(message))
}

impl Census {
    fn object(&mut self, object: &Attributes, depth: usize) -> garde::Result {
        if depth > DEPTH_MAX {
            return refuse("must be nested at most 5 levels deep");
        }
        self.keys += object.len();
        if self.keys > KEYS_MAX {
            return refuse("must have at most 64 keys, those of nested objects included");
        }
        for (name, value) in object {
            key(name)?;
            self.value(value, depth)?;
        }
        Ok(())
    }

    /// A value inside something on level `depth`.
    fn value(&mut self, value: &Value, depth: usize) -> garde::Result {
        self.values += 1;
        if self.values > VALUES_MAX {
            return refuse("must have at most 256 values, those in lists included");
        }
        match value {
            Value::Null | Value::Bool(_) => Ok(()),
            Value::Number(value) => number(value),
            Value::String(value) => text(value),
            Value::Object(object) => self.object(object, depth + 1),
            Value::Array(_) if depth == DEPTH_MAX => refuse("must be nested at most 5 levels deep"),
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item, depth + 1)),
        }
    }
}

fn key(name: &str) -> garde::Result {
    if name.chars().count() > KEY_CHARS_MAX {
        return refuse("keys must have 1 to 64 characters");
    }
    if name.contains(['.', ':']) || name.starts_with('$') {
        return refuse("keys must not contain . or : nor begin with $");
    }
    rules::title(name, &()).map_err(|error| garde::Error::new(format!("keys {error}")))
}

fn text(value: &str) -> garde::Result {
    if value.chars().count() > TEXT_CHARS_MAX {
        return refuse("texts must have at most 2,000 characters");
    }
    rules::lines(value, &()).map_err(|error| garde::Error::new(format!("texts {error}")))
}

fn number(value: &Number) -> garde::Result {
    if value.as_f64().is_some_and(|float| float.abs() <= NUMBER_MAX) {
        return Ok(());
    }
    refuse("numbers must be within 9,007,199,254,740,991 of zero")
}

/// `path:value`, one of the attributes that a list is filtered by. The path is a row of keys with dots between them; a list on
/// the way stands for each of its items, so `pros:light` finds `{"pros":["light","cheap"]}` and `photos.caption:front` finds
/// `{"photos":[{"caption":"front"}]}`. The value is a text, and a number, `true`, `false` or `null` as well where it can be read
/// as one.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeFilter {
    /// Keys from the outside inwards; 1 to 5.
    pub path: Vec<String>,
    /// The text that was asked for.
    pub text: String,
    /// The same as another kind of JSON value.
    pub scalar: Option<Value>,
}

impl AttributeFilter {
    /// Reads the repeated parameter `attribute`.
    pub fn read_all(parameters: &[String]) -> Result<Vec<Self>, Problem> {
        if parameters.len() > FILTERS_MAX {
            return Err(bad_filter("there may be at most 5 of them"));
        }
        parameters.iter().map(|text| Self::read(text)).collect()
    }

    fn read(parameter: &str) -> Result<Self, Problem> {
        let (path, text) = parameter
            .split_once(':')
            .ok_or_else(|| bad_filter("must be written path:value"))?;
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.len() > DEPTH_MAX {
            return Err(bad_filter("a path has at most 5 keys"));
        }
        for name in &path {
            key(name).map_err(|error| bad_filter(&error.to_string()))?;
        }
        self::text(text).map_err(|error| bad_filter(&error.to_string()))?;
        let scalar = serde_json::from_str(text)
            .ok()
            .filter(|value: &Value| match value {
                Value::Number(value) => number(value).is_ok(),
                Value::Bool(_) | Value::Null => true,
                _ => false,
            });
        Ok(Self {
            path,
            text: text.to_owned(),
            scalar,
        })
    }
}

fn bad_filter(message: &str) -> Problem {
    Problem::invalid([("attribute".to_owned(), message.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(value: &Value) -> garde::Result {
        bounded(value.as_object().unwrap(), &())
    }

    fn nested(levels: usize, mut inner: Value, wrap: impl Fn(Value) -> Value) -> Value {
        for _ in 0..levels {
            inner = wrap(inner);
        }
        inner
    }

    #[test]
    fn free_shape_has_bounds() {
        let object = |inner| json!({ "a": inner });
        let list = |inner| json!([inner]);
        assert!(
            check(
                &json!({"pros": ["light"], "fit": {"size": "small", "width": 3.5}, "again": true, "x": null})
            )
            .is_ok()
        );
        assert!(check(&nested(5, json!(1), object)).is_ok());
        assert!(check(&nested(6, json!(1), object)).is_err());
        assert!(check(&object(nested(4, json!(1), list))).is_ok());
        assert!(check(&object(nested(5, json!(1), list))).is_err());
        let keys = |n: usize| Value::Object((0..n).map(|i| (format!("k{i}"), json!(i))).collect());
        assert!(check(&keys(64)).is_ok());
        assert!(check(&keys(65)).is_err());
        assert!(
            check(&json!({"a": keys(32), "b": keys(31)})).is_err(),
            "nested keys count"
        );
        assert!(check(&json!({"a": vec![1; 255]})).is_ok());
        assert!(check(&json!({"a": vec![1; 256]})).is_err());
        let texts: Vec<String> = vec!["x".repeat(2_000); 9];
        assert!(check(&json!({"a": texts[..8]})).is_ok());
        assert!(check(&json!({ "a": texts })).is_err(), "16 KiB");
        assert!(check(&json!({"a": "x".repeat(2_001)})).is_err());
    }

    #[test]
    fn keys_texts_and_numbers_have_rules() {
        for bad in [
            "",
            " ",
            "a.b",
            "a:b",
            "$where",
            "a\0",
            "a\n",
            "\u{202E}a",
            &"x".repeat(65),
        ] {
            assert!(check(&json!({ bad: 1 })).is_err(), "{bad:?}");
        }
        for bad in [
            json!("a\0b"),
            json!("\u{202E}a"),
            json!(1e16),
            json!(u64::MAX),
            json!(-1e300),
        ] {
            assert!(check(&json!({ "a": bad })).is_err(), "{bad}");
        }
        for good in [
            json!(9_007_199_254_740_991_i64),
            json!(-0.5e-300),
            json!("two\nlines"),
            json!(""),
        ] {
            assert!(check(&json!({ "a": good })).is_ok(), "{good}");
        }
    }

    #[test]
    fn filters_are_read() {
        let read = |text: &str| {
            AttributeFilter::read(text).map(|filter| (filter.path.join("/"), filter.text, filter.scalar))
        };
        assert_eq!(read("pros:light").unwrap(), ("pros".into(), "light".into(), None));
        assert_eq!(
            read("fit.width:3.5").unwrap(),
            ("fit/width".into(), "3.5".into(), Some(json!(3.5)))
        );
        assert_eq!(read("a:b:c").unwrap().1, "b:c");
        assert_eq!(read("again:true").unwrap().2, Some(json!(true)));
        assert_eq!(read("a:1e400").unwrap().2, None);
        for bad in ["", "a", ":x", "a..b:x", "$a:x", "a.b.c.d.e.f:x", "a:\0"] {
            assert_eq!(read(bad).unwrap_err().status.as_u16(), 422, "{bad:?}");
        }
        assert!(AttributeFilter::read_all(&vec!["a:b".to_owned(); 6]).is_err());
    }

    proptest! {
        #[test]
        fn any_filter_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = AttributeFilter::read(&text);
        }
    }
}
