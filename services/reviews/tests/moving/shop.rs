//! Instances of the service as far as a move is concerned: store, relay, consumer, and the history that it gives.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use emporium_event_bus::history::{HistoryItem, HistoryPage, HistoryQuery};
use emporium_event_bus::{Bus, ConsumerGroup, SharedOutbox};
use emporium_moving::record::Phase;
use emporium_reviews::store::{self, GatedReviews, Group, PROJECTION, ReviewStore};
use emporium_service_kit::stores::REVIEWS_STORE;
use emporium_service_kit::{Environment, ServiceName, StartError};
use emporium_test_kit::moving::{Home, Instance};
use emporium_test_kit::stores::{self, OwnStore};
use emporium_test_kit::{Owners, connect, event, eventually};
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const OWNERS: [ServiceName; 3] = [ServiceName::Orders, ServiceName::Users, ServiceName::Reviews];
/// So that the next one soon takes over what one has left that died.
const LEASE: Duration = Duration::from_secs(1);

/// Who gives the service's own history: whichever instance was started last.
type Way = Arc<Mutex<Option<Arc<GatedReviews>>>>;

async fn own_history(
    State(way): State<Way>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<HistoryPage>, StatusCode> {
    let store = way.lock().unwrap().clone();
    let page = store.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let page = page.history(query.after, query.limit).await;
    page.map(Json).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

/// The service's surroundings.
pub struct Shop {
    pub home: Home,
    owners: Owners,
    way: Way,
}

/// An instance of the service. Dropping it is like killing its process.
pub struct Reviews {
    pub instance: Instance<dyn ReviewStore>,
    pub store: Arc<GatedReviews>,
    pub group: Arc<ConsumerGroup>,
    pub bus: Arc<dyn Bus>,
    environment: Environment,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Reviews {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A MongoDB that all tests share, and a database there.
pub async fn mongodb() -> Option<String> {
    let server = stores::mongodb().await?;
    Some(database(&server.url))
}

/// A MongoDB of the test's own, and a database there.
pub async fn own_mongodb() -> Option<(OwnStore, String)> {
    let server = stores::own_mongodb().await?;
    let url = database(&server.url);
    Some((server, url))
}

fn database(url: &str) -> String {
    let (server, options) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, place) = server.split_once("://").unwrap();
    let host = place.split('/').next().unwrap();
    let name = format!("test_{}", Uuid::new_v4().simple());
    format!("{scheme}://{host}/{name}?{options}")
}

impl Shop {
    pub async fn open() -> Self {
        let owners = Owners::start(&[ServiceName::Orders, ServiceName::Users]).await;
        let way = Way::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let itself = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/events", get(own_history))
            .with_state(way.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let peers = owners.peers().into_iter().chain([(ServiceName::Reviews, itself)]);
        let home = Home::new(ServiceName::Reviews, REVIEWS_STORE).await;
        Self {
            home: home.with_peers(peers),
            owners,
            way,
        }
    }

    /// Starts an instance with all that it runs.
    pub async fn start(&self, url: &str) -> Reviews {
        self.try_start(url, false).await.unwrap()
    }

    /// An instance whose move the test makes by hand; the others of its tasks run.
    pub async fn start_by_hand(&self, url: &str) -> Reviews {
        self.try_start(url, true).await.unwrap()
    }

    pub async fn try_start(&self, url: &str, by_hand: bool) -> Result<Reviews, StartError> {
        let (environment, cell) = (self.home.environment(url), Group::default());
        let of_side = cell.clone();
        let open = move |environment| store::open_side(environment, of_side.clone());
        let instance = if by_hand {
            self.home.start_by_hand(url, open).await?
        } else {
            self.home.start(url, open).await?
        };
        let store = store::gated(&instance.moving, &environment)?;
        let bus = emporium_event_bus::open(&environment).await.unwrap();
        let group = ConsumerGroup::of_histories(&environment, &bus, PROJECTION, store.projection(), &OWNERS)?;
        let group = Arc::new(Arc::into_inner(group).unwrap().with_lease(LEASE));
        assert!(cell.set(group.clone()).is_ok());
        *self.way.lock().unwrap() = Some(store.clone());
        let mut reviews = Reviews {
            instance,
            store,
            group,
            bus,
            environment,
            tasks: Vec::new(),
        };
        reviews.run();
        Ok(reviews)
    }

    /// An event of orders or users: in the owner's history, and on the bus.
    pub async fn tell(&self, reviews: &dyn Bus, kind: &'static str, data: &Value) {
        let events = [event(kind, datetime!(2025-01-01 0:00 UTC), data)];
        self.owners.write(&events);
        reviews.append(&events).await.unwrap();
    }

    pub async fn buy(&self, bus: &dyn Bus, customer: Uuid, product: Uuid) {
        let lines = json!([{"product_id": product, "quantity": 1, "unit_price": 500}]);
        let data = json!({"order_id": Uuid::now_v7(), "customer_id": customer, "lines": lines});
        self.tell(bus, "order.confirmed.v1", &data).await;
    }

    pub async fn name(&self, bus: &dyn Bus, user: Uuid, name: &str) {
        let data = json!({"id": user, "name": name, "active": true, "version": 1, "email": "a@example.com"});
        self.tell(bus, "user.registered.v1", &data).await;
    }

    /// The store of this URL alone, as nobody should use it while it serves.
    pub async fn beside(&self, url: &str) -> Arc<dyn ReviewStore> {
        let side = store::open_side(self.home.environment(url), Group::default());
        side.await.unwrap().store
    }
}

impl Reviews {
    /// Relay and consumer, begun anew when they fail, as the service does.
    fn run(&mut self) {
        let stop = CancellationToken::new();
        let (outbox, bus) = (self.outbox(), self.bus.clone());
        self.tasks.push(tokio::spawn(async move {
            loop {
                if let Err(error) = outbox.clone().relay(bus.clone(), stop.clone()).await {
                    println!("the relay begins anew: {error:#}");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }));
        let moving = self.instance.moving.clone();
        self.tasks.push(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(5)).await;
                if let Ok(status) = moving.status().await
                    && let Some(view) = status.under_way
                {
                    println!("{view:?}");
                }
            }
        }));
        let task = self.group.task(&self.environment);
        self.tasks.push(tokio::spawn(async move {
            loop {
                if let Err(error) = task().await {
                    println!("the consumer begins anew: {error:#}");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }));
    }

    pub fn outbox(&self) -> SharedOutbox {
        self.store.relayed()
    }

    /// Waits until the projection was built for the first time, and has all that is on the bus.
    pub async fn caught_up(&self) {
        eventually("all is published and applied", 120, async || {
            let unpublished = self.outbox().unpublished().await.ok()?;
            let end = self.bus.end().await.ok()?;
            let progress = self.bus.progress(PROJECTION).await.ok()??;
            (unpublished == 0 && progress.position >= end).then_some(())
        })
        .await;
    }

    /// Waits until a move with `shadow` waits for the operator.
    pub async fn undecided(&self) {
        eventually("it waits for the operator", 120, async || {
            let view = self.instance.moving.status().await.ok()?.under_way?;
            (view.phase == Phase::Following && view.undecided).then_some(())
        })
        .await;
    }

    /// The same, and nothing is left to be copied.
    pub async fn settled(&self) {
        self.undecided().await;
        eventually("all is copied", 60, async || {
            let view = self.instance.moving.status().await.ok()?.under_way?;
            (view.marked == 0).then_some(())
        })
        .await;
    }

    /// The whole history.
    pub async fn history(&self) -> Vec<HistoryItem> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.store.history(after, 200).await.unwrap();
            after = page.next_after;
            all.extend(page.items);
            if page.at_end {
                return all;
            }
        }
    }

    /// How many of the service's events are on the bus.
    pub async fn on_the_bus(&self) -> i64 {
        let db = connect(
            self.environment.events_url.as_deref().unwrap(),
            ServiceName::Reviews,
            1,
        );
        let sql = "SELECT count(*) FROM bus_log WHERE source = '/reviews'";
        sqlx::query_scalar(sql).fetch_one(&db).await.unwrap()
    }

    /// Has the projection built anew from the histories beside the one that is read; they have to be equal.
    pub async fn rebuilds_equal(&self) {
        let projection = self.store.projection();
        let generations = projection.generations().unwrap();
        let wanted = generations.want().await.unwrap();
        let outcome = eventually("it is rebuilt", 120, async || {
            let outcome = generations.standing().await.ok()?.outcome?;
            (outcome.id == wanted).then_some(outcome)
        })
        .await;
        assert_eq!(outcome.equal, Some(true), "{outcome:?}");
    }
}
