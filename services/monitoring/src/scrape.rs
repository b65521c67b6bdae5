//! Asks every service for its metrics.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use emporium_service_kit::client::http_builder;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Db, Environment, ServiceName, StartError};
use futures::future::join_all;

use crate::config::Config;
use crate::exposition::{self, Exposition};
use crate::measures::Measures;
use crate::model::Scrape;
use crate::store::RESERVED;

/// How long opening a connection may take, within the time-out of the whole answer.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// Why a service counts as down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Down {
    #[error("it does not answer")]
    Unreachable,
    #[error("it does not answer in time")]
    TimedOut,
    #[error("it answers {0}")]
    Status(u16),
    #[error("its answer is too large")]
    TooLarge,
    #[error("its answer cannot be read: {0}")]
    Unreadable(exposition::Unreadable),
}

impl Down {
    /// As in metrics.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::Status(_) => "status",
            Self::TooLarge => "too-large",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// One service to ask.
struct Target {
    name: ServiceName,
    /// The address of its metrics; `None` for this service itself, which need not ask anybody.
    url: Option<String>,
    /// Why it was down when it was asked last: what changes is logged, once.
    down: Mutex<Option<Down>>,
}

/// Asks every service whose address is known, and itself.
pub struct Scraper {
    targets: Vec<Target>,
    http: reqwest::Client,
    own: Metrics,
    db: Option<Db>,
    clock: Clock,
    timeout: Duration,
    body_bytes_max: usize,
    measures: Measures,
}

impl Scraper {
    /// A scraper of the environment's peers.
    pub fn new(environment: &Environment, config: &Config, measures: Measures) -> Result<Self, StartError> {
        let http = http_builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .user_agent("emporium-monitoring")
            .build();
        let http = http.map_err(|error| StartError::BadSetting {
            setting: "HTTP client".to_owned(),
            problem: error.to_string(),
        })?;
        let (me, mut targets) = (environment.service, Vec::new());
        for name in ServiceName::listening() {
            let url = environment.peers.get(&name);
            if name != me && url.is_none() {
                tracing::info!(service = %name, "not scraped: EMPORIUM_PEERS does not have its address");
                continue;
            }
            targets.push(Target {
                name,
                url: url
                    .filter(|_| name != me)
                    .map(|url| format!("{}/metrics", url.trim_end_matches('/'))),
                down: Mutex::default(),
            });
        }
        Ok(Self {
            targets,
            http,
            own: environment.metrics.clone(),
            db: environment.db.clone(),
            clock: environment.clock.clone(),
            timeout: config.timeout(),
            body_bytes_max: config.body_bytes_max(),
            measures,
        })
    }

    /// Asks each service once, all at the same time, but for offsets that spread them over `spread`; they are the same in
    /// each round, so that a service is asked at even intervals. It takes the spread and one time-out at most: a service that
    /// is down costs the others nothing.
    pub async fn round(&self, spread: Duration) -> Vec<Scrape> {
        let many = u32::try_from(self.targets.len()).unwrap_or(u32::MAX).max(1);
        let asked = self.targets.iter().zip(0_u32..).map(|(target, n)| async move {
            if !spread.is_zero() {
                tokio::time::sleep(spread / many * n).await;
            }
            self.ask(target).await
        });
        join_all(asked).await
    }

    async fn ask(&self, target: &Target) -> Scrape {
        let (at, started) = (self.clock.now(), Instant::now());
        let answered = self.answer(target).await;
        let took_s = started.elapsed().as_secs_f64();
        let outcome = answered.as_ref().err().map_or("ok", Down::as_str);
        self.measures.scraped(target.name.as_str(), outcome);
        note(target, answered.as_ref().err());
        let (readings, left_out) = match answered {
            Ok(given) => {
                self.measures.left_out(&given);
                let left_out = given.left.values().sum();
                (Some(given.readings), left_out)
            }
            Err(_) => (None, 0),
        };
        Scrape {
            target: target.name.to_string(),
            at,
            took_s,
            readings,
            left_out,
        }
    }

    async fn answer(&self, target: &Target) -> Result<Exposition, Down> {
        let text = match &target.url {
            None => self.own_text(),
            Some(url) => tokio::time::timeout(self.timeout, self.fetch(url))
                .await
                .unwrap_or(Err(Down::TimedOut))?,
        };
        let mut given = exposition::read(&text, target.name.as_str()).map_err(Down::Unreadable)?;
        given.without(&RESERVED);
        Ok(given)
    }

    fn own_text(&self) -> Vec<u8> {
        if let Some(db) = &self.db {
            db.record_pool();
        }
        self.own.render().into_bytes()
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, Down> {
        let sent = self
            .http
            .get(url)
            .header("accept", "text/plain; version=0.0.4")
            .send()
            .await;
        let mut answer = sent.map_err(|_| Down::Unreachable)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Down::Status(status.as_u16()));
        }
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|_| Down::Unreachable)? {
            if text.len() + piece.len() > self.body_bytes_max {
                return Err(Down::TooLarge);
            }
            text.extend_from_slice(&piece);
        }
        Ok(text)
    }
}

/// Logs that a service went down, came back, or is down for another reason.
fn note(target: &Target, down: Option<&Down>) {
    let mut before = target.down.lock().unwrap_or_else(PoisonError::into_inner);
    if before.as_ref() == down {
        return;
    }
    if let Some(reason) = down {
        tracing::warn!(service = %target.name, %reason, "service is down for monitoring");
    } else {
        tracing::info!(service = %target.name, "service is up again");
    }
    *before = down.cloned();
}
