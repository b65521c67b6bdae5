//! The content of a table's generation as text, the same from every store: so that a projection has the same digest wherever
//! it is kept.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use md5::{Digest as _, Md5};
use time::{OffsetDateTime, UtcOffset};

use super::Digest;
use super::table::difference;

/// Between a row's fields.
pub(super) const SEPARATOR: char = '\u{1f}';
/// In the place of a field that is null.
pub(super) const NULL: char = '\u{1}';

/// A row's fields, those of the key first; each as PostgreSQL's cast to `text` would write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowText {
    text: String,
    fields: usize,
}

impl RowText {
    /// A row without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text, a whole number, a truth or an id.
    #[must_use]
    pub fn with(mut self, value: impl Display) -> Self {
        if self.fields > 0 {
            self.text.push(SEPARATOR);
        }
        self.fields += 1;
        // Writing to a text cannot fail.
        let _ = write!(self.text, "{value}");
        self
    }

    /// The same, or null.
    #[must_use]
    pub fn with_opt(self, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(value),
            None => self.with(NULL),
        }
    }

    /// A moment, to the microsecond, as `… AT TIME ZONE 'UTC'` is written.
    #[must_use]
    pub fn with_time(self, at: OffsetDateTime) -> Self {
        let at = at.to_offset(UtcOffset::UTC);
        let whole = format!(
            "{} {:02}:{:02}:{:02}",
            at.date(),
            at.hour(),
            at.minute(),
            at.second()
        );
        match at.microsecond() {
            0 => self.with(whole),
            micros => self.with(format!("{whole}.{micros:06}").trim_end_matches('0')),
        }
    }

    /// Bytes, as `bytea` is written.
    #[must_use]
    pub fn with_bytes(self, bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(2 + 2 * bytes.len());
        text.push_str("\\x");
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
        self.with(text)
    }

    /// Whole numbers, as an array is written.
    #[must_use]
    pub fn with_numbers(self, numbers: &[i64]) -> Self {
        let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
        self.with(format!("{{{}}}", numbers.join(",")))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first `fields` of them, and the others.
    fn parts(&self, fields: usize) -> (&str, &str) {
        let end = self.text.match_indices(SEPARATOR).nth(fields.saturating_sub(1));
        end.map_or((&self.text, ""), |(at, sign)| {
            (&self.text[..at], &self.text[at + sign.len()..])
        })
    }
}

/// Makes a digest of rows in any order: the sums of the halves of each row's MD5, taken as signed 64-bit numbers. No proof
/// against an adversary who makes rows, but against accidents.
#[derive(Debug, Default)]
pub struct Digester {
    rows: i64,
    sums: [i128; 2],
}

impl Digester {
    /// Counts a row in.
    pub fn add(&mut self, row: &str) {
        let hash: [u8; 16] = Md5::digest(row.as_bytes()).into();
        let (high, low) = hash.split_at(8);
        for (sum, half) in self.sums.iter_mut().zip([high, low]) {
            let half: [u8; 8] = half.try_into().unwrap_or_default();
            *sum += i128::from(i64::from_be_bytes(half));
        }
        self.rows += 1;
    }

    /// The digest of all that were counted in.
    pub fn finish(self, table: &str) -> Digest {
        Digest::of_sums(table, self.rows, self.sums)
    }
}

impl Digest {
    /// For a store that sums up by itself: the number of rows, and the sums of the first and second halves of the rows' MD5,
    /// big-endian signed 64-bit numbers.
    pub fn of_sums(table: &str, rows: i64, [first, second]: [i128; 2]) -> Self {
        let text = match rows {
            0 => " ".to_owned(), // the sum of nothing is null
            _ => format!("{first} {second}"),
        };
        let mut digest = String::new();
        for byte in Md5::digest(text.as_bytes()) {
            let _ = write!(digest, "{byte:02x}");
        }
        Self {
            table: table.to_owned(),
            rows,
            digest,
        }
    }
}

/// What differs between the rows of two generations, a line each, by key, at most `max`. `key` is how many of a row's first
/// fields name it.
pub fn differences(table: &str, key: usize, old: &[RowText], new: &[RowText], max: usize) -> Vec<String> {
    let by_key = |rows: &'_ [RowText]| -> BTreeMap<String, String> {
        let part = |row: &RowText| {
            let (key, values) = row.parts(key);
            (key.to_owned(), values.to_owned())
        };
        rows.iter().map(part).collect()
    };
    let (old, new) = (by_key(old), by_key(new));
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let differs = |key: &&&String| old.get(**key) != new.get(**key);
    keys.iter()
        .filter(differs)
        .take(max)
        .map(|key| {
            let side = |rows: &BTreeMap<String, String>| rows.get(*key).cloned();
            difference(table, key, side(&old).as_deref(), side(&new).as_deref())
        })
        .collect()
}
