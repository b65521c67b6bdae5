//! The API against a real database and a real bus.
#![allow(clippy::unwrap_used)]

mod support;

use emporium_service_kit::Clock;
use emporium_service_kit::ServiceName;
use serde_json::{Value, json};
use support::{confirmed, gbp, paid, product, refunded, start};
use time::Duration;
use time::macros::datetime;
use uuid::Uuid;

fn clock() -> Clock {
    Clock::manual(datetime!(2026-03-10 12:00 UTC))
}

const MARCH: &str = "from=2026-03-01&to=2026-03-31";

/// What the owners' histories have is there from the start, and what comes by the bus is added; each answer says of when it is.
#[tokio::test]
async fn figures_come_from_histories_and_from_the_bus() {
    let (lamp, order, customer) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let old = [
        product(lamp, "lamps", 1),
        confirmed(order, Some(customer), "2026-03-02T10:00:00Z", "FR", lamp, 900),
        paid("2026-03-02T10:00:01Z", 900),
    ];
    let shop = start(clock(), &old).await;
    shop.publish(&[
        refunded(Some(order), "2026-03-05T00:00:00Z", lamp, 300),
        confirmed(
            Uuid::now_v7(),
            Some(customer),
            "2026-03-10T11:58:30Z",
            "GB",
            lamp,
            450,
        ),
    ])
    .await;
    shop.caught_up().await;

    let get = async |path: &str| shop.gateway.get(path).await.expect(200);
    let revenue = get(&format!("/revenue?{MARCH}&by=country")).await;
    assert_eq!(revenue["as_of"], "2026-03-10T12:00:00Z");
    let keys: Vec<(&Value, &Value)> = revenue["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (&item["key"], &item["net"]))
        .collect();
    assert_eq!(keys, [(&json!("FR"), &gbp(600)), (&json!("GB"), &gbp(450))]);
    assert_eq!(
        revenue["total"],
        json!({"key": null, "placed": 0, "cancelled": 0, "orders": 2, "lines": 2, "units": 2, "gross": gbp(1_350),
            "refunds": gbp(300), "net": gbp(1_050)})
    );
    let days = get(&format!("/revenue?{MARCH}")).await;
    assert_eq!(days["items"].as_array().unwrap().len(), 31);
    assert_eq!(days["items"][4]["net"], gbp(-300));
    let top = get(&format!("/top-products?{MARCH}&by=units&category=lamps")).await;
    assert_eq!(
        (&top["items"][0]["name"], &top["items"][0]["units"]),
        (&json!("Lamp"), &json!(2))
    );
    let live = get("/live").await;
    assert_eq!(
        (&live["orders"], &live["items"][57]["gross"]),
        (&json!(1), &gbp(450))
    );
    let cohorts = get(&format!("/cohorts?{MARCH}")).await;
    assert_eq!(
        (&cohorts["items"][0]["month"], &cohorts["items"][0]["share_again"]),
        (&json!("2026-03-01"), &json!(1.0))
    );
    assert_eq!(get(&format!("/baskets?{MARCH}")).await["mean_value"], gbp(675));
    assert_eq!(get(&format!("/repeat-rate?{MARCH}")).await["repeat_rate"], 1.0);
    let other = get(&format!("/revenue?{MARCH}&by=country&currency=EUR")).await;
    assert_eq!(other["total"]["gross"], json!({"amount": 0, "currency": "EUR"}));

    let totals = shop.operator.get(&format!("/totals?{MARCH}")).await.expect(200);
    assert_eq!(
        totals["orders"],
        json!([{"day": "2026-03-02", "country": "FR", "orders": 1, "total": gbp(900)},
            {"day": "2026-03-10", "country": "GB", "orders": 1, "total": gbp(450)}])
    );
    assert_eq!(
        totals["refunds"],
        json!([{"day": "2026-03-05", "refunds": 1, "amount": gbp(300)}])
    );
    assert_eq!(
        totals["payments"],
        json!([{"day": "2026-03-02", "succeeded": 1, "succeeded_amount": gbp(900), "refunded": 0, "refunded_amount": gbp(0)}])
    );
    assert_eq!(
        (&totals["first_day"], &totals["last_day"]),
        (&json!("2026-03-02"), &json!("2026-03-10"))
    );
    shop.service.stop().await;
}

/// A rebuild beside the live figures ends equal, and they are the same afterwards.
#[tokio::test]
async fn a_rebuild_ends_equal() {
    let lamp = Uuid::now_v7();
    let order = |n: i64| confirmed(Uuid::now_v7(), None, "2026-03-02T10:00:00Z", "GB", lamp, 100 + n);
    let old: Vec<_> = (0..1_500).map(order).collect();
    let shop = start(clock(), &old).await;
    shop.publish(&[product(lamp, "lamps", 2), product(lamp, "toys", 1), order(0)])
        .await;
    shop.caught_up().await;
    let figures = format!("/revenue?{MARCH}&by=category");
    let before = shop.gateway.get(&figures).await.expect(200);
    assert_eq!(
        (&before["items"][0]["key"], &before["items"][0]["units"]),
        (&json!("lamps"), &json!(1_501))
    );
    let status = shop.rebuilt().await;
    assert_eq!(status["outcome"]["equal"], true, "{status}");
    assert_eq!(status["outcome"]["events"], 1_503);
    let after = shop.gateway.get(&figures).await.expect(200);
    assert_eq!(
        (&after["items"], &after["total"]),
        (&before["items"], &before["total"])
    );

    // One that was spoilt is put right, and the outcome says what was wrong.
    sqlx::query("UPDATE analytics_sales_day SET gross = gross + 7 WHERE day = '2026-03-02'")
        .execute(&shop.service.db())
        .await
        .unwrap();
    let status = shop.rebuilt().await;
    assert_eq!(status["outcome"]["equal"], false);
    let difference = status["outcome"]["differences"][0].as_str().unwrap();
    assert!(difference.starts_with("analytics_sales_day"), "{difference}");
    assert_eq!(
        shop.gateway.get(&figures).await.expect(200)["total"],
        before["total"]
    );
    shop.service.stop().await;
}

/// While the group is paused, answers stay as they were and say of when they are.
#[tokio::test]
async fn answers_of_a_paused_projection_say_of_when_they_are() {
    let clock = clock();
    let shop = start(clock.clone(), &[]).await;
    shop.caught_up().await;
    shop.operator
        .post("/projections/analytics/pause", json!({}))
        .await
        .expect(200);
    shop.status("paused", |status| status["state"] == "paused").await;
    clock.advance(Duration::minutes(10));
    shop.publish(&[confirmed(
        Uuid::now_v7(),
        None,
        "2026-03-10T12:09:00Z",
        "GB",
        Uuid::now_v7(),
        5,
    )])
    .await;
    clock.advance(Duration::minutes(10));
    let live = shop.gateway.get("/live").await.expect(200);
    assert_eq!(live["orders"], 0);
    assert!(live["as_of"].as_str().unwrap() < "2026-03-10T12:20:00Z", "{live}");
    shop.operator
        .post("/projections/analytics/resume", json!({}))
        .await
        .expect(200);
    shop.caught_up().await;
    let live = shop.gateway.get("/live").await.expect(200);
    assert_eq!(
        (&live["orders"], &live["as_of"]),
        (&json!(1), &json!("2026-03-10T12:20:00Z"))
    );
    shop.service.stop().await;
}

#[tokio::test]
async fn each_route_has_its_callers() {
    let shop = start(clock(), &[]).await;
    let (anonymous, orders) = (
        shop.service.anonymous(),
        shop.service.as_caller(ServiceName::Orders),
    );
    for path in [
        "/revenue",
        "/top-products",
        "/funnel",
        "/cohorts",
        "/baskets",
        "/repeat-rate",
        "/live",
        "/empty-searches",
        "/projections",
    ] {
        anonymous
            .get(path)
            .await
            .expect_problem(401, "service-token-required");
        orders.get(path).await.expect_problem(403, "caller-not-allowed");
        shop.gateway.get(path).await.expect(200);
        shop.operator.get(path).await.expect(200);
    }
    shop.gateway
        .get(&format!("/totals?{MARCH}"))
        .await
        .expect_problem(403, "caller-not-allowed");
    shop.operator
        .post("/activity", json!({"items": []}))
        .await
        .expect_problem(403, "caller-not-allowed");
    shop.service.stop().await;
}

#[tokio::test]
async fn bad_ranges_are_refused() {
    let shop = start(clock(), &[]).await;
    let paths = [
        "/revenue",
        "/top-products",
        "/funnel",
        "/cohorts",
        "/baskets",
        "/repeat-rate",
        "/empty-searches",
    ];
    for path in paths {
        for query in [
            "from=2026-03-02&to=2026-03-01",
            "from=2026-02-30",
            "to=yesterday",
            "from=",
            "from=1970-01-01&to=2099-12-31",
            "from=2015-01-01&to=2026-03-01",
            "to=99999-01-01",
            "from=2026-03-01%00",
            "from=2026-03-01T00:00:00Z",
        ] {
            let refused = shop.gateway.get(&format!("{path}?{query}")).await;
            refused.expect_problem(422, "invalid");
        }
    }
    for (query, status) in [
        ("/revenue?from=2020-01-01&to=2026-03-01", 422),
        ("/revenue?from=2020-01-01&to=2026-03-01&by=week", 200),
        ("/revenue?by=hour", 400),
        ("/revenue?by=country&limit=0", 422),
        ("/revenue?by=country&limit=201", 422),
        ("/revenue?by=country&limit=-1", 400),
        ("/revenue?currency=pounds", 400),
        ("/live?currency=%F0%9F%92%B7", 400),
        ("/top-products?limit=101", 422),
        ("/top-products?category=", 422),
        ("/top-products?category=%27%3B--", 200),
        ("/top-products?by=price", 400),
        ("/empty-searches?limit=1000000000", 422),
        ("/totals?from=2026-01-01", 403),
        ("/nothing", 404),
    ] {
        let answer = shop.gateway.get(query).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
    }
    for query in ["", "?from=2026-01-01", "?from=2025-01-01&to=2026-01-02"] {
        let refused = shop.operator.get(&format!("/totals{query}")).await;
        refused.expect_problem(422, "invalid");
    }
    shop.service.stop().await;
}
