//! Neo4j, ClickHouse, MongoDB and Prometheus, and places on them.

use std::net::SocketAddr;

use anyhow::Context;
use emporium_service_kit::ServiceName;
use emporium_service_kit::report::Inspect;
use emporium_service_kit::stores::{ANALYTICS_STORE, MONITORING_STORE, RECOMMENDATIONS_STORE, REVIEWS_STORE};
use emporium_test_kit::stores::{self, OwnStore, PrometheusSettings, Store};
use futures::FutureExt;
use reqwest::Url;

use super::bare::Bare;
use super::places::{Place, environment};
use super::record::{Protocol, Recorder};

/// A server besides PostgreSQL, Redis and Elasticsearch.
pub struct StoreServer {
    kind: Store,
    url: Url,
    /// Ends when it is dropped.
    _own: Option<OwnStore>,
}

impl StoreServer {
    /// The one that `EMPORIUM_TEST_<NAME>` names, else one of the run's own; `None` when there is none to be had.
    pub async fn get(kind: Store) -> anyhow::Result<Option<Self>> {
        let variable = kind.url_variable().and_then(|name| std::env::var(name).ok());
        if let Some(url) = variable {
            let url = Some(url.parse().context("the server's URL")?);
            return Ok(url.map(|url| Self {
                kind,
                url,
                _own: None,
            }));
        }
        let own = match kind {
            Store::Neo4j => stores::own_neo4j().boxed().await,
            Store::ClickHouse => stores::own_clickhouse().boxed().await,
            Store::MongoDb => stores::own_mongodb().boxed().await,
            Store::Prometheus => {
                let settings = PrometheusSettings {
                    rules: true,
                    written: Some("400d"),
                    ..PrometheusSettings::default()
                };
                stores::own_prometheus(settings).boxed().await
            }
            Store::Redis | Store::RedisCluster | Store::Elasticsearch => None,
        };
        let Some(own) = own else { return Ok(None) };
        let url = own.url.parse().context("the server's URL")?;
        Ok(Some(Self {
            kind,
            url,
            _own: Some(own),
        }))
    }

    /// Where it listens.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        let (host, port) = (self.url.host_str(), self.url.port());
        let host = host.context("a URL without a host")?;
        let port = port.context("a URL without a port")?;
        let found = std::net::ToSocketAddrs::to_socket_addrs(&(host, port))?.next();
        found.context("the server's name leads nowhere")
    }

    /// The URL of a part of it that is called so, which each kind of server has in its own way, at this address or its own.
    pub fn part(&self, name: &str, at: Option<SocketAddr>) -> anyhow::Result<String> {
        let mut url = self.url.clone();
        match self.kind {
            // One database, in which shops keep apart by a name.
            Store::Neo4j => url.set_query(Some(&format!("shop={name}"))),
            Store::Prometheus => url.set_path(""),
            Store::MongoDb => {
                url.set_path(&format!("/{name}"));
                // Else the driver goes where the replica set says its members are, past the recorder.
                url.set_query(Some("directConnection=true"));
            }
            _ => url.set_path(&format!("/{name}")),
        }
        if let Some(at) = at {
            // The URLs of these schemes have no other setter of addresses.
            let authority = |url: &Url| {
                format!(
                    "{}:{}",
                    url.host_str().unwrap_or_default(),
                    url.port().unwrap_or_default()
                )
            };
            let text = url.as_str().replacen(&authority(&self.url), &at.to_string(), 1);
            return Ok(text);
        }
        Ok(url.into())
    }

    /// Makes a database where nobody else does.
    async fn create(&self, name: &str) -> anyhow::Result<()> {
        if self.kind != Store::ClickHouse {
            return Ok(());
        }
        let Bare::Http(client, base) = self.bare(name, None).await? else {
            return Ok(());
        };
        let asked = client
            .post(base)
            .body(format!("CREATE DATABASE {name}"))
            .send()
            .await?;
        asked.error_for_status()?;
        Ok(())
    }

    fn uses(&self) -> (ServiceName, &'static str, Protocol) {
        match self.kind {
            Store::Neo4j => (
                ServiceName::Recommendations,
                RECOMMENDATIONS_STORE,
                Protocol::Bolt,
            ),
            Store::MongoDb => (ServiceName::Reviews, REVIEWS_STORE, Protocol::MongoDb),
            Store::Prometheus => (ServiceName::Monitoring, MONITORING_STORE, Protocol::Http),
            _ => (ServiceName::Analytics, ANALYTICS_STORE, Protocol::Http),
        }
    }

    async fn bare(&self, name: &str, at: Option<SocketAddr>) -> anyhow::Result<Bare> {
        let url = self.part(name, at)?;
        match self.kind {
            Store::Neo4j => Bare::neo4j(&url),
            Store::MongoDb => Bare::mongodb(&url, name).await,
            _ => Bare::http(at.map_or_else(|| self.address(), Ok)?),
        }
    }

    /// A part of it that is called so, and new.
    pub async fn place(&self, name: &str) -> anyhow::Result<Place> {
        let (service, setting, protocol) = self.uses();
        self.create(name).await?;
        let recorder = Recorder::start(protocol, self.address()?).await?;
        let through = Some(recorder.address);
        let given = |at| environment(service, None, &[(setting, self.part(name, at)?)]);
        Ok(Place {
            adapter: self.kind.name(),
            server: String::new(),
            durability: String::new(),
            environment: given(None)?,
            filling: given(None)?,
            recorded: given(through)?,
            bare: self.bare(name, None).await?,
            recorded_bare: self.bare(name, through).await?,
            recorder,
        })
    }
}

impl Place {
    /// Notes what the store's server tells of itself.
    pub async fn describe(&mut self, store: &dyn Inspect) {
        let report = store.inspect().await;
        self.server = report.version.unwrap_or_default();
        self.durability = report.durability.unwrap_or_default();
    }
}
