//! Search: pages by one word and by three, and a filtered list with its facets.
//!
//! Every page brings total and facets of the whole list. The PostgreSQL adapter remembers those for three seconds, in the
//! shop; here it does not, so that each call does the same work.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use emporium_catalog::search::elasticsearch::ElasticSearch;
use emporium_catalog::search::postgres::PostgresSearch;
use emporium_catalog::search::{IndexChange, SearchIndex, SearchPage, SearchQuery};
use emporium_service_kit::stores::{CATALOG_SEARCH, EVENTS};
use emporium_service_kit::{Environment, ServiceName};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::compare::{Order, Side, Workload};
use super::places::{self, By, Place};
use super::prepare::{check, record, replay};
use super::products::{PAGE, by_facets, by_words, document};
use super::sessions::present;
use super::stage::Stage;

/// Different queries of each kind.
const QUERIES: usize = 200;
/// Products that are written at once.
const WRITTEN: usize = 500;

/// A kind of query.
struct Kind {
    work: &'static str,
    queries: Arc<Vec<SearchQuery>>,
}

fn kinds(products: usize, now: OffsetDateTime) -> [Kind; 3] {
    let kind = |work, make: &dyn Fn(usize) -> SearchQuery| Kind {
        work,
        queries: Arc::new((0..QUERIES).map(make).collect()),
    };
    [
        kind("1 term", &|query| by_words(query, 1, products, now)),
        kind("3 terms", &|query| by_words(query, 3, products, now)),
        kind("facets", &by_facets),
    ]
}

/// All workloads on all stores that can be had.
pub async fn workloads(stage: &mut Stage) -> anyhow::Result<Vec<Workload>> {
    let (mut all, now) = (Vec::new(), present());
    for size in stage.plan.products.clone() {
        let database = format!("catalog_{size}");
        let place = places::on_postgres(&stage.postgres, ServiceName::Catalog, &database).await?;
        migrate(stage, &database).await?;
        let filling = postgres(&place.filling)?;
        fill(&filling, size, now).await?;
        filling.settle().await?;
        stage.postgres.settle(&database).await?;
        let (index, recorded) = (postgres(&place.environment)?, postgres(&place.recorded)?);
        let mut answers = Vec::new();
        for kind in kinds(size, now) {
            let (index, recorded) = (Arc::new(index.clone()), Arc::new(recorded.clone()));
            let (workload, told) = of(&place, &kind, size, index, recorded, None).await?;
            all.push(workload);
            answers.push(told);
        }
        stage.keep(place, &mut all, Vec::new());
        let Some(elastic) = &stage.elasticsearch else {
            continue;
        };
        let place = places::on_elasticsearch(elastic, &format!("bench{size}")).await?;
        let (index, recorded) = (
            elasticsearch(&place.environment).await?,
            elasticsearch(&place.recorded).await?,
        );
        let name = index.new_index_name();
        index.create(&name, Uuid::nil()).await?;
        index.swap(&name).await?;
        fill(&index, size, now).await?;
        index.refresh(&name).await?;
        for (kind, expected) in kinds(size, now).iter().zip(&answers) {
            let (index, recorded) = (Arc::new(index.clone()), Arc::new(recorded.clone()));
            let (workload, _) = of(&place, kind, size, index, recorded, Some(expected)).await?;
            all.push(workload);
        }
        stage.keep(place, &mut all, Vec::new());
    }
    Ok(all)
}

/// The service brings its tables up to date when it is built.
async fn migrate(stage: &Stage, database: &str) -> anyhow::Result<()> {
    let bus = format!("{database}_bus");
    stage.postgres.create(&bus).await?;
    let db = places::pool(
        ServiceName::Catalog,
        stage.postgres.options(database, By::Socket),
        2,
    );
    let events = stage.postgres.url(&bus, By::Tcp(stage.postgres.port()));
    let environment = places::environment(ServiceName::Catalog, Some(db.clone()), &[(EVENTS, events)])?;
    drop(emporium_catalog::build(&environment).await?);
    db.pool().close().await;
    Ok(())
}

fn postgres(environment: &Environment) -> anyhow::Result<PostgresSearch> {
    Ok(PostgresSearch::new(environment.db()?, Duration::ZERO))
}

async fn elasticsearch(environment: &Environment) -> anyhow::Result<ElasticSearch> {
    Ok(ElasticSearch::open(&environment.stores.setting(CATALOG_SEARCH), environment).await?)
}

async fn fill(index: &dyn SearchIndex, size: usize, now: OffsetDateTime) -> anyhow::Result<()> {
    let numbers: Vec<usize> = (0..size).collect();
    for some in numbers.chunks(WRITTEN) {
        let changes: Vec<IndexChange> = some
            .iter()
            .map(|number| IndexChange::Put(Box::new(document(*number, now))))
            .collect();
        index.apply(&changes).await.context("filling the index")?;
    }
    Ok(())
}

/// A workload, and the answers that this adapter gives; they have to be those of the adapter before.
async fn of(
    place: &Place,
    kind: &Kind,
    size: usize,
    index: Arc<dyn SearchIndex>,
    recorded: Arc<dyn SearchIndex>,
    expected: Option<&Vec<Value>>,
) -> anyhow::Result<(Workload, Vec<Value>)> {
    let mut told = Vec::new();
    for (number, query) in kind.queries.iter().enumerate() {
        // Through the recorder, so that its connection has prepared everything before anything is recorded.
        let answer = content(query, recorded.search(query).await?)?;
        ensure!(
            answer["total"] != 0,
            "{query:?} finds nothing, which is no work to measure"
        );
        if let Some(expected) = expected.map(|expected| &expected[number]) {
            ensure!(
                answer == *expected,
                "DIFFERENT ANSWER to {query:?} on {}: {answer} instead of {expected}",
                place.adapter
            );
        }
        told.push(answer);
    }
    let queries = kind.queries.clone();
    let exchanges = record(place, QUERIES, |number| {
        let (recorded, queries) = (recorded.clone(), queries.clone());
        async move { Ok(recorded.search(&queries[number]).await.map(drop)?) }
    })
    .await?;
    check(place, &exchanges, true).await?;
    let adapter: Side = Arc::new(move |_, number| {
        let (index, queries) = (index.clone(), queries.clone());
        Box::pin(async move {
            let page = index.search(&queries[number]).await?;
            ensure!(!page.ids.is_empty(), "a page is empty");
            Ok(())
        })
    });
    let bare = replay(&place.bare, exchanges);
    Ok((
        place.workload(kind.work, size, adapter, bare, Order::Cycle(QUERIES)),
        told,
    ))
}

/// What has to be the same everywhere: total and facets; the products themselves where the order is a column's, and as a
/// set where all of them are on the page. What is most relevant is each adapter's own idea.
fn content(query: &SearchQuery, page: SearchPage) -> anyhow::Result<Value> {
    let ids: Vec<Uuid> = page.ids;
    let distinct: HashSet<&Uuid> = ids.iter().collect();
    ensure!(
        distinct.len() == ids.len(),
        "a product is twice on the page of {query:?}"
    );
    ensure!(
        !page.summary.total_is_lower_bound,
        "{query:?} finds too much to be counted"
    );
    let ids = if query.text.is_none() {
        json!(ids)
    } else if page.summary.total <= i64::from(PAGE) {
        let mut sorted = ids;
        sorted.sort_unstable();
        json!(sorted)
    } else {
        json!(ids.len())
    };
    Ok(json!({
        "total": page.summary.total, "facets": serde_json::to_value(&page.summary.facets)?, "ids": ids,
        "corrected": page.corrected_query,
    }))
}
