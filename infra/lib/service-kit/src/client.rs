//! Calls to other services: one client type with the token, time-outs, retries with jitter, a circuit breaker, trace
//! context and metrics. Each service keeps its own small types for what it reads (tolerant reader).

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::Secret;
use crate::metrics::Metrics;
use crate::trace::TraceContext;
use crate::{Problem, ServiceName};

mod breaker;
use breaker::Breaker;

/// How long a call may take, all attempts together, unless the caller says otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);
const RETRIES_MAX: usize = 2;

/// How every HTTP client of the project begins: loopback calls go to no proxy, follow no redirects and are repeated by
/// nobody but [`Call`]. It also settles which cryptography TLS uses, since some dependency of the program may bring TLS
/// without that choice, and building a client would panic then.
#[allow(clippy::disallowed_methods)] // the one place
pub fn http_builder() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .retry(reqwest::retry::never())
        // Shorter than a server keeps an idle connection, so that no call meets one that is just being closed.
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service answered with a problem (4xx, or 5xx other than 502, 503 and 504).
    #[error("{callee} answered {}: {}", problem.status.as_u16(), problem.detail)]
    Problem {
        /// Who answered.
        callee: ServiceName,
        /// What it answered.
        problem: Box<Problem>,
    },
    /// The service is away, too slow, or held back by the circuit breaker. What it did with the request is unknown.
    #[error("{callee} does not answer: {reason}")]
    Unavailable {
        /// Who does not answer.
        callee: ServiceName,
        /// In a few words.
        reason: String,
    },
    /// The answer is not what was expected.
    #[error("the answer of {callee} cannot be read: {reason}")]
    Unreadable {
        /// Who answered.
        callee: ServiceName,
        /// What is wrong with it.
        reason: String,
    },
}

impl CallError {
    /// The problem's code, when the service answered with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem { problem, .. } => Some(&problem.code),
            _ => None,
        }
    }

    /// The problem's status, when the service answered with one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Problem { problem, .. } => Some(problem.status),
            _ => None,
        }
    }

    /// True when the thing asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// True when it is not known whether the request was carried out.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl From<CallError> for Problem {
    /// As a gateway answers its own caller: problems pass through, a missing service becomes 503.
    fn from(error: CallError) -> Self {
        match error {
            CallError::Problem { problem, .. } if problem.status.is_client_error() && !internal(&problem) => {
                *problem
            }
            CallError::Problem { callee, problem } => {
                tracing::error!(%callee, status = problem.status.as_u16(), code = %problem.code, "call refused");
                Self::unavailable(
                    "service-failed",
                    format!("The {callee} service could not answer."),
                )
            }
            CallError::Unavailable { callee, reason } => {
                tracing::warn!(%callee, reason, "service not available");
                Self::unavailable(
                    "service-unavailable",
                    format!("The {callee} service does not answer just now."),
                )
                .with("service", callee.as_str())
            }
            CallError::Unreadable { callee, reason } => {
                tracing::error!(%callee, reason, "unreadable answer");
                Self::unavailable(
                    "service-failed",
                    format!("The {callee} service could not answer."),
                )
            }
        }
    }
}

/// Problems between services that must not show outside as if the customer had caused them.
fn internal(problem: &Problem) -> bool {
    matches!(
        &*problem.code,
        "service-token-required" | "caller-not-allowed" | "unreadable-problem"
    )
}

/// A client of one service.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    callee: ServiceName,
    base: String,
    token: String,
    breaker: Breaker,
    metrics: Metrics,
}

impl Client {
    /// A client that calls `callee` at `base` in the name of `caller`.
    pub fn new(
        caller: ServiceName,
        callee: ServiceName,
        base: &str,
        secret: &Secret,
        metrics: Metrics,
    ) -> Self {
        let http = http_builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(64)
            .tcp_nodelay(true)
            .user_agent(format!("emporium-{caller}"))
            .build();
        // Building can only fail for TLS settings, of which there are none.
        let http = http.unwrap_or_default();
        let token = secret.token_for(callee);
        Self {
            http,
            callee,
            base: base.trim_end_matches('/').to_owned(),
            token,
            breaker: Breaker::default(),
            metrics,
        }
    }

    /// The service it calls.
    pub fn callee(&self) -> ServiceName {
        self.callee
    }

    /// Begins a call; `path` starts with `/` and holds only ids and constants.
    pub fn call(&self, method: Method, path: impl AsRef<str>) -> Call<'_> {
        let retried = matches!(method, Method::GET | Method::PUT | Method::DELETE);
        let request = self
            .http
            .request(method.clone(), format!("{}{}", self.base, path.as_ref()));
        Call {
            client: self,
            method,
            request,
            timeout: CALL_TIMEOUT,
            retried,
        }
    }

    /// `GET`.
    pub fn get(&self, path: impl AsRef<str>) -> Call<'_> {
        self.call(Method::GET, path)
    }

    /// `POST`; not tried again unless [`Call::idempotent`] says so.
    pub fn post(&self, path: impl AsRef<str>) -> Call<'_> {
        self.call(Method::POST, path)
    }

    /// `PUT`.
    pub fn put(&self, path: impl AsRef<str>) -> Call<'_> {
        self.call(Method::PUT, path)
    }

    /// `DELETE`.
    pub fn delete(&self, path: impl AsRef<str>) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// `PATCH`; not tried again.
    pub fn patch(&self, path: impl AsRef<str>) -> Call<'_> {
        self.call(Method::PATCH, path)
    }
}

/// A call being put together.
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    client: &'a Client,
    method: Method,
    request: reqwest::RequestBuilder,
    timeout: Duration,
    retried: bool,
}

/// A status and a readable body.
#[derive(Debug)]
pub struct Answer<T> {
    /// The HTTP status: tells 200 from 201 and 202.
    pub status: StatusCode,
    /// The body.
    pub body: T,
}

impl Call<'_> {
    /// Query parameters.
    pub fn query<Q: Serialize + ?Sized>(mut self, query: &Q) -> Self {
        self.request = self.request.query(query);
        self
    }

    /// A JSON body.
    pub fn json<B: Serialize + ?Sized>(mut self, body: &B) -> Self {
        self.request = self.request.json(body);
        self
    }

    /// A request header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Another time-out, for the whole call: all attempts, the pauses between them, and the answer's body.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Says that a POST may be repeated.
    pub fn idempotent(mut self) -> Self {
        self.retried = true;
        self
    }

    /// Says that somebody above repeats the call, so that it is tried once here: retries belong to one layer only.
    pub fn once(mut self) -> Self {
        self.retried = false;
        self
    }

    /// Sends the call and reads a JSON answer.
    pub async fn send<T: DeserializeOwned>(self) -> Result<T, CallError> {
        self.answer().await.map(|answer| answer.body)
    }

    /// Sends the call and reads status and JSON answer.
    pub async fn answer<T: DeserializeOwned>(self) -> Result<Answer<T>, CallError> {
        let callee = self.client.callee;
        let (status, bytes) = self.bytes().await?;
        let body = serde_json::from_slice(&bytes).map_err(|error| CallError::Unreadable {
            callee,
            reason: error.to_string(),
        })?;
        Ok(Answer { status, body })
    }

    /// Sends the call and gives status and body as they are, for answers that are passed on unread.
    pub async fn raw(self) -> Result<Answer<bytes::Bytes>, CallError> {
        self.bytes().await.map(|(status, body)| Answer { status, body })
    }

    /// Sends the call and ignores the answer's body.
    pub async fn done(self) -> Result<(), CallError> {
        self.bytes().await.map(|_| ())
    }

    async fn bytes(self) -> Result<(StatusCode, bytes::Bytes), CallError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_times(if self.retried { RETRIES_MAX } else { 0 })
            .with_jitter()
            .build();
        let deadline = Instant::now() + self.timeout;
        loop {
            // Only a call that got no answer is repeated. A service that answers "not now" is not helped by more calls, and
            // neither is one that took all the time there was.
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match self.attempt(left).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Answered(error)) => return Err(error),
                Err(Failure::Silent(error)) => error,
            };
            match pauses.next() {
                Some(pause) if Instant::now() + pause < deadline => tokio::time::sleep(pause).await,
                _ => return Err(error),
            }
        }
    }

    async fn attempt(&self, timeout: Duration) -> Result<(StatusCode, bytes::Bytes), Failure> {
        let client = self.client;
        if !client.breaker.admits() {
            return Err(Failure::Silent(self.unavailable("the circuit breaker is open")));
        }
        let started = Instant::now();
        let result = self.exchange(timeout).await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(Failure::Answered(_)) => "problem",
            Err(Failure::Silent(_)) => "unavailable",
        };
        // One busy address of a service that answers must not close the way to all its others.
        client.breaker.note(!matches!(result, Err(Failure::Silent(_))));
        client
            .metrics
            .0
            .client_calls
            .with_label_values(&[client.callee.as_str(), self.method.as_str(), outcome])
            .observe(started.elapsed().as_secs_f64());
        result
    }

    async fn exchange(&self, timeout: Duration) -> Result<(StatusCode, bytes::Bytes), Failure> {
        let silent = |reason: &str| Failure::Silent(self.unavailable(reason));
        let request = self
            .request
            .try_clone()
            .ok_or_else(|| silent("a streamed call cannot be sent here"))?;
        let context = TraceContext::current().map_or_else(TraceContext::root, TraceContext::child);
        let answer = request
            .bearer_auth(&self.client.token)
            .header("traceparent", context.to_string())
            .timeout(timeout)
            .send()
            .await
            .map_err(|error| silent(describe(&error)))?;
        let status = answer.status();
        let retry_after_s = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        let body = answer.bytes().await.map_err(|error| silent(describe(&error)))?;
        match status {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Err(
                Failure::Answered(self.unavailable(&format!("it answered {}", status.as_u16()))),
            ),
            _ if status.is_success() => Ok((status, body)),
            _ => {
                let problem = Problem {
                    retry_after_s,
                    ..Problem::from_answer(status, &body)
                };
                let callee = self.client.callee;
                Err(Failure::Answered(CallError::Problem {
                    callee,
                    problem: Box::new(problem),
                }))
            }
        }
    }

    fn unavailable(&self, reason: &str) -> CallError {
        CallError::Unavailable {
            callee: self.client.callee,
            reason: reason.to_owned(),
        }
    }
}

/// Why an attempt failed: did the service answer?
enum Failure {
    Answered(CallError),
    Silent(CallError),
}

fn describe(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it took too long"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}
