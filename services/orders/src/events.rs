//! Events that the service owns.

use emporium_event_bus::EventData;
use emporium_service_kit::Money;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::{ChargeKind, Order, OrderCharge, OrderLine, Source, Status};

/// A line of an order or a refund.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventLine {
    /// The product.
    pub product_id: Uuid,
    /// How many.
    pub quantity: i64,
    /// Price of one, in minor units of the order's currency.
    pub unit_price: i64,
}

/// A charge of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventCharge {
    /// What for.
    pub kind: ChargeKind,
    /// As it was called.
    pub name: String,
    /// Minor units of the order's currency; negative amounts reduce the total.
    pub amount: i64,
}

/// The three events of an order have the same payload: the order's state. They are types of their own, so that each has a
/// schema of its own.
macro_rules! order_events {
    ($($(#[$doc:meta])+ $name:ident = $kind:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
        pub struct $name {
            /// The order.
            pub order_id: Uuid,
            /// Null for a guest's order.
            pub customer_id: Option<Uuid>,
            /// How far it has come.
            pub status: Status,
            /// What was ordered.
            pub lines: Vec<EventLine>,
            /// Postage, discounts and the like.
            pub charges: Vec<EventCharge>,
            /// Lines and charges together.
            pub total: Money,
            /// When it was placed.
            #[serde(with = "time::serde::rfc3339")]
            pub placed_at: OffsetDateTime,
            /// Where it goes, ISO 3166 alpha-2.
            pub country: Option<String>,
            /// Why it was cancelled.
            pub reason: Option<String>,
            /// Where it came from.
            pub source: Source,
            /// The order's version after the change.
            pub version: i64,
        }

        impl EventData for $name {
            const TYPE: &'static str = $kind;
        }

        impl From<&Order> for $name {
            fn from(order: &Order) -> Self {
                Self {
                    order_id: order.id,
                    customer_id: order.customer_id,
                    status: order.status,
                    lines: order.lines.iter().map(EventLine::from).collect(),
                    charges: order.charges.iter().map(EventCharge::from).collect(),
                    total: order.total,
                    placed_at: order.placed_at,
                    country: order.shipping_address.as_ref().map(|address| address.country.clone()),
                    reason: order.reason.clone(),
                    source: order.source,
                    version: order.version,
                }
            }
        }
    )+};
}

order_events! {
    /// An order was placed: the checkout begins.
    OrderPlaced = "order.placed.v1";
    /// An order will be delivered.
    OrderConfirmed = "order.confirmed.v1";
    /// An order came to nothing.
    OrderCancelled = "order.cancelled.v1";
}

/// Money was given back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderRefunded {
    /// The refund.
    pub refund_id: Uuid,
    /// The order; null when it is not known.
    pub order_id: Option<Uuid>,
    /// The customer; null for a guest.
    pub customer_id: Option<Uuid>,
    /// How much.
    pub amount: Money,
    /// What was given back.
    pub lines: Vec<EventLine>,
    /// The order's version after the change; 1 for a refund without an order.
    pub version: i64,
}

impl EventData for OrderRefunded {
    const TYPE: &'static str = "order.refunded.v1";
}

impl From<&OrderLine> for EventLine {
    fn from(line: &OrderLine) -> Self {
        Self {
            product_id: line.product_id,
            quantity: line.quantity,
            unit_price: line.unit_price.amount,
        }
    }
}

impl From<&OrderCharge> for EventCharge {
    fn from(charge: &OrderCharge) -> Self {
        Self {
            kind: charge.kind,
            name: charge.name.clone(),
            amount: charge.amount.amount,
        }
    }
}
