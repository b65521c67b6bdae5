//! `POST /activity` against a real database.
#![allow(clippy::unwrap_used)]

mod support;

use emporium_service_kit::Clock;
use serde_json::{Value, json};
use support::{USUAL, start, start_with};
use time::Duration;
use time::macros::datetime;
use uuid::Uuid;

fn clock() -> Clock {
    Clock::manual(datetime!(2026-03-10 12:00 UTC))
}

fn view(id: Uuid) -> Value {
    json!({"id": id, "visitor_id": Uuid::new_v4(), "kind": "view", "product_id": Uuid::new_v4()})
}

fn id_at(clock: &Clock, ago: Duration) -> Uuid {
    let millis = (clock.now() - ago).unix_timestamp_nanos() / 1_000_000;
    let random: [u8; 10] = Uuid::new_v4().into_bytes()[..10].try_into().unwrap();
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap(), &random).into_uuid()
}

/// What comes too late, from the future or beyond the day's bound is counted and passed over; a batch that comes again counts
/// once.
#[tokio::test]
async fn activity_is_counted_once_and_in_time() {
    let clock = clock();
    let mut config = USUAL;
    config.activity_per_day_max = 4;
    let shop = start_with(clock.clone(), config, &[]).await;
    let (day, visitor) = (Duration::DAY, Uuid::new_v4());
    let search = json!({"id": id_at(&clock, Duration::ZERO), "visitor_id": visitor, "customer_id": null, "kind": "search",
        "query": "Blue  Whale", "results": 0});
    let cart = json!({"id": id_at(&clock, Duration::ZERO), "visitor_id": visitor, "kind": "cart", "product_id": Uuid::new_v4(),
        "quantity": 2});
    let checkout = json!({"id": id_at(&clock, Duration::ZERO), "visitor_id": visitor, "customer_id": Uuid::new_v4(),
        "kind": "checkout"});
    let items = json!({"items": [search, cart, checkout, view(id_at(&clock, day)), view(id_at(&clock, 2 * day + Duration::SECOND)),
        view(id_at(&clock, -Duration::minutes(6))), view(id_at(&clock, -Duration::minutes(4)))]});
    let first = shop.gateway.post("/activity", &items).await.expect(200);
    assert_eq!(
        first,
        json!({"received": 7, "recorded": 5, "repeated": 0, "out_of_time": 2, "over_limit": 0})
    );
    let again = shop.gateway.post("/activity", &items).await.expect(200);
    assert_eq!((&again["recorded"], &again["repeated"]), (&json!(0), &json!(5)));
    let more = json!({"items": [view(id_at(&clock, Duration::ZERO)), view(id_at(&clock, day))]});
    let full = shop.gateway.post("/activity", &more).await.expect(200);
    assert_eq!((&full["recorded"], &full["over_limit"]), (&json!(1), &json!(1)));
    let funnel = shop
        .gateway
        .get("/funnel?from=2026-03-10&to=2026-03-10")
        .await
        .expect(200);
    assert_eq!(
        funnel["items"][0],
        json!({"day": "2026-03-10", "visitors": 2, "viewed": 2, "carted": 1, "began_checkout": 1, "paid": 0})
    );
    let searches = shop.gateway.get("/empty-searches").await.expect(200);
    assert_eq!(searches["items"], json!([{"query": "blue whale", "searches": 1}]));
    let metrics = shop.service.anonymous().get("/metrics").await.text;
    for (outcome, count) in [
        ("recorded", 6),
        ("repeated", 5),
        ("out_of_time", 4),
        ("over_limit", 1),
    ] {
        let line = metrics.lines().find(|line| {
            line.starts_with("emporium_analytics_activities_total")
                && line.contains(&format!("outcome=\"{outcome}\""))
        });
        assert!(
            line.unwrap().ends_with(&format!(" {count}")),
            "{outcome}: {line:?}"
        );
    }
    shop.service.stop().await;
}

/// One bad activity, and nothing of its batch is taken; the answer says which it is.
#[tokio::test]
async fn bad_activity_is_refused_as_a_whole() {
    let clock = clock();
    let shop = start(clock.clone(), &[]).await;
    let id = || id_at(&clock, Duration::ZERO);
    let with = |change: Value| {
        let mut item = view(id());
        item.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        item
    };
    let bad = [
        (with(json!({"id": Uuid::new_v4()})), 422),
        (with(json!({"id": Uuid::nil()})), 422),
        (with(json!({"visitor_id": Uuid::nil()})), 422),
        (with(json!({"kind": "cart", "quantity": -1})), 422),
        (with(json!({"kind": "cart", "quantity": 1_000})), 422),
        (
            with(json!({"kind": "search", "query": "x".repeat(201), "results": 0})),
            422,
        ),
        (
            with(json!({"kind": "search", "query": "a\u{0}b", "results": 0})),
            422,
        ),
        (with(json!({"kind": "search", "query": "x", "results": -1})), 422),
        (with(json!({"kind": "search", "query": "x"})), 400),
        (
            with(json!({"kind": "search", "query": "x", "results": 1e30})),
            400,
        ),
        (with(json!({"kind": "delete"})), 400),
        (with(json!({"product_id": "x"})), 400),
        (json!([1, 2]), 400),
    ];
    for (item, status) in bad {
        let body = json!({"items": [view(id()), item]});
        let answer = shop.gateway.post("/activity", &body).await;
        assert_eq!(answer.status, status, "{item}: {}", answer.text);
        assert_eq!(answer.content_type, "application/problem+json");
    }
    let deep = "[".repeat(5_000);
    let request = shop
        .gateway
        .request("POST", "/activity")
        .header("content-type", "application/json");
    let answer = emporium_test_kit::Reply::read(request.body(format!("{{\"items\":{deep}"))).await;
    answer.expect_problem(400, "bad-json");
    let many: Vec<Value> = (0..501).map(|_| view(id())).collect();
    for items in [json!(many), json!([])] {
        let refused = shop.gateway.post("/activity", json!({"items": items})).await;
        refused.expect_problem(422, "invalid");
    }
    let refused = shop
        .gateway
        .post(
            "/activity",
            json!({"items": [view(id()), with(json!({"id": Uuid::nil()}))]}),
        )
        .await;
    let problem = refused.expect_problem(422, "invalid");
    assert_eq!(problem["errors"][0]["field"], "items[1].id");
    let funnel = shop.gateway.get("/funnel").await.expect(200);
    assert_eq!(funnel["total"]["visitors"], 0, "nothing was taken");
    let full: Vec<Value> = (0..500).map(|_| view(id())).collect();
    let taken = shop
        .gateway
        .post("/activity", json!({"items": full}))
        .await
        .expect(200);
    assert_eq!(taken["recorded"], 500);
    shop.service.stop().await;
}
