//! PostgreSQL for the contract suite, and what only this adapter can show.

use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName, StoreError};
use emporium_test_kit::{OwnPostgres, TestPostgres, connect};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::{PostgresMonitoring, Recorded, Recorder, Tier};
use crate::config::Config;
use crate::measures::Measures;
use crate::model::Scrape;
use crate::store::contract::outages::Own;
use crate::store::contract::{Bench, Feed};

mod bounds;
mod once;

/// Writes to the tables by a recorder.
struct Recording {
    db: Db,
    recorder: Mutex<Arc<Recorder>>,
}

fn recorder(db: &Db, series_max: u32) -> Arc<Recorder> {
    let config = Config {
        series_max,
        ..Config::parse_from(["test"])
    };
    Arc::new(Recorder::new(
        db.clone(),
        &config,
        Measures::new(&Metrics::new(ServiceName::Monitoring)),
    ))
}

/// Makes all roll-ups that are due, and tidies.
async fn settle(recorder: &Recorder, now: OffsetDateTime) {
    for tier in [Tier::Minute, Tier::Hour] {
        while recorder.roll_up(tier, now).await.unwrap() > 0 {}
    }
    recorder.tend(now).await.unwrap();
}

#[async_trait]
impl Feed for Recording {
    async fn round(&self, scrapes: &[Scrape]) {
        self.try_round(scrapes).await.unwrap();
    }

    async fn try_round(&self, scrapes: &[Scrape]) -> Result<(), StoreError> {
        let now = scrapes.iter().map(|scrape| scrape.at).max().unwrap();
        let recorder = self.recorder.lock().await.clone();
        let recorded = recorder.record(scrapes, now).await?;
        assert!(matches!(recorded, Recorded::Done { .. }), "{recorded:?}");
        Ok(())
    }

    async fn restart(&self, _: OffsetDateTime) {
        let mut slot = self.recorder.lock().await;
        // The old one's lease would have to run out; tests of leases are elsewhere.
        slot.release().await.unwrap();
        *slot = recorder(&self.db, 20_000);
    }

    async fn settle(&self, now: OffsetDateTime) {
        let recorder = self.recorder.lock().await.clone();
        settle(&recorder, now).await;
    }
}

/// A store on a database of its own.
pub async fn fresh() -> Option<Bench> {
    let database = TestPostgres::get().await.empty_database().await;
    Some(on(&database.url).await)
}

async fn on(url: &str) -> Bench {
    let db = connect(url, ServiceName::Monitoring, 16);
    let store = PostgresMonitoring::open(db.clone()).await.unwrap();
    let recorder = Mutex::new(recorder(&db, 20_000));
    Bench {
        store: Arc::new(store),
        feed: Box::new(Recording { db, recorder }),
    }
}

/// A store on a server of its own, which syncs as the shop's does.
pub async fn own() -> Option<Own> {
    let server = OwnPostgres::start().await;
    Some(Own {
        store: on(&server.url).await,
        server: Box::new(server),
    })
}

/// Tables that are up to date, and the store on them.
async fn tables() -> (Db, PostgresMonitoring) {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Monitoring, 16);
    let store = PostgresMonitoring::open(db.clone()).await.unwrap();
    (db, store)
}
