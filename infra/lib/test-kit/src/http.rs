//! Calling a service in a test, as one of its callers.

use emporium_service_kit::ServiceName;
use emporium_service_kit::auth::Secret;
use emporium_service_kit::client::http_builder;
use serde::Serialize;
use serde_json::Value;

/// Calls one service with one caller's token (or none).
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer, read.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The media type.
    pub content_type: String,
    /// Response headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as JSON; null when it is none.
    pub json: Value,
    /// The body as text.
    pub text: String,
}

impl Caller {
    /// Calls `base` as `caller`, with `secret`'s token for `callee`.
    pub fn new(base: &str, callee: ServiceName, secret: Option<&Secret>) -> Self {
        let http = http_builder().build().unwrap();
        Self {
            http,
            base: base.to_owned(),
            token: secret.map(|secret| secret.token_for(callee)),
        }
    }

    /// Sends the bearer token `token` from here on.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// A request to be put together by hand.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        Reply::read(self.request("GET", path)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Reply {
        Reply::read(self.request("DELETE", path)).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: impl Serialize) -> Reply {
        Reply::read(self.request("POST", path).json(&body)).await
    }

    /// `PUT` of a JSON body.
    pub async fn put(&self, path: &str, body: impl Serialize) -> Reply {
        Reply::read(self.request("PUT", path).json(&body)).await
    }

    /// `PATCH` of a JSON body.
    pub async fn patch(&self, path: &str, body: impl Serialize) -> Reply {
        Reply::read(self.request("PATCH", path).json(&body)).await
    }

    /// `POST` of newline-delimited JSON.
    pub async fn bulk(&self, path: &str, records: &[Value]) -> Reply {
        let text: String = records
            .iter()
            .flat_map(|record| [record.to_string(), "\n".to_owned()])
            .collect();
        Reply::read(
            self.request("POST", path)
                .header("content-type", "application/x-ndjson")
                .body(text),
        )
        .await
    }
}

impl Reply {
    /// Sends a request and reads the whole answer.
    pub async fn read(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.expect("the service answers");
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let content_type = headers
            .get("content-type")
            .map(|v| v.to_str().unwrap_or("").to_owned())
            .unwrap_or_default();
        let text = answer.text().await.expect("the body can be read");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self {
            status,
            content_type,
            headers,
            json,
            text,
        }
    }

    /// Checks the status and gives the JSON body; shows the body when it is another status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }

    /// Checks that this is a problem+json with this status and code, and gives it.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status, self.json["code"].as_str().unwrap_or("")),
            (status, code),
            "{}",
            self.text
        );
        assert_eq!(self.content_type, "application/problem+json");
        self.json
    }
}
