//! What owners say of one order and of one user: the payloads of their committed schemas (`services/*/schemas`), which a test
//! compares with these.

use emporium_event_bus::{EventData, NewEvent};
use emporium_service_kit::{Currency, Money, ids};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::orders::{Order, Refund, User};

/// A line of an order or a refund.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Line {
    /// The product.
    pub product_id: Uuid,
    /// How many.
    pub quantity: i64,
    /// Price of one, in minor units.
    pub unit_price: i64,
}

#[derive(Serialize)]
struct OrderData {
    order_id: Uuid,
    customer_id: Option<Uuid>,
    status: &'static str,
    lines: Vec<Line>,
    charges: [(); 0],
    total: Money,
    #[serde(with = "time::serde::rfc3339")]
    placed_at: OffsetDateTime,
    country: Option<&'static str>,
    reason: Option<&'static str>,
    source: &'static str,
    version: i64,
}

impl OrderData {
    fn of(order: &Order, status: &'static str, version: i64) -> Self {
        Self {
            order_id: order.id,
            customer_id: order.customer,
            status,
            lines: order.lines.clone(),
            charges: [],
            total: pounds(order.total),
            placed_at: order.placed_at,
            country: Some(order.country),
            reason: (status == "cancelled").then_some("payment-declined"),
            source: "shop",
            version,
        }
    }
}

#[derive(Serialize)]
struct OrderRefundedData {
    refund_id: Uuid,
    order_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    amount: Money,
    lines: Vec<Line>,
    version: i64,
}

#[derive(Serialize)]
struct ChargeData {
    saga_id: Uuid,
    order_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    amount: Money,
    reason: Option<&'static str>,
    version: i64,
}

#[derive(Serialize)]
struct PaymentRefundedData {
    refund_id: Uuid,
    saga_id: Option<Uuid>,
    order_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    amount: Money,
    reason: Option<&'static str>,
    version: i64,
}

#[derive(Serialize)]
struct UserData {
    id: Uuid,
    email: String,
    name: String,
    role: &'static str,
    active: bool,
    origin: &'static str,
    version: i64,
}

macro_rules! events {
    ($($name:ident($data:ty) = $kind:literal;)+) => {$(
        #[derive(Serialize)]
        struct $name($data);

        impl EventData for $name {
            const TYPE: &'static str = $kind;
        }
    )+};
}

events! {
    OrderPlaced(OrderData) = "order.placed.v1";
    OrderConfirmed(OrderData) = "order.confirmed.v1";
    OrderCancelled(OrderData) = "order.cancelled.v1";
    OrderRefunded(OrderRefundedData) = "order.refunded.v1";
    PaymentSucceeded(ChargeData) = "payment.succeeded.v1";
    PaymentDeclined(ChargeData) = "payment.declined.v1";
    PaymentRefunded(PaymentRefundedData) = "payment.refunded.v1";
    UserUpdated(UserData) = "user.updated.v1";
}

/// An amount in the shop's currency.
pub fn pounds(amount: i64) -> Money {
    Money::new(amount, Currency::GBP)
}

/// An event, with what the harness wants to know of it.
pub struct Said {
    /// Its id.
    pub id: Uuid,
    /// Its type.
    pub kind: &'static str,
    /// For the outbox.
    pub event: NewEvent,
}

fn said<E: EventData>(at: OffsetDateTime, subject: Uuid, version: i64, data: &E) -> anyhow::Result<Said> {
    let id = ids::derived(at, E::TYPE, subject.as_bytes());
    Ok(Said {
        id,
        kind: E::TYPE,
        event: NewEvent::at(id, at, subject, version, data)?,
    })
}

/// The checkout begins.
pub fn placed(order: &Order, at: OffsetDateTime) -> anyhow::Result<Said> {
    said(at, order.id, 1, &OrderPlaced(OrderData::of(order, "pending", 1)))
}

/// It will be delivered.
pub fn confirmed(order: &Order, at: OffsetDateTime) -> anyhow::Result<Said> {
    said(
        at,
        order.id,
        4,
        &OrderConfirmed(OrderData::of(order, "confirmed", 4)),
    )
}

/// The payment was declined.
pub fn cancelled(order: &Order, at: OffsetDateTime) -> anyhow::Result<Said> {
    said(
        at,
        order.id,
        3,
        &OrderCancelled(OrderData::of(order, "cancelled", 3)),
    )
}

/// What orders says of a refund.
pub fn refunded(order: &Order, refund: &Refund, at: OffsetDateTime) -> anyhow::Result<Said> {
    let data = OrderRefundedData {
        refund_id: refund.id,
        order_id: Some(order.id),
        customer_id: order.customer,
        amount: pounds(refund.amount),
        lines: vec![refund.line],
        version: 5,
    };
    said(at, order.id, 5, &OrderRefunded(data))
}

fn charge(order: &Order, reason: Option<&'static str>) -> ChargeData {
    ChargeData {
        saga_id: order.saga,
        order_id: Some(order.id),
        customer_id: order.customer,
        amount: pounds(order.total),
        reason,
        version: 2,
    }
}

/// The money is taken.
pub fn paid(order: &Order, at: OffsetDateTime) -> anyhow::Result<Said> {
    said(at, order.saga, 2, &PaymentSucceeded(charge(order, None)))
}

/// The provider refused.
pub fn declined(order: &Order, at: OffsetDateTime) -> anyhow::Result<Said> {
    said(
        at,
        order.saga,
        2,
        &PaymentDeclined(charge(order, Some("card-declined"))),
    )
}

/// What payments says of a refund.
pub fn paid_back(order: &Order, refund: &Refund, at: OffsetDateTime) -> anyhow::Result<Said> {
    let data = PaymentRefundedData {
        refund_id: refund.id,
        saga_id: Some(order.saga),
        order_id: Some(order.id),
        customer_id: order.customer,
        amount: pounds(refund.amount),
        reason: None,
        version: 3,
    };
    said(at, order.saga, 3, &PaymentRefunded(data))
}

/// An account was changed, blocked or unblocked.
pub fn updated(user: &User, at: OffsetDateTime) -> anyhow::Result<Said> {
    let data = UserData {
        id: user.id,
        email: format!("{}@customers.example", user.id.simple()),
        name: user.name.clone(),
        role: "customer",
        active: user.active,
        origin: "generated",
        version: user.version,
    };
    said(at, user.id, user.version, &UserUpdated(data))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    use super::super::orders::Script;
    use super::*;

    /// Names of a payload's fields, and of those of its lines.
    fn names(value: &Value) -> BTreeSet<String> {
        let object = value.as_object().unwrap();
        object.keys().cloned().collect()
    }

    fn data(said: &Said) -> Value {
        // `NewEvent` keeps its payload to itself; its debug text has it as a string.
        let text = format!("{:?}", said.event);
        let quoted = text.split("data: ").nth(1).unwrap().trim_end_matches(" }");
        let json: String = serde_json::from_str(quoted).unwrap();
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn payloads_have_the_fields_of_the_committed_schemas() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let mut script = Script::new(7, (0..50).map(Uuid::from_u128).collect(), 10).unwrap();
        let order = script.order(at);
        let refund = order.refund();
        let user = script.user();
        let all = [
            ("orders", placed(&order, at)),
            ("orders", confirmed(&order, at)),
            ("orders", cancelled(&order, at)),
            ("orders", refunded(&order, &refund, at)),
            ("payments", paid(&order, at)),
            ("payments", declined(&order, at)),
            ("payments", paid_back(&order, &refund, at)),
            ("users", updated(&user, at)),
        ];
        for (owner, said) in all {
            let said = said.unwrap();
            let path = format!("../services/{owner}/schemas/{}.json", said.kind);
            let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
            let schema: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(names(&data(&said)), names(&schema["properties"]), "{}", said.kind);
        }
    }
}
