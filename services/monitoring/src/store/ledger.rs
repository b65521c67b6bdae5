//! What a move has brought into a store, and what it is to the move that is under way: read from the service's own database,
//! whichever store it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration as Wall;

use emporium_moving::places::{PlaceRegister, PostgresPlaces};
use emporium_moving::record::Standing;
use emporium_moving::register;
use emporium_service_kit::{Clock, Db, StoreError};
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::question::SPAN_DAYS_MAX;

/// Seconds of an hour.
pub const HOUR_S: i64 = 3_600;
/// How long what was read counts. It changes only while a store is filled that does not serve.
const KNOWN_FOR: Wall = Wall::from_secs(1);
/// How long a question waits for it, when it was known before: charts are wanted most when a database is away.
const READ_MAX: Wall = Wall::from_millis(300);

/// The hours that a move has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Brought {
    /// The move.
    #[sqlx(rename = "move")]
    by: Uuid,
    /// How often the store was emptied for one.
    pub generation: i32,
    /// The first hour.
    pub first_at: OffsetDateTime,
    /// The first one that is not copied: from here on the store has collected by itself.
    pub own_since: OffsetDateTime,
}

/// What a store is to the move that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nothing is moved from it or to it.
    None,
    /// These hours are copied from it.
    Source(Brought),
    /// These hours are brought into it.
    Target(Brought),
}

/// A read that may be some moments old.
type Known = Option<(Instant, Option<Brought>)>;

/// What is written down of one store. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    db: Db,
    clock: Clock,
    register: Arc<PlaceRegister>,
    place: String,
    known: Arc<Mutex<Known>>,
}

/// The beginning of the hour that a moment lies in.
pub fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    let begin = at.unix_timestamp().div_euclid(HOUR_S) * HOUR_S;
    OffsetDateTime::from_unix_timestamp(begin).unwrap_or(at)
}

impl Ledger {
    /// That of the store at this address, in the service's own database.
    pub fn new(db: Db, places: &PostgresPlaces, place: &str, clock: Clock) -> Self {
        Self {
            db,
            clock,
            register: Arc::new(places.register(place)),
            place: place.to_owned(),
            known: Arc::default(),
        }
    }

    /// Where the store's standing is.
    pub fn register(&self) -> Arc<PlaceRegister> {
        self.register.clone()
    }

    /// The present moment.
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// What was brought into this store, to answer from; while the database does not answer, as it was known last.
    pub async fn brought(&self) -> Result<Option<Brought>, StoreError> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let brought = match known {
            Some((at, brought)) if at.elapsed() < KNOWN_FOR => return Ok(brought),
            Some((_, brought)) => match timeout(READ_MAX, self.row(&self.place)).await {
                Ok(Ok(read)) => read,
                _ => brought,
            },
            None => self.row(&self.place).await?,
        };
        self.know(brought);
        Ok(brought)
    }

    fn know(&self, brought: Option<Brought>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), brought));
    }

    async fn row(&self, place: &str) -> Result<Option<Brought>, StoreError> {
        let row = sqlx::query_as(
            "SELECT move, generation, first_at, own_since FROM monitoring_copied WHERE place = $1",
        )
        .bind(place)
        .fetch_optional(&self.db)
        .await?;
        Ok(row)
    }

    /// What this store is to the move that is under way.
    pub async fn role(&self) -> Result<Role, StoreError> {
        let (_, standing) = register::standing(self.register.as_ref()).await?;
        let (by, place) = match &standing {
            Standing::Filling { by, .. } => (*by, &self.place),
            Standing::Moving(moving) => (moving.id, &moving.to.address),
            Standing::Serving { .. } | Standing::Left(_) => return Ok(Role::None),
        };
        let brought = self.row(place).await?.filter(|brought| brought.by == by);
        let Some(brought) = brought else {
            let text = "it is not written down yet which hours are moved";
            return Err(StoreError::Unavailable(text.into()));
        };
        Ok(match standing {
            Standing::Filling { .. } => Role::Target(brought),
            _ => Role::Source(brought),
        })
    }

    /// What the move that fills this store has written down already. A store that nobody fills is an error: it must not be
    /// emptied.
    pub async fn begun(&self) -> Result<(Uuid, Option<Brought>), StoreError> {
        let (_, standing) = register::standing(self.register.as_ref()).await?;
        let Standing::Filling { by, .. } = standing else {
            let text = "the store is not being filled, so it is not emptied";
            return Err(StoreError::Failed(text.into()));
        };
        let row = self.row(&self.place).await?;
        Ok((by, row.filter(|brought| brought.by == by)))
    }

    /// Writes down that the store was emptied for this move, which brings hours until `own_since`.
    pub async fn emptied(&self, by: Uuid, own_since: OffsetDateTime) -> Result<(), StoreError> {
        let first_at = own_since.saturating_sub(Duration::days(SPAN_DAYS_MAX));
        let brought: Brought = sqlx::query_as(
            "INSERT INTO monitoring_copied AS c (place, move, generation, first_at, own_since) VALUES ($1, $2, 1, $3, $4)
             ON CONFLICT (place) DO UPDATE SET move = excluded.move, generation = c.generation + 1,
                first_at = excluded.first_at, own_since = excluded.own_since
             RETURNING move, generation, first_at, own_since",
        )
        .bind(&self.place)
        .bind(by)
        .bind(first_at)
        .bind(own_since)
        .fetch_one(&self.db)
        .await?;
        self.know(Some(brought));
        Ok(())
    }
}
