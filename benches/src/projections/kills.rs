//! Killing consumers: a random service's process gets SIGKILL, in whatever it is doing, and is started again at once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use emporium_benches::load::check_interrupted;
use emporium_service_kit::ServiceName;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::results::Killed;
use super::watch::{GROUPS, Watch};
use super::world::World;
use crate::process::Program;

/// Between two kills, on average; each pause is from half to one and a half of it. A killed member holds its group's lease for
/// five seconds, so with six services each is killed about once in its lease and some work.
pub const PAUSE: Duration = Duration::from_millis(1_200);

/// The services' processes.
pub type Services = BTreeMap<ServiceName, Program>;

/// Kills so many, after a while.
pub async fn kill(
    world: &World,
    services: &mut Services,
    watch: &Watch,
    (count, seed): (usize, u64),
    after: Duration,
) -> anyhow::Result<Killed> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut at_work, mut by_service) = (0, BTreeMap::<String, usize>::new());
    if count > 0 {
        tokio::time::sleep(after).await;
    }
    for number in 1..=count {
        tokio::time::sleep(PAUSE.mul_f64(rng.random_range(0.5..1.5))).await;
        check_interrupted()?;
        watch.check()?;
        let place = rng.random_range(0..GROUPS.len());
        let service = GROUPS[place].service;
        at_work += usize::from(watch.last().is_some_and(|look| look.is_behind(place)));
        let mut killed = services.remove(&service).context("a service does not run")?;
        ensure!(
            killed.is_running()?,
            "{service} ended by itself: {}",
            killed.output()
        );
        killed.kill()?;
        services.insert(service, world.program(service)?);
        *by_service.entry(service.to_string()).or_default() += 1;
        if number % 20 == 0 || number == count {
            eprintln!("  {number} of {count} kills");
        }
    }
    Ok(Killed {
        kills: count,
        at_work,
        by_service: by_service.into_iter().collect(),
    })
}

/// Fails when one of them has ended by itself.
pub fn all_run(services: &mut Services) -> anyhow::Result<()> {
    for (service, program) in services {
        ensure!(
            program.is_running()?,
            "{service} ended by itself: {}",
            program.output()
        );
    }
    Ok(())
}
