//! The API against a real database and a real bus.
#![allow(clippy::unwrap_used)]

mod support;

use emporium_service_kit::ServiceName;
use futures::future::join_all;
use serde_json::{Value, json};
use support::{confirmed, ids, product, shelves, start, start_with};
use uuid::Uuid;

/// Three goods, a customer of the first, and guests who buy the first two, and the last one alone.
fn history() -> (Uuid, [Uuid; 3], Vec<emporium_event_bus::CloudEvent>) {
    let (ada, goods) = (Uuid::now_v7(), [(); 3].map(|()| Uuid::now_v7()));
    let mut events: Vec<_> = goods.iter().map(|good| product(*good, 1, "active")).collect();
    events.push(confirmed(Some(ada), "2026-02-01T10:00:00Z", &goods[..1]));
    for _ in 0..3 {
        events.push(confirmed(None, "2026-03-09T10:00:00Z", &goods[..2]));
        events.push(confirmed(None, "2026-03-10T10:00:00Z", &goods[2..]));
    }
    (ada, goods, events)
}

/// What the owners' histories have is there from the start, and what comes by the bus is added.
#[tokio::test]
async fn shelves_come_from_histories_and_from_the_bus() {
    let (ada, [cup, saucer, lamp], events) = history();
    let shop = start(&events).await;
    let get = async |path: String| shop.gateway.get(&path).await.expect(200);
    let also = get(format!("/products/{cup}/also-bought")).await;
    let item = &also["items"][0];
    assert_eq!(
        (
            &item["product_id"],
            &item["reason"],
            &item["because"],
            &item["together"],
            &item["times"]
        ),
        (
            &json!(saucer),
            &json!("bought-together"),
            &json!(cup),
            &json!(3),
            &Value::Null
        )
    );
    assert!(item["score"].as_f64().unwrap() > 0.0);
    assert!(also["as_of"].as_str().unwrap().ends_with('Z'), "{also}");
    assert_eq!(
        ids(&get(format!("/products/{cup}/bought-together")).await),
        [saucer]
    );
    assert_eq!(
        ids(&get(format!("/customers/{ada}/for-you")).await),
        [saucer, lamp]
    );
    assert_eq!(
        ids(&get(format!("/customers/{ada}/for-you?limit=1")).await),
        [saucer]
    );
    assert_eq!(
        ids(&get(format!("/customers/{ada}/for-you?scope=all")).await)[0],
        cup
    );
    assert_eq!(ids(&get(format!("/customers/{ada}/buy-again")).await), [cup]);
    assert_eq!(ids(&get("/popular".to_owned()).await), [lamp, cup, saucer]);
    let cart = json!({"product_ids": [saucer, lamp], "limit": 5});
    assert_eq!(
        ids(&shop.gateway.post("/bought-together", &cart).await.expect(200)),
        [cup]
    );

    let hat = Uuid::now_v7();
    shop.publish(&[
        product(hat, 1, "active"),
        confirmed(None, "2026-03-10T11:00:00Z", &[lamp, hat]),
        confirmed(Some(ada), "2026-03-10T12:00:00Z", &[saucer]),
    ])
    .await;
    shop.caught_up().await;
    assert_eq!(ids(&get(format!("/products/{lamp}/also-bought")).await), [hat]);
    assert_eq!(
        ids(&get(format!("/customers/{ada}/for-you?limit=1")).await),
        [lamp],
        "saucer was just bought"
    );
    shop.service.stop().await;
}

/// A shelf is kept until an order of its subject, or an archived product on it, outdates it; others keep theirs.
#[tokio::test]
async fn orders_and_archived_products_outdate_kept_shelves() {
    let (ada, [cup, saucer, lamp], events) = history();
    let shop = start(&events).await;
    let also = async |good: Uuid| {
        let path = format!("/products/{good}/also-bought");
        ids(&shop.gateway.get(&path).await.expect(200))
    };
    let for_you = async || {
        ids(&shop
            .gateway
            .get(&format!("/customers/{ada}/for-you"))
            .await
            .expect(200))
    };
    let sources = async || (shelves(&shop, "made").await, shelves(&shop, "cache").await);
    also(cup).await;
    also(lamp).await;
    for_you().await;
    assert_eq!(sources().await, (3, 0));
    also(cup).await;
    also(lamp).await;
    for_you().await;
    assert_eq!(sources().await, (3, 3));

    // A guest's order of lamp and cup: the customer's shelf stays as it was made, those of both goods do not.
    shop.publish(&[confirmed(None, "2026-03-11T10:00:00Z", &[cup, lamp])])
        .await;
    shop.caught_up().await;
    assert!(also(cup).await.contains(&lamp));
    assert_eq!(also(lamp).await, [cup]);
    assert_eq!(for_you().await, [saucer, lamp]);
    assert_eq!(sources().await, (5, 4));

    shop.publish(&[product(lamp, 2, "archived")]).await;
    shop.caught_up().await;
    assert_eq!(also(cup).await, [saucer]);
    assert_eq!(for_you().await, [saucer]);
    assert_eq!(also(lamp).await, [cup]);
    assert_eq!(sources().await, (7, 5));

    // The customer's own order.
    shop.publish(&[confirmed(Some(ada), "2026-03-11T11:00:00Z", &[saucer])])
        .await;
    shop.caught_up().await;
    assert!(for_you().await.is_empty());
    shop.service.stop().await;
}

/// Many who ask for the same shelf at once have it made once.
#[tokio::test]
async fn a_shelf_is_made_once_at_a_time() {
    let (_, [cup, saucer, _], events) = history();
    let shop = start(&events).await;
    let path = format!("/products/{cup}/also-bought");
    let answers = join_all((0..20).map(|_| shop.gateway.get(&path))).await;
    for answer in answers {
        assert_eq!(ids(&answer.expect(200)), [saucer]);
    }
    assert_eq!(
        (shelves(&shop, "made").await, shelves(&shop, "cache").await),
        (1, 19)
    );
    shop.service.stop().await;
}

/// Without its cache the service makes each shelf anew, and says so.
#[tokio::test]
async fn without_a_cache_shelves_are_made_anew() {
    let (_, [cup, saucer, _], events) = history();
    let shop = start(&events).await;
    let path = format!("/products/{cup}/also-bought");
    sqlx::query("DROP TABLE recommendations_cache")
        .execute(&shop.service.db())
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(ids(&shop.gateway.get(&path).await.expect(200)), [saucer]);
    }
    assert_eq!(shelves(&shop, "made").await, 2);
    assert_eq!(
        shelves(&shop, "cache_failed").await,
        1,
        "it is left alone for a while"
    );
    shop.service.stop().await;

    let none = start_with(0, &events).await;
    for _ in 0..2 {
        none.gateway.get(&path).await.expect(200);
    }
    assert_eq!(
        (shelves(&none, "made").await, shelves(&none, "cache_failed").await),
        (2, 0)
    );
    none.service.stop().await;
}

/// A rebuild beside the live one ends equal; one that was spoilt is put right, and kept shelves of it are not shown.
#[tokio::test]
async fn a_rebuild_ends_equal() {
    let (_, [cup, saucer, _], events) = history();
    let shop = start(&events).await;
    shop.publish(&[
        confirmed(None, "2026-03-11T10:00:00Z", &[cup, saucer]),
        product(cup, 2, "active"),
    ])
    .await;
    shop.caught_up().await;
    let status = shop.rebuilt().await;
    assert_eq!(status["outcome"]["equal"], true, "{status}");
    let path = format!("/products/{cup}/also-bought");
    sqlx::query("DELETE FROM recommendations_purchase")
        .execute(&shop.service.db())
        .await
        .unwrap();
    assert!(ids(&shop.gateway.get(&path).await.expect(200)).is_empty());
    let status = shop.rebuilt().await;
    assert_eq!(status["outcome"]["equal"], false);
    let said = status["outcome"]["differences"].to_string();
    assert!(
        said.contains("recommendations_purchase") && said.contains("was not there"),
        "{said}"
    );
    assert_eq!(
        ids(&shop.gateway.get(&path).await.expect(200)),
        [saucer],
        "and not the kept one"
    );
    shop.service.stop().await;
}

#[tokio::test]
async fn each_route_has_its_callers() {
    let shop = start(&[]).await;
    let (anonymous, orders) = (
        shop.service.anonymous(),
        shop.service.as_caller(ServiceName::Orders),
    );
    let id = Uuid::now_v7();
    for path in [
        format!("/products/{id}/also-bought"),
        format!("/products/{id}/bought-together"),
        format!("/customers/{id}/for-you"),
        format!("/customers/{id}/buy-again"),
        "/popular".to_owned(),
        "/projections".to_owned(),
    ] {
        anonymous
            .get(&path)
            .await
            .expect_problem(401, "service-token-required");
        orders.get(&path).await.expect_problem(403, "caller-not-allowed");
        shop.gateway.get(&path).await.expect(200);
        shop.operator.get(&path).await.expect(200);
    }
    let cart = json!({"product_ids": [id]});
    orders
        .post("/bought-together", &cart)
        .await
        .expect_problem(403, "caller-not-allowed");
    shop.operator.post("/bought-together", &cart).await.expect(200);
    shop.service.stop().await;
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let shop = start(&[]).await;
    let id = Uuid::now_v7();
    for (path, status) in [
        ("/popular?limit=0".to_owned(), 422),
        ("/popular?limit=51".to_owned(), 422),
        ("/popular?limit=4294967296".to_owned(), 400),
        ("/popular?limit=-1".to_owned(), 400),
        ("/popular?limit=ten".to_owned(), 400),
        (format!("/products/{id}/also-bought?limit=51"), 422),
        (format!("/products/{id}/bought-together?limit=0"), 422),
        (format!("/customers/{id}/buy-again?limit=1000"), 422),
        (format!("/customers/{id}/for-you?limit=51"), 422),
        (format!("/customers/{id}/for-you?scope=everything"), 400),
        ("/products/1/also-bought".to_owned(), 404),
        ("/products/%00/also-bought".to_owned(), 404),
        ("/customers/x'--/for-you".to_owned(), 404),
        (format!("/products/{}/also-bought", Uuid::nil()), 200),
    ] {
        let answer = shop.gateway.get(&path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        if status != 200 {
            assert_eq!(answer.content_type, "application/problem+json", "{path}");
        }
    }
    let many: Vec<Uuid> = (0..101).map(|_| id).collect();
    for (body, status) in [
        (json!({"product_ids": []}), 422),
        (json!({"product_ids": many}), 422),
        (json!({"product_ids": [id], "limit": 0}), 422),
        (json!({"product_ids": [id], "limit": 51}), 422),
        (json!({"product_ids": ["x"]}), 400),
        (json!({"product_ids": id}), 400),
        (json!({}), 400),
        (json!([id]), 400),
        (json!({"product_ids": many[..100]}), 200),
    ] {
        let answer = shop.gateway.post("/bought-together", &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    shop.service.stop().await;
}
