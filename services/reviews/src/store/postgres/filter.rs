//! Filters by attributes as one `jsonpath` predicate.
//!
//! In `jsonpath`'s lax mode (the default) a list on the way stands for its items, as the filters promise. Plain containment
//! (`@>`) would need one alternative for each way in which lists can lie on the path.

use crate::attributes::AttributeFilter;

/// All filters together; `None` without any. Keys and texts are quoted as JSON strings, which `jsonpath` reads as its own.
pub fn predicate(filters: &[AttributeFilter]) -> Option<String> {
    let all: Vec<String> = filters.iter().map(one).collect();
    (!all.is_empty()).then(|| all.join(" && "))
}

fn one(filter: &AttributeFilter) -> String {
    let mut path = "$".to_owned();
    for key in &filter.path {
        path.push('.');
        path.push_str(&quoted(key));
    }
    let text = quoted(&filter.text);
    match &filter.scalar {
        Some(scalar) => format!("({path} == {text} || {path} == {scalar})"),
        None => format!("({path} == {text})"),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_texts_cannot_leave_their_quotes() {
        let filters =
            AttributeFilter::read_all(&[r#"a b.c:x" || 1 == 1"#.to_owned(), "width:-3.5".to_owned()]);
        assert_eq!(
            predicate(&filters.unwrap()).unwrap(),
            r#"($."a b"."c" == "x\" || 1 == 1") && ($."width" == "-3.5" || $."width" == -3.5)"#
        );
        assert_eq!(predicate(&[]), None);
    }
}
