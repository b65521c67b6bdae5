//! Projections are rebuilt from their owners' histories, and end as they were.
#![allow(clippy::unwrap_used)]

use emporium_service_kit::auth::Secret;
use emporium_service_kit::{Db, ServiceName};
use emporium_test_kit::{Caller, eventually};
use emporium_tests::{Options, Polyglot, ShopProcess};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

fn operator(shop: &ShopProcess, name: ServiceName) -> Caller {
    let text = std::fs::read_to_string(shop.path().join("keys.json")).unwrap();
    let keys: Value = serde_json::from_str(&text).unwrap();
    let secret = Secret::new(keys["secrets"]["operator"].as_str().unwrap());
    Caller::new(&shop.url(name.as_str()), name, Some(&secret))
}

async fn number(db: &Db, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

#[tokio::test]
async fn what_was_spoilt_is_right_again_after_a_rebuild() {
    rebuild(&with_sample()).await;
}

#[tokio::test]
async fn the_same_with_the_bus_on_redis_and_the_index_on_elasticsearch() {
    let Some(stores) = Polyglot::get().await else {
        return;
    };
    rebuild(&stores.options(with_sample())).await;
}

fn with_sample() -> Options {
    Options {
        sample: Some("tiny"),
        ..Options::default()
    }
}

async fn rebuild(options: &Options) {
    let shop = ShopProcess::start(PROGRAM, options).await;
    let (orders, catalog, users) = (shop.db("orders"), shop.db("catalog"), shop.db("users"));
    let sold = number(
        &orders,
        "SELECT sum(quantity)::bigint FROM orders_line JOIN orders_order ON id = order_id WHERE status = 'confirmed'",
    )
    .await;
    let people = number(&users, "SELECT count(*) FROM users_account").await;
    let agree = async || {
        let popularity = number(&catalog, "SELECT sum(popularity)::bigint FROM catalog_stock").await;
        let listed = number(
            &catalog,
            "SELECT sum(popularity)::bigint FROM catalog_search_entry",
        )
        .await;
        let copies = number(
            &orders,
            "SELECT count(*) FROM orders_customer_copy WHERE name <> 'spoilt'",
        )
        .await;
        (popularity == sold && listed == sold && copies == people).then_some(())
    };
    eventually("the projections have caught up", 60, agree).await;
    sqlx::query("UPDATE catalog_stock SET popularity = popularity + 1")
        .execute(&catalog)
        .await
        .unwrap();
    sqlx::query("UPDATE orders_customer_copy SET name = 'spoilt', version = version + 100")
        .execute(&orders)
        .await
        .unwrap();
    assert!(agree().await.is_none());
    for name in [ServiceName::Catalog, ServiceName::Orders] {
        operator(&shop, name)
            .post("/rebuild", json!({}))
            .await
            .expect(202);
    }
    eventually("the projections are as they were", 60, agree).await;
}
