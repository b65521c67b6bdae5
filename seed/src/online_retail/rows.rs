//! The file's records with the number of the line that each begins on.
//!
//! `csv::Reader` tells where it stood before it skipped blank lines and the second half of a CRLF, which is not where a
//! record begins; so this reads with the parser underneath and counts the lines itself.

use std::io::BufRead;

use csv_core::{ReadRecordResult, Reader};

/// No record is longer: an open quote must not take all memory.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// Fields whose places are kept; the data set has eight.
const FIELDS_MAX: usize = 1 << 12;

/// Reads records; blank lines are none.
pub struct Rows {
    input: Box<dyn BufRead + Send>,
    parser: Reader,
    /// The line that the next byte is on, from 1. A line ends with LF, CR or both.
    line: u64,
    /// Whether the last byte was a CR, so that an LF after it ends no other line.
    after_return: bool,
}

/// One record.
#[derive(Default)]
pub struct Row {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
    /// The line it begins on.
    pub line: u64,
    /// The line it ends on; another one only when a quoted field holds line breaks.
    pub last_line: u64,
    /// Whether it is too long to be a record; its fields are not kept then.
    pub is_too_long: bool,
}

impl Row {
    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields
    }

    /// The field at that place.
    pub fn get(&self, place: usize) -> Option<&[u8]> {
        if place >= self.fields {
            return None;
        }
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        self.bytes.get(start..self.ends[place])
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.fields).filter_map(|place| self.get(place))
    }

    fn is_blank(&self) -> bool {
        self.fields == 1 && self.get(0).is_some_and(|field| field.trim_ascii().is_empty())
    }
}

impl Rows {
    /// The records of `input`.
    pub fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self {
            input,
            parser: Reader::new(),
            line: 1,
            after_return: false,
        }
    }

    /// Reads the next record into `row`; false at the end.
    pub fn read(&mut self, row: &mut Row) -> std::io::Result<bool> {
        loop {
            self.skip_line_ends()?;
            if !self.record(row)? {
                return Ok(false);
            }
            if row.is_too_long || !row.is_blank() {
                return Ok(true);
            }
        }
    }

    fn skip_line_ends(&mut self) -> std::io::Result<()> {
        while let Some(byte @ (b'\r' | b'\n')) = self.input.fill_buf()?.first().copied() {
            self.passed(&[byte]);
            self.input.consume(1);
        }
        Ok(())
    }

    fn record(&mut self, row: &mut Row) -> std::io::Result<bool> {
        (row.fields, row.is_too_long, row.line) = (0, false, self.line);
        let mut written = 0;
        loop {
            if row.bytes.len() == written {
                row.is_too_long |= written >= RECORD_BYTES_MAX;
                written = if row.is_too_long { 0 } else { written };
                row.bytes
                    .resize((2 * written).clamp(1 << 12, RECORD_BYTES_MAX), 0);
            }
            if row.ends.len() == row.fields {
                row.is_too_long |= row.fields >= FIELDS_MAX;
                row.fields = if row.is_too_long { 0 } else { row.fields };
                row.ends.resize((2 * row.fields).clamp(16, FIELDS_MAX), 0);
            }
            let input = self.input.fill_buf()?;
            let (result, taken, bytes, ends) =
                self.parser
                    .read_record(input, &mut row.bytes[written..], &mut row.ends[row.fields..]);
            let (line, after_return) = lines_after(self.line, self.after_return, &input[..taken]);
            // The line end is behind the record, not in it.
            let ends_line = matches!(input[..taken].last(), Some(b'\r' | b'\n'));
            self.input.consume(taken);
            (self.line, self.after_return) = (line, after_return);
            written += bytes;
            row.fields += ends;
            match result {
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::Record => {
                    row.last_line = line - u64::from(ends_line && line > row.line);
                    if row.is_too_long {
                        row.fields = 0;
                    }
                    return Ok(true);
                }
                ReadRecordResult::InputEmpty
                | ReadRecordResult::OutputFull
                | ReadRecordResult::OutputEndsFull => {}
            }
        }
    }

    fn passed(&mut self, bytes: &[u8]) {
        (self.line, self.after_return) = lines_after(self.line, self.after_return, bytes);
    }
}

/// The line after `bytes`, and whether a CR was the last of them.
fn lines_after(mut line: u64, mut after_return: bool, bytes: &[u8]) -> (u64, bool) {
    for byte in bytes {
        line += u64::from(*byte == b'\r' || (*byte == b'\n' && !after_return));
        after_return = *byte == b'\r';
    }
    (line, after_return)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First line, last line and fields of each record, read in pieces of `piece` bytes.
    fn rows(text: &str, piece: usize) -> Vec<(u64, u64, Vec<String>)> {
        let input = std::io::Cursor::new(text.as_bytes().to_vec());
        let mut rows = Rows::new(Box::new(std::io::BufReader::with_capacity(piece, input)));
        let (mut row, mut seen) = (Row::default(), Vec::new());
        while rows.read(&mut row).expect("read") {
            let fields = row
                .iter()
                .map(|field| String::from_utf8_lossy(field).into_owned());
            seen.push((row.line, row.last_line, fields.collect()));
        }
        seen
    }

    #[test]
    fn lines_are_counted_with_every_line_end_blank_lines_and_quoted_breaks() {
        let lines = "a,b\n\n  \n1,2\n\n\"x\ny\",3\n4,\"5\n\"\n\n6,7";
        let expected = [(1, 1, "a"), (4, 4, "1"), (6, 7, "x"), (8, 9, "4"), (11, 11, "6")];
        for line_end in ["\n", "\r\n", "\r"] {
            for tail in ["", line_end] {
                let text = lines.replace('\n', line_end) + tail;
                for piece in 1..text.len() {
                    let seen: Vec<_> = rows(&text, piece)
                        .into_iter()
                        .map(|(line, last, fields)| (line, last, fields[0][..1].to_owned()))
                        .collect();
                    let expected = expected.map(|(line, last, first)| (line, last, first.to_owned()));
                    assert_eq!(seen, expected, "{text:?} in pieces of {piece}");
                }
            }
        }
        assert_eq!(
            rows("a\r\n\"b\nc", 3),
            [(1, 1, vec!["a".to_owned()]), (2, 3, vec!["b\nc".to_owned()])]
        );
    }

    #[test]
    fn a_record_without_end_takes_no_memory_and_the_next_one_is_whole() {
        let long = "x".repeat(RECORD_BYTES_MAX + 1);
        let commas = ",".repeat(FIELDS_MAX + 5);
        let text = format!("a,b\n{long},b\n{commas}\nc,\"d\n{long}");
        let input = std::io::Cursor::new(text.into_bytes());
        let mut rows = Rows::new(Box::new(input));
        let mut row = Row::default();
        let mut seen = Vec::new();
        while rows.read(&mut row).expect("read") {
            assert!(row.bytes.len() <= RECORD_BYTES_MAX && row.ends.len() <= FIELDS_MAX);
            seen.push((row.line, row.last_line, row.is_too_long, row.len()));
        }
        assert_eq!(
            seen,
            [
                (1, 1, false, 2),
                (2, 2, true, 0),
                (3, 3, true, 0),
                (4, 5, true, 0)
            ]
        );
    }
}
