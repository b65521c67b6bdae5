//! Recommendations: what was also bought, made anew and from the cache.
//!
//! Cold means that no shelf is kept, not that the server's memory is.

use std::sync::Arc;
use std::time::Duration;

use emporium_recommendations::cache;
use emporium_recommendations::shelves::{Kind, Shelves};
use emporium_recommendations::store::RecommendationStore;
use emporium_service_kit::stores::RECOMMENDATIONS_CACHE;
use emporium_service_kit::{Environment, ServiceName};
use time::OffsetDateTime;

use super::compare::{Order, Side, Workload};
use super::places::{self, Place};
use super::prepare::{check, record, replay};
use super::reading::{self, Answers, Ask, Questions};
use super::record::Exchange;
use super::sessions::present;
use super::stage::Stage;
use super::trade;

/// Different goods that are asked for.
const ASKED: usize = 200;
/// As long as a shelf on a page.
const LIMIT: usize = 10;
/// So long that nothing expires.
const KEPT: Duration = Duration::from_hours(1);

async fn open(environment: &Environment) -> anyhow::Result<Arc<dyn RecommendationStore>> {
    Ok(emporium_recommendations::store::open_side(
        environment.clone(),
        emporium_recommendations::store::Group::default(),
    )
    .await?
    .store)
}

/// All workloads on all stores that can be had.
pub async fn workloads(stage: &mut Stage) -> anyhow::Result<Vec<Workload>> {
    let (mut all, mut answers, now) = (Vec::new(), Answers::default(), present());
    for (number, size) in stage.plan.orders.clone().into_iter().enumerate() {
        let database = format!("recommendations_{size}");
        let place = places::on_postgres(&stage.postgres, ServiceName::Recommendations, &database).await?;
        fill(&place, size, now).await?;
        stage.postgres.settle(&database).await?;
        let mut measured = cold(&place, size, &mut answers).await?;
        measured.push(cached(&place, None, size).await?);
        stage.keep(place, &mut all, measured);
        let Some(server) = &stage.server else { continue };
        let mut place = server.place(&format!("bench{size}")).await?;
        let opened = emporium_recommendations::store::open_side(
            place.environment.clone(),
            emporium_recommendations::store::Group::default(),
        )
        .await?;
        place.describe(opened.report.as_ref()).await;
        fill(&place, size, now).await?;
        let mut measured = cold(&place, size, &mut answers).await?;
        let kept = match &stage.redis {
            Some(redis) => {
                let service = ServiceName::Recommendations;
                Some(places::on_redis(redis, service, RECOMMENDATIONS_CACHE, number).await?)
            }
            None => None,
        };
        if let Some(kept) = kept {
            measured.push(cached(&place, Some(&kept), size).await?);
            stage.keep(kept, &mut all, Vec::new());
        }
        stage.keep(place, &mut all, measured);
    }
    Ok(all)
}

async fn fill(place: &Place, size: usize, now: OffsetDateTime) -> anyhow::Result<()> {
    let projection = open(&place.filling).await?.projection();
    trade::fill(&projection, size, now).await
}

/// Goods by their rank, after the best-seller.
fn rank(number: usize) -> usize {
    1 + number
}

async fn cold(place: &Place, size: usize, answers: &mut Answers) -> anyhow::Result<Vec<Workload>> {
    let (store, recorded) = (open(&place.environment).await?, open(&place.recorded).await?);
    let ask = |store: &Arc<dyn RecommendationStore>, rank: fn(usize) -> usize| -> Ask {
        let store = store.clone();
        Arc::new(move |number| {
            let store = store.clone();
            Box::pin(async move {
                let made = store.also_bought(trade::good(rank(number)), LIMIT).await?;
                Ok(serde_json::to_string(&made.items)?)
            })
        })
    };
    let mut all = Vec::new();
    for (work, count, rank) in [
        ("also bought, cold", ASKED, rank as fn(usize) -> usize),
        ("also bought, super-node", 1, |_| 0),
    ] {
        let asked = Questions {
            work,
            count,
            direct: ask(&store, rank),
            recorded: ask(&recorded, rank),
        };
        all.push(reading::workload(place, size, asked, answers).await?);
    }
    Ok(all)
}

/// From the cache, which is the store's own database or another place.
async fn cached(place: &Place, kept: Option<&Place>, size: usize) -> anyhow::Result<Workload> {
    let beside = kept.unwrap_or(place);
    let shelves = async |store: &Environment, cache: &Environment| {
        let (store, cache) = (open(store).await?, cache::open(cache).await?.cache);
        let (clock, metrics) = (place.environment.clock.clone(), &place.environment.metrics);
        anyhow::Ok(Arc::new(Shelves::new(store, cache, KEPT, clock, metrics)))
    };
    let direct = shelves(&place.environment, &beside.environment).await?;
    let recorded = shelves(&place.recorded, &beside.recorded).await?;
    let take = |shelves: &Arc<Shelves>, number: usize| {
        let shelves = shelves.clone();
        async move {
            shelves
                .get(Kind::AlsoBought(trade::good(rank(number))), LIMIT, || None)
                .await?;
            Ok(())
        }
    };
    // Makes them; then they are there.
    for number in 0..ASKED {
        take(&recorded, number).await?;
        take(&recorded, number).await?;
    }
    beside.recorder.take()?;
    let mut exchanges: [Vec<Exchange>; 2] = [Vec::new(), Vec::new()];
    for number in 0..ASKED {
        exchanges[0].extend(record(place, 1, |_| take(&recorded, number)).await?);
        if kept.is_some() {
            exchanges[1].push(beside.recorder.take()?);
        }
    }
    check(place, &exchanges[0], true).await?;
    check(beside, &exchanges[1], true).await?;
    let [of_store, of_cache] = exchanges;
    let of_store = replay(&place.bare, of_store);
    let of_cache = kept.map(|kept| replay(&kept.bare, of_cache));
    let bare: Side = Arc::new(move |caller, number| {
        let first = of_cache.as_ref().map(|bare| bare(caller, number));
        let second = of_store(caller, number);
        Box::pin(async move {
            if let Some(first) = first {
                first.await?;
            }
            second.await
        })
    });
    let adapter: Side = Arc::new(move |_, number| Box::pin(take(&direct, number)));
    let mut workload = place.workload("also bought, cached", size, adapter, bare, Order::Cycle(ASKED));
    if let Some(kept) = kept {
        workload.server = format!("{}, shelves on {}", place.server, kept.server);
        workload.durability = format!("{}; of shelves {}", place.durability, kept.durability);
    }
    Ok(workload)
}
