//! What contract suites have in common: the suite that every adapter of a store passes.

use std::fmt::Debug;
use std::time::Duration;

use emporium_event_bus::ApplyError;
use emporium_service_kit::StoreError;
use futures::future::{BoxFuture, join_all};

use crate::{OwnServer, eventually};

/// `contract_tests!(future of an adapter => tests)`: a test for each of these functions of the module above, each with an
/// adapter of its own. The future gives `None` where the adapter's server cannot be had, which the kit then lists as not run.
#[macro_export]
macro_rules! contract_tests {
    ($open:expr => $($test:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            if let Some(adapter) = $open.await {
                super::$test(adapter).await;
            }
        })+
    };
}

/// An error that may be the store's absence.
pub trait MaybeAway: Debug {
    /// Whether it says that the store is away, and to try again.
    fn is_away(&self) -> bool;
}

impl MaybeAway for StoreError {
    fn is_away(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl MaybeAway for ApplyError {
    fn is_away(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A call of a store whose server stands still; gives what is wrong about its answer.
pub type Call<'a> = BoxFuture<'a, Option<String>>;

/// The call `name`, which has to say that the store is away.
pub fn away<'a, T, E: MaybeAway>(
    name: &'static str,
    call: impl Future<Output = Result<T, E>> + Send + 'a,
) -> Call<'a> {
    Box::pin(async move {
        match call.await {
            Err(error) if error.is_away() => None,
            Err(error) => Some(format!("{name} says {error:?}")),
            Ok(_) => Some(format!("{name} has an answer")),
        }
    })
}

/// Makes the calls at once: within so much time ([`OwnServer::error_max`]), all of them have to say
/// that the store is away.
pub async fn all_away(error_max: Duration, calls: impl IntoIterator<Item = Call<'_>>) {
    let answers = tokio::time::timeout(error_max, join_all(calls)).await;
    let answers = answers.expect("errors in time");
    assert!(!answers.is_empty(), "nothing was called");
    let wrong: Vec<String> = answers.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Acknowledged writes of each writer before [`kill_amid`] kills the server.
const BEGUN: i64 = 20;

/// Kills the server in the middle of the work of several writers, starts it again, and waits until all of them go on, which may
/// take so many seconds. `acknowledged` gives a number that grows for each of them.
pub async fn kill_amid(
    server: &dyn OwnServer,
    ping: impl AsyncFn() -> Result<(), StoreError>,
    recovery_max: u64,
    acknowledged: impl Fn() -> Vec<i64>,
) {
    let all_beyond = |marks: &[i64]| {
        let now = acknowledged();
        now.iter().zip(marks).all(|(now, mark)| now > mark).then_some(())
    };
    let begun = vec![BEGUN; acknowledged().len()];
    assert!(!begun.is_empty(), "nobody writes");
    eventually("all write", 20, async || all_beyond(&begun)).await;
    server.kill().await;
    assert!(matches!(ping().await, Err(StoreError::Unavailable(_))));
    server.restart().await;
    let marks = acknowledged();
    eventually("all write again", recovery_max, async || all_beyond(&marks)).await;
}
