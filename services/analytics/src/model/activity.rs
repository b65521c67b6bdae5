//! What visitors do in the shop, as the gateway tells it.
#![allow(clippy::trivially_copy_pass_by_ref)] // garde hands values and context to rules by reference

use emporium_service_kit::validate::line;
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

/// Activities of one batch.
pub const BATCH_MAX: usize = 500;
/// Characters of a search.
pub const QUERY_MAX: usize = 200;
/// How long after its moment an activity may come. Shorter than raw activities are kept, so that one that comes twice is
/// always known.
pub const LATE_MAX: Duration = Duration::days(2);
/// How far ahead of this service's clock the gateway's may be.
pub const AHEAD_MAX: Duration = Duration::minutes(5);

/// `POST /activity`.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
pub struct ActivityBatch {
    /// 1 to 500 activities, of any visitors, in any order.
    #[garde(length(min = 1, max = BATCH_MAX), dive)]
    pub items: Vec<Activity>,
}

/// Something that a visitor did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
pub struct Activity {
    /// UUIDv7. It carries the moment, and whatever comes with the same id again counts once.
    #[garde(custom(version_7))]
    pub id: Uuid,
    /// Random, without any meaning elsewhere, kept by the visitor's browser.
    #[garde(custom(not_nil))]
    pub visitor_id: Uuid,
    /// The customer, if signed in.
    #[garde(skip)]
    #[serde(default)]
    pub customer_id: Option<Uuid>,
    /// What it was.
    #[serde(flatten)]
    #[garde(dive)]
    pub what: What,
}

/// What a visitor did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum What {
    /// Searched.
    Search {
        /// The words, at most 200 characters; empty for browsing, which is never a search without a result.
        #[garde(length(chars, max = QUERY_MAX), custom(line))]
        query: String,
        /// How many products were found.
        #[garde(range(min = 0))]
        results: i64,
    },
    /// Looked at a product.
    View {
        /// The product.
        #[garde(skip)]
        product_id: Uuid,
    },
    /// Changed a line of the cart.
    Cart {
        /// The product.
        #[garde(skip)]
        product_id: Uuid,
        /// Units afterwards; 0 took the line out.
        #[garde(range(min = 0, max = 999))]
        quantity: i32,
    },
    /// Began a checkout.
    Checkout,
}

fn version_7(id: &Uuid, _: &()) -> garde::Result {
    if id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122 {
        return Ok(());
    }
    Err(garde::Error::new("must be a UUID of version 7"))
}

fn not_nil(id: &Uuid, _: &()) -> garde::Result {
    if id.is_nil() {
        return Err(garde::Error::new("must not be nil"));
    }
    Ok(())
}

impl Activity {
    /// The moment that the id carries, to the millisecond; `None` beyond the year 9999.
    pub fn moment(&self) -> Option<OffsetDateTime> {
        moment(self.id)
    }

    /// Whether it comes neither too late nor from the future.
    pub fn in_time(&self, now: OffsetDateTime) -> bool {
        self.moment()
            .is_some_and(|at| now - LATE_MAX <= at && at <= now + AHEAD_MAX)
    }
}

/// The moment that a UUIDv7 carries.
pub fn moment(id: Uuid) -> Option<OffsetDateTime> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    let seconds = i64::try_from(seconds).ok()?;
    Some(OffsetDateTime::from_unix_timestamp(seconds).ok()? + Duration::nanoseconds(i64::from(nanos)))
}

impl What {
    /// As the database has it.
    pub fn kind(&self) -> i16 {
        match self {
            Self::Search { .. } => 0,
            Self::View { .. } => 1,
            Self::Cart { .. } => 2,
            Self::Checkout => 3,
        }
    }

    /// How far a visitor comes by it: 0 is there, 1 has viewed, 2 has put into the cart, 3 has begun a checkout.
    pub fn stage(&self) -> i16 {
        match self {
            Self::Search { .. } | Self::Cart { quantity: 0, .. } => 0,
            Self::View { .. } => 1,
            Self::Cart { .. } => 2,
            Self::Checkout => 3,
        }
    }
}

/// A search as it is counted: lower case, white space made single, nothing at the ends.
pub fn normal(query: &str) -> String {
    let words: Vec<&str> = query.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// What became of a batch of activities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recorded {
    /// How many came.
    pub received: usize,
    /// How many were new and are counted.
    pub recorded: usize,
    /// How many were known already.
    pub repeated: usize,
    /// How many came more than two days late or from more than five minutes ahead; they are not counted.
    pub out_of_time: usize,
    /// How many were of a day that has as many as are kept; they are not counted.
    pub over_limit: usize,
}
