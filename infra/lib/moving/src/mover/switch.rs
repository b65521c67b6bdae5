//! Closing: the last writes are copied, both stores are compared, and the record is switched.

use std::collections::BTreeSet;
use std::sync::Arc;

use emporium_event_bus::projection::Digest;
use tokio::time::Instant;

use super::{Moving, Step};
use crate::record::{DIFFERENCES_MAX, Departure, Ending, Move, Outcome, Standing, Verified};
use crate::register;
use crate::side::{Contents, Side, contents};

impl<S: ?Sized + Send + Sync + 'static> Moving<S> {
    /// Whether the other store serves already, because whoever switched it died after that.
    pub(super) async fn is_switched(&self, moving: &Move) -> anyhow::Result<bool> {
        let there = self.target(moving).await?;
        let (_, standing) = register::standing(there.register.as_ref()).await?;
        Ok(matches!(standing, Standing::Serving { last: Some(last) } if last.id == moving.id))
    }

    /// Copies what is left, compares, and switches.
    pub(super) async fn close(&self, here: &Arc<Side<S>>, moving: &Move) -> anyhow::Result<Step> {
        let closed = self.note(|notes| *notes.closed.get_or_insert_with(Instant::now));
        let there = self.target(moving).await?;
        let version = self.fence(&there, moving).await?;
        while self.drain(here, &there, moving).await? {}
        let now = self.now();
        let Contents { own, other, copied } = contents(here, &there, now).await?;
        let verified = verified(&own, &other);
        let different: Vec<&Verified> = verified.iter().filter(|one| !one.equal).collect();
        if !different.is_empty() {
            let is_copied = different.iter().any(|one| copied.contains(&one.name));
            let is_built = here.projection.is_some() && !is_copied;
            let differences = different.into_iter().take(DIFFERENCES_MAX).map(difference);
            return self.go_back(here, moving, differences.collect(), is_built).await;
        }
        let paused = match (&here.copied, &here.projection) {
            // Nothing that is written goes through the gate.
            (None, None) => std::time::Duration::ZERO,
            _ => closed.elapsed(),
        };
        let paused_ms = i64::try_from(paused.as_millis()).unwrap_or(i64::MAX);
        let outcome = Outcome {
            verified,
            paused_ms,
            ..moving.outcome(Ending::Switched, self.now())
        };
        let serving = Standing::Serving {
            last: Some(Box::new(outcome)),
        };
        if !register::swap(there.register.as_ref(), version, &serving).await? {
            // Another instance has taken over, or this was done and not heard of.
            return Ok(Step::Done);
        }
        self.leave(here, moving).await
    }

    /// Writes this instance down as the one that switches, so that nobody else's swap succeeds that was prepared before.
    async fn fence(&self, there: &Side<S>, moving: &Move) -> anyhow::Result<i64> {
        let (version, standing) = register::standing(there.register.as_ref()).await?;
        match standing {
            Standing::Filling { by, mover, .. } if by == moving.id && mover == self.0.member => Ok(version),
            Standing::Filling { by, from, .. } if by == moving.id => {
                let mover = self.0.member;
                let own = Standing::Filling { by, mover, from };
                anyhow::ensure!(
                    register::swap(there.register.as_ref(), version, &own).await?,
                    "another instance changes the record just now"
                );
                Ok(version + 1)
            }
            _ => anyhow::bail!("the other store's record was changed by somebody else"),
        }
    }

    /// The stores differ: lets events go on and closes once more where only something that is built differs, else copies again.
    async fn go_back(
        &self,
        here: &Side<S>,
        moving: &Move,
        differences: Vec<String>,
        is_built: bool,
    ) -> anyhow::Result<Step> {
        tracing::warn!(setting = self.0.setting, ?differences, "the stores differ");
        self.note(|notes| notes.closed = None);
        let mut next = moving.clone();
        if is_built && next.close_again(differences.clone()) {
            self.change_own(here, moving.id, |moving| {
                moving.close_again(differences.clone());
            })
            .await?;
            return Ok(Step::Done);
        }
        if !next.begin_anew(differences.clone()) {
            self.give_up(here, moving, Ending::Different, differences).await?;
            return Ok(Step::Done);
        }
        self.change_own(here, moving.id, |moving| {
            moving.begin_anew(differences.clone());
        })
        .await?;
        Ok(Step::Done)
    }

    /// Writes down in the source that it was left, once the other store serves.
    pub(super) async fn leave(&self, here: &Arc<Side<S>>, moving: &Move) -> anyhow::Result<Step> {
        let (id, to, at) = (moving.id, moving.to.clone(), self.now());
        register::change(here.register.as_ref(), |standing| match standing {
            Standing::Moving(moving) if moving.id == id => {
                let to = to.clone();
                let left = Departure { by: id, to, at };
                (Some(Standing::Left(Box::new(left))), ())
            }
            _ => (None, ()),
        })
        .await?;
        self.look().await?;
        if let Some(copied) = &here.copied {
            copied.journal.clear().await?;
        }
        self.note(|notes| notes.closed = None);
        tracing::info!(setting = self.0.setting, to = moving.to.address, "moved");
        Ok(Step::Done)
    }
}

/// Both contents, table by table. A table that one of them does not name is empty there.
fn verified(here: &[Digest], there: &[Digest]) -> Vec<Verified> {
    let names: BTreeSet<&str> = here.iter().chain(there).map(|one| one.table.as_str()).collect();
    let of = |side: &[Digest], name: &str| {
        let found = side.iter().find(|one| one.table == name);
        found.map_or((0, Digest::of_sums(name, 0, [0, 0]).digest), |one| {
            (one.rows, one.digest.clone())
        })
    };
    names
        .into_iter()
        .map(|name| {
            let ((rows, digest), (rows_there, digest_there)) = (of(here, name), of(there, name));
            Verified {
                name: name.to_owned(),
                equal: rows == rows_there && digest == digest_there,
                rows,
                digest,
                rows_there,
                digest_there,
            }
        })
        .collect()
}

fn difference(one: &Verified) -> String {
    format!(
        "{}: {} rows ({}) here, {} rows ({}) there",
        one.name, one.rows, one.digest, one.rows_there, one.digest_there
    )
}
