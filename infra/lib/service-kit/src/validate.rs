//! Rules for text that people type, used by every request type through garde's `custom`.

/// One line of text: no control characters. (Length bounds are the field's own.)
pub fn line(text: &str, _: &()) -> garde::Result {
    if text.chars().any(char::is_control) {
        return Err(garde::Error::new("must not contain control characters"));
    }
    Ok(())
}

/// One line with something in it besides white space.
pub fn filled_line(text: &str, cx: &()) -> garde::Result {
    if text.trim().is_empty() {
        return Err(garde::Error::new("must not be empty"));
    }
    line(text, cx)
}

/// Text of several lines: tabs and line breaks are fine, other control characters are not.
pub fn text(text: &str, _: &()) -> garde::Result {
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Err(garde::Error::new("must not contain control characters"));
    }
    Ok(())
}

/// [`line`] for a field that may be absent.
pub fn line_opt(value: &Option<String>, cx: &()) -> garde::Result {
    value.as_deref().map_or(Ok(()), |value| line(value, cx))
}

/// [`filled_line`] for a field that may be absent.
pub fn filled_line_opt(value: &Option<String>, cx: &()) -> garde::Result {
    value.as_deref().map_or(Ok(()), |value| filled_line(value, cx))
}

/// [`text`] for a field that may be absent.
pub fn text_opt(value: &Option<String>, cx: &()) -> garde::Result {
    value.as_deref().map_or(Ok(()), |value| text(value, cx))
}

/// True when PostgreSQL could not keep the value: it has no NUL in text or in `jsonb`.
pub fn has_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(has_nul),
        serde_json::Value::Object(map) => map
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}
