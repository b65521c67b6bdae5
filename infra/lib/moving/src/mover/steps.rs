//! The work of each phase.

use std::sync::Arc;

use emporium_service_kit::StoreError;

use super::{Moving, Step};
use crate::record::{Ending, Move, Phase, Standing};
use crate::register;
use crate::side::{Building, Copied, CopiedSide, Page, Side, missing_of_log};

impl<S: ?Sized + Send + Sync + 'static> Moving<S> {
    pub(super) async fn one_step(&self, here: &Arc<Side<S>>, moving: &Move) -> anyhow::Result<Step> {
        if moving.phase == Phase::Closing && self.is_switched(moving).await? {
            return self.leave(here, moving).await;
        }
        if moving.cancelled {
            self.give_up(here, moving, Ending::Cancelled, Vec::new()).await?;
            return Ok(Step::Done);
        }
        let done = match moving.phase {
            Phase::Announced => self.claim_target(here, moving).await,
            Phase::Copying => self.copy_some(here, moving).await,
            Phase::Following => self.follow_on(here, moving).await,
            Phase::Closing => self.close(here, moving).await,
        };
        match done {
            // It would be refused again: the other store cannot hold it.
            Err(error) if is_refusal(&error) => {
                let reasons = vec![error.to_string()];
                self.give_up(here, moving, Ending::Refused, reasons).await?;
                Ok(Step::Done)
            }
            done => done,
        }
    }

    /// Writes down in the other store that it is being filled.
    async fn claim_target(&self, here: &Side<S>, moving: &Move) -> anyhow::Result<Step> {
        let there = self.target(moving).await?;
        let (version, standing) = register::standing(there.register.as_ref()).await?;
        let is_free = match &standing {
            Standing::Moving(other) if other.id == moving.id => {
                return self
                    .refuse(here, moving, "it is the store where the data is already")
                    .await;
            }
            Standing::Moving(_) => {
                return self
                    .refuse(here, moving, "the data in it is being moved elsewhere")
                    .await;
            }
            Standing::Filling { by, .. } if *by == moving.id => true,
            // What it holds was given up, or is elsewhere now.
            Standing::Filling { .. } | Standing::Left(_) => true,
            Standing::Serving { .. } => moving.overwrite || there.is_empty().await?,
        };
        if !is_free {
            return self.refuse(here, moving, NOT_EMPTY).await;
        }
        let filling = Standing::Filling {
            by: moving.id,
            mover: self.0.member,
            from: moving.from.clone(),
        };
        if register::swap(there.register.as_ref(), version, &filling).await? {
            if let Some(copied) = &here.copied {
                // Marks of a move before: whatever they name is there to be listed now.
                copied.journal.clear().await?;
            }
            self.change_own(here, moving.id, |moving| moving.enter(Phase::Copying))
                .await?;
        }
        Ok(Step::Done)
    }

    async fn refuse(&self, here: &Side<S>, moving: &Move, why: &str) -> anyhow::Result<Step> {
        self.give_up(here, moving, Ending::Refused, vec![why.to_owned()])
            .await?;
        Ok(Step::Done)
    }

    /// Copies a page, or builds a piece.
    async fn copy_some(&self, here: &Side<S>, moving: &Move) -> anyhow::Result<Step> {
        let there = self.target(moving).await?;
        if !moving.emptied {
            if let Some(copied) = &there.copied {
                self.held(here, moving, copied.records.clear()).await?;
            }
            self.change_own(here, moving.id, |moving| moving.emptied = true)
                .await?;
            return Ok(Step::Done);
        }
        if !moving.listed {
            return self.copy_page(here, &there, moving).await;
        }
        if self.drain(here, &there, moving).await? {
            return Ok(Step::Done);
        }
        self.build_piece(here, &there, moving).await
    }

    async fn copy_page(&self, here: &Side<S>, there: &Side<S>, moving: &Move) -> anyhow::Result<Step> {
        let (Some(from), Some(to)) = (&here.copied, &there.copied) else {
            self.change_own(here, moving.id, |moving| moving.listed = true)
                .await?;
            return Ok(Step::Done);
        };
        let max = page(from, to);
        let some = from.records.keys(moving.cursor.as_deref(), max).await?;
        let copied = self
            .copy(
                here,
                moving,
                (from.records.as_ref(), to.records.as_ref()),
                &some.keys,
            )
            .await?;
        self.change_own(here, moving.id, |moving| {
            moving.copied += copied;
            moving.listed = some.next.is_none();
            moving.cursor.clone_from(&some.next);
        })
        .await?;
        Ok(Step::Done)
    }

    async fn build_piece(&self, here: &Side<S>, there: &Side<S>, moving: &Move) -> anyhow::Result<Step> {
        if let Some(built) = &there.built {
            let building = built.build(!moving.building).await?;
            if !moving.building {
                self.change_own(here, moving.id, |moving| moving.building = true)
                    .await?;
            }
            match building {
                Building::Under { done, total } => {
                    self.note(|notes| notes.report.built = Some((done, total)));
                    return Ok(Step::Done);
                }
                Building::Waits => return Ok(Step::Waits),
                Building::Done => {}
            }
        }
        self.change_own(here, moving.id, |moving| moving.enter(Phase::Following))
            .await?;
        Ok(Step::Done)
    }

    /// Copies what was written to meanwhile, until the operator has decided.
    async fn follow_on(&self, here: &Side<S>, moving: &Move) -> anyhow::Result<Step> {
        let there = self.target(moving).await?;
        if self.drain(here, &there, moving).await? {
            return Ok(Step::Done);
        }
        if moving.is_undecided() {
            return Ok(Step::Waits);
        }
        if let Some(built) = there.built.as_ref().filter(|_| moving.closings > 0) {
            let epoch = Some(moving.epoch);
            let anew = self.note(|notes| std::mem::replace(&mut notes.settling, epoch) != epoch);
            if !built.is_settled(anew).await? {
                return Ok(Step::Waits);
            }
        }
        self.change_own(here, moving.id, |moving| moving.enter(Phase::Closing))
            .await?;
        Ok(Step::Done)
    }

    /// Copies the records of these keys as they are by now.
    async fn copy(
        &self,
        here: &Side<S>,
        moving: &Move,
        (from, to): (&dyn Copied, &dyn Copied),
        keys: &[String],
    ) -> anyhow::Result<i64> {
        if keys.is_empty() {
            return Ok(0);
        }
        let page = Page::read(from, keys).await?;
        self.held(here, moving, page.put(to)).await?;
        Ok(page.count())
    }

    /// Copies some of what was written to; true when there may be as much again.
    pub(super) async fn drain(&self, here: &Side<S>, there: &Side<S>, moving: &Move) -> anyhow::Result<bool> {
        let (Some(from), Some(to)) = (&here.copied, &there.copied) else {
            return Ok(false);
        };
        let max = page(from, to);
        let both = (from.records.as_ref(), to.records.as_ref());
        let marks = from.journal.noted(max).await?;
        if !marks.is_empty() {
            let keys: Vec<String> = marks.iter().map(|mark| mark.key.clone()).collect();
            self.copy(here, moving, both, &keys).await?;
            from.journal.forget(&marks).await?;
        }
        let (missing, more_of_log) = missing_of_log(both.0, both.1).await?;
        self.copy(here, moving, both, &missing).await?;
        Ok(marks.len() >= max || more_of_log)
    }
}

/// How many records go at a time.
fn page(from: &CopiedSide, to: &CopiedSide) -> usize {
    from.records.page().min(to.records.page())
}

/// Why a store that holds something is not filled.
pub(crate) const NOT_EMPTY: &str =
    "there is data in it already; empty it, or add --overwrite to throw that away";

/// Whether an error is the data's, and no outage.
fn is_refusal(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<StoreError>()
        .is_some_and(StoreError::is_refusal)
}
