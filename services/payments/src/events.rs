//! Events that the service owns. The aggregate is the charge: the subject is its saga's id and `version` its version.
//! A refund that belongs to no charge is an aggregate of its own: the subject is its id and the version 1.

use emporium_event_bus::{EventData, NewEvent};
use emporium_service_kit::{Clock, Money, ids};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::Charge;

/// Three events tell how a charge ended; each is a type of its own, because a schema belongs to one event.
macro_rules! charge_event {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, ToSchema)]
        pub struct $name {
            /// The checkout's saga.
            pub saga_id: Uuid,
            /// The order.
            pub order_id: Option<Uuid>,
            /// The customer; null for guests.
            pub customer_id: Option<Uuid>,
            /// How much.
            pub amount: Money,
            /// Why, where there is something to say.
            pub reason: Option<String>,
            /// The charge's version.
            pub version: i64,
        }

        impl EventData for $name {
            const TYPE: &'static str = $kind;
        }

        impl From<&Charge> for $name {
            fn from(charge: &Charge) -> Self {
                Self {
                    saga_id: charge.saga_id,
                    order_id: charge.order_id,
                    customer_id: charge.customer_id,
                    amount: charge.amount,
                    reason: charge.reason.clone(),
                    version: charge.version,
                }
            }
        }

        impl $name {
            /// The event that tells of the charge's last change, at its very moment: whoever sums up events by day gets what
            /// the books have.
            pub fn of(charge: &Charge) -> Result<NewEvent, serde_json::Error> {
                let moment = Clock::manual(charge.updated_at);
                NewEvent::now(&moment, charge.saga_id, charge.version, &Self::from(charge))
            }
        }
    };
}

charge_event!(
    /// The money is taken.
    PaymentSucceeded,
    "payment.succeeded.v1"
);
charge_event!(
    /// The provider refused.
    PaymentDeclined,
    "payment.declined.v1"
);
charge_event!(
    /// The charge was given up before there was an answer.
    PaymentVoided,
    "payment.voided.v1"
);

/// Money was given back.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaymentRefunded {
    /// The refund.
    pub refund_id: Uuid,
    /// The saga of the charge; null for imported refunds that belong to none.
    pub saga_id: Option<Uuid>,
    /// The order, where it is known.
    pub order_id: Option<Uuid>,
    /// The customer; null for guests.
    pub customer_id: Option<Uuid>,
    /// How much was given back.
    pub amount: Money,
    /// Why.
    pub reason: Option<String>,
    /// The charge's version; 1 without a charge.
    pub version: i64,
}

impl EventData for PaymentRefunded {
    const TYPE: &'static str = "payment.refunded.v1";
}

impl PaymentRefunded {
    /// The event that tells of it, at the moment that is booked.
    pub fn at(&self, moment: OffsetDateTime) -> Result<NewEvent, serde_json::Error> {
        NewEvent::now(&Clock::manual(moment), self.subject(), self.version, self)
    }

    /// The event of an imported refund: its time is the record's, and its id follows from the refund's.
    pub fn then(&self, at: OffsetDateTime) -> Result<NewEvent, serde_json::Error> {
        let id = ids::derived(at, Self::TYPE, self.refund_id.as_bytes());
        NewEvent::at(id, at, self.subject(), self.version, self)
    }

    fn subject(&self) -> Uuid {
        self.saga_id.unwrap_or(self.refund_id)
    }
}

impl PaymentSucceeded {
    /// The event of an imported charge: its time is the record's, and its id follows from the saga's.
    pub fn then(&self, at: OffsetDateTime) -> Result<NewEvent, serde_json::Error> {
        let id = ids::derived(at, Self::TYPE, self.saga_id.as_bytes());
        NewEvent::at(id, at, self.saga_id, self.version, self)
    }
}
