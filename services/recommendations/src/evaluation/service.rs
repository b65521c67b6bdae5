//! The service itself, trained on baskets.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::{Clock, Db, StartError, StoreError};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::Basket;
use crate::model::Scope;
use crate::store::{PostgresRecommendations, RecommendationStore};

/// Events of a batch.
const BATCH: usize = 1_000;

/// Why the service could not be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The tables could not be made.
    #[error("the tables cannot be made: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The store could not be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An event was not applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A basket cannot be said as an event.
    #[error("a basket cannot be made an event: {0}")]
    Event(String),
    /// The store knows of orders already, which would be learnt from as well.
    #[error("it has orders already; choose an empty one")]
    NotEmpty,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The service's own store, which has seen training baskets and nothing else.
pub struct Trained {
    store: Arc<dyn RecommendationStore>,
    /// Codes, sorted: a good's id is its place, so that ids decide between equals as codes do.
    codes: Vec<String>,
    customers: HashMap<String, Uuid>,
}

impl Trained {
    /// Trains it in an *empty* database of the caller's, which can be dropped afterwards.
    pub async fn open(db: Db, train: &[Basket]) -> Result<Self, TrainError> {
        PostgresRecommendations::migrate(&db).await?;
        let store = PostgresRecommendations::open(db, Self::clock(train)).await?;
        Self::on(Arc::new(store), train).await
    }

    /// The clock by which a store has to go that is trained with these baskets: it stands at the last of them.
    pub fn clock(train: &[Basket]) -> Clock {
        let newest = train.iter().map(|basket| basket.at).max();
        Clock::manual(newest.unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// Trains it in a store that goes by [`Trained::clock`] and is empty.
    pub async fn on(store: Arc<dyn RecommendationStore>, train: &[Basket]) -> Result<Self, TrainError> {
        if !store.popular(1).await?.items.is_empty() {
            return Err(TrainError::NotEmpty);
        }
        let codes: BTreeSet<&String> = train.iter().flat_map(|basket| &basket.goods).collect();
        let codes: Vec<String> = codes.into_iter().cloned().collect();
        let customers: BTreeSet<&String> = train.iter().map(|basket| &basket.customer).collect();
        let customers = (1..).map(Uuid::from_u128).zip(customers);
        let trained = Self {
            store,
            codes,
            customers: customers.map(|(id, customer)| (customer.clone(), id)).collect(),
        };
        trained.learn(train).await?;
        Ok(trained)
    }

    /// The service's list for a customer, best first.
    pub async fn list(&self, customer: &str, scope: Scope, limit: usize) -> Result<Vec<String>, StoreError> {
        let id = self.customers.get(customer).copied().unwrap_or_default();
        let made = self.store.for_you(id, scope, limit).await?;
        let codes = made
            .items
            .iter()
            .filter_map(|item| self.code(item.product_id).cloned());
        Ok(codes.collect())
    }

    async fn learn(&self, train: &[Basket]) -> Result<(), TrainError> {
        let projection = self.store.projection();
        let products: Result<Vec<CloudEvent>, TrainError> =
            (0..self.codes.len()).map(product_event).collect();
        for batch in products?.chunks(BATCH) {
            projection.apply(&batch.iter().collect::<Vec<_>>()).await?;
        }
        for (piece, baskets) in train.chunks(BATCH).enumerate() {
            let first = piece * BATCH;
            let events: Result<Vec<CloudEvent>, TrainError> = (first..)
                .zip(baskets)
                .map(|(number, basket)| self.order_event(number, basket))
                .collect();
            projection.apply(&events?.iter().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    fn code(&self, id: Uuid) -> Option<&String> {
        let place = usize::try_from(id.as_u128()).ok()?.checked_sub(1)?;
        self.codes.get(place)
    }

    fn order_event(&self, number: usize, basket: &Basket) -> Result<CloudEvent, TrainError> {
        let line = |good: &String| {
            let place = self.codes.binary_search(good).unwrap_or_default();
            json!({"product_id": id(place), "quantity": 1, "unit_price": 1})
        };
        let placed_at = basket
            .at
            .format(&Rfc3339)
            .map_err(|error| TrainError::Event(error.to_string()))?;
        let data = json!({
            "order_id": id(number), "customer_id": self.customers.get(&basket.customer), "placed_at": placed_at,
            "lines": basket.goods.iter().map(line).collect::<Vec<_>>(),
        });
        event(("order", "confirmed", "/orders"), id(number), basket.at, &data)
    }
}

/// The id of what is at a place.
fn id(place: usize) -> Uuid {
    Uuid::from_u128(place as u128 + 1)
}

fn product_event(place: usize) -> Result<CloudEvent, TrainError> {
    let data = json!({"id": id(place), "version": 1, "status": "active"});
    let at = OffsetDateTime::UNIX_EPOCH;
    event(("product", "created", "/catalog"), id(place), at, &data)
}

fn event(
    (noun, verb, source): (&str, &str, &str),
    subject: Uuid,
    time: OffsetDateTime,
    data: &serde_json::Value,
) -> Result<CloudEvent, TrainError> {
    Ok(CloudEvent {
        specversion: "1.0".to_owned(),
        id: Uuid::now_v7(),
        source: source.to_owned(),
        kind: format!("{noun}.{verb}.v1"),
        subject: subject.to_string(),
        time,
        datacontenttype: "application/json".to_owned(),
        aggregateversion: 1,
        traceparent: None,
        data: serde_json::value::to_raw_value(data).map_err(|error| TrainError::Event(error.to_string()))?,
    })
}
