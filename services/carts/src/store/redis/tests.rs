//! Redis for the contract suite, and what is Redis's own: scripts that may come twice, merges that stop half-way, expiry.

use std::sync::Arc;

use ::redis::cmd;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::redis::Invocation;
use emporium_service_kit::{Clock, Redis, ServiceName};
use emporium_test_kit::stores::{self, Durability};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::merge::{Applied, Frozen, Settled};
use super::record::{MergeMark, Reply};
use super::{RedisCarts, scripts};
use crate::model::{CartKey, CartKind};
use crate::store::contract::outages::Own;
use crate::store::{Capability, CartStore, Moment, Purchase, SetLine};

const TTL: Duration = Duration::days(30);

/// Carts below a name of their own.
async fn on(url: &str) -> RedisCarts {
    let redis = Redis::connect(url, Metrics::new(ServiceName::Carts))
        .await
        .unwrap();
    RedisCarts::open(redis, &format!("carts-{}", Uuid::new_v4()))
        .await
        .unwrap()
}

pub async fn fresh() -> Option<Arc<dyn CartStore>> {
    Some(Arc::new(on(&stores::redis().await?.url).await))
}

pub async fn fresh_in_cluster() -> Option<Arc<dyn CartStore>> {
    let store = on(&stores::redis_cluster().await?.url).await;
    assert!(store.redis.is_cluster());
    Some(Arc::new(store))
}

pub async fn own() -> Option<Own> {
    let server = stores::own_redis(Durability::Always).await?;
    let store = on(&server.url).await;
    assert_eq!(store.lacks(), [], "it keeps all that it acknowledges");
    let (store, server) = (Arc::new(store), Box::new(server));
    Some(Own { store, server })
}

pub async fn own_cluster() -> Option<Own> {
    let server = stores::own_redis_cluster().await?;
    let mut set = cmd("CONFIG");
    set.arg("SET").arg("appendfsync").arg("always");
    // On every node.
    let () = on(&server.url)
        .await
        .redis
        .command("CONFIG SET", &set)
        .await
        .unwrap();
    let store = on(&server.url).await;
    assert_eq!(store.lacks(), [], "it keeps all that it acknowledges");
    let (store, server) = (Arc::new(store), Box::new(server));
    Some(Own { store, server })
}

/// The single server and the cluster, as far as they are to be had.
async fn each() -> Vec<RedisCarts> {
    let mut all = Vec::new();
    if let Some(server) = stores::redis().await {
        all.push(on(&server.url).await);
    }
    if let Some(cluster) = stores::redis_cluster().await {
        all.push(on(&cluster.url).await);
    }
    all
}

fn at(now: OffsetDateTime) -> Moment {
    let expires_at = now + TTL;
    Moment { now, expires_at }
}

fn present() -> Moment {
    at(Clock::System.now())
}

fn visitor() -> CartKey {
    let (kind, id) = (CartKind::Anonymous, Uuid::new_v4());
    CartKey { kind, id }
}

fn customer() -> CartKey {
    CartKey::user(Uuid::new_v4())
}

async fn put(store: &RedisCarts, key: CartKey, product: Uuid, quantity: u16, at: Moment) {
    let set = store.set_line(key, product, quantity, at).await.unwrap();
    assert!(matches!(set, SetLine::Done(_)));
}

/// Units of a product in a cart; `None` without a cart.
async fn units(store: &RedisCarts, key: CartKey, product: Uuid, at: Moment) -> Option<u16> {
    let cart = store.find(key, at.now).await.unwrap()?;
    Some(cart.lines.get(&product).map_or(0, |line| line.quantity))
}

/// Does the first step of a merge and stops.
async fn frozen_by(store: &RedisCarts, user: CartKey, visitor: CartKey, attempt: &str, at: Moment) -> Frozen {
    let frozen = store
        .freeze(user.id, visitor.id, attempt, at, &Settled::default())
        .await;
    frozen.unwrap().expect("there is something to merge")
}

/// Does the first two steps of a merge and stops.
async fn applied(store: &RedisCarts, user: CartKey, visitor: CartKey, at: Moment) -> MergeMark {
    let attempt = Uuid::new_v4().to_string();
    let frozen = frozen_by(store, user, visitor, &attempt, at).await;
    let applied = store.apply(&frozen, &attempt, at).await.unwrap();
    assert!(matches!(applied, Applied::Yes(Some(_), _)));
    frozen.merge
}

async fn twice(store: &RedisCarts, call: Invocation<'_>) -> Reply {
    let first: Reply = store.redis.run(&call).await.unwrap();
    let second: Reply = store.redis.run(&call).await.unwrap();
    assert_eq!(first, second, "{call:?}");
    second
}

/// The kit sends a call once more when its connection was lost; the first one may have been done.
#[tokio::test]
async fn calls_that_come_twice_count_once() {
    for store in each().await {
        let (key, product, at, none) = (customer(), Uuid::new_v4(), present(), Settled::default());
        let revision = |reply: Reply| reply.live(at.now).unwrap().cart.revision;
        let set = twice(&store, store.set_line_call(key, product, 5, at, &none)).await;
        assert_eq!(revision(set), 1);
        let set = twice(&store, store.set_line_call(key, product, 6, at, &none)).await;
        assert_eq!(revision(set), 2);
        let bought = Purchase {
            user_id: key.id,
            saga_id: Uuid::new_v4(),
            quantities: [(product, 2)].into(),
            remembered_until: at.expires_at,
        };
        let taken = twice(&store, store.take_purchase_call(&bought, at)).await;
        assert_eq!(revision(taken), 3);
        assert_eq!(units(&store, key, product, at).await, Some(4));
        let removed = twice(&store, store.remove_line_call(key, product, at, &none)).await;
        assert_eq!(revision(removed), 4);
        put(&store, key, product, 1, at).await;
        let cleared = twice(&store, store.writing(&scripts::CLEAR, key, at, &none)).await;
        assert_eq!(revision(cleared), 6);
    }
}

#[tokio::test]
async fn steps_of_a_merge_that_come_twice_count_once() {
    for store in each().await {
        let (user, visitor, product, at) = (customer(), visitor(), Uuid::new_v4(), present());
        put(&store, visitor, product, 600, at).await;
        put(&store, user, product, 600, at).await;
        let attempt = Uuid::new_v4().to_string();
        let freeze = store.freeze_call(user.id, visitor.id, &attempt, at, &Settled::default());
        twice(&store, freeze).await;
        let frozen = frozen_by(&store, user, visitor, &attempt, at).await;
        let own = store.find(user, at.now).await.unwrap();
        let (apply, dropped) = store.apply_call(&frozen, &attempt, at, own.as_ref());
        let first: (String, Reply) = store.redis.run(&apply).await.unwrap();
        let second: (String, Reply) = store.redis.run(&apply).await.unwrap();
        assert_eq!(first, second);
        assert_eq!((first.0.as_str(), dropped[0].quantity), (attempt.as_str(), 201));
        assert_eq!(units(&store, user, product, at).await, Some(999));
        let settled = store.settle(&frozen.merge, at.expires_at, at.now).await.unwrap();
        assert!(settled.applied, "too late to cancel");
        for _ in 0..2 {
            store.finish(visitor.id, &frozen.merge.id).await.unwrap();
        }
        put(&store, visitor, product, 1, at).await;
        store.finish(visitor.id, &frozen.merge.id).await.unwrap();
        assert_eq!(units(&store, visitor, product, at).await, Some(1), "another cart");
        // The first step, delayed on its way, comes when all is over.
        let late = frozen_by(&store, user, visitor, &attempt, at).await;
        assert_ne!(
            late.merge.id, frozen.merge.id,
            "or the new cart would count as merged"
        );
        store.merge(user.id, visitor.id, at).await.unwrap();
        assert_eq!(units(&store, visitor, product, at).await, None);
    }
}

/// The process ends after a step of the merge; whoever comes next goes on. Each line is in one cart at every moment.
#[tokio::test]
async fn a_merge_goes_on_where_it_stopped() {
    for store in each().await {
        let (product, at) = (Uuid::new_v4(), present());
        for steps in 0..=2 {
            for other_customer in [false, true] {
                let (user, visitor) = (customer(), visitor());
                put(&store, visitor, product, 3, at).await;
                if steps == 1 {
                    frozen_by(&store, user, visitor, "crashed", at).await;
                } else if steps == 2 {
                    applied(&store, user, visitor, at).await;
                }
                let seen = if steps < 2 {
                    (Some(3), None)
                } else {
                    (None, Some(3))
                };
                let carts = (
                    units(&store, visitor, product, at).await,
                    units(&store, user, product, at).await,
                );
                assert_eq!(carts, seen, "after {steps} steps");
                let next = if other_customer { customer() } else { user };
                for _ in 0..2 {
                    store.merge(next.id, visitor.id, at).await.unwrap();
                }
                let owner = if steps == 0 { next } else { user };
                assert_eq!(
                    units(&store, owner, product, at).await,
                    Some(3),
                    "after {steps} steps"
                );
                if next != owner {
                    assert_eq!(units(&store, next, product, at).await, None);
                }
                assert_eq!(store.read(visitor, at.now).await.unwrap(), None, "tidied up");
            }
        }
    }
}

/// A write to a frozen cart cancels the merge and keeps the lines, unless the merge has happened.
#[tokio::test]
async fn a_visitor_who_writes_does_not_wait() {
    for store in each().await {
        let (old, new, at) = (Uuid::new_v4(), Uuid::new_v4(), present());
        for verb in ["set", "remove", "clear"] {
            for is_applied in [false, true] {
                let (user, visitor) = (customer(), visitor());
                put(&store, visitor, old, 3, at).await;
                let attempt = Uuid::new_v4().to_string();
                let stopped = frozen_by(&store, user, visitor, &attempt, at).await;
                if is_applied {
                    store.apply(&stopped, &attempt, at).await.unwrap();
                }
                match verb {
                    "set" => put(&store, visitor, new, 1, at).await,
                    "remove" => drop(store.remove_line(visitor, new, at).await.unwrap()),
                    _ => store.clear(visitor, at).await.unwrap(),
                }
                let cart = store.read(visitor, at.now).await.unwrap();
                assert!(
                    cart.as_ref().is_none_or(|record| record.merge.is_none()),
                    "thawed or gone"
                );
                let left = cart.map(|record| record.cart.lines.contains_key(&old));
                let expected = match (verb, is_applied) {
                    ("set", true) | ("clear", false) => Some(false),
                    (_, true) => None,
                    (_, false) => Some(true),
                };
                assert_eq!(left, expected, "{verb}, {is_applied}");
                if !is_applied {
                    let late = store.apply(&stopped, &attempt, at).await.unwrap();
                    assert!(matches!(late, Applied::Cancelled), "the first receipt stands");
                }
                store.merge(user.id, visitor.id, at).await.unwrap();
                let arrived = units(&store, user, old, at).await.unwrap_or(0);
                assert_eq!(
                    arrived,
                    if verb == "clear" && !is_applied { 0 } else { 3 },
                    "{verb}, {is_applied}"
                );
            }
        }
    }
}

/// Nothing is kept for ever, and nothing is forgotten before its time.
#[tokio::test]
async fn everything_expires_by_itself() {
    for store in each().await {
        let (user, visitor, product, at) = (customer(), visitor(), Uuid::new_v4(), present());
        put(&store, user, product, 3, at).await;
        put(&store, visitor, product, 3, at).await;
        let bought = Purchase {
            user_id: user.id,
            saga_id: Uuid::new_v4(),
            quantities: [(product, 1)].into(),
            remembered_until: at.now + Duration::days(60),
        };
        store.take_purchase(&bought, at).await.unwrap();
        let merge = applied(&store, user, visitor, at).await;
        for (key, from_days, to_days) in [
            (store.keys.cart(user), 29, 30),
            (store.keys.cart(visitor), 29, 30),
            (store.keys.purchase(user.id, bought.saga_id), 59, 60),
            (store.keys.receipt(user.id, &merge.id), 30, 31),
        ] {
            let seconds: i64 = store.redis.command("TTL", cmd("TTL").arg(&key)).await.unwrap();
            assert!(
                (from_days * 86_400..=to_days * 86_400).contains(&seconds),
                "{key}: {seconds}"
            );
        }
        let soon = Moment {
            now: at.now,
            expires_at: Clock::System.now() + Duration::milliseconds(300),
        };
        let short_lived = customer();
        put(&store, short_lived, product, 1, soon).await;
        let key = store.keys.cart(short_lived);
        emporium_test_kit::eventually("the server forgets it", 10, async || {
            let there: bool = store
                .redis
                .command("EXISTS", cmd("EXISTS").arg(&key))
                .await
                .unwrap();
            (!there).then_some(())
        })
        .await;
        assert!(Clock::System.now() >= soon.expires_at);
    }
}

/// What is not a cart is an error, and never a panic.
#[tokio::test]
async fn foreign_values_are_errors() {
    let Some(server) = stores::redis().await else {
        return;
    };
    let (store, at) = (on(&server.url).await, present());
    for (field, value) in [
        ("nonsense", "1 2"),
        ("revision", "x"),
        ("revision", "1"),
        ("expires_at", "9e99"),
    ] {
        let key = customer();
        let mut set = cmd("HSET");
        set.arg(store.keys.cart(key)).arg(field).arg(value);
        let _: i64 = store.redis.command("HSET", &set).await.unwrap();
        assert!(store.find(key, at.now).await.is_err(), "{field}={value}");
    }
}

#[tokio::test]
async fn lacks_are_what_the_server_says() {
    for (durability, lacks) in [
        (Durability::Everysec, &[Capability::SurvivesPowerLoss][..]),
        (
            Durability::None,
            &[Capability::SurvivesRestart, Capability::SurvivesPowerLoss],
        ),
    ] {
        let Some(server) = stores::own_redis(durability).await else {
            return;
        };
        assert_eq!(on(&server.url).await.lacks(), lacks);
    }
}
