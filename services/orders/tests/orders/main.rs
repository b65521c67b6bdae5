//! Reading orders, the bulk interface, events of others, the edges.
#![allow(clippy::unwrap_used)]

mod bulk;
mod copies;
#[path = "../support/mod.rs"]
mod support;
mod totals;

use emporium_service_kit::ServiceName;
use serde_json::{Value, json};
use support::{Stage, usual};
use uuid::Uuid;

/// A record of the bulk interface.
pub fn order(n: u128, customer: Option<Uuid>, placed_at: &str) -> Value {
    json!({
        "record": "order", "id": Uuid::from_u128(n), "number": format!("I-{n}"), "customer_id": customer,
        "placed_at": placed_at, "fulfilment": "delivered", "source": "online-retail", "reference": format!("{n}"),
        "currency": "GBP",
        "lines": [
            { "product_id": Uuid::from_u128(1), "sku": "85123A", "name": "WHITE HANGING HEART\\T-LIGHT", "quantity": 6, "unit_price": 255 },
            { "product_id": Uuid::from_u128(2), "sku": "71053", "name": "<b>O'Neil</b>", "quantity": 1, "unit_price": 0 },
        ],
        "charges": [{ "kind": "postage", "name": "POSTAGE", "amount": 1_800 }, { "kind": "discount", "name": "Discount", "amount": -100 }],
        "shipping_address": { "street": "1 High Street", "city": "York", "postal_code": "YO1", "country": "GB" },
    })
}

#[tokio::test]
async fn lists_are_newest_first_in_pages_and_private() {
    let stage = Stage::start(usual()).await;
    let operator = stage.orders.as_caller(ServiceName::Operator);
    let (ada, bob) = (Uuid::new_v4(), Uuid::new_v4());
    // Equal times too: the id decides.
    let records: Vec<Value> = (0..25)
        .map(|n: u128| {
            let customer = if n.is_multiple_of(5) { bob } else { ada };
            order(
                n + 1,
                Some(customer),
                &format!("2010-12-{:02}T08:00:00Z", 1 + n / 4),
            )
        })
        .collect();
    operator.bulk("/bulk/orders", &records).await.expect(200);
    for (path, count) in [
        (format!("/customers/{ada}/orders?limit=3"), 20),
        (format!("/customers/{bob}/orders?limit=3&status=confirmed"), 5),
        ("/orders?limit=7&status=confirmed".to_owned(), 25),
        ("/orders?limit=7".to_owned(), 25),
        ("/orders?limit=7&status=pending".to_owned(), 0),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = stage.gateway.get(&format!("{path}{cursor}")).await.expect(200);
            for item in page["items"].as_array().unwrap() {
                assert!(item.get("timeline").is_none());
                seen.push((item["placed_at"].to_string(), item["id"].to_string()));
            }
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen.len(), count, "{path}");
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{path}");
    }
    let his = json!(Uuid::from_u128(1));
    let his = his.as_str().unwrap();
    stage
        .gateway
        .get(&format!("/customers/{bob}/orders/{his}"))
        .await
        .expect(200);
    stage
        .gateway
        .get(&format!("/customers/{ada}/orders/{his}"))
        .await
        .expect_problem(404, "not-found");
    for (path, status, code) in [
        ("/orders?status=lost", 400, "bad-query"),
        ("/orders?limit=0", 422, "invalid"),
        ("/orders?limit=101", 422, "invalid"),
        ("/orders?limit=99999999999999999999", 400, "bad-query"),
        ("/orders?cursor=%00", 422, "invalid"),
        ("/orders?cursor=nonsense", 400, "bad-cursor"),
        ("/orders/not-an-id", 404, "not-found"),
        ("/orders/00000000-0000-0000-0000-00000000ffff", 404, "not-found"),
        ("/customers/x/orders", 404, "not-found"),
    ] {
        stage.gateway.get(path).await.expect_problem(status, code);
    }
    let far = emporium_service_kit::page::encode_cursor(&(i64::MIN, Uuid::nil()));
    stage
        .gateway
        .get(&format!("/orders?cursor={far}"))
        .await
        .expect(200);
    let users = stage.orders.as_caller(ServiceName::Users);
    users
        .get("/orders")
        .await
        .expect_problem(403, "caller-not-allowed");
    stage
        .orders
        .anonymous()
        .get("/orders")
        .await
        .expect_problem(401, "service-token-required");
    stage.orders.stop().await;
}

/// The hot statements go through their indexes, even where the planner would rather read a small table whole.
#[tokio::test]
async fn lists_and_the_search_for_due_sagas_use_indexes() {
    let stage = Stage::start(usual()).await;
    let db = stage.orders.db();
    let operator = stage.orders.as_caller(ServiceName::Operator);
    let records: Vec<Value> = (0..2_000)
        .map(|n| order(n + 1, Some(Uuid::from_u128(n % 50)), "2010-12-01T08:00:00Z"))
        .collect();
    operator.bulk("/bulk/orders", &records).await.expect(200);
    sqlx::query("ANALYZE").execute(&db).await.unwrap();
    for (sql, index) in [
        (
            "SELECT id FROM orders_order WHERE status = 'pending' AND (placed_at, id) < (now(), '00000000-0000-7000-8000-000000000001')
             ORDER BY placed_at DESC, id DESC LIMIT 20",
            "orders_order_by_status",
        ),
        (
            "SELECT id FROM orders_order WHERE customer_id = '00000000-0000-7000-8000-000000000001' AND (placed_at, id) < (now(), '00000000-0000-7000-8000-000000000001')
             ORDER BY placed_at DESC, id DESC LIMIT 20",
            "orders_order_by_customer",
        ),
        (
            "SELECT id FROM orders_order WHERE (placed_at, id) < (now(), '00000000-0000-7000-8000-000000000001') ORDER BY placed_at DESC, id DESC LIMIT 20",
            "orders_order_by_time",
        ),
        ("SELECT sum(amount) FROM orders_refund WHERE order_id = '00000000-0000-7000-8000-000000000001'", "orders_refund_by_order"),
        ("SELECT order_id FROM orders_saga WHERE step <> 'done' AND due_at <= now() ORDER BY due_at LIMIT 32", "orders_saga_due"),
        (
            "SELECT order_id FROM orders_saga WHERE step <> 'done' AND due_at > now() AND (due_at > now() OR step = 'await') ORDER BY due_at LIMIT 1000 FOR UPDATE SKIP LOCKED",
            "orders_saga_due",
        ),
        ("SELECT count(*) FROM orders_saga WHERE step IN ('settle', 'compensate')", "orders_saga_due"),
        (
            "SELECT customer_id, key FROM orders_idempotency WHERE created_at <= now() ORDER BY created_at LIMIT 1000",
            "orders_idempotency_by_age",
        ),
    ] {
        let mut tx = db.begin().await.unwrap();
        sqlx::query("SET LOCAL enable_seqscan = off")
            .execute(&mut tx)
            .await
            .unwrap();
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("EXPLAIN {sql}")))
            .fetch_all(&mut tx)
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{sql}\n{plan}");
    }
    stage.orders.stop().await;
}
