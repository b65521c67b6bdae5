//! MongoDB for the contract suite, and what is MongoDB's alone.

use std::collections::HashMap;
use std::sync::Arc;

use emporium_event_bus::bus::Mark;
use emporium_event_bus::outbox::OutboxStore;
use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Environment, ServiceName, StoreError, StoreUrls};
use emporium_test_kit::projection::Beside;
use emporium_test_kit::{eventually, stores};
use futures::future::join_all;
use mongodb::bson::doc;
use uuid::Uuid;

use super::client::{self, Try};
use super::error::Fault;
use super::tx::Find;
use super::{MongoReviews, codec, control, schema};
use crate::listing::Viewer;
use crate::model::Opinion;
use crate::store::contract::Bench;
use crate::store::contract::outages::Own;
use crate::store::{Draft, Moderation, Posted, ReviewStore};

mod digests;
mod filters;
mod plans;

/// Each operation is several round trips, and the server that runs without Docker does a tenth of MongoDB's work in a second.
const SEQUENCES: u32 = 60;

fn environment() -> Environment {
    Environment {
        service: ServiceName::Reviews,
        db: None,
        events_url: None,
        stores: StoreUrls::default(),
        peers: HashMap::new(),
        secret: Secret::generate(),
        callers: Callers::default(),
        clock: Clock::manual(Clock::System.now()),
        metrics: Metrics::new(ServiceName::Reviews),
        shutdown: tokio_util::sync::CancellationToken::new(),
    }
}

/// The URL of a database with this name on the server of another URL.
fn database(url: &str, name: &str) -> String {
    let (server, options) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, place) = server.split_once("://").unwrap();
    let host = place.split('/').next().unwrap();
    let mut options: Vec<&str> = options.split('&').filter(|option| !option.is_empty()).collect();
    // Whoever is somebody is so in `admin`.
    if host.contains('@') && !options.iter().any(|option| option.starts_with("authSource")) {
        options.push("authSource=admin");
    }
    format!("{scheme}://{host}/{name}?{}", options.join("&"))
}

async fn on(url: &str) -> (MongoReviews, Clock) {
    let environment = environment();
    let name = format!("test_{}", Uuid::new_v4().simple());
    let (store, _) = MongoReviews::open(&database(url, &name), &environment)
        .await
        .unwrap();
    (store, environment.clock)
}

async fn bench(url: &str) -> Bench {
    let (store, clock) = on(url).await;
    Bench {
        store: Arc::new(store),
        clock,
        sequences: SEQUENCES,
    }
}

/// A store in a database of its own on the shared server.
pub async fn fresh() -> Option<Bench> {
    let server = stores::mongodb().await?;
    Some(bench(&server.url).await)
}

/// A store on a server of its own.
pub async fn own() -> Option<Own> {
    let server = stores::own_mongodb().await?;
    Some(Own {
        store: bench(&server.url).await,
        server: Box::new(server),
    })
}

fn draft(product_id: Uuid) -> Draft {
    Draft {
        product_id,
        author_id: Uuid::new_v4(),
        author_name: None,
        opinion: Opinion {
            rating: 4,
            title: "Title".to_owned(),
            text: "Text".to_owned(),
            attributes: serde_json::Map::new(),
        },
    }
}

/// Processes that start at once bring one database up to date together; a later one finds it so; a newer one's is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn migrations_run_side_by_side_and_once_more() {
    let Some(server) = stores::mongodb().await else {
        return;
    };
    let url = database(&server.url, &format!("test_{}", Uuid::new_v4().simple()));
    let open = async || {
        MongoReviews::open(&url, &environment())
            .await
            .map(|(store, _)| store)
    };
    let opened = join_all((0..4).map(|_| open())).await;
    let product = Uuid::new_v4();
    for store in opened {
        store.unwrap().post(&draft(product)).await.unwrap();
    }
    let store = open().await.unwrap();
    assert_eq!(store.summaries(&[product]).await.unwrap()[0].count, 4);
    let newer = doc! { "update": schema::CONTROL, "updates": [
    { "q": { "_id": "migrations" }, "u": { "$set": { "version": 99_i64 } } }] };
    store.mongo.command(newer).await.unwrap();
    let refused = open().await.err().unwrap();
    assert!(refused.tells_remedy());
    assert!(refused.to_string().contains("migration 99"), "{refused}");
}

/// What is not a review is not kept, whoever writes it.
#[tokio::test(flavor = "multi_thread")]
async fn documents_of_another_shape_are_refused() {
    let Some(server) = stores::mongodb().await else {
        return;
    };
    let (store, _) = on(&server.url).await;
    let Posted::Done(review) = store.post(&draft(Uuid::new_v4())).await.unwrap() else {
        panic!("it is new")
    };
    for change in [
        doc! { "$set": { "rating": 6 } },
        doc! { "$set": { "rating": "5" } },
        doc! { "$set": { "score": 1_i64 } },
        doc! { "$set": { "hidden_reason": "why" } },
        doc! { "$set": { "more": 1 } },
        doc! { "$unset": { "title": 1 } },
    ] {
        let update = doc! { "update": schema::REVIEW, "updates": [{ "q": { "_id": codec::id(review.id) }, "u": change.clone() }] };
        let refused = store.mongo.command(update).await.unwrap_err();
        assert_eq!(refused.code(), Some(121), "{change}");
        assert!(matches!(StoreError::from(refused), StoreError::Data(_)));
    }
}

/// An effect that has read the state before it changes does not commit after it: it is tried again and goes to both.
#[tokio::test(flavor = "multi_thread")]
async fn no_effect_overlaps_a_change_of_the_targets() {
    let Some(server) = stores::mongodb().await else {
        return;
    };
    let (store, _) = on(&server.url).await;
    let product = Uuid::new_v4();
    let mut early = store.mongo.begin(Try::within(client::LONG_ANSWER)).await.unwrap();
    let state = control::for_effect(&mut early).await.unwrap().state;
    assert_eq!(state.targets().len(), 1);
    let projection = store.projection();
    let _beside = Beside::begin(&*projection, &["/reviews"]).await;
    let late = control::touch(&mut early, product).await;
    assert!(matches!(late, Err(Fault::Again(_))), "{late:?}");
    drop(early);
    store.post(&draft(product)).await.unwrap();
    for place in [0, 1] {
        let found = store
            .mongo
            .read(Find::by(doc! {}).command(schema::summary(place)))
            .await
            .unwrap();
        assert_eq!(found.len(), 1, "of generation {place}");
    }
}

/// Who asks for what cannot be had is told in one line what to do, without address and password.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_cannot_be_used_are_told_apart() {
    let told = async |url: &str| {
        MongoReviews::open(url, &environment())
            .await
            .err()
            .unwrap()
            .to_string()
    };
    let away = told("mongodb://somebody:secret@127.0.0.1:9/reviews").await;
    assert_eq!(away, "no server answers there that takes writes");
    let wrong = told("mongodb://[/secret").await;
    assert!(
        wrong.contains("no MongoDB URL") && !wrong.contains("secret"),
        "{wrong}"
    );
    let Some(server) = stores::own_mongodb_with("right").await else {
        return;
    };
    let refused = told(&server.url.replace(":right@", ":wrong@")).await;
    assert_eq!(refused, "user or password are refused");
    on(&server.url).await;
}

/// Those who change reviews, those who number and those who read, at once: positions are dense, each event is seen once and in
/// its review's order, however often and by whomever it is numbered.
#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_dense_and_in_order() {
    let Some(server) = stores::mongodb().await else {
        return;
    };
    let (store, _) = on(&server.url).await;
    let (outbox, products) = (store.outbox.store(), [Uuid::new_v4(), Uuid::new_v4()]);
    let one = async |n: usize| {
        let Posted::Done(review) = store.post(&draft(products[n % 2])).await.unwrap() else {
            panic!("it is new")
        };
        for reason in ["one", "other"] {
            let hide = Moderation::Hide(reason.to_owned());
            store.moderate(review.id, &hide).await.unwrap();
        }
    };
    let number = async || {
        for _ in 0..10 {
            outbox.number(7).await.unwrap();
        }
    };
    let read = async {
        let (mut after, mut versions) = (0, HashMap::<String, i64>::new());
        while after < 36 {
            for item in store.history(after, 5).await.unwrap().items {
                after += 1;
                assert_eq!(item.position, after, "no holes");
                let last = versions.entry(item.event.subject.clone()).or_default();
                *last += 1;
                assert_eq!(item.event.aggregateversion, *last, "in order");
            }
        }
    };
    tokio::join!(join_all((0..12).map(one)), number(), number(), read);
    assert_eq!(outbox.waiting().await.unwrap(), 36);
    assert_eq!(outbox.unpublished(100, 1).await.unwrap().len(), 1, "one at least");
    let all = outbox.unpublished(100, 1 << 20).await.unwrap();
    assert_eq!(all.len(), 36);
    let mark = Mark {
        bus: Uuid::new_v4(),
        event: all[29].id,
        position: 7,
    };
    outbox.published(30, &mark).await.unwrap();
    outbox.published(20, &Mark { position: 1, ..mark }).await.unwrap();
    let head = outbox.head().await.unwrap();
    assert_eq!((head.sequenced, head.published, head.mark), (36, 30, Some(mark)));
    assert_eq!(outbox.unpublished(100, 1 << 20).await.unwrap()[0].position, 31);
    outbox.join_bus(Uuid::nil()).await.unwrap();
    assert_eq!(outbox.head().await.unwrap().mark.unwrap().position, 0);
}

/// A process that dies in a transaction keeps what it has written for itself until the server ends the transaction: others are told
/// to try again, and get through then.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_has_locked_is_freed_by_the_server() {
    let Some(server) = stores::mongodb().await else {
        return;
    };
    let (store, _) = on(&server.url).await;
    let Posted::Done(review) = store.post(&draft(Uuid::new_v4())).await.unwrap() else {
        panic!("it is new")
    };
    let mut dying = store.mongo.begin(Try::within(client::ANSWER)).await.unwrap();
    let change = (
        doc! { "_id": codec::id(review.id) },
        doc! { "$inc": { "version": 1_i64 } },
    );
    dying.update(schema::REVIEW, vec![change], false).await.unwrap();
    // Nobody tells the server.
    std::mem::forget(dying);
    let voter = Uuid::new_v4();
    let tried = store.vote(review.id, voter, Some(true)).await;
    assert!(matches!(tried, Err(StoreError::Conflict(_))), "{tried:?}");
    // Ten seconds each are longer than what is left of the lifetime of transactions; MongoDB's own is a minute.
    eventually("it is free", 70, async || {
        store.vote(review.id, voter, Some(true)).await.ok()
    })
    .await;
    let found = store.find(review.id, Viewer::MODERATOR).await.unwrap().unwrap();
    assert_eq!(
        (found.version, found.helpful),
        (1, 1),
        "and nothing is left of it"
    );
}
