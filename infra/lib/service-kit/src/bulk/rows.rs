//! Rows for `COPY`, in both of its formats.

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

/// Rows in PostgreSQL's COPY text format: fields end with a tab, rows with a line break, NULL is `\N`.
/// <https://www.postgresql.org/docs/current/sql-copy.html>
#[derive(Default)]
pub struct CopyRows {
    text: Vec<u8>,
    in_row: bool,
}

impl CopyRows {
    /// Adds a text field, escaped. NUL cannot be kept by PostgreSQL, so callers refuse it beforehand.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.separate();
        let mut rest = value.as_bytes();
        while let Some(at) = rest
            .iter()
            .position(|byte| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r'))
        {
            self.text.extend_from_slice(&rest[..at]);
            self.text.extend_from_slice(match rest[at] {
                b'\t' => b"\\t",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                _ => b"\\\\",
            });
            rest = &rest[at + 1..];
        }
        self.text.extend_from_slice(rest);
        self
    }

    /// Adds a field whose text needs no escaping: numbers, ids, booleans.
    pub fn plain(&mut self, value: impl std::fmt::Display) -> &mut Self {
        use std::io::Write;
        self.separate();
        let _ = write!(self.text, "{value}");
        self
    }

    /// Adds a point in time.
    pub fn time(&mut self, value: time::OffsetDateTime) -> &mut Self {
        let text = value
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap_or_default();
        self.plain(text)
    }

    /// Adds a JSON field.
    pub fn json(&mut self, value: &impl Serialize) -> &mut Self {
        self.text(&serde_json::to_string(value).unwrap_or_default())
    }

    /// Adds NULL.
    pub fn null(&mut self) -> &mut Self {
        self.separate();
        self.text.extend_from_slice(b"\\N");
        self
    }

    /// Adds a text field or NULL.
    pub fn text_opt(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// Adds a field that needs no escaping, or NULL.
    pub fn plain_opt(&mut self, value: Option<impl std::fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.plain(value),
            None => self.null(),
        }
    }

    /// Ends the row.
    pub fn end_row(&mut self) {
        self.text.push(b'\n');
        self.in_row = false;
    }

    /// The rows so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn separate(&mut self) {
        if self.in_row {
            self.text.push(b'\t');
        }
        self.in_row = true;
    }
}

/// What stands before and after the rows of the binary format: a signature, no flags, no extension; no further row.
const BINARY_START: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const BINARY_END: [u8; 2] = (-1_i16).to_be_bytes();
/// 2000-01-01, from which PostgreSQL counts microseconds.
const POSTGRES_EPOCH_MICROS: i128 = 946_684_800_000_000;

/// Rows in PostgreSQL's binary COPY format, which costs either side far less than text. Each value has to be of just its
/// column's type. <https://www.postgresql.org/docs/current/sql-copy.html>
#[derive(Debug, Default)]
pub struct BinaryRows(Vec<u8>);

impl BinaryRows {
    /// Begins a row of so many fields.
    pub fn row(&mut self, fields: i16) -> &mut Self {
        if self.0.is_empty() {
            self.0.extend_from_slice(BINARY_START);
        }
        self.0.extend_from_slice(&fields.to_be_bytes());
        self
    }

    /// Adds a `uuid`.
    pub fn uuid(&mut self, value: Uuid) -> &mut Self {
        self.field(value.as_bytes())
    }

    /// Adds a `bigint`.
    pub fn bigint(&mut self, value: i64) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    /// Adds an `integer`.
    pub fn integer(&mut self, value: i32) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    /// Adds a `text` or a `json` (not `jsonb`). NUL cannot be kept by PostgreSQL, so callers refuse it beforehand.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.field(value.as_bytes())
    }

    /// Adds the text of a `jsonb`.
    pub fn jsonb(&mut self, json: &str) -> &mut Self {
        // The only version of its form on the wire.
        let length = i32::try_from(json.len() + 1).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.push(1);
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// Adds a `timestamptz`.
    pub fn time(&mut self, value: OffsetDateTime) -> &mut Self {
        let micros = value.unix_timestamp_nanos().div_euclid(1_000) - POSTGRES_EPOCH_MICROS;
        self.bigint(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// Adds NULL.
    pub fn null(&mut self) -> &mut Self {
        self.0.extend_from_slice(&(-1_i32).to_be_bytes());
        self
    }

    /// Adds a `text` or NULL.
    pub fn text_opt(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// Adds a `uuid` or NULL.
    pub fn uuid_opt(&mut self, value: Option<Uuid>) -> &mut Self {
        match value {
            Some(value) => self.uuid(value),
            None => self.null(),
        }
    }

    /// Adds the rows of another one.
    pub fn append(&mut self, other: &Self) {
        let rows = if self.0.is_empty() { 0 } else { BINARY_START.len() };
        self.0.extend_from_slice(other.0.get(rows..).unwrap_or_default());
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All rows, for `COPY … FROM STDIN WITH (FORMAT binary)`.
    pub fn finish(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.extend_from_slice(BINARY_START);
        }
        self.0.extend_from_slice(&BINARY_END);
        self.0
    }

    fn field(&mut self, value: &[u8]) -> &mut Self {
        // Fields are bounded by a record's size, a mebibyte.
        let length = i32::try_from(value.len()).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_rows_escape() {
        let mut rows = CopyRows::default();
        rows.text("a\tb\\\n").null().plain(7).end_row();
        assert_eq!(rows.as_bytes(), b"a\\tb\\\\\\n\t\\N\t7\n");
    }

    #[test]
    fn binary_rows_join_into_one_stream() {
        let (mut one, mut two, mut all) = (
            BinaryRows::default(),
            BinaryRows::default(),
            BinaryRows::default(),
        );
        one.row(2).integer(7).null();
        two.row(1).text("ab");
        for part in [&one, &two, &BinaryRows::default()] {
            all.append(part);
        }
        let mut expected = BINARY_START.to_vec();
        expected.extend_from_slice(b"\0\x02\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff\0\x01\0\0\0\x02ab\xff\xff");
        assert_eq!(all.finish(), expected);
    }
}
