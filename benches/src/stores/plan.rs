//! How much and how long.

use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Sizes, rounds and times of a run, from environment variables; a harness for other sizes sets them so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Rounds in which both sides take their turn.
    pub rounds: usize,
    /// Seconds of a turn.
    pub turn_s: f64,
    /// Callers at once.
    pub callers: Vec<usize>,
    /// Sessions, and carts, that are there.
    pub entries: Vec<usize>,
    /// Products that are indexed.
    pub products: Vec<usize>,
    /// Events that are on the bus at the beginning.
    pub events: Vec<usize>,
    /// Orders that recommendations and analytics know.
    #[serde(default)]
    pub orders: Vec<usize>,
    /// Reviews that are there.
    #[serde(default)]
    pub reviews: Vec<usize>,
    /// Hours of points that are there.
    #[serde(default)]
    pub hours: Vec<usize>,
}

impl Plan {
    /// As the environment says: `EMPORIUM_BENCH_ROUNDS`, `_TURN_S`, `_CALLERS`, `_ENTRIES`, `_PRODUCTS`, `_EVENTS`, `_ORDERS`,
    /// `_REVIEWS`, `_HOURS`, lists with commas. `EMPORIUM_BENCH_QUICK=1`, or `quick`, changes the defaults: seconds, to see that it works.
    pub fn read(quick: bool) -> anyhow::Result<Self> {
        let quick = quick || std::env::var_os("EMPORIUM_BENCH_QUICK").is_some_and(|value| value == "1");
        let sizes = |name, full: &[usize], small: &[usize]| list(name, if quick { small } else { full });
        Ok(Self {
            rounds: list("EMPORIUM_BENCH_ROUNDS", &[if quick { 2 } else { 7 }])?[0].max(1),
            turn_s: number("EMPORIUM_BENCH_TURN_S", if quick { 0.05 } else { 0.3 })?,
            callers: list("EMPORIUM_BENCH_CALLERS", &[1, 32])?,
            entries: sizes("EMPORIUM_BENCH_ENTRIES", &[1_000, 100_000], &[200, 1_000])?,
            products: sizes("EMPORIUM_BENCH_PRODUCTS", &[5_000, 50_000], &[500, 2_000])?,
            events: sizes("EMPORIUM_BENCH_EVENTS", &[1_000, 100_000], &[500, 2_000])?,
            orders: sizes("EMPORIUM_BENCH_ORDERS", &[5_000, 50_000], &[200, 1_000])?,
            reviews: sizes("EMPORIUM_BENCH_REVIEWS", &[2_000, 20_000], &[1_600, 2_000])?,
            hours: sizes("EMPORIUM_BENCH_HOURS", &[2, 24], &[1, 2])?,
        })
    }

    /// A side's turn in a round.
    pub fn turn(&self) -> Duration {
        Duration::from_secs_f64(self.turn_s)
    }
}

fn list(name: &str, default: &[usize]) -> anyhow::Result<Vec<usize>> {
    let Ok(text) = std::env::var(name) else {
        return Ok(default.to_vec());
    };
    let numbers: Result<Vec<usize>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let numbers = numbers.with_context(|| format!("{name} is a list of numbers, such as 1000,100000"))?;
    anyhow::ensure!(
        !numbers.contains(&0),
        "{name}: there is nothing to measure with 0"
    );
    Ok(numbers)
}

fn number(name: &str, default: f64) -> anyhow::Result<f64> {
    let Ok(text) = std::env::var(name) else {
        return Ok(default);
    };
    text.parse()
        .with_context(|| format!("{name} is a number of seconds"))
}
