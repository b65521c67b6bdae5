//! Moving figures and activity between PostgreSQL and ClickHouse, while orders and visitors come in.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use emporium_analytics::OWNERS;
use emporium_analytics::model::{Activity, By, What};
use emporium_analytics::store::{self, AnalyticsStore, Group, PROJECTION};
use emporium_event_bus::{Bus, CloudEvent, ConsumerGroup};
use emporium_moving::record::{Ending, Phase};
use emporium_moving::{Decision, MoveRequest};
use emporium_service_kit::days::Days;
use emporium_service_kit::stores::ANALYTICS_STORE;
use emporium_service_kit::{Clock, Currency, Environment, ServiceName, StartError, StoreError};
use emporium_test_kit::moving::{Home, Instance, documented_recovery, pace};
use emporium_test_kit::projection::deliver;
use emporium_test_kit::stores::{OwnStore, own_clickhouse};
use emporium_test_kit::{Owners, eventually};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use support::{confirmed, product};
use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, OffsetDateTime};
use tokio::task::JoinHandle;
use uuid::{Builder, Uuid};

const UNBOUNDED: i64 = 1_000_000;
const VISITORS: usize = 40;

/// The owners of events, and the gateway, which tells of visitors.
struct Shop {
    home: Home,
    bus: Arc<dyn Bus>,
    owners: Owners,
    goods: Vec<Uuid>,
    customers: Vec<Uuid>,
    visitors: Vec<Uuid>,
    events: Mutex<Vec<CloudEvent>>,
    /// Acknowledged.
    activity: Mutex<Vec<Activity>>,
    rng: Mutex<StdRng>,
}

fn now() -> OffsetDateTime {
    Clock::System.now()
}

fn id_at(at: OffsetDateTime) -> Uuid {
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
    let random: [u8; 10] = Uuid::new_v4().into_bytes()[..10].try_into().unwrap();
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Yesterday and today.
fn recent() -> Days {
    let to = now().date();
    Days {
        from: to - Duration::days(2),
        to,
    }
}

impl Shop {
    async fn open() -> Arc<Self> {
        let owners = Owners::start(&OWNERS).await;
        let home = Home::new(ServiceName::Analytics, ANALYTICS_STORE).await;
        let home = home.with_peers(owners.peers());
        let shop = Self {
            bus: emporium_event_bus::open(&home.environment("")).await.unwrap(),
            home,
            owners,
            goods: (0..8).map(|_| Uuid::now_v7()).collect(),
            customers: (0..10).map(|_| Uuid::now_v7()).collect(),
            visitors: (0..VISITORS).map(|_| Uuid::new_v4()).collect(),
            events: Mutex::default(),
            activity: Mutex::default(),
            rng: Mutex::new(StdRng::seed_from_u64(emporium_test_kit::seed())),
        };
        let products: Vec<CloudEvent> = shop.goods.iter().map(|good| product(*good, "lamps", 1)).collect();
        shop.publish(&products).await;
        for _ in 0..40 {
            shop.order().await;
        }
        Arc::new(shop)
    }

    async fn publish(&self, events: &[CloudEvent]) {
        self.owners.write(events);
        self.events.lock().unwrap().extend_from_slice(events);
        self.bus.append(events).await.unwrap();
    }

    async fn order(&self) {
        let event = {
            let mut rng = self.rng.lock().unwrap();
            let at = (now() - Duration::hours(rng.random_range(0..40)))
                .format(&Rfc3339)
                .unwrap();
            let good = *self.goods.choose(&mut *rng).unwrap();
            let customer = self.customers.choose(&mut *rng).copied();
            let amount = rng.random_range(100..9_000);
            confirmed(Uuid::now_v7(), customer, &at, "GB", good, amount)
        };
        self.publish(&[event]).await;
    }

    /// What visitors did, of yesterday and today. Each is one customer at most, as in truth.
    fn batch(&self) -> Vec<Activity> {
        let mut rng = self.rng.lock().unwrap();
        let count = rng.random_range(1..20);
        (0..count)
            .map(|_| {
                let at = now() - Duration::minutes(rng.random_range(0..2_000));
                let visitor = rng.random_range(0..VISITORS);
                let product_id = *self.goods.choose(&mut *rng).unwrap();
                let what = match rng.random_range(0..5) {
                    0 => What::View { product_id },
                    1 => What::Cart {
                        product_id,
                        quantity: rng.random_range(0..3),
                    },
                    2 => What::Checkout,
                    _ => What::Search {
                        query: format!("Lost: \u{fc}ber {}\\'", rng.random_range(0..9)),
                        results: rng.random_range(0..2),
                    },
                };
                Activity {
                    id: id_at(at),
                    visitor_id: self.visitors[visitor],
                    customer_id: self.customers.get(visitor).copied(),
                    what,
                }
            })
            .collect()
    }

    /// A batch, sent until it is acknowledged, and once more.
    async fn visit(&self, store: &dyn AnalyticsStore) {
        let batch = self.batch();
        for turn in 0..2 {
            loop {
                match store.record(&batch, UNBOUNDED).await {
                    Ok(recorded) => {
                        assert_eq!(recorded.recorded + recorded.repeated, batch.len());
                        assert!(
                            turn == 0 || recorded.recorded == 0,
                            "it counts twice: {recorded:?}"
                        );
                        break;
                    }
                    Err(StoreError::Unavailable(_) | StoreError::Conflict(_)) => {
                        tokio::task::yield_now().await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        self.activity.lock().unwrap().extend(batch);
    }

    /// Orders, and visitors by these instances, until they are stopped.
    fn traffic(self: &Arc<Self>, instances: &[&Running]) -> Traffic {
        let stop = Arc::new(AtomicBool::new(false));
        let (shop, stopped) = (self.clone(), stop.clone());
        let mut tasks = vec![tokio::spawn(async move {
            let mut pace = pace();
            while !stopped.load(Ordering::SeqCst) {
                pace.tick().await;
                shop.order().await;
            }
        })];
        for instance in instances {
            let (shop, stopped, store) = (self.clone(), stop.clone(), instance.store.clone());
            tasks.push(tokio::spawn(async move {
                let mut pace = pace();
                while !stopped.load(Ordering::SeqCst) {
                    pace.tick().await;
                    shop.visit(store.as_ref()).await;
                }
            }));
        }
        Traffic { stop, tasks }
    }

    /// What a store says that was never moved and has had all events from the bus, and all activity.
    async fn expected(&self, closed_before: Option<Date>) -> String {
        let elsewhere = Home::new(ServiceName::Analytics, ANALYTICS_STORE).await;
        let side = store::open_side(elsewhere.environment(""), Group::default())
            .await
            .unwrap();
        let events = self.events.lock().unwrap().clone();
        let activity = self.activity.lock().unwrap().clone();
        deliver(&*side.store.projection(), &events).await;
        for batch in activity.chunks(500) {
            side.store.record(batch, UNBOUNDED).await.unwrap();
        }
        if let Some(before) = closed_before {
            close(side.store.as_ref(), before).await;
        }
        figures(side.store.as_ref()).await
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
        Ok(Running {
            consumer: consuming(&group, &environment),
            instance,
            store,
            group,
        })
    }

    async fn check(&self, running: &Running, closed_before: Option<Date>) {
        running.caught_up().await;
        assert_eq!(
            figures(running.store.as_ref()).await,
            self.expected(closed_before).await
        );
        // Each id is known wherever it was first.
        let all = self.activity.lock().unwrap().clone();
        let open = all.iter().filter(|one| {
            let day = one.moment().unwrap().date();
            closed_before.is_none_or(|before| day >= before)
        });
        let open: Vec<Activity> = open.take(500).cloned().collect();
        let again = running.store.record(&open, UNBOUNDED).await.unwrap();
        assert_eq!((again.recorded, again.repeated), (0, open.len()));
    }
}

/// Everything that can be asked, as text.
async fn figures(store: &dyn AnalyticsStore) -> String {
    let (days, gbp) = (recent(), Currency::GBP);
    let funnel = store.funnel(days).await.unwrap();
    let searches = store.empty_searches(days, 50).await.unwrap();
    let revenue = store.revenue(days, gbp, By::Category, 50).await.unwrap();
    let baskets = store.baskets(days, gbp).await.unwrap();
    let (repeat, totals) = (
        store.repeat(days).await.unwrap(),
        store.totals(days).await.unwrap(),
    );
    format!("{funnel:#?}\n{searches:#?}\n{revenue:#?}\n{baskets:#?}\n{repeat:#?}\n{totals:#?}")
}

async fn close(store: &dyn AnalyticsStore, before: Date) {
    while store.close_days(before, 7).await.unwrap() > 0 {}
}

struct Traffic {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Traffic {
    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

struct Running {
    instance: Instance<dyn AnalyticsStore>,
    store: Arc<dyn AnalyticsStore>,
    group: Arc<ConsumerGroup>,
    consumer: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.consumer.abort();
    }
}

/// It ends while a store is away, and is started again, as by the program.
fn consuming(group: &Arc<ConsumerGroup>, environment: &Environment) -> JoinHandle<()> {
    let consume = group.task(environment);
    tokio::spawn(async move {
        while consume().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
}

impl Running {
    async fn caught_up(&self) {
        let end = self.group.bus_end().await.unwrap();
        eventually("all events are applied", 60, async || {
            self.group.has_reached(end).await.ok()?.then_some(())
        })
        .await;
    }

    async fn undecided(&self) {
        eventually("it waits for the operator", 90, async || {
            let view = self.instance.moving.status().await.ok()?.under_way?;
            (view.phase == Phase::Following && view.undecided && view.marked == 0).then_some(())
        })
        .await;
    }
}

async fn clickhouse() -> Option<OwnStore> {
    own_clickhouse().await
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_while_orders_and_visitors_come_in() {
    let Some(server) = clickhouse().await else { return };
    let shop = Shop::open().await;
    let one = shop.start("").await.unwrap();
    let other = shop.start("").await.unwrap();
    one.caught_up().await;
    for _ in 0..20 {
        shop.visit(one.store.as_ref()).await;
    }
    for to in [server.url.as_str(), "", server.url.as_str()] {
        let traffic = shop.traffic(&[&one, &other]);
        let outcome = one.instance.move_to(to).await;
        assert!(outcome.copied > 100, "{outcome:?}");
        // Four kinds of records and eight tables.
        assert_eq!(outcome.verified.len(), 12, "{outcome:?}");
        shop.visit(one.store.as_ref()).await;
        shop.visit(other.store.as_ref()).await;
        traffic.end().await;
        shop.check(&one, None).await;
        shop.check(&other, None).await;
        let activities = shop.activity.lock().unwrap().len();
        println!("{activities} activities; {outcome:?}");
    }
}

/// Days are closed before a move, while one is under way, and after it.
#[tokio::test(flavor = "multi_thread")]
async fn closed_days_are_moved_and_days_may_close_meanwhile() {
    let Some(server) = clickhouse().await else { return };
    let shop = Shop::open().await;
    let one = shop.start("").await.unwrap();
    for _ in 0..30 {
        shop.visit(one.store.as_ref()).await;
    }
    one.caught_up().await;
    let (mut here, mut there) = (String::new(), server.url.clone());
    // Of the day before yesterday, if it has any, and of yesterday.
    for before in [now().date() - Duration::DAY, now().date()] {
        one.instance.ask(&there, true).await;
        one.undecided().await;
        // It is closed in the middle, and only begun to be removed.
        one.store.close_days(before, 3).await.unwrap();
        one.instance.moving.decide(Decision::Switch).await.unwrap();
        let outcome = one.instance.ended().await;
        assert_eq!(
            (outcome.ending, outcome.reasons.len()),
            (Ending::Switched, 0),
            "{outcome:?}"
        );
        close(one.store.as_ref(), before).await;
        shop.check(&one, Some(before)).await;
        std::mem::swap(&mut here, &mut there);
    }
    let outcome = one.instance.move_to(&there).await;
    let closed = outcome.verified.iter().find(|one| one.name == "day").unwrap();
    assert!(closed.rows > 0, "{outcome:?}");
    shop.check(&one, Some(now().date())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_at_any_step_is_followed_by_another() {
    let Some(server) = clickhouse().await else { return };
    let shop = Shop::open().await;
    let (mut from, mut to) = (String::new(), server.url.clone());
    for steps in 1.. {
        let dying = shop.run(&from, true).await.unwrap();
        dying.caught_up().await;
        shop.visit(dying.store.as_ref()).await;
        dying.instance.ask(&to, false).await;
        let ended = dying.instance.work(steps).await;
        drop(dying);
        shop.order().await;
        // The setting may name either store by now: the one that holds is the one that starts.
        let next = match shop.start(&from).await {
            Ok(next) => next,
            Err(_) => shop.start(&to).await.unwrap(),
        };
        shop.visit(next.store.as_ref()).await;
        assert_eq!(
            next.instance.ended().await.ending,
            Ending::Switched,
            "after {steps} steps"
        );
        shop.check(&next, None).await;
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
    let Some(server) = clickhouse().await else { return };
    let shop = Shop::open().await;
    let one = shop.start("").await.unwrap();
    one.caught_up().await;
    one.instance.ask(&server.url, true).await;
    one.undecided().await;
    let traffic = shop.traffic(&[&one]);
    server.kill().await;
    let before = shop.activity.lock().unwrap().len();
    eventually("visitors are counted without the target", 60, async || {
        (shop.activity.lock().unwrap().len() > before + 100).then_some(())
    })
    .await;
    server.restart().await;
    one.instance.moving.decide(Decision::Switch).await.unwrap();
    let outcome = one.instance.ended().await;
    assert_eq!(outcome.ending, Ending::Switched, "{outcome:?}");
    traffic.end().await;
    shop.check(&one, None).await;
}

/// An event that has reached the store that serves, and not the other one, when writes begin to wait: it comes again.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_broken_off_is_waited_for() {
    let Some(server) = clickhouse().await else { return };
    let shop = Shop::open().await;
    let mut one = shop.start("").await.unwrap();
    one.caught_up().await;
    shop.visit(one.store.as_ref()).await;
    one.instance.ask(&server.url, true).await;
    one.undecided().await;
    let view = async || one.instance.moving.status().await.unwrap().under_way.unwrap();
    let copied = view().await.copied;
    one.consumer.abort();
    assert!((&mut one.consumer).await.unwrap_err().is_cancelled());
    shop.order().await;
    let event = shop.events.lock().unwrap().last().unwrap().clone();
    server.kill().await;
    let applied = one.store.projection().apply(&[&event]).await;
    assert!(applied.is_err(), "the other store is away");
    server.restart().await;

    one.instance.moving.decide(Decision::Switch).await.unwrap();
    eventually("the stores differ", 60, async || {
        let view = one.instance.moving.status().await.ok()?.under_way?;
        (!view.differences.is_empty()).then_some(())
    })
    .await;
    one.consumer = consuming(&one.group, &shop.home.environment(""));
    let outcome = one.instance.ended().await;
    // Nothing was copied again.
    assert_eq!(
        (outcome.ending, outcome.copied),
        (Ending::Switched, copied),
        "{outcome:?}"
    );
    shop.check(&one, None).await;
}

/// When the store that serves is lost, and everybody is sure.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_book_says_makes_a_store_serve_that_was_left() {
    let Some(server) = clickhouse().await else { return };
    let shop = Shop::open().await;
    let recovery = |store| documented_recovery(store, ServiceName::Analytics);
    let one = shop.start("").await.unwrap();
    one.caught_up().await;
    one.instance.move_to(&server.url).await;
    drop(one);
    assert!(shop.start("").await.is_err());
    let environment = shop.home.environment("");
    let setting = environment.stores.setting(ANALYTICS_STORE);
    let db = setting.postgres(&environment).await.unwrap();
    let statement = sqlx::AssertSqlSafe(recovery("PostgreSQL"));
    sqlx::query(statement).execute(&db).await.unwrap();

    let one = shop.start("").await.unwrap();
    one.caught_up().await;
    let request = MoveRequest {
        to: server.url.clone(),
        shadow: false,
        overwrite: true,
    };
    one.instance.moving.ask(&request).await.unwrap();
    assert_eq!(one.instance.ended().await.ending, Ending::Switched);
    one.instance.move_to("").await;
    drop(one);
    assert!(shop.start(&server.url).await.is_err());
    let name = server.url.trim_start_matches("clickhouse://");
    let (host, database) = name.split_once('/').unwrap_or((name, "default"));
    clickhouse::Client::default()
        .with_url(format!("http://{}", host.trim_start_matches("default@")))
        .with_database(database)
        .query_raw(&recovery("ClickHouse"))
        .execute()
        .await
        .unwrap();
    shop.start(&server.url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_tells_what_differs_and_a_cancelled_move_leaves_everything() {
    let Some(server) = clickhouse().await else { return };
    let shop = Shop::open().await;
    let one = shop.start("").await.unwrap();
    one.caught_up().await;
    shop.visit(one.store.as_ref()).await;
    one.instance.ask(&server.url, true).await;
    one.undecided().await;
    let refused = shop.start(&server.url).await.err().unwrap().to_string();
    assert!(
        refused.starts_with(ANALYTICS_STORE) && refused.contains("has not ended"),
        "{refused}"
    );
    let before = figures(one.store.as_ref()).await;
    let shadow = async |wanted: fn(u64, u64) -> bool| {
        eventually("what was compared is told", 60, async || {
            let shadow = one.instance.moving.status().await.ok()?.under_way?.shadow;
            wanted(shadow.compared, shadow.different).then_some(shadow)
        })
        .await
    };
    let told = shadow(|compared, _| compared >= 6).await;
    assert_eq!(told.different, 0, "{told:?}");

    // Behind its back: the other store counts a visitor more.
    let side = store::open_side(shop.home.environment(&server.url), Group::default())
        .await
        .unwrap();
    let visit = Activity {
        id: id_at(now()),
        visitor_id: Uuid::new_v4(),
        customer_id: None,
        what: What::Checkout,
    };
    side.store.record(&[visit], UNBOUNDED).await.unwrap();
    one.store.funnel(recent()).await.unwrap();
    let told = shadow(|_, different| different == 1).await;
    assert!(!told.differences.is_empty(), "{told:?}");

    one.instance.moving.decide(Decision::Cancel).await.unwrap();
    assert_eq!(one.instance.ended().await.ending, Ending::Cancelled);
    assert_eq!(figures(one.store.as_ref()).await, before);
    one.instance.move_to(&server.url).await;
    shop.check(&one, None).await;
}
