//! What each test token makes the simulated provider do.

use time::{Duration, OffsetDateTime};

use super::Outcome;

/// What becomes of a request.
pub(super) struct Plan {
    /// The customer has to finish on the provider's side.
    pub open: bool,
    pub outcome: Option<Outcome>,
    pub reason: Option<&'static str>,
    /// When the outcome can be found.
    pub settles_at: Option<OffsetDateTime>,
    /// When the provider tells of it unasked.
    pub notify_at: Option<OffsetDateTime>,
}

/// `tok_slow` settles after this long, ...
pub const SLOW: Duration = Duration::seconds(5);
/// ... and the provider tells of it only after this long: within a saga's time only a look-up finds it.
pub const SLOW_NOTICE: Duration = Duration::seconds(60);
/// `tok_late` settles, and the provider tells of it, after every saga's deadline.
pub const LATE: Duration = Duration::seconds(45);

/// The plan for a token at `now`.
pub(super) fn plan(token: &str, now: OffsetDateTime) -> Plan {
    let settled = |after: Duration, notice: Option<Duration>| Plan {
        open: false,
        outcome: Some(Outcome::Succeeded),
        reason: None,
        settles_at: Some(now + after),
        notify_at: notice.map(|notice| now + notice),
    };
    let declined = |reason| Plan {
        outcome: Some(Outcome::Declined),
        reason: Some(reason),
        ..settled(Duration::ZERO, None)
    };
    let nothing = |open| Plan {
        open,
        outcome: None,
        reason: None,
        settles_at: None,
        notify_at: None,
    };
    match token {
        "tok_ok" => settled(Duration::ZERO, None),
        "tok_twice" => settled(Duration::ZERO, Some(Duration::ZERO)),
        "tok_slow" => settled(SLOW, Some(SLOW_NOTICE)),
        "tok_late" => settled(LATE, Some(LATE)),
        "tok_timeout" => nothing(false),
        "tok_later" => nothing(true),
        "tok_decline" => declined("card-declined"),
        _ => declined("unknown-token"),
    }
}
