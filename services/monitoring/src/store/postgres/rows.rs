//! The rows of a round, in the text format of `COPY`.

use std::fmt::Write;

use emporium_service_kit::{StoreError, Tx};
use time::OffsetDateTime;

use super::memory::{Grown, Step};
use crate::model::Value;

const COPY_LEVELS: &str =
    "COPY monitoring_level_raw (series, at, round, value, increase, covered_us) FROM STDIN";
const COPY_HISTOGRAMS: &str = "COPY monitoring_histogram_raw (series, at, round, totals, total_sum, observed, covered_us, buckets) FROM STDIN";

/// Rows being gathered. All that goes into them are numbers, so nothing has to be escaped.
pub struct Rows {
    round: i64,
    levels: String,
    histograms: String,
}

impl Rows {
    /// None yet, of this round.
    pub fn of_round(round: i64) -> Self {
        Self {
            round,
            levels: String::new(),
            histograms: String::new(),
        }
    }

    /// Adds a point.
    pub fn add(&mut self, series: i32, at: OffsetDateTime, value: &Value, step: &Step) {
        let (at, round) = (moment(at), self.round);
        let covered = optional(step.covered_us);
        // Writing to a string does not fail.
        let _ = match value {
            Value::Number(value) => {
                let increase = match step.grown {
                    Grown::By(increase) => optional(Some(increase)),
                    _ => optional::<f64>(None),
                };
                writeln!(
                    self.levels,
                    "{series}\t{at}\t{round}\t{value}\t{increase}\t{covered}"
                )
            }
            Value::Histogram { totals, sum } => {
                let (observed, buckets) = match &step.grown {
                    Grown::Observed(buckets, observed) if buckets.iter().any(|count| *count > 0) => {
                        (optional(Some(observed)), array(buckets))
                    }
                    _ => (optional::<f64>(None), optional::<f64>(None)),
                };
                let totals = array(totals);
                writeln!(
                    self.histograms,
                    "{series}\t{at}\t{round}\t{totals}\t{sum}\t{observed}\t{covered}\t{buckets}"
                )
            }
        };
    }

    /// Writes them; gives how many.
    pub async fn write(self, tx: &mut Tx) -> Result<u64, StoreError> {
        let mut written = 0;
        for (sql, rows) in [(COPY_LEVELS, self.levels), (COPY_HISTOGRAMS, self.histograms)] {
            if !rows.is_empty() {
                written += tx.copy_in(sql, rows).await?;
            }
        }
        Ok(written)
    }
}

fn optional<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "\\N".to_owned(), |value| value.to_string())
}

fn array(counts: &[i64]) -> String {
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    format!("{{{}}}", counts.join(","))
}

fn moment(at: OffsetDateTime) -> String {
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second, micro) = at.to_hms_micro();
    format!(
        "{year:04}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micro:06}+00",
        u8::from(month)
    )
}
