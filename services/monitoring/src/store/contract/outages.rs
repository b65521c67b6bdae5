//! The part of the suite about servers that die, or stand still, in the middle of the work.

use std::time::Duration;

use emporium_service_kit::StoreError;
use emporium_test_kit::contract::{all_away, away};
use emporium_test_kit::eventually;

use super::{As, Bench, Error, START, Scrape, about, about_the_day, counter, only, scrape, seconds};

/// Longest time until a store that is back has to be used again, in seconds.
const RECOVERY_MAX: u64 = 8;

/// What is tested.
pub type Own = emporium_test_kit::Own<Bench>;

/// Round `n`, which says so.
fn said(n: i32) -> [Scrape; 1] {
    let at = START + seconds(5 * i64::from(n));
    [scrape("a", at, vec![counter("a", "c_total", f64::from(n))])]
}

/// The server is killed between rounds and within one, and starts again: every count that was made is there once, those of
/// rounds that could not be written with the next one that could.
pub async fn a_restart_loses_nothing(own: Own) {
    let Own { store: bench, server } = own;
    for n in 0..=30 {
        bench.feed.round(&said(n)).await;
    }
    bench.feed.settle(START + seconds(200)).await;
    for n in 31..=40 {
        bench.feed.round(&said(n)).await;
    }
    // Killed while it writes: nobody knows whether this round is there.
    let (last, ()) = futures::join!(
        async {
            let mut n = 40;
            while bench.feed.try_round(&said(n + 1)).await.is_ok() && n < 2_000 {
                n += 1;
            }
            n
        },
        async {
            tokio::task::yield_now().await;
            server.kill().await;
        }
    );
    let refused = bench.feed.try_round(&said(last + 1)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    server.restart().await;
    let next = last + 10;
    eventually("rounds are written again", RECOVERY_MAX, async || {
        bench.feed.try_round(&said(next)).await.ok()
    })
    .await;
    let now = START + seconds(5 * i64::from(next));
    for _ in 0..2 {
        assert_eq!(
            only(&bench, &about_the_day("c_total", As::Increase), now).await,
            Some(f64::from(next))
        );
        bench.feed.restart(now).await;
        bench.feed.settle(now + seconds(1_000)).await;
    }
}

/// The server stands still with its connections open: every question and every round fails in time, and works again soon
/// after.
pub async fn a_pause_is_an_error_in_time(own: Own) {
    let Own { store: bench, server } = own;
    bench.feed.round(&said(0)).await;
    bench.feed.round(&said(1)).await;
    let (question, now) = (about("c_total", As::Increase), START + seconds(20));
    server.pause().await;
    let next = said(2);
    let history = async {
        match bench.store.history(&question, now).await {
            Err(Error::Store(error)) => Err(error),
            other => Ok(other.unwrap()),
        }
    };
    let calls = [
        away("history", history),
        away("metrics", bench.store.metrics(100)),
        away("ping", bench.store.ping()),
        away("round", bench.feed.try_round(&next)),
    ];
    // A round is several statements, of which the first one that gets no answer ends it.
    all_away(server.error_max() + Duration::from_secs(1), calls).await;
    server.resume().await;
    eventually("rounds are written again", RECOVERY_MAX, async || {
        bench.feed.try_round(&said(3)).await.ok()
    })
    .await;
    assert_eq!(only(&bench, &question, now).await, Some(3.0));
}
