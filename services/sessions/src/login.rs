//! Logging in: throttle, verification by the users service, and the race with a block.
//!
//! A login that was verified just before its user is blocked must not begin a session just after the block has marked the
//! user's sessions. Blocks and log-outs everywhere, together called revocations, are numbered. A login notes the last number
//! *before* it asks the users service ([`SessionStore::admit`]) and begins its session only if its user's number has not
//! grown beyond that ([`SessionStore::begin`] decides atomically). If it has, the verification may be older than the block:
//! it is asked for again. If it has not, then either the block comes later, and finds the session to mark; or it had come
//! before the verification, which therefore saw the block, or that the user has been unblocked since. In the latter case the
//! new session is not marked, and the unblocking, when it comes, finds nothing to do there.

use std::time::Duration;

use emporium_service_kit::ServiceName;
use emporium_service_kit::client::{CALL_TIMEOUT, CallError};
use emporium_service_kit::contract::Read;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{LoginAnswer, LoginRequest, Role, Session};
use crate::routes::App;
use crate::store::{Admission, Attempt, Begun};
use crate::token::{self, Hash};

/// How often a login is verified anew because of revocations meanwhile.
const VERIFICATIONS_MAX: u32 = 3;
/// How long a login may take: less than the gateway waits, so that who waits in vain is told why.
const LOGIN_TIMEOUT: Duration = Duration::from_millis(4_500);
/// How long a login waits for others with the same address whose outcome will decide whether it is one too many. What is
/// left is for its own verification.
const WAIT_MAX: Duration = Duration::from_millis(3_500);
const _: () = assert!(LOGIN_TIMEOUT.as_millis() < CALL_TIMEOUT.as_millis());
const POLL_FIRST: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct Credentials<'a> {
    email: &'a str,
    password: &'a str,
}

/// What this service reads of the users service's answer.
#[derive(Deserialize, ToSchema)]
struct Verified {
    user_id: Uuid,
    role: Role,
    active: bool,
}

/// Every call that the service makes, and what it reads of the answer.
pub fn reads() -> Vec<Read> {
    vec![Read::of::<Verified>(
        ServiceName::Users,
        "post",
        "/credentials/verify",
    )]
}

/// Begins a session for whoever has these credentials.
pub async fn log_in(app: &App, request: &LoginRequest) -> Result<LoginAnswer, Error> {
    let (email, started) = (Hash::of_email(&request.email), Instant::now());
    for _ in 0..VERIFICATIONS_MAX {
        let attempt = admitted(app, email, started + WAIT_MAX).await?;
        let left = LOGIN_TIMEOUT.saturating_sub(started.elapsed());
        let verified = verify(app, request, left).await;
        let failed = matches!(verified, Err(Error::WrongCredentials));
        let throttle = &app.terms.throttle;
        app.store
            .settle(email, attempt, failed, app.clock.now(), throttle)
            .await?;
        let user = verified?;
        if !user.active {
            return Err(Error::UserBlocked);
        }
        if let Some(answer) = begin(app, &user, attempt).await? {
            return Ok(answer);
        }
    }
    Err(Error::AccountChanging)
}

/// Waits until the attempt may be made, or is known to be one too many.
async fn admitted(app: &App, email: Hash, end: Instant) -> Result<Attempt, Error> {
    let mut pause = POLL_FIRST;
    loop {
        let now = app.clock.now();
        match app.store.admit(email, now, &app.terms.throttle).await? {
            Admission::Granted(attempt) => return Ok(attempt),
            Admission::Refused { until } => {
                // An attempt that failed after this one's `now` would give a moment more than the window.
                let wait = (until - now).min(app.terms.throttle.window);
                let retry_after_s = whole_seconds_up(wait);
                return Err(Error::TooManyAttempts { retry_after_s });
            }
            Admission::Busy if Instant::now() < end => sleep(pause).await,
            Admission::Busy => return Err(Error::TooManyAttempts { retry_after_s: 1 }),
        }
        pause = (pause * 2).min(POLL_MAX);
    }
}

/// Rounded up, and at least one.
fn whole_seconds_up(wait: time::Duration) -> u32 {
    let started = i64::from(wait.subsec_nanoseconds() > 0);
    u32::try_from(wait.whole_seconds() + started).unwrap_or(0).max(1)
}

/// Asks the users service, once: every try costs it the hashing of a password.
async fn verify(app: &App, request: &LoginRequest, timeout: Duration) -> Result<Verified, Error> {
    let credentials = Credentials {
        email: &request.email,
        password: &request.password,
    };
    app.users
        .post("/credentials/verify")
        .json(&credentials)
        .timeout(timeout)
        .send()
        .await
        .map_err(|error: CallError| match error.code() {
            Some("wrong-credentials") => Error::WrongCredentials,
            _ => Error::Users(error),
        })
}

/// `None` when the user was blocked, or logged out everywhere, since the attempt began.
async fn begin(app: &App, user: &Verified, attempt: Attempt) -> Result<Option<LoginAnswer>, Error> {
    let (token, hash) = token::generate(user.user_id);
    let now = app.clock.now();
    let ends_at = now + app.terms.lifetime;
    let session = Session {
        token: hash,
        user_id: user.user_id,
        role: user.role,
        began_at: now,
        expires_at: ends_at.min(now + app.terms.sliding.ttl),
        ends_at,
        blocked: false,
    };
    Ok(
        match app
            .store
            .begin(&session, attempt.marker, app.terms.per_user_max)
            .await?
        {
            Begun::Yes => Some(LoginAnswer {
                token,
                user_id: session.user_id,
                role: session.role,
                expires_at: session.expires_at,
            }),
            Begun::RevokedMeanwhile => None,
        },
    )
}
