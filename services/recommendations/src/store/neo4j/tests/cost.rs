//! What a shelf reads, in the server's own measure of it, does not grow with the number of orders.

use std::collections::BTreeMap;

use emporium_event_bus::CloudEvent;
use emporium_test_kit::stores;
use serde::Deserialize;
use serde_json::{Value, json};
use time::Duration;
use time::macros::datetime;
use uuid::Uuid;

use super::on;
use crate::scoring::{ALSO_BOUGHT_BASKETS_MAX, BASKETS_MAX};
use crate::store::RecommendationStore;
use crate::store::contract::history::{order, product};
use crate::store::neo4j::Neo4jRecommendations;
use crate::store::neo4j::client::Statement;
use crate::store::neo4j::statements as cypher;

const HTTP: Statement = Statement {
    name: "http",
    text: "SHOW SETTINGS 'server.http.advertised_address' YIELD value RETURN value",
};

#[derive(Deserialize)]
struct Setting {
    value: String,
}

/// The server's HTTP port gives the plan with what it read, which the driver does not hand on.
struct Profiler {
    query: String,
    user: String,
    password: String,
    client: reqwest::Client,
}

impl Profiler {
    async fn of(store: &Neo4jRecommendations, url: &str) -> Self {
        let setting: Option<Setting> = store
            .client
            .first_transaction(|tx| Box::pin(async move { tx.row(&HTTP, []).await }))
            .await
            .unwrap();
        let url = url::Url::parse(url).unwrap();
        let builder = emporium_service_kit::client::http_builder();
        Self {
            query: format!("http://{}/db/neo4j/query/v2", setting.unwrap().value),
            user: url.username().to_owned(),
            password: url.password().unwrap_or_default().to_owned(),
            client: builder.build().unwrap(),
        }
    }

    /// Records that the statement touched.
    async fn hits(&self, statement: &Statement, parameters: Value) -> i64 {
        let body = json!({"statement": format!("PROFILE {}", statement.text), "parameters": parameters});
        let asked = self
            .client
            .post(&self.query)
            .basic_auth(&self.user, Some(&self.password))
            .json(&body);
        let answer: Value = asked.send().await.unwrap().json().await.unwrap();
        let plan = &answer["profiledQueryPlan"];
        assert!(plan.is_object(), "{answer}");
        db_hits(plan)
    }
}

fn db_hits(plan: &Value) -> i64 {
    let children = plan["children"].as_array().into_iter().flatten();
    plan["dbHits"].as_i64().unwrap_or(0) + children.map(db_hits).sum::<i64>()
}

/// A good that is in every order, and a customer who bought a tenth of them.
#[tokio::test(flavor = "multi_thread")]
async fn super_nodes_cost_what_others_do() {
    let Some(server) = stores::neo4j().await else {
        return;
    };
    let store = on(&server.url).await;
    let profiler = Profiler::of(&store, &server.url).await;
    let (best_seller, customer) = (Uuid::now_v7(), Uuid::now_v7());
    let others: Vec<Uuid> = (0..40).map(|_| Uuid::now_v7()).collect();
    let products: Vec<CloudEvent> = others.iter().map(|good| product(*good, 1, true)).collect();
    store
        .projection()
        .apply(&products.iter().collect::<Vec<_>>())
        .await
        .unwrap();
    let begin = datetime!(2029-01-01 0:00 UTC);
    let mut seen: Vec<BTreeMap<&str, i64>> = Vec::new();
    let mut sold = 0;
    for orders in [1_500, 6_000] {
        let events: Vec<CloudEvent> = (sold..orders)
            .map(|n| {
                let at = begin + Duration::minutes(i64::try_from(n).unwrap());
                let buyer = (n % 10 == 0).then_some(customer);
                order(buyer, at, &[best_seller, others[n % others.len()]])
            })
            .collect();
        for batch in events.chunks(1_000) {
            store
                .projection()
                .apply(&batch.iter().collect::<Vec<_>>())
                .await
                .unwrap();
        }
        sold = orders;
        let build = store.moments.mark().await.unwrap().build;
        let (good, buyer) = (best_seller.simple().to_string(), customer.simple().to_string());
        let all: Vec<String> = others.iter().map(|good| good.simple().to_string()).collect();
        let newest = ALSO_BOUGHT_BASKETS_MAX;
        let cases = [
            (
                "also bought",
                &cypher::BASKETS,
                json!({"build": build, "goods": [good], "newest": newest}),
            ),
            (
                "together",
                &cypher::BASKETS,
                json!({"build": build, "goods": [good, all[0]], "newest": BASKETS_MAX}),
            ),
            ("goods", &cypher::GOODS, json!({"build": build, "ids": all})),
            ("now", &cypher::NOW, json!({"build": build, "clock": i64::MAX})),
            (
                "stamp",
                &cypher::STAMP_CUSTOMER,
                json!({"build": build, "customer": buyer, "max": 100}),
            ),
            (
                "bought",
                &cypher::BOUGHT,
                json!({"build": build, "customer": buyer, "max": 100}),
            ),
            (
                "step",
                &cypher::WEEK_STEP,
                json!({"build": build, "least": 0, "skip": 9}),
            ),
        ];
        let mut hits = BTreeMap::new();
        for (name, statement, parameters) in cases {
            hits.insert(name, profiler.hits(statement, parameters).await);
        }
        println!("{orders} orders: {hits:?}");
        seen.push(hits);
    }
    let newest = i64::try_from(ALSO_BOUGHT_BASKETS_MAX).unwrap();
    let bounds = BTreeMap::from([
        ("also bought", 5 * newest + 20),
        ("goods", 40 * 20),
        ("now", 10),
        ("stamp", 400),
        ("bought", 600),
        ("step", 30),
    ]);
    for (name, most) in bounds {
        assert!(
            seen[1][name] <= most,
            "{name}: {} of at most {most}",
            seen[1][name]
        );
        assert!(seen[1][name] <= seen[0][name] + 5, "{name} grows: {seen:?}");
    }
    // The other good is in 37 orders of the first, in 150 of all.
    let other = 5 * i64::from(150);
    let most = 5 * i64::try_from(BASKETS_MAX).unwrap() + other;
    assert!(seen[1]["together"] <= most, "{seen:?}");
}
