//! The API against a real PostgreSQL.
#![allow(clippy::unwrap_used)]

mod accounts;
mod addresses;
mod bad_input;
mod bulk;
mod credentials;
mod points;

use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Caller, Keys, TestService};
use serde_json::{Value, json};

pub(crate) struct Shop {
    pub(crate) users: TestService,
    pub(crate) gateway: Caller,
    pub(crate) sessions: Caller,
    pub(crate) orders: Caller,
    pub(crate) operator: Caller,
}

impl Shop {
    pub(crate) async fn start() -> Self {
        let users = TestService::start(
            ServiceName::Users,
            &Keys::default(),
            &[],
            Clock::System,
            emporium_users::build,
        )
        .await;
        Self {
            gateway: users.as_caller(ServiceName::Gateway),
            sessions: users.as_caller(ServiceName::Sessions),
            orders: users.as_caller(ServiceName::Orders),
            operator: users.as_caller(ServiceName::Operator),
            users,
        }
    }

    /// Registers `<name>@example.com` with the password `<name>'s password`.
    pub(crate) async fn register(&self, name: &str) -> Value {
        let body = json!({"email": format!("{name}@example.com"), "password": format!("{name}'s password"), "name": name});
        self.gateway.post("/users", body).await.expect(201)
    }

    pub(crate) async fn user(&self, id: &str) -> Value {
        self.gateway.get(&format!("/users/{id}")).await.expect(200)
    }

    /// Type, version and payload of a user's events, in the order of the history.
    pub(crate) async fn events(&self, subject: &str) -> Vec<(String, i64, Value)> {
        let page = self.orders.get("/events?limit=1000").await.expect(200);
        assert_eq!(page["at_end"], true);
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["event"])
            .filter(|event| event["subject"] == subject)
            .map(|event| {
                assert_eq!(event["source"], "/users");
                let version = event["aggregateversion"].as_i64().unwrap();
                assert_eq!(event["data"]["version"], version);
                (
                    event["type"].as_str().unwrap().to_owned(),
                    version,
                    event["data"].clone(),
                )
            })
            .collect()
    }

    /// Checks that a user's events have the versions 1, 2, 3 … up to the user's own.
    pub(crate) async fn check_versions(&self, id: &str) {
        let versions: Vec<i64> = self
            .events(id)
            .await
            .iter()
            .map(|(_, version, _)| *version)
            .collect();
        let version = self.user(id).await["version"].as_i64().unwrap();
        assert_eq!(versions, (1..=version).collect::<Vec<_>>());
    }
}

/// The id of an answer.
pub(crate) fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}
