//! The HTTP interface.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_event_bus::ConsumerGroup;
use emporium_event_bus::bus::DeadLetter;
use emporium_event_bus::consumer::{self, DeadLetterList, DeadLetterQuery};
use emporium_service_kit::client::Client;
use emporium_service_kit::extract::{Body, Path, Query};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Clock, Problem, ServiceName};
use utoipa::OpenApi;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::config::Terms;
use crate::error::Error;
use crate::login;
use crate::model::{LoginAnswer, LoginRequest, SessionView, TokenRequest};
use crate::store::SessionStore;
use crate::token::TokenHash;

/// What every handler works with.
#[derive(Clone)]
pub struct App {
    pub store: Arc<dyn SessionStore>,
    pub users: Client,
    pub group: Arc<ConsumerGroup>,
    pub clock: Clock,
    pub terms: Terms,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Emporium sessions",
    description = "Login, opaque tokens, sliding expiry, log-out everywhere."
))]
struct Document;

const GATEWAY: &[ServiceName] = &[ServiceName::Gateway];
const ADMINISTRATION: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Operator];

/// All routes, each with its callers.
pub fn api() -> Api<App> {
    Api::new(Document::openapi())
        .allow(GATEWAY, routes!(post_session))
        .allow(GATEWAY, routes!(look_up))
        .allow(GATEWAY, routes!(revoke))
        .allow(GATEWAY, routes!(delete_sessions))
        .allow(ADMINISTRATION, routes!(get_dead_letters))
        .allow(ADMINISTRATION, routes!(replay_dead_letter))
}

/// Logs in.
#[utoipa::path(post, path = "/sessions", request_body = LoginRequest,
    responses((status = 201, body = LoginAnswer),
        (status = 401, body = ProblemDocument, description = "`wrong-credentials`"),
        (status = 403, body = ProblemDocument, description = "`user-blocked`"),
        (status = 422, body = ProblemDocument, description = "`invalid`"),
        (status = 429, body = ProblemDocument, description = "`too-many-attempts`, with `Retry-After`"),
        (status = 503, body = ProblemDocument, description = "`service-unavailable`: users does not answer")))]
async fn post_session(
    State(app): State<App>,
    Body(request): Body<LoginRequest>,
) -> Result<(StatusCode, Json<LoginAnswer>), Error> {
    let answer = login::log_in(&app, &request).await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Whose session a token is; counts as use, so it slides the expiry. A blocked user's session is answered as well, and the
/// answer says so: the caller needs the user for a log-out everywhere, and a reason to give for everything else.
#[utoipa::path(post, path = "/sessions/lookup", request_body = TokenRequest,
    responses((status = 200, body = SessionView),
        (status = 404, body = ProblemDocument, description = "`no-session`: unknown, forged, expired or revoked")))]
async fn look_up(
    State(app): State<App>,
    Body(request): Body<TokenRequest>,
) -> Result<Json<SessionView>, Error> {
    let token = TokenHash::of_text(&request.token).ok_or(Error::NoSession)?;
    let session = app
        .store
        .look_up(token, app.clock.now(), app.terms.sliding)
        .await?
        .ok_or(Error::NoSession)?;
    Ok(Json(SessionView {
        user_id: session.user_id,
        role: session.role,
        expires_at: session.expires_at,
        blocked: session.blocked,
    }))
}

/// Logs out: ends the token's session. There may be none.
#[utoipa::path(post, path = "/sessions/revoke", request_body = TokenRequest, responses((status = 204)))]
async fn revoke(State(app): State<App>, Body(request): Body<TokenRequest>) -> Result<StatusCode, Error> {
    if let Some(token) = TokenHash::of_text(&request.token) {
        app.store.end(token).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Logs out everywhere: ends all of a user's sessions.
#[utoipa::path(delete, path = "/users/{user_id}/sessions", params(("user_id" = Uuid, Path)), responses((status = 204)))]
async fn delete_sessions(State(app): State<App>, Path(user_id): Path<Uuid>) -> Result<StatusCode, Error> {
    app.store.end_all(&[user_id]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Events that could not be applied, oldest first.
#[utoipa::path(get, path = "/dead-letters", params(DeadLetterQuery), responses((status = 200, body = DeadLetterList)))]
async fn get_dead_letters(
    State(app): State<App>,
    query: Query<DeadLetterQuery>,
) -> Result<Json<DeadLetterList>, Problem> {
    consumer::list_dead_letters(&app.group, query).await
}

/// Applies a dead letter again.
#[utoipa::path(post, path = "/dead-letters/{id}/replay", params(("id" = i64, Path)),
    responses((status = 200, body = DeadLetter), (status = 404, body = ProblemDocument, description = "`not-found`"),
        (status = 409, body = ProblemDocument, description = "`still-rejected`")))]
async fn replay_dead_letter(
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Json<DeadLetter>, Problem> {
    consumer::replay_dead_letter(&app.group, id).await
}
