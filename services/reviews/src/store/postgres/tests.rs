//! PostgreSQL for the contract suite, and what is PostgreSQL's alone.

use std::collections::HashMap;
use std::sync::Arc;

use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Db, Environment, ServiceName, StoreUrls};
use emporium_test_kit::projection::Beside;
use emporium_test_kit::{OwnPostgres, TestPostgres, connect, eventually};
use uuid::Uuid;

use super::PostgresReviews;
use crate::model::Opinion;
use crate::store::contract::Bench;
use crate::store::contract::outages::Own;
use crate::store::{Draft, Posted};

mod costs;
mod plans;

/// A store on a database of its own.
pub async fn fresh() -> Option<Bench> {
    let database = TestPostgres::get().await.empty_database().await;
    Some(on(connect(&database.url, ServiceName::Reviews, 16)).await)
}

pub async fn on(db: Db) -> Bench {
    let clock = Clock::manual(Clock::System.now());
    let environment = Environment {
        service: ServiceName::Reviews,
        db: Some(db),
        events_url: None,
        stores: StoreUrls::default(),
        peers: HashMap::new(),
        secret: Secret::generate(),
        callers: Callers::default(),
        clock: clock.clone(),
        metrics: Metrics::new(ServiceName::Reviews),
        shutdown: tokio_util::sync::CancellationToken::new(),
    };
    let db = environment.db().unwrap();
    PostgresReviews::migrate(&db).await.unwrap();
    let (store, _) = PostgresReviews::open(db, &environment).await.unwrap();
    Bench {
        store: Arc::new(store),
        clock,
        sequences: 600,
    }
}

/// A store on a server of its own, which syncs as the shop's does.
pub async fn own() -> Option<Own> {
    let server = OwnPostgres::start().await;
    Some(Own {
        store: on(connect(&server.url, ServiceName::Reviews, 16)).await,
        server: Box::new(server),
    })
}

fn opinion(rating: i16) -> Opinion {
    Opinion {
        rating,
        title: "Title".to_owned(),
        text: "Text".to_owned(),
        attributes: serde_json::Map::new(),
    }
}

/// A rebuild says what somebody has spoiled, and mends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_says_what_was_wrong_and_mends_it() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Reviews, 4);
    let Bench { store, .. } = on(db.clone()).await;
    let product = Uuid::new_v4();
    for rating in 1..=3 {
        let draft = Draft {
            product_id: product,
            author_id: Uuid::new_v4(),
            author_name: None,
            opinion: opinion(rating),
        };
        store.post(&draft).await.unwrap();
    }
    let right = store.summaries(&[product]).await.unwrap();
    let items = store.history(0, 100).await.unwrap().items;
    let events: Vec<_> = items.iter().map(|item| &item.event).collect();
    store.projection().apply(&events).await.unwrap();
    sqlx::query("UPDATE reviews_summary SET ratings_5 = 1000")
        .execute(&db)
        .await
        .unwrap();
    assert_ne!(store.summaries(&[product]).await.unwrap(), right);

    let projection = store.projection();
    let beside = Beside::begin(&*projection, &["/reviews"]).await;
    beside.fill("/reviews", &events).await;
    let comparison = beside.compare().await.unwrap();
    assert!(!comparison.equal());
    let [line] = &comparison.differences[..] else {
        panic!("{:?}", comparison.differences)
    };
    assert!(
        line.contains("reviews_summary") && line.contains("1000"),
        "{line}"
    );
    beside.switch(&comparison).await;
    assert_eq!(store.summaries(&[product]).await.unwrap(), right);
}

/// While a rebuild begins or ends, changes wait for it, and then go to the generations that there are after it.
#[tokio::test(flavor = "multi_thread")]
async fn changes_wait_for_a_rebuild_to_begin() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Reviews, 4);
    let Bench { store, .. } = on(db.clone()).await;
    // As the projection's own statements do.
    let mut beginning = db.begin().await.unwrap();
    sqlx::query("UPDATE reviews_projections SET building = true")
        .execute(&mut beginning)
        .await
        .unwrap();
    let draft = Draft {
        product_id: Uuid::new_v4(),
        author_id: Uuid::new_v4(),
        author_name: None,
        opinion: opinion(4),
    };
    let posting = tokio::spawn({
        let store = store.clone();
        async move { store.post(&draft).await }
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("it waits for the lock", 10, async || {
        let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&db).await.unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    assert!(!posting.is_finished());
    beginning.commit().await.unwrap();
    assert!(matches!(posting.await.unwrap(), Ok(Posted::Done(_))));
    let rows: Vec<(i16, i64)> =
        sqlx::query_as("SELECT generation, ratings_4 FROM reviews_summary ORDER BY generation")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(rows, [(0, 1), (1, 1)]);
}
