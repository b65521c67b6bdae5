//! A cart as its hash has it, and times as the scripts want them.

use ::redis::{FromRedisValue, ParsingError, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::{Line, Lines, StoredCart};

/// What a script, or `HGETALL`, gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// There is no cart.
    Nothing,
    /// The line would be one too many.
    Full,
    /// The cart. It may have expired.
    Cart(Record),
}

/// A cart, and the merge that has frozen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) cart: StoredCart,
    pub(super) merge: Option<MergeMark>,
}

/// A merge that is under way, as the visitor's cart names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MergeMark {
    pub(super) id: String,
    /// Whose cart takes the lines.
    pub(super) user_id: Uuid,
}

impl Reply {
    /// The cart, if it is there and has not expired.
    pub(super) fn live(self, now: OffsetDateTime) -> Option<Record> {
        match self {
            Self::Cart(record) if record.cart.expires_at > now => Some(record),
            _ => None,
        }
    }
}

/// Microseconds since 1970.
pub(super) fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970, rounded up: the server must not forget a cart before its time.
pub(super) fn millis_up(at: OffsetDateTime) -> i64 {
    micros(at).saturating_add(999).div_euclid(1_000)
}

/// A line's value.
pub(super) fn line_text(line: &Line) -> String {
    format!("{} {}", line.quantity, micros(line.added_at))
}

impl FromRedisValue for Reply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        if matches!(value, Value::Nil) {
            return Ok(Self::Full);
        }
        let fields = value.into_map_iter().map_err(|_| unreadable("a cart"))?;
        let mut reading = Reading::default();
        for (name, value) in fields {
            reading.field(bytes(&name)?, bytes(&value)?)?;
        }
        reading.end()
    }
}

/// A cart of which some fields were read.
#[derive(Default)]
struct Reading {
    revision: Option<i64>,
    updated_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
    merge_id: Option<String>,
    merge_user: Option<Uuid>,
    lines: Lines,
}

impl Reading {
    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), ParsingError> {
        match name {
            b"revision" => self.revision = Some(number(value)?),
            b"updated_at" => self.updated_at = Some(time(value)?),
            b"expires_at" => self.expires_at = Some(time(value)?),
            b"merge_id" => self.merge_id = Some(text(value)?.to_owned()),
            b"merge_user" => self.merge_user = Some(uuid(value)?),
            product => {
                self.lines.insert(uuid(product)?, line(value)?);
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Reply, ParsingError> {
        let merge = self
            .merge_id
            .zip(self.merge_user)
            .map(|(id, user_id)| MergeMark { id, user_id });
        match (self.revision, self.updated_at, self.expires_at) {
            (Some(revision), Some(updated_at), Some(expires_at)) => Ok(Reply::Cart(Record {
                cart: StoredCart {
                    revision,
                    lines: self.lines,
                    updated_at,
                    expires_at,
                },
                merge,
            })),
            (None, None, None) if self.lines.is_empty() => Ok(Reply::Nothing),
            _ => Err(unreadable("a cart")),
        }
    }
}

fn unreadable(what: &str) -> ParsingError {
    format!("this is not how {what} is kept").into()
}

fn bytes(value: &Value) -> Result<&[u8], ParsingError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(unreadable("a field")),
    }
}

fn text(value: &[u8]) -> Result<&str, ParsingError> {
    Ok(std::str::from_utf8(value)?)
}

fn number<T: std::str::FromStr>(value: &[u8]) -> Result<T, ParsingError> {
    text(value)?.parse().map_err(|_| unreadable("a number"))
}

fn uuid(value: &[u8]) -> Result<Uuid, ParsingError> {
    Uuid::try_parse_ascii(value).map_err(|_| unreadable("an id"))
}

fn time(value: &[u8]) -> Result<OffsetDateTime, ParsingError> {
    let micros: i64 = number(value)?;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(|_| unreadable("a time"))
}

fn line(value: &[u8]) -> Result<Line, ParsingError> {
    let space = value.iter().position(|byte| *byte == b' ');
    let (quantity, added_at) = space
        .and_then(|at| Some((value.get(..at)?, value.get(at + 1..)?)))
        .ok_or_else(|| unreadable("a line"))?;
    Ok(Line {
        quantity: number(quantity)?,
        added_at: time(added_at)?,
    })
}
