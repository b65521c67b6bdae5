//! `/api/admin/users`: finding, blocking and opening accounts.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::extract::{Body, Path, Query};
use emporium_service_kit::page::LIMIT_MAX;
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Page, validate};
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::query::blank_is_absent;
use crate::app::App;
use crate::clients::users::User;
use crate::error::Error;
use crate::identity::Administrator;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(admin_list_users))
        .public(routes!(admin_get_user, admin_set_user_active))
}

/// Which accounts, and which page of them.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// The beginning of an e-mail address, or of words of the name.
    #[serde(default, deserialize_with = "blank_is_absent")]
    #[garde(inner(length(chars, max = 200)), custom(validate::line_opt))]
    q: Option<String>,
    /// Where to go on, from the page before.
    #[serde(default, deserialize_with = "blank_is_absent")]
    #[garde(inner(length(max = 1024)), custom(validate::line_opt))]
    cursor: Option<String>,
    /// How many accounts, 1 to 100; 20 when absent.
    #[serde(default, deserialize_with = "blank_is_absent")]
    #[garde(inner(range(min = 1, max = LIMIT_MAX)))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Whether an account may be used.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Activity {
    /// False blocks the account: its sessions can do no more than sign out (403 `user-blocked`) until it is opened again.
    #[garde(skip)]
    active: bool,
}

/// All accounts, newest first.
#[utoipa::path(get, path = "/api/admin/users", tag = "administration",
    security(("bearer" = []), ("cookie" = [])),
    params(UserQuery), responses(
    (status = 200, body = Page<User>),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`")))]
async fn admin_list_users(
    State(app): State<App>,
    _: Administrator,
    Query(query): Query<UserQuery>,
) -> Result<Json<Page<User>>, Error> {
    let pairs = [
        ("q", query.q),
        ("cursor", query.cursor),
        ("limit", query.limit.map(|limit| limit.to_string())),
    ];
    let pairs: Vec<(&str, String)> = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    Ok(Json(app.clients.users.list(&pairs).await?))
}

/// One account.
#[utoipa::path(get, path = "/api/admin/users/{id}", tag = "administration",
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path)), responses(
    (status = 200, body = User),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn admin_get_user(
    State(app): State<App>,
    _: Administrator,
    Path(id): Path<Uuid>,
) -> Result<Json<User>, Error> {
    let user = app.clients.users.user(id).await?;
    user.map(Json).ok_or(Error::Unknown("user"))
}

/// Blocks an account or opens it again.
#[utoipa::path(patch, path = "/api/admin/users/{id}", tag = "administration", request_body = Activity,
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path)), responses(
    (status = 200, body = User),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 403, body = ProblemDocument, description = "`administrators-only`, `user-blocked`"),
    (status = 404, body = ProblemDocument, description = "`not-found`"),
    (status = 409, body = ProblemDocument, description = "`last-administrator`: the last one who is not blocked stays so")))]
async fn admin_set_user_active(
    State(app): State<App>,
    _: Administrator,
    Path(id): Path<Uuid>,
    Body(body): Body<Activity>,
) -> Result<Json<User>, Error> {
    Ok(Json(app.clients.users.set_active(id, body.active).await?))
}
