//! Sessions: look-ups and logins.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use emporium_service_kit::stores::SESSIONS_STORE;
use emporium_service_kit::{Clock, Environment, ServiceName};
use emporium_sessions::model::{Role, Session};
use emporium_sessions::store::{Admission, Begun, Marker, SessionStore, Spans};
use emporium_sessions::token::{Hash, Partition, TokenHash};
use emporium_sessions::{Sliding, Throttle};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::compare::{Order, Restore, Side, Workload};
use super::places::{self, Place};
use super::prepare::{check, fill, id, record, replay};
use super::stage::Stage;

/// Different sessions that are looked up.
const LOOKED_UP: usize = 2_000;
/// Logins of a turn at most; they are ended after it.
const BEGUN: usize = 2_048;
/// From the login to the end, as the service has it.
const LIFETIME: Duration = Duration::days(30);
/// As the service has it.
const PER_USER_MAX: u32 = 100;
const SLIDING: Sliding = Sliding {
    ttl: Duration::hours(24),
    step: Duration::seconds(60),
};

/// The token of session number `number`, as a client presents it: its user's partition, then what is random otherwise.
pub fn token(number: usize, users: usize) -> String {
    let mut token = Partition::of(user(number, users)).0.to_be_bytes().to_vec();
    token.extend(Sha256::digest(format!("token {number}")));
    URL_SAFE_NO_PAD.encode(token)
}

fn user(number: usize, users: usize) -> Uuid {
    id("user", number % users)
}

/// Session number `number`. It expires an hour later than a login's, so that no look-up of a run moves its expiry, which is
/// written at most once a minute and session.
pub fn session(number: usize, users: usize, now: OffsetDateTime) -> anyhow::Result<Session> {
    let token = TokenHash::of_text(&token(number, users)).context("no token")?;
    Ok(Session {
        token,
        user_id: user(number, users),
        role: Role::Customer,
        began_at: now,
        expires_at: now + SLIDING.ttl + Duration::HOUR,
        ends_at: now + LIFETIME,
        blocked: false,
    })
}

/// The whole second, which every store keeps exactly.
pub fn present() -> OffsetDateTime {
    let now = Clock::System.now();
    now - Duration::nanoseconds(i64::from(now.nanosecond()))
}

/// The adapter that the environment's setting names.
pub async fn open(environment: &Environment) -> anyhow::Result<Arc<dyn SessionStore>> {
    let spans = Spans {
        lifetime: LIFETIME,
        window: Duration::minutes(5),
    };
    Ok(emporium_sessions::store::open_side(environment.clone(), spans)
        .await?
        .store)
}

/// What a login takes before it begins a session: the number of revocations so far.
async fn marker(store: &Arc<dyn SessionStore>, now: OffsetDateTime) -> anyhow::Result<Marker> {
    let (email, throttle) = (
        Hash::of_email("bench@customers.example"),
        Throttle {
            failures_max: 10,
            window: Duration::minutes(5),
        },
    );
    let Admission::Granted(attempt) = store.admit(email, now, &throttle).await? else {
        bail!("the store refuses a login that nobody tried before");
    };
    store.settle(email, attempt, false, now, &throttle).await?;
    Ok(attempt.marker)
}

/// Begins sessions 0 to `count`, each of another user.
pub async fn fill_with_sessions(
    store: Arc<dyn SessionStore>,
    count: usize,
    now: OffsetDateTime,
) -> anyhow::Result<()> {
    let marker = marker(&store, now).await?;
    fill(count, move |number| {
        let store = store.clone();
        Box::pin(async move {
            let session = session(number, count, now)?;
            let begun = store.begin(&session, marker, PER_USER_MAX).await?;
            ensure!(begun == Begun::Yes, "a session did not begin");
            Ok(())
        })
    })
    .await
}

/// All workloads on all stores that can be had.
pub async fn workloads(stage: &mut Stage) -> anyhow::Result<Vec<Workload>> {
    let mut all = Vec::new();
    for (number, size) in stage.plan.entries.clone().into_iter().enumerate() {
        let database = format!("sessions_{size}");
        let place = places::on_postgres(&stage.postgres, ServiceName::Sessions, &database).await?;
        let measured = of(&place, size).await?;
        stage.postgres.settle(&database).await?;
        stage.keep(place, &mut all, measured);
        if let Some(redis) = &stage.redis {
            let place = places::on_redis(redis, ServiceName::Sessions, SESSIONS_STORE, number).await?;
            let measured = of(&place, size).await?;
            places::settle_redis(redis).await?;
            stage.keep(place, &mut all, measured);
        }
    }
    Ok(all)
}

async fn of(place: &Place, size: usize) -> anyhow::Result<Vec<Workload>> {
    let now = present();
    fill_with_sessions(open(&place.filling).await?, size, now).await?;
    let (store, recorded) = (open(&place.environment).await?, open(&place.recorded).await?);
    Ok(vec![
        look_up(place, size, now, &store, &recorded).await?,
        begin(place, size, now, &store, &recorded).await?,
    ])
}

async fn look_up(
    place: &Place,
    size: usize,
    now: OffsetDateTime,
    store: &Arc<dyn SessionStore>,
    recorded: &Arc<dyn SessionStore>,
) -> anyhow::Result<Workload> {
    let count = size.min(LOOKED_UP);
    let step = size / count;
    let sessions: Vec<Session> = (0..count)
        .map(|number| session(number * step, size, now))
        .collect::<anyhow::Result<_>>()?;
    let expected = Arc::new(sessions);
    let find = |number: usize| {
        let (store, expected) = (recorded.clone(), expected.clone());
        async move {
            let wanted = &expected[number];
            let found = store.look_up(wanted.token, now, SLIDING).await?;
            ensure!(
                found.as_ref() == Some(wanted),
                "DIFFERENT ANSWER: {found:?}, and not {wanted:?}"
            );
            Ok(())
        }
    };
    find(0).await?;
    let exchanges = record(place, count, find).await?;
    check(place, &exchanges, true).await?;
    let store = store.clone();
    let adapter: Side = Arc::new(move |_, index| {
        let (store, token) = (store.clone(), expected[index].token);
        Box::pin(async move {
            let found = store.look_up(token, now, SLIDING).await?;
            ensure!(found.is_some(), "a session is gone");
            Ok(())
        })
    });
    let bare = replay(&place.bare, exchanges);
    Ok(place.workload("look-up", size, adapter, bare, Order::Cycle(count)))
}

async fn begin(
    place: &Place,
    size: usize,
    now: OffsetDateTime,
    store: &Arc<dyn SessionStore>,
    recorded: &Arc<dyn SessionStore>,
) -> anyhow::Result<Workload> {
    let sessions: Vec<Session> = (0..BEGUN)
        .map(|number| session(size + number, size, now))
        .collect::<anyhow::Result<_>>()?;
    let sessions = Arc::new(sessions);
    let (ended, ends) = (sessions.clone(), store.clone());
    let restore: Restore = Arc::new(move |used| {
        let (sessions, store) = (ended.clone(), ends.clone());
        Box::pin(fill(used, move |number| {
            let (store, token) = (store.clone(), sessions[number].token);
            Box::pin(async move { Ok(store.end(token).await?) })
        }))
    });
    let marker = marker(store, now).await?;
    let write = |store: &Arc<dyn SessionStore>| -> Side {
        let (store, sessions) = (store.clone(), sessions.clone());
        Arc::new(move |_, index| {
            let (store, sessions) = (store.clone(), sessions.clone());
            Box::pin(async move {
                let begun = store.begin(&sessions[index], marker, PER_USER_MAX).await?;
                ensure!(begun == Begun::Yes, "a session did not begin");
                Ok(())
            })
        })
    };
    let through = write(recorded);
    through(0, 0).await?;
    restore(1).await?;
    let exchanges = record(place, BEGUN, |number| through(0, number)).await?;
    restore(BEGUN).await?;
    check(place, &exchanges, false).await?;
    for wanted in sessions.iter() {
        let found = store.look_up(wanted.token, now, SLIDING).await?;
        ensure!(
            found.as_ref() == Some(wanted),
            "DIFFERENT ANSWER: the bare client began {found:?}"
        );
    }
    restore(BEGUN).await?;
    let bare = replay(&place.bare, exchanges);
    Ok(place.workload("begin", size, write(store), bare, Order::Once(BEGUN, restore)))
}
