//! Values as BSON has them. Every number is a 64-bit one except ratings and places, which are 32-bit; times are microseconds
//! since 1970, because BSON's own have milliseconds only; ids are binary of subtype 4 (UUID), or two of them in one binary.

use emporium_service_kit::StoreError;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::foreign;

/// An id.
pub fn id(id: Uuid) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Uuid,
        bytes: id.as_bytes().to_vec(),
    })
}

/// Two ids as one key. A document as `_id` would be compared by the order of its fields, and is found by a scan on some servers.
pub fn pair(one: Uuid, other: Uuid) -> Bson {
    binary([one.as_bytes().as_slice(), other.as_bytes()].concat())
}

/// Bytes.
pub fn binary(bytes: Vec<u8>) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    })
}

/// A time.
pub fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

/// Reads fields of a document that this program wrote.
pub trait Fields {
    /// An id.
    fn uuid(&self, name: &str) -> Result<Uuid, StoreError>;
    /// A 64-bit number.
    fn long(&self, name: &str) -> Result<i64, StoreError>;
    /// The same, 0 where there is none.
    fn long_or_zero(&self, name: &str) -> Result<i64, StoreError>;
    /// A 32-bit number.
    fn int(&self, name: &str) -> Result<i32, StoreError>;
    /// A text.
    fn text(&self, name: &str) -> Result<String, StoreError>;
    /// A text or null.
    fn text_opt(&self, name: &str) -> Result<Option<String>, StoreError>;
    /// A truth.
    fn truth(&self, name: &str) -> Result<bool, StoreError>;
    /// A time.
    fn time(&self, name: &str) -> Result<OffsetDateTime, StoreError>;
    /// Whether there is something but null.
    fn has(&self, name: &str) -> bool;
}

impl Fields for Document {
    fn uuid(&self, name: &str) -> Result<Uuid, StoreError> {
        match self.get(name) {
            Some(Bson::Binary(binary)) => Uuid::from_slice(&binary.bytes).map_err(|_| foreign(name)),
            _ => Err(foreign(name)),
        }
    }

    fn long(&self, name: &str) -> Result<i64, StoreError> {
        self.get_i64(name).map_err(|_| foreign(name))
    }

    fn long_or_zero(&self, name: &str) -> Result<i64, StoreError> {
        if self.has(name) { self.long(name) } else { Ok(0) }
    }

    fn int(&self, name: &str) -> Result<i32, StoreError> {
        self.get_i32(name).map_err(|_| foreign(name))
    }

    fn text(&self, name: &str) -> Result<String, StoreError> {
        let text = self.get_str(name).map_err(|_| foreign(name))?;
        Ok(text.to_owned())
    }

    fn text_opt(&self, name: &str) -> Result<Option<String>, StoreError> {
        if self.has(name) {
            self.text(name).map(Some)
        } else {
            Ok(None)
        }
    }

    fn truth(&self, name: &str) -> Result<bool, StoreError> {
        self.get_bool(name).map_err(|_| foreign(name))
    }

    fn time(&self, name: &str) -> Result<OffsetDateTime, StoreError> {
        let micros = i128::from(self.long(name)?);
        OffsetDateTime::from_unix_timestamp_nanos(micros * 1_000).map_err(|_| foreign(name))
    }

    fn has(&self, name: &str) -> bool {
        !matches!(self.get(name), None | Some(Bson::Null))
    }
}
