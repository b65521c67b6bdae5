//! Reads that are answered by both stores and compared, before the operator decides.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use emporium_service_kit::StoreError;

use crate::record::{DIFFERENCES_MAX, Shadow};

/// How long the other store may take.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Answers that differ are asked for again, since a write between them makes them differ: after the first pause, and longer ones.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES: u32 = 4;
/// Characters of an answer that a difference shows.
const ANSWER_SHOWN: usize = 160;

/// What an instance has compared so far.
#[derive(Default)]
pub(crate) struct ShadowLog(Mutex<Shadow>);

impl ShadowLog {
    /// What was compared.
    pub fn taken(&self) -> Shadow {
        self.lock().clone()
    }

    /// Begins anew, for another move.
    pub fn reset(&self) {
        *self.lock() = Shadow::default();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shadow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the other store as well, and both again while they differ.
    pub async fn compare<S: ?Sized, T, F, R>(&self, both: (Arc<S>, Arc<S>), ask: &F, given: &T)
    where
        T: PartialEq + Debug,
        F: Fn(Arc<S>) -> R,
        R: Future<Output = Result<T, StoreError>>,
    {
        let (here, there) = both;
        let mut other = answer(ask(there.clone())).await;
        if other.as_ref().is_ok_and(|other| other == given) {
            return self.note(None, false);
        }
        let mut own = None;
        for attempt in 1..=TRIES {
            let Ok(again) = answer(ask(here.clone())).await else {
                continue;
            };
            tokio::time::sleep(PAUSE * attempt).await;
            other = answer(ask(there.clone())).await;
            if other.as_ref().is_ok_and(|other| *other == again) {
                return self.note(None, false);
            }
            // What is written to meanwhile says nothing.
            let is_still = answer(ask(here.clone())).await.is_ok_and(|own| own == again);
            own = is_still.then_some(again);
        }
        if own.is_none() && other.is_ok() {
            return;
        }
        let failed = other.is_err();
        let other = match &other {
            Ok(other) => shown(other),
            Err(error) => error.clone(),
        };
        let line = format!("{} here, {other} there", shown(own.as_ref().unwrap_or(given)));
        self.note(Some(line), failed);
    }

    fn note(&self, difference: Option<String>, failed: bool) {
        let mut log = self.lock();
        log.compared += 1;
        let Some(line) = difference else { return };
        if failed {
            log.failed += 1;
        } else {
            log.different += 1;
        }
        tracing::warn!("the store that is filled answers differently; `emporium move` tells how");
        if log.differences.len() < DIFFERENCES_MAX {
            log.differences.push(line);
        }
    }
}

async fn answer<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_MAX, asked).await {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

fn shown(answer: &impl Debug) -> String {
    format!("{answer:?}").chars().take(ANSWER_SHOWN).collect()
}
