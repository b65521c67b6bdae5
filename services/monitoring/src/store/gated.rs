//! The store behind the gate of a move: which adapter serves may change while the service works.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_moving::Gate;
use emporium_service_kit::StoreError;
use time::{Duration, OffsetDateTime};

use super::ledger::{Brought, HOUR_S};
use super::{Capability, Home, Metric, MonitoringStore};
use crate::error::Error;
use crate::model::{Kind, Labels};
use crate::question::{As, History, Question};

/// By how much sums may differ that were added up in another order.
const ROUNDING: f64 = 1e-9;

/// Any adapter, and another one after a move.
///
/// Nothing is written through the gate: what is moved is over and does not change. What a store says of the past is right
/// whichever one answers, so it is asked also while nobody can read which one serves: the database with that may be what
/// somebody wants to see the charts of.
pub struct GatedMonitoring {
    gate: Gate<Home>,
}

impl GatedMonitoring {
    /// The store behind this gate.
    pub fn new(gate: Gate<Home>) -> Self {
        Self { gate }
    }
}

/// An answer, to be compared with another store's. They are equal if they say the same of the hours that were copied from one of
/// the stores to the other, as far as that is what both know of an hour: each store's own time it has collected by itself.
struct Answer {
    given: Result<History, Error>,
    how: As,
    brought: Option<Brought>,
}

/// The labels of a line, and its known values by the number of the step.
type Compared<'a> = (&'a Labels, Vec<(usize, f64)>);

impl Answer {
    /// What it says of the steps that lie wholly in these hours, line by line; `None` where it is no answer to compare.
    fn of(&self, hours: Brought) -> Option<Vec<Compared<'_>>> {
        let history = self.given.as_ref().ok()?;
        let known = match (history.kind, self.how) {
            (Kind::Gauge, As::Quantile(_)) => false,
            (Kind::Counter, how) => how == As::Increase,
            (_, how) => how != As::Rate,
        };
        let step = Duration::seconds(history.windows.step_s);
        if !known || history.windows.step_s % HOUR_S != 0 {
            return None;
        }
        let mut begin = history.windows.from;
        let mut is_copied = Vec::with_capacity(history.windows.count);
        for _ in 0..history.windows.count {
            is_copied.push(begin >= hours.first_at && begin + step <= hours.own_since);
            begin += step;
        }
        let lines = history.lines.iter().map(|line| {
            let values = line.values.iter().enumerate();
            let copied = values.filter(|(n, _)| is_copied.get(*n) == Some(&true));
            let known = copied.filter_map(|(n, value)| Some((n, (*value)?)));
            (&line.labels, known.collect::<Vec<(usize, f64)>>())
        });
        Some(lines.filter(|(_, values)| !values.is_empty()).collect())
    }
}

impl std::fmt::Debug for Answer {
    /// Short: the operator is shown the beginning of it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let history = match &self.given {
            Ok(history) => history,
            Err(error) => return write!(f, "{error}"),
        };
        let lines = &history.lines;
        write!(
            f,
            "a {} as {}: {} lines",
            history.kind.as_str(),
            self.how,
            lines.len()
        )?;
        for line in lines {
            let known: Vec<f64> = line.values.iter().copied().flatten().collect();
            write!(f, ", {} known of {:?}: {known:?}", known.len(), line.labels)?;
        }
        Ok(())
    }
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        // Those that were brought last: the store that serves may have been filled once, too.
        let brought = [self.brought, other.brought].into_iter().flatten();
        let Some(hours) = brought.max_by_key(|brought| brought.own_since) else {
            return true;
        };
        let (Some(own), Some(its)) = (self.of(hours), other.of(hours)) else {
            return true;
        };
        let near = |((n, one), (m, other)): (&(usize, f64), &(usize, f64))| {
            n == m && (one - other).abs() <= ROUNDING * other.abs().max(1.0)
        };
        let same = |((labels, one), (its, other)): (&Compared<'_>, &Compared<'_>)| {
            labels == its && one.len() == other.len() && one.iter().zip(other).all(near)
        };
        own.len() == its.len() && own.iter().zip(&its).all(same)
    }
}

#[async_trait]
impl MonitoringStore for GatedMonitoring {
    async fn metrics(&self, limit: usize) -> Result<Vec<Metric>, StoreError> {
        self.gate.here().store.store.metrics(limit).await
    }

    async fn kind(&self, metric: &str) -> Result<Option<Kind>, StoreError> {
        self.gate.here().store.store.kind(metric).await
    }

    async fn history(&self, question: &Question, now: OffsetDateTime) -> Result<History, Error> {
        if question.step_s.is_none_or(|step_s| step_s % HOUR_S != 0) {
            // Nothing that is copied answers it.
            return self.gate.here().store.store.history(question, now).await;
        }
        let ask = |home: Arc<Home>| async move {
            Ok(Answer {
                given: home.store.history(question, now).await,
                how: question.how,
                brought: home.ledger.brought().await.unwrap_or_default(),
            })
        };
        self.gate.read_anywhere(ask).await?.given
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.gate.here().store.store.ping().await
    }

    /// Each store's own report says what that one lacks.
    fn lacks(&self) -> &[Capability] {
        &[]
    }
}
