//! On which stores a shop under test runs.

use std::sync::Arc;

use emporium_service_kit::stores::{CARTS_STORE, CATALOG_SEARCH, EVENTS, SESSIONS_STORE};
use emporium_test_kit::stores::{self, Durability, OwnStore};
use uuid::Uuid;

use crate::process::Options;

/// The specialised stores of one shop: sessions and carts on the Redis that all tests share (keys hold ids that nobody else
/// has), events on a Redis of the shop's own, search on the shared Elasticsearch below a name of the shop's own.
#[derive(Clone)]
pub struct Polyglot {
    urls: [(&'static str, String); 4],
    _bus: Arc<OwnStore>,
}

impl Polyglot {
    /// Stores for a new shop; `None`, noted as not run, when one cannot be had here.
    pub async fn get() -> Option<Self> {
        let redis = stores::redis().await?;
        let elasticsearch = stores::elasticsearch().await?;
        let bus = stores::own_redis(Durability::Always).await?;
        let server = search_setting(&elasticsearch.url);
        let index = format!("{server}/e2e-{}", Uuid::new_v4().simple());
        Some(Self {
            urls: [
                (SESSIONS_STORE, redis.url.clone()),
                (CARTS_STORE, redis.url),
                (EVENTS, bus.url.clone()),
                (CATALOG_SEARCH, index),
            ],
            _bus: Arc::new(bus),
        })
    }

    /// Options for a shop on these stores.
    pub fn options(&self, options: Options) -> Options {
        self.urls
            .iter()
            .fold(options, |options, (name, url)| options.on(name, url))
    }
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
