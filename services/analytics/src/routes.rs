//! The HTTP interface.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use emporium_event_bus::ConsumerGroup;
use emporium_service_kit::extract::{Body, Query};
use emporium_service_kit::{Api, Clock, Currency, Problem, ServiceName};
use time::OffsetDateTime;
use utoipa::OpenApi;
use utoipa_axum::routes;

use crate::ask::{
    BasketsQuery, LiveQuery, RevenueQuery, SearchesQuery, SpanQuery, TopQuery, month_range, range,
    whole_range,
};
use crate::error::Error;
use crate::measures::Measures;
use crate::model::{
    ActivityBatch, AsOf, Baskets, By, Cohorts, EmptySearches, Funnel, Live, Recorded, Repeat, Revenue,
    TopProducts, Totals,
};
use crate::store::{AnalyticsStore, Ranking, Terms};

/// What every handler works with.
#[derive(Clone)]
pub struct App {
    pub store: Arc<dyn AnalyticsStore>,
    pub group: Arc<ConsumerGroup>,
    pub clock: Clock,
    pub currency: Currency,
    pub terms: Terms,
    pub measures: Measures,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium analytics",
    description = "Figures of the business, made from other services' events and from what visitors do. All times are UTC."
))]
struct Document;

const GATEWAY: &[ServiceName] = &[ServiceName::Gateway];
const OPERATOR: &[ServiceName] = &[ServiceName::Operator];
const READERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Operator];

/// All routes, each with its callers.
pub fn api() -> Api<App> {
    Api::new(Document::openapi())
        .allow(READERS, routes!(get_revenue))
        .allow(READERS, routes!(get_top_products))
        .allow(READERS, routes!(get_funnel))
        .allow(READERS, routes!(get_cohorts))
        .allow(READERS, routes!(get_baskets))
        .allow(READERS, routes!(get_repeat))
        .allow(READERS, routes!(get_live))
        .allow(READERS, routes!(get_empty_searches))
        .allow(OPERATOR, routes!(get_totals))
        .allow(GATEWAY, routes!(post_activity))
}

impl App {
    /// The moment that answers are of. It is taken before they are made, so they may have more, and never less.
    fn as_of(&self) -> Option<OffsetDateTime> {
        self.group.status().as_of
    }
}

fn answer<T>(figures: T, as_of: Option<OffsetDateTime>) -> Json<AsOf<T>> {
    Json(AsOf { figures, as_of })
}

/// Revenue: gross, refunds and net, with orders and units, by day, week, month, category or country.
#[utoipa::path(get, path = "/revenue", params(RevenueQuery), responses((status = 200, body = AsOf<Revenue>),
    (status = 422, description = "`invalid`: bad dates, a range too long; `sums-too-large`")))]
async fn get_revenue(
    State(app): State<App>,
    Query(query): Query<RevenueQuery>,
) -> Result<Json<AsOf<Revenue>>, Problem> {
    let by = query.by.unwrap_or_default();
    let days = range(&app, query.from.as_deref(), query.to.as_deref(), by == By::Day)?;
    let currency = query.currency.unwrap_or(app.currency);
    let as_of = app.as_of();
    let revenue = app
        .store
        .revenue(days, currency, by, query.limit.unwrap_or(50))
        .await
        .map_err(Error::from)?;
    Ok(answer(revenue, as_of))
}

/// The products that sold most, refunds not taken off.
#[utoipa::path(get, path = "/top-products", params(TopQuery), responses((status = 200, body = AsOf<TopProducts>),
    (status = 422, description = "`invalid`: bad dates, a range too long; `sums-too-large`")))]
async fn get_top_products(
    State(app): State<App>,
    Query(query): Query<TopQuery>,
) -> Result<Json<AsOf<TopProducts>>, Problem> {
    let ranking = Ranking {
        days: range(&app, query.from.as_deref(), query.to.as_deref(), false)?,
        currency: query.currency.unwrap_or(app.currency),
        rank: query.by.unwrap_or_default(),
        category: query.category,
        limit: query.limit.unwrap_or(20),
    };
    let as_of = app.as_of();
    let top = app.store.top_products(&ranking).await.map_err(Error::from)?;
    Ok(answer(top, as_of))
}

/// The conversion funnel: visitors of each day who viewed, put into the cart, began a checkout, paid.
#[utoipa::path(get, path = "/funnel", params(SpanQuery), responses((status = 200, body = AsOf<Funnel>),
    (status = 422, description = "`invalid`: bad dates, a range too long")))]
async fn get_funnel(
    State(app): State<App>,
    Query(query): Query<SpanQuery>,
) -> Result<Json<AsOf<Funnel>>, Problem> {
    let days = range(&app, query.from.as_deref(), query.to.as_deref(), true)?;
    let as_of = app.as_of();
    let funnel = app.store.funnel(days).await.map_err(Error::from)?;
    Ok(answer(funnel, as_of))
}

/// Customers by the month of their first purchase, from the month of `from` to that of `to`, and in which months since they
/// bought.
#[utoipa::path(get, path = "/cohorts", params(SpanQuery), responses((status = 200, body = AsOf<Cohorts>),
    (status = 422, description = "`invalid`: bad dates, more than five years")))]
async fn get_cohorts(
    State(app): State<App>,
    Query(query): Query<SpanQuery>,
) -> Result<Json<AsOf<Cohorts>>, Problem> {
    let months = month_range(&app, &query)?;
    let as_of = app.as_of();
    let cohorts = app.store.cohorts(months).await.map_err(Error::from)?;
    Ok(answer(cohorts, as_of))
}

/// How large baskets are.
#[utoipa::path(get, path = "/baskets", params(BasketsQuery), responses((status = 200, body = AsOf<Baskets>),
    (status = 422, description = "`invalid`: bad dates, a range too long; `sums-too-large`")))]
async fn get_baskets(
    State(app): State<App>,
    Query(query): Query<BasketsQuery>,
) -> Result<Json<AsOf<Baskets>>, Problem> {
    let days = range(&app, query.from.as_deref(), query.to.as_deref(), false)?;
    let currency = query.currency.unwrap_or(app.currency);
    let as_of = app.as_of();
    let baskets = app.store.baskets(days, currency).await.map_err(Error::from)?;
    Ok(answer(baskets, as_of))
}

/// Who bought more than once in the range, and who had bought before it.
#[utoipa::path(get, path = "/repeat-rate", params(SpanQuery), responses((status = 200, body = AsOf<Repeat>),
    (status = 422, description = "`invalid`: bad dates, a range too long")))]
async fn get_repeat(
    State(app): State<App>,
    Query(query): Query<SpanQuery>,
) -> Result<Json<AsOf<Repeat>>, Problem> {
    let days = range(&app, query.from.as_deref(), query.to.as_deref(), false)?;
    let as_of = app.as_of();
    let repeat = app.store.repeat(days).await.map_err(Error::from)?;
    Ok(answer(repeat, as_of))
}

/// Sales of the last hour, minute by minute.
#[utoipa::path(get, path = "/live", params(LiveQuery), responses((status = 200, body = AsOf<Live>)))]
async fn get_live(
    State(app): State<App>,
    Query(query): Query<LiveQuery>,
) -> Result<Json<AsOf<Live>>, Problem> {
    let currency = query.currency.unwrap_or(app.currency);
    let as_of = app.as_of();
    let live = app
        .store
        .live(app.clock.now(), currency)
        .await
        .map_err(Error::from)?;
    Ok(answer(live, as_of))
}

/// Searches that found nothing, most frequent first.
#[utoipa::path(get, path = "/empty-searches", params(SearchesQuery), responses((status = 200, body = AsOf<EmptySearches>),
    (status = 422, description = "`invalid`: bad dates, a range too long")))]
async fn get_empty_searches(
    State(app): State<App>,
    Query(query): Query<SearchesQuery>,
) -> Result<Json<AsOf<EmptySearches>>, Problem> {
    let days = range(&app, query.from.as_deref(), query.to.as_deref(), true)?;
    let searches = app
        .store
        .empty_searches(days, query.limit.unwrap_or(20))
        .await
        .map_err(Error::from)?;
    // They come by no event: they are of now.
    Ok(answer(searches, Some(app.clock.now())))
}

/// What the events of orders, refunds and payments come to by day: what reconciling compares with orders' and payments' own
/// `GET /totals`. Both dates are needed, at most 366 days.
#[utoipa::path(get, path = "/totals", params(SpanQuery), responses((status = 200, body = AsOf<Totals>),
    (status = 422, description = "`invalid`: bad or missing dates, too many days; `range-too-large`: more than 20,000 rows")))]
async fn get_totals(
    State(app): State<App>,
    Query(query): Query<SpanQuery>,
) -> Result<Json<AsOf<Totals>>, Problem> {
    let days = whole_range(query)?;
    let as_of = app.as_of();
    let totals = app.store.totals(days).await.map_err(Error::from)?;
    Ok(answer(totals.ok_or(Error::RangeTooLarge)?, as_of))
}

/// Takes what visitors did: all or none of a batch, each activity once by its id. Those that come too late, from the future or
/// beyond the day's limit are counted in the answer and otherwise passed over.
#[utoipa::path(post, path = "/activity", request_body = ActivityBatch, responses((status = 200, body = Recorded),
    (status = 422, description = "`invalid`: what is wrong with which; nothing was taken")))]
async fn post_activity(
    State(app): State<App>,
    Body(batch): Body<ActivityBatch>,
) -> Result<Json<Recorded>, Problem> {
    let (now, received) = (app.clock.now(), batch.items.len());
    let items: Vec<_> = batch.items.into_iter().filter(|item| item.in_time(now)).collect();
    let mut recorded = app.store.record(&items, app.terms.per_day_max).await?;
    recorded.received = received;
    recorded.out_of_time = received - items.len();
    app.measures.recorded(&recorded);
    Ok(Json(recorded))
}
