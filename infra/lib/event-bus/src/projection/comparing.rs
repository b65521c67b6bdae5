//! What comparing two generations tells, in the same words from every store.

use uuid::Uuid;

use super::{Compared, Comparison, DIFFERENCES_MAX, Digest};

/// Events that one generation has and the other one lacks: of each kind some.
#[derive(Debug, Clone, Default)]
pub struct EventDifferences {
    /// The live one has them from elsewhere than the histories.
    pub live_only: Vec<Uuid>,
    /// The live one lost them, or never got them; without those that were refused.
    pub built_only: Vec<Uuid>,
    /// They were put aside as dead letters, and are in the one that was built.
    pub refused: Vec<Uuid>,
}

impl EventDifferences {
    /// How many of each kind are told.
    pub const SHOWN: i64 = 10;

    /// A line for each kind that there is.
    pub fn lines(&self) -> Vec<String> {
        [
            (
                &self.live_only,
                "the live one has events that the rebuilt one lacks",
            ),
            (
                &self.built_only,
                "the rebuilt one has events that the live one lacks",
            ),
            (&self.refused, "events that were put aside before are applied now"),
        ]
        .into_iter()
        .filter(|(events, _)| !events.is_empty())
        .map(|(events, told)| format!("{told}, such as {}", listed(events)))
        .collect()
    }
}

fn listed(events: &[Uuid]) -> String {
    events.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", ")
}

impl Comparison {
    /// Of the tables of the live generation and of the one that was built, in the same order, and of lines about events.
    pub fn of(live: Vec<Digest>, built: Vec<Digest>, differences: Vec<String>) -> Self {
        let compared = |(old, new): (Digest, Digest)| Compared {
            equal: old == new,
            rows_live: old.rows,
            rows_rebuilt: new.rows,
            table: old.table,
            digest_live: Some(old.digest),
            digest_rebuilt: Some(new.digest),
        };
        Self {
            tables: live.into_iter().zip(built).map(compared).collect(),
            differences,
            position: None,
        }
    }

    /// How many lines about rows are of use; none when all tables are equal. One is for telling that there are more.
    pub fn lines_wanted(&self) -> Option<usize> {
        let differs = self.tables.iter().any(|table| !table.equal);
        differs.then(|| DIFFERENCES_MAX.saturating_sub(self.differences.len()))
    }

    /// Adds lines about rows: as many as were [wanted](Self::lines_wanted), or all there are.
    pub fn add_lines(&mut self, mut lines: Vec<String>) {
        let left = DIFFERENCES_MAX.saturating_sub(self.differences.len());
        if lines.len() >= left {
            lines.truncate(left.saturating_sub(1));
            lines.push("… and perhaps more".to_owned());
        }
        self.differences.append(&mut lines);
    }
}
