//! A sessions service on a real store and a real bus. Only the users service is played: the end-to-end tests have the real
//! one.
#![allow(dead_code)] // each test file uses its part

use emporium_event_bus::CloudEvent;
use emporium_service_kit::stores::SESSIONS_STORE;
use emporium_service_kit::{Clock, Environment, Service, ServiceName, StartError};
use emporium_test_kit::stores::{self, Durability, OwnStore};
use emporium_test_kit::{Caller, Keys, Reply, TestService, event, eventually};
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// What the service keeps its sessions in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Its own database.
    Postgres,
    /// A Redis of the test's own.
    Redis,
}

/// Runs these tests, functions of a [`Backend`], on every one: as `postgres::…` and `redis::…`.
#[macro_export]
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        on_every_store!(postgres: Postgres => $($test),+);
        on_every_store!(redis: Redis => $($test),+);
    };
    ($name:ident: $backend:ident => $($test:ident),+) => {
        mod $name {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test($crate::common::Backend::$backend).await;
            })+
        }
    };
}

/// The service, the played users service, and a gateway that calls.
pub struct World {
    pub sessions: TestService,
    pub gateway: Caller,
    pub users: MockServer,
    pub user_id: Uuid,
    pub redis: Option<OwnStore>,
}

/// Answers as the users service would: the password `right` is right, an address that starts with `blocked` is a
/// blocked user's, one that starts with `admin` an administrator's.
pub struct Users(pub Uuid);

impl Respond for Users {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = request.body_json().unwrap();
        let email = body["email"].as_str().unwrap();
        if body["password"] != "right" {
            return problem(401, "wrong-credentials");
        }
        let role = if email.starts_with("admin") {
            "admin"
        } else {
            "customer"
        };
        verified(self.0, role, !email.starts_with("blocked"))
    }
}

pub fn verified(user_id: Uuid, role: &str, active: bool) -> ResponseTemplate {
    let body = json!({"user_id": user_id, "role": role, "active": active, "added_later": 1});
    ResponseTemplate::new(200).set_body_json(body)
}

pub fn problem(status: u16, code: &str) -> ResponseTemplate {
    let body = json!({"type": "x", "title": "x", "status": status, "code": code, "detail": "x"});
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/problem+json")
}

/// `None` where the store cannot be had, which is noted then.
pub async fn world(backend: Backend, clock: Clock) -> Option<World> {
    let user_id = Uuid::now_v7();
    with_users(backend, clock, Users(user_id), user_id).await
}

pub async fn with_users(
    backend: Backend,
    clock: Clock,
    respond: impl Respond + 'static,
    user_id: Uuid,
) -> Option<World> {
    let redis = match backend {
        Backend::Postgres => None,
        Backend::Redis => Some(stores::own_redis(Durability::Always).await?),
    };
    let keys = Keys::default();
    let users = MockServer::start().await;
    let token = keys.secret(ServiceName::Sessions).token_for(ServiceName::Users);
    // No history: the consumer reads it before it joins the bus.
    let history = json!({"items": [], "next_after": 0, "at_end": true});
    Mock::given(method("GET"))
        .and(path("/events"))
        .respond_with(ResponseTemplate::new(200).set_body_json(history))
        .mount(&users)
        .await;
    let peers = [(ServiceName::Users, users.uri())];
    let url = redis.as_ref().map(|redis| redis.url.clone());
    let build = async |environment: &Environment| build_on(environment, url.clone()).await;
    let sessions = TestService::start(ServiceName::Sessions, &keys, &peers, clock, build).await;
    let bus = emporium_event_bus::open(&sessions.environment).await.unwrap();
    eventually("the consumer has read the history", 10, async || {
        bus.group_position("sessions").await.unwrap()
    })
    .await;
    // From here on it only verifies, and only that counts as asked.
    users.reset().await;
    Mock::given(method("POST"))
        .and(path("/credentials/verify"))
        .and(header("authorization", format!("Bearer {token}")))
        .respond_with(respond)
        .mount(&users)
        .await;
    let gateway = sessions.as_caller(ServiceName::Gateway);
    Some(World {
        sessions,
        gateway,
        users,
        user_id,
        redis,
    })
}

/// An event of a user's version.
pub fn user_event(
    kind: &str,
    user: Uuid,
    version: i64,
    at: time::OffsetDateTime,
    data: &Value,
) -> CloudEvent {
    CloudEvent {
        subject: user.to_string(),
        aggregateversion: version,
        ..event(kind, at, data)
    }
}

/// The service with its store at that URL, or in its own database.
pub async fn build_on(environment: &Environment, store: Option<String>) -> Result<Service, StartError> {
    let mut environment = environment.clone();
    environment
        .stores
        .set(SESSIONS_STORE, store.unwrap_or_default())?;
    emporium_sessions::build(&environment).await
}

impl World {
    /// Puts events on the bus, as the users service's relay would.
    pub async fn publish(&self, events: &[CloudEvent]) {
        let bus = emporium_event_bus::open(&self.sessions.environment)
            .await
            .unwrap();
        bus.append(events).await.unwrap();
    }

    /// Waits until the group has applied everything that is on the bus.
    pub async fn caught_up(&self) {
        let bus = emporium_event_bus::open(&self.sessions.environment)
            .await
            .unwrap();
        eventually("all events are applied", 10, async || {
            let (at, end) = (
                bus.group_position("sessions").await.unwrap(),
                bus.end().await.unwrap(),
            );
            (at == Some(end)).then_some(())
        })
        .await;
    }

    pub async fn log_in(&self, email: &str, password: &str) -> Reply {
        let body = json!({"email": email, "password": password});
        self.gateway.post("/sessions", body).await
    }

    pub async fn token(&self) -> String {
        let answer = self.log_in("ann@example.org", "right").await.expect(201);
        answer["token"].as_str().unwrap().to_owned()
    }

    pub async fn look_up(&self, token: &str) -> Reply {
        self.gateway
            .post("/sessions/lookup", json!({"token": token}))
            .await
    }
}
