//! Adapter and bare client in turn, call by call.
//!
//! criterion gives the mean of batches; what one caller waits for is told by the time of each single call. So every call is
//! timed here, from the first poll of its future to its end, into an HDR histogram of nanoseconds with three digits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use futures::future::BoxFuture;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::plan::Plan;
use super::results::{Comparison, Figures, Ratio};

/// A call that may be awaited; making it is not timed, so ids and events are made beforehand.
pub type Call = BoxFuture<'static, anyhow::Result<()>>;
/// One of the two sides: makes call number `index` of caller number `caller`.
pub type Side = Arc<dyn Fn(usize, usize) -> Call + Send + Sync>;
/// Brings back what was there before the first so many calls of each caller.
pub type Restore = Arc<dyn Fn(usize) -> Call + Send + Sync>;

/// Longer than any call may take.
const NS_MAX: u64 = 60_000_000_000;
/// Turns that a side may take to warm up.
const WARM_UPS_MAX: usize = 5;

/// Which numbers the calls have.
#[derive(Clone)]
pub enum Order {
    /// So many, again and again, in turn; the other side goes on where this one stopped.
    Cycle(usize),
    /// Every one is new.
    Endless,
    /// So many of all callers together, then everything has to be as before.
    Once(usize, Restore),
    /// So many of each caller, then everything has to be as before.
    Own(usize, Restore),
}

/// Work that both sides do in the same way.
#[derive(Clone)]
pub struct Workload {
    /// The adapter's name.
    pub adapter: &'static str,
    /// What is done.
    pub work: &'static str,
    /// How much is there.
    pub size: usize,
    /// The server and what it keeps after a crash.
    pub server: String,
    /// See above.
    pub durability: String,
    /// The adapter.
    pub adapter_side: Side,
    /// The bare client.
    pub bare_side: Side,
    /// Which calls.
    pub order: Order,
}

/// What of a workload was called so far.
#[derive(Default)]
struct Course {
    next: Arc<AtomicUsize>,
}

/// One side's turn.
struct Turn {
    ns: Histogram<u64>,
    seconds: f64,
}

/// Compares the two sides at so many callers.
pub async fn compare(workload: &Workload, callers: usize, plan: &Plan) -> anyhow::Result<Comparison> {
    let course = Course::default();
    let sides = [&workload.adapter_side, &workload.bare_side];
    for side in sides {
        warm_up(workload, &course, side, callers, plan.turn()).await?;
    }
    let mut turns: [Vec<Turn>; 2] = [Vec::new(), Vec::new()];
    for round in 0..plan.rounds {
        // Who goes first changes, so that neither always finds what the other left.
        for number in [round % 2, 1 - round % 2] {
            turns[number].push(turn(workload, &course, sides[number], callers, plan.turn()).await?);
        }
    }
    let [adapter, bare] = &turns;
    Ok(Comparison {
        adapter: workload.adapter.to_owned(),
        work: workload.work.to_owned(),
        size: workload.size,
        callers,
        server: workload.server.clone(),
        durability: workload.durability.clone(),
        ratio_p50: ratio(adapter, bare),
        adapter_us: figures(adapter)?,
        bare_us: figures(bare)?,
    })
}

/// A turn that does not count. A server that compiles its code while it runs may be too slow at first for an adapter's
/// deadline; it has to become fast enough: from here on, a failed call fails the comparison.
async fn warm_up(
    workload: &Workload,
    course: &Course,
    side: &Side,
    callers: usize,
    time: Duration,
) -> anyhow::Result<()> {
    let mut warmed = turn(workload, course, side, callers, time).await;
    for _ in 1..WARM_UPS_MAX {
        if warmed.is_ok() {
            break;
        }
        warmed = turn(workload, course, side, callers, time).await;
    }
    warmed.map(drop)
}

async fn turn(
    workload: &Workload,
    course: &Course,
    side: &Side,
    callers: usize,
    time: Duration,
) -> anyhow::Result<Turn> {
    let used = match &workload.order {
        Order::Cycle(_) | Order::Endless => course.next.clone(),
        Order::Once(..) | Order::Own(..) => Arc::default(),
    };
    let started = Instant::now();
    let running: Vec<_> = (0..callers)
        .map(|caller| {
            let caller = Caller {
                side: side.clone(),
                order: workload.order.clone(),
                next: used.clone(),
                number: caller,
            };
            tokio::spawn(caller.call_until(started + time))
        })
        .collect();
    // All of them end before anything is said about one that failed.
    let ended = futures::future::join_all(running).await;
    let seconds = started.elapsed().as_secs_f64();
    let (mut all, mut most, mut failed) = (histogram()?, 0, None);
    for caller in ended {
        match caller? {
            Ok((ns, calls)) => {
                all.add(&ns)?;
                most = most.max(calls);
            }
            Err(error) => failed = Some(error),
        }
    }
    match &workload.order {
        Order::Once(count, restore) => restore(used.load(Ordering::Relaxed).min(*count)).await?,
        Order::Own(_, restore) => restore(most).await?,
        Order::Cycle(_) | Order::Endless => {}
    }
    if let Some(error) = failed {
        return Err(error);
    }
    ensure!(!all.is_empty(), "no call was made in a turn");
    Ok(Turn { ns: all, seconds })
}

struct Caller {
    side: Side,
    order: Order,
    next: Arc<AtomicUsize>,
    number: usize,
}

impl Caller {
    async fn call_until(self, end: Instant) -> anyhow::Result<(Histogram<u64>, usize)> {
        let mut ns = histogram()?;
        let mut calls = 0;
        while Instant::now() < end {
            let Some(index) = self.index(calls) else { break };
            let call = (self.side)(self.number, index);
            let started = Instant::now();
            call.await.context("a call failed while it was measured")?;
            ns.saturating_record(nanoseconds(started.elapsed()));
            calls += 1;
        }
        Ok((ns, calls))
    }

    fn index(&self, calls: usize) -> Option<usize> {
        let next = || self.next.fetch_add(1, Ordering::Relaxed);
        match &self.order {
            Order::Cycle(count) => Some(next() % count),
            Order::Endless => Some(next()),
            Order::Once(count, _) => Some(next()).filter(|index| index < count),
            Order::Own(count, _) => Some(calls).filter(|index| index < count),
        }
    }
}

fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, NS_MAX, 3)?)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NS_MAX).clamp(1, NS_MAX)
}

fn figures(turns: &[Turn]) -> anyhow::Result<Figures> {
    let mut all = histogram()?;
    for turn in turns {
        all.add(&turn.ns)?;
    }
    let medians = sorted(turns.iter().map(p50_us));
    let seconds: f64 = turns.iter().map(|turn| turn.seconds).sum();
    Ok(Figures {
        p50: p50_us(&Turn {
            ns: all.clone(),
            seconds,
        }),
        p99: us(all.value_at_quantile(0.99)),
        mean: all.mean() / 1e3,
        p50_lowest: medians.first().copied().unwrap_or(0.0),
        p50_highest: medians.last().copied().unwrap_or(0.0),
        calls: all.len(),
        calls_per_s: as_f64(all.len()) / seconds,
    })
}

/// Of the rounds' ratios; what else the machine does in a round hits both sides.
fn ratio(adapter: &[Turn], bare: &[Turn]) -> Ratio {
    let ratios = sorted(adapter.iter().zip(bare).map(|(a, b)| p50_us(a) / p50_us(b)));
    Ratio {
        median: median(&ratios),
        lowest: ratios.first().copied().unwrap_or(0.0),
        highest: ratios.last().copied().unwrap_or(0.0),
    }
}

fn p50_us(turn: &Turn) -> f64 {
    us(turn.ns.value_at_quantile(0.5))
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The middle one of sorted values, the mean of the two in the middle when there is no middle one.
pub fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

fn us(ns: u64) -> f64 {
    as_f64(ns) / 1e3
}

#[allow(clippy::cast_precision_loss)] // counts and nanoseconds stay far below 2^52
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Seen = Arc<Mutex<Vec<(usize, usize)>>>;

    fn side(seen: &Seen, takes: Duration) -> Side {
        let seen = seen.clone();
        Arc::new(move |caller, index| {
            seen.lock().unwrap().push((caller, index));
            Box::pin(async move {
                tokio::time::sleep(takes).await;
                Ok(())
            })
        })
    }

    fn workload(order: Order) -> (Workload, Seen) {
        let seen = Seen::default();
        let workload = Workload {
            adapter: "slow",
            work: "waiting",
            size: 1,
            server: String::new(),
            durability: String::new(),
            adapter_side: side(&seen, Duration::from_millis(6)),
            bare_side: side(&Seen::default(), Duration::from_millis(2)),
            order,
        };
        (workload, seen)
    }

    fn plan() -> Plan {
        Plan {
            rounds: 3,
            turn_s: 0.05,
            ..Plan::read(true).unwrap()
        }
    }

    // The clock stands still but for the calls, so how busy the machine is does not matter.
    #[tokio::test(start_paused = true)]
    async fn the_ratio_is_that_of_the_calls() {
        let (workload, _) = workload(Order::Endless);
        let compared = compare(&workload, 2, &plan()).await.unwrap();
        // 6 ms against 2 ms; a timer may be a millisecond late, and a histogram has three digits.
        let ratio = &compared.ratio_p50;
        assert!((2.3..=3.01).contains(&ratio.lowest), "{ratio:?}");
        assert!((2.3..=3.01).contains(&ratio.highest), "{ratio:?}");
        assert!(ratio.lowest <= ratio.median && ratio.median <= ratio.highest);
        assert!(compared.adapter_us.p50 >= 5_990.0 && compared.bare_us.p50 >= 1_990.0);
    }

    #[tokio::test]
    async fn own_calls_stop_at_their_number_and_everything_is_brought_back() {
        let restored = Arc::new(Mutex::new(Vec::new()));
        let noted = restored.clone();
        let restore: Restore = Arc::new(move |used| {
            noted.lock().unwrap().push(used);
            Box::pin(async { Ok(()) })
        });
        let (workload, seen) = workload(Order::Own(3, restore));
        compare(&workload, 2, &plan()).await.unwrap();
        assert!(
            seen.lock()
                .unwrap()
                .iter()
                .all(|(caller, index)| *caller < 2 && *index < 3)
        );
        // Both sides, the turn before the first round included.
        assert_eq!(*restored.lock().unwrap(), [3; 8]);
    }

    #[tokio::test]
    async fn a_failed_call_fails_the_comparison() {
        let (mut workload, _) = workload(Order::Cycle(4));
        workload.bare_side = Arc::new(|_, _| Box::pin(async { anyhow::bail!("refused") }));
        let error = compare(&workload, 2, &plan()).await.err().unwrap();
        assert!(format!("{error:#}").contains("refused"));
    }

    #[tokio::test]
    async fn only_a_warm_up_may_fail() {
        let (mut workload, _) = workload(Order::Endless);
        let made = Arc::new(AtomicUsize::new(0));
        let failing = |numbers: std::ops::Range<usize>| -> Side {
            let made = made.clone();
            Arc::new(move |_, _| {
                let fails = numbers.contains(&made.fetch_add(1, Ordering::Relaxed));
                Box::pin(async move {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    ensure!(!fails, "too slow");
                    Ok(())
                })
            })
        };
        workload.bare_side = failing(0..2);
        assert!(compare(&workload, 1, &plan()).await.is_ok());
        made.store(0, Ordering::Relaxed);
        workload.bare_side = failing(20..21);
        assert!(compare(&workload, 1, &plan()).await.is_err());
    }
}
