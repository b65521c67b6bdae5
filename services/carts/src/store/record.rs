//! Carts and marks of purchases as they are moved to another store: the same text from every one.

use emporium_moving::Record;
use emporium_service_kit::StoreError;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::{CartKey, CartKind, Lines, StoredCart};

/// What identifies a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RecordKey {
    /// A cart.
    Cart(CartKey),
    /// The mark that a saga's purchase was taken off.
    Purchase {
        /// The customer.
        user_id: Uuid,
        /// The saga.
        saga_id: Uuid,
    },
}

impl RecordKey {
    /// `cart:user:<id>`, `cart:anonymous:<id>`, `purchase:<user>:<saga>`.
    pub fn text(self) -> String {
        match self {
            Self::Cart(CartKey { kind, id }) => format!("cart:{}:{id}", kind.as_str()),
            Self::Purchase { user_id, saga_id } => format!("purchase:{user_id}:{saga_id}"),
        }
    }

    /// From its text.
    pub fn read(text: &str) -> Result<Self, StoreError> {
        let mut parts = text.split(':');
        let mut next = || parts.next().unwrap_or_default();
        let (kind, first, second) = (next(), next(), next());
        let id = |text: &str| Uuid::try_parse(text).ok();
        let key = match (kind, first) {
            ("cart", "user") => id(second).map(|id| Self::Cart(CartKey::user(id))),
            ("cart", "anonymous") => id(second).map(|id| {
                let kind = CartKind::Anonymous;
                Self::Cart(CartKey { kind, id })
            }),
            ("purchase", user) => id(user)
                .zip(id(second))
                .map(|(user_id, saga_id)| Self::Purchase { user_id, saga_id }),
            _ => None,
        };
        key.ok_or_else(|| StoreError::Failed(format!("{text:?} names no record of carts").into()))
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Cart(StoredCart),
    /// Until when it is remembered.
    Purchase(OffsetDateTime),
}

/// Times are whole microseconds: what PostgreSQL and the Redis adapter keep.
#[derive(Serialize, Deserialize)]
struct CartText {
    revision: i64,
    lines: Lines,
    #[serde(with = "time::serde::timestamp::microseconds")]
    updated_at: OffsetDateTime,
    #[serde(with = "time::serde::timestamp::microseconds")]
    expires_at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
struct PurchaseText {
    #[serde(with = "time::serde::timestamp::microseconds")]
    expires_at: OffsetDateTime,
}

/// The record.
pub(super) fn record(key: RecordKey, content: Content) -> Result<Record, StoreError> {
    let (text, expires_at) = match content {
        Content::Cart(cart) => {
            let expires_at = cart.expires_at;
            let text = serde_json::to_string(&CartText {
                revision: cart.revision,
                lines: cart.lines,
                updated_at: cart.updated_at,
                expires_at,
            });
            (text, expires_at)
        }
        Content::Purchase(expires_at) => (serde_json::to_string(&PurchaseText { expires_at }), expires_at),
    };
    Ok(Record {
        key: key.text(),
        content: text.map_err(|error| StoreError::Failed(error.into()))?,
        expires_at: Some(expires_at),
    })
}

/// What a record says, and of what.
pub(super) fn content(record: &Record) -> Result<(RecordKey, Content), StoreError> {
    let key = RecordKey::read(&record.key)?;
    let failed = |error: serde_json::Error| StoreError::Failed(error.into());
    let content = match key {
        RecordKey::Cart(_) => {
            let text: CartText = serde_json::from_str(&record.content).map_err(failed)?;
            Content::Cart(StoredCart {
                revision: text.revision,
                lines: text.lines,
                updated_at: text.updated_at,
                expires_at: text.expires_at,
            })
        }
        RecordKey::Purchase { .. } => {
            let text: PurchaseText = serde_json::from_str(&record.content).map_err(failed)?;
            Content::Purchase(text.expires_at)
        }
    };
    Ok((key, content))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::model::Line;

    #[test]
    fn a_record_comes_back_from_its_text() {
        let (id, at) = (Uuid::from_u128(7), datetime!(2030-01-02 03:04:05.000006 UTC));
        let line = Line {
            quantity: 3,
            added_at: at,
        };
        let cart = StoredCart {
            revision: 2,
            lines: [(id, line)].into(),
            updated_at: at,
            expires_at: at,
        };
        let kind = CartKind::Anonymous;
        for (key, said) in [
            (RecordKey::Cart(CartKey::user(id)), Content::Cart(cart.clone())),
            (RecordKey::Cart(CartKey { kind, id }), Content::Cart(cart)),
            (
                RecordKey::Purchase {
                    user_id: id,
                    saga_id: Uuid::from_u128(8),
                },
                Content::Purchase(at),
            ),
        ] {
            let record = record(key, said.clone()).unwrap();
            assert_eq!(content(&record).unwrap(), (key, said));
        }
        for bad in [
            "",
            "cart:user:x",
            "cart:x:00000000-0000-0000-0000-000000000007",
            "purchase:1:2",
        ] {
            assert!(RecordKey::read(bad).is_err(), "{bad}");
        }
    }
}
