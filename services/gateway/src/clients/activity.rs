//! The analytics service's other side: what visitors do in the shop is told to it in batches.

use std::time::Duration;

use emporium_service_kit::client::{CallError, Client};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// How long a batch may take. Nobody waits for it but the next batch.
const BATCH_TIMEOUT: Duration = Duration::from_secs(2);

/// Client that tells what visitors do.
#[derive(Clone)]
pub struct ActivityLog(Client);

/// Something that a visitor did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// UUIDv7: it carries the moment, and whatever comes with the same id again counts once.
    pub id: Uuid,
    /// Whose day in the shop this belongs to, without saying who that is.
    pub visitor_id: Uuid,
    /// The customer, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<Uuid>,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// What a visitor did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum What {
    /// Searched.
    Search {
        /// The words, at most 200 characters of one line.
        query: String,
        /// How many products were found.
        results: i64,
    },
    /// Looked at a product.
    View {
        /// The product.
        product_id: Uuid,
    },
    /// Changed a line of the cart.
    Cart {
        /// The product.
        product_id: Uuid,
        /// Units afterwards, 0 to 999.
        quantity: i64,
    },
    /// Began a checkout.
    Checkout,
}

impl What {
    /// Its name in metrics, as in the API.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Search { .. } => "search",
            Self::View { .. } => "view",
            Self::Cart { .. } => "cart",
            Self::Checkout => "checkout",
        }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
pub struct Recorded {
    /// How many came.
    pub received: u64,
}

#[derive(Serialize)]
struct Batch<'a> {
    items: &'a [Activity],
}

impl ActivityLog {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// Tells of 1 to 500 activities, in at most 256 KiB: all of them are taken or none. Tried once here: whoever keeps the
    /// batch sends it again, with the same ids.
    pub async fn record(&self, items: &[Activity]) -> Result<Recorded, CallError> {
        let call = self.0.post("/activity").json(&Batch { items });
        call.timeout(BATCH_TIMEOUT).send().await
    }
}
