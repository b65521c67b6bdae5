//! What became of a load.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::error::LoadError;

/// A record that an owner did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRejection {
    /// The line of the request, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// An owner's answer to one kind of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkAnswer {
    /// Records that arrived.
    pub received: u64,
    /// Records that are new.
    pub loaded: u64,
    /// Records that were there already.
    pub unchanged: u64,
    /// Records that were refused.
    #[serde(default)]
    pub rejected_count: u64,
    /// The first thousand of them.
    #[serde(default)]
    pub rejected: Vec<OwnerRejection>,
}

/// The owners' answers of a whole load, by what was loaded (`products`, `users`, `orders`, `payments`, `adjustments`,
/// `reviews`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoadOutcome {
    /// The answers.
    pub answers: BTreeMap<&'static str, BulkAnswer>,
}

impl LoadOutcome {
    /// How many records the owners refused; anything but 0 deserves a look at the answers.
    pub fn rejected_count(&self) -> u64 {
        self.answers.values().map(|answer| answer.rejected_count).sum()
    }

    /// The first refusal, as an error; none when the owners took everything.
    pub fn refused(&self) -> Option<LoadError> {
        Kind::ALL.into_iter().find_map(|kind| {
            let (owner, what, _) = kind.parts();
            let answer = self
                .answers
                .get(what)
                .filter(|answer| answer.rejected_count > 0)?;
            let first = answer.rejected.first();
            Some(LoadError::Rejected {
                owner,
                what,
                count: answer.rejected_count,
                line: first.map_or(0, |first| first.line),
                reason: first.map_or_else(|| "it does not say why".to_owned(), |first| first.reason.clone()),
            })
        })
    }

    /// The outcome, if every record is there.
    pub(super) fn complete(self) -> Result<Self, LoadError> {
        self.refused().map_or(Ok(self), Err)
    }

    /// How many records are new.
    pub fn loaded(&self) -> u64 {
        self.answers.values().map(|answer| answer.loaded).sum()
    }
}
