//! Stand-ins for users, catalog, carts and payments, in memory, with faults on demand. They keep the promises of the
//! contract (idempotent by saga id, tombstones for what was ended before it began), so that the tests can ask them at the
//! end what really happened. The real services take their place in the end-to-end tests.
#![allow(dead_code)] // each test binary uses a part of it

mod payments;
mod routes;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use emporium_orders::config::Config;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Caller, Keys, Reply, TestDatabase, TestService};
use serde_json::{Value, json};
use uuid::Uuid;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Fine,
    /// It is refused: a decision.
    Refuse,
    /// 503, and nothing was done.
    LostRequest,
    /// It was done, and 503 comes back.
    LostAnswer,
    /// It was done, and 500 with nonsense comes back.
    Broken,
    /// It was done, and the answer takes longer than anybody waits.
    TooSlow,
    /// It was not done, and no answer comes for longer than anybody waits.
    Hangs,
    /// It takes a while, but not too long.
    Slow,
    /// The caller gives up, and the request arrives later.
    ArrivesLate,
}

/// What a saga did to the other services.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traces {
    pub customer: Option<Uuid>,
    pub stock: Option<Stock>,
    pub points: Option<Points>,
    pub charge: Option<Money>,
    pub refunded: bool,
    pub extended: bool,
    pub cleared: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    Held,
    Committed,
    Released,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Points {
    Pending,
    Confirmed,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Money {
    Succeeded,
    Declined,
    Pending,
    Open,
    Voided,
}

/// A customer with a cart.
#[derive(Debug, Clone)]
pub struct Person {
    pub active: bool,
    pub version: i64,
    pub address: Uuid,
    pub revision: i64,
    pub cart: Vec<(Uuid, i64)>,
}

#[derive(Debug, Clone)]
pub struct Thing {
    pub price: i64,
    pub archived: bool,
    pub owner: Uuid,
}

#[derive(Default)]
pub struct World {
    pub people: HashMap<Uuid, Person>,
    pub things: HashMap<Uuid, Thing>,
    pub sagas: HashMap<Uuid, Traces>,
    /// Faults of a customer's calls, by operation; used up one a call.
    pub faults: HashMap<(Uuid, &'static str), VecDeque<Fault>>,
    /// Services that answer 503 to everything.
    pub away: Vec<&'static str>,
    /// Every call that was carried out or refused, in order.
    pub log: Vec<(Uuid, &'static str)>,
    /// Look-ups that a pending charge needs until it succeeds; `None`: it never does.
    pub pending_for: HashMap<Uuid, usize>,
    pub user_events: Vec<Value>,
    pub charges_asked: usize,
}

/// The stand-ins, running.
#[derive(Clone)]
pub struct Shop {
    pub world: Arc<Mutex<World>>,
    pub url: String,
}

impl Shop {
    pub async fn start() -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = routes::router(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { world, url }
    }

    pub fn peers(&self) -> Vec<(ServiceName, String)> {
        [
            ServiceName::Users,
            ServiceName::Catalog,
            ServiceName::Carts,
            ServiceName::Payments,
        ]
        .into_iter()
        .map(|name| (name, format!("{}/{name}", self.url)))
        .collect()
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// A new customer whose cart holds two of a product of their own that costs £12.50.
    pub fn customer(&self) -> Uuid {
        let (id, product) = (Uuid::new_v4(), Uuid::new_v4());
        let mut world = self.world();
        world.things.insert(
            product,
            Thing {
                price: 1_250,
                archived: false,
                owner: id,
            },
        );
        world.people.insert(
            id,
            Person {
                active: true,
                version: 1,
                address: Uuid::new_v4(),
                revision: 1,
                cart: vec![(product, 2)],
            },
        );
        id
    }

    pub fn address(&self, customer: Uuid) -> Uuid {
        self.world().people[&customer].address
    }

    pub fn faults(&self, customer: Uuid, operation: &'static str, faults: &[Fault]) {
        self.world()
            .faults
            .insert((customer, operation), faults.iter().copied().collect());
    }

    /// What a customer's sagas did.
    pub fn traces(&self, customer: Uuid) -> Vec<Traces> {
        let world = self.world();
        world
            .sagas
            .values()
            .filter(|traces| traces.customer == Some(customer))
            .cloned()
            .collect()
    }

    /// What an order's saga did.
    pub fn traces_of(&self, order: &Value) -> Traces {
        let id: Uuid = order["id"].as_str().unwrap().parse().unwrap();
        self.world().sagas.get(&id).cloned().unwrap_or_default()
    }

    /// The operations of an order, in order.
    pub fn operations(&self, order: &Value) -> Vec<&'static str> {
        let id: Uuid = order["id"].as_str().unwrap().parse().unwrap();
        self.world()
            .log
            .iter()
            .filter(|(saga, _)| *saga == id)
            .map(|(_, operation)| *operation)
            .collect()
    }
}

/// Short times, but time enough for every order to be confirmed on a busy machine.
pub fn patient() -> Config {
    Config {
        saga_deadline_ms: 15_000,
        ..quick()
    }
}

/// Short times, so that every deadline can be met in a test.
pub fn quick() -> Config {
    Config {
        saga_deadline_ms: 700,
        reservation_margin_ms: 60_000,
        payment_wait_s: 2,
        payment_poll_ms: 100,
        call_timeout_ms: 250,
        charge_timeout_ms: 250,
        answer_wait_ms: 15_000,
        lease_ms: 1_000,
        poll_ms: 20,
        retry_max_ms: 100,
        sagas_max: 64,
    }
}

/// The usual times, for tests without failures.
pub fn usual() -> Config {
    emporium_service_kit::config::from_env().unwrap()
}

pub struct Stage {
    pub shop: Shop,
    pub orders: TestService,
    pub gateway: Caller,
}

impl Stage {
    pub async fn start(config: Config) -> Self {
        Self::start_at(config, Clock::System).await
    }

    pub async fn start_at(config: Config, clock: Clock) -> Self {
        let bus = emporium_test_kit::service::bus_database().await;
        Self::start_on(config, clock, &bus).await
    }

    pub async fn start_on(config: Config, clock: Clock, bus: &TestDatabase) -> Self {
        Self::start_with(config, clock, bus, Shop::start().await).await
    }

    pub async fn start_with(config: Config, clock: Clock, bus: &TestDatabase, shop: Shop) -> Self {
        let orders = TestService::start_on(
            ServiceName::Orders,
            &Keys::default(),
            &shop.peers(),
            clock,
            bus,
            async |environment| emporium_orders::build_with(environment, config.clone()).await,
        )
        .await;
        let gateway = orders.as_caller(ServiceName::Gateway);
        Self {
            shop,
            orders,
            gateway,
        }
    }

    pub fn body(&self, customer: Uuid, token: &str) -> Value {
        json!({ "address_id": self.shop.address(customer), "payment_token": token })
    }

    pub async fn post(&self, customer: Uuid, key: &str, body: &Value) -> Reply {
        let request = self
            .gateway
            .request("POST", &format!("/customers/{customer}/orders"));
        Reply::read(request.header("idempotency-key", key).json(body)).await
    }

    /// Checks out under a new key.
    pub async fn buy(&self, customer: Uuid, token: &str) -> Reply {
        let body = self.body(customer, token);
        self.post(customer, &Uuid::new_v4().to_string(), &body).await
    }

    /// Checks out as a client does that repeats what it is told to repeat.
    pub async fn buy_patiently(&self, customer: Uuid, token: &str) -> Reply {
        let (body, key) = (self.body(customer, token), Uuid::new_v4().to_string());
        emporium_test_kit::eventually("there is an answer", 30, async || {
            let reply = self.post(customer, &key, &body).await;
            (reply.status < 300).then_some(reply)
        })
        .await
    }

    pub async fn order(&self, id: &Value) -> Value {
        let path = format!("/orders/{}", id.as_str().unwrap());
        self.gateway.get(&path).await.expect(200)
    }

    /// Waits until an order has ended and owes nothing.
    pub async fn settled(&self, id: &Value) -> Value {
        let uuid: Uuid = id.as_str().unwrap().parse().unwrap();
        let db = self.orders.db();
        emporium_test_kit::eventually("the saga is done", 20, async || {
            let step: String = sqlx::query_scalar("SELECT step FROM orders_saga WHERE order_id = $1")
                .bind(uuid)
                .fetch_one(&db)
                .await
                .unwrap();
            (step == "done").then_some(())
        })
        .await;
        self.order(id).await
    }
}

/// Checks that what an ended order left behind in the other services is what its status says.
#[track_caller]
pub fn assert_consistent(order: &Value, traces: &Traces) {
    let (stock, points) = (traces.stock, traces.points);
    let kept = traces.charge == Some(Money::Succeeded) && !traces.refunded;
    match order["status"].as_str().unwrap() {
        "confirmed" => {
            assert_eq!(stock, Some(Stock::Committed), "{order:#} {traces:?}");
            assert!(kept, "{order:#} {traces:?}");
            assert_eq!(points, Some(Points::Confirmed), "{order:#} {traces:?}");
            assert_eq!(traces.cleared, 1, "{order:#} {traces:?}");
        }
        "cancelled" => {
            assert_eq!(stock, Some(Stock::Released), "{order:#} {traces:?}");
            assert!(!kept, "{order:#} {traces:?}");
            assert!(
                matches!(traces.charge, None | Some(Money::Declined | Money::Voided)) || traces.refunded,
                "{order:#} {traces:?}"
            );
            assert!(
                matches!(points, None | Some(Points::Cancelled)),
                "{order:#} {traces:?}"
            );
            assert_eq!(traces.cleared, 0, "{order:#} {traces:?}");
            assert!(order["reason"].is_string(), "{order:#}");
        }
        other => panic!("not ended: {other} {order:#}"),
    }
}
