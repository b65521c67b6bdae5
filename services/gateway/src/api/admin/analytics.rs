//! `/api/admin/analytics/…`: figures of the business. Ranges are bounded by the analytics service, whose 422 passes through.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::Api;
use emporium_service_kit::extract::Query;
use emporium_service_kit::problem::ProblemDocument;
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::administration::{self, BestSellers};
use crate::app::App;
use crate::clients::analytics::{Baskets, Cohorts, Funnel, Live, Repeat, Revenue};
use crate::error::Error;
use crate::identity::Administrator;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(admin_revenue))
        .public(routes!(admin_top_products))
        .public(routes!(admin_funnel))
        .public(routes!(admin_cohorts))
        .public(routes!(admin_baskets))
        .public(routes!(admin_repeat_rate))
        .public(routes!(admin_live_sales))
}

/// What revenue is grouped by.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Grouping {
    Day,
    Week,
    Month,
    Category,
    Country,
}

/// What products are ranked by.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Ranking {
    Revenue,
    Units,
}

/// `?from=&to=&currency=`.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct RangeQuery {
    /// The first day, such as `2010-12-01` (UTC); 30 days before `to` when absent (a year for cohorts).
    #[garde(length(max = 40))]
    #[param(format = Date)]
    from: Option<String>,
    /// The last day, included; today when absent.
    #[garde(length(max = 40))]
    #[param(format = Date)]
    to: Option<String>,
    /// Of which currency (ISO 4217), where money is concerned; the shop's when absent.
    #[garde(length(max = 40))]
    currency: Option<String>,
}

/// `?from=&to=&currency=&by=&limit=`.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct RevenueQuery {
    /// The first day, such as `2010-12-01` (UTC); 30 days before `to` when absent.
    #[garde(length(max = 40))]
    #[param(format = Date)]
    from: Option<String>,
    /// The last day, included; today when absent.
    #[garde(length(max = 40))]
    #[param(format = Date)]
    to: Option<String>,
    /// Of which currency (ISO 4217); the shop's when absent.
    #[garde(length(max = 40))]
    currency: Option<String>,
    /// What it is grouped by; `day` when absent. At most 1,100 days, otherwise 3,660.
    #[garde(skip)]
    #[param(inline)]
    by: Option<Grouping>,
    /// How many categories or countries, before all others are put together; 50 when absent.
    #[garde(range(min = 1, max = 200))]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// `?from=&to=&currency=&by=&category=&limit=`.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct TopQuery {
    /// The first day, such as `2010-12-01` (UTC); 30 days before `to` when absent.
    #[garde(length(max = 40))]
    #[param(format = Date)]
    from: Option<String>,
    /// The last day, included; today when absent.
    #[garde(length(max = 40))]
    #[param(format = Date)]
    to: Option<String>,
    /// Of which currency (ISO 4217); the shop's when absent.
    #[garde(length(max = 40))]
    currency: Option<String>,
    /// What they are ranked by; `revenue` when absent.
    #[garde(skip)]
    #[param(inline)]
    by: Option<Ranking>,
    /// Only products of this category: its slug.
    #[garde(length(max = 200))]
    category: Option<String>,
    /// How many; 20 when absent.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Names and values of what was given.
fn terms<'a, const N: usize>(given: [(&'static str, Option<&'a str>); N]) -> Vec<(&'static str, &'a str)> {
    let mut terms = Vec::with_capacity(N);
    for (name, value) in given {
        terms.extend(value.map(|value| (name, value)));
    }
    terms
}

impl RangeQuery {
    fn span(&self) -> Vec<(&'static str, &str)> {
        terms([("from", self.from.as_deref()), ("to", self.to.as_deref())])
    }

    fn with_currency(&self) -> Vec<(&'static str, &str)> {
        let mut all = self.span();
        all.extend(terms([("currency", self.currency.as_deref())]));
        all
    }
}

/// Revenue: gross, refunds and net, with orders and units.
#[utoipa::path(get, path = "/api/admin/analytics/revenue", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(RevenueQuery), responses(
    (status = 200, body = Revenue),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 422, body = ProblemDocument, description = "`invalid`: bad dates, a range too long; `sums-too-large`")))]
async fn admin_revenue(
    State(app): State<App>,
    _: Administrator,
    Query(query): Query<RevenueQuery>,
) -> Result<Json<Revenue>, Error> {
    let by = query.by.map(|by| match by {
        Grouping::Day => "day",
        Grouping::Week => "week",
        Grouping::Month => "month",
        Grouping::Category => "category",
        Grouping::Country => "country",
    });
    let limit = query.limit.map(|limit| limit.to_string());
    let terms = terms([
        ("from", query.from.as_deref()),
        ("to", query.to.as_deref()),
        ("currency", query.currency.as_deref()),
        ("by", by),
        ("limit", limit.as_deref()),
    ]);
    Ok(Json(app.clients.analytics.revenue(&terms).await?))
}

/// The products that sold most, refunds not taken off, under their present names.
#[utoipa::path(get, path = "/api/admin/analytics/top-products", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(TopQuery), responses(
    (status = 200, body = BestSellers),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 422, body = ProblemDocument, description = "`invalid`: bad dates, a range too long; `sums-too-large`")))]
async fn admin_top_products(
    State(app): State<App>,
    _: Administrator,
    Query(query): Query<TopQuery>,
) -> Result<Json<BestSellers>, Error> {
    let by = query.by.map(|by| match by {
        Ranking::Revenue => "revenue",
        Ranking::Units => "units",
    });
    let limit = query.limit.map(|limit| limit.to_string());
    let terms = terms([
        ("from", query.from.as_deref()),
        ("to", query.to.as_deref()),
        ("currency", query.currency.as_deref()),
        ("by", by),
        ("category", query.category.as_deref()),
        ("limit", limit.as_deref()),
    ]);
    Ok(Json(administration::best_sellers(&app, &terms).await?))
}

/// The conversion funnel: visitors of each day who viewed, put into the cart, began a checkout, paid.
#[utoipa::path(get, path = "/api/admin/analytics/funnel", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(RangeQuery), responses(
    (status = 200, body = Funnel),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 422, body = ProblemDocument, description = "`invalid`: bad dates, a range too long")))]
async fn admin_funnel(
    State(app): State<App>,
    _: Administrator,
    Query(query): Query<RangeQuery>,
) -> Result<Json<Funnel>, Error> {
    Ok(Json(app.clients.analytics.funnel(&query.span()).await?))
}

/// Customers by the month of their first purchase, and in which months since they bought.
#[utoipa::path(get, path = "/api/admin/analytics/cohorts", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(RangeQuery), responses(
    (status = 200, body = Cohorts),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 422, body = ProblemDocument, description = "`invalid`: bad dates, more than five years")))]
async fn admin_cohorts(
    State(app): State<App>,
    _: Administrator,
    Query(query): Query<RangeQuery>,
) -> Result<Json<Cohorts>, Error> {
    Ok(Json(app.clients.analytics.cohorts(&query.span()).await?))
}

/// How large baskets are.
#[utoipa::path(get, path = "/api/admin/analytics/baskets", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(RangeQuery), responses(
    (status = 200, body = Baskets),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 422, body = ProblemDocument, description = "`invalid`: bad dates, a range too long; `sums-too-large`")))]
async fn admin_baskets(
    State(app): State<App>,
    _: Administrator,
    Query(query): Query<RangeQuery>,
) -> Result<Json<Baskets>, Error> {
    let terms = query.with_currency();
    Ok(Json(app.clients.analytics.baskets(&terms).await?))
}

/// Who bought more than once in the range, and who had bought before it.
#[utoipa::path(get, path = "/api/admin/analytics/repeat-rate", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(RangeQuery), responses(
    (status = 200, body = Repeat),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 422, body = ProblemDocument, description = "`invalid`: bad dates, a range too long")))]
async fn admin_repeat_rate(
    State(app): State<App>,
    _: Administrator,
    Query(query): Query<RangeQuery>,
) -> Result<Json<Repeat>, Error> {
    Ok(Json(app.clients.analytics.repeat_rate(&query.span()).await?))
}

/// Sales of the last hour, minute by minute.
#[utoipa::path(get, path = "/api/admin/analytics/live", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), responses(
    (status = 200, body = Live),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`")))]
async fn admin_live_sales(State(app): State<App>, _: Administrator) -> Result<Json<Live>, Error> {
    Ok(Json(app.clients.analytics.live(&[]).await?))
}
