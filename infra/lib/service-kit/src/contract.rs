//! What a consumer reads of its providers, written down so that a test can compare it with their committed OpenAPI
//! documents: a tolerant reader depends on the fields it names, and on nothing else.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::ServiceName;

/// A call that a service makes, and the shape it reads of a successful answer.
#[derive(Debug, Clone)]
pub struct Read {
    /// The provider.
    pub callee: ServiceName,
    /// The method in lower case, as OpenAPI has it.
    pub method: &'static str,
    /// The path with its parameters in braces, as OpenAPI has it.
    pub path: &'static str,
    /// The shape read; `None` when the body is not looked at.
    pub shape: Option<Value>,
}

impl Read {
    /// A call whose answer is read as `T`.
    pub fn of<T: ToSchema>(callee: ServiceName, method: &'static str, path: &'static str) -> Self {
        Self {
            callee,
            method,
            path,
            shape: Some(schema_of::<T>()),
        }
    }

    /// A call whose answer's body is not looked at.
    pub fn ignored(callee: ServiceName, method: &'static str, path: &'static str) -> Self {
        Self {
            callee,
            method,
            path,
            shape: None,
        }
    }

    /// What the provider's OpenAPI document does not give `caller`; empty when it gives all.
    pub fn missing_from(&self, document: &Value, caller: ServiceName) -> Vec<String> {
        let operation = &document["paths"][self.path][self.method];
        if operation.is_null() {
            return vec![format!("{} {} does not exist", self.method, self.path)];
        }
        let callers = operation["x-callers"].as_array().cloned().unwrap_or_default();
        let mut missing = Vec::new();
        if !callers.iter().any(|name| name == caller.as_str()) {
            missing.push(format!("{} {} does not let {caller} in", self.method, self.path));
        }
        if let Some(shape) = &self.shape {
            let given = successful_answers(operation);
            if given.is_empty() {
                missing.push(format!("{} {} promises no JSON answer", self.method, self.path));
            }
            for answer in given {
                let place = format!("{} {}", self.method, self.path);
                compare(&place, (shape, shape), (answer, document), &mut missing);
            }
        }
        missing
    }
}

/// The JSON Schema of a type, with the schemas it refers to under `components`.
pub fn schema_of<T: ToSchema>() -> Value {
    let mut parts: Vec<(String, RefOr<Schema>)> = Vec::new();
    T::schemas(&mut parts);
    let mut root = serde_json::to_value(T::schema()).unwrap_or_default();
    let parts: Map<String, Value> = parts
        .into_iter()
        .map(|(name, part)| (name, serde_json::to_value(part).unwrap_or_default()))
        .collect();
    if let (Value::Object(map), false) = (&mut root, parts.is_empty()) {
        map.insert("components".into(), json!({ "schemas": parts }));
    }
    root
}

fn successful_answers(operation: &Value) -> Vec<&Value> {
    let answers = operation["responses"].as_object().into_iter().flatten();
    answers
        .filter(|(status, _)| status.starts_with('2'))
        .map(|(_, answer)| &answer["content"]["application/json"]["schema"])
        .filter(|schema| !schema.is_null())
        .collect()
}

/// Follows `$ref` within its document.
fn resolve<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    let Some(target) = schema["$ref"].as_str() else {
        return schema;
    };
    document.pointer(target.trim_start_matches('#')).unwrap_or(schema)
}

/// A schema without its `null` alternative, and whether it had one.
fn without_null<'a>(schema: &'a Value, document: &'a Value) -> (&'a Value, bool) {
    let schema = resolve(schema, document);
    for key in ["oneOf", "anyOf"] {
        if let Some(options) = schema[key].as_array() {
            let nullable = options.iter().any(|option| option["type"] == "null");
            if let Some(real) = options
                .iter()
                .find(|option| option["type"] != "null")
                .filter(|_| nullable)
            {
                return (resolve(real, document), true);
            }
        }
    }
    let nullable = schema["type"]
        .as_array()
        .is_some_and(|types| types.iter().any(|kind| kind == "null"));
    (schema, nullable)
}

/// `read` and `given` are a schema and the document it stands in.
fn compare(place: &str, read: (&Value, &Value), given: (&Value, &Value), missing: &mut Vec<String>) {
    let (wanted, may_be_null) = without_null(read.0, read.1);
    let (offered, is_nullable) = without_null(given.0, given.1);
    if is_nullable && !may_be_null {
        missing.push(format!("{place} may be null"));
    }
    let (wanted_kind, offered_kind) = (kind(wanted), kind(offered));
    if let (Some(wanted_kind), Some(offered_kind)) = (&wanted_kind, &offered_kind)
        && wanted_kind != offered_kind
    {
        missing.push(format!("{place} is {offered_kind}, read as {wanted_kind}"));
    }
    if wanted["items"].is_object() {
        compare(
            &format!("{place}[]"),
            (&wanted["items"], read.1),
            (&offered["items"], given.1),
            missing,
        );
    }
    let offers = fields(offered, given.1);
    for (name, field, is_required) in fields(wanted, read.1) {
        let inner = format!("{place}.{name}");
        let there = offers.iter().find(|offer| offer.0 == name);
        match (there, is_required) {
            (None, false) => {}
            (None, true) => missing.push(format!("{inner} is not there")),
            (Some((_, there, is_always_there)), _) => {
                if is_required && !is_always_there {
                    missing.push(format!("{inner} may be left out"));
                }
                let mut deeper = Vec::new();
                compare(&inner, (field, read.1), (there, given.1), &mut deeper);
                missing.extend(
                    deeper
                        .into_iter()
                        .filter(|line| is_required || !line.ends_with("may be null")),
                );
            }
        }
    }
}

/// The fields of an object with whether each is required: its own, and those of all parts that it is put together from
/// (`allOf`, which is how flattened structs are written).
fn fields<'a>(schema: &'a Value, document: &'a Value) -> Vec<(&'a str, &'a Value, bool)> {
    let schema = resolve(schema, document);
    let required = |name: &str| {
        let names = schema["required"].as_array().into_iter().flatten();
        names.into_iter().any(|required| required == name)
    };
    let own = schema["properties"].as_object().into_iter().flatten();
    let own = own.map(|(name, field)| (name.as_str(), field, required(name)));
    let parts = schema["allOf"].as_array().into_iter().flatten();
    own.chain(parts.flat_map(|part| fields(part, document))).collect()
}

/// The JSON type besides null; `None` when anything goes.
fn kind(schema: &Value) -> Option<String> {
    match &schema["type"] {
        Value::String(kind) => Some(kind.clone()),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(ToSchema, serde::Serialize)]
    #[allow(dead_code)]
    struct Reads {
        id: String,
        note: Option<String>,
    }

    #[derive(ToSchema, serde::Serialize)]
    #[allow(dead_code)]
    struct Flattened {
        #[serde(flatten)]
        reads: Reads,
        more: i64,
    }

    #[test]
    fn flattened_structs_are_looked_into_on_both_sides() {
        let part = json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}});
        let whole = json!({"allOf": [part, {"type": "object", "required": ["more"], "properties": {"more": {"type": "integer"}}}]});
        let lacking = json!({"allOf": [part, {"type": "object", "properties": {}}]});
        let flattened = Read::of::<Flattened>(ServiceName::Users, "get", "/things/{id}");
        let flat = Read::of::<Reads>(ServiceName::Users, "get", "/things/{id}");
        let missing =
            |read: &Read, answer: &Value| read.missing_from(&provider(answer), ServiceName::Gateway);
        assert_eq!(missing(&flat, &whole), Vec::<String>::new());
        assert_eq!(missing(&flattened, &whole), Vec::<String>::new());
        assert_eq!(
            missing(&flattened, &lacking),
            ["get /things/{id}.more is not there"]
        );
    }

    fn provider(answer: &Value) -> Value {
        json!({"paths": {"/things/{id}": {"get": {
            "x-callers": ["gateway"],
            "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}}
        }}}, "components": {"schemas": {"Thing": answer}}})
    }

    #[test]
    fn a_reader_is_content_with_what_it_names_and_misses_what_goes() {
        let read = Read::of::<Reads>(ServiceName::Users, "get", "/things/{id}");
        let good = json!({"type": "object", "required": ["id", "more"], "properties": {
            "id": {"type": "string"}, "more": {"type": "integer"}, "note": {"type": ["string", "null"]}}});
        assert_eq!(
            read.missing_from(&provider(&good), ServiceName::Gateway),
            Vec::<String>::new()
        );
        assert_eq!(
            read.missing_from(&provider(&good), ServiceName::Carts).len(),
            1,
            "not on the list"
        );
        let gone = json!({"type": "object", "properties": {"note": {"type": "string"}}});
        assert_eq!(
            read.missing_from(&provider(&gone), ServiceName::Gateway),
            ["get /things/{id}.id is not there"]
        );
        let changed = json!({"type": "object", "required": ["id"], "properties": {"id": {"type": ["integer", "null"]}}});
        assert_eq!(
            read.missing_from(&provider(&changed), ServiceName::Gateway).len(),
            2
        );
    }
}
