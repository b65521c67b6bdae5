//! Random sequences of operations, compared with a plain in-memory model of what sessions are. The model is written from the
//! contract, not from the adapters.

use std::collections::BTreeMap;

use emporium_service_kit::Clock;
use emporium_test_kit::{check_sequences, sequences};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{LIFETIME, SLIDING, Store, marker, session};
use crate::config::Throttle;
use crate::model::Session;
use crate::store::{Admission, Attempt, Begun, Marker, PENDING_MAX, Standing};
use crate::token::{self, Hash, TokenHash};

const SEQUENCES: u32 = 500;
/// Few, so that it is met.
const PER_USER_MAX: u32 = 2;
const THROTTLE: Throttle = Throttle {
    failures_max: 2,
    window: Duration::minutes(5),
};

/// Users, addresses and sessions are small numbers, so that operations meet.
#[derive(Debug, Clone)]
enum Operation {
    TakeMarker,
    Begin {
        user: u8,
    },
    BeginWithOldMarker {
        user: u8,
    },
    LookUp {
        session: u8,
    },
    LookUpForged,
    End {
        session: u8,
    },
    EndAll {
        users: Vec<u8>,
    },
    /// Users, and how far ahead of what is known of them the news is.
    SetBlocked {
        news: Vec<(u8, i64)>,
    },
    Admit {
        address: u8,
    },
    Settle {
        address: u8,
        failed: bool,
    },
    Wait {
        seconds: i64,
    },
    Reap,
}

fn operation() -> impl Strategy<Value = Operation> {
    let seconds = prop_oneof![
        4 => 1..200i64,
        2 => Just(23 * 3_600),
        1 => Just(24 * 3_600),
        1 => Just(10 * 86_400)
    ];
    prop_oneof![
        1 => Just(Operation::TakeMarker),
        4 => (0..3u8).prop_map(|user| Operation::Begin { user }),
        2 => (0..3u8).prop_map(|user| Operation::BeginWithOldMarker { user }),
        8 => (0..6u8).prop_map(|session| Operation::LookUp { session }),
        1 => Just(Operation::LookUpForged),
        2 => (0..6u8).prop_map(|session| Operation::End { session }),
        1 => proptest::collection::vec(0..3u8, 0..3).prop_map(|users| Operation::EndAll { users }),
        3 => proptest::collection::vec((0..3u8, -2..3i64), 0..4)
            .prop_map(|news| Operation::SetBlocked { news }),
        6 => (0..2u8).prop_map(|address| Operation::Admit { address }),
        5 => (0..2u8, prop::bool::weighted(0.8)).prop_map(|(address, failed)| Operation::Settle { address, failed }),
        4 => seconds.prop_map(|seconds| Operation::Wait { seconds }),
        1 => Just(Operation::Reap),
    ]
}

struct Model {
    now: OffsetDateTime,
    users: Vec<Uuid>,
    /// In the order of beginning, for choosing one.
    tokens: Vec<TokenHash>,
    live: BTreeMap<TokenHash, Session>,
    /// The newest version that is known of each user.
    versions: [i64; 3],
    /// The marker taken last, and who was revoked since.
    old: Option<(Marker, Vec<Uuid>)>,
    addresses: [Address; 2],
}

struct Address {
    hash: Hash,
    failures: Vec<OffsetDateTime>,
    under_way: Vec<Attempt>,
}

impl Address {
    fn new() -> Self {
        Self {
            hash: Hash::of_email(&Uuid::new_v4().to_string()),
            failures: Vec::new(),
            under_way: Vec::new(),
        }
    }

    /// `None` when the attempt may be made.
    fn refusal(&mut self, now: OffsetDateTime) -> Option<Admission> {
        self.failures.retain(|at| *at + THROTTLE.window > now);
        self.under_way.retain(|attempt| attempt.at + PENDING_MAX > now);
        let max = usize::from(THROTTLE.failures_max);
        if self.failures.len() + self.under_way.len() < max {
            return None;
        }
        // They are in the order of time.
        let spare = self.failures.len().checked_sub(max);
        Some(spare.map_or(Admission::Busy, |spare| Admission::Refused {
            until: self.failures[spare] + THROTTLE.window,
        }))
    }
}

impl Model {
    fn new() -> Self {
        Self {
            now: Clock::System.now(),
            users: (0..3).map(|_| Uuid::new_v4()).collect(),
            tokens: Vec::new(),
            live: BTreeMap::new(),
            versions: [0; 3],
            old: None,
            addresses: [Address::new(), Address::new()],
        }
    }

    fn user(&self, n: u8) -> Uuid {
        self.users[usize::from(n)]
    }

    fn token(&self, n: u8) -> Option<TokenHash> {
        self.tokens
            .get(usize::from(n) % self.tokens.len().max(1))
            .copied()
    }

    fn keep(&mut self, session: Session) {
        let (now, user) = (self.now, session.user_id);
        self.live.retain(|_, session| session.expires_at > now);
        self.tokens.push(session.token);
        self.live.insert(session.token, session);
        let of_user = || self.live.values().filter(|session| session.user_id == user);
        if of_user().count() > PER_USER_MAX as usize {
            let oldest = of_user().min_by_key(|session| session.began_at).unwrap().token;
            self.live.remove(&oldest);
        }
        // No two begin at the same moment, so that it is known which was first.
        self.now += Duration::microseconds(1);
    }

    fn look_up(&mut self, token: TokenHash) -> Option<Session> {
        let now = self.now;
        self.live.retain(|_, session| session.expires_at > now);
        let session = self.live.get_mut(&token)?;
        let latest = session.began_at + LIFETIME;
        let target = if now + SLIDING.ttl > latest {
            latest
        } else {
            now + SLIDING.ttl
        };
        if target >= session.expires_at + Duration::minutes(1) {
            session.expires_at = target;
        }
        Some(session.clone())
    }

    /// What events would tell of these users: of the same version always the same.
    fn told(&self, news: &[(u8, i64)]) -> Vec<Standing> {
        let told = |(user, ahead): &(u8, i64)| {
            let version = (self.versions[usize::from(*user)] + ahead).max(1);
            Standing {
                user_id: self.user(*user),
                version,
                blocked: version % 2 == 1,
            }
        };
        news.iter().map(told).collect()
    }

    fn set_blocked(&mut self, told: &[Standing]) {
        for (n, user) in self.users.iter().enumerate() {
            let of_user = told.iter().filter(|told| told.user_id == *user);
            let Some(newest) = of_user.max_by_key(|told| told.version) else {
                continue;
            };
            if newest.version <= self.versions[n] {
                continue;
            }
            self.versions[n] = newest.version;
            let sessions = self.live.values_mut();
            for session in sessions.filter(|session| session.user_id == *user) {
                session.blocked = newest.blocked;
            }
            if let (true, Some((_, revoked))) = (newest.blocked, &mut self.old) {
                revoked.push(*user);
            }
        }
    }

    fn end_all(&mut self, users: &[Uuid]) -> u64 {
        let now = self.now;
        if let Some((_, revoked)) = &mut self.old {
            revoked.extend(users);
        }
        self.live.retain(|_, session| session.expires_at > now);
        let before = self.live.len();
        self.live.retain(|_, session| !users.contains(&session.user_id));
        u64::try_from(before - self.live.len()).unwrap()
    }
}

async fn admit(store: &Store, now: OffsetDateTime, address: &mut Address) {
    let admission = store.admit(address.hash, now, &THROTTLE).await.unwrap();
    match (admission, address.refusal(now)) {
        (Admission::Granted(attempt), None) => address.under_way.push(attempt),
        (admission, refusal) => assert_eq!(Some(admission), refusal),
    }
}

/// Ends the first attempt whose time is not over: of others, a store may have forgotten the address.
async fn settle(store: &Store, now: OffsetDateTime, address: &mut Address, failed: bool) {
    let live = |attempt: &Attempt| attempt.at + PENDING_MAX > now;
    let Some(n) = address.under_way.iter().position(live) else {
        return;
    };
    let attempt = address.under_way.remove(n);
    let settled = store.settle(address.hash, attempt, failed, now, &THROTTLE).await;
    settled.unwrap();
    if failed {
        address.failures.push(now);
    }
}

/// Does one operation to both and compares what they give.
async fn step(store: &Store, model: &mut Model, operation: &Operation) {
    match operation {
        Operation::TakeMarker => model.old = Some((marker(store, model.now).await, Vec::new())),
        Operation::Begin { user } => {
            let session = session(model.user(*user), model.now);
            let marker = marker(store, model.now).await;
            let begun = store.begin(&session, marker, PER_USER_MAX).await.unwrap();
            assert_eq!(begun, Begun::Yes);
            model.keep(session);
        }
        Operation::BeginWithOldMarker { user } => {
            let session = session(model.user(*user), model.now);
            let Some((marker, revoked)) = &model.old else {
                return;
            };
            let begun = store.begin(&session, *marker, PER_USER_MAX).await.unwrap();
            if revoked.contains(&session.user_id) {
                assert_eq!(begun, Begun::RevokedMeanwhile);
            } else {
                assert_eq!(begun, Begun::Yes);
                model.keep(session);
            }
        }
        Operation::LookUp { session } => {
            let Some(token) = model.token(*session) else {
                return;
            };
            let found = store.look_up(token, model.now, SLIDING).await.unwrap();
            assert_eq!(found, model.look_up(token));
        }
        Operation::LookUpForged => {
            let forged = token::generate(model.user(0)).1;
            assert_eq!(store.look_up(forged, model.now, SLIDING).await.unwrap(), None);
        }
        Operation::End { session } => {
            let Some(token) = model.token(*session) else {
                return;
            };
            store.end(token).await.unwrap();
            model.live.remove(&token);
        }
        Operation::EndAll { users } => {
            let users: Vec<Uuid> = users.iter().map(|n| model.user(*n)).collect();
            let ended = store.end_all(&users).await.unwrap();
            // Expired ones that still lie about may be counted.
            assert!(ended >= model.end_all(&users));
        }
        Operation::SetBlocked { news } => {
            let told = model.told(news);
            store.set_blocked(&told).await.unwrap();
            model.set_blocked(&told);
        }
        Operation::Admit { address } => {
            admit(store, model.now, &mut model.addresses[usize::from(*address)]).await;
        }
        Operation::Settle { address, failed } => {
            settle(
                store,
                model.now,
                &mut model.addresses[usize::from(*address)],
                *failed,
            )
            .await;
        }
        Operation::Wait { seconds } => model.now += Duration::seconds(*seconds),
        // Nobody may notice the reaper.
        Operation::Reap => {
            store.reap(model.now, 100).await.unwrap();
        }
    }
}

/// Checks many random sequences. `EMPORIUM_TEST_SEED` repeats a run.
pub fn check(store: &Store) {
    let config = sequences(SEQUENCES, emporium_test_kit::seed());
    let operations = proptest::collection::vec(operation(), 1..30);
    check_sequences(config, &operations, async |operations| {
        let mut model = Model::new();
        for operation in &operations {
            step(store, &mut model, operation).await;
        }
        for token in model.tokens.clone() {
            let found = store.look_up(token, model.now, SLIDING).await.unwrap();
            assert_eq!(found, model.look_up(token));
        }
    });
}
