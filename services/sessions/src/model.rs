//! The shapes that the service speaks and keeps, and the rule by which an expiry slides.

use emporium_service_kit::validate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::config::Sliding;
use crate::token::TokenHash;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Role {
    /// Shops.
    Customer,
    /// Runs the shop.
    Admin,
}

/// A session as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Identifies it.
    pub token: TokenHash,
    /// Whose.
    pub user_id: Uuid,
    /// As of the login.
    pub role: Role,
    /// The login.
    pub began_at: OffsetDateTime,
    /// Slides with use.
    pub expires_at: OffsetDateTime,
    /// The latest that `expires_at` can become.
    pub ends_at: OffsetDateTime,
    /// True while its user is blocked; no session begins so.
    pub blocked: bool,
}

/// The expiry after a use at `now`, when that is worth a write: the expiry moves by at least a step, and not beyond the end.
/// So a session in use is written at most once a step, and may expire up to a step sooner than a time to live after its last
/// use.
pub fn slid(
    expires_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    now: OffsetDateTime,
    sliding: Sliding,
) -> Option<OffsetDateTime> {
    let target = ends_at.min(now + sliding.ttl);
    (target - expires_at >= sliding.step).then_some(target)
}

/// E-mail address and password. No `Debug`: neither belongs into a log.
#[derive(Deserialize, Validate, ToSchema)]
pub struct LoginRequest {
    /// As registered, in any case.
    #[garde(length(chars, min = 1, max = 320), custom(validate::filled_line))]
    pub email: String,
    /// The password.
    #[garde(length(chars, min = 1, max = 1_024))]
    pub password: String,
}

/// A session that has begun.
#[derive(Serialize, ToSchema)]
pub struct LoginAnswer {
    /// What the client presents from now on: 46 characters, base64url. It cannot be had again.
    pub token: String,
    /// The user.
    pub user_id: Uuid,
    /// What the user may do.
    pub role: Role,
    /// When the session expires unless it is used.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// A token as a client presents it.
#[derive(Deserialize, Validate, ToSchema)]
pub struct TokenRequest {
    /// Any text: what cannot be a token is a token that nobody has.
    #[garde(skip)]
    pub token: String,
}

/// Whose session it is, and whether anything but ending it may be done with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// The user.
    pub user_id: Uuid,
    /// What the user may do.
    pub role: Role,
    /// When the session expires unless it is used.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// True while the user is blocked: the session authorises nothing then but its own end. It works again when the user is
    /// unblocked.
    pub blocked: bool,
}
