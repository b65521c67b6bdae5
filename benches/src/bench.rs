//! Rounds: shop and floor in turn, each round's ratio by itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use emporium_benches::stores::compare::median;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::counters::Counters;
use crate::flows::{Flow, fillers, null_workers};
use crate::http::address_of;
use crate::load::{self, Measured, OPEN_CONNECTIONS};
use crate::machine::{busy_s, cpu_s, cpu_tree_s, settle};
use crate::prepare::Material;
use crate::process::{Program, Shop};

/// Connections of the closed loop.
pub const CLOSED_CONNECTIONS: usize = 8;
/// Longer than filling all carts takes.
const FILL_TIMEOUT: Duration = Duration::from_mins(2);
/// More orders than that do not come in a warm-up.
const WARM_UP_ORDERS_PER_S: f64 = 500.0;
const CARTS_TO_SPARE: usize = 200;

/// How long and how often.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Plan {
    /// Rounds.
    pub rounds: usize,
    /// Seconds of each loop.
    pub seconds: f64,
    /// Seconds of load before the first round.
    pub warm_up_s: f64,
}

/// The two sides of a comparison, and what they are asked for.
pub struct Sides<'a> {
    /// The shop.
    pub shop: &'a Shop,
    /// The floor.
    pub floor: &'a Program,
    /// Where the floor listens.
    pub floor_address: SocketAddr,
    /// The requests' material.
    pub material: Arc<Material>,
}

/// One side of one flow.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Side {
    /// Closed loop, median of the rounds.
    pub throughput_per_s: f64,
    /// Closed loop, each round.
    pub rounds_per_s: Vec<f64>,
    /// Requests of the closed loops.
    pub requests: u64,
    /// Rate of the open loop, median of the rounds.
    pub open_per_s: f64,
    /// Latency of the open loops together, from the intended time.
    pub latency_ms: Latency,
    /// Share of the open loops' requests that were sent late for want of a free connection.
    pub late_share: f64,
    /// Processor time of the program a request, closed loop.
    pub program_cpu_us: f64,
    /// Processor time of the database server a request, closed loop.
    pub postgres_cpu_us: f64,
    /// Processor time of the generator a request, closed loop.
    pub generator_cpu_us: f64,
    /// Cores that everything else on the machine kept busy during a closed loop, at worst; the other side's idle process
    /// is part of it.
    pub others_cores: f64,
    /// The longest time until background work was done after a closed loop, in seconds.
    pub settled_after_s: f64,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// A flow's result.
#[derive(Debug, Clone, Serialize)]
pub struct FlowResult {
    /// What was asked for.
    pub request: &'static str,
    /// The shop.
    pub shop: Side,
    /// The floor, if it answers this flow.
    pub floor: Option<Side>,
    /// Shop's throughput to floor's, median of the rounds.
    pub ratio: Option<f64>,
    /// The lowest and the highest round.
    pub ratio_spread: Option<(f64, f64)>,
    /// What the shop's services did a request, background work included.
    pub shop_store_calls: f64,
    /// Milliseconds waited for the store a request, summed over services.
    pub shop_store_ms: f64,
    /// Calls between services a request.
    pub shop_service_calls: f64,
}

/// What is collected over the rounds of one side.
#[derive(Default)]
struct Collected {
    closed: Vec<Measured>,
    open: Vec<(f64, Measured)>,
    program_cpu_s: f64,
    postgres_cpu_s: f64,
    generator_cpu_s: f64,
    others_cores: f64,
    settled: Duration,
    /// What the shop's services did during the closed loops and in the background after them.
    counted: Counters,
    /// Throughput of the last closed loop.
    expected_per_s: f64,
}

impl Collected {
    fn new(expected_per_s: f64) -> Self {
        Self {
            expected_per_s,
            ..Self::default()
        }
    }
}

/// A server under load.
#[derive(Clone, Copy)]
struct Target {
    address: SocketAddr,
    pid: u32,
}

impl Sides<'_> {
    fn shop_target(&self) -> anyhow::Result<Target> {
        Ok(Target {
            address: address_of(self.shop.gateway()?)?,
            pid: self.shop.pid(),
        })
    }

    fn floor_target(&self) -> Target {
        Target {
            address: self.floor_address,
            pid: self.floor.pid(),
        }
    }

    fn settle(&self) -> anyhow::Result<Duration> {
        settle(self.shop.pid(), self.shop.postgres_pid()?)
    }

    /// Measures one flow.
    pub fn measure(&self, flow: Flow, plan: Plan) -> anyhow::Result<FlowResult> {
        let shop = self.shop_target()?;
        let floor = flow.has_floor().then(|| self.floor_target());
        let mut of_shop = self.warm_up(flow, shop, plan)?;
        let mut of_floor = floor.map(|floor| self.warm_up(flow, floor, plan)).transpose()?;
        for round in 0..plan.rounds {
            self.round(flow, shop, plan, &mut of_shop)?;
            if let (Some(floor), Some(of_floor)) = (floor, &mut of_floor) {
                self.round(flow, floor, plan, of_floor)?;
            }
            progress(flow, round, plan.rounds, &of_shop, of_floor.as_ref());
        }
        let floor = of_floor.as_ref().map(side).transpose()?;
        Ok(result(flow, side(&of_shop)?, floor, of_shop.counted))
    }

    fn warm_up(&self, flow: Flow, target: Target, plan: Plan) -> anyhow::Result<Collected> {
        self.fill_carts(flow, target, WARM_UP_ORDERS_PER_S * plan.warm_up_s)?;
        let rate = self.closed(flow, target, plan.warm_up_s)?.per_s();
        self.settle()?;
        Ok(Collected::new(rate))
    }

    fn round(&self, flow: Flow, target: Target, plan: Plan, into: &mut Collected) -> anyhow::Result<()> {
        self.fill_carts(flow, target, into.expected_per_s * 1.5 * plan.seconds)?;
        let rate = self.closed_round(flow, target, plan, into)? / 2.0;
        into.expected_per_s = rate * 2.0;
        self.fill_carts(flow, target, rate * plan.seconds)?;
        let workers = flow.workers(target.address, &self.material, OPEN_CONNECTIONS);
        let duration = Duration::from_secs_f64(plan.seconds);
        into.open
            .push((rate, load::open(target.address, workers, rate, duration)?));
        self.settle()?;
        Ok(())
    }

    /// One closed loop with everything that is noted about it; gives its throughput.
    fn closed_round(
        &self,
        flow: Flow,
        target: Target,
        plan: Plan,
        into: &mut Collected,
    ) -> anyhow::Result<f64> {
        let (postgres, own) = (self.shop.postgres_pid()?, std::process::id());
        let counters = Counters::read(self.shop)?;
        let ours = || Ok::<_, anyhow::Error>((cpu_s(target.pid)?, cpu_tree_s(postgres)?, cpu_s(own)?));
        let (before, busy) = (ours()?, busy_s()?);
        let measured = self.closed(flow, target, plan.seconds)?;
        let (after, busy) = (ours()?, busy_s()? - busy);
        into.generator_cpu_s += after.2 - before.2;
        let used = after.0 - before.0 + after.1 - before.1 + after.2 - before.2;
        into.others_cores = into.others_cores.max((busy - used) / measured.seconds);
        // What a request leaves to be done in the background is part of its cost.
        into.settled = into.settled.max(self.settle()?);
        let after = ours()?;
        into.program_cpu_s += after.0 - before.0;
        into.postgres_cpu_s += after.1 - before.1;
        into.counted = into.counted.plus(Counters::read(self.shop)?.since(counters));
        let rate = measured.per_s();
        into.closed.push(measured);
        Ok(rate)
    }

    fn closed(&self, flow: Flow, target: Target, seconds: f64) -> anyhow::Result<Measured> {
        let workers = flow.workers(target.address, &self.material, CLOSED_CONNECTIONS);
        load::closed(target.address, workers, Duration::from_secs_f64(seconds))
    }

    /// Orders need full carts: so many, and some to spare. Filling them is not measured.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a number of carts
    fn fill_carts(&self, flow: Flow, target: Target, carts: f64) -> anyhow::Result<()> {
        if flow == Flow::Checkout {
            let carts = carts as usize + CARTS_TO_SPARE;
            let workers = fillers(target.address, &self.material, CLOSED_CONNECTIONS, carts);
            load::closed(target.address, workers, FILL_TIMEOUT)?;
            self.settle()?;
        }
        Ok(())
    }

    /// The generator and a handler that does nothing: requests per second, and the generator's time a request.
    pub fn generator(&self, seconds: f64) -> anyhow::Result<Generator> {
        let before = cpu_s(std::process::id())?;
        let workers = null_workers(self.floor_address, CLOSED_CONNECTIONS);
        let measured = load::closed(self.floor_address, workers, Duration::from_secs_f64(seconds))?;
        let used = cpu_s(std::process::id())? - before;
        let rate = measured.per_s() / 2.0;
        let workers = null_workers(self.floor_address, OPEN_CONNECTIONS);
        let open = load::open(
            self.floor_address,
            workers,
            rate.min(5_000.0),
            Duration::from_secs_f64(seconds),
        )?;
        Ok(Generator {
            null_per_s: measured.per_s(),
            cpu_us_per_request: us_each(used, measured.completed),
            null_latency_ms: latency(&open.latency_us),
        })
    }
}

/// What the load generator can do and costs.
#[derive(Debug, Clone, Serialize)]
pub struct Generator {
    /// Requests per second to a handler that does nothing.
    pub null_per_s: f64,
    /// Processor time of the generator a request.
    pub cpu_us_per_request: f64,
    /// Open loop against that handler at no more than 5,000 a second: what of every latency is the generator's own.
    pub null_latency_ms: Latency,
}

fn result(flow: Flow, shop: Side, floor: Option<Side>, counted: Counters) -> FlowResult {
    let requests = count(shop.requests.max(1));
    let mut ratios: Vec<f64> = floor.iter().flat_map(|floor| ratios(&shop, floor)).collect();
    ratios.sort_by(f64::total_cmp);
    FlowResult {
        request: flow.request(),
        ratio: floor.is_some().then(|| median(&ratios)),
        ratio_spread: ratios.first().copied().zip(ratios.last().copied()),
        shop,
        floor,
        shop_store_calls: counted.store_calls / requests,
        shop_store_ms: counted.store_s * 1e3 / requests,
        shop_service_calls: counted.service_calls / requests,
    }
}

fn ratios(shop: &Side, floor: &Side) -> Vec<f64> {
    let pairs = shop.rounds_per_s.iter().zip(&floor.rounds_per_s);
    pairs.map(|(shop, floor)| shop / floor).collect()
}

fn side(collected: &Collected) -> anyhow::Result<Side> {
    let rounds_per_s: Vec<f64> = collected.closed.iter().map(Measured::per_s).collect();
    let rates: Vec<f64> = collected.open.iter().map(|(rate, _)| *rate).collect();
    let requests = collected.closed.iter().map(|measured| measured.completed).sum();
    let opened: u64 = collected
        .open
        .iter()
        .map(|(_, measured)| measured.completed)
        .sum();
    let late: u64 = collected.open.iter().map(|(_, measured)| measured.late).sum();
    let mut all = Histogram::new_with_bounds(1, 120_000_000, 3)?;
    for (_, measured) in &collected.open {
        all.add(&measured.latency_us)?;
    }
    Ok(Side {
        throughput_per_s: median(&sorted(&rounds_per_s)),
        rounds_per_s,
        requests,
        open_per_s: median(&sorted(&rates)),
        latency_ms: latency(&all),
        late_share: count(late) / count(opened.max(1)),
        program_cpu_us: us_each(collected.program_cpu_s, requests),
        postgres_cpu_us: us_each(collected.postgres_cpu_s, requests),
        generator_cpu_us: us_each(collected.generator_cpu_s, requests),
        others_cores: collected.others_cores,
        settled_after_s: collected.settled.as_secs_f64(),
    })
}

fn latency(us: &Histogram<u64>) -> Latency {
    let at = |quantile| count(us.value_at_quantile(quantile)) / 1e3;
    Latency {
        p50: at(0.50),
        p95: at(0.95),
        p99: at(0.99),
        max: count(us.max()) / 1e3,
    }
}

fn us_each(seconds: f64, requests: u64) -> f64 {
    seconds * 1e6 / count(requests.max(1))
}

#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
fn count(number: u64) -> f64 {
    number as f64
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn progress(flow: Flow, round: usize, rounds: usize, shop: &Collected, floor: Option<&Collected>) {
    let last = |side: &Collected| side.closed.last().map_or(0.0, Measured::per_s);
    let floor = floor.map(|floor| {
        format!(
            ", floor {:.0}/s, ratio {:.3}",
            last(floor),
            last(shop) / last(floor)
        )
    });
    let (name, round, shop) = (flow.name(), round + 1, last(shop));
    eprintln!(
        "  {name} round {round}/{rounds}: shop {shop:.0}/s{}",
        floor.unwrap_or_default()
    );
}

/// Results by flow name.
pub type Flows = BTreeMap<&'static str, FlowResult>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&[1.0, 2.0, 10.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[1.0, 2.0, 4.0, 10.0]) - 3.0).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
    }
}
