//! Moving a store under a test's eyes: instances of a service that can be killed at any step, as far as their store goes.

use std::collections::HashMap;
use std::time::Duration;

use emporium_moving::record::{Ending, Outcome};
use emporium_moving::{MoveRequest, MoveStatus, Moving, Side, Step, Timing};
use emporium_service_kit::{Clock, Environment, ServiceName, StartError};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};

use crate::postgres::{TestDatabase, TestPostgres};
use crate::service::{Keys, bus_database, environment};

/// Short times, and still long enough for a machine with other work.
pub const TIMING: Timing = Timing {
    idle: Duration::from_millis(100),
    moving: Duration::from_millis(20),
    valid: Duration::from_secs(2),
    announce: Duration::from_millis(2_500),
};
/// What `docs/src/moving.md` says to do, by hand, with a store of this name that was left, when the other one is lost; of this service.
pub fn documented_recovery(store: &str, service: ServiceName) -> String {
    let page = include_str!("../../../../docs/src/moving.md");
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | `"));
    let found = rows.into_iter().find(|(name, _)| *name == store);
    let text = found.and_then(|(_, rest)| rest.split_once('`'));
    let (text, _) = text.expect("the page has a row for the store");
    text.replace("<service>", service.as_str())
}

/// Longest time that a small move may take, in seconds.
const MOVE_MAX: u64 = 120;

/// How fast orders and visitors come in: a store that takes less than comes in is never filled.
pub fn pace() -> Interval {
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// Where instances of a service find themselves: its own database, a bus, its secret.
pub struct Home {
    service: ServiceName,
    setting: &'static str,
    keys: Keys,
    database: TestDatabase,
    bus: TestDatabase,
    peers: HashMap<ServiceName, String>,
    clock: Clock,
}

/// An instance, as far as its store goes. Dropping it is like killing its process.
pub struct Instance<S: ?Sized> {
    /// What it mounts and runs.
    pub moving: Moving<S>,
    task: Option<JoinHandle<()>>,
}

impl<S: ?Sized> Drop for Instance<S> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Home {
    /// A new one, on an empty database.
    pub async fn new(service: ServiceName, setting: &'static str) -> Self {
        Self {
            service,
            setting,
            keys: Keys::default(),
            database: TestPostgres::get().await.empty_database().await,
            bus: bus_database().await,
            peers: HashMap::new(),
            clock: Clock::System,
        }
    }

    /// With services that it calls.
    #[must_use]
    pub fn with_peers(mut self, peers: impl IntoIterator<Item = (ServiceName, String)>) -> Self {
        self.peers.extend(peers);
        self
    }

    /// What an instance is given, its setting naming the store of this URL; of an empty one, the own database.
    pub fn environment(&self, url: &str) -> Environment {
        let mut environment = environment(
            self.service,
            &self.keys,
            &self.peers,
            self.clock.clone(),
            &self.database,
            &self.bus.url,
        );
        environment
            .stores
            .set(self.setting, url.to_owned())
            .expect("the setting takes the URL");
        environment
    }

    /// Starts an instance that follows moves and does their work.
    pub async fn start<S, F, R>(&self, url: &str, open: F) -> Result<Instance<S>, StartError>
    where
        S: ?Sized + Send + Sync + 'static,
        F: Fn(Environment) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Side<S>, StartError>>,
    {
        let mut instance = self.start_by_hand(url, open).await?;
        let run = instance.moving.task();
        instance.task = Some(tokio::spawn(async move {
            run().await.expect("the task of a move does not end");
        }));
        Ok(instance)
    }

    /// An instance that does only what the test makes it do ([`Moving::look`], [`Moving::step`]).
    pub async fn start_by_hand<S, F, R>(&self, url: &str, open: F) -> Result<Instance<S>, StartError>
    where
        S: ?Sized + Send + Sync + 'static,
        F: Fn(Environment) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Side<S>, StartError>>,
    {
        let moving = Moving::open_with(&self.environment(url), self.setting, open, TIMING).await?;
        Ok(Instance { moving, task: None })
    }
}

/// The URL as `emporium move` takes it.
pub fn target(url: &str) -> String {
    if url.is_empty() { "postgres:" } else { url }.to_owned()
}

impl<S: ?Sized + Send + Sync + 'static> Instance<S> {
    /// Asks for a move to the store of this URL; of an empty one, to the own database.
    pub async fn ask(&self, to: &str, shadow: bool) -> MoveStatus {
        let request = MoveRequest {
            to: target(to),
            shadow,
            overwrite: false,
        };
        let asked = self.moving.ask(&request).await;
        asked.unwrap_or_else(|problem| panic!("{:?}", problem.document()))
    }

    /// Waits until nothing is moved any more and gives what became of it.
    pub async fn ended(&self) -> Outcome {
        let mut told = String::new();
        crate::eventually("the move ends", MOVE_MAX, async || {
            let status = self.moving.status().await.ok()?;
            let Some(view) = &status.under_way else {
                return status.last;
            };
            // For whoever looks for why it does not.
            let at = format!("{:?}, pass {}, {:?}", view.phase, view.passes, view.trouble);
            if at != told {
                println!("{at}; {view:?}");
                told = at;
            }
            None
        })
        .await
    }

    /// Moves there, and sees that both held the same.
    pub async fn move_to(&self, to: &str) -> Outcome {
        self.ask(to, false).await;
        let outcome = self.ended().await;
        assert_eq!(outcome.ending, Ending::Switched, "{outcome:?}");
        assert!(outcome.verified.iter().all(|one| one.equal), "{outcome:?}");
        outcome
    }

    /// Makes it follow and work by hand until it has done so many steps; says whether the move has ended before.
    pub async fn work(&self, steps: usize) -> bool {
        let mut done = 0;
        while done < steps {
            if let Ok(false) = self.moving.look().await {
                return true;
            }
            match self.moving.step().await {
                Ok(Step::Done) => done += 1,
                _ => tokio::time::sleep(TIMING.moving).await,
            }
        }
        false
    }
}
