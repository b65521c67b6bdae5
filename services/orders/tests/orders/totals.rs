//! `GET /totals`: what reconciling compares.

use emporium_service_kit::ServiceName;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::order;
use crate::support::{Stage, usual};

fn refund(n: u128, at: &str, currency: &str, amount: i64) -> Value {
    json!({
        "record": "refund", "id": Uuid::from_u128(n), "order_id": null, "customer_id": null, "at": at,
        "source": "online-retail", "reference": null, "currency": currency, "amount": amount, "lines": [], "charges": [],
    })
}

/// One order costs 6 × 2.55 + 18.00 − 1.00.
const EACH: i64 = 3_230;

#[tokio::test]
async fn confirmed_orders_and_refunds_are_summed_by_day() {
    let stage = Stage::start(usual()).await;
    let operator = stage.orders.as_caller(ServiceName::Operator);
    let mut abroad = order(4, None, "2010-12-02T23:59:59.9999999Z");
    abroad["shipping_address"] = Value::Null;
    let mut euros = order(5, None, "2010-12-03T01:30:00+02:00");
    euros["currency"] = json!("EUR");
    let mut nowhere = order(6, None, "2010-12-02T12:00:00Z");
    nowhere["shipping_address"]["country"] = json!("");
    let records = [
        order(1, None, "2010-12-01T00:00:00Z"),
        order(2, None, "2010-12-01T23:59:59.999999Z"),
        order(3, None, "2010-12-02T00:00:00Z"),
        abroad,
        euros,
        nowhere,
        refund(20, "2010-12-01T10:00:00Z", "GBP", 250),
        refund(21, "2010-12-01T11:00:00Z", "GBP", 0),
        refund(22, "2010-12-01T11:00:00Z", "EUR", 7),
        refund(23, "2011-02-01T11:00:00Z", "GBP", 9),
    ];
    let summary = operator.bulk("/bulk/orders", &records).await.expect(200);
    assert_eq!(summary["loaded"], 10, "{summary}");
    // What is not confirmed is no revenue.
    sqlx::query("UPDATE orders_order SET status = 'cancelled' WHERE id = $1")
        .bind(Uuid::from_u128(2))
        .execute(&stage.orders.db())
        .await
        .unwrap();
    let totals = operator
        .get("/totals?from=2010-12-01&to=2010-12-31")
        .await
        .expect(200);
    let gbp = |amount: i64| json!({"amount": amount, "currency": "GBP"});
    let eur = |amount: i64| json!({"amount": amount, "currency": "EUR"});
    let day = |day: &str, country: Value, orders: i64, total: Value| json!({"day": day, "country": country, "orders": orders, "total": total});
    assert_eq!(
        totals,
        json!({
            "from": "2010-12-01", "to": "2010-12-31", "first_day": "2010-12-01", "last_day": "2011-02-01",
            "orders": [
                day("2010-12-01", json!("GB"), 1, gbp(EACH)),
                day("2010-12-02", json!("GB"), 1, eur(EACH)),
                day("2010-12-02", json!("GB"), 1, gbp(EACH)),
                day("2010-12-02", Value::Null, 2, gbp(2 * EACH)),
            ],
            "refunds": [
                {"day": "2010-12-01", "refunds": 1, "amount": eur(7)},
                {"day": "2010-12-01", "refunds": 2, "amount": gbp(250)},
            ],
        })
    );
    let one = operator
        .get("/totals?from=2011-02-01&to=2011-02-01")
        .await
        .expect(200);
    assert_eq!(
        (&one["orders"], &one["refunds"][0]["amount"]),
        (&json!([]), &gbp(9))
    );
}

#[tokio::test]
async fn totals_are_bounded_and_for_the_operator() {
    let stage = Stage::start(usual()).await;
    let operator = stage.orders.as_caller(ServiceName::Operator);
    let empty = operator
        .get("/totals?from=2010-01-01&to=2010-12-31")
        .await
        .expect(200);
    assert_eq!(
        (&empty["orders"], &empty["first_day"]),
        (&json!([]), &Value::Null)
    );
    for query in [
        "",
        "?from=2010-01-01",
        "?from=2010-01-01&to=2011-01-02",
        "?from=2010-01-02&to=2010-01-01",
        "?from=2010-02-30&to=2010-03-01",
        "?from=%00&to=2010-03-01",
        "?from=1969-12-31&to=1970-01-01",
    ] {
        operator
            .get(&format!("/totals{query}"))
            .await
            .expect_problem(422, "invalid");
    }
    stage
        .gateway
        .get("/totals?from=2010-01-01&to=2010-01-01")
        .await
        .expect_problem(403, "caller-not-allowed");
}
