//! The service with its search index on an Elasticsearch.

use std::collections::BTreeSet;

use emporium_catalog::Config;
use emporium_service_kit::client::http_builder;
use emporium_service_kit::stores::CATALOG_SEARCH;
use emporium_service_kit::{Clock, Currency, Environment, Service, ServiceName, StartError};
use emporium_test_kit::{Caller, Keys, TestService, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

/// A test's own corner of a server: the setting for the service, and the address for looking behind it.
pub struct Corner {
    pub setting: String,
    pub http: String,
    pub alias: String,
}

impl Corner {
    pub fn on(url: &str) -> Self {
        let prefix = format!("t{}", Uuid::new_v4().simple());
        let http = url.trim_end_matches('/').to_owned();
        Self {
            setting: format!("{}/{prefix}", http.replacen("http://", "elasticsearch://", 1)),
            alias: format!("{prefix}-products"),
            http,
        }
    }

    pub async fn start(&self, lag_max_s: u64) -> TestService {
        let build = async |environment: &Environment| build(environment, &self.setting, lag_max_s).await;
        TestService::start(ServiceName::Catalog, &Keys::default(), &[], Clock::System, build).await
    }

    /// What the server itself says.
    pub async fn ask(&self, path: &str) -> Value {
        let http = http_builder().build().unwrap();
        let answer = http.get(format!("{}/{path}", self.http)).send().await.unwrap();
        answer.json().await.unwrap_or_default()
    }

    pub async fn indices(&self) -> BTreeSet<String> {
        let all = self.ask(&format!("{}-*/_alias", self.alias)).await;
        all.as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Takes away what a test made on a server that others share.
    pub async fn clear(&self) {
        let http = http_builder().build().unwrap();
        for index in self.indices().await {
            http.delete(format!("{}/{index}", self.http))
                .send()
                .await
                .unwrap();
        }
    }
}

pub async fn build(
    environment: &Environment,
    setting: &str,
    search_lag_max_s: u64,
) -> Result<Service, StartError> {
    let mut environment = environment.clone();
    environment.stores.set(CATALOG_SEARCH, setting.to_owned())?;
    let config = Config {
        currency: Currency::GBP,
        search_lag_max_s,
    };
    emporium_catalog::build_with(&environment, config).await
}

pub fn is_degraded(page: &Value) -> bool {
    page["degraded"] == json!(["search"])
}

pub async fn answers_from_the_index(gateway: &Caller, seconds: u64) {
    eventually("the index answers", seconds, async || {
        let page = gateway.get("/products").await.expect(200);
        (!is_degraded(&page)).then_some(())
    })
    .await;
}

/// What is told of the store in that role.
pub async fn in_role(operator: &Caller, role: &str) -> Value {
    let told = operator.get("/stores").await.expect(200);
    let found = told
        .as_array()
        .unwrap()
        .iter()
        .find(|store| store["role"] == role);
    found.unwrap().clone()
}

pub async fn ids(caller: &Caller, path: &str) -> Vec<String> {
    let page = caller.get(path).await.expect(200);
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

/// All products that the index lists, over all pages by name, and the total that it counts.
pub async fn all_ids(operator: &Caller, adapter: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/products?sort=name&limit=100&index={adapter}{cursor}");
        let page = operator.get(&path).await.expect(200);
        let items = page["items"].as_array().unwrap();
        all.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else {
            all.push(page["total"].to_string());
            return all;
        };
        cursor = format!("&cursor={next}");
    }
}
