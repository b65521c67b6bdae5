//! Questions to the server's HTTP interface, <https://prometheus.io/docs/prometheus/latest/querying/api/>: observed once a
//! call, bounded in time and size, never repeated.

use std::time::Duration;

use emporium_service_kit::StoreError;
use emporium_service_kit::client::http_builder;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::observe::{Call, observed};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::connect::ConnectError;
use crate::error::Error;

/// `db.system.name`, the scheme of URLs, and the name in reports.
pub const PROMETHEUS: &str = "prometheus";
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long an answer may take that needs no points.
pub const LOOK_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a list of all series may take.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the server may work on points.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a write of points may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest refusal of one that is read.
const REFUSAL_BYTES_MAX: usize = 4 << 10;
/// What is waited beyond that: the server is to say itself that it takes too long.
const GRACE: Duration = Duration::from_secs(1);
/// The longest answer that is read. A million points are some 30 MB of JSON.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The most that is told of what a server said, in characters.
const WORDS_MAX: usize = 200;

/// Why a call gave no result. Never shows the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer in time, no connection, or an answer that says "not now".
    #[error("{0}")]
    Unavailable(String),
    /// User or password.
    #[error("user or password are refused")]
    Refused,
    /// It would take more time, points or bytes than are allowed.
    #[error("it is too much: {0}")]
    TooMuch(String),
    /// The server does not accept the request.
    #[error("the server answered {status}: {reason}")]
    Answered {
        /// HTTP status.
        status: u16,
        /// In the server's words.
        reason: String,
    },
    /// The answer is not what was expected.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

impl CallError {
    /// One word for metrics and spans.
    fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Refused => "refused",
            Self::TooMuch(_) => "too_much",
            Self::Answered { .. } => "answered",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl From<CallError> for StoreError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unavailable(_) | CallError::Refused => Self::Unavailable(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::TooMuch(reason) => {
                tracing::info!(reason, "a question is too much for the server");
                Self::TooMuchWork
            }
            other => Self::Store(other.into()),
        }
    }
}

/// A request: what it is called in metrics, and what it is.
#[derive(Debug)]
pub struct Request<'a> {
    /// `db.operation.name`, from a closed list.
    pub operation: &'static str,
    /// Path below the server's root, without a leading `/`.
    pub path: &'a str,
    /// Its parameters.
    pub parameters: &'a [(&'a str, String)],
    /// The PromQL without label values, for spans.
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
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prometheus")
    }
}

/// Every answer that is no error.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
    #[serde(default)]
    warnings: Vec<String>,
}

/// Every answer that is one.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Refusal {
    error_type: String,
    error: String,
}

impl Client {
    /// A client of the server at this address; nothing is sent yet.
    pub fn new(base: Url, metrics: Metrics) -> Result<Self, ConnectError> {
        let http = http_builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| ConnectError::Unreachable(error.without_url().to_string()))?;
        Ok(Self { http, base, metrics })
    }

    /// Sends a request and reads its answer. `rows` counts what came back.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        request: Request<'_>,
        rows: impl FnOnce(&T) -> u64,
    ) -> Result<T, CallError> {
        let call = Call {
            system: PROMETHEUS,
            operation: request.operation,
            text: request.text,
        };
        let timeout = request.timeout;
        let work = async {
            let answered = tokio::time::timeout(timeout, self.exchange(request)).await;
            answered.unwrap_or_else(|_| Err(CallError::Unavailable("it takes too long".to_owned())))
        };
        observed(&self.metrics, call, rows, |error: &CallError| error.kind(), work).await
    }

    /// The same for PromQL, with a bound on the server's work. Parameters beside it: `time`, or `start`, `end` and `step`.
    pub async fn evaluate<T: DeserializeOwned>(
        &self,
        request: Request<'_>,
        rows: impl FnOnce(&T) -> u64,
    ) -> Result<T, CallError> {
        let mut parameters = request.parameters.to_vec();
        parameters.push(("timeout", format!("{}s", QUERY_TIMEOUT.as_secs())));
        let request = Request {
            parameters: &parameters,
            timeout: QUERY_TIMEOUT + GRACE,
            ..request
        };
        self.ask(request, rows).await
    }

    /// Sends points in the form of remote write, and waits until they are there. A server that does not take them from anybody
    /// answers in text of its own, so whatever it says is told as it is.
    pub async fn send_points(&self, body: Vec<u8>) -> Result<(), CallError> {
        let call = Call {
            system: PROMETHEUS,
            operation: "remote_write",
            text: "POST /api/v1/write",
        };
        let work = async {
            let answered = tokio::time::timeout(WRITE_TIMEOUT, self.post_points(body)).await;
            answered.unwrap_or_else(|_| Err(CallError::Unavailable("it takes too long".to_owned())))
        };
        observed(
            &self.metrics,
            call,
            |()| 0,
            |error: &CallError| error.kind(),
            work,
        )
        .await
    }

    async fn post_points(&self, body: Vec<u8>) -> Result<(), CallError> {
        let url = self.base.join("api/v1/write");
        let url = url.map_err(|_| CallError::Unreadable("the path".to_owned()))?;
        let request = self
            .http
            .post(url)
            .header("content-encoding", "snappy")
            .header("content-type", "application/x-protobuf")
            .header("x-prometheus-remote-write-version", "0.1.0");
        let mut answer = request.body(body).send().await.map_err(|error| silent(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let mut said = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| silent(&error))? {
            said.extend_from_slice(&piece);
            if said.len() > REFUSAL_BYTES_MAX {
                break;
            }
        }
        match refusal(status, &[]) {
            CallError::Answered { status, .. } => Err(CallError::Answered {
                status,
                reason: words(&String::from_utf8_lossy(&said)),
            }),
            other => Err(other),
        }
    }

    async fn exchange<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, CallError> {
        let unreadable = |what: &str| CallError::Unreadable(what.to_owned());
        let url = self.base.join(request.path).map_err(|_| unreadable("the path"))?;
        let sent = self.http.get(url).query(request.parameters).send().await;
        let mut answer = sent.map_err(|error| silent(&error))?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| silent(&error))? {
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(CallError::TooMuch("the answer is too long".to_owned()));
            }
            bytes.extend_from_slice(&piece);
        }
        if !status.is_success() {
            return Err(refusal(status, &bytes));
        }
        let envelope: Envelope<T> =
            serde_json::from_slice(&bytes).map_err(|error| CallError::Unreadable(error.to_string()))?;
        for warning in envelope.warnings {
            tracing::warn!(
                warning = words(&warning),
                operation = request.operation,
                "Prometheus warns"
            );
        }
        Ok(envelope.data)
    }
}

fn silent(error: &reqwest::Error) -> CallError {
    let text = if error.is_timeout() {
        "it takes too long"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    CallError::Unavailable(text.to_owned())
}

fn words(text: &str) -> String {
    text.chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .take(WORDS_MAX)
        .collect()
}

/// What an error is. The server's words about an expression may hold label values, so they are told to nobody but whoever
/// reads the log.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> CallError {
    let Refusal { error_type, error } = serde_json::from_slice(body).unwrap_or_default();
    let reason = words(&error);
    match (status, error_type.as_str()) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => CallError::Refused,
        (_, "timeout") => CallError::TooMuch(reason),
        (StatusCode::UNPROCESSABLE_ENTITY, _) if error.contains("too many samples") => {
            CallError::TooMuch(reason)
        }
        (
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT,
            _,
        ) => CallError::Unavailable(
            format!("it answered {} {reason}", status.as_u16())
                .trim_end()
                .to_owned(),
        ),
        _ => CallError::Answered {
            status: status.as_u16(),
            reason,
        },
    }
}
