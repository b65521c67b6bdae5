//! Following the record: which store serves, and what a move that is under way asks of every instance.

use std::convert::Infallible;
use std::sync::Arc;

use emporium_service_kit::{Environment, StoreError};
use tokio::time::Instant;

use crate::gate::{Stance, View};
use crate::mover::Moving;
use crate::record::{Move, Phase, Place, Standing};
use crate::register;
use crate::side::Side;

/// How often an instance tells that it lives, in parts of the time that it counts.
const BEATS: u32 = 4;

impl<S: ?Sized + Send + Sync + 'static> Moving<S> {
    /// Reads the record again and again.
    pub(crate) async fn watch(&self) -> Infallible {
        loop {
            let pause = match self.look().await {
                Ok(true) => self.0.timing.moving,
                Ok(false) => self.0.timing.idle,
                Err(error) => {
                    tracing::warn!(setting = self.0.setting, %error, "where the data is cannot be read");
                    self.0.timing.moving
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Reads the record once and acts by it; says whether a move is under way.
    pub async fn look(&self) -> Result<bool, StoreError> {
        // One at a time: the task looks, and so do the steps of a move.
        let _one = self.0.looking.lock().await;
        loop {
            let read_at = Instant::now();
            let view = self.0.gate.view();
            let (version, standing) = register::standing(view.here.register.as_ref()).await?;
            match standing {
                Standing::Serving { .. } => {
                    if view.moving.is_some() {
                        self.0.gate.change(View::serving(view.here)).await;
                    }
                    self.0.gate.lease().extend(read_at + self.0.timing.valid);
                    return Ok(false);
                }
                Standing::Moving(moving) => {
                    if self.follow(view, version, *moving, read_at).await? {
                        return Ok(true);
                    }
                }
                Standing::Left(departure) => {
                    let there = match view.there {
                        Some(there) if view.moving.is_some_and(|(id, _)| id == departure.by) => there,
                        _ => self.open_place(&departure.to).await?,
                    };
                    tracing::info!(
                        setting = self.0.setting,
                        to = departure.to.address,
                        "going on in the other store"
                    );
                    self.0.gate.change(View::serving(there)).await;
                }
                Standing::Filling { from, .. } => {
                    let text = format!("the data is being moved here from {from}");
                    return Err(StoreError::Unavailable(text.into()));
                }
            }
        }
    }

    /// Acts by the phase of a move, and says so in the record; false when that was changed meanwhile.
    async fn follow(
        &self,
        view: View<S>,
        version: i64,
        mut moving: Move,
        read_at: Instant,
    ) -> Result<bool, StoreError> {
        let there = self.there(&view, &moving).await;
        let present = Some((moving.id, moving.epoch));
        if view.moving != present || there.is_some() != view.there.is_some() {
            if view.moving.is_none_or(|(id, _)| id != moving.id) {
                self.0.gate.shadow().reset();
                self.note(|notes| notes.report = crate::record::Report::default());
            }
            self.0
                .gate
                .change(View {
                    here: view.here.clone(),
                    there,
                    stance: stance(&moving),
                    moving: present,
                })
                .await;
        }
        if !self.is_due(&moving) {
            return Ok(true);
        }
        let shadow = self.0.gate.shadow().taken();
        let (beat, report) = self.note(|notes| {
            notes.beat += 1;
            notes.report.shadow = shadow;
            (notes.beat, notes.report.clone())
        });
        moving.acknowledge(self.0.member, beat, report);
        let told = Standing::Moving(Box::new(moving));
        if !register::swap(view.here.register.as_ref(), version, &told).await? {
            return Ok(false);
        }
        self.note(|notes| notes.acknowledged = Some(read_at));
        // Only what was told counts: whoever does the work takes those for dead who do not tell.
        self.0.gate.lease().extend(read_at + self.0.timing.valid);
        Ok(true)
    }

    /// Whether this instance has to tell something.
    fn is_due(&self, moving: &Move) -> bool {
        let told = moving.members.get(&self.0.member);
        let beat = self.0.timing.valid / BEATS;
        let is_old = self.note(|notes| notes.acknowledged.is_none_or(|at| at.elapsed() >= beat));
        is_old || told.is_none_or(|told| told.epoch != moving.epoch)
    }

    /// The store that is filled, if it can be opened now.
    async fn there(&self, view: &View<S>, moving: &Move) -> Option<Arc<Side<S>>> {
        let is_same = view.moving.is_some_and(|(id, _)| id == moving.id);
        if let (true, Some(there)) = (is_same, &view.there) {
            return Some(there.clone());
        }
        match self.open_place(&moving.to).await {
            Ok(there) => Some(there),
            Err(error) => {
                tracing::warn!(setting = self.0.setting, %error, "the store that a move fills cannot be opened");
                self.note(|notes| notes.report.trouble = Some(error.to_string()));
                None
            }
        }
    }

    /// Opens the store at a place.
    pub(crate) async fn open_place(&self, place: &Place) -> Result<Arc<Side<S>>, StoreError> {
        let unavailable = |error: String| StoreError::Unavailable(error.into());
        let url = self
            .0
            .sealer
            .open(&place.sealed, self.0.setting)
            .map_err(|error| unavailable(error.to_string()))?;
        let environment = self
            .with_url(&url)
            .map_err(|error| unavailable(error.to_string()))?;
        let side = (self.0.opener)(environment).await;
        Ok(Arc::new(side.map_err(|error| unavailable(error.to_string()))?))
    }

    /// The environment in which the setting is this URL; an empty one is the service's own database.
    pub(crate) fn with_url(&self, url: &str) -> Result<Environment, emporium_service_kit::StartError> {
        let mut environment = self.0.environment.clone();
        environment.stores.set(self.0.setting, url.to_owned())?;
        Ok(environment)
    }
}

fn stance(moving: &Move) -> Stance {
    match moving.phase {
        Phase::Announced => Stance::Marking,
        Phase::Following if moving.is_undecided() => Stance::Shadowing,
        Phase::Copying | Phase::Following => Stance::Following,
        Phase::Closing => Stance::Closing,
    }
}
