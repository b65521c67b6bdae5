//! Blocks compared with the users' history, beside logins and news; what differs is told and mended.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{Backend, World, build_on, user_event, world};
use emporium_event_bus::CloudEvent;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, ServiceName, serve};
use emporium_test_kit::eventually;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wiremock::matchers::{method, path};
use wiremock::{Mock, Request, Respond, ResponseTemplate};

const PAGE: usize = 10;

/// The users' history, in pages; nobody gets further than `held_from`.
#[derive(Clone)]
struct History {
    events: Arc<Mutex<Vec<CloudEvent>>>,
    held_from: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Respond for History {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let after = request.url.query_pairs().find(|(name, _)| name == "after");
        let after: usize = after.map_or(0, |(_, after)| after.parse().unwrap());
        self.asked.fetch_max(after, Ordering::SeqCst);
        if after >= self.held_from.load(Ordering::SeqCst) {
            return common::problem(503, "not-now");
        }
        let events = self.events.lock().unwrap();
        let items: Vec<Value> = (after + 1..)
            .zip(events.iter().skip(after).take(PAGE))
            .map(|(position, event)| json!({"position": position, "event": event}))
            .collect();
        let next = after + items.len();
        let page =
            json!({"items": items, "next_after": next, "at_end": next == events.len(), "end": events.len()});
        ResponseTemplate::new(200).set_body_json(page)
    }
}

impl History {
    async fn of(world: &World) -> Self {
        let history = Self {
            events: Arc::default(),
            held_from: Arc::new(AtomicUsize::new(usize::MAX)),
            asked: Arc::default(),
        };
        Mock::given(method("GET"))
            .and(path("/events"))
            .respond_with(history.clone())
            .mount(&world.users)
            .await;
        history
    }

    /// Writes what happened to a user an hour ago, so that it is on the bus for sure.
    fn write(&self, user: Uuid, version: i64, active: bool) -> CloudEvent {
        self.write_at(Clock::System.now() - Duration::hours(1), user, version, active)
    }

    fn write_at(&self, time: OffsetDateTime, user: Uuid, version: i64, active: bool) -> CloudEvent {
        let kind = if version == 1 {
            "user.registered.v1"
        } else {
            "user.updated.v1"
        };
        let data = json!({"id": user, "active": active});
        let event = user_event(kind, user, version, time, &data);
        self.events.lock().unwrap().push(event.clone());
        event
    }
}

/// Puts events on the bus and waits until they are applied.
async fn publish(world: &World, events: &[CloudEvent]) {
    world.publish(events).await;
    world.caught_up().await;
}

/// The version of the `n`th user's last news; odd ones are blocked by it.
fn version(n: usize) -> i64 {
    3 + i64::try_from(n).unwrap()
}

/// Users of whom both sides know the same.
async fn settled(world: &World, history: &History, users: &[Uuid]) {
    let mut events = Vec::new();
    for (n, user) in users.iter().enumerate() {
        history.write(*user, 1, true);
        events.push(history.write(*user, 2, false));
        events.push(history.write(*user, version(n), n % 2 == 0));
    }
    publish(world, &events).await;
}

async fn ask(world: &World) -> Value {
    let operator = world.sessions.as_caller(ServiceName::Operator);
    let asked = operator
        .post("/projections/sessions/rebuild", json!({}))
        .await
        .expect(202);
    assert_eq!(asked["rebuild"]["cause"], "operator", "{asked}");
    asked["rebuild"]["id"].clone()
}

async fn rebuilt(world: &World) -> Value {
    let rebuild = ask(world).await;
    let operator = world.sessions.as_caller(ServiceName::Operator);
    eventually("the rebuild has ended", 20, async || {
        let status = operator.get("/projections/sessions").await.expect(200);
        (status["outcome"]["id"] == rebuild).then(|| status["outcome"].clone())
    })
    .await
}

fn assert_equal(outcome: &Value) {
    assert_eq!(
        (&outcome["equal"], &outcome["differences"]),
        (&json!(true), &json!([])),
        "{outcome}"
    );
}

/// Writes into the store what no event told.
async fn spoil(world: &World, user: Uuid, version: i64, blocked: bool) {
    let Some(redis) = &world.redis else {
        sqlx::query("UPDATE sessions_account SET version = $2, blocked = $3 WHERE user_id = $1")
            .bind(user)
            .bind(version)
            .bind(blocked)
            .execute(&world.sessions.db())
            .await
            .unwrap();
        return;
    };
    let client = ::redis::Client::open(redis.url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = ::redis::cmd("KEYS")
        .arg(format!("*account:{user}"))
        .query_async(&mut connection)
        .await
        .unwrap();
    let () = ::redis::cmd("HSET")
        .arg(&keys[0])
        .arg("version")
        .arg(version)
        .arg("blocked")
        .arg(u8::from(blocked))
        .query_async(&mut connection)
        .await
        .unwrap();
}

/// All kinds of differences are told exactly and mended, and then there is none; sessions follow.
async fn what_differs_is_told_and_mended(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let history = History::of(&world).await;
    let mut users: Vec<Uuid> = (0..6).map(|_| Uuid::now_v7()).collect();
    // Its session is blocked at the end.
    users.insert(3, world.user_id);
    let token = world.token().await;
    settled(&world, &history, &users).await;
    let untouched = rebuilt(&world).await;
    assert_equal(&untouched);
    assert_eq!(untouched["events"], json!(21));
    let table = &untouched["tables"][0];
    assert_eq!(
        (&table["rows_live"], &table["rows_rebuilt"]),
        (&json!(7), &json!(7))
    );
    assert_eq!(table["digest_live"], table["digest_rebuilt"]);
    assert_eq!(untouched["position"], json!(14));

    // Of the same version the other mark; older than it should be; a version that there never was.
    spoil(&world, users[3], version(3), false).await;
    spoil(&world, users[4], 2, true).await;
    spoil(&world, users[5], 99, true).await;
    let told = rebuilt(&world).await;
    let mut expected = vec![
        format!(
            "block of {}: was not blocked at version 6, is blocked at version 6",
            users[3]
        ),
        format!(
            "block of {}: was blocked at version 2, is not blocked at version 7",
            users[4]
        ),
        format!(
            "block of {}: was blocked at version 99, is blocked at version 8",
            users[5]
        ),
    ];
    let mut differences: Vec<String> = serde_json::from_value(told["differences"].clone()).unwrap();
    expected.sort_unstable();
    differences.sort_unstable();
    assert_eq!((&told["equal"], differences), (&json!(false), expected));
    assert_eq!(told["tables"][0]["equal"], json!(false));
    assert_eq!(world.look_up(&token).await.expect(200)["blocked"], json!(true));
    let again = rebuilt(&world).await;
    assert_equal(&again);
    assert_eq!(
        again["tables"][0]["digest_live"],
        untouched["tables"][0]["digest_live"]
    );
    // News counts again below the version that there never was.
    publish(&world, &[history.write(users[5], 50, true)]).await;
    assert_equal(&rebuilt(&world).await);
    world.sessions.stop().await;
}

/// While the history is read, logins and blocks go on, and are no difference. Then the service dies; another one reads again, for the
/// same rebuild.
async fn logins_and_blocks_go_on_and_a_death_costs_the_reading(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let history = History::of(&world).await;
    let users: Vec<Uuid> = (0..9).map(|_| Uuid::now_v7()).collect();
    settled(&world, &history, &users).await;
    history.held_from.store(2 * PAGE, Ordering::SeqCst);
    let rebuild = ask(&world).await;
    eventually("the history is being read", 10, async || {
        (history.asked.load(Ordering::SeqCst) >= 2 * PAGE).then_some(())
    })
    .await;
    assert_eq!(ask(&world).await, rebuild, "the same one");
    let token = world.token().await;
    let block = history.write_at(Clock::System.now(), world.user_id, 2, false);
    publish(&world, &[block]).await;
    assert_eq!(world.look_up(&token).await.expect(200)["blocked"], json!(true));

    let mut environment = world.sessions.environment.clone();
    let url = world.redis.as_ref().map(|redis| redis.url.clone());
    world.sessions.stop().await;
    environment.shutdown = CancellationToken::new();
    environment.metrics = Metrics::new(ServiceName::Sessions);
    let again = build_on(&environment, url.clone()).await.unwrap();
    let listener = serve::listen("127.0.0.1:0").await.unwrap();
    let running = serve::start(&environment, again, listener).unwrap();
    history.held_from.store(usize::MAX, Ordering::SeqCst);
    environment.metrics = Metrics::new(ServiceName::Sessions);
    environment
        .stores
        .set(
            emporium_service_kit::stores::SESSIONS_STORE,
            url.unwrap_or_default(),
        )
        .unwrap();
    let spans = emporium_sessions::store::Spans {
        lifetime: Duration::days(30),
        window: Duration::minutes(5),
    };
    let opened = emporium_sessions::store::open_side(environment, spans).await;
    let store = opened.unwrap().store;
    let note = eventually("the rebuild has ended", 30, async || {
        let note: Value = serde_json::from_str(&store.note().await.unwrap()?).unwrap();
        (note["outcome"]["id"] == rebuild).then_some(note)
    })
    .await;
    assert_equal(&note["outcome"]);
    assert_eq!(note["outcome"]["events"], json!(28));
    assert_eq!(note["rebuild"], Value::Null);
    running.stop().await;
}

/// News that comes between the reading and the comparison: the store is ahead of what was read, and right.
async fn a_store_that_is_ahead_is_right(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let history = History::of(&world).await;
    let users: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
    settled(&world, &history, &users).await;
    let operator = world.sessions.as_caller(ServiceName::Operator);
    let path = "/projections/sessions";
    operator
        .post(&format!("{path}/pause"), json!({}))
        .await
        .expect(200);
    // On the bus, not in the store, so the comparison waits; and then news that only the store has when it is looked at.
    let bus = emporium_event_bus::open(&world.sessions.environment)
        .await
        .unwrap();
    bus.append(&[history.write(users[0], 20, false)]).await.unwrap();
    let rebuild = ask(&world).await;
    eventually("the history is read", 10, async || {
        let status = operator.get(path).await.expect(200);
        (status["rebuild"]["phase"] == "comparing").then_some(())
    })
    .await;
    bus.append(&[
        history.write(users[0], 21, true),
        history.write(users[1], 22, false),
    ])
    .await
    .unwrap();
    operator
        .post(&format!("{path}/resume"), json!({}))
        .await
        .expect(200);
    let outcome = eventually("the rebuild has ended", 20, async || {
        let status = operator.get(path).await.expect(200);
        (status["outcome"]["id"] == rebuild).then(|| status["outcome"].clone())
    })
    .await;
    assert_equal(&outcome);
    world.sessions.stop().await;
}

/// News from before the oldest session need not be there; who was never blocked or unblocked has nothing there.
async fn old_news_need_not_be_there(backend: Backend) {
    let Some(world) = world(backend, Clock::System).await else {
        return;
    };
    let history = History::of(&world).await;
    let (old, new) = (Uuid::now_v7(), Uuid::now_v7());
    let long_ago = Clock::System.now() - Duration::days(31);
    history.write_at(long_ago, old, 1, true);
    history.write_at(long_ago, old, 2, false);
    history.write(new, 1, true);
    let nothing = rebuilt(&world).await;
    assert_equal(&nothing);
    assert_eq!(nothing["tables"][0]["rows_rebuilt"], json!(0));
    publish(&world, &[history.write(new, 2, false)]).await;
    // Of whom it was only told that there is an account.
    history.events.lock().unwrap().pop();
    let told = rebuilt(&world).await;
    let line = format!("block of {new}: was blocked at version 2, is not there");
    assert_eq!(told["differences"], json!([line]));
    assert_equal(&rebuilt(&world).await);
    world.sessions.stop().await;
}

on_every_store!(
    what_differs_is_told_and_mended,
    logins_and_blocks_go_on_and_a_death_costs_the_reading,
    a_store_that_is_ahead_is_right,
    old_news_need_not_be_there,
);
