//! On which stores a shop under test runs.

use std::path::Path;
use std::sync::{Arc, Mutex};

use emporium_service_kit::stores::{
    ANALYTICS_STORE, CARTS_STORE, CATALOG_SEARCH, EVENTS, MONITORING_STORE, RECOMMENDATIONS_CACHE,
    RECOMMENDATIONS_STORE, REVIEWS_STORE, SESSIONS_STORE,
};
use emporium_test_kit::stores::{self, Durability, OwnStore, PrometheusSettings};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::process::Options;

/// The specialised stores of one shop, all that there are. On the servers that all tests share it keeps to names of its own:
/// sessions and carts on Redis (keys hold ids that nobody else has), search on Elasticsearch, recommendations on Neo4j,
/// analytics on ClickHouse, reviews on MongoDB. Servers of its own are a Redis for events and for the cache of recommendations,
/// and a Prometheus.
#[derive(Clone)]
pub struct Polyglot {
    urls: [(&'static str, String); 9],
    targets: Targets,
    _own: Arc<[OwnStore; 2]>,
}

impl Polyglot {
    /// Stores for a new shop; `None`, noted as not run, when one cannot be had here.
    pub async fn get() -> Option<Self> {
        let redis = stores::redis().await?;
        let elasticsearch = stores::elasticsearch().await?;
        let neo4j = stores::neo4j().await?;
        let clickhouse = stores::clickhouse().await?;
        let mongodb = stores::mongodb().await?;
        let bus = stores::own_redis(Durability::Always).await?;
        let targets = Targets::listen().await;
        let prometheus = stores::own_prometheus(PrometheusSettings {
            targets: Some((targets.url.clone(), targets.token_file())),
            scrape_interval: Some("1s"),
            rules: true,
            written: Some("400d"),
            ..PrometheusSettings::default()
        })
        .await?;
        let name = format!("e2e-{}", Uuid::new_v4().simple());
        let urls = [
            (SESSIONS_STORE, redis.url.clone()),
            (CARTS_STORE, redis.url),
            (EVENTS, bus.url.clone()),
            (
                CATALOG_SEARCH,
                format!("{}/{name}", search_setting(&elasticsearch.url)),
            ),
            (RECOMMENDATIONS_STORE, format!("{}?shop={name}", neo4j.url)),
            // The best-sellers have the same key in every shop.
            (RECOMMENDATIONS_CACHE, format!("{}/1", bus.url)),
            (ANALYTICS_STORE, database_of_its_own(&clickhouse.url).await),
            (REVIEWS_STORE, reviews_setting(&mongodb.url, &name)),
            (MONITORING_STORE, prometheus.url.clone()),
        ];
        Some(Self {
            urls,
            targets,
            _own: Arc::new([bus, prometheus]),
        })
    }

    /// Options for a shop on these stores.
    pub fn options(&self, options: Options) -> Options {
        let options = self
            .urls
            .iter()
            .fold(options, |options, (name, url)| options.on(name, url));
        Options {
            targets: Some(self.targets.clone()),
            ..options
        }
    }
}

/// What a Prometheus has to be told before there is a shop: where it asks for its targets, and by which token. Who asks is put
/// through to the monitoring service, as soon as there is one.
#[derive(Debug, Clone)]
pub struct Targets {
    url: String,
    folder: Arc<tempfile::TempDir>,
    shop: Arc<Mutex<Option<String>>>,
}

impl Targets {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shop = Arc::<Mutex<Option<String>>>::default();
        // On a thread of its own: the tests that share a shop have a runtime each, and each ends with its test.
        let known = shop.clone();
        let listener = listener.into_std().unwrap();
        std::thread::spawn(move || put_through(listener, &known));
        let folder = tempfile::tempdir().unwrap();
        Self {
            url: format!("http://{address}/scrape-targets"),
            folder: Arc::new(folder),
            shop,
        }
    }

    fn token_file(&self) -> std::path::PathBuf {
        self.folder.path().join("prometheus.token")
    }

    /// The shop is there: its monitoring service, and its data folder, which has the token.
    pub(crate) fn are_of(&self, monitoring: &str, data_dir: &Path) {
        std::fs::copy(data_dir.join("prometheus.token"), self.token_file()).unwrap();
        *self.shop.lock().unwrap() = Some(monitoring.trim_start_matches("http://").to_owned());
    }
}

fn put_through(listener: std::net::TcpListener, shop: &Mutex<Option<String>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let listener = TcpListener::from_std(listener).unwrap();
        loop {
            let Ok((mut asking, _)) = listener.accept().await else {
                continue;
            };
            let address = shop.lock().unwrap().clone();
            tokio::spawn(async move {
                if let Some(address) = address
                    && let Ok(mut service) = TcpStream::connect(address).await
                {
                    // Either side may go at any time.
                    let _ = copy_bidirectional(&mut asking, &mut service).await;
                }
            });
        }
    });
}

/// A new database on a ClickHouse, as whoever runs one would make it.
async fn database_of_its_own(url: &str) -> String {
    let name = format!("e2e_{}", Uuid::new_v4().simple());
    let url = url.trim_end_matches('/');
    let made = emporium_service_kit::client::http_builder()
        .build()
        .unwrap()
        .post(url.replacen("clickhouse", "http", 1))
        .body(format!("CREATE DATABASE {name}"))
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success(), "{}", made.text().await.unwrap());
    format!("{url}/{name}")
}

/// The setting for a database of this name on a MongoDB.
fn reviews_setting(url: &str, name: &str) -> String {
    let (server, options) = url.split_once('?').unwrap_or((url, ""));
    let (server, options) = (server.trim_end_matches('/'), options.to_owned());
    // Whoever is somebody is so in `admin`.
    let options = match (server.contains('@'), options.is_empty()) {
        (true, true) => "authSource=admin".to_owned(),
        (true, false) if !options.contains("authSource") => format!("{options}&authSource=admin"),
        _ => options,
    };
    format!("{server}/{name}?{options}")
}

/// The setting for an Elasticsearch at this address of its HTTP interface.
pub fn search_setting(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.split_once("://") {
        Some(("http", rest)) => format!("elasticsearch://{rest}"),
        Some(("https", rest)) => format!("elasticsearch+https://{rest}"),
        _ => url.to_owned(),
    }
}

/// Runs each of these tests, `async fn name(shop: &ShopProcess)`, on two shops that all of them share: one on the embedded
/// PostgreSQL alone, one on the specialised stores.
#[macro_export]
macro_rules! on_both_sets {
    ($program:expr, [$($name:ident),+ $(,)?]) => {
        mod embedded {
            static SHOP: ::tokio::sync::OnceCell<$crate::ShopProcess> = ::tokio::sync::OnceCell::const_new();

            async fn shop() -> &'static $crate::ShopProcess {
                SHOP.get_or_init(async || $crate::ShopProcess::start($program, &$crate::Options::default()).await).await
            }

            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(shop().await).await;
                }
            )+
        }

        mod polyglot {
            static SHOP: ::tokio::sync::OnceCell<($crate::ShopProcess, $crate::Polyglot)> =
                ::tokio::sync::OnceCell::const_new();

            /// Every test without the stores notes for itself that it did not run.
            async fn shop() -> Option<&'static $crate::ShopProcess> {
                let start = async || {
                    let stores = $crate::Polyglot::get().await.ok_or(())?;
                    let options = stores.options($crate::Options::default());
                    Ok::<_, ()>(($crate::ShopProcess::start($program, &options).await, stores))
                };
                SHOP.get_or_try_init(start).await.ok().map(|(shop, _)| shop)
            }

            $(
                #[tokio::test]
                async fn $name() {
                    let Some(shop) = shop().await else { return };
                    super::$name(shop).await;
                }
            )+
        }
    };
}
