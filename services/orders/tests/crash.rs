//! The service, as a process of its own, dies just before and just after every commit of a checkout, and is started again:
//! `cargo test -p emporium-orders --features crash-points --test crash`.
#![cfg(feature = "crash-points")]
#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Child, Command, Stdio};

use emporium_orders::crash;
use emporium_service_kit::ServiceName;
use emporium_test_kit::{Caller, Keys, Reply, TestPostgres};
use futures::StreamExt;
use serde_json::{Value, json};
use support::{Fault, Shop, assert_consistent};

/// The service's binary with everything it needs; killed when dropped.
struct Process {
    child: Child,
    gateway: Caller,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Ground {
    shop: Shop,
    keys: Keys,
    database: String,
    bus: String,
}

impl Ground {
    async fn start(&self, crash_at: Option<&str>) -> Process {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let peers: Vec<String> = self
            .shop
            .peers()
            .iter()
            .map(|(name, url)| format!("{name}={url}"))
            .collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_emporium-orders"));
        command
            .env("EMPORIUM_LISTEN", format!("127.0.0.1:{port}"))
            .env("EMPORIUM_DATABASE_URL", &self.database)
            .env("EMPORIUM_EVENTS", &self.bus)
            .env("EMPORIUM_PEERS", peers.join(","))
            .env(
                "EMPORIUM_SERVICE_SECRET",
                self.keys.secret(ServiceName::Orders).expose(),
            )
            .env(
                "EMPORIUM_CALLERS",
                self.keys.callers(ServiceName::Orders).to_setting(),
            )
            .env("EMPORIUM_LOG", "off")
            .env("EMPORIUM_ORDERS_LEASE_MS", "500")
            .env("EMPORIUM_ORDERS_ANSWER_WAIT_MS", "1000")
            .env("EMPORIUM_ORDERS_SAGA_DEADLINE_MS", "3000")
            .env_remove("EMPORIUM_ORDERS_CRASH_AT")
            .stderr(Stdio::null());
        if let Some(crash_at) = crash_at {
            command.env("EMPORIUM_ORDERS_CRASH_AT", crash_at);
        }
        let child = command.spawn().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let gateway = Caller::new(
            &url,
            ServiceName::Orders,
            Some(self.keys.secret(ServiceName::Gateway)),
        );
        emporium_test_kit::eventually("the process is ready", 20, async || {
            let answer = gateway.request("GET", "/health/ready").send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        Process { child, gateway }
    }
}

/// A way through the saga that meets the point: a payment token, an operation that fails, and how often.
fn way_to(point: &str) -> (&'static str, &'static str, Vec<Fault>) {
    match point {
        crash::AWAIT => ("tok_slow", "reserve", vec![]),
        crash::CANCEL | crash::COMPENSATE => ("tok_decline", "reserve", vec![]),
        crash::RETRY => ("tok_ok", "charge", vec![Fault::LostAnswer]),
        _ => ("tok_ok", "reserve", vec![]),
    }
}

async fn post(process: &Process, path: &str, body: &Value) -> Option<Reply> {
    let request = process.gateway.request("POST", path);
    let request = request.header("idempotency-key", "key").json(body);
    let answer = request.send().await.ok()?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.ok()?;
    Some(Reply {
        status,
        content_type: String::new(),
        headers,
        json: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    })
}

async fn survive(crash_at: String, bus: String) {
    let ground = Ground {
        shop: Shop::start().await,
        keys: Keys::default(),
        database: TestPostgres::get().await.empty_database().await.url,
        bus,
    };
    let shop = &ground.shop;
    let ada = shop.customer();
    let (token, operation, faults) = way_to(crash_at.split(':').next().unwrap());
    shop.faults(ada, operation, &faults);
    let path = format!("/customers/{ada}/orders");
    let body = json!({ "address_id": shop.address(ada), "payment_token": token });
    let mut process = ground.start(Some(&crash_at)).await;
    let answer = post(&process, &path, &body).await;
    emporium_test_kit::eventually("the process dies at its point", 10, async || {
        process.child.try_wait().unwrap()
    })
    .await;
    drop(process);
    let process = ground.start(None).await;
    let first = emporium_test_kit::eventually("the key has an answer", 30, async || {
        let reply = post(&process, &path, &body).await?;
        (reply.status != 409).then_some(reply)
    })
    .await;
    assert!(matches!(first.status, 201 | 202), "{crash_at} {}", first.text);
    if let Some(answer) = answer.filter(|answer| answer.status < 300) {
        assert_eq!(answer.text, first.text, "{crash_at}: what was answered stays");
    }
    let again = post(&process, &path, &body).await.unwrap();
    assert_eq!(
        (again.status, &again.text),
        (first.status, &first.text),
        "{crash_at}"
    );
    let order = emporium_test_kit::eventually("the order ended", 30, async || {
        let id = first.json["id"].as_str()?;
        let order = process.gateway.get(&format!("/orders/{id}")).await.expect(200);
        let settled = ["clear-cart", "release-stock"].iter().any(|last| {
            let timeline = order["timeline"].as_array().unwrap();
            timeline.iter().any(|entry| entry["step"] == *last)
        });
        settled.then_some(order)
    })
    .await;
    let wanted = if token == "tok_decline" {
        "cancelled"
    } else {
        "confirmed"
    };
    assert_eq!(order["status"], wanted, "{crash_at} {order:#}");
    let traces = shop.traces(ada);
    assert_eq!(traces.len(), 1, "{crash_at}: one order");
    assert_consistent(&order, &traces[0]);
    assert_eq!(shop.world().charges_asked, 1, "{crash_at}: one charge");
    let events = process.gateway.get("/events").await.expect(200);
    let kinds: Vec<&str> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["event"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["order.placed.v1", &format!("order.{wanted}.v1")],
        "{crash_at}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_saga_survives_death_at_every_commit() {
    let bus = emporium_test_kit::service::bus_database().await.url;
    let mut places = Vec::new();
    for point in crash::POINTS {
        for side in ["before", "after"] {
            places.push(format!("{point}:{side}"));
            if point == crash::COMPENSATE {
                places.extend([2, 3].map(|n| format!("{point}:{side}:{n}")));
            }
        }
    }
    let runs = places.into_iter().map(|place| {
        let bus = bus.clone();
        async move {
            survive(place.clone(), bus).await;
            println!("survived {place}");
        }
    });
    futures::stream::iter(runs)
        .buffer_unordered(6)
        .collect::<Vec<()>>()
        .await;
}
