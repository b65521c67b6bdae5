//! Reads what services say at `/metrics`: the Prometheus text format 0.0.4,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.
//!
//! A text that breaks the format is refused as a whole, as Prometheus does: nobody knows what the rest of it means. A text
//! that keeps it may still hold samples that cannot be kept (no finite number, a series twice, a histogram that is none);
//! these are left out one by one, and counted. Time stamps in the text are read over: a point's time is the scrape's.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::{Kind, Labels, Reading, SERVICE, Series, Value};

mod families;
mod line;

use line::{Line, Sample};

/// Most samples of one text.
pub const SAMPLES_MAX: usize = 50_000;
/// Longest name of a metric or a label, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Longest value of a label, in bytes.
pub const VALUE_BYTES_MAX: usize = 1_024;
/// Most labels of a series.
pub const LABELS_MAX: usize = 32;
/// Most buckets of a histogram, the last one included: a histogram is one series, so they count for nothing else.
pub const BUCKETS_MAX: usize = 256;

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not UTF-8.
    #[error("the text is not UTF-8")]
    Encoding,
    /// A line breaks the format.
    #[error("line {line}: {problem}")]
    Line {
        /// Which one, from 1.
        line: usize,
        /// How.
        problem: &'static str,
    },
    /// It goes on and on.
    #[error("there are more than {SAMPLES_MAX} samples")]
    TooMany,
}

/// Why a sample is left out: a closed list, since these are a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Left {
    /// Its value is NaN or infinite.
    NotFinite,
    /// Its series was there already.
    Repeated,
    /// A name or a label's value is too long, there are too many labels, or a value holds a control character.
    Labels,
    /// The parts of a histogram do not make one: counts that descend or are no counts, no count or no sum, too many buckets.
    Histogram,
    /// A counter below 0.
    Negative,
}

impl Left {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::NotFinite,
        Self::Repeated,
        Self::Labels,
        Self::Histogram,
        Self::Negative,
    ];

    /// As in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFinite => "not-finite",
            Self::Repeated => "repeated",
            Self::Labels => "labels",
            Self::Histogram => "histogram",
            Self::Negative => "negative",
        }
    }
}

/// What a text says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exposition {
    /// In the order of the text, histograms last.
    pub readings: Vec<Reading>,
    /// How many samples were left out, by reason.
    pub left: BTreeMap<Left, u64>,
}

impl Exposition {
    fn leave(&mut self, reason: Left) {
        *self.left.entry(reason).or_default() += 1;
    }

    /// Leaves out metrics of these names, which somebody else notes.
    pub fn without(&mut self, names: &[&str]) {
        let before = self.readings.len();
        self.readings
            .retain(|reading| !names.contains(&&*reading.series.metric));
        for _ in self.readings.len()..before {
            self.leave(Left::Repeated);
        }
    }
}

/// Reads a text of the service `target`, whose name is put into the label [`SERVICE`] whatever the text says there.
pub fn read(text: &[u8], target: &str) -> Result<Exposition, Unreadable> {
    let text = std::str::from_utf8(text).map_err(|_| Unreadable::Encoding)?;
    let mut kinds: HashMap<&str, &str> = HashMap::new();
    let mut samples: Vec<Sample> = Vec::new();
    for (n, line) in text.split('\n').enumerate() {
        match line::read(line).map_err(|problem| Unreadable::Line { line: n + 1, problem })? {
            Line::Nothing => {}
            Line::Type { metric, kind } => {
                kinds.insert(metric, kind);
            }
            Line::Sample(sample) => samples.push(sample),
        }
        if samples.len() > SAMPLES_MAX {
            return Err(Unreadable::TooMany);
        }
    }
    Ok(gathered(samples, &kinds, target))
}

fn gathered(samples: Vec<Sample>, kinds: &HashMap<&str, &str>, target: &str) -> Exposition {
    let mut given = Exposition::default();
    let mut histograms = families::Histograms::default();
    let mut seen: HashSet<(String, Labels)> = HashSet::new();
    for mut sample in samples {
        sample.labels.insert(SERVICE.to_owned(), target.to_owned());
        if !can_be_kept(&sample) {
            given.leave(Left::Labels);
            continue;
        }
        if !seen.insert((sample.name.to_owned(), sample.labels.clone())) {
            given.leave(Left::Repeated);
            continue;
        }
        match families::role(sample.name, kinds) {
            families::Role::Alone(kind) => alone(&mut given, sample, kind),
            families::Role::Part(family, part) => histograms.add(family, part, sample),
        }
    }
    histograms.finish(&mut given);
    given
}

/// A gauge or a counter.
fn alone(given: &mut Exposition, sample: Sample, kind: Kind) {
    if !sample.value.is_finite() {
        return given.leave(Left::NotFinite);
    }
    if kind == Kind::Counter && sample.value < 0.0 {
        return given.leave(Left::Negative);
    }
    given.readings.push(Reading {
        series: Series {
            metric: sample.name.to_owned(),
            kind,
            labels: sample.labels,
            bounds: Vec::new(),
        },
        value: Value::Number(sample.value),
    });
}

/// Whether name and labels are of a kind that can be kept and shown.
fn can_be_kept(sample: &Sample) -> bool {
    sample.name.len() <= NAME_BYTES_MAX
        && sample.labels.len() <= LABELS_MAX
        && sample.labels.iter().all(|(name, value)| {
            name.len() <= NAME_BYTES_MAX
                && value.len() <= VALUE_BYTES_MAX
                && !value.chars().any(char::is_control)
        })
}

/// Whether a text is a metric's name.
pub fn is_metric_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, b'_' | b':'))
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

/// Whether a text is a label's name.
pub fn is_label_name(text: &str) -> bool {
    is_metric_name(text) && !text.contains(':')
}

#[cfg(test)]
mod tests;
