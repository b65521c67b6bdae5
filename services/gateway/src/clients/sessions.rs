//! The sessions service: signing in, and who a token stands for.

use emporium_service_kit::client::{CallError, Client};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{READ_TIMEOUT, Role, found};

/// Client of the sessions service.
#[derive(Clone)]
pub struct Sessions(Client);

/// A new session.
#[derive(Clone, Deserialize, ToSchema)]
pub struct NewSession {
    /// The secret to present from here on.
    pub token: String,
    /// Whose session it is.
    pub user_id: Uuid,
    /// When it ends unless it is used.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// Whom a token stands for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Session {
    /// Whose session it is.
    pub user_id: Uuid,
    /// What they may do.
    pub role: Role,
    /// True while they are blocked: all that is left to do with the session is to end it.
    pub blocked: bool,
}

impl Sessions {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// Signs in. Problems: 401 `wrong-credentials`, 403 `user-blocked`, 429 `too-many-attempts`.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<NewSession, CallError> {
        let credentials = json!({ "email": email, "password": password });
        self.0.post("/sessions").json(&credentials).send().await
    }

    /// The session of a token, `None` when it is unknown, forged or expired. Being asked keeps a session alive.
    pub async fn look_up(&self, token: &str) -> Result<Option<Session>, CallError> {
        let call = self
            .0
            .post("/sessions/lookup")
            .json(&json!({ "token": token }))
            .idempotent()
            .timeout(READ_TIMEOUT);
        found(call.send().await)
    }

    /// Ends one session.
    pub async fn revoke(&self, token: &str) -> Result<(), CallError> {
        let call = self.0.post("/sessions/revoke").json(&json!({ "token": token }));
        call.idempotent().done().await
    }

    /// Ends all sessions of a user.
    pub async fn revoke_all(&self, user: Uuid) -> Result<(), CallError> {
        self.0.delete(format!("/users/{user}/sessions")).done().await
    }
}
