//! Figures and metrics by the API: what is asked of whom, what is joined, and what comes of questions that nobody should ask.

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::support::*;

pub fn money(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "GBP" })
}

pub fn sales(key: Option<&str>, orders: i64, gross: i64, refunds: i64) -> Value {
    json!({ "key": key, "placed": orders, "cancelled": 0, "orders": orders, "lines": orders * 2, "units": orders * 3,
        "gross": money(gross), "refunds": money(refunds), "net": money(gross - refunds) })
}

pub fn best_sellers(ids: &[uuid::Uuid]) -> Value {
    let items: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({ "product_id": id, "sku": "S", "name": "name then", "category": "old", "brand": null, "orders": 3,
                "units": 1234, "gross": money(123_456), "refunded_units": 1, "refunds": money(50) })
        })
        .collect();
    json!({ "items": items, "as_of": AT })
}

#[tokio::test]
async fn best_sellers_have_their_present_names_by_one_call() {
    let shop = Shop::open().await;
    answers(
        &shop.analytics,
        "GET",
        "/top-products",
        ok(&best_sellers(&[id(1), id(2)])),
    )
    .await;
    let batch = json!({ "items": [product(id(1), "name now", 100, 1)] });
    answers(&shop.catalog, "POST", "/products/batch", ok(&batch)).await;
    let at =
        "/api/admin/analytics/top-products?from=2010-01-01&to=2010-12-31&by=units&limit=2&category=a%26b";
    let top = shop.admin().get(at).await.expect(200);
    assert_eq!(
        (&top["items"][0]["name"], &top["items"][0]["status"]),
        (&json!("name now"), &json!("active"))
    );
    assert_eq!(
        (&top["items"][1]["name"], &top["items"][1]["status"]),
        (&json!("name then"), &Value::Null)
    );
    assert_eq!((&top["as_of"], &top["degraded"]), (&json!(AT), &json!([])));
    let asked = &requests(&shop.analytics, "GET", "/top-products").await[0];
    assert_eq!(
        asked.url.query(),
        Some("from=2010-01-01&to=2010-12-31&by=units&category=a%26b&limit=2")
    );
    assert_eq!(shop.catalog.received_requests().await.unwrap().len(), 1);
    goes_away(&shop.catalog).await;
    let top = shop.admin().get(at).await.expect(200);
    assert_eq!(
        (&top["items"][0]["name"], &top["degraded"]),
        (&json!("name then"), &json!(["catalog"]))
    );
}

#[tokio::test]
async fn figures_pass_as_they_are() {
    let shop = Shop::open().await;
    let revenue = json!({ "items": [sales(Some("2010-01-01"), 2, 500, 100)], "others": null, "unallocated": null,
        "total": sales(None, 2, 500, 100), "as_of": AT });
    answers(&shop.analytics, "GET", "/revenue", ok(&revenue)).await;
    let shown = shop
        .admin()
        .get("/api/admin/analytics/revenue?by=month&currency=GBP")
        .await
        .expect(200);
    assert_eq!(
        (&shown["total"]["net"], &shown["as_of"]),
        (&money(400), &json!(AT))
    );
    let asked = &requests(&shop.analytics, "GET", "/revenue").await[0];
    assert_eq!(asked.url.query(), Some("currency=GBP&by=month"));
    for name in [
        "funnel",
        "cohorts",
        "baskets",
        "repeat-rate",
        "live",
        "top-products",
    ] {
        answers(
            &shop.analytics,
            "GET",
            &format!("/{name}"),
            ResponseTemplate::new(503),
        )
        .await;
        let reply = shop.admin().get(&format!("/api/admin/analytics/{name}")).await;
        let problem = reply.expect_problem(503, "service-unavailable");
        assert_eq!(problem["service"], "analytics", "{name}");
    }
}

#[tokio::test]
async fn questions_nobody_should_ask_are_refused_clearly() {
    let shop = Shop::open().await;
    let long = "9".repeat(5_000);
    // Refused here, before anybody is asked.
    for (at, status) in [
        ("analytics/revenue?by=second".to_owned(), 400),
        ("analytics/revenue?limit=0".to_owned(), 422),
        ("analytics/revenue?limit=99999999999".to_owned(), 400),
        (format!("analytics/revenue?from={long}"), 422),
        (format!("analytics/top-products?category={long}"), 422),
        ("analytics/top-products?limit=101".to_owned(), 422),
        (format!("analytics/cohorts?to={long}"), 422),
        (format!("monitoring/range?metric={}", "9".repeat(9_000)), 422),
        (
            format!("monitoring/range?metric=m{}", "&label.a=b".repeat(50)),
            422,
        ),
        ("monitoring/boards/..%2Frange".to_owned(), 404),
        ("monitoring/boards/Services".to_owned(), 404),
        ("monitoring/boards/a%3Fb".to_owned(), 404),
    ] {
        let reply = shop.admin().get(&format!("/api/admin/{at}")).await;
        assert_eq!(
            (reply.status, reply.content_type.as_str()),
            (status, "application/problem+json"),
            "{at}"
        );
    }
    assert!(shop.analytics.received_requests().await.unwrap().is_empty());
    assert!(shop.monitoring.received_requests().await.unwrap().is_empty());
    // Refused by those who know the bounds, and said so.
    for (server, at, inside, status, code) in [
        (
            &shop.analytics,
            "analytics/revenue?from=0001-01-01",
            "/revenue",
            422,
            "invalid",
        ),
        (
            &shop.monitoring,
            "monitoring/range?metric=up&step=1&from=2020-01-01T00:00:00Z",
            "/range",
            422,
            "step-unsuitable",
        ),
        (
            &shop.monitoring,
            "monitoring/boards/nothing",
            "/boards/nothing",
            404,
            "unknown-board",
        ),
    ] {
        answers(server, "GET", inside, problem(status, code)).await;
        let reply = shop.admin().get(&format!("/api/admin/{at}")).await;
        reply.expect_problem(status, code);
    }
}

#[tokio::test]
async fn metrics_are_asked_with_the_labels_that_were_given() {
    let shop = Shop::open().await;
    let range = json!({ "metric": "up", "kind": "gauge", "as": "avg", "from": AT, "to": AT, "step_s": 60,
        "resolution": "minute", "relative_error": null, "items": [{ "labels": { "service": "orders" }, "values": [1.0, null] }] });
    answers(&shop.monitoring, "GET", "/range", ok(&range)).await;
    let at = "/api/admin/monitoring/range?metric=up&as=quantile(0.5)&by=service&label.store=a%26b&not.route=/metrics";
    assert_eq!(shop.admin().get(at).await.expect(200), range);
    let asked = &requests(&shop.monitoring, "GET", "/range").await[0];
    let pairs: Vec<(String, String)> = asked.url.query_pairs().into_owned().collect();
    let expected = [
        ("metric", "up"),
        ("as", "quantile(0.5)"),
        ("by", "service"),
        ("label.store", "a&b"),
        ("not.route", "/metrics"),
    ];
    assert_eq!(
        pairs,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );

    let board =
        json!({ "name": "pools", "title": "Pools", "from": AT, "to": AT, "step_s": 60, "panels": [] });
    answers(&shop.monitoring, "GET", "/boards/pools", ok(&board)).await;
    assert_eq!(
        shop.admin()
            .get("/api/admin/monitoring/boards/pools")
            .await
            .expect(200),
        board
    );
    answers(
        &shop.monitoring,
        "GET",
        "/boards",
        ok(&json!({ "items": [{ "name": "pools", "title": "Pools" }] })),
    )
    .await;
    let names = json!({ "items": [{ "name": "up", "kind": "gauge", "series": 11 }], "complete": true });
    answers(&shop.monitoring, "GET", "/metric-names", ok(&names)).await;
    for name in ["boards", "metrics"] {
        let shown = shop
            .admin()
            .get(&format!("/api/admin/monitoring/{name}"))
            .await
            .expect(200);
        assert_eq!(
            (shown["items"].as_array().unwrap().len(), &shown["next_cursor"]),
            (1, &Value::Null)
        );
    }
}
