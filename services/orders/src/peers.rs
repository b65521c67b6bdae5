//! What orders needs of other services: a small client each, with just the fields that are read (tolerant readers).
//!
//! Reads are repeated by the client itself. Whatever changes something is called once: the saga repeats it.

use std::time::Duration;

use emporium_service_kit::ServiceName::{Carts, Catalog, Payments, Users};
use emporium_service_kit::client::{CallError, Client};
use emporium_service_kit::contract::Read;
use emporium_service_kit::{Environment, Money, ServiceName, StartError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::config::Config;
use crate::model::Address;

/// Time-out of one attempt at a read that a checkout is waiting for.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The clients.
#[derive(Clone)]
pub struct Peers {
    users: Client,
    catalog: Client,
    carts: Client,
    payments: Client,
    step_timeout: Duration,
    charge_timeout: Duration,
}

/// A user, as far as orders cares.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct User {
    /// The user's id.
    pub id: Uuid,
    /// As the user wants to be called.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// False when blocked.
    pub active: bool,
    /// Grows with each change.
    pub version: i64,
}

/// A cart.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Cart {
    /// Grows with each write.
    pub revision: i64,
    /// What is in it.
    pub items: Vec<Item>,
}

/// A product and how many of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// The product.
    pub product_id: Uuid,
    /// How many.
    pub quantity: i64,
}

/// A product.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Product {
    /// The product's id.
    pub id: Uuid,
    /// Its stock-keeping unit.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Its price now.
    pub price: Money,
    /// `active` or `archived`.
    pub status: String,
}

#[derive(Debug, Deserialize, ToSchema)]
struct Items<T> {
    items: Vec<T>,
}

/// A charge.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Charge {
    /// How far it has come.
    pub state: ChargeState,
    /// Why it was declined.
    pub reason: Option<String>,
}

/// How far a charge has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChargeState {
    /// The money is there.
    Succeeded,
    /// The provider said no.
    Declined,
    /// The provider has not answered yet.
    Pending,
    /// The provider will call back.
    Open,
    /// It was ended.
    Voided,
}

/// Every call that the service makes, and what it reads of the answer.
pub fn reads() -> Vec<Read> {
    vec![
        Read::of::<User>(Users, "get", "/users/{id}"),
        Read::of::<Address>(Users, "get", "/users/{id}/addresses/{address_id}"),
        Read::ignored(Users, "put", "/points/{saga_id}"),
        Read::ignored(Users, "post", "/points/{saga_id}/confirm"),
        Read::ignored(Users, "post", "/points/{saga_id}/cancel"),
        Read::of::<Cart>(Carts, "get", "/carts/{kind}/{id}"),
        Read::ignored(Carts, "post", "/carts/user/{id}/purchases/{saga_id}"),
        Read::of::<Items<Product>>(Catalog, "post", "/products/batch"),
        Read::ignored(Catalog, "put", "/reservations/{saga_id}"),
        Read::ignored(Catalog, "post", "/reservations/{saga_id}/extend"),
        Read::ignored(Catalog, "post", "/reservations/{saga_id}/commit"),
        Read::ignored(Catalog, "delete", "/reservations/{saga_id}"),
        Read::of::<Charge>(Payments, "put", "/charges/{saga_id}"),
        Read::of::<Charge>(Payments, "get", "/charges/{saga_id}"),
        Read::ignored(Payments, "post", "/charges/{saga_id}/void"),
    ]
}

impl Peers {
    /// Clients for all four services.
    pub fn new(environment: &Environment, config: &Config) -> Result<Self, StartError> {
        Ok(Self {
            users: environment.client(ServiceName::Users)?,
            catalog: environment.client(ServiceName::Catalog)?,
            carts: environment.client(ServiceName::Carts)?,
            payments: environment.client(ServiceName::Payments)?,
            step_timeout: config.call_timeout(),
            charge_timeout: config.charge_timeout(),
        })
    }

    /// A user; `None` when there is no such user.
    pub async fn user(&self, id: Uuid) -> Result<Option<User>, CallError> {
        let call = self.users.get(format!("/users/{id}"));
        found(call.timeout(READ_TIMEOUT).send().await)
    }

    /// One of a user's addresses; `None` when it is not the user's.
    pub async fn address(&self, user_id: Uuid, id: Uuid) -> Result<Option<Address>, CallError> {
        let call = self.users.get(format!("/users/{user_id}/addresses/{id}"));
        found(call.timeout(READ_TIMEOUT).send().await)
    }

    /// A user's cart.
    pub async fn cart(&self, user_id: Uuid) -> Result<Cart, CallError> {
        let call = self.carts.get(format!("/carts/user/{user_id}"));
        call.timeout(READ_TIMEOUT).send().await
    }

    /// Products by id; unknown ones are left out.
    pub async fn products(&self, ids: &[Uuid]) -> Result<Vec<Product>, CallError> {
        let call = self
            .catalog
            .post("/products/batch")
            .json(&json!({ "ids": ids }))
            .idempotent();
        let found: Items<Product> = call.timeout(READ_TIMEOUT).send().await?;
        Ok(found.items)
    }

    /// Reserves all lines or none.
    pub async fn reserve(
        &self,
        saga: Uuid,
        lines: &[(Uuid, i64)],
        until: OffsetDateTime,
    ) -> Result<(), CallError> {
        let body = json!({ "lines": items(lines), "expires_at": stamp(until) });
        let call = self.catalog.put(format!("/reservations/{saga}")).json(&body);
        call.timeout(self.step_timeout).once().done().await
    }

    /// Makes a reservation last longer.
    pub async fn extend_reservation(&self, saga: Uuid, until: OffsetDateTime) -> Result<(), CallError> {
        let body = json!({ "expires_at": stamp(until) });
        let call = self
            .catalog
            .post(format!("/reservations/{saga}/extend"))
            .json(&body);
        call.timeout(self.step_timeout).once().done().await
    }

    /// Takes the reserved goods out of the stock for good.
    pub async fn commit_reservation(&self, saga: Uuid) -> Result<(), CallError> {
        let call = self.catalog.post(format!("/reservations/{saga}/commit"));
        call.timeout(self.step_timeout).once().done().await
    }

    /// Ends a reservation. A commit whose answer never came may have been carried out: `committed=return` asks for the
    /// goods to be put back then.
    pub async fn release_reservation(&self, saga: Uuid) -> Result<(), CallError> {
        let call = self
            .catalog
            .delete(format!("/reservations/{saga}"))
            .query(&[("committed", "return")]);
        call.timeout(self.step_timeout).once().done().await
    }

    /// Adds loyalty points that do not count yet.
    pub async fn add_points(&self, saga: Uuid, user_id: Uuid, points: i64) -> Result<(), CallError> {
        let body = json!({ "user_id": user_id, "points": points });
        let call = self.users.put(format!("/points/{saga}")).json(&body);
        call.timeout(self.step_timeout).once().done().await
    }

    /// Makes them count.
    pub async fn confirm_points(&self, saga: Uuid) -> Result<(), CallError> {
        let call = self.users.post(format!("/points/{saga}/confirm"));
        call.timeout(self.step_timeout).once().done().await
    }

    /// Takes them back.
    pub async fn cancel_points(&self, saga: Uuid) -> Result<(), CallError> {
        let call = self.users.post(format!("/points/{saga}/cancel"));
        call.timeout(self.step_timeout).once().done().await
    }

    /// Asks for a charge.
    pub async fn charge(
        &self,
        saga: Uuid,
        customer_id: Uuid,
        amount: Money,
        payment_token: &str,
    ) -> Result<Charge, CallError> {
        let body = json!({
            "order_id": saga, "customer_id": customer_id, "amount": amount, "payment_token": payment_token,
        });
        let call = self.payments.put(format!("/charges/{saga}")).json(&body);
        call.timeout(self.charge_timeout).once().send().await
    }

    /// A charge; `None` when payments knows none.
    pub async fn find_charge(&self, saga: Uuid) -> Result<Option<Charge>, CallError> {
        let call = self.payments.get(format!("/charges/{saga}"));
        found(call.timeout(self.charge_timeout).once().send().await)
    }

    /// Ends a charge, refunding it when it succeeded.
    pub async fn void_charge(&self, saga: Uuid) -> Result<(), CallError> {
        let call = self.payments.post(format!("/charges/{saga}/void"));
        call.timeout(self.charge_timeout).once().done().await
    }

    /// Takes bought quantities out of the cart.
    pub async fn clear_cart(
        &self,
        saga: Uuid,
        user_id: Uuid,
        lines: &[(Uuid, i64)],
    ) -> Result<(), CallError> {
        let call = self
            .carts
            .post(format!("/carts/user/{user_id}/purchases/{saga}"))
            .json(&json!({ "lines": items(lines) }));
        call.timeout(self.step_timeout).once().done().await
    }
}

fn items(lines: &[(Uuid, i64)]) -> Vec<Item> {
    lines
        .iter()
        .map(|&(product_id, quantity)| Item { product_id, quantity })
        .collect()
}

fn stamp(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// Only "not found" as such says that the thing is not there; a 404 for an unknown address says that something is wrong.
fn found<T>(result: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() && error.code() != Some("unreadable-problem") => Ok(None),
        Err(error) => Err(error),
    }
}
