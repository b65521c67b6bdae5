//! Accounts: registration, reading, profile, blocking.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::extract::{Body, Path, Query};
use emporium_service_kit::page::{Batch, BatchRequest, PageQuery};
use emporium_service_kit::validate::{filled_line, filled_line_opt, line, line_opt};
use emporium_service_kit::{Page, Problem};
use garde::Validate;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, PrimitiveDateTime};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::App;
use crate::error::Error;
use crate::input;
use crate::model::{Role, User};
use crate::store::{NewAccount, UserPosition};

/// A sign-up.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Registration {
    /// Trimmed and put in lower case.
    #[garde(custom(input::email))]
    pub email: String,
    /// 8 to 128 characters.
    #[garde(length(chars, min = 8, max = 128), custom(line))]
    pub password: String,
    /// As the user wants to be called, 1 to 200 characters.
    #[garde(length(chars, max = 200), custom(filled_line))]
    pub name: String,
}

/// What a user may change; what is absent stays.
#[derive(Deserialize, Validate, ToSchema)]
pub struct ProfilePatch {
    /// 1 to 200 characters.
    #[garde(length(chars, max = 200), custom(filled_line_opt))]
    name: Option<String>,
    /// A JSON Merge Patch (RFC 7396) of the preferences, whose result is at most 8 KiB and 16 levels deep.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    preferences: Option<Map<String, Value>>,
}

/// Blocking and unblocking.
#[derive(Deserialize, Validate, ToSchema)]
pub struct StatusPatch {
    /// False blocks the account.
    #[garde(skip)]
    active: bool,
}

/// What the administrators' list is narrowed by.
#[derive(Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserFilter {
    /// The beginning of an e-mail address, or of words of the name; at most 200 characters.
    #[garde(length(chars, max = 200), custom(line_opt))]
    q: Option<String>,
}

/// A page of users.
pub type UserPage = Page<User>;

/// Registers a user.
#[utoipa::path(post, path = "/users", request_body = Registration, responses(
    (status = 201, body = User), (status = 409, description = "`email-taken`"), (status = 422, description = "`invalid`")))]
pub async fn post_user(
    State(app): State<App>,
    Body(asked): Body<Registration>,
) -> Result<(StatusCode, Json<User>), Error> {
    let email = input::normal_email(&asked.email);
    // Hashing is dear, and most of those who are refused are refused for this. The insert decides.
    if app.store.login(&email).await?.is_some() {
        return Err(Error::EmailTaken);
    }
    let user = app
        .register(email, asked.password, &asked.name, Role::Customer)
        .await?;
    Ok((StatusCode::CREATED, Json(user)))
}

impl App {
    /// Hashes the password, then makes the account; no connection is held meanwhile.
    pub(super) async fn register(
        &self,
        email: String,
        password: String,
        name: &str,
        role: Role,
    ) -> Result<User, Error> {
        let password_hash = self.passwords.hash(password).await?;
        let name = name.trim().to_owned();
        self.store
            .register(&NewAccount {
                email,
                name,
                role,
                password_hash,
            })
            .await
    }
}

/// One user.
#[utoipa::path(get, path = "/users/{id}", params(("id" = Uuid, Path)),
    responses((status = 200, body = User), (status = 404, description = "`not-found`")))]
pub async fn get_user(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Json<User>, Error> {
    app.store.find(id).await?.map(Json).ok_or(Error::UnknownUser)
}

/// Many users at once; unknown ids are left out.
#[utoipa::path(post, path = "/users/batch", request_body = BatchRequest, responses((status = 200, body = Batch<User>)))]
pub async fn batch_users(
    State(app): State<App>,
    Body(asked): Body<BatchRequest>,
) -> Result<Json<Batch<User>>, Error> {
    let items = app.store.find_many(&asked.ids).await?;
    Ok(Json(Batch { items }))
}

/// Users, newest first.
#[utoipa::path(get, path = "/users", params(PageQuery, UserFilter), responses(
    (status = 200, body = Page<User>), (status = 400, description = "`bad-cursor`")))]
pub async fn list_users(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
    Query(filter): Query<UserFilter>,
) -> Result<Json<UserPage>, Problem> {
    let before = match page.position::<(i64, Uuid)>()? {
        Some(key) => position(key)?,
        None => (PrimitiveDateTime::MAX.assume_utc(), Uuid::max()),
    };
    let limit = i64::from(page.limit()) + 1;
    let users = match filter.q.as_deref().map(str::trim) {
        None | Some("") => app.store.newest(before, limit).await?,
        Some(text) => app.store.search(text, before, limit).await?,
    };
    Ok(Json(Page::from_surplus(users, page.limit(), |user| {
        (micros(user.created_at), user.id)
    })))
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn position((micros, id): (i64, Uuid)) -> Result<UserPosition, Problem> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .ok()
        .filter(|at| *at >= OffsetDateTime::UNIX_EPOCH)
        .map(|at| (at, id))
        .ok_or_else(|| {
            Problem::bad_request(
                "bad-cursor",
                "The cursor cannot be read; start again without one.",
            )
        })
}

/// Changes name and preferences.
#[utoipa::path(patch, path = "/users/{id}", params(("id" = Uuid, Path)), request_body = ProfilePatch, responses(
    (status = 200, body = User), (status = 404, description = "`not-found`"),
    (status = 422, description = "`invalid`, `preferences-too-large`")))]
pub async fn patch_user(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Body(asked): Body<ProfilePatch>,
) -> Result<Json<User>, Error> {
    let name = asked.name.map(|name| name.trim().to_owned());
    Ok(Json(app.store.patch(id, name, asked.preferences).await?))
}

/// Blocks or unblocks an account.
#[utoipa::path(patch, path = "/users/{id}/status", params(("id" = Uuid, Path)), request_body = StatusPatch,
    responses((status = 200, body = User), (status = 404, description = "`not-found`"),
    (status = 409, description = "`last-administrator`: nobody else could unblock it")))]
pub async fn patch_status(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Body(asked): Body<StatusPatch>,
) -> Result<Json<User>, Error> {
    Ok(Json(app.store.set_active(id, asked.active).await?))
}
