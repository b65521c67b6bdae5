//! Looking on: how far every consumer group is on the bus, every few milliseconds, and from that how long each event took.
//!
//! A group's position moves when it has acknowledged, which is after its transaction has committed: by then everything up to
//! there can be read in the projection. So a lag measured so is never too short; it is too long by up to one look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use emporium_service_kit::ServiceName;
use hdrhistogram::Histogram;
use sqlx::PgConnection;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::publish::Due;
use super::results::Lag;

/// Time between two looks.
pub const LOOK: Duration = Duration::from_millis(5);
const LAG_US_MAX: u64 = 600_000_000;
/// Where the bus itself is, among the groups' positions.
const BUS: usize = 0;

/// A consumer group and the event types that it takes.
pub struct Group {
    /// Its service.
    pub service: ServiceName,
    /// Its name on the bus.
    pub name: &'static str,
    kinds: &'static [&'static str],
}

/// All of the shop's groups. Types that nobody publishes here are left out of the first three.
pub const GROUPS: [Group; 6] = [
    Group {
        service: ServiceName::Sessions,
        name: "sessions",
        kinds: &["user.updated.v1"],
    },
    Group {
        service: ServiceName::Catalog,
        name: "catalog",
        kinds: &["order.confirmed.v1"],
    },
    Group {
        service: ServiceName::Orders,
        name: "orders",
        kinds: &["user.updated.v1", "payment.succeeded.v1", "payment.declined.v1"],
    },
    Group {
        service: ServiceName::Reviews,
        name: emporium_reviews::store::PROJECTION,
        kinds: emporium_reviews::changes::KINDS,
    },
    Group {
        service: ServiceName::Recommendations,
        name: emporium_recommendations::store::PROJECTION,
        kinds: emporium_recommendations::events::KINDS,
    },
    Group {
        service: ServiceName::Analytics,
        name: emporium_analytics::store::PROJECTION,
        kinds: emporium_analytics::events::KINDS,
    },
];

/// One look: positions of the bus and of all groups.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    at: Duration,
    positions: [i64; GROUPS.len() + 1],
}

impl Look {
    /// Whether a group has everything that is on the bus.
    pub fn is_behind(&self, group: usize) -> bool {
        self.positions[group + 1] < self.positions[BUS]
    }
}

/// Looks on in the background.
pub struct Watch {
    looks: Arc<Mutex<Vec<Look>>>,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Watch {
    /// Begins to look.
    pub fn start(mut bus: PgConnection, began: Instant) -> Self {
        let (looks, stop) = (Arc::<Mutex<Vec<Look>>>::default(), CancellationToken::new());
        let (into, until) = (looks.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let mut every = tokio::time::interval(LOOK);
            every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while until.run_until_cancelled(every.tick()).await.is_some() {
                let look = look(&mut bus, began).await?;
                into.lock().unwrap_or_else(PoisonError::into_inner).push(look);
            }
            Ok(())
        });
        Self { looks, stop, task }
    }

    /// The last look.
    pub fn last(&self) -> Option<Look> {
        self.looks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last()
            .copied()
    }

    /// Fails when it has stopped to look.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.task.is_finished(),
            "the groups' positions could not be read any more"
        );
        Ok(())
    }

    /// Ends; gives all looks.
    pub async fn end(self) -> anyhow::Result<Vec<Look>> {
        self.stop.cancel();
        self.task.await??;
        Ok(std::mem::take(
            &mut *self.looks.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

async fn look(bus: &mut PgConnection, began: Instant) -> anyhow::Result<Look> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT name, position FROM bus_group UNION ALL SELECT '', position FROM bus_head")
            .fetch_all(bus)
            .await?;
    let found: HashMap<&str, i64> = rows.iter().map(|(name, at)| (name.as_str(), *at)).collect();
    let mut positions = [0; GROUPS.len() + 1];
    positions[BUS] = found.get("").copied().unwrap_or(0);
    for (group, position) in GROUPS.iter().zip(&mut positions[1..]) {
        *position = found.get(group.name).copied().unwrap_or(0);
    }
    // After the answer: an event counts as there when it is known to be.
    Ok(Look {
        at: began.elapsed(),
        positions,
    })
}

/// The lag of every group, the bus itself first, over events that were due from `from` to `to`.
pub async fn lags(
    bus: &mut PgConnection,
    looks: &[Look],
    due: &[Due],
    (from, to): (Duration, Duration),
) -> anyhow::Result<Vec<Lag>> {
    let rows: Vec<(Uuid, i64)> = sqlx::query_as("SELECT id, position FROM bus_log")
        .fetch_all(bus)
        .await?;
    let positions: HashMap<Uuid, i64> = rows.into_iter().collect();
    let mut events = Vec::new();
    for due in due.iter().filter(|due| due.at >= from && due.at < to) {
        let position = positions.get(&due.id);
        events.push((*position.context("LOST: an event is not on the bus")?, *due));
    }
    events.sort_unstable_by_key(|(position, _)| *position);
    let mut lags = vec![lag("bus", BUS, &[], looks, &events)?];
    for (number, group) in GROUPS.iter().enumerate() {
        lags.push(lag(group.name, number + 1, group.kinds, looks, &events)?);
    }
    Ok(lags)
}

/// `events` are in the order of their positions, and so are looks: one pass over both.
fn lag(
    name: &str,
    place: usize,
    kinds: &[&str],
    looks: &[Look],
    events: &[(i64, Due)],
) -> anyhow::Result<Lag> {
    let mut us: Histogram<u64> = Histogram::new_with_bounds(1, LAG_US_MAX, 3)?;
    let mut seen = looks.iter().peekable();
    for (position, due) in events {
        if !kinds.is_empty() && !kinds.contains(&due.kind) {
            continue;
        }
        while seen.next_if(|look| look.positions[place] < *position).is_some() {}
        let look = seen.peek().context("LOST: an event was never acknowledged")?;
        let lag = u64::try_from(look.at.saturating_sub(due.at).as_micros()).unwrap_or(LAG_US_MAX);
        us.saturating_record(lag.clamp(1, LAG_US_MAX));
    }
    let ms = |quantile| f64::from(u32::try_from(us.value_at_quantile(quantile)).unwrap_or(u32::MAX)) / 1e3;
    Ok(Lag {
        group: name.to_owned(),
        events: us.len(),
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        max_ms: ms(1.0),
    })
}
