//! The carts service.

use emporium_service_kit::client::{CallError, Client};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::READ_TIMEOUT;

/// Client of the carts service.
#[derive(Clone)]
pub struct Carts(Client);

/// Which cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CartKey {
    /// A customer's own.
    User(Uuid),
    /// The one of somebody who has not signed in; whoever knows the id may use it.
    Anonymous(Uuid),
}

impl CartKey {
    fn path(self) -> String {
        match self {
            Self::User(id) => format!("/carts/user/{id}"),
            Self::Anonymous(id) => format!("/carts/anonymous/{id}"),
        }
    }
}

/// A cart: products and quantities. Names and prices are the catalog's.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct Cart {
    /// Grows with every change.
    pub revision: i64,
    /// The lines, in the order they were added.
    pub items: Vec<CartLine>,
    /// Only in the answer of a merge: what did not fit.
    #[serde(default)]
    pub dropped: Vec<CartLine>,
}

/// A line of a cart.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CartLine {
    /// What.
    pub product_id: Uuid,
    /// How many.
    pub quantity: i64,
}

impl Carts {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// The cart; empty when nobody wrote to it.
    pub async fn cart(&self, key: CartKey) -> Result<Cart, CallError> {
        self.0.get(key.path()).timeout(READ_TIMEOUT).send().await
    }

    /// Sets a line's quantity; 0 removes it.
    pub async fn set_quantity(&self, key: CartKey, product: Uuid, quantity: i64) -> Result<Cart, CallError> {
        self.0
            .put(format!("{}/items/{product}", key.path()))
            .json(&json!({ "quantity": quantity }))
            .send()
            .await
    }

    /// Removes a line.
    pub async fn remove(&self, key: CartKey, product: Uuid) -> Result<Cart, CallError> {
        self.0
            .delete(format!("{}/items/{product}", key.path()))
            .send()
            .await
    }

    /// Moves an anonymous cart's lines into a customer's; repeating changes nothing. Not tried again here, so that nobody
    /// waits for it at sign-in: the next look at the cart repeats it.
    pub async fn merge(&self, user: Uuid, anonymous: Uuid) -> Result<Cart, CallError> {
        self.0
            .post(format!("/carts/user/{user}/merge"))
            .json(&json!({ "anonymous_id": anonymous }))
            .timeout(READ_TIMEOUT)
            .send()
            .await
    }
}
