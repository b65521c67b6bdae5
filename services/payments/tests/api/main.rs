//! The API against a real PostgreSQL.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod bulk;
mod charges;
mod ledger;
mod model;
mod oracle;
mod provider;
mod refunds;
mod totals;

use emporium_payments::config::Config;
use emporium_service_kit::{Clock, Environment, ServiceName};
use emporium_test_kit::{Caller, Keys, Reply, TestService};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) struct Shop {
    pub(crate) payments: TestService,
    pub(crate) gateway: Caller,
    pub(crate) orders: Caller,
    pub(crate) operator: Caller,
}

/// Little patience, and no look for late answers but what a test wakes or does itself.
pub(crate) const QUIET: Config = Config {
    patience_ms: 40,
    poll_ms: 60_000,
    reconcile_after_s: 60,
};

impl Shop {
    pub(crate) async fn start() -> Self {
        Self::start_with(Clock::System, QUIET).await
    }

    pub(crate) async fn start_with(clock: Clock, config: Config) -> Self {
        let build =
            async |environment: &Environment| emporium_payments::build_with(environment, &config).await;
        let payments = TestService::start(ServiceName::Payments, &Keys::default(), &[], clock, build).await;
        Self {
            gateway: payments.as_caller(ServiceName::Gateway),
            orders: payments.as_caller(ServiceName::Orders),
            operator: payments.as_caller(ServiceName::Operator),
            payments,
        }
    }

    pub(crate) async fn put(&self, saga: Uuid, token: &str, amount: i64) -> Reply {
        let body = json!({"order_id": saga, "customer_id": customer(), "amount": gbp(amount), "payment_token": token});
        self.orders.put(&format!("/charges/{saga}"), body).await
    }

    pub(crate) async fn get(&self, saga: Uuid) -> Reply {
        self.orders.get(&format!("/charges/{saga}")).await
    }

    pub(crate) async fn void(&self, saga: Uuid) -> Reply {
        self.orders
            .post(&format!("/charges/{saga}/void"), json!(null))
            .await
    }

    pub(crate) async fn refund(&self, saga: Uuid, refund: Uuid, amount: i64) -> Reply {
        let body = json!({"refund_id": refund, "amount": gbp(amount), "reason": "came back"});
        self.orders.post(&format!("/charges/{saga}/refunds"), body).await
    }

    pub(crate) async fn call_back(&self, saga: Uuid, outcome: &str) -> Reply {
        let body = json!({"outcome": outcome});
        self.gateway
            .post(&format!("/provider/callbacks/{saga}"), body)
            .await
    }

    /// Type, version and payload of a saga's events, in the order of the history.
    pub(crate) async fn events(&self, subject: Uuid) -> Vec<(String, i64, Value)> {
        let page = self.orders.get("/events?limit=1000").await.expect(200);
        assert_eq!(page["at_end"], true);
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["event"])
            .filter(|event| event["subject"] == subject.to_string())
            .map(|event| {
                assert_eq!(event["source"], "/payments");
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

    /// The types of a saga's events; their versions grow.
    pub(crate) async fn kinds(&self, subject: Uuid) -> Vec<String> {
        let events = self.events(subject).await;
        assert!(events.is_sorted_by(|a, b| a.1 < b.1), "{events:?}");
        events.into_iter().map(|event| event.0).collect()
    }

    /// The balances of clearing, sales, refunds and unmatched refunds in pounds; checks that the books are right.
    pub(crate) async fn books(&self) -> [i64; 4] {
        let balance = self.gateway.get("/ledger/balance").await.expect(200);
        for sum in balance["sums"].as_array().unwrap() {
            assert_eq!(sum["amount"], 0, "{balance}");
        }
        ["provider_clearing", "sales", "refunds", "unmatched_refunds"].map(|account| {
            balance["items"]
                .as_array()
                .unwrap()
                .iter()
                .find(|item| item["account"] == account && item["balance"]["currency"] == "GBP")
                .map_or(0, |item| item["balance"]["amount"].as_i64().unwrap())
        })
    }
}

pub(crate) fn gbp(amount: i64) -> Value {
    json!({"amount": amount, "currency": "GBP"})
}

pub(crate) fn customer() -> Uuid {
    Uuid::from_u128(7)
}
