//! A product's attributes as lines of text, for a text area, and back.

use serde_json::{Map, Value};

/// One line an attribute. What would be read back as something else is written in quotes, as JSON has it.
pub fn typed_out(attributes: &Map<String, Value>) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let plain = |text: &str| !text.is_empty() && text.trim() == text && !text.contains(char::is_control);
    let line = |(name, value): (&String, &Value)| {
        let name = match name {
            name if plain(name) && !name.contains(':') && !name.starts_with('"') => name.clone(),
            name => quoted(name),
        };
        match value {
            Value::String(text) if plain(text) && typed(text) == *value => format!("{name}: {text}"),
            other => format!("{name}: {other}"),
        }
    };
    attributes.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Lines of `name: value`; numbers and booleans become what they are, and so does text in quotes.
pub fn read(text: &str) -> Option<Map<String, Value>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, rest) = name_of(line)?;
            let value = rest.trim().strip_prefix(':')?.trim();
            (!name.is_empty() && !value.is_empty()).then(|| (name, typed(value)))
        })
        .collect()
}

/// The name at the beginning of a line, and what follows it: the colon and the value.
fn name_of(line: &str) -> Option<(String, &str)> {
    if !line.starts_with('"') {
        let (name, _) = line.split_once(':')?;
        return Some((name.trim().to_owned(), line.get(name.len()..)?));
    }
    let mut read = serde_json::Deserializer::from_str(line).into_iter::<String>();
    let name = read.next()?.ok()?;
    Some((name, line.get(read.byte_offset()..)?))
}

fn typed(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::String(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["\\PC{0,20}", "[\"\\\\: \r\n\ta1-]{0,12}"];
        prop_oneof![
            text.prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1_000_000..1_000_000_i32).prop_map(|hundredths| Value::from(f64::from(hundredths) / 100.0)),
            any::<bool>().prop_map(Value::from),
        ]
    }

    proptest! {
        /// Saving a product whose attributes nobody touched changes none of them, whatever they are called.
        #[test]
        fn attributes_are_read_back_as_they_were(
            map in proptest::collection::btree_map("[\"\\\\: \r\n\ta1ä-]{1,12}", value(), 0..6)
        ) {
            let map: Map<String, Value> = map.into_iter().collect();
            // As browsers send a text area.
            let sent = typed_out(&map).replace('\n', "\r\n");
            prop_assert_eq!(read(&sent), Some(map));
        }

        #[test]
        fn no_text_panics(text in "[\"\\\\:a\n ]{0,30}") {
            let _ = read(&text);
        }
    }

    #[test]
    fn attributes_keep_their_types() {
        let map =
            json!({ "a": "green", "b": "12", "c": 12, "d": true, "e": "true", "f": "\"x\"", "g": "10: 4" });
        let map = map.as_object().unwrap();
        assert_eq!(read(&typed_out(map)).as_ref(), Some(map));
        for bad in ["no colon", "empty:", "\"a\" b: c", "\"a: c", ": x"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
