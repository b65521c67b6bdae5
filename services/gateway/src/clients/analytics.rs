//! The analytics service: figures of the business, made from other services' events and from what visitors do.

use emporium_service_kit::Money;
use emporium_service_kit::client::{CallError, Client};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::REPORT_TIMEOUT;

/// Client of the analytics service.
#[derive(Clone)]
pub struct Analytics(Client);

/// Sales of a period, a category or a country.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Sales {
    /// The period's first day, the category's slug or the country's code; null where it is not known, and in sums.
    pub key: Option<String>,
    /// Confirmed orders; null by category, since an order may have several.
    pub orders: Option<i64>,
    /// Units of their lines.
    pub units: i64,
    /// What confirmed orders come to.
    pub gross: Money,
    /// What was given back.
    pub refunds: Money,
    /// Gross less refunds.
    pub net: Money,
}

/// Revenue in groups.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Revenue {
    /// The groups: periods without a gap, oldest first; categories and countries by what they come to, largest first.
    pub items: Vec<Sales>,
    /// All groups beyond the limit together.
    pub others: Option<Sales>,
    /// By category: what belongs to no product, such as postage and discounts.
    pub unallocated: Option<Sales>,
    /// The whole range.
    pub total: Sales,
    /// Everything that was published by this moment is in the figures; null when nobody can say just now.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}

/// Sales of a product.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProductSales {
    /// The product.
    pub product_id: Uuid,
    /// Its article number.
    pub sku: Option<String>,
    /// Its name now.
    pub name: Option<String>,
    /// The slug of its category now.
    pub category: Option<String>,
    /// Confirmed orders that have it.
    pub orders: i64,
    /// Units.
    pub units: i64,
    /// What its lines come to.
    pub gross: Money,
    /// Units that came back.
    pub refunded_units: i64,
    /// What was given back for them.
    pub refunds: Money,
}

/// The products that sold most.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TopProducts {
    /// Best first.
    pub items: Vec<ProductSales>,
    /// As of when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}

/// How far visitors came. Who reached a stage has reached those before it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct Stages {
    /// Distinct visitors of a day; in sums, visitors of each day.
    pub visitors: i64,
    /// Of these, looked at a product, or further.
    pub viewed: i64,
    /// Put something into the cart, or further.
    pub carted: i64,
    /// Began a checkout.
    pub began_checkout: i64,
    /// And placed an order on that day that was confirmed.
    pub paid: i64,
}

/// [`Stages`] of a day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FunnelDay {
    /// The day (UTC).
    #[schema(format = Date)]
    pub day: String,
    /// How far visitors came.
    #[serde(flatten)]
    pub stages: Stages,
}

/// The conversion funnel.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Funnel {
    /// Every day of the range.
    pub items: Vec<FunnelDay>,
    /// All days together.
    pub total: Stages,
    /// As of when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}

/// A part of a cohort that bought in a month.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct Retained {
    /// Months since the first purchase; 0 is its own.
    pub months: i32,
    /// Customers who bought in that month.
    pub customers: i64,
    /// Their share of the cohort, 0 to 1.
    pub share: f64,
}

/// Customers by the month of their first purchase.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Cohort {
    /// The month's first day.
    #[schema(format = Date)]
    pub month: String,
    /// Customers whose first purchase was in it.
    pub customers: i64,
    /// Of these, who have bought again since.
    pub bought_again: i64,
    /// Their share, 0 to 1.
    pub share_again: f64,
    /// Months in which any of them bought.
    pub retained: Vec<Retained>,
}

/// Cohort retention.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Cohorts {
    /// Oldest first; a month without first purchases has none.
    pub items: Vec<Cohort>,
    /// As of when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}

/// Orders of a size.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct Bucket {
    /// The smallest size.
    pub from: i64,
    /// The largest size; null for no bound.
    pub to: Option<i64>,
    /// How many orders.
    pub orders: i64,
}

/// How large baskets are.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Baskets {
    /// Confirmed orders.
    pub orders: i64,
    /// Lines of an order; null without orders.
    pub mean_lines: Option<f64>,
    /// Units of an order.
    pub mean_units: Option<f64>,
    /// What an order comes to.
    pub mean_value: Option<Money>,
    /// Orders by their lines.
    pub by_lines: Vec<Bucket>,
    /// Orders by their units.
    pub by_units: Vec<Bucket>,
    /// As of when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}

/// Who came back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[allow(clippy::struct_field_names)] // as the service calls them
pub struct Repeat {
    /// Known customers who bought in the range.
    pub customers: i64,
    /// Their orders.
    pub orders: i64,
    /// Orders of guests, who cannot be told from each other.
    pub guest_orders: i64,
    /// Customers who bought more than once in the range.
    pub repeat_customers: i64,
    /// Their share, 0 to 1; null without customers.
    pub repeat_rate: Option<f64>,
    /// Customers who had bought before the range.
    pub returning_customers: i64,
    /// Their share, 0 to 1; null without customers.
    pub returning_rate: Option<f64>,
    /// As of when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}

/// Sales of a minute.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LiveMinute {
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub minute: OffsetDateTime,
    /// Orders placed in it that are confirmed by now.
    pub orders: i64,
    /// Their units.
    pub units: i64,
    /// What they come to.
    pub gross: Money,
}

/// Sales of the last hour.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Live {
    /// Sixty minutes, oldest first; the last one is the present one.
    pub items: Vec<LiveMinute>,
    /// Orders of the hour.
    pub orders: i64,
    /// Their units.
    pub units: i64,
    /// What they come to.
    pub gross: Money,
    /// As of when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}

/// What a question is asked with: names and values, as the service reads them.
pub type Terms<'a> = [(&'static str, &'a str)];

impl Analytics {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, terms: &Terms<'_>) -> Result<T, CallError> {
        let call = self.0.get(path).query(terms).timeout(REPORT_TIMEOUT);
        call.send().await
    }

    /// Revenue by `day`, `week`, `month`, `category` or `country`. Problems, as of all that follow: 422 `invalid`.
    pub async fn revenue(&self, terms: &Terms<'_>) -> Result<Revenue, CallError> {
        self.ask("/revenue", terms).await
    }

    /// The products that sold most.
    pub async fn top_products(&self, terms: &Terms<'_>) -> Result<TopProducts, CallError> {
        self.ask("/top-products", terms).await
    }

    /// How far visitors came.
    pub async fn funnel(&self, terms: &Terms<'_>) -> Result<Funnel, CallError> {
        self.ask("/funnel", terms).await
    }

    /// Customers by the month of their first purchase.
    pub async fn cohorts(&self, terms: &Terms<'_>) -> Result<Cohorts, CallError> {
        self.ask("/cohorts", terms).await
    }

    /// How large baskets are.
    pub async fn baskets(&self, terms: &Terms<'_>) -> Result<Baskets, CallError> {
        self.ask("/baskets", terms).await
    }

    /// Who came back.
    pub async fn repeat_rate(&self, terms: &Terms<'_>) -> Result<Repeat, CallError> {
        self.ask("/repeat-rate", terms).await
    }

    /// The last hour.
    pub async fn live(&self, terms: &Terms<'_>) -> Result<Live, CallError> {
        self.ask("/live", terms).await
    }
}
