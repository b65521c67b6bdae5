//! Peers of the reviews service: histories of orders and users, and a way back to the service itself.

#![allow(dead_code)] // no test file uses all of it

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use emporium_event_bus::Bus;
use emporium_event_bus::bus::postgres::PostgresBus;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Caller, Keys, Owners, TestDatabase, TestService, event, service};
use serde_json::{Value, json};
use time::macros::datetime;
use uuid::Uuid;

/// Two ids: of a product and an author, mostly.
pub fn new() -> (Uuid, Uuid) {
    (Uuid::new_v4(), Uuid::new_v4())
}

/// Where a review is.
pub fn path(review: &Value) -> String {
    format!("/reviews/{}", review["id"].as_str().unwrap())
}

/// The service reads its own history by HTTP, as any other. Its address is known only when it runs, so this passes on.
type Way = Arc<OnceLock<String>>;

async fn pass_on(State(way): State<Way>, headers: HeaderMap, uri: Uri) -> Result<String, StatusCode> {
    let base = way.get().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let token = headers.get(header::AUTHORIZATION).unwrap();
    let token = token.to_str().unwrap().trim_start_matches("Bearer ");
    let caller = Caller::new(base, ServiceName::Reviews, None).with_token(token);
    Ok(caller.get(&uri.to_string()).await.text)
}

/// The service with its peers and its bus.
pub struct Shop {
    pub reviews: TestService,
    pub gateway: Caller,
    pub operator: Caller,
    owners: Owners,
    bus: PostgresBus,
    _bus_database: TestDatabase,
}

impl Shop {
    pub async fn open() -> Self {
        let owners = Owners::start(&[ServiceName::Orders, ServiceName::Users]).await;
        let way = Way::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let itself = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(pass_on).with_state(way.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut peers = owners.peers();
        peers.push((ServiceName::Reviews, itself));
        let bus_database = service::bus_database().await;
        let reviews = TestService::start_on(
            ServiceName::Reviews,
            &Keys::default(),
            &peers,
            Clock::System,
            &bus_database,
            emporium_reviews::build,
        )
        .await;
        way.set(reviews.url.clone()).unwrap();
        let metrics = emporium_service_kit::metrics::Metrics::new(ServiceName::Operator);
        Self {
            gateway: reviews.as_caller(ServiceName::Gateway),
            operator: reviews.as_caller(ServiceName::Operator),
            bus: PostgresBus::connect(&bus_database.url, metrics).await.unwrap(),
            reviews,
            owners,
            _bus_database: bus_database,
        }
    }

    /// An event of orders or users: in the owner's history, and on the bus.
    pub async fn tell(&self, kind: &'static str, data: &Value) {
        let events = [event(kind, datetime!(2025-01-01 0:00 UTC), data)];
        self.owners.write(&events);
        self.bus.append(&events).await.unwrap();
    }

    pub async fn buy(&self, customer: Uuid, product: Uuid) {
        let lines = json!([{"product_id": product, "quantity": 1, "unit_price": 500}]);
        let data = json!({"order_id": Uuid::now_v7(), "customer_id": customer, "lines": lines});
        self.tell("order.confirmed.v1", &data).await;
    }

    /// Posts a review and gives it.
    pub async fn post(&self, product: Uuid, author: Uuid, rating: i64) -> Value {
        let body = json!({"author_id": author, "rating": rating, "title": "Title", "text": "Text"});
        self.gateway
            .post(&format!("/products/{product}/reviews"), &body)
            .await
            .expect(201)
    }
}
