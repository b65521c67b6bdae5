//! Moving purchases between PostgreSQL and Neo4j, while orders come in.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use emporium_event_bus::{Bus, CloudEvent, ConsumerGroup};
use emporium_moving::Decision;
use emporium_moving::record::{Ending, Phase};
use emporium_recommendations::OWNERS;
use emporium_recommendations::model::{Scope, Suggestion};
use emporium_recommendations::store::{self, Group, PROJECTION, RecommendationStore, Subject};
use emporium_service_kit::stores::RECOMMENDATIONS_STORE;
use emporium_service_kit::{Environment, ServiceName, StartError};
use emporium_test_kit::moving::{Home, Instance, pace};
use emporium_test_kit::projection::deliver;
use emporium_test_kit::stores::{neo4j, own_neo4j};
use emporium_test_kit::{Owners, eventually};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use support::{confirmed, product};
use tokio::task::JoinHandle;
use uuid::Uuid;

const GOODS: usize = 12;
const CUSTOMERS: usize = 5;

/// The owners of events, whose orders come without pause.
struct Shop {
    home: Home,
    bus: Arc<dyn Bus>,
    owners: Owners,
    goods: Vec<Uuid>,
    customers: Vec<Uuid>,
    events: Mutex<Vec<CloudEvent>>,
    rng: Mutex<StdRng>,
}

impl Shop {
    async fn open() -> Arc<Self> {
        let owners = Owners::start(&OWNERS).await;
        let home = Home::new(ServiceName::Recommendations, RECOMMENDATIONS_STORE).await;
        let home = home.with_peers(owners.peers());
        let shop = Self {
            bus: emporium_event_bus::open(&home.environment("")).await.unwrap(),
            home,
            owners,
            goods: (0..GOODS).map(|_| Uuid::now_v7()).collect(),
            customers: (0..CUSTOMERS).map(|_| Uuid::now_v7()).collect(),
            events: Mutex::default(),
            rng: Mutex::new(StdRng::seed_from_u64(emporium_test_kit::seed())),
        };
        let products: Vec<CloudEvent> = shop
            .goods
            .iter()
            .map(|good| product(*good, 1, "active"))
            .collect();
        shop.publish(&products).await;
        for _ in 0..60 {
            shop.order().await;
        }
        Arc::new(shop)
    }

    async fn publish(&self, events: &[CloudEvent]) {
        self.owners.write(events);
        self.events.lock().unwrap().extend_from_slice(events);
        self.bus.append(events).await.unwrap();
    }

    /// Somebody orders something.
    async fn order(&self) {
        let event = {
            let mut rng = self.rng.lock().unwrap();
            let count = rng.random_range(1..5);
            let goods: Vec<Uuid> = self.goods.choose_multiple(&mut *rng, count).copied().collect();
            let customer = self
                .customers
                .choose(&mut *rng)
                .copied()
                .filter(|_| rng.random_bool(0.8));
            let day = rng.random_range(1..29);
            let minute = rng.random_range(0..60);
            confirmed(customer, &format!("2026-03-{day:02}T10:{minute:02}:00Z"), &goods)
        };
        self.publish(&[event]).await;
    }

    fn orders(self: &Arc<Self>) -> Orders {
        let stop = Arc::new(AtomicBool::new(false));
        let (shop, stopped) = (self.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let mut pace = pace();
            while !stopped.load(Ordering::SeqCst) {
                pace.tick().await;
                shop.order().await;
            }
        });
        Orders { stop, task }
    }

    /// What a store shows that was never moved and has had all events from the bus.
    async fn expected(&self) -> Vec<Vec<Suggestion>> {
        let elsewhere = Home::new(ServiceName::Recommendations, RECOMMENDATIONS_STORE).await;
        let side = store::open_side(elsewhere.environment(""), Group::default())
            .await
            .unwrap();
        let events = self.events.lock().unwrap().clone();
        deliver(&*side.store.projection(), &events).await;
        self.shelves(side.store.as_ref()).await
    }

    async fn shelves(&self, store: &dyn RecommendationStore) -> Vec<Vec<Suggestion>> {
        let mut shelves = vec![store.popular(50).await.unwrap().items];
        for good in &self.goods {
            shelves.push(store.also_bought(*good, 50).await.unwrap().items);
        }
        for customer in &self.customers {
            shelves.push(store.for_you(*customer, Scope::All, 50).await.unwrap().items);
            shelves.push(store.buy_again(*customer, 50).await.unwrap().items);
        }
        shelves.push(store.bought_together(&self.goods[..3], 50).await.unwrap().items);
        shelves
    }

    async fn start(&self, url: &str) -> Result<Running, StartError> {
        self.run(url, false).await
    }

    /// An instance with its consumer; killed when it is dropped.
    async fn run(&self, url: &str, by_hand: bool) -> Result<Running, StartError> {
        let cell = Group::default();
        let opener = cell.clone();
        let open = move |environment: Environment| store::open_side(environment, opener.clone());
        let instance = if by_hand {
            self.home.start_by_hand(url, open).await?
        } else {
            self.home.start(url, open).await?
        };
        let environment = self.home.environment(url);
        let store = store::gated(&instance.moving, &environment)?;
        let bus = &self.bus;
        let group =
            ConsumerGroup::of_histories(&environment, bus, PROJECTION, store.projection(), &OWNERS).unwrap();
        assert!(cell.set(group.clone()).is_ok());
        let consume = group.task(&environment);
        Ok(Running {
            // It ends while a store is away, and is started again, as by the program.
            consumer: tokio::spawn(async move {
                while consume().await.is_err() {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }),
            instance,
            store,
            group,
        })
    }

    /// The instance shows what it has to.
    async fn check(&self, running: &Running) {
        running.caught_up().await;
        assert_eq!(self.shelves(running.store.as_ref()).await, self.expected().await);
    }
}

struct Orders {
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Orders {
    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
    }
}

struct Running {
    instance: Instance<dyn RecommendationStore>,
    store: Arc<dyn RecommendationStore>,
    group: Arc<ConsumerGroup>,
    consumer: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.consumer.abort();
    }
}

impl Running {
    async fn caught_up(&self) {
        let end = self.group.bus_end().await.unwrap();
        eventually("all events are applied", 60, async || {
            self.group.has_reached(end).await.ok()?.then_some(())
        })
        .await;
    }

    async fn stamp(&self) -> String {
        self.store.stamp(Subject::Everybody, &[]).await.unwrap().unwrap()
    }

    async fn undecided(&self) {
        eventually("it waits for the operator", 90, async || {
            let view = self.instance.moving.status().await.ok()?.under_way?;
            (view.phase == Phase::Following && view.undecided).then_some(())
        })
        .await;
    }
}

/// A graph of this test's own.
fn graph(url: &str) -> String {
    format!("{url}?shop=test-{}", Uuid::new_v4())
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_while_orders_come_in() {
    let Some(server) = neo4j().await else { return };
    let (shop, url) = (Shop::open().await, graph(&server.url));
    let one = shop.start("").await.unwrap();
    let other = shop.start("").await.unwrap();
    one.caught_up().await;
    let mut stamps = vec![one.stamp().await];
    for to in [url.as_str(), "", url.as_str()] {
        let orders = shop.orders();
        let outcome = one.instance.move_to(to).await;
        assert_eq!((outcome.copied, outcome.verified.len()), (0, 4), "{outcome:?}");
        assert!(
            // Nobody has given anything back.
            outcome
                .verified
                .iter()
                .all(|table| table.rows > 10 || table.name == "recommendations_return"),
            "{outcome:?}"
        );
        orders.end().await;
        shop.check(&one).await;
        eventually("the other one follows", 30, async || {
            (other.stamp().await == one.stamp().await).then_some(())
        })
        .await;
        shop.check(&other).await;
        let stamp = one.stamp().await;
        assert!(
            !stamps.contains(&stamp),
            "what is kept of {stamp} would be shown again"
        );
        stamps.push(stamp);
        println!("{} events; {outcome:?}", shop.events.lock().unwrap().len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_at_any_step_is_followed_by_another() {
    let Some(server) = neo4j().await else { return };
    let (shop, url) = (Shop::open().await, graph(&server.url));
    let (mut from, mut to) = (String::new(), url);
    for steps in 1.. {
        let dying = shop.run(&from, true).await.unwrap();
        dying.caught_up().await;
        shop.order().await;
        dying.instance.ask(&to, false).await;
        let ended = dying.instance.work(steps).await;
        drop(dying);
        shop.order().await;
        // The setting may name either store by now: the one that holds is the one that starts.
        let next = match shop.start(&from).await {
            Ok(next) => next,
            Err(_) => shop.start(&to).await.unwrap(),
        };
        assert_eq!(
            next.instance.ended().await.ending,
            Ending::Switched,
            "after {steps} steps"
        );
        shop.check(&next).await;
        let refused = shop.start(&from).await.err().unwrap().to_string();
        assert!(refused.contains("was moved from"), "{refused}");
        std::mem::swap(&mut from, &mut to);
        if ended {
            println!("a move is {steps} steps at most");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_killed_is_filled_when_it_is_back() {
    let Some(server) = own_neo4j().await else { return };
    let shop = Shop::open().await;
    let one = shop.start("").await.unwrap();
    one.caught_up().await;
    one.instance.ask(&server.url, true).await;
    one.undecided().await;
    let orders = shop.orders();
    server.kill().await;
    eventually("its absence is told", 60, async || {
        let view = one.instance.moving.status().await.ok()?.under_way?;
        let lag = one.group.status().lag_events.unwrap_or_default();
        (lag > 5 && view.phase == Phase::Following).then_some(())
    })
    .await;
    // Reads go on.
    assert!(!one.store.popular(5).await.unwrap().items.is_empty());
    server.restart().await;
    orders.end().await;
    one.instance.moving.decide(Decision::Switch).await.unwrap();
    let outcome = one.instance.ended().await;
    assert_eq!(outcome.ending, Ending::Switched, "{outcome:?}");
    shop.check(&one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_tells_what_differs_and_a_cancelled_move_leaves_everything() {
    let Some(server) = neo4j().await else { return };
    let (shop, url) = (Shop::open().await, graph(&server.url));
    let one = shop.start("").await.unwrap();
    one.caught_up().await;
    one.instance.ask(&url, true).await;
    one.undecided().await;
    let refused = shop.start(&url).await.err().unwrap().to_string();
    assert!(
        refused.starts_with(RECOMMENDATIONS_STORE) && refused.contains("has not ended"),
        "{refused}"
    );
    let before = shop.shelves(one.store.as_ref()).await;
    let shadow = async |wanted: fn(u64, u64) -> bool| {
        eventually("what was compared is told", 60, async || {
            let shadow = one.instance.moving.status().await.ok()?.under_way?.shadow;
            wanted(shadow.compared, shadow.different).then_some(shadow)
        })
        .await
    };
    let told = shadow(|compared, _| compared >= 20).await;
    assert_eq!(told.different, 0, "{told:?}");

    // Behind its back: the other store has an order more.
    let there = store::open_side(shop.home.environment(&url), Group::default())
        .await
        .unwrap()
        .store;
    let order = confirmed(None, "2026-03-28T12:00:00Z", &shop.goods[..2]);
    deliver(&*there.projection(), &[order]).await;
    one.store.popular(50).await.unwrap();
    let told = shadow(|_, different| different == 1).await;
    assert!(!told.differences.is_empty(), "{told:?}");

    one.instance.moving.decide(Decision::Cancel).await.unwrap();
    assert_eq!(one.instance.ended().await.ending, Ending::Cancelled);
    assert_eq!(shop.shelves(one.store.as_ref()).await, before);
    // What the move before has left there is thrown away.
    let outcome = one.instance.move_to(&url).await;
    assert_eq!(outcome.verified.len(), 4, "{outcome:?}");
    shop.check(&one).await;
}
