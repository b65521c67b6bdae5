//! The service with its search index on a real Elasticsearch: building it, following, and doing without.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

mod support;

use emporium_event_bus::event::CloudEvent;
use emporium_service_kit::client::http_builder;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::stores::CATALOG_SEARCH;
use emporium_service_kit::{ServiceName, serve};
use emporium_test_kit::{Reply, eventually, stores};
use futures::future::join_all;
use serde_json::{Value, json};
use support::corner::{Corner, all_ids, answers_from_the_index, build, ids, in_role, is_degraded};
use support::{create, gateway};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn sale(product: &str, quantity: i64) -> CloudEvent {
    let id = Uuid::now_v7();
    serde_json::from_value(json!({
        "specversion": "1.0", "id": id, "source": "/orders", "type": "order.confirmed.v1", "subject": id.to_string(),
        "time": "2025-01-01T00:00:00Z", "datacontenttype": "application/json", "aggregateversion": 3,
        "data": {"lines": [{"product_id": product, "quantity": quantity}]}
    }))
    .unwrap()
}

#[tokio::test]
async fn the_index_is_built_and_follows_every_kind_of_change() {
    let Some(server) = stores::elasticsearch().await else {
        return;
    };
    let corner = Corner::on(&server.url);
    let catalog = corner.start(30).await;
    let (gateway, operator) = (gateway(&catalog), catalog.as_caller(ServiceName::Operator));
    let bus = emporium_event_bus::open(&catalog.environment).await.unwrap();
    eventually("the group has joined", 10, async || {
        bus.group_position("catalog").await.unwrap()
    })
    .await;
    let (first, second) = (
        create(&gateway, "MUG-1", 0).await,
        create(&gateway, "MUG-2", 5).await,
    );
    answers_from_the_index(&gateway, 10).await;
    let found = async |what: &str, path: &str, expected: &[&str]| {
        eventually(what, 10, async || {
            (ids(&operator, path).await == expected).then_some(())
        })
        .await;
    };
    let on = |filter: &str| format!("/products?index=elasticsearch&{filter}");
    found("in stock comes first", &on("q=mug"), &[&second, &first]).await;
    found("a filter on stock", &on("in_stock=false"), &[&first]).await;
    gateway
        .post(&format!("/products/{first}/stock"), json!({"delta": 3}))
        .await
        .expect(200);
    found("stock came", &on("in_stock=false"), &[]).await;
    let price = json!({"price": {"amount": 5, "currency": "GBP"}});
    gateway
        .patch(&format!("/products/{first}"), &price)
        .await
        .expect(200);
    found("the price", &on("price_max=5"), &[&first]).await;
    bus.append(&[sale(&first, 7)]).await.unwrap();
    found("the popular first", &on("sort=popular"), &[&first, &second]).await;
    let listed = operator.get(&on("q=mug")).await.expect(200);
    assert_eq!(listed["items"][0]["highlights"]["name"], "Blue <em>mug</em>");
    assert_eq!(
        listed["items"][0]["price"]["amount"], 5,
        "the price is the truth's"
    );
    gateway.delete(&format!("/products/{second}")).await.expect(200);
    found("archived", &on("q=mug"), &[&first]).await;
    // What was archived stays as a tombstone, with the product's version; so do all versions agree.
    for id in [&first, &second] {
        let product = gateway.get(&format!("/products/{id}")).await.expect(200);
        let document = eventually("the document has the product's version", 10, async || {
            let document = corner.ask(&format!("{}/_doc/{id}", corner.alias)).await;
            (document["_version"] == product["version"]).then_some(document)
        })
        .await;
        assert_eq!(document["_source"]["listed"], product["status"] == "active");
    }
    let told = in_role(&operator, "search").await;
    assert_eq!(
        (&told["adapter"], &told["setting"]),
        (&json!("elasticsearch"), &json!(CATALOG_SEARCH))
    );
    assert_eq!((&told["lag"], &told["error"]), (&json!(0), &Value::Null));
    assert!(
        told["version"].as_str().unwrap().starts_with("Elasticsearch ")
            && told["size_bytes"].as_i64().unwrap() > 0
    );
    assert_eq!(told["lacks"][0]["capability"], "immediate");
    assert_eq!(in_role(&operator, "store").await["adapter"], "postgresql");
    catalog.stop().await;
    corner.clear().await;
}

#[tokio::test]
async fn only_the_operator_chooses_the_index() {
    let catalog = support::start().await;
    let (gateway, operator) = (gateway(&catalog), catalog.as_caller(ServiceName::Operator));
    create(&gateway, "MUG-1", 0).await;
    gateway
        .get("/products?index=postgres")
        .await
        .expect_problem(403, "caller-not-allowed");
    operator
        .get("/products?index=elasticsearch")
        .await
        .expect_problem(422, "invalid");
    operator
        .get("/products?index=oracle")
        .await
        .expect_problem(400, "bad-query");
    assert_eq!(
        operator.get("/products?index=postgres").await.expect(200)["total"],
        1
    );
    operator
        .get("/search/reindex")
        .await
        .expect_problem(409, "not-rebuildable");
    operator
        .post("/search/reindex", json!({}))
        .await
        .expect_problem(409, "not-rebuildable");
    gateway
        .get("/search/reindex")
        .await
        .expect_problem(403, "caller-not-allowed");
    assert_eq!(in_role(&operator, "search").await["adapter"], "postgresql");
    catalog.stop().await;
}

fn bulk(from: u32, to: u32) -> String {
    let line = |number: u32| {
        let id = Uuid::from_u128((0x0190 << 112) + u128::from(number));
        json!({"id": id, "sku": format!("B-{number}"), "name": format!("Lamp {number}"), "category": "lamps", "category_name": "Lamps",
               "price": {"amount": number, "currency": "GBP"}, "source": "seed", "stock": 1, "created_at": "2020-02-03T04:05:06Z"})
            .to_string()
    };
    (from..to).map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_reindex_under_traffic_misses_nothing_and_is_not_noticed() {
    let Some(server) = stores::elasticsearch().await else {
        return;
    };
    let corner = Corner::on(&server.url);
    let catalog = corner.start(30).await;
    let (gateway, operator) = (gateway(&catalog), catalog.as_caller(ServiceName::Operator));
    Reply::read(operator.request("POST", "/bulk/products").body(bulk(0, 3_000)))
        .await
        .expect(200);
    answers_from_the_index(&gateway, 20).await;
    let total = async || {
        gateway.get("/products").await.expect(200)["total"]
            .as_i64()
            .unwrap()
    };
    eventually("all are in it", 20, async || {
        (total().await == 3_000).then_some(())
    })
    .await;
    let before = operator.get("/search/reindex").await.expect(200);
    // What a crash in the middle of building leaves behind.
    let left = format!("{}-{}", corner.alias, Uuid::now_v7().simple());
    let history = corner.ask(&format!("{}/_mapping", corner.alias)).await;
    let history = &history[before["index"].as_str().unwrap()]["mappings"]["_meta"];
    let mapping = json!({"mappings": {"_meta": history}});
    http_builder()
        .build()
        .unwrap()
        .put(format!("{}/{left}", corner.http))
        .json(&mapping)
        .send()
        .await
        .unwrap();
    let asked = operator.post("/search/reindex", json!({})).await.expect(202);
    assert_eq!(asked["wanted"], true);
    let mut number = 3_000;
    let after = eventually(
        "the new index serves, while products come, change and go",
        60,
        async || {
            let lines = bulk(number, number + 20);
            Reply::read(operator.request("POST", "/bulk/products").body(lines))
                .await
                .expect(200);
            number += 20;
            // Products that the building has passed already, most of the time.
            join_all((0..12).map(async |n| {
                let id = Uuid::from_u128((0x0190 << 112) + u128::from((number + n * 17) % 200));
                let patch = json!({"name": format!("Lantern {}", number * n % 97)});
                let _ = gateway.patch(&format!("/products/{id}"), patch).await;
            }))
            .await;
            let gone = Uuid::from_u128((0x0190 << 112) + u128::from(number % 300));
            gateway.delete(&format!("/products/{gone}")).await.expect(200);
            let page = gateway.get("/products?q=lamp").await.expect(200);
            assert!(!is_degraded(&page), "nobody notices");
            assert!(page["total"].as_i64().unwrap() > 2_000, "never half of it");
            let state = operator.get("/search/reindex").await.expect(200);
            (state["wanted"] == false && state["index"] != before["index"]).then_some(state)
        },
    )
    .await;
    assert_eq!(after["reason"], "somebody asked");
    assert!(after["done"].as_i64().unwrap() >= 2_900 && after["finished_at"].is_string());
    eventually("the index holds what the database does", 20, async || {
        let state = operator.get("/search/reindex").await.expect(200);
        let settled = state["lag"] == 0 && state["building"].is_null();
        let (index, truth) = (
            all_ids(&operator, "elasticsearch").await,
            all_ids(&operator, "postgres").await,
        );
        (settled && index == truth).then_some(())
    })
    .await;
    let name = after["index"].as_str().unwrap().to_owned();
    eventually("what is not needed is gone", 10, async || {
        (corner.indices().await == [name.clone()].into()).then_some(())
    })
    .await;
    catalog.stop().await;
    corner.clear().await;
}

#[tokio::test]
async fn another_databases_index_is_never_served_and_replaced_at_the_start() {
    let Some(server) = stores::elasticsearch().await else {
        return;
    };
    let corner = Corner::on(&server.url);
    let old = corner.start(30).await;
    create(&gateway(&old), "MUG-OLD", 1).await;
    answers_from_the_index(&gateway(&old), 20).await;
    eventually("the old one has it", 10, async || {
        (gateway(&old).get("/products").await.expect(200)["total"] == 1).then_some(())
    })
    .await;
    old.stop().await;
    let new = corner.start(30).await;
    let caller = gateway(&new);
    eventually("the new one answers", 20, async || {
        let page = caller.get("/products").await.expect(200);
        assert_eq!(page["total"], 0, "another shop's products");
        (!is_degraded(&page)).then_some(())
    })
    .await;
    assert_eq!(corner.indices().await.len(), 1);
    new.stop().await;
    corner.clear().await;
}

/// A database that was restored from a backup has forgotten what the index knows. Versions cannot tell: they begin again where
/// the backup ends, and the index would keep what it has.
#[tokio::test]
async fn an_index_ahead_of_a_restored_database_is_built_anew() {
    let Some(server) = stores::elasticsearch().await else {
        return;
    };
    let corner = Corner::on(&server.url);
    let before = corner.start(30).await;
    create(&gateway(&before), "MUG-1", 1).await;
    answers_from_the_index(&gateway(&before), 20).await;
    let end: i64 = sqlx::query_scalar("SELECT sequenced FROM catalog_outbox_head")
        .fetch_one(&before.db())
        .await
        .unwrap();
    let index = eventually("the index says how far it is", 20, async || {
        let index = corner.indices().await.pop_first()?;
        let noted = corner.ask(&format!("{index}/_doc/position")).await;
        (noted["_version"] == end).then_some(index)
    })
    .await;
    let mut environment = before.environment.clone();
    before.stop().await;

    // As if it had come further than the database knows.
    let note = format!(
        "{}/{index}/_doc/position?version=1000000&version_type=external_gte",
        corner.http
    );
    let http = http_builder().build().unwrap();
    let noted = http
        .put(note)
        .json(&json!({"version": 1_000_000, "listed": false}))
        .send()
        .await;
    assert!(noted.unwrap().status().is_success());
    environment.shutdown = CancellationToken::new();
    environment.metrics = Metrics::new(ServiceName::Catalog);
    let again = build(&environment, &corner.setting, 30).await.unwrap();
    let running = serve::start(&environment, again, serve::listen("127.0.0.1:0").await.unwrap()).unwrap();
    eventually("another index serves", 20, async || {
        let indices = corner.indices().await;
        (indices.len() == 1 && !indices.contains(&index)).then_some(())
    })
    .await;
    running.stop().await;
    corner.clear().await;
}

#[tokio::test]
async fn an_index_that_falls_behind_is_not_asked_until_it_has_caught_up() {
    let Some(server) = stores::elasticsearch().await else {
        return;
    };
    let corner = Corner::on(&server.url);
    let catalog = corner.start(1).await;
    let gateway = gateway(&catalog);
    answers_from_the_index(&gateway, 20).await;
    // An instance that holds the lease and does nothing.
    let hold =
        "UPDATE catalog_search_feed SET feeder = gen_random_uuid(), fed_until = now() + interval '1 hour'";
    sqlx::query(hold).execute(&catalog.db()).await.unwrap();
    let id = create(&gateway, "MUG-1", 1).await;
    eventually("the database answers", 10, async || {
        let page = gateway.get("/products?q=mug").await.expect(200);
        (is_degraded(&page) && page["items"][0]["id"] == *id).then_some(())
    })
    .await;
    let suggested = gateway.get("/suggest?q=blu").await.expect(200);
    assert!(is_degraded(&suggested) && suggested["items"][0]["text"] == "Blue mug");
    let operator = catalog.as_caller(ServiceName::Operator);
    operator
        .get("/products?index=elasticsearch")
        .await
        .expect_problem(503, "store-unavailable");
    let state = operator.get("/search/reindex").await.expect(200);
    assert!(
        state["lag"].as_i64().unwrap() > 0 && state["fault"].as_str().unwrap().contains("behind"),
        "{state}"
    );
    let release = "UPDATE catalog_search_feed SET feeder = NULL, fed_until = NULL";
    sqlx::query(release).execute(&catalog.db()).await.unwrap();
    eventually("the index answers again, and knows", 10, async || {
        let page = gateway.get("/products?q=mug").await.expect(200);
        (!is_degraded(&page) && page["items"][0]["id"] == *id).then_some(())
    })
    .await;
    catalog.stop().await;
    corner.clear().await;
}
