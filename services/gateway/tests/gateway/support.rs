//! A gateway whose services are stand-ins.

use std::collections::HashMap;

use emporium_gateway::Config;
use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Currency, Environment, ServiceName, serve};
use emporium_test_kit::{Caller, Reply};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub const CUSTOMER: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);
pub const CUSTOMER_TOKEN: &str = "customer-token";
pub const ADMIN_TOKEN: &str = "admin-token";
/// Of another session of the customer's, as if the customer were blocked.
pub const BLOCKED_TOKEN: &str = "blocked-token";
pub const AT: &str = "2026-03-01T12:00:00Z";

/// The gateway and its stand-ins. Everything a stand-in was not told about is 404 without a problem document, which the
/// gateway takes for a broken service.
pub struct Shop {
    pub users: MockServer,
    pub sessions: MockServer,
    pub catalog: MockServer,
    pub carts: MockServer,
    pub orders: MockServer,
    pub payments: MockServer,
    pub recommendations: MockServer,
    pub reviews: MockServer,
    pub analytics: MockServer,
    pub monitoring: MockServer,
    pub url: String,
    running: serve::Running,
}

/// What is left of a shop that was stopped.
pub struct Stopped {
    pub analytics: MockServer,
}

/// The settings of a gateway whose environment says nothing.
pub fn config() -> Config {
    Config {
        public_url: None,
        currency: Currency::GBP,
        activity_queue: 10_000,
    }
}

impl Shop {
    /// Everything up; sessions are known of a customer, an administrator, and a blocked customer.
    pub async fn open() -> Self {
        Self::open_at(None).await
    }

    /// The same behind `public_url`.
    pub async fn open_at(public_url: Option<&str>) -> Self {
        Self::open_with(public_url, config().activity_queue).await
    }

    /// The same where so many activities of visitors wait at most.
    pub async fn open_with(public_url: Option<&str>, activity_queue: u32) -> Self {
        let start = MockServer::start;
        let (users, sessions, catalog) = (start().await, start().await, start().await);
        let (carts, orders, payments) = (start().await, start().await, start().await);
        let (recommendations, reviews) = (start().await, start().await);
        let (analytics, monitoring) = (start().await, start().await);
        let peers = [
            (ServiceName::Users, users.uri()),
            (ServiceName::Sessions, sessions.uri()),
            (ServiceName::Catalog, catalog.uri()),
            (ServiceName::Carts, carts.uri()),
            (ServiceName::Orders, orders.uri()),
            (ServiceName::Payments, payments.uri()),
            (ServiceName::Recommendations, recommendations.uri()),
            (ServiceName::Reviews, reviews.uri()),
            (ServiceName::Analytics, analytics.uri()),
            (ServiceName::Monitoring, monitoring.uri()),
        ];
        let environment = environment(peers.into());
        let config = Config {
            public_url: public_url.map(str::to_owned),
            activity_queue,
            ..config()
        };
        let service = emporium_gateway::build_with(&environment, config).unwrap();
        let listener = serve::listen("127.0.0.1:0").await.unwrap();
        let running = serve::start(&environment, service, listener).unwrap();
        let shop = Self {
            users,
            sessions,
            catalog,
            carts,
            orders,
            payments,
            recommendations,
            reviews,
            analytics,
            monitoring,
            url: format!("http://{}", running.address),
            running,
        };
        shop.know_session(CUSTOMER_TOKEN, CUSTOMER, "customer", false)
            .await;
        shop.know_session(ADMIN_TOKEN, Uuid::from_u128(9), "admin", false)
            .await;
        shop.know_session(BLOCKED_TOKEN, CUSTOMER, "customer", true).await;
        shop
    }

    async fn know_session(&self, token: &str, user: Uuid, role: &str, blocked: bool) {
        Mock::given(method("POST"))
            .and(path("/sessions/lookup"))
            .and(body_partial_json(json!({ "token": token })))
            .respond_with(ok(
                &json!({ "user_id": user, "role": role, "expires_at": AT, "blocked": blocked }),
            ))
            .mount(&self.sessions)
            .await;
        // Everything else is unknown, at a lower priority.
        Mock::given(path("/sessions/lookup"))
            .respond_with(problem(404, "no-session"))
            .with_priority(250)
            .mount(&self.sessions)
            .await;
    }

    /// Stops the gateway and leaves the stand-ins.
    pub async fn stop(self) -> Stopped {
        self.running.stop().await;
        Stopped {
            analytics: self.analytics,
        }
    }

    /// Calls as nobody in particular.
    pub fn guest(&self) -> Caller {
        Caller::new(&self.url, ServiceName::Gateway, None)
    }

    /// Calls with the customer's bearer token.
    pub fn customer(&self) -> Caller {
        self.guest().with_token(CUSTOMER_TOKEN)
    }

    /// Calls with the administrator's bearer token.
    pub fn admin(&self) -> Caller {
        self.guest().with_token(ADMIN_TOKEN)
    }

    /// Sends one request with these headers.
    pub async fn send(&self, verb: &str, at: &str, headers: &[(&str, &str)], body: Option<Value>) -> Reply {
        let mut request = self.guest().request(verb, at);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Reply::read(request).await
    }
}

pub fn environment(peers: HashMap<ServiceName, String>) -> Environment {
    Environment {
        service: ServiceName::Gateway,
        db: None,
        events_url: None,
        stores: emporium_service_kit::StoreUrls::default(),
        peers,
        secret: Secret::generate(),
        callers: Callers::default(),
        clock: Clock::System,
        metrics: Metrics::new(ServiceName::Gateway),
        shutdown: CancellationToken::new(),
    }
}

pub fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

pub fn problem(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({
        "type": format!("urn:emporium:problem:{code}"), "title": "t", "status": status, "detail": "d", "code": code,
    }))
}

/// Answers `verb at` of a stand-in.
pub async fn answers(server: &MockServer, verb: &str, at: &str, answer: ResponseTemplate) {
    Mock::given(method(verb))
        .and(path(at))
        .respond_with(answer)
        .mount(server)
        .await;
}

/// A stand-in that is away.
pub async fn goes_away(server: &MockServer) {
    server.reset().await;
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(503))
        .mount(server)
        .await;
}

/// The requests that a stand-in got.
pub async fn requests(server: &MockServer, verb: &str, at: &str) -> Vec<Request> {
    let all = server.received_requests().await.unwrap();
    all.into_iter()
        .filter(|request| request.method.as_str() == verb && request.url.path() == at)
        .collect()
}

pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number)
}

pub fn product(id: Uuid, name: &str, price: i64, stock: i64) -> Value {
    json!({
        "id": id, "sku": format!("SKU-{name}"), "name": name, "description": "", "category": "things",
        "category_name": "Things", "brand": null, "price": { "amount": price, "currency": "GBP" },
        "in_stock": stock > 0, "stock": stock, "attributes": { "colour": "blue" }, "source": "seed",
        "status": "active", "popularity": 1, "version": 3, "created_at": AT, "updated_at": AT, "later_field": 1,
    })
}

pub fn user(id: Uuid, name: &str) -> Value {
    json!({
        "id": id, "email": format!("{name}@example.com"), "name": name, "role": "customer", "active": true,
        "points": 12, "pending_points": 0, "preferences": { "theme": "dark" }, "origin": "registered",
        "name_invented": false, "version": 1, "created_at": AT, "updated_at": AT,
    })
}

pub fn order(number: u128, customer: Option<Uuid>, products: &[Uuid]) -> Value {
    let money = |amount: i64| json!({ "amount": amount, "currency": "GBP" });
    let lines: Vec<Value> = products
        .iter()
        .map(|product| {
            json!({
                "product_id": product, "sku": "S", "name": "name then", "quantity": 2,
                "unit_price": money(100), "line_total": money(200),
            })
        })
        .collect();
    let address =
        json!({ "street": "1 High Street", "city": "Leeds", "postal_code": "LS1", "country": "GB" });
    json!({
        "id": id(number), "number": format!("E-{number}"), "customer_id": customer, "status": "pending",
        "fulfilment": "none", "lines": lines, "charges": [{ "kind": "postage", "name": "Post", "amount": money(5) }],
        "total": money(205), "refunded": money(0), "shipping_address": address, "billing_address": address,
        "placed_at": AT, "updated_at": AT, "reason": null, "source": "shop", "reference": null, "points": 2,
    })
}

pub fn cart(revision: i64, lines: &[(Uuid, i64)]) -> Value {
    let items: Vec<Value> = lines
        .iter()
        .map(|(id, quantity)| json!({ "product_id": id, "quantity": quantity, "added_at": AT }))
        .collect();
    json!({ "id": CUSTOMER, "kind": "user", "revision": revision, "items": items, "updated_at": AT, "expires_at": AT })
}

/// The cookies that an answer sets, by name: the whole line.
pub fn cookies(reply: &Reply) -> HashMap<String, String> {
    let lines = reply.headers.get_all("set-cookie").iter();
    lines
        .map(|line| line.to_str().unwrap())
        .map(|line| (line.split('=').next().unwrap().to_owned(), line.to_owned()))
        .collect()
}
