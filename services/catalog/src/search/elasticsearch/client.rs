//! A thin typed client: JSON over HTTP to one server (or the load balancer in front of a cluster), observed once per call and
//! bounded in time, size and number. Why not the official crate: ADR 11.

use std::sync::Arc;
use std::time::Duration;

use emporium_service_kit::StoreError;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::observe::{Call, observed};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

mod connect;
mod template;

pub use connect::{Address, ConnectError};
pub use template::template;

/// `db.system.name`, the scheme of URLs, and the name in reports.
pub const ELASTICSEARCH: &str = "elasticsearch";
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long an answer to a search may take; the whole of a search is bounded above this.
pub const SEARCH_TIMEOUT: Duration = Duration::from_millis(800);
/// How long writes and changes of indices may take; nobody waits for them.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read. A page with facets has some tens of kilobytes, a bulk answer some hundreds.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Calls under way at once; more wait within their time. The server has queues of its own, and full ones refuse.
const CALLS_MAX: usize = 64;

/// Why a call gave no result. Never shows the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ElasticError {
    /// No answer in time, no connection, or an answer that says "not now".
    #[error("{0}")]
    Unavailable(String),
    /// There is no such index or alias.
    #[error("there is no such index")]
    NotFound,
    /// User or password, or what they may do.
    #[error("user or password are refused, or may not do this")]
    Refused,
    /// The server does not accept the request.
    #[error("the server answered {status}: {reason}")]
    Answered {
        /// HTTP status.
        status: u16,
        /// In the server's words: type and reason.
        reason: String,
    },
    /// The answer is not what was expected.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The answer has more bytes than are read.
    #[error("the answer is too long")]
    TooLong,
}

impl ElasticError {
    /// One word for metrics and spans.
    fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Answered { .. } => "answered",
            Self::Unreadable(_) => "unreadable",
            Self::TooLong => "too_long",
        }
    }
}

impl From<ElasticError> for StoreError {
    fn from(error: ElasticError) -> Self {
        match error {
            ElasticError::Unavailable(_) | ElasticError::NotFound | ElasticError::Refused => {
                Self::Unavailable(error.into())
            }
            ElasticError::Answered { .. } | ElasticError::Unreadable(_) | ElasticError::TooLong => {
                Self::Failed(error.into())
            }
        }
    }
}

/// What is sent.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    None,
    /// One JSON document.
    Json(Value),
    /// One JSON document a line.
    Lines(String),
}

/// A request: what it is called in metrics, what it is, and how long it may take.
#[derive(Debug)]
pub struct Request<'a> {
    /// `db.operation.name`, from a closed list.
    pub operation: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path below the server's root, without a leading `/`; ids and constants only.
    pub path: &'a str,
    /// What is sent.
    pub body: Body,
    /// The native query without values, for spans.
    pub text: &'a str,
    /// How long it may take, the answer's body included.
    pub timeout: Duration,
}

/// A server. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    metrics: Metrics,
    permits: Arc<Semaphore>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Elasticsearch")
    }
}

/// The server's own words for an error.
#[derive(Deserialize)]
struct Answer {
    error: Value,
}

impl Client {
    /// Sends a request and reads its JSON answer. `rows` counts what came back.
    pub async fn send<T: DeserializeOwned>(
        &self,
        request: Request<'_>,
        rows: impl FnOnce(&T) -> u64,
    ) -> Result<T, ElasticError> {
        let call = Call {
            system: ELASTICSEARCH,
            operation: request.operation,
            text: request.text,
        };
        let timeout = request.timeout;
        let work = async {
            let answered = tokio::time::timeout(timeout, self.exchange(request)).await;
            answered.unwrap_or_else(|_| Err(ElasticError::Unavailable("it takes too long".to_owned())))
        };
        observed(
            &self.metrics,
            call,
            rows,
            |error: &ElasticError| error.kind(),
            work,
        )
        .await
    }

    async fn exchange<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, ElasticError> {
        let url = self
            .base
            .join(request.path)
            .map_err(|_| ElasticError::Unreadable("the path of a request".to_owned()))?;
        let _permit = self.permits.acquire().await;
        let sent = self.http.request(request.method, url);
        let sent = match request.body {
            Body::None => sent,
            Body::Json(body) => sent.json(&body),
            Body::Lines(lines) => sent.header("content-type", "application/x-ndjson").body(lines),
        };
        let mut answer = sent.send().await.map_err(|error| silent(&error))?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| silent(&error))? {
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(ElasticError::TooLong);
            }
            bytes.extend_from_slice(&piece);
        }
        if !status.is_success() {
            return Err(refusal(status, &bytes));
        }
        serde_json::from_slice(&bytes).map_err(|error| ElasticError::Unreadable(error.to_string()))
    }
}

fn silent(error: &reqwest::Error) -> ElasticError {
    let text = if error.is_timeout() {
        "it takes too long"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    ElasticError::Unavailable(text.to_owned())
}

fn refusal(status: StatusCode, body: &[u8]) -> ElasticError {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ElasticError::Refused,
        StatusCode::NOT_FOUND => ElasticError::NotFound,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT
        | StatusCode::REQUEST_TIMEOUT => ElasticError::Unavailable(not_now(status.as_u16(), &error_in(body))),
        _ => ElasticError::Answered {
            status: status.as_u16(),
            reason: reason(&error_in(body)),
        },
    }
}

/// The server's own error, if there is one in an answer.
fn error_in(body: &[u8]) -> Value {
    let answer = serde_json::from_slice::<Answer>(body).map(|answer| answer.error);
    answer.unwrap_or_default()
}

/// A refusal for the time being, and why: a full disk looks like too many requests.
fn not_now(status: u16, error: &Value) -> String {
    format!("it answered {status} {}", reason(error))
        .trim_end()
        .to_owned()
}

/// An error of a part of an answer, as `_msearch` and `_bulk` have them.
pub fn refusal_of_part(status: u16, error: &Value) -> ElasticError {
    match status {
        404 => ElasticError::NotFound,
        408 | 429 | 502..=504 => ElasticError::Unavailable(not_now(status, error)),
        _ => ElasticError::Answered {
            status,
            reason: reason(error),
        },
    }
}

/// Type and reason of an error: of its root cause where there is one, since "all shards failed" says nothing.
fn reason(error: &Value) -> String {
    let root = error.pointer("/root_cause/0").unwrap_or(error);
    let part = |name: &str| root.get(name).and_then(Value::as_str).unwrap_or_default();
    let text = format!("{} {}", part("type"), part("reason"));
    text.trim().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::refusal_of_part;
    use serde_json::json;

    #[test]
    fn a_full_disk_is_told_from_too_many_requests() {
        let error =
            json!({"type": "cluster_block_exception", "reason": "disk usage exceeded flood-stage watermark"});
        assert_eq!(
            refusal_of_part(429, &error).to_string(),
            "it answered 429 cluster_block_exception disk usage exceeded flood-stage watermark"
        );
        assert_eq!(refusal_of_part(503, &json!(null)).to_string(), "it answered 503");
    }
}
