//! Crash points: the places just before and just after each commit of the checkout, where the crash tests kill the process.
//!
//! In a build with the cargo feature `crash-points`, `EMPORIUM_ORDERS_CRASH_AT=<point>:<before|after>[:<n>]` makes the
//! process kill itself (SIGKILL) when it reaches that place for the n-th time (1 unless given). A path instead names a file
//! that says so, read at every point, so that a running process can be told. In every other build [`reached`] is empty.

/// Which side of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The work is done, the commit is not sent.
    Before,
    /// The commit is acknowledged, nothing was done since.
    After,
}

/// Every point, in the order in which a checkout meets them. Calls to other services happen between one point's `after`
/// and the next one's `before`.
pub const POINTS: [&str; 12] = [
    CLAIM,
    CREATE,
    RESERVE,
    POINTS_ADDED,
    CHARGE,
    AWAIT,
    CONFIRM,
    SETTLE,
    ANSWER,
    RETRY,
    CANCEL,
    COMPENSATE,
];

/// The idempotency key is claimed.
pub const CLAIM: &str = "claim";
/// The pending order, its lines, its saga and `order.placed` are written.
pub const CREATE: &str = "create";
/// The stock is known to be reserved.
pub const RESERVE: &str = "reserve";
/// The points are known to be pending.
pub const POINTS_ADDED: &str = "points";
/// The charge is known to have succeeded.
pub const CHARGE: &str = "charge";
/// The charge has no answer yet, or is open (`tok_later`).
pub const AWAIT: &str = "await";
/// The reservation is known to be committed: the order is confirmed.
pub const CONFIRM: &str = "confirm";
/// Something that a confirmed order owed is acknowledged (points, cart).
pub const SETTLE: &str = "settle";
/// The answer is kept for replays.
pub const ANSWER: &str = "answer";
/// An attempt without a known outcome is noted.
pub const RETRY: &str = "retry";
/// The order is cancelled.
pub const CANCEL: &str = "cancel";
/// Something that a cancelled order owed is acknowledged (void, points, stock).
pub const COMPENSATE: &str = "compensate";

/// Says that a point is reached.
#[cfg(not(feature = "crash-points"))]
#[inline]
pub(crate) fn reached(_: &'static str, _: Side) {}

/// Says that a point is reached, and ends the process there when the environment asks for it.
#[cfg(feature = "crash-points")]
pub(crate) fn reached(point: &'static str, side: Side) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static SETTING: OnceLock<Option<String>> = OnceLock::new();
    static TIMES: AtomicU32 = AtomicU32::new(0);
    let setting = SETTING.get_or_init(|| std::env::var("EMPORIUM_ORDERS_CRASH_AT").ok());
    let wanted = match setting.as_deref() {
        Some(path) if path.starts_with('/') => std::fs::read_to_string(path).ok(),
        setting => setting.map(str::to_owned),
    };
    if let Some((name, at, n)) = wanted.as_deref().and_then(parse)
        && name == point
        && at == side
        && TIMES.fetch_add(1, Ordering::SeqCst) + 1 == n
    {
        // No unwinding, no flushing, no goodbye.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}

#[cfg(feature = "crash-points")]
fn parse(text: &str) -> Option<(&str, Side, u32)> {
    let mut parts = text.trim().split(':');
    let name = parts.next()?;
    let side = match parts.next()? {
        "before" => Side::Before,
        "after" => Side::After,
        _ => return None,
    };
    let n = parts.next().map_or(Some(1), |n| n.parse().ok())?;
    Some((name, side, n))
}
