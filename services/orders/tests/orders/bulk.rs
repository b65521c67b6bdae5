//! The bulk interface.

use emporium_service_kit::ServiceName;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::order;
use crate::support::{Stage, usual};

fn refund(n: u128, order: Option<u128>, amount: i64) -> Value {
    json!({
        "record": "refund", "id": Uuid::from_u128(n), "order_id": order.map(Uuid::from_u128), "customer_id": null,
        "at": "2011-01-05T10:00:00Z", "source": "online-retail", "reference": format!("C{n}"), "currency": "GBP",
        "amount": amount, "lines": [{ "product_id": Uuid::from_u128(1), "sku": "85123A", "name": "X", "quantity": 1, "unit_price": amount }],
        "charges": [],
    })
}

async fn events(stage: &Stage) -> Vec<Value> {
    let page = stage.gateway.get("/events?limit=1000").await.expect(200);
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["event"].clone())
        .collect()
}

#[tokio::test]
async fn history_is_loaded_once_with_its_own_times_and_events() {
    let stage = Stage::start(usual()).await;
    let operator = stage.orders.as_caller(ServiceName::Operator);
    let ada = Uuid::new_v4();
    let records = [
        order(10, Some(ada), "2010-12-01T08:26:00Z"),
        order(11, None, "2010-12-01T08:28:00Z"),
        order(10, Some(ada), "2010-12-01T08:26:00Z"),
        refund(20, Some(10), 255),
        refund(21, Some(10), 100),
        refund(22, None, 5),
    ];
    let summary = operator.bulk("/bulk/orders", &records).await.expect(200);
    assert_eq!(
        (
            &summary["received"],
            &summary["loaded"],
            &summary["unchanged"],
            &summary["rejected_count"]
        ),
        (&json!(6), &json!(5), &json!(1), &json!(0))
    );
    let first = stage.order(&json!(Uuid::from_u128(10))).await;
    assert_eq!(first["total"]["amount"], 6 * 255 + 1_700);
    assert_eq!(first["refunded"]["amount"], 355);
    assert_eq!(
        (&first["status"], &first["fulfilment"]),
        (&json!("confirmed"), &json!("delivered"))
    );
    assert_eq!(first["placed_at"], "2010-12-01T08:26:00Z");
    assert_eq!(first["lines"][0]["name"], "WHITE HANGING HEART\\T-LIGHT");
    assert_eq!(first["charges"][1]["amount"]["amount"], -100);
    assert_eq!(first["billing_address"], first["shipping_address"]);
    assert_eq!(
        stage.order(&json!(Uuid::from_u128(11))).await["customer_id"],
        Value::Null
    );
    let before = events(&stage).await;
    let told: Vec<(&str, i64, &str)> = before
        .iter()
        .map(|event| {
            (
                event["type"].as_str().unwrap(),
                event["aggregateversion"].as_i64().unwrap(),
                event["time"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("order.confirmed.v1", 1, "2010-12-01T08:26:00Z"),
            ("order.confirmed.v1", 1, "2010-12-01T08:28:00Z"),
            ("order.refunded.v1", 2, "2011-01-05T10:00:00Z"),
            ("order.refunded.v1", 3, "2011-01-05T10:00:00Z"),
            ("order.refunded.v1", 1, "2011-01-05T10:00:00Z"),
        ]
    );
    let again = operator.bulk("/bulk/orders", &records).await.expect(200);
    assert_eq!((&again["loaded"], &again["unchanged"]), (&json!(0), &json!(6)));
    assert_eq!(events(&stage).await, before);
    stage.orders.stop().await;
}

#[tokio::test]
async fn bad_records_are_named_and_the_others_load() {
    let stage = Stage::start(usual()).await;
    let operator = stage.orders.as_caller(ServiceName::Operator);
    let good = order(1, None, "2010-12-01T08:26:00Z");
    let with = |change: fn(&mut Value)| {
        let mut record = good.clone();
        record["id"] = json!(Uuid::new_v4());
        change(&mut record);
        record
    };
    let bad = [
        with(|r| r["lines"][0]["quantity"] = json!(0)),
        with(|r| r["lines"][0]["quantity"] = json!(-3)),
        with(|r| r["lines"][0]["unit_price"] = json!(-1)),
        with(|r| r["lines"][0]["unit_price"] = json!(i64::MAX)),
        with(|r| {
            r["lines"][0]["unit_price"] = json!(1_000_000_000_000_i64);
            r["lines"][0]["quantity"] = json!(1_000_000_000_i64);
        }),
        with(|r| r["lines"][0]["name"] = json!("a\u{0}b")),
        with(|r| r["number"] = json!("x".repeat(501))),
        with(|r| r["charges"][1]["amount"] = json!(-100_000_000)),
        with(|r| r["placed_at"] = json!("0000-01-01T00:00:00Z")),
        with(|r| r["placed_at"] = json!("yesterday")),
        with(|r| r["currency"] = json!("pounds")),
        with(|r| r["fulfilment"] = json!("lost")),
        with(|r| r["record"] = json!("invoice")),
        with(|r| {
            r["lines"] = json!([]);
            r["charges"] = json!([]);
        }),
        with(|r| r["shipping_address"]["city"] = json!("a\u{7}")),
        refund(50, None, -1),
    ];
    let count = bad.len();
    let mut records = bad.to_vec();
    records.push(good);
    let summary = operator.bulk("/bulk/orders", &records).await.expect(200);
    assert_eq!(summary["rejected_count"], count, "{summary:#}");
    assert_eq!(summary["loaded"], 1);
    assert_eq!(summary["rejected"][0]["line"], 1);
    stage
        .gateway
        .bulk("/bulk/orders", &[])
        .await
        .expect_problem(403, "caller-not-allowed");
    stage.orders.stop().await;
}

#[tokio::test]
async fn two_loads_of_the_same_history_at_once_load_it_once() {
    let stage = Stage::start(usual()).await;
    let operator = stage.orders.as_caller(ServiceName::Operator);
    let records: Vec<Value> = (0..3_000)
        .map(|n| order(1_000 + n, None, "2010-12-01T08:26:00Z"))
        .collect();
    let (one, two) = tokio::join!(
        operator.bulk("/bulk/orders", &records),
        operator.bulk("/bulk/orders", &records)
    );
    let (one, two) = (one.expect(200), two.expect(200));
    assert_eq!(
        one["loaded"].as_i64().unwrap() + two["loaded"].as_i64().unwrap(),
        3_000
    );
    let lines: i64 = sqlx::query_scalar("SELECT count(*) FROM orders_line")
        .fetch_one(&stage.orders.db())
        .await
        .unwrap();
    assert_eq!(lines, 6_000);
    stage.orders.stop().await;
}
