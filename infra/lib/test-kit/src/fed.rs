//! A service that makes a projection of others' events, with those who own the events and the bus around it.

use emporium_event_bus::CloudEvent;
use emporium_service_kit::{Clock, Environment, Service, ServiceName, StartError};
use serde_json::Value;

use crate::http::Caller;
use crate::service::{Keys, TestService};
use crate::{Owners, eventually};

/// How long a projection may take, in seconds: tests by hand read hundreds of thousands of events.
const PATIENCE: u64 = 300;

/// The service on a real database and a real bus. The owners of events are played: the end-to-end tests have the real ones.
pub struct Fed {
    /// The service.
    pub service: TestService,
    /// The gateway, which calls it.
    pub gateway: Caller,
    /// The operator.
    pub operator: Caller,
    projection: &'static str,
    owners: Owners,
}

impl Fed {
    /// Starts the service `name` and waits until its `projection` has all of the owners' histories.
    pub async fn start(
        name: ServiceName,
        projection: &'static str,
        owners: Owners,
        clock: Clock,
        build: impl AsyncFn(&Environment) -> Result<Service, StartError>,
    ) -> Self {
        let service = TestService::start(name, &Keys::default(), &owners.peers(), clock, build).await;
        let fed = Self {
            gateway: service.as_caller(ServiceName::Gateway),
            operator: service.as_caller(ServiceName::Operator),
            service,
            projection,
            owners,
        };
        fed.status("running", |status| status["state"] == "running").await;
        fed
    }

    /// Owners write events down, and their relays publish them.
    pub async fn publish(&self, events: &[CloudEvent]) {
        self.owners.write(events);
        let bus = emporium_event_bus::open(&self.service.environment).await.unwrap();
        bus.append(events).await.unwrap();
    }

    /// Waits until the projection's status is as wanted, and gives it.
    pub async fn status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/projections/{}", self.projection);
        eventually(what, PATIENCE, async || {
            let status = self.operator.get(&path).await;
            (status.status == 200 && wanted(&status.json)).then_some(status.json)
        })
        .await
    }

    /// Waits until everything that was published is applied.
    pub async fn caught_up(&self) -> Value {
        let bus = emporium_event_bus::open(&self.service.environment).await.unwrap();
        let end = bus.end().await.unwrap();
        let there = |status: &Value| status["position"].as_i64() >= Some(end) && status["lag_events"] == 0;
        self.status("all events are applied", there).await
    }

    /// Has the projection built anew, and gives its status when it is.
    pub async fn rebuilt(&self) -> Value {
        let path = format!("/projections/{}/rebuild", self.projection);
        let asked = self.operator.post(&path, serde_json::json!({})).await.expect(202);
        let id = &asked["rebuild"]["id"];
        assert!(id.is_string(), "{asked}");
        self.status("it is rebuilt", |status| status["outcome"]["id"] == *id)
            .await
    }
}
