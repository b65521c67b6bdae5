//! Reviews: posting, a filtered list, summaries of ratings.

use std::sync::Arc;

use anyhow::{Context, ensure};
use emporium_reviews::attributes::{AttributeFilter, Attributes};
use emporium_reviews::listing::{LOOK_MAX, ProductReviews, Sort, Viewer};
use emporium_reviews::model::Opinion;
use emporium_reviews::store::{Draft, Group, PastReview, Posted, ReviewStore};
use emporium_service_kit::{Environment, ServiceName, StartError};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::compare::{Order, Side, Workload};
use super::places::{self, Place};
use super::prepare::{id, record};
use super::reading::{self, Answers, Ask, Questions};
use super::record::fresh::{Template, ids_in};
use super::sessions::present;
use super::stage::Stage;

/// Reviews of a product.
const EACH: usize = 50;
/// Different questions of a kind.
const ASKED: usize = 40;
/// As many as a page has, and products whose ratings a list shows.
const PAGE: u32 = 10;
const SUMMED_UP: usize = 24;
/// Reviews that are loaded in one go.
const LOADED: usize = 200;

async fn open(environment: &Environment) -> anyhow::Result<Arc<dyn ReviewStore>> {
    Ok(side(environment).await?.store)
}

async fn side(environment: &Environment) -> Result<emporium_moving::Side<dyn ReviewStore>, StartError> {
    emporium_reviews::store::open_side(environment.clone(), Group::default()).await
}

/// All workloads on all stores that can be had.
pub async fn workloads(stage: &mut Stage) -> anyhow::Result<Vec<Workload>> {
    let (mut all, mut answers, now) = (Vec::new(), Answers::default(), present());
    for size in stage.plan.reviews.clone() {
        let database = format!("reviews_{size}");
        let place = places::on_postgres(&stage.postgres, ServiceName::Reviews, &database).await?;
        fill(&place, size, now).await?;
        stage.postgres.settle(&database).await?;
        let measured = of(&place, size, &mut answers).await?;
        stage.keep(place, &mut all, measured);
        let Some(server) = &stage.server else { continue };
        let mut place = server.place(&database).await?;
        let opened = side(&place.environment).await?;
        place.describe(opened.report.as_ref()).await;
        fill(&place, size, now).await?;
        let measured = of(&place, size, &mut answers).await?;
        stage.keep(place, &mut all, measured);
    }
    Ok(all)
}

fn product(number: usize) -> Uuid {
    id("product", number)
}

fn draft(number: usize, product_id: Uuid, author_id: Uuid) -> anyhow::Result<Draft> {
    const PROS: [&str; 5] = ["light", "cheap", "sturdy", "quiet", "small"];
    let attributes: Attributes = serde_json::from_value(json!({
        "pros": [PROS[number % 5], PROS[number / 5 % 5]], "months": number % 24, "again": number.is_multiple_of(3),
    }))?;
    Ok(Draft {
        product_id,
        author_id,
        author_name: None,
        opinion: Opinion {
            rating: i16::try_from(number % 5)? + 1,
            title: format!("Review number {number}"),
            text: "Bought it for the kitchen, and it does what it should. ".repeat(1 + number % 5),
            attributes,
        },
    })
}

async fn fill(place: &Place, size: usize, now: OffsetDateTime) -> anyhow::Result<()> {
    let store = open(&place.filling).await?;
    let made = |number: usize| -> anyhow::Result<PastReview> {
        let draft = draft(number, product(number % (size / EACH)), id("author", number))?;
        Ok(PastReview {
            id: id("review", number),
            created_at: now - Duration::minutes(i64::try_from(number)?),
            draft,
            answers: Vec::new(),
            votes: (0..number % 4)
                .map(|voter| (id("voter", voter), number.is_multiple_of(2)))
                .collect(),
        })
    };
    let reviews: Vec<PastReview> = (0..size).map(made).collect::<anyhow::Result<_>>()?;
    for some in reviews.chunks(LOADED) {
        store.load(some).await.context("filling the store")?;
    }
    Ok(())
}

async fn of(place: &Place, size: usize, answers: &mut Answers) -> anyhow::Result<Vec<Workload>> {
    let (store, recorded) = (open(&place.environment).await?, open(&place.recorded).await?);
    let products = size / EACH;
    let mut all = Vec::new();
    for (work, ask) in [("filtered list", listed as Asking), ("rating summary", summed_up)] {
        let asked = Questions {
            work,
            count: ASKED,
            direct: ask(&store, products),
            recorded: ask(&recorded, products),
        };
        all.push(reading::workload(place, size, asked, answers).await?);
    }
    all.push(post(place, size, &store, &recorded).await?);
    Ok(all)
}

type Asking = fn(&Arc<dyn ReviewStore>, usize) -> Ask;

/// Five stars, for something that is quiet: the most helpful ones first.
fn listed(store: &Arc<dyn ReviewStore>, products: usize) -> Ask {
    let store = store.clone();
    Arc::new(move |number| {
        let store = store.clone();
        Box::pin(async move {
            let page = ProductReviews {
                product_id: product(number % products),
                sort: Sort::Helpful,
                rating: Some(i16::try_from(number % 5)? + 1),
                verified: None,
                attributes: AttributeFilter::read_all(&["again:true".to_owned()])
                    .map_err(|problem| anyhow::anyhow!("{problem:?}"))?,
                viewer: Viewer::default(),
                after: None,
                max: PAGE,
                look: LOOK_MAX,
            };
            Ok(serde_json::to_string(&store.of_product(&page).await?.items)?)
        })
    })
}

fn summed_up(store: &Arc<dyn ReviewStore>, products: usize) -> Ask {
    let store = store.clone();
    Arc::new(move |number| {
        let store = store.clone();
        Box::pin(async move {
            let asked: Vec<Uuid> = (0..SUMMED_UP.min(products))
                .map(|more| product((number + more) % products))
                .collect();
            let summaries = store.summaries(&asked).await?;
            let mut texts: Vec<String> = summaries
                .iter()
                .map(serde_json::to_string)
                .collect::<Result<_, _>>()?;
            texts.sort_unstable();
            Ok(texts.concat())
        })
    })
}

/// A new author each time, for products in turn.
async fn post(
    place: &Place,
    size: usize,
    store: &Arc<dyn ReviewStore>,
    recorded: &Arc<dyn ReviewStore>,
) -> anyhow::Result<Workload> {
    let products = size / EACH;
    // The first one connects and prepares.
    recorded.post(&draft(3, product(0), Uuid::new_v4())?).await?;
    let sent = draft(3, product(0), Uuid::new_v4())?;
    let told = record(place, 1, |_| async {
        let posted = recorded.post(&sent).await?;
        ensure!(
            matches!(posted, Posted::Done(_)),
            "a review is not posted: {posted:?}"
        );
        Ok(())
    })
    .await?;
    let commands = told.into_iter().next().context("nothing was recorded")?.commands;
    let known = [product(0), sent.author_id];
    // Besides those two: the review's, the event's.
    let mut ids = known.to_vec();
    ids.extend(ids_in(&commands).into_iter().filter(|id| !known.contains(id)));
    ensure!(
        ids.len() > known.len(),
        "the ids of a review are not in what is sent"
    );
    let template = Arc::new(Template::new(commands, &ids));
    let count = ids.len();
    let fresh = move |number: usize, author: Uuid| {
        let mut fresh = vec![product(number % products), author];
        fresh.extend((fresh.len()..count).map(|_| Uuid::now_v7()));
        fresh
    };
    let author = Uuid::new_v4();
    place.bare.run(&template.with(&fresh(1, author)), None).await?;
    let found = store
        .find_own(product(1), author)
        .await?
        .context("DIFFERENT ANSWER: the bare client's review is missing")?;
    ensure!(
        found.text == sent.opinion.text && found.attributes == sent.opinion.attributes,
        "DIFFERENT ANSWER: {found:?}"
    );
    let (store, bare) = (store.clone(), place.bare.clone());
    let adapter: Side = Arc::new(move |_, number| {
        let (store, draft) = (
            store.clone(),
            draft(3, product(number % products), Uuid::new_v4()),
        );
        Box::pin(async move {
            let posted = store.post(&draft?).await?;
            ensure!(
                matches!(posted, Posted::Done(_)),
                "a review is not posted: {posted:?}"
            );
            Ok(())
        })
    });
    let bare: Side = Arc::new(move |_, number| {
        let (bare, commands) = (bare.clone(), template.with(&fresh(number, Uuid::new_v4())));
        Box::pin(async move { bare.run(&commands, None).await })
    });
    Ok(place.workload("post", size, adapter, bare, Order::Endless))
}
