//! Moving carts between stores, under traffic, with instances killed at every step. Each test is run from PostgreSQL to Redis and
//! back.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use emporium_carts::model::{CartKey, CartKind};
use emporium_carts::store::{self, CartStore, Moment, Purchase, SetLine};
use emporium_moving::record::{Ending, Phase};
use emporium_moving::{Decision, MoveRequest};
use emporium_service_kit::stores::CARTS_STORE;
use emporium_service_kit::{Clock, ServiceName, StoreError};
use emporium_test_kit::eventually;
use emporium_test_kit::moving::{Home, Instance};
use emporium_test_kit::stores::{Durability, OwnStore, own_redis};
use futures::poll;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use time::Duration;
use uuid::Uuid;

type Carts = Instance<dyn CartStore>;

fn at() -> Moment {
    let now = Clock::System.now();
    Moment {
        now,
        expires_at: now + Duration::days(30),
    }
}

async fn home() -> Home {
    Home::new(ServiceName::Carts, CARTS_STORE).await
}

async fn redis() -> Option<OwnStore> {
    own_redis(Durability::Always).await
}

async fn start(home: &Home, url: &str) -> Carts {
    home.start(url, store::open_side).await.unwrap()
}

fn gated(instance: &Carts) -> Arc<dyn CartStore> {
    store::gated(&instance.moving)
}

/// A customer who shops without pause, and remembers what was acknowledged. One whose shop died goes on where that was, with the
/// same saga.
struct Customer {
    user: Uuid,
    visitor: Uuid,
    /// Rounds that were acknowledged as a whole.
    rounds: AtomicI64,
    /// What is acknowledged of the present one.
    at: Mutex<(Step, Uuid)>,
}

/// The last acknowledged write of a round.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Step {
    None,
    Filled,
    Merged,
    Bought,
}

/// Repeats a write until it is acknowledged.
macro_rules! until_done {
    ($call:expr) => {
        loop {
            match $call.await {
                Ok(done) => break done,
                Err(StoreError::Unavailable(_) | StoreError::Conflict(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
}

/// What each round leaves in the cart: the visitor's units less those that are bought.
const LEFT: u32 = 2;
/// A line takes what so many rounds leave.
const ROUNDS_A_PRODUCT: i64 = 490;

impl Customer {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            user: Uuid::new_v4(),
            visitor: Uuid::new_v4(),
            rounds: AtomicI64::new(0),
            at: Mutex::new((Step::None, Uuid::new_v4())),
        })
    }

    /// A visitor takes five, signs in, and buys three of them: each write is repeated until it is acknowledged, with the same
    /// saga, so that a purchase which counts twice or a merge that is lost would show.
    async fn round(&self, store: &dyn CartStore) {
        let visitor = CartKey {
            kind: CartKind::Anonymous,
            id: self.visitor,
        };
        let (step, saga_id) = *self.at.lock().unwrap();
        let product = self.product();
        if step < Step::Filled {
            let set = until_done!(store.set_line(visitor, product, 5, at()));
            assert_ne!(set, SetLine::Full);
            self.at.lock().unwrap().0 = Step::Filled;
        }
        if step < Step::Merged {
            until_done!(store.merge(self.user, self.visitor, at()));
            self.at.lock().unwrap().0 = Step::Merged;
        }
        let bought = Purchase {
            user_id: self.user,
            saga_id,
            quantities: [(product, 5 - LEFT)].into(),
            remembered_until: at().expires_at,
        };
        if step < Step::Bought {
            until_done!(store.take_purchase(&bought, at()));
            self.at.lock().unwrap().0 = Step::Bought;
        }
        // A repetition changes nothing, in whichever store the first one was.
        until_done!(store.take_purchase(&bought, at()));
        *self.at.lock().unwrap() = (Step::None, Uuid::new_v4());
        self.rounds.fetch_add(1, Ordering::SeqCst);
    }

    async fn run(&self, store: Arc<dyn CartStore>, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::SeqCst) {
            self.round(store.as_ref()).await;
        }
    }

    fn rounds(&self) -> i64 {
        self.rounds.load(Ordering::SeqCst)
    }

    /// What this round is about.
    fn product(&self) -> Uuid {
        Uuid::from_u64_pair(1, (self.rounds() / ROUNDS_A_PRODUCT).unsigned_abs())
    }

    /// Nothing lost, nothing doubled.
    async fn check(&self, store: &dyn CartStore) {
        let cart = store.find(CartKey::user(self.user), at().now).await.unwrap();
        let lines = cart.iter().flat_map(|cart| cart.lines.values());
        let found: i64 = lines.map(|line| i64::from(line.quantity)).sum();
        assert_eq!(found, self.rounds() * i64::from(LEFT));
    }
}

/// Customers who shop by an instance, until they are stopped.
struct Traffic {
    customers: Vec<Arc<Customer>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Traffic {
    fn begin(customers: &[Arc<Customer>], store: &Arc<dyn CartStore>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = customers
            .iter()
            .map(|customer| {
                let (customer, store, stop) = (customer.clone(), store.clone(), stop.clone());
                tokio::spawn(async move { customer.run(store, stop).await })
            })
            .collect();
        Self {
            customers: customers.to_vec(),
            tasks,
            stop,
        }
    }

    fn rounds(&self) -> i64 {
        self.customers.iter().map(|customer| customer.rounds()).sum()
    }

    /// Drops what is under way.
    async fn kill(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

fn customers() -> Vec<Arc<Customer>> {
    (0..4).map(|_| Customer::new()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_under_traffic_loses_and_doubles_nothing() {
    let Some(redis) = redis().await else { return };
    let home = home().await;
    let carts = start(&home, "").await;
    // A second instance, which does not know of the move but by the record.
    let other = start(&home, "").await;
    // Somebody whose cart nobody touches meanwhile.
    let quiet = Customer::new();
    quiet.round(gated(&carts).as_ref()).await;

    for to in [redis.url.as_str(), "", redis.url.as_str()] {
        let customers = customers();
        let (one, two) = customers.split_at(2);
        let traffic = [
            Traffic::begin(one, &gated(&carts)),
            Traffic::begin(two, &gated(&other)),
        ];
        let outcome = carts.move_to(to).await;
        assert!(outcome.copied > 0 && outcome.paused_ms < 10_000, "{outcome:?}");
        for traffic in traffic {
            let before = traffic.rounds();
            eventually("shopping goes on", 60, async || {
                (traffic.rounds() > before).then_some(())
            })
            .await;
            traffic.end().await;
        }
        for instance in [&carts, &other] {
            let store = gated(instance);
            quiet.check(store.as_ref()).await;
            for customer in &customers {
                customer.check(store.as_ref()).await;
            }
        }
        println!(
            "{} rounds; {outcome:?}",
            customers.iter().map(|one| one.rounds()).sum::<i64>()
        );
    }
}

/// Like a process that is stopped: its work is taken over and ends, and when it wakes up, it is in the middle of writing.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_stopped_while_it_copied_writes_nothing_later() {
    let Some(redis) = redis().await else { return };
    let home = home().await;
    let stopped = home.start_by_hand("", store::open_side).await.unwrap();
    let carts: Vec<CartKey> = (0..400).map(|_| CartKey::user(Uuid::new_v4())).collect();
    for key in &carts {
        gated(&stopped)
            .set_line(*key, Uuid::from_u128(1), 5, at())
            .await
            .unwrap();
    }
    stopped.ask(&redis.url, false).await;
    let there = store::open_side(home.environment(&redis.url)).await.unwrap();
    let copied = there.copied.unwrap().records;
    let mut working = loop {
        stopped.moving.look().await.unwrap();
        let mut step = Box::pin(stopped.moving.step());
        let is_caught = loop {
            match poll!(&mut step) {
                Poll::Ready(_) => break false,
                Poll::Pending => tokio::task::yield_now().await,
            }
            let some = copied.keys(None, 1_000).await.unwrap().keys.len();
            if some > 0 && some < carts.len() / 2 {
                break true;
            }
        };
        if is_caught {
            break step;
        }
    };

    let next = start(&home, "").await;
    assert_eq!(next.ended().await.ending, Ending::Switched);
    for key in &carts {
        gated(&next).clear(*key, at()).await.unwrap();
    }
    // It wakes up, and reads the record sooner than it goes on.
    stopped.moving.look().await.unwrap();
    working.as_mut().await.unwrap_err();
    for key in &carts {
        let found = gated(&next).find(*key, at().now).await.unwrap();
        assert!(found.is_none_or(|cart| cart.lines.is_empty()), "it was cleared");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_at_any_step_is_followed_by_another() {
    let Some(redis) = redis().await else { return };
    let (home, customer) = (home().await, Customer::new());
    let (mut from, mut to) = (String::new(), redis.url.clone());
    for steps in 1.. {
        let dying = home.start_by_hand(&from, store::open_side).await.unwrap();
        customer.round(gated(&dying).as_ref()).await;
        dying.ask(&to, false).await;
        let ended = dying.work(steps).await;
        drop(dying);
        // The setting may name either store by now: the one that holds is the one that starts.
        let next = match home.start(&from, store::open_side).await {
            Ok(next) => next,
            Err(_) => start(&home, &to).await,
        };
        customer.round(gated(&next).as_ref()).await;
        assert_eq!(
            next.ended().await.ending,
            Ending::Switched,
            "killed after {steps} steps"
        );
        customer.check(gated(&next).as_ref()).await;
        let refused = home
            .start(&from, store::open_side)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(refused.contains("was moved from"), "{refused}");
        std::mem::swap(&mut from, &mut to);
        if ended {
            println!("a move is {steps} steps at most");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_die_at_any_moment_lose_and_double_nothing() {
    let Some(redis) = redis().await else { return };
    let mut random = StdRng::seed_from_u64(emporium_test_kit::seed());
    let home = home().await;
    let (mut from, mut to) = (String::new(), redis.url.clone());
    for _ in 0..4 {
        let customers = customers();
        let mut deaths = 0;
        // Ever longer lives: in the end one is long enough.
        for life_max in (1..).map(|n| n * 1_000) {
            let Ok(instance) = home.start(&from, store::open_side).await else {
                break;
            };
            let traffic = Traffic::begin(&customers, &gated(&instance));
            // Joins the one that is under way.
            instance.ask(&to, false).await;
            let life = std::time::Duration::from_millis(random.random_range(0..life_max));
            let ended = tokio::time::timeout(life, instance.ended()).await;
            // Nobody is answered by a killed process.
            traffic.kill().await;
            drop(instance);
            deaths += u32::from(ended.is_err());
        }
        let last = start(&home, &to).await;
        for customer in &customers {
            customer.round(gated(&last).as_ref()).await;
            customer.check(gated(&last).as_ref()).await;
        }
        println!("moved after {deaths} deaths");
        std::mem::swap(&mut from, &mut to);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_killed_in_the_middle_is_filled_when_it_is_back() {
    let Some(redis) = redis().await else { return };
    let (home, customers) = (home().await, customers());
    let carts = start(&home, "").await;
    let store = gated(&carts);
    for customer in &customers {
        customer.round(store.as_ref()).await;
    }
    let traffic = Traffic::begin(&customers, &store);
    carts.ask(&redis.url, true).await;
    eventually("it has copied", 60, async || {
        let view = carts.moving.status().await.ok()?.under_way?;
        (view.copied > 0).then_some(())
    })
    .await;
    redis.kill().await;
    let before = traffic.rounds();
    eventually("shopping goes on without the target", 60, async || {
        (traffic.rounds() > before + 10).then_some(())
    })
    .await;
    eventually("the trouble is told", 60, async || {
        let view = carts.moving.status().await.ok()?.under_way?;
        (!view.trouble.is_empty()).then_some(())
    })
    .await;
    redis.restart().await;
    carts.moving.decide(Decision::Switch).await.unwrap();
    assert_eq!(carts.ended().await.ending, Ending::Switched);
    traffic.end().await;
    for customer in &customers {
        customer.check(store.as_ref()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_move_leaves_everything_where_it_was() {
    let Some(redis) = redis().await else { return };
    let (home, customer) = (home().await, Customer::new());
    let carts = start(&home, "").await;
    customer.round(gated(&carts).as_ref()).await;
    carts.ask(&redis.url, true).await;
    undecided(&carts).await;
    let refused = home
        .start(&redis.url, store::open_side)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.starts_with(CARTS_STORE) && refused.contains("has not ended"),
        "{refused}"
    );
    carts.moving.decide(Decision::Cancel).await.unwrap();
    assert_eq!(carts.ended().await.ending, Ending::Cancelled);
    customer.round(gated(&carts).as_ref()).await;
    customer.check(gated(&carts).as_ref()).await;
    // It was emptied, so it may be moved to again.
    let outcome = carts.move_to(&redis.url).await;
    assert_eq!(outcome.verified.len(), 2, "{outcome:?}");
    customer.check(gated(&carts).as_ref()).await;
}

async fn undecided(carts: &Carts) {
    eventually("it waits for the operator", 60, async || {
        let view = carts.moving.status().await.ok()?.under_way?;
        (view.phase == Phase::Following && view.undecided && view.marked == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_data_is_not_thrown_away_unasked() {
    let Some(redis) = redis().await else { return };
    let (home, elsewhere) = (home().await, self::home().await);
    let (mine, theirs) = (Customer::new(), Customer::new());
    let carts = start(&home, "").await;
    mine.round(gated(&carts).as_ref()).await;
    let others = start(&elsewhere, &redis.url).await;
    theirs.round(gated(&others).as_ref()).await;
    let mut request = MoveRequest {
        to: redis.url.clone(),
        shadow: false,
        overwrite: false,
    };
    let refused = carts.moving.ask(&request).await.unwrap_err().document();
    assert_eq!(refused.code, "not-empty", "{refused:?}");
    theirs.check(gated(&others).as_ref()).await;
    drop(others);
    request.overwrite = true;
    carts.moving.ask(&request).await.unwrap();
    assert_eq!(carts.ended().await.ending, Ending::Switched);
    mine.check(gated(&carts).as_ref()).await;
    let gone = gated(&carts)
        .find(CartKey::user(theirs.user), at().now)
        .await
        .unwrap();
    assert_eq!(gone, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_tells_what_differs() {
    let Some(redis) = redis().await else { return };
    let (home, customer) = (home().await, Customer::new());
    let carts = start(&home, "").await;
    let store = gated(&carts);
    customer.round(store.as_ref()).await;
    carts.ask(&redis.url, true).await;
    undecided(&carts).await;
    customer.check(store.as_ref()).await;
    let shadow = async |wanted: fn(u64, u64) -> bool| {
        eventually("what was compared is told", 60, async || {
            let shadow = carts.moving.status().await.ok()?.under_way?.shadow;
            wanted(shadow.compared, shadow.different).then_some(shadow)
        })
        .await
    };
    shadow(|compared, different| compared == 1 && different == 0).await;

    // Behind its back: the other store has something else. The test's own store of the same namespace writes it.
    let there = store::open_side(home.environment(&redis.url))
        .await
        .unwrap()
        .store;
    let key = CartKey::user(customer.user);
    there.set_line(key, customer.product(), 77, at()).await.unwrap();
    customer.check(store.as_ref()).await;
    let told = shadow(|_, different| different == 1).await;
    assert!(told.differences[0].contains("77"), "{told:?}");

    // The switch finds it too, copies once more, and is right.
    carts.moving.decide(Decision::Switch).await.unwrap();
    let outcome = carts.ended().await;
    assert_eq!((outcome.ending, outcome.shadow.different), (Ending::Switched, 1));
    customer.check(store.as_ref()).await;
}
