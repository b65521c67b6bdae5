//! Bulk loads of accounts.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use emporium_service_kit::Problem;
use emporium_service_kit::bulk::{self, BulkLoad, BulkSummary, Stored, check_rules, micros, moment};
use emporium_service_kit::validate::{filled_line, line};
use garde::Validate;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::points::POINTS_MAX;
use crate::error::Error;
use crate::input;
use crate::model::{Origin, Place};
use crate::preferences;
use crate::store::{ADDRESSES_MAX, StagedAddress, StagedUser};

/// A record of `POST /bulk/users`.
#[derive(Deserialize, Validate, ToSchema)]
pub struct BulkUser {
    /// Identity: an account that is there already stays as it is.
    #[garde(skip)]
    id: Uuid,
    /// A record whose e-mail address belongs to another account is refused.
    #[garde(custom(input::email))]
    email: String,
    /// 1 to 200 characters.
    #[garde(length(chars, max = 200), custom(filled_line))]
    name: String,
    /// Where the account comes from.
    #[garde(skip)]
    origin: Origin,
    /// True when the name is made up.
    #[serde(default)]
    #[garde(skip)]
    name_invented: bool,
    /// When the account was made, from 1970 to 2099; also the event's time.
    #[serde(with = "time::serde::rfc3339")]
    #[garde(custom(moment))]
    created_at: OffsetDateTime,
    /// At most 8 KiB.
    #[serde(default)]
    #[garde(skip)]
    #[schema(value_type = Object)]
    preferences: Map<String, Value>,
    /// Opening balance of loyalty points.
    #[serde(default)]
    #[garde(range(min = 0, max = POINTS_MAX))]
    points: i64,
    /// At most 50, at most one of them the default; the first one is it when none is.
    #[serde(default)]
    #[garde(length(max = ADDRESSES_MAX), dive)]
    addresses: Vec<BulkAddress>,
    /// Without a password nobody can sign in.
    #[serde(default)]
    #[garde(inner(length(chars, min = 8, max = 128), custom(line)))]
    password: Option<String>,
}

/// An address of a record. History knows less of addresses than a form asks for: the postal code may be empty, and the
/// country a code that ISO leaves to its users.
#[derive(Deserialize, Validate, ToSchema)]
pub struct BulkAddress {
    /// Identity.
    #[garde(skip)]
    id: Uuid,
    /// House and street.
    #[garde(length(chars, max = 200), custom(filled_line))]
    street: String,
    /// Town or city.
    #[garde(length(chars, max = 100), custom(filled_line))]
    city: String,
    /// Postal code.
    #[garde(length(chars, max = 20), custom(line))]
    postal_code: String,
    /// Two capital letters.
    #[garde(custom(input::country_letters))]
    country: String,
    /// At most one is.
    #[serde(default)]
    #[garde(skip)]
    is_default: bool,
}

/// Loads accounts, streamed.
#[utoipa::path(post, path = "/bulk/users", request_body(content = BulkUser, content_type = "application/x-ndjson"),
    responses((status = 200, body = BulkSummary)))]
pub async fn bulk_users(
    State(app): State<App>,
    body: axum::body::Body,
) -> Result<Json<BulkSummary>, Problem> {
    bulk::load(&app, body).await.map(Json)
}

impl BulkLoad for App {
    type Checked = BulkUser;

    fn read(&self, line: &[u8]) -> Result<BulkUser, String> {
        let record: BulkUser = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        record.check()?;
        Ok(record)
    }

    async fn store(&self, chunk: Vec<(u64, BulkUser)>) -> Result<Stored, Problem> {
        Ok(self.load_users(chunk).await?)
    }
}

impl App {
    async fn load_users(&self, chunk: Vec<(u64, BulkUser)>) -> Result<Stored, Error> {
        let ids: Vec<Uuid> = chunk.iter().map(|(_, record)| record.id).collect();
        let mut seen = self.store.known(&ids).await?;
        let mut staged = Vec::with_capacity(chunk.len());
        for (line, record) in chunk {
            if seen.insert(record.id) {
                staged.push(self.stage(line, record).await?);
            }
        }
        if staged.is_empty() {
            return Ok(Stored::default());
        }
        self.store.load(staged).await
    }

    /// The record in its normal form. Passwords are hashed here, before the transaction begins.
    async fn stage(&self, line: u64, record: BulkUser) -> Result<StagedUser, Error> {
        let password_hash = match record.password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        let none_default = !record.addresses.iter().any(|address| address.is_default);
        let addresses = record
            .addresses
            .into_iter()
            .enumerate()
            .map(|(place, address)| address.staged(none_default && place == 0))
            .collect();
        Ok(StagedUser {
            line,
            id: record.id,
            email: input::normal_email(&record.email),
            name: record.name.trim().to_owned(),
            origin: record.origin,
            name_invented: record.name_invented,
            created_at: micros(record.created_at),
            preferences: serde_json::to_string(&record.preferences)?,
            points: record.points,
            addresses,
            password_hash,
        })
    }
}

impl BulkUser {
    fn check(&self) -> Result<(), String> {
        check_rules(self)?;
        preferences::check(&self.preferences).map_err(|error| error.to_string())?;
        if self.addresses.iter().filter(|address| address.is_default).count() > 1 {
            return Err("addresses: at most one is the default".to_owned());
        }
        let ids: HashSet<Uuid> = self.addresses.iter().map(|address| address.id).collect();
        if ids.len() < self.addresses.len() {
            return Err("addresses: an id occurs twice".to_owned());
        }
        Ok(())
    }
}

impl BulkAddress {
    fn staged(self, make_default: bool) -> StagedAddress {
        StagedAddress {
            id: self.id,
            place: Place {
                street: self.street.trim().to_owned(),
                city: self.city.trim().to_owned(),
                postal_code: self.postal_code.trim().to_owned(),
                country: self.country,
            },
            is_default: self.is_default || make_default,
        }
    }
}
