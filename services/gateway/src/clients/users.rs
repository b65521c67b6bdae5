//! The users service: accounts, profiles, address books.

use emporium_service_kit::Page;
use emporium_service_kit::client::{CallError, Client};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Items, READ_TIMEOUT, Role, batch, found};

/// Client of the users service.
#[derive(Clone)]
pub struct Users(Client);

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Its id.
    pub id: Uuid,
    /// Where mail reaches its owner; also the name to sign in with.
    pub email: String,
    /// As its owner wants to be called.
    pub name: String,
    /// What its owner may do.
    pub role: Role,
    /// False when an administrator blocked it.
    pub active: bool,
    /// Loyalty points.
    #[serde(default)]
    pub points: i64,
    /// Points of orders that are not confirmed yet.
    #[serde(default)]
    pub pending_points: i64,
    /// The owner's own settings.
    #[serde(default)]
    pub preferences: Map<String, Value>,
    /// `registered`, `generated` or `imported`.
    #[serde(default)]
    pub origin: String,
    /// True when the name was invented for imported data.
    #[serde(default)]
    pub name_invented: bool,
    /// When the account was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// What a new account needs.
#[derive(Debug, Serialize)]
pub struct Registration<'a> {
    /// E-mail address.
    pub email: &'a str,
    /// The password, as typed.
    pub password: &'a str,
    /// The name to go by.
    pub name: &'a str,
}

/// Changes of a profile; what is absent stays.
#[derive(Debug, Default, Serialize)]
pub struct ProfileChange<'a> {
    /// Another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// A JSON merge patch (RFC 7396) for the preferences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferences: Option<&'a Map<String, Value>>,
}

/// An entry of an address book.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Address {
    /// The entry's id.
    pub id: Uuid,
    /// Street and number.
    pub street: String,
    /// Town or city.
    pub city: String,
    /// Postal code.
    pub postal_code: String,
    /// ISO 3166 alpha-2 code, such as `GB`.
    pub country: String,
    /// True for the one that is used unless another is chosen.
    pub is_default: bool,
}

/// An address as typed.
#[derive(Debug, Serialize)]
pub struct AddressText<'a> {
    /// Street and number.
    pub street: &'a str,
    /// Town or city.
    pub city: &'a str,
    /// Postal code.
    pub postal_code: &'a str,
    /// ISO 3166 alpha-2 code.
    pub country: &'a str,
    /// True makes it the default; false leaves the default where it is.
    pub is_default: bool,
}

impl Users {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// Makes an account. Problems: 409 `email-taken`, 422.
    pub async fn register(&self, registration: &Registration<'_>) -> Result<User, CallError> {
        self.0.post("/users").json(registration).send().await
    }

    /// One account.
    pub async fn user(&self, id: Uuid) -> Result<Option<User>, CallError> {
        let call = self.0.get(format!("/users/{id}")).timeout(READ_TIMEOUT);
        found(call.send().await)
    }

    /// Many accounts, in bounded batch calls; unknown ids are left out.
    pub async fn batch(&self, ids: Vec<Uuid>) -> Result<Vec<User>, CallError> {
        batch(&self.0, "/users/batch", ids).await
    }

    /// All accounts, newest first. `query` holds `q`, `cursor` and `limit`.
    pub async fn list(&self, query: &[(&str, String)]) -> Result<Page<User>, CallError> {
        self.0
            .get("/users")
            .query(query)
            .timeout(READ_TIMEOUT)
            .send()
            .await
    }

    /// Changes name or preferences.
    pub async fn change_profile(&self, id: Uuid, change: &ProfileChange<'_>) -> Result<User, CallError> {
        self.0.patch(format!("/users/{id}")).json(change).send().await
    }

    /// Blocks an account or opens it again.
    pub async fn set_active(&self, id: Uuid, active: bool) -> Result<User, CallError> {
        self.0
            .patch(format!("/users/{id}/status"))
            .json(&serde_json::json!({ "active": active }))
            .send()
            .await
    }

    /// The whole address book (at most 50 entries).
    pub async fn addresses(&self, user: Uuid) -> Result<Vec<Address>, CallError> {
        let call = self
            .0
            .get(format!("/users/{user}/addresses"))
            .timeout(READ_TIMEOUT);
        call.send::<Items<Address>>().await.map(|list| list.items)
    }

    /// Adds an entry; the first one is the default.
    pub async fn add_address(&self, user: Uuid, text: &AddressText<'_>) -> Result<Address, CallError> {
        self.0
            .post(format!("/users/{user}/addresses"))
            .json(text)
            .send()
            .await
    }

    /// Replaces an entry's text.
    pub async fn change_address(
        &self,
        user: Uuid,
        id: Uuid,
        text: &AddressText<'_>,
    ) -> Result<Address, CallError> {
        self.0
            .put(format!("/users/{user}/addresses/{id}"))
            .json(text)
            .send()
            .await
    }

    /// Removes an entry; the newest remaining one takes over as default.
    pub async fn remove_address(&self, user: Uuid, id: Uuid) -> Result<(), CallError> {
        self.0
            .delete(format!("/users/{user}/addresses/{id}"))
            .once() // a repeated DELETE would answer 404 for what the first one did
            .done()
            .await
    }

    /// Makes an entry the default.
    pub async fn set_default_address(&self, user: Uuid, id: Uuid) -> Result<Address, CallError> {
        self.0
            .put(format!("/users/{user}/addresses/{id}/default"))
            .send()
            .await
    }
}
