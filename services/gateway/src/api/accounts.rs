//! `/api/users` and `/api/me`: signing up, one's own profile.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use emporium_service_kit::extract::Body;
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, validate};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::clients::users::{ProfileChange, Registration, User};
use crate::error::Error;
use crate::identity::SignedIn;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(sign_up))
        .public(routes!(get_me, change_me))
}

/// A new account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// E-mail address; also the name to sign in with.
    #[garde(length(chars, min = 1, max = 254), custom(validate::line))]
    email: String,
    /// The password.
    #[garde(length(bytes, min = 1, max = 1024))]
    password: String,
    /// The name to go by.
    #[garde(length(chars, min = 1, max = 200), custom(validate::filled_line))]
    name: String,
}

/// One's own account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The user's id.
    id: Uuid,
    /// E-mail address.
    email: String,
    /// The name to go by.
    name: String,
    /// Loyalty points.
    points: i64,
    /// One's own settings.
    preferences: Map<String, Value>,
}

impl From<User> for Me {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            points: user.points,
            preferences: user.preferences,
        }
    }
}

/// What to change; what is absent stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMe {
    /// Another name.
    #[garde(inner(length(chars, min = 1, max = 200), custom(validate::filled_line)))]
    name: Option<String>,
    /// A JSON merge patch (RFC 7396): null removes a setting.
    #[garde(skip)]
    preferences: Option<Map<String, Value>>,
}

/// Signs up.
#[utoipa::path(post, path = "/api/users", tag = "accounts", request_body = SignUp, responses(
    (status = 201, body = Me),
    (status = 409, body = ProblemDocument, description = "`email-taken`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn sign_up(
    State(app): State<App>,
    Body(body): Body<SignUp>,
) -> Result<(StatusCode, [(HeaderName, &'static str); 1], Json<Me>), Error> {
    let registration = Registration {
        email: &body.email,
        password: &body.password,
        name: &body.name,
    };
    let user = app.clients.users.register(&registration).await?;
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, "/api/me")],
        Json(user.into()),
    ))
}

/// One's own account.
#[utoipa::path(get, path = "/api/me", tag = "accounts", security(("bearer" = []), ("cookie" = [])), responses(
    (status = 200, body = Me),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`")))]
async fn get_me(State(app): State<App>, SignedIn(me): SignedIn) -> Result<Json<Me>, Error> {
    // A session without its account cannot be used for anything.
    let user = app.clients.users.user(me.user_id).await?;
    user.map(|user| Json(user.into())).ok_or(Error::SignInRequired)
}

/// Changes one's name or settings.
#[utoipa::path(patch, path = "/api/me", tag = "accounts", request_body = ChangeMe,
    security(("bearer" = []), ("cookie" = [])), responses(
    (status = 200, body = Me),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn change_me(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Body(body): Body<ChangeMe>,
) -> Result<Json<Me>, Error> {
    let change = ProfileChange {
        name: body.name.as_deref(),
        preferences: body.preferences.as_ref(),
    };
    let user = app.clients.users.change_profile(me.user_id, &change).await?;
    Ok(Json(user.into()))
}
