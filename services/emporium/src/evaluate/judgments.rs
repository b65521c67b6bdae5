//! Reading a file of relevance judgments: CSV with the columns `query`, `docid` and `rating`, in any order, among any
//! others.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::{ErrorKind, Position, StringRecord};

use super::ndcg::Ratings;
use crate::Error;

/// The largest file, in bytes: about a million judgments.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Gains double with every step, so nobody's scale is longer.
const RATING_MAX: f64 = 10.0;
/// What the catalog takes, in characters.
const QUERY_MAX: usize = 500;
const DOCUMENT_MAX: usize = 200;
const COLUMNS: [&str; 3] = ["query", "docid", "rating"];

/// Every query with its judged documents.
pub type Judgments = BTreeMap<String, Ratings>;

/// Reads the file. An error names the file and the line.
pub fn read(path: &Path) -> Result<Judgments, Error> {
    let failed = |problem: String| {
        Error::Other(format!(
            "{}: {problem}; give a CSV file with the columns query, docid and rating",
            path.display()
        ))
    };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| failed(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(failed(format!("is larger than {} MiB", BYTES_MAX >> 20)));
    }
    parse(&bytes).map_err(failed)
}

fn parse(bytes: &[u8]) -> Result<Judgments, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let columns = columns(reader.headers().map_err(|error| describe(bytes, &error))?)?;
    let mut judgments = Judgments::new();
    let mut places: HashMap<(String, String), u64> = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| describe(bytes, &error))?;
        let place = record.position().map_or(0, Position::byte);
        let (query, document, rating) = judgment(&record, columns)
            .map_err(|problem| format!("line {}: {problem}", line(bytes, place)))?;
        if let Some(earlier) = places.insert((query.clone(), document.clone()), place) {
            let (this, earlier) = (line(bytes, place), line(bytes, earlier));
            return Err(format!(
                "line {this}: query and document are judged on line {earlier} already"
            ));
        }
        judgments.entry(query).or_default().insert(document, rating);
    }
    if judgments.is_empty() {
        return Err("holds no judgments".to_owned());
    }
    Ok(judgments)
}

/// The line of the record at this place. Counted anew, since the reader's own number is that of the empty lines before it.
fn line(bytes: &[u8], place: u64) -> usize {
    let place = usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
    let (before, after) = bytes.split_at(place);
    let empty = after.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let ends = before.iter().chain(empty).filter(|byte| **byte == b'\n');
    ends.count() + 1
}

/// Where the three columns are.
fn columns(header: &StringRecord) -> Result<[usize; 3], String> {
    if header.iter().all(str::is_empty) {
        return Err("is empty".to_owned());
    }
    let mut places = [0; 3];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        *place = header
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| format!("line 1: there is no column {name}"))?;
    }
    Ok(places)
}

fn judgment(record: &StringRecord, columns: [usize; 3]) -> Result<(String, String, f64), String> {
    let [query, document, rating] = columns.map(|place| record.get(place).unwrap_or_default());
    for (name, text, max) in [("query", query, QUERY_MAX), ("docid", document, DOCUMENT_MAX)] {
        if text.is_empty() {
            return Err(format!("the {name} is empty"));
        }
        if text.chars().count() > max {
            return Err(format!("the {name} has more than {max} characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("the {name} holds control characters"));
        }
    }
    let number = rating.parse::<f64>().ok();
    let number = number.filter(|number| (0.0..=RATING_MAX).contains(number));
    let shown: String = rating.chars().take(40).collect();
    let rating = number.ok_or_else(|| format!("the rating {shown:?} is no number from 0 to {RATING_MAX}"))?;
    Ok((query.to_owned(), document.to_owned(), rating))
}

fn describe(bytes: &[u8], error: &csv::Error) -> String {
    let line = line(bytes, error.position().map_or(0, Position::byte));
    match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("line {line}: has {len} fields instead of {expected_len}")
        }
        ErrorKind::Utf8 { .. } => format!("line {line}: is no text in UTF-8"),
        _ => format!("line {line}: cannot be read as CSV"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_stand_in_any_order_among_others() {
        for text in [
            "query,docid,rating\nusb stick,17,3\nusb stick,18,0\n\"a, \"\"b\"\"\",17,1.5\n",
            "\u{feff}rating,who,docid,query\r\n3,x,17,usb stick\r\n0,y,18, usb stick \r\n1.5,z,17,\"a, \"\"b\"\"\"\r\n",
        ] {
            let judgments = parse(text.as_bytes()).unwrap();
            assert_eq!(judgments.len(), 2, "{text}");
            assert_eq!(
                judgments["usb stick"],
                Ratings::from([("17".to_owned(), 3.0), ("18".to_owned(), 0.0)])
            );
            let other = Ratings::from([("17".to_owned(), 1.5)]);
            assert_eq!(judgments["a, \"b\""], other);
        }
    }

    #[test]
    fn errors_name_the_line() {
        let long = format!("query,docid,rating\n{},1,1", "x".repeat(501));
        for (text, words) in [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("query,docid,rating\n", "no judgments"),
            ("query,document,rating\na,1,1", "line 1: there is no column docid"),
            ("a,1,3\nb,2,1", "line 1: there is no column query"),
            (
                "query,docid,rating\na,1,3\nb,2,good",
                "line 3: the rating \"good\" is no number",
            ),
            ("query,docid,rating\na,1,", "line 2: the rating \"\""),
            ("query,docid,rating\na,1,-1", "line 2: the rating \"-1\""),
            ("query,docid,rating\na,1,NaN", "line 2: the rating"),
            ("query,docid,rating\na,1,inf", "line 2: the rating"),
            ("query,docid,rating\na,1,1e300", "line 2: the rating"),
            (
                "query,docid,rating\n\na,1,1\na,1,2",
                "line 4: query and document are judged on line 3 already",
            ),
            (
                "query,docid,rating\na,1,1\na,1",
                "line 3: has 2 fields instead of 3",
            ),
            ("query,docid,rating\n,1,1", "line 2: the query is empty"),
            ("query,docid,rating\na,,1", "line 2: the docid is empty"),
            (
                "query,docid,rating\n\"a\u{0}b\",1,1",
                "line 2: the query holds control",
            ),
            (&long, "line 2: the query has more than 500"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{text:.60}: {error}");
        }
        let error = parse(b"query,docid,rating\na,1,1\n\xff,1,1").unwrap_err();
        assert!(error.contains("line 3: is no text"), "{error}");
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        for path in ["/nowhere/judgments.csv", "/", "/dev/zero"] {
            let error = read(Path::new(path)).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{path}: ")) && error.contains("columns"),
                "{error}"
            );
        }
    }
}
