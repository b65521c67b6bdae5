//! The records of the owners' bulk interfaces, one JSON object a line, as `docs/src/contracts.md` agrees them.
//!
//! They are written down here once more, and not taken from the services, because a producer keeps just what it
//! sends: no service crate is a dependency.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

pub use emporium_service_kit::{Currency, Money};

/// A free attribute's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// True or false.
    Flag(bool),
    /// A number; a whole one is written without a decimal point.
    Number(serde_json::Number),
    /// Text.
    Text(String),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for AttributeValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

/// Attributes in the order of their keys, so that their bytes are always the same.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// A line for `POST /bulk/products`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct ProductRecord {
    pub id: Uuid,
    pub sku: Arc<str>,
    pub name: Arc<str>,
    pub description: String,
    /// The category's slug.
    pub category: String,
    pub category_name: String,
    pub brand: Option<String>,
    pub price: Money,
    pub attributes: Attributes,
    /// `seed`, `icecat` or `online-retail`.
    pub source: String,
    pub stock: i64,
    /// Always 0: the catalog counts units from `order.confirmed.v1`, those of loaded orders included.
    pub popularity: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A line for `POST /bulk/stock-adjustments`: history only, the stock on hand stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct StockAdjustmentRecord {
    pub id: Uuid,
    pub product_id: Uuid,
    pub delta: i64,
    pub reason: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub reference: String,
}

/// An entry of a customer's address book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct AddressRecord {
    pub id: Uuid,
    pub street: String,
    pub city: String,
    pub postal_code: String,
    /// ISO 3166 alpha-2.
    pub country: String,
    pub is_default: bool,
}

/// An address as it was when the order was placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct AddressSnapshot {
    pub street: String,
    pub city: String,
    pub postal_code: String,
    pub country: String,
}

impl From<&AddressRecord> for AddressSnapshot {
    fn from(address: &AddressRecord) -> Self {
        Self {
            street: address.street.clone(),
            city: address.city.clone(),
            postal_code: address.postal_code.clone(),
            country: address.country.clone(),
        }
    }
}

/// A line for `POST /bulk/users`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct UserRecord {
    pub id: Uuid,
    pub email: String,
    pub name: String,
    /// `generated` or `imported`.
    pub origin: String,
    pub name_invented: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    pub preferences: BTreeMap<String, AttributeValue>,
    pub points: i64,
    pub addresses: Vec<AddressRecord>,
    /// Only demo accounts have one; all others cannot sign in.
    pub password: Option<String>,
}

/// What was bought, as it was called and cost at the time. In a refund: what was given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct OrderLine {
    pub product_id: Uuid,
    pub sku: Arc<str>,
    pub name: Arc<str>,
    pub quantity: i64,
    pub unit_price: i64,
}

/// The kinds of charges an order can have beside its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChargeKind {
    /// Postage and carriage.
    Postage,
    /// A discount: negative in an order.
    Discount,
    /// A fee of a bank or a marketplace.
    Fee,
    /// Entered by hand.
    Manual,
    /// A correction, such as a written-off debt.
    Adjustment,
}

/// An amount of an order that is not a product's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct OrderCharge {
    pub kind: ChargeKind,
    pub name: String,
    /// Minor units; negative amounts reduce the total.
    pub amount: i64,
}

/// A line for `POST /bulk/orders`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
pub enum OrderRecord {
    /// A confirmed order.
    Order(Order),
    /// Money given back, for an order of the same load where one was found.
    Refund(Refund),
}

/// A confirmed order; its total is the sum of its lines and charges and never negative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct Order {
    pub id: Uuid,
    pub number: String,
    /// None is a guest's order.
    pub customer_id: Option<Uuid>,
    #[serde(with = "time::serde::rfc3339")]
    pub placed_at: OffsetDateTime,
    /// `none`, `shipped`, `delivered` or `returned`.
    pub fulfilment: String,
    /// `seed` or `online-retail`.
    pub source: String,
    pub reference: Option<String>,
    pub currency: Currency,
    pub lines: Vec<OrderLine>,
    pub charges: Vec<OrderCharge>,
    pub shipping_address: Option<AddressSnapshot>,
}

/// Money given back; its amount is the sum of its lines and charges and never negative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct Refund {
    pub id: Uuid,
    pub order_id: Option<Uuid>,
    pub customer_id: Option<Uuid>,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub source: String,
    pub reference: Option<String>,
    pub currency: Currency,
    pub amount: i64,
    pub lines: Vec<OrderLine>,
    pub charges: Vec<OrderCharge>,
}

/// A line for `POST /bulk/payments`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the contract's names")]
pub enum PaymentRecord {
    /// The payment of an order; the saga id is the order's.
    Charge {
        saga_id: Uuid,
        order_id: Uuid,
        customer_id: Option<Uuid>,
        amount: Money,
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// Money given back; the refund id is that of the orders' refund record.
    Refund {
        refund_id: Uuid,
        order_id: Option<Uuid>,
        amount: Money,
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        reason: String,
    },
}

/// A line for `POST /bulk/reviews`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct ReviewRecord {
    pub id: Uuid,
    pub product_id: Uuid,
    pub author_id: Uuid,
    pub rating: i64,
    pub title: String,
    pub text: String,
    pub attributes: BTreeMap<String, serde_json::Value>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    pub answers: Vec<ReviewAnswer>,
    pub votes: Vec<ReviewVote>,
}

/// The seller's answer to a review.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct ReviewAnswer {
    pub id: Uuid,
    pub author_id: Uuid,
    pub text: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// Whether a review helped somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's names")]
pub struct ReviewVote {
    pub voter_id: Uuid,
    pub helpful: bool,
}

/// The value of `lines` and `charges` together, in minor units.
pub fn total(lines: &[OrderLine], charges: &[OrderCharge]) -> i64 {
    lines
        .iter()
        .map(|line| line.quantity * line.unit_price)
        .sum::<i64>()
        + charges.iter().map(|charge| charge.amount).sum::<i64>()
}

impl OrderRecord {
    /// The payment that belongs to this record; none when no money moved.
    ///
    /// `reason` is written into refunds.
    pub fn payment(&self, reason: &str) -> Option<PaymentRecord> {
        match self {
            Self::Order(order) => {
                let amount = total(&order.lines, &order.charges);
                (amount > 0).then_some(PaymentRecord::Charge {
                    saga_id: order.id,
                    order_id: order.id,
                    customer_id: order.customer_id,
                    amount: Money {
                        amount,
                        currency: order.currency,
                    },
                    at: order.placed_at,
                })
            }
            Self::Refund(refund) => (refund.amount > 0).then(|| PaymentRecord::Refund {
                refund_id: refund.id,
                order_id: refund.order_id,
                amount: Money {
                    amount: refund.amount,
                    currency: refund.currency,
                },
                at: refund.at,
                reason: reason.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_keep_their_types() {
        let json = r#"{"a":true,"b":2,"c":2.5,"d":"2"}"#;
        let attributes: Attributes = serde_json::from_str(json).expect("parse");
        assert_eq!(attributes["a"], true.into());
        assert_eq!(attributes["b"], 2.into());
        assert_eq!(attributes["d"], "2".into());
        assert_eq!(serde_json::to_string(&attributes).expect("write"), json);
    }
}
