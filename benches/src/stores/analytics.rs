//! Analytics: revenue by month and by category, top products, the funnel.

use std::sync::Arc;

use emporium_analytics::model::{Activity, By, Rank};
use emporium_analytics::store::{AnalyticsStore, Ranking};
use emporium_service_kit::days::Days;
use emporium_service_kit::{Currency, Environment, ServiceName};
use futures::future::BoxFuture;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::compare::Workload;
use super::places::{self, Place};
use super::prepare::id;
use super::reading::{self, Answers, Ask, Questions};
use super::sessions::present;
use super::stage::Stage;
use super::trade;

/// Different spans of time that are asked about.
const SPANS: usize = 40;
/// Groups of an answer, as many as a page shows.
const LIMIT: u32 = 10;
/// Activities that are recorded in one go, and most of a day.
const RECORDED: usize = 500;
const PER_DAY_MAX: i64 = 10_000_000;

async fn open(environment: &Environment) -> anyhow::Result<Arc<dyn AnalyticsStore>> {
    Ok(
        emporium_analytics::store::open_side(
            environment.clone(),
            emporium_analytics::store::Group::default(),
        )
        .await?
        .store,
    )
}

/// All workloads on all stores that can be had.
pub async fn workloads(stage: &mut Stage) -> anyhow::Result<Vec<Workload>> {
    let (mut all, mut answers, now) = (Vec::new(), Answers::default(), present());
    for size in stage.plan.orders.clone() {
        let database = format!("analytics_{size}");
        let place = places::on_postgres(&stage.postgres, ServiceName::Analytics, &database).await?;
        fill(&place, size, now).await?;
        stage.postgres.settle(&database).await?;
        let measured = of(&place, size, now, &mut answers).await?;
        stage.keep(place, &mut all, measured);
        let Some(server) = &stage.server else { continue };
        let mut place = server.place(&database).await?;
        let opened = emporium_analytics::store::open_side(
            place.environment.clone(),
            emporium_analytics::store::Group::default(),
        )
        .await?;
        place.describe(opened.report.as_ref()).await;
        fill(&place, size, now).await?;
        let measured = of(&place, size, now, &mut answers).await?;
        stage.keep(place, &mut all, measured);
    }
    Ok(all)
}

async fn fill(place: &Place, size: usize, now: OffsetDateTime) -> anyhow::Result<()> {
    let store = open(&place.filling).await?;
    trade::fill(&store.projection(), size, now).await?;
    let activities: anyhow::Result<Vec<Activity>> =
        (0..size).map(|number| activity(number, size, now)).collect();
    for some in activities?.chunks(RECORDED) {
        store.record(some, PER_DAY_MAX).await?;
    }
    Ok(())
}

/// What a visitor did in the last day: every eighth one a new visitor, most of whom look at goods.
fn activity(number: usize, count: usize, now: OffsetDateTime) -> anyhow::Result<Activity> {
    let at = now - Duration::DAY * i32::try_from(number)? / i32::try_from(count)?;
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000)?;
    let random = id("activity", number).into_bytes();
    let mut ten = [0; 10];
    ten.copy_from_slice(&random[..10]);
    let own = uuid::Builder::from_unix_timestamp_millis(millis, &ten).into_uuid();
    let (visitor, product): (Uuid, Uuid) = (id("visitor", number / 8), trade::good(number % trade::GOODS));
    let said = match number % 8 {
        0 => json!({"kind": "search", "query": format!("thing {}", number % 100), "results": number % 3}),
        6 if number.is_multiple_of(3) => json!({"kind": "cart", "product_id": product, "quantity": 1}),
        7 if number.is_multiple_of(5) => json!({"kind": "checkout", "customer_id": id("customer", number)}),
        _ => json!({"kind": "view", "product_id": product}),
    };
    let mut whole = json!({"id": own, "visitor_id": visitor});
    for (key, value) in said.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    Ok(serde_json::from_value(whole)?)
}

/// Each begins and ends elsewhere; all of them are more than a year.
fn span(number: usize, now: OffsetDateTime) -> Days {
    let number = i64::try_from(number % SPANS).unwrap_or_default();
    Days {
        from: (now - Duration::days(trade::DAYS - number * 4)).date(),
        to: (now - Duration::days(number)).date(),
    }
}

type Asked = fn(Arc<dyn AnalyticsStore>, Days) -> BoxFuture<'static, anyhow::Result<String>>;

fn revenue(store: Arc<dyn AnalyticsStore>, days: Days, by: By) -> BoxFuture<'static, anyhow::Result<String>> {
    Box::pin(async move {
        Ok(serde_json::to_string(
            &store.revenue(days, Currency::GBP, by, LIMIT).await?,
        )?)
    })
}

async fn of(
    place: &Place,
    size: usize,
    now: OffsetDateTime,
    answers: &mut Answers,
) -> anyhow::Result<Vec<Workload>> {
    let (store, recorded) = (open(&place.environment).await?, open(&place.recorded).await?);
    let kinds: [(&'static str, Asked); 4] = [
        ("revenue by month", |store, days| revenue(store, days, By::Month)),
        ("revenue by category", |store, days| {
            revenue(store, days, By::Category)
        }),
        ("top products", |store, days| {
            Box::pin(async move {
                let ranking = Ranking {
                    days,
                    currency: Currency::GBP,
                    rank: Rank::Revenue,
                    category: None,
                    limit: LIMIT,
                };
                Ok(serde_json::to_string(&store.top_products(&ranking).await?)?)
            })
        }),
        ("funnel", |store, days| {
            Box::pin(async move { Ok(serde_json::to_string(&store.funnel(days).await?)?) })
        }),
    ];
    let mut all = Vec::new();
    for (work, asked) in kinds {
        let ask = |store: &Arc<dyn AnalyticsStore>| -> Ask {
            let store = store.clone();
            Arc::new(move |number| asked(store.clone(), span(number, now)))
        };
        let asked = Questions {
            work,
            count: SPANS,
            direct: ask(&store),
            recorded: ask(&recorded),
        };
        all.push(reading::workload(place, size, asked, answers).await?);
    }
    Ok(all)
}
