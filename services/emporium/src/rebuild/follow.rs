//! Asking for one rebuild and looking on until it has ended.

use std::time::Duration;

use emporium_event_bus::consumer::GroupState;
use emporium_event_bus::projection::{Phase, ProjectionStatus, Rebuild};
use emporium_service_kit::Clock;
use indicatif::HumanDuration;
use uuid::Uuid;

use super::Outcome;
use crate::Error;
use crate::operator::Operator;
use crate::projections::{IndexState, Method, Projection, REINDEX, TIMEOUT};
use crate::terminal::note;
use crate::watch::{self, LOOK, Watch, count};

/// Makes it anew.
pub(super) async fn rebuild(operator: &Operator, projection: &Projection) -> Result<Outcome, Error> {
    let watch = Watch::begin(operator, projection.service, "looking how far the rebuild is")?;
    let mut following = Following { watch, projection };
    let ended = match projection.method {
        Some(Method::Beside) => following.beside().await,
        Some(Method::Index) => following.index().await,
        None => Err(Error::Other(format!(
            "{} cannot be rebuilt: the {} service has no histories to make it from",
            projection.name, projection.service
        ))),
    };
    following.watch.progress.end();
    ended
}

/// A rebuild that is looked at.
struct Following<'a> {
    watch: Watch<'a>,
    projection: &'a Projection,
}

impl Following<'_> {
    fn path(&self, verb: &str) -> String {
        format!("/projections/{}{verb}", self.projection.name)
    }

    /// A second generation is built; the outcome carries the id of the rebuild that was asked for.
    async fn beside(&mut self) -> Result<Outcome, Error> {
        let under_way = self
            .projection
            .status
            .as_ref()
            .and_then(|status| status.rebuild.as_ref());
        if let Some(rebuild) = under_way {
            let age = Duration::try_from(Clock::System.now() - rebuild.started_at).unwrap_or_default();
            note(format_args!(
                "{}: joining the rebuild that began {} ago.",
                self.projection.name,
                HumanDuration(age)
            ));
        }
        let before = self
            .projection
            .status
            .as_ref()
            .and_then(|status| status.outcome.as_ref());
        let before = before.map(|outcome| outcome.id);
        let mut status: ProjectionStatus = self.ask_for(&self.path("/rebuild")).await?;
        let mut wanted = status.rebuild.as_ref().map(|rebuild| rebuild.id);
        loop {
            if let Some(outcome) = self.beside_ended(&status, wanted, before) {
                return Ok(outcome);
            }
            // The bus may have it built in place of the one that was asked for.
            wanted = status.rebuild.as_ref().map(|rebuild| rebuild.id).or(wanted);
            self.tell_beside(&status)?;
            tokio::time::sleep(LOOK).await;
            if let Some(next) = self.watch.look(&self.path("")).await? {
                status = next;
            }
        }
    }

    fn beside_ended(
        &self,
        status: &ProjectionStatus,
        wanted: Option<Uuid>,
        before: Option<Uuid>,
    ) -> Option<Outcome> {
        if status.rebuild.is_some() || status.group.position.is_none() {
            return None;
        }
        let outcome = status.outcome.as_ref()?;
        // Whatever is new counts too: the bus may have had it built, under another id.
        let is_new = wanted == Some(outcome.id) || Some(outcome.id) != before;
        is_new.then(|| Outcome {
            equal: outcome.equal,
            position: outcome.position,
            items: Some(outcome.events),
            tables: outcome.tables.clone(),
            differences: outcome.differences.clone(),
            ..self.outcome(Method::Beside)
        })
    }

    fn tell_beside(&mut self, status: &ProjectionStatus) -> Result<(), Error> {
        let name = &self.projection.name;
        let Some(rebuild) = &status.rebuild else {
            return self
                .watch
                .tell(&format!("{name}: being built for the bus"), "", "");
        };
        let read = count(rebuild.events);
        let doing = match rebuild.phase {
            Phase::Wanted if status.group.state == GroupState::Paused && status.group.position.is_none() => {
                "paused, and built when it is resumed".to_owned()
            }
            Phase::Wanted => "emptying the other generation".to_owned(),
            Phase::Reading => {
                let of = rebuild
                    .total
                    .map_or_else(String::new, |total| format!(" of {}", count(total)));
                format!("{read}{of} events read")
            }
            Phase::Comparing if status.group.state == GroupState::Paused => {
                format!("{read} events read; paused, and compared when it is resumed")
            }
            Phase::Comparing => format!("{read} events read; waiting for the live one, to compare both"),
        };
        let trouble = rebuild
            .error
            .as_deref()
            .or(status.group.error.as_deref())
            .unwrap_or_default();
        let rate = self.rate(rebuild);
        self.watch.tell(&format!("{name}: {doing}"), &rate, trouble)
    }

    /// Events a second since this command looks on; of a rebuild that it joined, that is not known.
    #[allow(clippy::cast_precision_loss)] // a rate to look at
    fn rate(&self, rebuild: &Rebuild) -> String {
        let joined = self
            .projection
            .status
            .as_ref()
            .is_some_and(|status| status.rebuild.is_some());
        let seconds = self.watch.elapsed().as_secs_f64();
        if joined || seconds < 1.0 || rebuild.phase != Phase::Reading {
            return String::new();
        }
        format!(", {:.0} events/s", rebuild.events as f64 / seconds)
    }

    /// A second index is filled from the database.
    async fn index(&mut self) -> Result<Outcome, Error> {
        let mut state: IndexState = self.ask_for(REINDEX).await?;
        loop {
            if !state.wanted && state.building.is_none() && state.index.is_some() {
                return Ok(Outcome {
                    items: Some(state.done),
                    ..self.outcome(Method::Index)
                });
            }
            let trouble = state.fault.clone().unwrap_or_default();
            self.watch.tell(
                &format!(
                    "{}: {} of {} products",
                    self.projection.name,
                    count(state.done),
                    count(state.total)
                ),
                "",
                &trouble,
            )?;
            tokio::time::sleep(LOOK).await;
            if let Some(next) = self.watch.look(REINDEX).await? {
                state = next;
            }
        }
    }

    fn outcome(&self, method: Method) -> Outcome {
        Outcome {
            projection: self.projection.name.clone(),
            service: self.projection.service,
            method,
            equal: None,
            position: None,
            items: None,
            seconds: self.watch.elapsed().as_secs_f64(),
            tables: Vec::new(),
            differences: Vec::new(),
        }
    }

    async fn ask_for<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        // Asking again while it goes on changes nothing.
        let call = self.watch.client().post(path).idempotent().timeout(TIMEOUT);
        watch::ask(call, "asking for the rebuild").await
    }
}
