//! What is Redis's own. The rest is in the suite that all adapters pass.

use std::sync::Arc;

use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::redis::Invocation;
use emporium_service_kit::{Clock, Redis, ServiceName};
use emporium_test_kit::eventually;
use emporium_test_kit::stores::{self, Durability};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::keys::Keys;
use super::row::{from_micros, micros};
use super::scripts::SLIDE;
use super::{RedisSessions, SKEW, STAMP_AGE_MAX, forgotten_at, millis};
use crate::model::Session;
use crate::store::contract::outages::Own;
use crate::store::contract::{PER_USER_MAX, THROTTLE, admitted, begun, look_up, marker, session};
use crate::store::{Admission, Begun, Capability, Marker, PENDING_MAX, SessionStore, Standing, opened};
use crate::token::Hash;

mod trouble;

const LIFETIME: Duration = Duration::days(30);

/// A store of its own on the server that all tests share.
pub async fn fresh() -> Option<Arc<dyn SessionStore>> {
    let server = stores::redis().await?;
    Some(Arc::new(on(&server.url, &namespace()).await))
}

/// The same on a cluster.
pub async fn fresh_on_cluster() -> Option<Arc<dyn SessionStore>> {
    let cluster = stores::redis_cluster().await?;
    Some(Arc::new(on(&cluster.url, &namespace()).await))
}

/// A store on that server.
pub async fn on(url: &str, namespace: &str) -> RedisSessions {
    let redis = Redis::connect(url, Metrics::new(ServiceName::Sessions))
        .await
        .unwrap();
    RedisSessions::open(redis, namespace, LIFETIME).await.unwrap()
}

fn namespace() -> String {
    format!("sessions-test-{}", Uuid::new_v4())
}

/// A store on a server of its own, which loses nothing.
pub async fn own() -> Option<Own> {
    let server = stores::own_redis(Durability::Always).await?;
    Some(Own {
        store: Arc::new(on(&server.url, "sessions").await),
        server: Box::new(server),
    })
}

/// What the server's settings do not promise is declared, and lost indeed.
#[tokio::test]
async fn what_is_not_durable_is_declared() {
    let Some(server) = stores::own_redis(Durability::Everysec).await else {
        return;
    };
    let store = on(&server.url, "sessions").await;
    assert_eq!(store.lacks(), [Capability::SurvivesPowerLoss]);

    let Some(server) = stores::own_redis(Durability::None).await else {
        return;
    };
    let store: Arc<dyn SessionStore> = Arc::new(on(&server.url, "sessions").await);
    assert_eq!(
        store.lacks(),
        [Capability::SurvivesRestart, Capability::SurvivesPowerLoss]
    );
    let now = Clock::System.now();
    let session = begun(&store, Uuid::new_v4(), now).await;
    let before = marker(&store, now).await;
    server.kill().await;
    server.restart().await;
    eventually("the store works again", 5, async || store.ping().await.ok()).await;
    assert_eq!(look_up(&store, &session, now).await, None);
    assert!(marker(&store, now).await > before, "stamps grow all the same");
}

/// Keys may be evicted: declared.
#[tokio::test]
async fn a_server_that_evicts_is_declared() {
    let Some(server) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let mut connection = connection(&server.url).await;
    for (name, value) in [("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")] {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg(name).arg(value);
        let () = set.query_async(&mut connection).await.unwrap();
    }
    let store = on(&server.url, "sessions").await;
    assert_eq!(store.lacks(), [Capability::KeepsWhenFull]);
    let redis = store.redis.clone();
    let shown = opened(Arc::new(store), redis).report.inspect().await;
    assert_eq!((shown.adapter.as_str(), shown.error), ("redis", None));
    assert_eq!(shown.lacks, [Capability::KeepsWhenFull.lack()]);
    assert_eq!(
        shown.durability.as_deref(),
        Some("appendonly=yes, appendfsync=always")
    );
}

/// Every key but the stamp expires, not before what it holds, and little later; nothing grows with use.
#[tokio::test]
async fn keys_are_forgotten() {
    let Some(server) = stores::own_redis(Durability::None).await else {
        return;
    };
    let store: Arc<dyn SessionStore> = Arc::new(on(&server.url, "s").await);
    let (now, user) = (Clock::System.now(), Uuid::new_v4());
    let email = Hash::of_email("ann@example.org");
    // Not a multiple of the most that may be: some entries of ended sessions are left.
    for n in 0..28 {
        let session = begun(&store, user, now + Duration::seconds(n)).await;
        store.end(session.token).await.unwrap();
        let attempt = admitted(&store, email, now).await;
        let failed = n % 10 == 0;
        store
            .settle(email, attempt, failed, now, &THROTTLE)
            .await
            .unwrap();
    }
    let session = begun(&store, user, now).await;
    admitted(&store, email, now).await;
    let told = Standing {
        user_id: user,
        version: 1,
        blocked: true,
    };
    store.set_blocked(&[told]).await.unwrap();
    let other = Uuid::new_v4();
    store.end_all(&[other]).await.unwrap();

    let mut connection = connection(&server.url).await;
    let keys = Keys::new("s");
    let day = 86_400;
    for (key, lives_s, holds) in [
        (keys.session(session.token), day, Some(6)),
        (keys.logins(user), 30 * day, None),
        (keys.account(user), 31 * day, Some(3)),
        (keys.account(other), day, Some(1)),
        (keys.failures(email), 5 * 60, None),
        (keys.attempts(email), 45, None),
    ] {
        let left: i64 = redis::cmd("TTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!(
            (lives_s - 10..=lives_s + 61 + 30).contains(&left),
            "{key}: {left} s"
        );
        if let Some(holds) = holds {
            let fields: i64 = redis::cmd("HLEN")
                .arg(&key)
                .query_async(&mut connection)
                .await
                .unwrap();
            assert_eq!(fields, holds, "{key}");
        }
    }
    let other_email = Hash::of_email("bob@example.org");
    let mut late = Vec::new();
    for at in [now, now + PENDING_MAX] {
        for _ in 0..10 {
            late.push(admitted(&store, other_email, at).await);
        }
    }
    for attempt in late {
        store
            .settle(other_email, attempt, true, now, &THROTTLE)
            .await
            .unwrap();
    }
    for (key, entries) in [
        (keys.failures(other_email), 10),
        (keys.logins(user), i64::from(PER_USER_MAX)),
        (keys.failures(email), 3),
        (keys.attempts(email), 1),
    ] {
        let size: i64 = redis::cmd("ZCARD")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!((1..=entries).contains(&size), "{key}: {size}");
    }
    let all: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    for key in all {
        let ttl = redis::cmd("TTL").arg(&key).to_owned();
        let left: i64 = ttl.query_async(&mut connection).await.unwrap();
        assert_eq!(left == -1, key == keys.stamp(), "{key}: {left} s");
    }
}

/// Each script twice is like once: the kit may send it again.
#[tokio::test]
async fn scripts_may_be_sent_twice() {
    let Some(server) = stores::redis().await else {
        return;
    };
    let concrete = Arc::new(on(&server.url, &namespace()).await);
    let (now, user, email) = (
        Clock::System.now(),
        Uuid::new_v4(),
        Hash::of_email("ann@example.org"),
    );
    // Ten times the same attempt takes one of the ten places.
    let stamp = concrete.stamp().await.unwrap();
    for _ in 0..10 {
        let granted = concrete.admit_as(stamp, email, now, &THROTTLE).await.unwrap();
        assert!(matches!(granted, Admission::Granted(_)));
    }
    let store: Arc<dyn SessionStore> = concrete.clone();
    let mut others = Vec::new();
    for _ in 0..9 {
        others.push(admitted(&store, email, now).await);
    }
    let granted = concrete.admit_as(stamp, email, now, &THROTTLE).await.unwrap();
    assert!(matches!(granted, Admission::Granted(_)), "it has its place");
    assert_eq!(store.admit(email, now, &THROTTLE).await.unwrap(), Admission::Busy);
    // The same failure ten times is one failure.
    for _ in 0..10 {
        store
            .settle(email, others[0], true, now, &THROTTLE)
            .await
            .unwrap();
    }
    for other in &others[1..] {
        store.settle(email, *other, false, now, &THROTTLE).await.unwrap();
    }
    assert!(matches!(
        store.admit(email, now, &THROTTLE).await.unwrap(),
        Admission::Granted(_)
    ));

    let (one, other) = (session(user, now), session(user, now));
    let mark = marker(&store, now).await;
    for begins in [&one, &other, &other, &other] {
        assert_eq!(store.begin(begins, mark, 2).await.unwrap(), Begun::Yes);
    }
    assert!(
        look_up(&store, &one, now).await.is_some(),
        "it was not pushed out by a repetition"
    );
    assert_eq!(store.end_all(&[user]).await.unwrap(), 2);
    // The first answer was lost, and then the session was ended: the repetition does not bring it back.
    assert_eq!(
        store.begin(&other, mark, 2).await.unwrap(),
        Begun::RevokedMeanwhile
    );
}

/// A session that ended, or expired, between the reading and the sliding stays away, whole and in part.
#[tokio::test]
async fn only_live_sessions_slide() {
    let Some(server) = stores::redis().await else {
        return;
    };
    let concrete = Arc::new(on(&server.url, &namespace()).await);
    let store: Arc<dyn SessionStore> = concrete.clone();
    let now = Clock::System.now();
    let [live, ended] = [
        begun(&store, Uuid::new_v4(), now).await,
        begun(&store, Uuid::new_v4(), now).await,
    ];
    store.end(ended.token).await.unwrap();
    let slide = async |session: &Session, at: OffsetDateTime| {
        let target = at + Duration::days(1);
        let run = Invocation::of(&SLIDE)
            .key(concrete.keys.session(session.token))
            .arg(micros(at))
            .arg(micros(target))
            .arg(forgotten_at(target));
        let slid: Option<(i64, Option<u8>)> = concrete.redis.run(&run).await.unwrap();
        slid.map(|(expiry, _)| from_micros(expiry).unwrap())
    };
    assert_eq!(slide(&ended, now).await, None);
    assert_eq!(slide(&live, live.expires_at).await, None, "too late");
    let expiry = now + Duration::hours(25);
    for at in [now + Duration::hours(1), now] {
        assert_eq!(slide(&live, at).await, Some(expiry), "never back");
    }
    let left = redis::cmd("PTTL")
        .arg(concrete.keys.session(live.token))
        .to_owned();
    let left: i64 = concrete.redis.command("PTTL", &left).await.unwrap();
    assert!(left > millis(Duration::hours(24) + SKEW), "{left} ms");
    let exists = redis::cmd("EXISTS")
        .arg(concrete.keys.session(ended.token))
        .to_owned();
    let left: i64 = concrete.redis.command("EXISTS", &exists).await.unwrap();
    assert_eq!(left, 0);
}

/// A stamp that is older than accounts are remembered counts as revoked, and is refused without one.
#[tokio::test]
async fn stamps_grow_too_old() {
    let Some(server) = stores::redis().await else {
        return;
    };
    let own = Arc::new(on(&server.url, &namespace()).await);
    let store: Arc<dyn SessionStore> = own.clone();
    let (now, user) = (Clock::System.now(), Uuid::new_v4());
    let stamp = marker(&store, now).await;
    let of = own.opening;
    let aged = |age| Marker::new(of, stamp.number(of).unwrap() - age);
    let micros = |age: Duration| i64::try_from(age.whole_microseconds()).unwrap();
    let young = aged(micros(STAMP_AGE_MAX - Duration::minutes(1)));
    let old = aged(micros(STAMP_AGE_MAX));
    let begins = store.begin(&session(user, now), old, PER_USER_MAX).await.unwrap();
    assert_eq!(begins, Begun::RevokedMeanwhile);
    let begins = store
        .begin(&session(user, now), young, PER_USER_MAX)
        .await
        .unwrap();
    assert_eq!(begins, Begun::Yes);
}

/// The clock was set back, as it looks when the last stamp is of the future; or the last stamp was lost.
#[tokio::test]
async fn stamps_grow_whatever_happens() {
    let Some(server) = stores::redis().await else {
        return;
    };
    let store = on(&server.url, &namespace()).await;
    let mut connection = connection(&server.url).await;
    let first = store.stamp().await.unwrap();
    let () = redis::cmd("DEL")
        .arg(store.keys.stamp())
        .query_async(&mut connection)
        .await
        .unwrap();
    let second = store.stamp().await.unwrap();
    assert!(second > first, "lost");
    let ahead = second + 3_600_000_000;
    let () = redis::cmd("SET")
        .arg(store.keys.stamp())
        .arg(ahead)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(store.stamp().await.unwrap(), ahead + 1, "set back");
    assert_eq!(store.stamp().await.unwrap(), ahead + 2);
}

async fn connection(url: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}
