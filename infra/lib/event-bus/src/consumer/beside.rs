//! Building the other generation of a projection: beside the live one when an operator asks, in its place when the bus does.
//! What happens in the store is [`crate::projection`]'s; here it is driven, a unit at a time, so that dying between or within
//! units costs one unit.

use std::convert::Infallible;
use std::time::Duration;

use emporium_service_kit::client::Client;
use uuid::Uuid;

use super::{ApplyError, ConsumerGroup, StartAt};
use crate::history::{self, HistoryItem, HistoryPage};
use crate::projection::{
    BuildError, Cause, Comparison, Cursor, Generations, Outcome, Phase, Piece, Rebuild, Work,
};

/// How many times the group's lease a rebuild stands still after its member was killed: a unit of it may take longer.
const LEASES: u32 = 3;
/// How often it is looked whether a rebuild is wanted.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait for the live generation to catch up before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Dead letters that are read at a time.
const LETTERS: i64 = 500;

/// An event that was put aside.
struct Letter {
    id: i64,
    event: Uuid,
    /// Whether it still waits for its replay.
    waits: bool,
}

/// What one unit of work came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// There is nothing to do.
    Nothing,
    /// Something was done, and there is more.
    Done,
    /// The live generation has to catch up first.
    Waits,
    /// The generations were switched.
    Switched,
}

impl ConsumerGroup {
    /// Works on rebuilds whenever one is wanted. What fails is tried again.
    pub(super) async fn rebuild_for_ever(&self) -> Infallible {
        if !self.can_rebuild() {
            std::future::pending::<()>().await;
        }
        loop {
            let pause = match self.rebuild_unit().await {
                Ok(Unit::Done | Unit::Switched) => continue,
                Ok(Unit::Waits) => LOOK_AGAIN,
                Ok(Unit::Nothing) => LOOK_EVERY,
                Err(error) => {
                    tracing::warn!(group = self.name, %error, "rebuild does not go on; trying again");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.rebuild_wanted.notified() => {}
            }
        }
    }

    /// Does a unit of the rebuild that an operator wants: begins it, applies a page of a history, or compares and switches.
    /// Tests call it; a running member does it by itself.
    pub async fn rebuild_unit(&self) -> anyhow::Result<Unit> {
        let Some(generations) = self.buildable() else {
            return Ok(Unit::Nothing);
        };
        let done = self.one_unit(generations).await;
        self.set_rebuild_error(done.as_ref().err().map(ToString::to_string));
        done
    }

    async fn one_unit(&self, generations: &dyn Generations) -> anyhow::Result<Unit> {
        if generations.standing().await?.rebuild.is_none() {
            return Ok(Unit::Nothing);
        }
        // While the bus has the group built, who does that has the rebuild.
        if self.bus.progress(&self.name).await?.is_none() {
            return Ok(Unit::Nothing);
        }
        let lease = self.lease * LEASES;
        let Some(rebuild) = generations.take(self.rebuilder, lease).await? else {
            return Ok(Unit::Nothing);
        };
        let work = Work {
            rebuild: rebuild.id,
            member: self.rebuilder,
            lease,
        };
        let unit = async {
            match (rebuild.phase, self.next_history(&rebuild)) {
                (Phase::Wanted, _) => {
                    generations.begin(&work, &self.sources()).await?;
                    Ok(Unit::Done)
                }
                (_, Some((owner, cursor))) => {
                    self.read_piece(generations, &work, owner, cursor).await?;
                    Ok(Unit::Done)
                }
                (_, None) if rebuild.cause == Cause::Bus => {
                    self.switch_unseen(generations, &work).await?;
                    Ok(Unit::Switched)
                }
                (_, None) => self.compare_and_switch(generations, &work, rebuild.events).await,
            }
        };
        tokio::select! {
            biased;
            done = unit => done,
            lost = keep(generations, &work) => Err(lost.into()),
        }
    }

    /// Builds the other generation from the histories and switches, for a group that the bus gives to this member to build.
    pub(super) async fn build_generation(&self, generations: &dyn Generations) -> anyhow::Result<()> {
        let work = generations.replace(self.member, self.lease * LEASES).await?;
        generations.begin(&work, &self.sources()).await?;
        loop {
            let rebuild = generations.take(self.member, work.lease).await?;
            let rebuild = rebuild
                .filter(|rebuild| rebuild.id == work.rebuild)
                .ok_or(BuildError::Lost)?;
            match self.next_history(&rebuild) {
                Some((owner, cursor)) => self.read_piece(generations, &work, owner, cursor).await?,
                None => break,
            }
        }
        self.switch_unseen(generations, &work).await
    }

    /// Does a piece of building a projection in another store, to which the service's data is being moved: `generations` are those
    /// of that store. Begins anew if it has to. Gives how far it is, and `None` when the generation is built and live there.
    ///
    /// All the while every event is applied in both stores, as to both generations of one store. Dead letters stay with the store
    /// that serves.
    pub async fn build_elsewhere(
        &self,
        generations: &dyn Generations,
        anew: bool,
    ) -> anyhow::Result<Option<Rebuild>> {
        let lease = self.lease * LEASES;
        if anew {
            let work = generations.replace(self.rebuilder, lease).await?;
            generations.begin(&work, &self.sources()).await?;
            return Ok(generations.standing().await?.rebuild);
        }
        let Some(rebuild) = generations.take(self.rebuilder, lease).await? else {
            anyhow::ensure!(
                generations.standing().await?.rebuild.is_none(),
                "another instance has begun to build it; when its lease has run out, this one goes on"
            );
            return Ok(None);
        };
        let work = Work {
            rebuild: rebuild.id,
            member: self.rebuilder,
            lease,
        };
        let Some((owner, cursor)) = self.next_history(&rebuild) else {
            generations.switch(&work, None).await?;
            return Ok(None);
        };
        self.read_piece(generations, &work, owner, cursor).await?;
        Ok(generations.standing().await?.rebuild)
    }

    /// The end of the bus now, for [`ConsumerGroup::has_reached`].
    pub async fn bus_end(&self) -> anyhow::Result<i64> {
        Ok(self.bus.end().await?)
    }

    /// Whether the group has everything up to that position of the bus.
    pub async fn has_reached(&self, position: i64) -> anyhow::Result<bool> {
        let reached = self.bus.progress(&self.name).await?;
        Ok(reached.is_some_and(|progress| progress.position >= position))
    }

    /// Switches without comparing: the live generation lacked events, or was never built.
    async fn switch_unseen(&self, generations: &dyn Generations, work: &Work) -> anyhow::Result<()> {
        self.settle_letters(generations, work, &self.letters().await?)
            .await?;
        let outcome = generations.switch(work, None).await?;
        self.tell(&outcome);
        Ok(())
    }

    /// The history that is to be read next, and from where.
    fn next_history(&self, rebuild: &Rebuild) -> Option<(&Client, Cursor)> {
        let StartAt::Histories(owners) = &self.start else {
            return None;
        };
        let cursor = |owner: &Client| rebuild.cursors.get(&source(owner)).copied().unwrap_or_default();
        owners
            .iter()
            .map(|owner| (owner, cursor(owner)))
            .find(|(_, cursor)| !cursor.done)
    }

    /// Reads a page and applies it.
    async fn read_piece(
        &self,
        generations: &dyn Generations,
        work: &Work,
        owner: &Client,
        cursor: Cursor,
    ) -> anyhow::Result<()> {
        let name = source(owner);
        let page = history::fetch_page(owner, cursor.after).await?;
        let after = Cursor {
            after: page.next_after,
            end: page.end.or(cursor.end),
            done: page.at_end,
        };
        let items: Vec<&HistoryItem> = page
            .items
            .iter()
            .filter(|item| self.wants_of_history(&item.event))
            .collect();
        let piece = Piece {
            owner: &name,
            items: &items,
            events: count(&page),
            cursor: after,
        };
        match generations.fill(work, &piece).await {
            Ok(()) => Ok(()),
            Err(BuildError::Lost) => Err(BuildError::Lost.into()),
            Err(BuildError::Apply(error)) => {
                self.go_one_by_one(error)?;
                self.fill_one_by_one(generations, work, &piece).await
            }
        }
    }

    async fn fill_one_by_one(
        &self,
        generations: &dyn Generations,
        work: &Work,
        piece: &Piece<'_>,
    ) -> anyhow::Result<()> {
        for item in piece.items {
            // The page is done with its last piece: until then it is read again, and the inbox has what was applied.
            let before = Cursor {
                after: item.position - 1,
                done: false,
                ..piece.cursor
            };
            self.deliver_one(&item.event, &mut || {
                Box::pin(async move {
                    let alone = Piece {
                        items: &[item],
                        events: 0,
                        cursor: before,
                        ..*piece
                    };
                    generations.fill(work, &alone).await.map_err(apply_error)
                })
            })
            .await?;
        }
        let rest = Piece { items: &[], ..*piece };
        Ok(generations.fill(work, &rest).await?)
    }

    /// Switches when the live generation has caught up. What was on the bus when the histories were read has to be
    /// acknowledged: of events from long ago the inboxes do not tell.
    async fn compare_and_switch(
        &self,
        generations: &dyn Generations,
        work: &Work,
        events: i64,
    ) -> anyhow::Result<Unit> {
        let end = self.end_after_reading(work.rebuild, events).await?;
        let reached = self
            .bus
            .progress(&self.name)
            .await?
            .map(|progress| progress.position);
        if reached.is_none_or(|position| position < end) {
            return Ok(Unit::Waits);
        }
        // Those that are settled too: whoever settled them may have died before the switch, and then the live one lacks them
        // still. One that was really applied again is in both.
        let letters = self.letters().await?;
        let ids: Vec<Uuid> = letters.iter().map(|letter| letter.event).collect();
        let Some(mut comparison) = generations.compare(work, &ids).await? else {
            return Ok(Unit::Waits);
        };
        // Of one that a member made who died before the switch, the position is known.
        comparison.position = comparison.position.or(reached);
        self.settle_letters(generations, work, &letters).await?;
        let outcome = generations.switch(work, Some(&comparison)).await?;
        self.tell(&outcome);
        self.warn(&comparison);
        Ok(Unit::Switched)
    }

    /// The bus's end as it was noted first after reading so many events of the histories for this rebuild; a later one is as
    /// good.
    async fn end_after_reading(&self, rebuild: Uuid, events: i64) -> anyhow::Result<i64> {
        let mut noted = self.read_until.lock().await;
        if let Some((of, read, end)) = *noted
            && (of, read) == (rebuild, events)
        {
            return Ok(end);
        }
        let end = self.bus.end().await?;
        *noted = Some((rebuild, events, end));
        Ok(end)
    }

    /// The dead letters of the group, those that were replayed too as long as the bus has them.
    async fn letters(&self) -> anyhow::Result<Vec<Letter>> {
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let letters = self.bus.dead_letters(&self.name, after, LETTERS).await?;
            let Some(last) = letters.last() else { break };
            after = last.id;
            found.extend(letters.iter().map(|letter| Letter {
                id: letter.id,
                event: letter.event.id,
                waits: letter.replayed_at.is_none(),
            }));
        }
        Ok(found)
    }

    /// Letters whose events the new generation has are done with. Otherwise replaying one after its claim was removed would
    /// count it twice.
    async fn settle_letters(
        &self,
        generations: &dyn Generations,
        work: &Work,
        letters: &[Letter],
    ) -> anyhow::Result<()> {
        let waiting: Vec<&Letter> = letters.iter().filter(|letter| letter.waits).collect();
        for some in waiting.chunks(1_000) {
            let events: Vec<Uuid> = some.iter().map(|letter| letter.event).collect();
            let seen = generations.has_seen(work, &events).await?;
            for letter in some.iter().filter(|letter| seen.contains(&letter.event)) {
                self.bus.mark_replayed(&self.name, letter.id).await?;
            }
        }
        self.status.count_letters_soon();
        Ok(())
    }

    fn tell(&self, outcome: &Outcome) {
        let (group, events, equal) = (&self.name, outcome.events, outcome.equal);
        tracing::info!(group, events, ?equal, "projection rebuilt and switched");
    }

    fn warn(&self, comparison: &Comparison) {
        if !comparison.equal() {
            tracing::warn!(
                group = self.name,
                differences = comparison.differences.len(),
                first = comparison.differences.first(),
                "the live projection was not what its owners' histories give; the rebuilt one has replaced it"
            );
        }
    }
}

/// Keeps others away from the rebuild; ends when it was lost.
async fn keep(generations: &dyn Generations, work: &Work) -> BuildError {
    loop {
        tokio::time::sleep(work.lease / 3).await;
        match generations.renew(work).await {
            Ok(()) => {}
            Err(BuildError::Lost) => return BuildError::Lost,
            Err(error) => tracing::warn!(%error, "lease of a rebuild not renewed"),
        }
    }
}

/// An owner as its events name it.
pub(super) fn source(owner: &Client) -> String {
    format!("/{}", owner.callee())
}

fn count(page: &HistoryPage) -> i64 {
    i64::try_from(page.items.len()).unwrap_or(i64::MAX)
}

/// For the tries of one event: being relieved is no event's fault.
fn apply_error(error: BuildError) -> ApplyError {
    match error {
        BuildError::Apply(error) => error,
        BuildError::Lost => ApplyError::Unavailable(error.to_string()),
    }
}
