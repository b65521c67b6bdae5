//! What every cache keeps: shelves until they expire, a bounded number of them, and one turn at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Db, Redis, ServiceName};
use emporium_test_kit::contract::{all_away, away};
use emporium_test_kit::stores::{self, Durability};
use emporium_test_kit::{Own, OwnPostgres, TestPostgres, connect, eventually};
use futures::future::join_all;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Cache, Kept, PostgresCache, RedisCache};
use crate::store::PostgresRecommendations;

/// Room for so many shelves.
const MAX: usize = 5;
/// Longest time until a cache that is back has to be used again, in seconds.
const RECOVERY_MAX: u64 = 5;

type Shared = Arc<dyn Cache>;

fn kept(shelf: &str) -> Kept {
    Kept {
        stamp: format!("stamp of {shelf}"),
        shelf: serde_json::json!([shelf]).to_string(),
    }
}

fn now() -> OffsetDateTime {
    // Whole milliseconds are what every cache keeps.
    Clock::System.now().replace_microsecond(0).unwrap()
}

const MINUTE: Duration = Duration::MINUTE;

async fn shelves_are_kept_until_they_expire(cache: Shared) {
    let now = now();
    assert_eq!(cache.get("a", now).await.unwrap(), None);
    cache.put("a", &kept("one"), now, now + MINUTE).await.unwrap();
    cache
        .put("b", &kept("two, \"quoted\" – ü"), now, now + 2 * MINUTE)
        .await
        .unwrap();
    assert_eq!(cache.get("a", now).await.unwrap(), Some(kept("one")));
    assert_eq!(
        cache.get("b", now).await.unwrap(),
        Some(kept("two, \"quoted\" – ü"))
    );
    // In place of what was there, stamp, expiry and all.
    cache
        .put("a", &kept("three"), now, now + 3 * MINUTE)
        .await
        .unwrap();
    assert_eq!(
        cache.get("a", now + 2 * MINUTE).await.unwrap(),
        Some(kept("three"))
    );
    assert_eq!(
        cache.get("b", now + 2 * MINUTE).await.unwrap(),
        None,
        "not at that moment any more"
    );
    assert_eq!(cache.get("a", now + 3 * MINUTE).await.unwrap(), None);
}

async fn there_is_room_for_so_many(cache: Shared) {
    let now = now();
    for shelf in 0..2 * MAX {
        let at = now + Duration::seconds(i64::try_from(shelf).unwrap());
        cache
            .put(&format!("{shelf}"), &kept("x"), at, at + MINUTE)
            .await
            .unwrap();
    }
    cache.reap(now, 100).await.unwrap();
    let later = now + Duration::seconds(20);
    let mut there = Vec::new();
    for shelf in 0..2 * MAX {
        if cache.get(&format!("{shelf}"), later).await.unwrap().is_some() {
            there.push(shelf);
        }
    }
    assert_eq!(there, (MAX..2 * MAX).collect::<Vec<_>>(), "the newest stay");
}

async fn what_has_expired_makes_room(cache: Shared) {
    let now = now();
    for shelf in 0..MAX {
        cache
            .put(
                &format!("old {shelf}"),
                &kept("x"),
                now - 4 * MINUTE,
                now - MINUTE,
            )
            .await
            .unwrap();
    }
    cache.put("new", &kept("x"), now, now + MINUTE).await.unwrap();
    while cache.reap(now + 2 * Duration::DAY, 2).await.unwrap() > 0 {}
    cache.put("newer", &kept("y"), now, now + MINUTE).await.unwrap();
    assert_eq!(cache.get("newer", now).await.unwrap(), Some(kept("y")));
}

async fn turns_are_taken_one_at_a_time(cache: Shared) {
    let (now, one, other) = (now(), Uuid::now_v7(), Uuid::now_v7());
    let take = async |who, at| cache.take_turn("a", who, at, at + MINUTE).await.unwrap();
    assert!(take(one, now).await);
    assert!(!take(other, now + Duration::SECOND).await);
    assert!(take(one, now + 30 * Duration::SECOND).await, "one's own again");
    assert!(!take(other, now + MINUTE).await, "it was prolonged");
    assert!(
        cache.take_turn("b", other, now, now + MINUTE).await.unwrap(),
        "another key's"
    );
    cache.end_turn("a", other).await.unwrap();
    assert!(
        !take(other, now + MINUTE).await,
        "nobody gives back another one's"
    );
    cache.end_turn("a", one).await.unwrap();
    assert!(take(other, now).await);
    assert!(take(one, now + MINUTE).await, "it was over");
}

/// However many want it at once, one gets it, and it goes round.
async fn a_storm_gets_one_turn(cache: Shared) {
    let (now, got) = (now(), AtomicUsize::new(0));
    let one = async || {
        let who = Uuid::now_v7();
        if cache.take_turn("a", who, now, now + MINUTE).await.unwrap() {
            got.fetch_add(1, Ordering::SeqCst);
            Some(who)
        } else {
            None
        }
    };
    for round in 1..=5 {
        let takers: Vec<Option<Uuid>> = join_all((0..50).map(|_| one())).await;
        assert_eq!(got.load(Ordering::SeqCst), round);
        let holder = takers.into_iter().flatten().next().unwrap();
        cache.end_turn("a", holder).await.unwrap();
    }
}

/// The server stands still, then is killed and starts empty or not: calls fail in time, and work again afterwards.
async fn an_absent_cache_is_an_error_in_time(own: Own<Shared>) {
    let Own { store: cache, server } = own;
    let (now, who) = (now(), Uuid::now_v7());
    cache.put("a", &kept("one"), now, now + MINUTE).await.unwrap();
    server.pause().await;
    let shelf = kept("two");
    let calls = [
        away("get", cache.get("a", now)),
        away("put", cache.put("a", &shelf, now, now + MINUTE)),
        away("take_turn", cache.take_turn("a", who, now, now + MINUTE)),
        away("end_turn", cache.end_turn("a", who)),
        away("reap", cache.reap(now, 10)),
    ];
    all_away(server.error_max(), calls).await;
    server.resume().await;
    server.kill().await;
    server.restart().await;
    eventually("it works again", RECOVERY_MAX, async || {
        cache.put("a", &shelf, now, now + MINUTE).await.ok()
    })
    .await;
    assert_eq!(cache.get("a", now).await.unwrap(), Some(shelf));
}

async fn migrated(db: Db) -> Shared {
    PostgresRecommendations::migrate(&db).await.unwrap();
    Arc::new(PostgresCache::with_max(db, MAX))
}

async fn fresh_postgres() -> Option<Shared> {
    let database = TestPostgres::get().await.empty_database().await;
    Some(migrated(connect(&database.url, ServiceName::Recommendations, 8)).await)
}

async fn own_postgres() -> Option<Own<Shared>> {
    let server = OwnPostgres::start().await;
    let store = migrated(connect(&server.url, ServiceName::Recommendations, 8)).await;
    let server = Box::new(server);
    Some(Own { store, server })
}

async fn on_redis(url: &str) -> Shared {
    let redis = Redis::connect(url, Metrics::new(ServiceName::Recommendations))
        .await
        .unwrap();
    Arc::new(RedisCache::new(
        redis,
        &format!("shelves-{}", Uuid::new_v4()),
        MAX,
    ))
}

async fn fresh_redis() -> Option<Shared> {
    Some(on_redis(&stores::redis().await?.url).await)
}

async fn fresh_cluster() -> Option<Shared> {
    Some(on_redis(&stores::redis_cluster().await?.url).await)
}

async fn own_redis() -> Option<Own<Shared>> {
    let server = stores::own_redis(Durability::None).await?;
    let store = on_redis(&server.url).await;
    let server = Box::new(server);
    Some(Own { store, server })
}

macro_rules! contract {
    ($adapter:ident, $open:expr $(, $own:expr => $($outage:ident),+)?) => {
        mod $adapter {
            emporium_test_kit::contract_tests!($open => shelves_are_kept_until_they_expire, there_is_room_for_so_many,
                what_has_expired_makes_room, turns_are_taken_one_at_a_time, a_storm_gets_one_turn);
            $(emporium_test_kit::contract_tests!($own => $($outage),+);)?
        }
    };
}

contract!(postgres, super::fresh_postgres(), super::own_postgres() => an_absent_cache_is_an_error_in_time);
contract!(redis, super::fresh_redis(), super::own_redis() => an_absent_cache_is_an_error_in_time);
contract!(redis_cluster, super::fresh_cluster());
