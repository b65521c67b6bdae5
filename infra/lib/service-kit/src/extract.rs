//! Extractors whose rejections are problem+json, with validation built in.

use axum::extract::rejection::{FormRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use garde::Validate;
use serde::de::DeserializeOwned;

use crate::Problem;

/// A JSON body, read and validated: 400 for JSON that cannot be read or has wrong types, 413 over the limit, 415 for
/// another media type, 422 for values that are not acceptable.
pub struct Body<T>(pub T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(unsupported("application/json"));
        }
        let bytes =
            Bytes::from_request(request, state)
                .await
                .map_err(|rejection| match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => too_large(),
                    _ => Problem::bad_request("bad-json", "The body could not be read."),
                })?;
        // serde would also read a struct from an array of its fields in order; nobody means that.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Problem::bad_request(
                "bad-json",
                "The body has to be a JSON object.",
            ));
        }
        let axum::Json(value) = axum::Json::<T>::from_bytes(&bytes).map_err(|rejection: JsonRejection| {
            Problem::bad_request("bad-json", shortened(rejection.body_text()))
        })?;
        validated(value).map(Self)
    }
}

/// Query parameters, read and validated: 400 for wrong types, 422 for values that are not acceptable.
pub struct Query<T>(pub T);

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(Problem::unprocessable(
                "invalid",
                "Parameters must not contain NUL.",
            ));
        }
        let axum::extract::Query(value) = axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|rejection: QueryRejection| {
                Problem::bad_request("bad-query", shortened(rejection.body_text()))
            })?;
        validated(value).map(Self)
    }
}

/// Path parameters: what does not parse cannot exist, so it is 404.
pub struct Path<T>(pub T);

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|_: PathRejection| Problem::not_found("There is nothing at this address."))
    }
}

/// A form body (`application/x-www-form-urlencoded`), read but not validated: pages show errors in their own way.
pub struct Form<T>(pub T);

impl<S, T> FromRequest<S> for Form<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        axum::Form::<T>::from_request(request, state)
            .await
            .map(|axum::Form(value)| Self(value))
            .map_err(|rejection: FormRejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => too_large(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE => unsupported("application/x-www-form-urlencoded"),
                _ => Problem::bad_request("bad-form", "The form cannot be read."),
            })
    }
}

/// The `Idempotency-Key` header: 1 to 255 visible ASCII characters. Missing is 400, unreadable is 400.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(bad_key());
    }
    let key = value.to_str().map_err(|_| bad_key())?;
    if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad_key());
    }
    Ok(Some(key.to_owned()))
}

fn bad_key() -> Problem {
    Problem::bad_request(
        "bad-idempotency-key",
        "Idempotency-Key must be given once, as 1 to 255 visible ASCII characters.",
    )
}

/// `application/json`, or a type with the suffix `+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The reader's words quote the value they complain of, however long it is.
fn shortened(mut text: String) -> String {
    const CHARS_MAX: usize = 300;
    if let Some((end, _)) = text.char_indices().nth(CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        "The body is over the limit of this address.",
    )
}

fn unsupported(wanted: &str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        format!("Send the body as {wanted}."),
    )
}

fn validated<T: Validate<Context = ()>>(value: T) -> Result<T, Problem> {
    value.validate().map_err(|report| {
        Problem::invalid(
            report
                .iter()
                .map(|(path, error)| (path.to_string(), error.message().to_owned())),
        )
    })?;
    Ok(value)
}
