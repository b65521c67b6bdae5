//! `/api/sessions`: signing in and out.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use emporium_service_kit::extract::Body;
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, validate};
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::app::App;
use crate::clients::carts::CartLine;
use crate::cookies;
use crate::error::Error;
use crate::identity::{self, AnonymousCart, SignedInOrBlocked};

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(sign_in, sign_out_everywhere))
        .public(routes!(sign_out))
}

/// What one signs in with.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// E-mail address.
    #[garde(length(chars, min = 1, max = 254), custom(validate::line))]
    email: String,
    /// The password.
    #[garde(length(bytes, min = 1, max = 1024))]
    password: String,
}

/// A new session. Browsers get the token as the cookie `session` as well.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// Send it as `Authorization: Bearer`.
    token: String,
    /// When the session ends unless it is used.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// Only when not all of the anonymous cart fitted into the customer's (999 of a product, 100 products): what did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    dropped: Vec<CartLine>,
}

/// Signs in. The anonymous cart (cookie `cart`, or the header `X-Cart-Id`) is merged into the customer's.
#[utoipa::path(post, path = "/api/sessions", tag = "accounts", request_body = Credentials,
    params(("X-Cart-Id" = Option<String>, Header, description = "The anonymous cart, for clients without cookies.")),
    responses(
    (status = 201, body = Session, headers(("Set-Cookie" = String, description = "`session`"))),
    (status = 401, body = ProblemDocument, description = "`wrong-credentials`"),
    (status = 403, body = ProblemDocument, description = "`user-blocked`"),
    (status = 429, body = ProblemDocument, description = "`too-many-attempts`")))]
async fn sign_in(
    State(app): State<App>,
    AnonymousCart(cart): AnonymousCart,
    Body(body): Body<Credentials>,
) -> Result<(StatusCode, HeaderMap, Json<Session>), Error> {
    let done = identity::sign_in(&app, &body.email, &body.password, cart).await?;
    let mut headers = HeaderMap::new();
    cookies::keep_session(&mut headers, &app.config, &done.session.token);
    if done.cart_merged {
        cookies::forget(&mut headers, &app.config, cookies::CART);
    }
    let session = Session {
        token: done.session.token,
        expires_at: done.session.expires_at,
        dropped: done.dropped,
    };
    Ok((StatusCode::CREATED, headers, Json(session)))
}

/// Signs out: this session ends. Also for customers who are blocked.
#[utoipa::path(delete, path = "/api/sessions/current", tag = "accounts",
    security(("bearer" = []), ("cookie" = [])), responses(
    (status = 204, description = "Signed out."),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`")))]
async fn sign_out(
    State(app): State<App>,
    SignedInOrBlocked(me): SignedInOrBlocked,
) -> Result<(StatusCode, HeaderMap), Error> {
    app.clients.sessions.revoke(&me.token).await?;
    Ok((StatusCode::NO_CONTENT, forget_session(&app)))
}

/// Signs out everywhere: all sessions of this user end. Also for customers who are blocked.
#[utoipa::path(delete, path = "/api/sessions", tag = "accounts",
    security(("bearer" = []), ("cookie" = [])), responses(
    (status = 204, description = "Signed out everywhere."),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`")))]
async fn sign_out_everywhere(
    State(app): State<App>,
    SignedInOrBlocked(me): SignedInOrBlocked,
) -> Result<(StatusCode, HeaderMap), Error> {
    app.clients.sessions.revoke_all(me.user_id).await?;
    Ok((StatusCode::NO_CONTENT, forget_session(&app)))
}

fn forget_session(app: &App) -> HeaderMap {
    let mut headers = HeaderMap::new();
    cookies::forget(&mut headers, &app.config, cookies::SESSION);
    headers
}
