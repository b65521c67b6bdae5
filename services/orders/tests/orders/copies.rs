//! What other services' events do.

use emporium_event_bus::bus::postgres::PostgresBus;
use emporium_event_bus::{Bus, CloudEvent};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, ServiceName};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Money, Shop, Stage, quick, usual};

fn event(kind: &str, source: &str, subject: Uuid, version: i64, data: &Value) -> CloudEvent {
    serde_json::from_value(json!({
        "specversion": "1.0", "id": Uuid::now_v7(), "source": source, "type": kind, "subject": subject,
        "time": "2030-01-01T00:00:00Z", "datacontenttype": "application/json", "aggregateversion": version, "data": data,
    }))
    .unwrap()
}

fn user(id: Uuid, name: &str, version: i64) -> CloudEvent {
    let data = json!({
        "id": id, "email": "ada@example.org", "name": name, "role": "customer", "active": true, "origin": "registered",
        "version": version, "a_field_of_tomorrow": 1,
    });
    event("user.updated.v1", "/users", id, version, &data)
}

#[tokio::test]
async fn the_copy_of_users_follows_events_and_falls_back_to_the_api() {
    let bus = emporium_test_kit::service::bus_database().await;
    let stage = Stage::start_on(usual(), Clock::System, &bus).await;
    let transport = PostgresBus::connect(&bus.url, Metrics::new(ServiceName::Operator))
        .await
        .unwrap();
    let ada = Uuid::new_v4();
    let newer = user(ada, "Ada Lovelace", 5);
    let events = [user(ada, "Ada", 4), newer.clone(), user(ada, "Augusta", 3), newer];
    for event in events {
        transport.append(&[event]).await.unwrap();
    }
    let copy = emporium_test_kit::eventually("the copy is there", 10, async || {
        let reply = stage.gateway.get(&format!("/customer-copies/{ada}")).await;
        (reply.status == 200 && reply.json["version"] == 5).then_some(reply.json)
    })
    .await;
    assert_eq!(copy["name"], "Ada Lovelace");
    assert!(copy["last_synced_at"].is_string());
    // A miss: from the users API, and kept.
    let bob = stage.shop.customer();
    let copy = stage
        .gateway
        .get(&format!("/customer-copies/{bob}"))
        .await
        .expect(200);
    assert_eq!((&copy["name"], &copy["version"]), (&json!("Ada"), &json!(1)));
    stage.shop.world().away.push("users");
    assert_eq!(
        stage
            .gateway
            .get(&format!("/customer-copies/{bob}"))
            .await
            .expect(200),
        copy
    );
    let nobody = Uuid::new_v4();
    stage
        .gateway
        .get(&format!("/customer-copies/{nobody}"))
        .await
        .expect_problem(503, "service-unavailable");
    stage.shop.world().away.clear();
    stage
        .gateway
        .get(&format!("/customer-copies/{nobody}"))
        .await
        .expect_problem(404, "not-found");
    // An event that nobody can read ends as a dead letter and holds up nothing.
    let broken = event("user.updated.v1", "/users", ada, 6, &json!({ "id": 7 }));
    transport
        .append(&[broken, user(ada, "Ada King", 7)])
        .await
        .unwrap();
    emporium_test_kit::eventually("the event after it is applied", 10, async || {
        let reply = stage.gateway.get(&format!("/customer-copies/{ada}")).await;
        (reply.json["version"] == 7).then_some(())
    })
    .await;
    let letters = stage.gateway.get("/dead-letters").await.expect(200);
    let id = letters["items"][0]["id"].as_i64().unwrap();
    stage
        .gateway
        .post(&format!("/dead-letters/{id}/replay"), json!({}))
        .await
        .expect_problem(409, "still-rejected");
    stage.orders.stop().await;
}

#[tokio::test]
async fn the_copy_is_built_from_the_history_of_users() {
    let bus = emporium_test_kit::service::bus_database().await;
    let shop = Shop::start().await;
    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
    shop.world().user_events = ids
        .iter()
        .map(|id| serde_json::to_value(user(*id, "From history", 2)).unwrap())
        .collect();
    let stage = Stage::start_with(usual(), Clock::System, &bus, shop).await;
    let transport = PostgresBus::connect(&bus.url, Metrics::new(ServiceName::Operator))
        .await
        .unwrap();
    emporium_test_kit::eventually("the group joined", 10, async || {
        transport.group_position("orders").await.unwrap()
    })
    .await;
    // The stand-in knows none of these users, so the copies can only come from the history.
    for id in ids {
        let copy = stage
            .gateway
            .get(&format!("/customer-copies/{id}"))
            .await
            .expect(200);
        assert_eq!(copy["name"], "From history");
    }
    stage.orders.stop().await;
}

#[tokio::test]
async fn a_payment_event_wakes_the_order_that_waits_for_it() {
    let bus = emporium_test_kit::service::bus_database().await;
    let mut config = quick();
    // Nobody polls during this test.
    config.payment_poll_ms = 600_000;
    config.payment_wait_s = 86_000;
    let stage = Stage::start_on(config, Clock::System, &bus).await;
    let transport = PostgresBus::connect(&bus.url, Metrics::new(ServiceName::Operator))
        .await
        .unwrap();
    let ada = stage.shop.customer();
    let order = stage.buy(ada, "tok_later").await.expect(202);
    let id: Uuid = order["id"].as_str().unwrap().parse().unwrap();
    stage.shop.world().sagas.get_mut(&id).unwrap().charge = Some(Money::Succeeded);
    let paid = event(
        "payment.succeeded.v1",
        "/payments",
        id,
        2,
        &json!({ "saga_id": id }),
    );
    transport.append(&[paid]).await.unwrap();
    let order = stage.settled(&order["id"]).await;
    assert_eq!(order["status"], "confirmed");
    // Another one, for an order that waits for nothing, changes nothing.
    let late = event(
        "payment.declined.v1",
        "/payments",
        id,
        3,
        &json!({ "saga_id": id }),
    );
    transport.append(&[late]).await.unwrap();
    stage.orders.stop().await;
}
