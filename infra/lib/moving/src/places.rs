//! Standings of stores that keep none themselves, in the service's own database: of indexes that are made from it, of servers
//! without compare-and-swap. A store is known by where it is.
//!
//! So the service reads where its data is while such a store is away, and all its standings can be looked at together: a setting
//! that names a third one is refused as well ([`PostgresPlaces::check`]). Two services on one such store do not see each other.

use async_trait::async_trait;
use emporium_service_kit::{Db, ServiceName, StartError, StoreError};
use sqlx::migrate::MigrateError;
use sqlx::{AssertSqlSafe, query, query_as};

use crate::postgres::PostgresMoving;
use crate::record::{Ending, Standing};
use crate::register::{Kept, Register};

/// All standings in a database.
#[derive(Clone)]
pub struct PostgresPlaces {
    db: Db,
    prefix: ServiceName,
}

/// The standing of one store.
pub struct PlaceRegister {
    places: PostgresPlaces,
    place: String,
}

impl PostgresPlaces {
    /// Brings the tables up to date.
    pub async fn open(db: Db, service: ServiceName) -> Result<Self, MigrateError> {
        PostgresMoving::open(db.clone(), service).await?;
        Ok(Self { db, prefix: service })
    }

    /// The standing of the store at this address (without secrets).
    pub fn register(&self, place: &str) -> PlaceRegister {
        PlaceRegister {
            places: self.clone(),
            place: place.to_owned(),
        }
    }

    /// All standings, by address.
    pub async fn all(&self) -> Result<Vec<(String, Standing)>, StoreError> {
        let rows: Vec<(String, String)> =
            query_as(self.sql("SELECT place, standing FROM {prefix}_places ORDER BY place"))
                .fetch_all(&self.db)
                .await?;
        let read = |(place, text): (String, String)| {
            let standing = serde_json::from_str(&text).map_err(|error| StoreError::Failed(error.into()))?;
            Ok((place, standing))
        };
        rows.into_iter().map(read).collect()
    }

    /// Whether a service may start on the store at this address, of which nothing was ever written down: not when another one is
    /// known to hold. What is written down of the store itself is looked at when it is opened.
    pub async fn check(&self, place: &str, service: ServiceName, setting: &str) -> Result<(), StartError> {
        let failed = |error: StoreError| StartError::BadSetting {
            setting: setting.to_owned(),
            problem: format!("where the data is cannot be read: {error}"),
        };
        let all = self.all().await.map_err(failed)?;
        if all.iter().any(|(known, _)| known == place) {
            return Ok(());
        }
        let holder = all.iter().find(|(_, standing)| match standing {
            Standing::Moving(_) => true,
            Standing::Serving { last: Some(last) } => last.ending == Ending::Switched,
            _ => false,
        });
        match holder {
            None => Ok(()),
            Some((holder, _)) => Err(StartError::BadSetting {
                setting: setting.to_owned(),
                problem: format!(
                    "what the {service} service keeps was moved to {holder}, and not to {place}: set it to that store, spelt like \
                     this, and move it from there (`emporium move {service} --to URL`) if it is to be here"
                ),
            }),
        }
    }

    fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(text.replace("{prefix}", self.prefix.as_str()))
    }
}

#[async_trait]
impl Register for PlaceRegister {
    async fn load(&self) -> Result<Kept, StoreError> {
        let sql = "SELECT version, standing FROM {prefix}_places WHERE place = $1";
        let kept: Option<(i64, String)> = query_as(self.places.sql(sql))
            .bind(&self.place)
            .fetch_optional(&self.places.db)
            .await?;
        Ok(kept.map_or_else(Kept::default, |(version, text)| Kept {
            version,
            text: Some(text),
        }))
    }

    async fn swap(&self, version: i64, text: &str) -> Result<bool, StoreError> {
        let sql = match version {
            0 => {
                "INSERT INTO {prefix}_places (place, version, standing) VALUES ($1, $2 + 1, $3) ON CONFLICT DO NOTHING"
            }
            _ => {
                "UPDATE {prefix}_places SET version = $2 + 1, standing = $3 WHERE place = $1 AND version = $2"
            }
        };
        let done = query(self.places.sql(sql))
            .bind(&self.place)
            .bind(version)
            .bind(text)
            .execute(&self.places.db)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}
