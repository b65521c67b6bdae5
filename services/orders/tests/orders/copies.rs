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

/// With five users in the history, whom the users API does not know.
async fn with_history(bus: &emporium_test_kit::TestDatabase) -> (Stage, Vec<Uuid>) {
    let shop = Shop::start().await;
    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
    shop.world().user_events = ids
        .iter()
        .map(|id| serde_json::to_value(user(*id, "From history", 2)).unwrap())
        .collect();
    let stage = Stage::start_with(usual(), Clock::System, bus, shop).await;
    (stage, ids)
}

#[tokio::test]
async fn the_copy_is_built_from_the_history_of_users() {
    let bus = emporium_test_kit::service::bus_database().await;
    let (stage, ids) = with_history(&bus).await;
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

/// A rebuild beside the copy that serves: equal, also with users who were asked for and whose events were put aside; and when
/// somebody spoilt it, it says whose row and not what stood in it.
#[tokio::test]
async fn a_rebuild_says_what_differed() {
    let bus = emporium_test_kit::service::bus_database().await;
    let (stage, ids) = with_history(&bus).await;
    let read = async |id: Uuid| stage.gateway.get(&format!("/customer-copies/{id}")).await;
    emporium_test_kit::eventually("the copy is built", 10, async || {
        (read(ids[4]).await.status == 200).then_some(())
    })
    .await;
    let rebuild = async || -> Value {
        let asked = stage
            .gateway
            .post("/projections/orders/rebuild", json!({}))
            .await
            .expect(202);
        let id = asked["rebuild"]["id"].clone();
        emporium_test_kit::eventually("the rebuild is done", 20, async || {
            assert_eq!(read(ids[0]).await.status, 200, "it serves meanwhile");
            let status = stage.gateway.get("/projections/orders").await.expect(200);
            (status["outcome"]["id"] == id).then(|| status["outcome"].clone())
        })
        .await
    };
    let outcome = rebuild().await;
    assert_eq!(
        (&outcome["equal"], &outcome["differences"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(outcome["tables"][0]["rows_rebuilt"], 5);
    let db = stage.orders.environment.db.clone().unwrap();
    sqlx::query("UPDATE orders_customer_copy SET name = 'Mallory', version = version + 100 WHERE id = $1")
        .bind(ids[1])
        .execute(&db)
        .await
        .unwrap();
    let outcome = rebuild().await;
    assert_eq!(outcome["equal"], false);
    let told = outcome["differences"][0].as_str().unwrap();
    assert!(
        told.contains(&ids[1].to_string()) && !told.contains("Mallory"),
        "{told}"
    );
    let copy = read(ids[1]).await.expect(200);
    assert_eq!(
        (&copy["name"], &copy["version"]),
        (&json!("From history"), &json!(2))
    );
    stage.orders.stop().await;
}

/// A user who was asked for is noted as an effect is: while nobody switches, and where the live generation is, so that it gets into
/// no deadlock with effects.
#[tokio::test]
async fn a_user_who_was_asked_for_is_noted_in_turn() {
    let bus = emporium_test_kit::service::bus_database().await;
    let stage = Stage::start_on(usual(), Clock::System, &bus).await;
    let bob = stage.shop.customer();
    let db = stage.orders.environment.db.clone().unwrap();
    emporium_test_kit::eventually("the first generation is built", 10, async || {
        let live: i16 = sqlx::query_scalar("SELECT live FROM orders_projections")
            .fetch_one(&db)
            .await
            .unwrap();
        (live == 1).then_some(())
    })
    .await;
    let mut switching = db.begin().await.unwrap();
    sqlx::query("SELECT FROM orders_projections FOR UPDATE")
        .execute(&mut switching)
        .await
        .unwrap();
    let path = format!("/customer-copies/{bob}");
    let asking = stage.gateway.get(&path);
    let looking = async {
        emporium_test_kit::eventually("it waits", 10, async || {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND wait_event_type = 'Lock' AND query LIKE '%orders_projections%FOR SHARE'",
            )
            .fetch_one(&db)
            .await
            .unwrap();
            (waiting > 0).then_some(())
        })
        .await;
        switching.rollback().await.unwrap();
    };
    let (reply, ()) = tokio::join!(asking, looking);
    reply.expect(200);
    let generations: Vec<i16> = sqlx::query_scalar("SELECT generation FROM orders_customer WHERE id = $1")
        .bind(bob)
        .fetch_all(&db)
        .await
        .unwrap();
    assert_eq!(generations, [1]);
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

/// A database of before the copy had generations: what it has is the live one, and its events are known there.
#[tokio::test]
async fn an_older_copy_is_taken_over() {
    let database = emporium_test_kit::TestPostgres::get()
        .await
        .empty_database()
        .await;
    let db = emporium_test_kit::connect(&database.url, ServiceName::Orders, 1);
    emporium_event_bus::outbox::migrate(&db, ServiceName::Orders)
        .await
        .unwrap();
    for sql in [
        include_str!("../../migrations/0001_orders.sql"),
        "INSERT INTO orders_customer_copy VALUES (gen_random_uuid(), 'Ada', 'ada@example.org', true, 7, now());
         INSERT INTO orders_inbox (consumer, event_id) VALUES ('orders', gen_random_uuid()), ('other', gen_random_uuid());
         INSERT INTO orders_projections (projection) VALUES ('orders')",
        include_str!("../../migrations/0002_customer_generations.sql"),
    ] {
        sqlx::raw_sql(sql).execute(&db).await.unwrap();
    }
    // Claims of payments are among them, which no rebuild makes: dated before what is compared, and kept all the same.
    let found: (String, i64, i64) = sqlx::query_as(
        "SELECT name, version,
           (SELECT count(*) FROM orders_inbox, orders_projections WHERE consumer = 'orders/0'
              AND handled_at < now() - interval '29 days' AND live_since > now() - interval '1 hour')
         FROM orders_customer_copy",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(found, ("Ada".to_owned(), 7, 1));
}
