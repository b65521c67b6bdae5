//! Figures. Each answer carries `as_of`: everything that other services had published by then is in it.

use emporium_service_kit::days::day;
use emporium_service_kit::{Currency, Money};
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

/// An answer with the moment that it is of.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AsOf<T> {
    /// The figures.
    #[serde(flatten)]
    pub figures: T,
    /// Everything that was published by this moment is in the figures; null when the bus does not tell just now.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}

/// What revenue is grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Days.
    #[default]
    Day,
    /// Weeks, which begin on Mondays (ISO 8601).
    Week,
    /// Months.
    Month,
    /// The product's category as it is now.
    Category,
    /// The country of the shipping address.
    Country,
}

/// Sales of a period, a category or a country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sales {
    /// The period's first day, the category's slug or the country's code; null where it is not known, and in sums.
    pub key: Option<String>,
    /// Checkouts begun in this shop (imported orders never were); null by category.
    pub placed: Option<i64>,
    /// Orders that came to nothing; null by category.
    pub cancelled: Option<i64>,
    /// Confirmed orders; null by category, since an order may have several.
    pub orders: Option<i64>,
    /// Lines of confirmed orders.
    pub lines: i64,
    /// Units of these lines.
    pub units: i64,
    /// What confirmed orders come to.
    pub gross: Money,
    /// What was given back.
    pub refunds: Money,
    /// Gross less refunds.
    pub net: Money,
}

/// Revenue in groups. Orders count on the day they were placed, refunds on the day of the refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revenue {
    /// The groups: periods without a gap, oldest first; categories and countries by what they come to, largest first.
    pub items: Vec<Sales>,
    /// All groups beyond the limit together.
    pub others: Option<Sales>,
    /// By category: what belongs to no product (postage, discounts, fees, refunds of those, or that name no goods).
    pub unallocated: Option<Sales>,
    /// The whole range: items, others and unallocated together.
    pub total: Sales,
}

/// What products are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rank {
    /// What their lines come to.
    #[default]
    Revenue,
    /// Units.
    Units,
}

/// Sales of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductSales {
    /// The product.
    pub product_id: Uuid,
    /// Its stock-keeping unit; null while the catalog's event has not come.
    pub sku: Option<String>,
    /// Its name now.
    pub name: Option<String>,
    /// The slug of its category now.
    pub category: Option<String>,
    /// Its brand now.
    pub brand: Option<String>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopProducts {
    /// Best first.
    pub items: Vec<ProductSales>,
}

/// How far visitors came on a day. Who reached a stage has reached those before it, whether they were told of or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunnelDay {
    /// The day (UTC).
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// How far visitors came.
    #[serde(flatten)]
    pub stages: Stages,
}

/// The conversion funnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Funnel {
    /// Every day of the range.
    pub items: Vec<FunnelDay>,
    /// All days together.
    pub total: Stages,
}

/// A part of a cohort that bought in a month.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Retained {
    /// Months since the first purchase; 0 is its own.
    pub months: i32,
    /// Customers who bought in that month.
    pub customers: i64,
    /// Their share of the cohort, 0 to 1.
    pub share: f64,
}

/// Customers by the month of their first purchase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cohort {
    /// The month's first day.
    #[serde(with = "day")]
    #[schema(value_type = String, format = Date)]
    pub month: Date,
    /// Customers whose first purchase was in it.
    pub customers: i64,
    /// Of these, who have bought again since, in the same month or later.
    pub bought_again: i64,
    /// Their share, 0 to 1.
    pub share_again: f64,
    /// Months in which any of them bought.
    pub retained: Vec<Retained>,
}

/// Cohort retention. Guests are nobody's cohort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cohorts {
    /// Oldest first; a month without first purchases has none.
    pub items: Vec<Cohort>,
}

/// Orders of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bucket {
    /// The smallest size.
    pub from: i64,
    /// The largest size; null for no bound.
    pub to: Option<i64>,
    /// How many orders.
    pub orders: i64,
}

/// How large baskets are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Baskets {
    /// Confirmed orders.
    pub orders: i64,
    /// Lines of an order; null without orders.
    pub mean_lines: Option<f64>,
    /// Units of an order.
    pub mean_units: Option<f64>,
    /// What an order comes to, rounded to the minor unit, halves away from zero.
    pub mean_value: Option<Money>,
    /// Orders by their lines.
    pub by_lines: Vec<Bucket>,
    /// Orders by their units.
    pub by_units: Vec<Bucket>,
}

/// Who came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
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
}

/// Sales of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Live {
    /// Sixty minutes, oldest first; the last one is the present one.
    pub items: Vec<LiveMinute>,
    /// Orders of the hour.
    pub orders: i64,
    /// Their units.
    pub units: i64,
    /// What they come to.
    pub gross: Money,
}

/// A search that found nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmptySearch {
    /// In lower case, white space made single.
    pub query: String,
    /// How often.
    pub searches: i64,
}

/// Searches that found nothing, most frequent first. Of days that are closed the hundred most frequent ones are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmptySearches {
    /// The searches.
    pub items: Vec<EmptySearch>,
}

/// A part of a whole; `None` of nothing.
pub fn share(part: i64, whole: i64) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)] // shares for people
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Sales {
    /// Nothing, of the group `key`; orders are counted unless it is by category.
    pub fn nothing(key: Option<String>, by: By, currency: Currency) -> Self {
        let counted = (by != By::Category).then_some(0);
        let none = Money::zero(currency);
        Self {
            key,
            placed: counted,
            cancelled: counted,
            orders: counted,
            lines: 0,
            units: 0,
            gross: none,
            refunds: none,
            net: none,
        }
    }
}
