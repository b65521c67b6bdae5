//! What operators see and do over HTTP.

use std::sync::Arc;

use emporium_event_bus::projection::{ProjectionList, ProjectionStatus};
use emporium_event_bus::{ConsumerGroup, GroupState, Projections, StartAt};
use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::{Api, Service, ServiceName, serve};
use emporium_test_kit::{Caller, eventually};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::beside::{LEASE, settled};
use crate::support::place::Place;
use crate::support::setup::Plain;
use crate::support::sums::{NAME, World, added};

/// Reads an answer.
trait Json {
    fn json<T: DeserializeOwned>(self) -> T;
}

impl Json for Value {
    fn json<T: DeserializeOwned>(self) -> T {
        serde_json::from_value(self).unwrap()
    }
}

struct Served {
    world: World,
    operator: Caller,
    orders: Caller,
    running: serve::Running,
    member: Arc<ConsumerGroup>,
}

async fn served() -> Served {
    let (world, _) = settled(Place::postgres().await, 4).await;
    let member = Arc::new(world.member(LEASE).await);
    let plain = Arc::new(Plain::group(&world.bus, StartAt::End));
    let mut environment = world.fixture.environment.clone();
    let (operator, orders) = (Secret::generate(), Secret::generate());
    environment.callers = Callers::from_secrets(
        ServiceName::Users,
        [(ServiceName::Operator, &operator), (ServiceName::Orders, &orders)],
    );
    let api: Api<()> = Api::default().merge(Projections::of([&member, &plain]).api());
    let service = Service::new(api.with_state(())).task("consumer", member.task(&environment));
    let listener = serve::listen("127.0.0.1:0").await.unwrap();
    let running = serve::start(&environment, service, listener).unwrap();
    let caller = |secret| {
        Caller::new(
            &format!("http://{}", running.address),
            ServiceName::Users,
            Some(secret),
        )
    };
    Served {
        operator: caller(&operator),
        orders: caller(&orders),
        world,
        running,
        member,
    }
}

impl Served {
    async fn status(&self) -> ProjectionStatus {
        self.operator.get("/projections/sums").await.expect(200).json()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_pauses_resumes_and_rebuilds() {
    let served = served().await;
    let (operator, world) = (&served.operator, &served.world);
    let list: ProjectionList = operator.get("/projections").await.expect(200).json();
    let names: Vec<_> = list
        .items
        .iter()
        .map(|item| (&*item.name, item.rebuildable))
        .collect();
    assert_eq!(names, [(NAME, true), ("plain", false)]);
    let status: ProjectionStatus = operator
        .post("/projections/sums/pause", json!({}))
        .await
        .expect(200)
        .json();
    assert_eq!(status.group.state, GroupState::Paused);
    world.write(&[(1, 100), (1, 101)]).await;
    world.relay().await;
    let status = served.status().await;
    assert_eq!(
        (status.group.state, status.group.lag_events),
        (GroupState::Paused, Some(2))
    );
    assert!(status.group.lag_ms.unwrap() >= 0 && status.group.as_of.is_some());
    let before = world.content().await;
    let status: ProjectionStatus = operator
        .post("/projections/sums/rebuild", json!({}))
        .await
        .expect(202)
        .json();
    let rebuild = status.rebuild.unwrap();
    let again: ProjectionStatus = operator
        .post("/projections/sums/rebuild", json!({}))
        .await
        .expect(202)
        .json();
    assert_eq!(again.rebuild.unwrap().id, rebuild.id, "one at a time");
    eventually("it waits for the live one", 10, async || {
        let rebuild = served.status().await.rebuild?;
        (rebuild.events == 12 && rebuild.total == Some(12)).then_some(())
    })
    .await;
    assert_eq!(world.content().await, before);
    operator
        .post("/projections/sums/resume", json!({}))
        .await
        .expect(200);
    let outcome = eventually("it is done", 10, async || {
        served.status().await.outcome.filter(|o| o.id == rebuild.id)
    })
    .await;
    assert_eq!((outcome.equal, outcome.events), (Some(true), 12));
    let status = served.status().await;
    assert_eq!(
        (status.group.state, status.group.lag_events),
        (GroupState::Running, Some(0))
    );
    let expected: Vec<_> = crate::beside::ten()
        .into_iter()
        .chain([(1, 100), (1, 101)])
        .collect();
    assert_eq!(world.content().await, added(&expected));
    assert_eq!(served.member.status().lag_ms, Some(0));
    served.world.fixture.environment.shutdown.cancel();
    served.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_belong_to_their_projection_and_strangers_are_refused() {
    let served = served().await;
    let (operator, world) = (&served.operator, &served.world);
    let event = crate::support::travelling(7);
    world.bus.dead_letter(NAME, &event, "no", 5).await.unwrap();
    let letters: Value = operator
        .get("/projections/sums/dead-letters")
        .await
        .expect(200)
        .json();
    let id = letters["items"][0]["id"].as_i64().unwrap();
    assert_eq!(served.status().await.group.dead_letters, 1);
    let others: Value = operator
        .get("/projections/plain/dead-letters")
        .await
        .expect(200)
        .json();
    assert_eq!(others["items"], json!([]));
    operator
        .post(&format!("/projections/plain/dead-letters/{id}/replay"), json!({}))
        .await
        .expect(404);
    let replayed: Value = operator
        .post(&format!("/projections/sums/dead-letters/{id}/replay"), json!({}))
        .await
        .expect(200)
        .json();
    assert!(replayed["replayed_at"].is_string());
    assert_eq!(served.status().await.group.dead_letters, 0);
    assert_eq!(world.content().await[&0].1, 4, "three of ten and this one");
    for path in [
        "/projections/nothing",
        "/projections/sums%00/dead-letters",
        "/projections/nothing/dead-letters",
    ] {
        operator.get(path).await.expect(404);
    }
    for verb in ["pause", "resume", "rebuild"] {
        operator
            .post(&format!("/projections/nothing/{verb}"), json!({}))
            .await
            .expect(404);
        served
            .orders
            .post(&format!("/projections/sums/{verb}"), json!({}))
            .await
            .expect(403);
    }
    served.orders.get("/projections").await.expect(403);
    served.running.stop().await;
}

/// What has no generations says so, in place of doing nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_rebuilt_is_refused() {
    let served = served().await;
    let problem: Value = served
        .operator
        .post("/projections/plain/rebuild", json!({}))
        .await
        .expect_problem(409, "not-rebuildable");
    assert!(problem["detail"].as_str().unwrap().contains("plain"), "{problem}");
    let status: ProjectionStatus = served.operator.get("/projections/plain").await.expect(200).json();
    assert!(!status.rebuildable && status.rebuild.is_none() && status.outcome.is_none());
    served.running.stop().await;
}
