//! Moving sessions between stores, under traffic, with instances killed at every step. Each test is run from PostgreSQL to Redis and
//! back.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use emporium_moving::Decision;
use emporium_moving::record::{Ending, Phase};
use emporium_service_kit::stores::SESSIONS_STORE;
use emporium_service_kit::{Clock, Environment, ServiceName, StartError, StoreError};
use emporium_sessions::model::{Role, Session};
use emporium_sessions::store::{self, Admission, Attempt, Begun, SessionStore, Spans, Standing};
use emporium_sessions::token::{self, Hash};
use emporium_sessions::{Sliding, Throttle};
use emporium_test_kit::eventually;
use emporium_test_kit::moving::{Home, Instance};
use emporium_test_kit::stores::{self, Durability, OwnStore};
use time::{Duration, OffsetDateTime};
use tokio::task::JoinHandle;
use uuid::Uuid;

type Sessions = Instance<dyn SessionStore>;
type Store = Arc<dyn SessionStore>;

/// Every look-up slides.
const SLIDING: Sliding = Sliding {
    ttl: Duration::hours(24),
    step: Duration::microseconds(1),
};
const THROTTLE: Throttle = Throttle {
    failures_max: 10,
    window: Duration::minutes(30),
};
const SPANS: Spans = Spans {
    lifetime: Duration::days(30),
    window: THROTTLE.window,
};
const PER_USER_MAX: u32 = 5;

async fn open_side(environment: Environment) -> Result<emporium_moving::Side<dyn SessionStore>, StartError> {
    store::open_side(environment, SPANS).await
}

fn now() -> OffsetDateTime {
    Clock::System.now()
}

async fn home() -> Home {
    Home::new(ServiceName::Sessions, SESSIONS_STORE).await
}

async fn redis() -> Option<OwnStore> {
    stores::own_redis(Durability::Always).await
}

async fn start(home: &Home, url: &str) -> Sessions {
    home.start(url, open_side).await.unwrap()
}

fn gated(instance: &Sessions) -> Store {
    store::gated(&instance.moving)
}

/// Repeats a call until it is acknowledged.
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

fn session(user_id: Uuid) -> Session {
    let now = now();
    Session {
        token: token::generate(user_id).1,
        user_id,
        role: Role::Customer,
        began_at: now,
        expires_at: now + SLIDING.ttl,
        ends_at: now + SPANS.lifetime,
        blocked: false,
    }
}

async fn admitted(store: &dyn SessionStore, email: Hash) -> Attempt {
    match until_done!(store.admit(email, now(), &THROTTLE)) {
        Admission::Granted(attempt) => attempt,
        other => panic!("{other:?}"),
    }
}

async fn settled(store: &dyn SessionStore, email: Hash, attempt: Attempt, failed: bool) {
    until_done!(store.settle(email, attempt, failed, now(), &THROTTLE));
}

async fn is_there(store: &dyn SessionStore, session: &Session) -> Option<bool> {
    let found = until_done!(store.look_up(session.token, now(), SLIDING));
    found.map(|found| found.blocked)
}

/// Logs in, again while the marker does not count, which may be twice where a move ends.
async fn logged_in(store: &dyn SessionStore, user_id: Uuid) -> Session {
    let email = Hash::of_email(&format!("{user_id}@example.org"));
    loop {
        let attempt = admitted(store, email).await;
        settled(store, email, attempt, false).await;
        let session = session(user_id);
        match until_done!(store.begin(&session, attempt.marker, PER_USER_MAX)) {
            Begun::Yes => return session,
            Begun::RevokedMeanwhile => {}
        }
    }
}

/// Somebody who logs in and out without pause, and at each step knows what a look-up has to say.
struct User {
    id: Uuid,
    rounds: AtomicU64,
    version: AtomicU64,
}

impl User {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            id: Uuid::new_v4(),
            rounds: AtomicU64::new(0),
            version: AtomicU64::new(0),
        })
    }

    fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::SeqCst)
    }

    fn news(&self, blocked: bool) -> [Standing; 1] {
        let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        [Standing {
            user_id: self.id,
            version: i64::try_from(version).unwrap(),
            blocked,
        }]
    }

    /// `other` is another instance's: what one has acknowledged, the other one knows.
    async fn round(&self, store: &dyn SessionStore, other: &dyn SessionStore) {
        let one = logged_in(store, self.id).await;
        let two = logged_in(other, self.id).await;
        assert_eq!(is_there(other, &one).await, Some(false), "a login is lost");
        let block = self.news(true);
        until_done!(other.set_blocked(&block));
        assert_eq!(is_there(store, &two).await, Some(true), "a block is lost");
        let unblock = self.news(false);
        until_done!(store.set_blocked(&unblock));
        until_done!(store.set_blocked(&block));
        assert_eq!(is_there(other, &one).await, Some(false), "old news has come back");
        until_done!(store.end(one.token));
        assert_eq!(is_there(other, &one).await, None, "a log-out is lost");
        assert_eq!(is_there(store, &two).await, Some(false));
        until_done!(other.end_all(&[self.id]));
        for ended in [&one, &two] {
            assert_eq!(is_there(store, ended).await, None, "a log-out everywhere is lost");
        }
        self.rounds.fetch_add(1, Ordering::SeqCst);
    }
}

/// Something of every kind that nobody touches meanwhile.
struct Quiet {
    live: Vec<Session>,
    ended: Session,
    blocked: Session,
    email: Hash,
}

impl Quiet {
    async fn begun(store: &dyn SessionStore) -> Self {
        let [one, two, three] = [(); 3].map(|()| Uuid::new_v4());
        let mut live = Vec::new();
        for _ in 0..3 {
            live.push(logged_in(store, one).await);
        }
        let ended = logged_in(store, two).await;
        store.end_all(&[two]).await.unwrap();
        live.push(logged_in(store, two).await);
        let blocked = logged_in(store, three).await;
        let block = Standing {
            user_id: three,
            version: 7,
            blocked: true,
        };
        store.set_blocked(&[block]).await.unwrap();
        let email = Hash::of_email(&Uuid::new_v4().to_string());
        for _ in 0..THROTTLE.failures_max {
            let attempt = admitted(store, email).await;
            settled(store, email, attempt, true).await;
        }
        let before = store.note().await.unwrap();
        let noted = store.swap_note(before.as_deref(), &email_text(email)).await;
        assert!(noted.unwrap());
        Self {
            live,
            ended,
            blocked,
            email,
        }
    }

    async fn check(&self, store: &dyn SessionStore) {
        for session in &self.live {
            assert_eq!(is_there(store, session).await, Some(false));
        }
        assert_eq!(is_there(store, &self.ended).await, None);
        assert_eq!(is_there(store, &self.blocked).await, Some(true));
        let user_id = self.blocked.user_id;
        let known = store.standings(&[user_id, self.ended.user_id]).await.unwrap();
        assert_eq!((known[0].version, known[0].blocked), (7, true));
        assert_eq!((known[1].version, known[1].blocked), (0, false));
        let refused = store.admit(self.email, now(), &THROTTLE).await.unwrap();
        assert!(matches!(refused, Admission::Refused { .. }), "{refused:?}");
        assert_eq!(store.note().await.unwrap(), Some(email_text(self.email)));
    }
}

fn email_text(email: Hash) -> String {
    format!("{email:?}")
}

struct Traffic {
    users: Vec<Arc<User>>,
    tasks: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Traffic {
    fn begin(store: &Store, other: &Store) -> Self {
        let users: Vec<Arc<User>> = (0..4).map(|_| User::new()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = users.iter().map(|user| {
            let (user, store, other, stop) = (user.clone(), store.clone(), other.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    user.round(store.as_ref(), other.as_ref()).await;
                }
            })
        });
        Self {
            tasks: tasks.collect(),
            users,
            stop,
        }
    }

    fn rounds(&self) -> u64 {
        self.users.iter().map(|user| user.rounds()).sum()
    }

    async fn goes_on(&self) {
        let before = self.rounds();
        eventually("logins go on", 60, async || {
            (self.rounds() > before + 4).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

async fn there_and_back(url: &str) {
    let home = home().await;
    let (sessions, other) = (start(&home, "").await, start(&home, "").await);
    let quiet = Quiet::begun(gated(&sessions).as_ref()).await;
    for to in [url, "", url] {
        let traffic = Traffic::begin(&gated(&sessions), &gated(&other));
        traffic.goes_on().await;
        let outcome = sessions.move_to(to).await;
        assert!(outcome.paused_ms < 10_000, "{outcome:?}");
        let compared = |name| {
            outcome
                .verified
                .iter()
                .any(|one| one.name == name && one.rows > 0)
        };
        assert!(
            ["session", "account", "failed", "note"].into_iter().all(compared),
            "{outcome:?}"
        );
        traffic.goes_on().await;
        println!("{} rounds; {outcome:?}", traffic.rounds());
        traffic.end().await;
        for instance in [&sessions, &other] {
            quiet.check(gated(instance).as_ref()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_under_traffic_loses_and_revives_nothing() {
    let Some(redis) = redis().await else { return };
    there_and_back(&redis.url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_on_a_cluster() {
    let Some(cluster) = stores::redis_cluster().await else {
        return;
    };
    there_and_back(&cluster.url).await;
}

/// A login that took its marker in one store and would begin in the other: neither a revocation before the switch nor one after
/// it is slipped past.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_under_way_slips_past_no_revocation() {
    let Some(redis) = redis().await else { return };
    let home = home().await;
    let sessions = start(&home, "").await;
    let store = gated(&sessions);
    for to in [redis.url.as_str(), "", redis.url.as_str()] {
        let [before, after, none] = [(); 3].map(|()| Uuid::new_v4());
        let email = Hash::of_email(&Uuid::new_v4().to_string());
        let failing: Vec<Attempt> = [
            admitted(store.as_ref(), email).await,
            admitted(store.as_ref(), email).await,
        ]
        .into();
        let attempt = admitted(store.as_ref(), email).await;
        store.end_all(&[before]).await.unwrap();
        sessions.move_to(to).await;
        store.end_all(&[after]).await.unwrap();
        for user in [before, after, none] {
            let login = session(user);
            let begun = store.begin(&login, attempt.marker, PER_USER_MAX).await.unwrap();
            assert_eq!(begun, Begun::RevokedMeanwhile);
            assert_eq!(is_there(store.as_ref(), &login).await, None);
        }
        // Attempts that began there fail here, each once; the one that did not fail counts no more.
        settled(store.as_ref(), email, attempt, false).await;
        for attempt in failing {
            settled(store.as_ref(), email, attempt, true).await;
        }
        for _ in 2..THROTTLE.failures_max {
            let attempt = admitted(store.as_ref(), email).await;
            settled(store.as_ref(), email, attempt, true).await;
        }
        let refused = store.admit(email, now(), &THROTTLE).await.unwrap();
        assert!(matches!(refused, Admission::Refused { .. }), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_at_any_step_is_followed_by_another() {
    let Some(redis) = redis().await else { return };
    let (home, user) = (home().await, User::new());
    let (mut from, mut to) = (String::new(), redis.url.clone());
    let first = start(&home, &from).await;
    let quiet = Quiet::begun(gated(&first).as_ref()).await;
    drop(first);
    for steps in 1.. {
        let dying = home.start_by_hand(&from, open_side).await.unwrap();
        dying.moving.look().await.unwrap();
        user.round(gated(&dying).as_ref(), gated(&dying).as_ref()).await;
        dying.ask(&to, false).await;
        dying.work(steps).await;
        let ended = dying.moving.status().await.unwrap().under_way.is_none();
        drop(dying);
        // The setting may name either store by now: the one that holds is the one that starts.
        let next = match home.start(&from, open_side).await {
            Ok(next) => next,
            Err(_) => start(&home, &to).await,
        };
        user.round(gated(&next).as_ref(), gated(&next).as_ref()).await;
        assert_eq!(
            next.ended().await.ending,
            Ending::Switched,
            "killed after {steps} steps"
        );
        quiet.check(gated(&next).as_ref()).await;
        let refused = home.start(&from, open_side).await.err().unwrap().to_string();
        assert!(
            refused.starts_with(SESSIONS_STORE) && refused.contains("was moved from"),
            "{refused}"
        );
        std::mem::swap(&mut from, &mut to);
        if ended {
            println!("a move is {steps} steps at most");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_move_leaves_everything_where_it_was() {
    let Some(redis) = redis().await else { return };
    let home = home().await;
    let sessions = start(&home, "").await;
    let store = gated(&sessions);
    let quiet = Quiet::begun(store.as_ref()).await;
    sessions.ask(&redis.url, true).await;
    eventually("it waits for the operator", 60, async || {
        let view = sessions.moving.status().await.ok()?.under_way?;
        (view.phase == Phase::Following && view.undecided && view.marked == 0).then_some(())
    })
    .await;
    quiet.check(store.as_ref()).await;
    let shadow = eventually("what was compared is told", 60, async || {
        let shadow = sessions.moving.status().await.ok()?.under_way?.shadow;
        (shadow.compared > 0).then_some(shadow)
    })
    .await;
    assert_eq!((shadow.different, shadow.failed), (0, 0), "{shadow:?}");
    let refused = home.start(&redis.url, open_side).await.err().unwrap().to_string();
    assert!(
        refused.starts_with(SESSIONS_STORE) && refused.contains("has not ended"),
        "{refused}"
    );
    sessions.moving.decide(Decision::Cancel).await.unwrap();
    assert_eq!(sessions.ended().await.ending, Ending::Cancelled);
    quiet.check(store.as_ref()).await;
    // It was emptied, so it may be moved to again.
    sessions.move_to(&redis.url).await;
    quiet.check(store.as_ref()).await;
}

/// Each write is copied by its own mark: the comparison before the switch would find a lost one, but has none to find.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_meanwhile_is_in_the_other_store_soon() {
    let Some(redis) = redis().await else { return };
    let home = home().await;
    let sessions = start(&home, "").await;
    let store = gated(&sessions);
    let (user, before) = (User::new(), logged_in(store.as_ref(), Uuid::new_v4()).await);
    sessions.ask(&redis.url, true).await;
    let copied = async || {
        eventually("all marks are copied", 60, async || {
            let view = sessions.moving.status().await.ok()?.under_way?;
            (view.phase == Phase::Following && view.undecided && view.marked == 0).then_some(())
        })
        .await;
    };
    copied().await;
    let there = open_side(home.environment(&redis.url)).await.unwrap().store;
    assert!(there.find(before.token, now()).await.unwrap().is_some());

    let mut logins = Vec::new();
    for _ in 0..=PER_USER_MAX {
        logins.push(logged_in(store.as_ref(), user.id).await);
    }
    let moved = store.look_up(before.token, now(), SLIDING).await.unwrap();
    copied().await;
    assert_eq!(there.find(before.token, now()).await.unwrap(), moved);
    let surplus = there.find(logins[0].token, now()).await.unwrap();
    assert_eq!(surplus, None, "the first one ended for the last one");
    assert!(there.find(logins[1].token, now()).await.unwrap().is_some());

    store.set_blocked(&user.news(true)).await.unwrap();
    store.end(logins[2].token).await.unwrap();
    copied().await;
    assert_eq!(there.find(logins[2].token, now()).await.unwrap(), None);
    assert!(there.find(logins[1].token, now()).await.unwrap().unwrap().blocked);
    let known = async |store: &Store| store.standings(&[user.id]).await.unwrap();
    assert_eq!(known(&there).await, known(&store).await);

    store.end_all(&[user.id]).await.unwrap();
    let email = Hash::of_email(&Uuid::new_v4().to_string());
    for _ in 0..THROTTLE.failures_max {
        let attempt = admitted(store.as_ref(), email).await;
        settled(store.as_ref(), email, attempt, true).await;
    }
    assert!(store.swap_note(None, "meanwhile").await.unwrap());
    copied().await;
    for login in &logins {
        assert_eq!(there.find(login.token, now()).await.unwrap(), None);
    }
    let refused = there.admit(email, now(), &THROTTLE).await.unwrap();
    assert!(matches!(refused, Admission::Refused { .. }), "{refused:?}");
    assert_eq!(there.note().await.unwrap().as_deref(), Some("meanwhile"));
}

/// What the gate costs while nothing is moved; `--ignored --nocapture --release` shows it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn the_gate_costs_nothing_that_can_be_seen() {
    const ROUNDS: u32 = 5_000;
    let Some(redis) = redis().await else { return };
    let sliding = Sliding {
        step: Duration::hours(1),
        ..SLIDING
    };
    for url in ["", redis.url.as_str()] {
        let home = home().await;
        let sessions = start(&home, url).await;
        let (behind, bare) = (gated(&sessions), sessions.moving.gate().here().store.clone());
        let session = logged_in(behind.as_ref(), Uuid::new_v4()).await;
        for round in 0..5 {
            let mut took = Vec::new();
            for store in [&bare, &behind] {
                let began = Instant::now();
                for _ in 0..ROUNDS {
                    let found = store.look_up(session.token, now(), sliding).await.unwrap();
                    assert!(found.is_some());
                }
                took.push(began.elapsed() / ROUNDS);
            }
            println!("{round}: bare {:?}, behind the gate {:?}", took[0], took[1]);
        }
    }
}
