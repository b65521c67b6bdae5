//! The page to browse the API, at `/api` and `/api/docs`: plain HTML made once from the OpenAPI document, so that it
//! cannot say anything else. The document itself is at `/api/openapi.json`.

use std::future::Ready;

use askama::Template;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing;
use bytes::Bytes;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;

use crate::document;
use crate::pages::favicon;

const STYLE: &str = include_str!("../assets/api-docs.css");
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Adds the page and the document to a router that has all its documented routes.
pub fn serve(mut router: OpenApiRouter<()>) -> OpenApiRouter<()> {
    document::complete(router.get_openapi_mut());
    let json = Bytes::from(serde_json::to_string(router.get_openapi()).unwrap_or_default());
    let document = serde_json::from_slice(&json).unwrap_or_default();
    let page = Bytes::from(DocsPage::new(&document).render().unwrap_or_else(|error| {
        tracing::error!(%error, "the API's page cannot be rendered");
        String::new()
    }));
    let page = routing::get(move || answer("text/html; charset=utf-8", page.clone()));
    router
        .route("/api", page.clone())
        .route("/api/docs", page)
        .route(
            "/api/docs/style.css",
            routing::get(|| answer("text/css; charset=utf-8", Bytes::from_static(STYLE.as_bytes()))),
        )
        .route(
            "/api/openapi.json",
            routing::get(move || answer("application/json", json.clone())),
        )
}

fn answer(kind: &'static str, body: Bytes) -> Ready<Response> {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
    std::future::ready((headers, body).into_response())
}

#[derive(Template)]
#[template(path = "api_docs.html")]
struct DocsPage {
    title: String,
    version: String,
    /// The shop's icon.
    favicon: &'static str,
    description: Vec<Span>,
    sections: Vec<Section>,
    shapes: Vec<Shape>,
}

/// The operations of one tag.
struct Section {
    name: String,
    description: Vec<Span>,
    operations: Vec<Operation>,
}

struct Operation {
    /// Anchor within the page.
    anchor: String,
    method: &'static str,
    path: String,
    summary: Vec<Span>,
    description: Vec<Span>,
    signed_in: bool,
    parameters: Vec<Field>,
    body: Option<Kind>,
    answers: Vec<Answer>,
}

struct Answer {
    status: String,
    description: Vec<Span>,
    body: Option<Kind>,
}

/// A named schema.
struct Shape {
    name: String,
    description: Vec<Span>,
    fields: Vec<Field>,
    /// The values of an enumeration.
    values: Vec<String>,
}

struct Field {
    name: String,
    /// For parameters: `path`, `query` or `header`.
    place: String,
    kind: Kind,
    required: bool,
    description: Vec<Span>,
}

/// A type in words, and the shape it links to.
struct Kind {
    text: String,
    link: Option<String>,
}

/// A piece of text: `code` between backticks, or prose.
struct Span {
    text: String,
    code: bool,
}

impl DocsPage {
    fn new(document: &Value) -> Self {
        let info = &document["info"];
        let empty = Map::new();
        let shapes = document["components"]["schemas"].as_object().unwrap_or(&empty);
        Self {
            title: text(&info["title"]),
            version: text(&info["version"]),
            favicon: favicon(),
            description: spans(&info["description"]),
            sections: sections(document),
            shapes: shapes.iter().map(|(name, schema)| shape(name, schema)).collect(),
        }
    }
}

fn sections(document: &Value) -> Vec<Section> {
    items(&document["tags"])
        .map(|tag| {
            let name = text(&tag["name"]);
            Section {
                operations: operations(document, &name),
                description: spans(&tag["description"]),
                name,
            }
        })
        .collect()
}

fn operations(document: &Value, tag: &str) -> Vec<Operation> {
    let empty = Map::new();
    let paths = document["paths"].as_object().unwrap_or(&empty);
    paths
        .iter()
        .flat_map(|(path, item)| METHODS.map(|method| (path, method, &item[method])))
        .filter(|(_, _, found)| items(&found["tags"]).any(|name| name == tag))
        .map(|(path, method, found)| operation(path, method, found))
        .collect()
}

fn operation(path: &str, method: &'static str, found: &Value) -> Operation {
    let empty = Map::new();
    let answers = found["responses"].as_object().unwrap_or(&empty);
    Operation {
        anchor: text(&found["operationId"]),
        method,
        path: path.to_owned(),
        summary: spans(&found["summary"]),
        description: spans(&found["description"]),
        signed_in: needs_session(&found["security"]),
        parameters: items(&found["parameters"]).map(parameter).collect(),
        body: content(&found["requestBody"]),
        answers: answers
            .iter()
            .map(|(status, answer)| Answer {
                status: status.clone(),
                description: spans(&answer["description"]),
                body: content(answer),
            })
            .collect(),
    }
}

/// Schemes are alternatives; an empty one among them means that a session is welcome but not needed.
fn needs_session(security: &Value) -> bool {
    let mut ways = items(security).peekable();
    ways.peek().is_some() && ways.all(|way| way.as_object().is_some_and(|way| !way.is_empty()))
}

fn parameter(found: &Value) -> Field {
    Field {
        name: text(&found["name"]),
        place: text(&found["in"]),
        kind: kind(&found["schema"]),
        required: found["required"] == true,
        description: spans(&found["description"]),
    }
}

fn content(found: &Value) -> Option<Kind> {
    let kinds = found["content"].as_object()?;
    kinds.values().next().map(|media| kind(&media["schema"]))
}

fn shape(name: &str, schema: &Value) -> Shape {
    Shape {
        name: name.to_owned(),
        description: spans(&schema["description"]),
        fields: fields(schema),
        values: items(&schema["enum"])
            .chain(items(&schema["oneOf"]).flat_map(|one| items(&one["enum"])))
            .map(text)
            .collect(),
    }
}

/// An object's own fields, and those it takes over from other shapes (`allOf`).
fn fields(schema: &Value) -> Vec<Field> {
    let empty = Map::new();
    let own = schema["properties"].as_object().unwrap_or(&empty);
    let taken = items(&schema["allOf"]).flat_map(|part| match part["$ref"].as_str() {
        None => fields(part),
        Some(_) => vec![Field {
            name: "…".to_owned(),
            place: String::new(),
            kind: kind(part),
            required: true,
            description: spans(&Value::from("All fields of that shape.")),
        }],
    });
    own.iter()
        .map(|(name, field)| Field {
            name: name.clone(),
            place: String::new(),
            kind: kind(field),
            required: items(&schema["required"]).any(|required| required == name.as_str()),
            description: spans(described(field)),
        })
        .chain(taken)
        .collect()
}

/// Where a field's description stands: beside its type, or beside the one that is not null.
fn described(field: &Value) -> &Value {
    items(&field["oneOf"])
        .map(|option| &option["description"])
        .find(|description| description.is_string())
        .unwrap_or(&field["description"])
}

/// A schema in words.
fn kind(schema: &Value) -> Kind {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        return Kind {
            text: name.to_owned(),
            link: Some(name.to_owned()),
        };
    }
    let either: Vec<Kind> = items(&schema["oneOf"]).map(kind).collect();
    if !either.is_empty() {
        let link = either.iter().find_map(|kind| kind.link.clone());
        let words: Vec<String> = either.into_iter().map(|kind| kind.text).collect();
        return Kind {
            text: words.join(" or "),
            link,
        };
    }
    let types: Vec<String> = match &schema["type"] {
        Value::String(name) => vec![name.clone()],
        several => items(several).map(text).collect(),
    };
    let format = schema["format"].as_str();
    let words = types.iter().map(|name| match (name.as_str(), format) {
        ("array", _) => format!("list of {}", kind(&schema["items"]).text),
        ("null", _) | (_, None) => name.clone(),
        (name, Some(format)) => format!("{name} ({format})"),
    });
    let words: Vec<String> = words.collect();
    Kind {
        text: if words.is_empty() {
            "anything".to_owned()
        } else {
            words.join(" or ")
        },
        link: kind_of_items(schema),
    }
}

fn kind_of_items(schema: &Value) -> Option<String> {
    let items = schema.get("items")?;
    kind(items).link
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn spans(value: &Value) -> Vec<Span> {
    value
        .as_str()
        .unwrap_or_default()
        .split('`')
        .enumerate()
        .map(|(index, text)| Span {
            text: text.to_owned(),
            code: index % 2 == 1,
        })
        .filter(|span| !span.text.is_empty())
        .collect()
}
