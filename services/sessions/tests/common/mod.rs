//! A sessions service on a real PostgreSQL and a real bus. Only the users service is played: the end-to-end tests have the
//! real one.
#![allow(dead_code)] // each test file uses its part

use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Caller, Keys, Reply, TestService};
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The service, the played users service, and a gateway that calls.
pub struct World {
    pub sessions: TestService,
    pub gateway: Caller,
    pub users: MockServer,
    pub user_id: Uuid,
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

pub async fn world(clock: Clock) -> World {
    let user_id = Uuid::now_v7();
    with_users(clock, Users(user_id), user_id).await
}

pub async fn with_users(clock: Clock, respond: impl Respond + 'static, user_id: Uuid) -> World {
    let keys = Keys::default();
    let users = MockServer::start().await;
    let token = keys.secret(ServiceName::Sessions).token_for(ServiceName::Users);
    Mock::given(method("POST"))
        .and(path("/credentials/verify"))
        .and(header("authorization", format!("Bearer {token}")))
        .respond_with(respond)
        .mount(&users)
        .await;
    let peers = [(ServiceName::Users, users.uri())];
    let sessions = TestService::start(
        ServiceName::Sessions,
        &keys,
        &peers,
        clock,
        emporium_sessions::build,
    )
    .await;
    let gateway = sessions.as_caller(ServiceName::Gateway);
    World {
        sessions,
        gateway,
        users,
        user_id,
    }
}

impl World {
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
