//! Errors at the edge: RFC 9457 problem details.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An answer that says what went wrong: `application/problem+json`.
///
/// `code` is the stable name a program decides by; `type` is the same as a URN. Extensions carry what a caller needs to
/// act (such as `unavailable` lines when stock is short).
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// A stable slug, such as `email-taken`.
    pub code: Cow<'static, str>,
    /// One sentence for a person; never contains personal data or internals.
    pub detail: String,
    /// Further members of the document.
    pub extensions: Map<String, Value>,
    /// Seconds after which trying again makes sense (`Retry-After`).
    pub retry_after_s: Option<u32>,
}

/// The JSON document of a [`Problem`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProblemDocument {
    /// `urn:emporium:problem:<code>`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The status in words.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// One sentence for a person.
    #[serde(default)]
    pub detail: String,
    /// A stable slug, such as `email-taken`.
    #[serde(default)]
    pub code: String,
    /// Further members.
    #[serde(flatten)]
    pub extensions: Map<String, Value>,
}

impl Problem {
    /// A problem with no extensions.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: Cow::Borrowed(code),
            detail: detail.into(),
            extensions: Map::new(),
            retry_after_s: None,
        }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: the caller is not known.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 403: the caller is known and may not.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: there is no such thing, or it is somebody else's.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 409: it clashes with the present state.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: readable, but not acceptable.
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 422 with one `errors` entry per field.
    pub fn invalid(errors: impl IntoIterator<Item = (String, String)>) -> Self {
        let errors: Vec<Value> = errors
            .into_iter()
            .map(|(field, message)| serde_json::json!({ "field": field, "message": message }))
            .collect();
        Self::unprocessable("invalid", "Some fields are not acceptable.").with("errors", errors)
    }

    /// 503: something this answer needs is away for the moment.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
        }
    }

    /// 500: our fault. The cause belongs into the log, not into the answer.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong on our side.",
        )
    }

    /// Adds an extension member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The JSON document.
    pub fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: format!("urn:emporium:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.clone().into_owned(),
            extensions: self.extensions.clone(),
        }
    }

    /// Reads a problem back from another service's answer; anything unreadable becomes a bare problem of that status.
    pub fn from_answer(status: StatusCode, body: &[u8]) -> Self {
        let Ok(document) = serde_json::from_slice::<ProblemDocument>(body) else {
            return Self::new(
                status,
                "unreadable-problem",
                "The service gave an error without details.",
            );
        };
        Self {
            status,
            code: Cow::Owned(document.code),
            detail: document.detail,
            extensions: document.extensions,
            retry_after_s: None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.document()).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 11.6.1: a 401 names a scheme.
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"emporium\""),
            );
        }
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body stays unread, so the connection cannot be used again; a client has to know that.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
