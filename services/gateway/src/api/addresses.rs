//! `/api/me/addresses`: the address book.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use emporium_service_kit::extract::{Body, Path};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Page, Problem, validate};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::clients::users::{Address, AddressText};
use crate::error::Error;
use crate::identity::SignedIn;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(list_addresses, add_address))
        .public(routes!(change_address, remove_address))
        .public(routes!(set_default_address))
}

/// An address.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAddress {
    /// Only when an entry is replaced: its own id, so that an entry can be sent back as it was read.
    #[garde(skip)]
    id: Option<Uuid>,
    /// Street and number.
    #[garde(length(chars, min = 1, max = 200), custom(validate::filled_line))]
    street: String,
    /// Town or city.
    #[garde(length(chars, min = 1, max = 200), custom(validate::filled_line))]
    city: String,
    /// Postal code.
    #[garde(length(chars, max = 50), custom(validate::line))]
    postal_code: String,
    /// ISO 3166 alpha-2 code, such as `GB`.
    #[garde(length(chars, min = 1, max = 50), custom(validate::line))]
    country: String,
    /// True makes it the default as well; false and absent leave the default where it is.
    #[serde(default)]
    #[garde(skip)]
    is_default: bool,
}

impl NewAddress {
    /// Nobody chooses or changes an id.
    fn check_id(&self, own: Option<Uuid>) -> Result<(), Problem> {
        if self.id.is_none() || self.id == own {
            return Ok(());
        }
        let message = match own {
            Some(_) => "must be the id in the address",
            None => "is given by the shop",
        };
        Err(Problem::invalid([("id".to_owned(), message.to_owned())]))
    }

    fn text(&self) -> AddressText<'_> {
        AddressText {
            street: &self.street,
            city: &self.city,
            postal_code: &self.postal_code,
            country: &self.country,
            is_default: self.is_default,
        }
    }
}

/// The whole address book; at most 50 entries.
#[utoipa::path(get, path = "/api/me/addresses", tag = "accounts", security(("bearer" = []), ("cookie" = [])),
    responses(
    (status = 200, body = Page<Address>),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`")))]
async fn list_addresses(
    State(app): State<App>,
    SignedIn(me): SignedIn,
) -> Result<Json<Page<Address>>, Error> {
    let items = app.clients.users.addresses(me.user_id).await?;
    Ok(Json(Page::whole(items)))
}

/// Adds an entry; the first one is the default.
#[utoipa::path(post, path = "/api/me/addresses", tag = "accounts", request_body = NewAddress,
    security(("bearer" = []), ("cookie" = [])),
    responses(
    (status = 201, body = Address),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 409, body = ProblemDocument, description = "The address book is full."),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn add_address(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Body(body): Body<NewAddress>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Address>), Error> {
    body.check_id(None)?;
    let added = app.clients.users.add_address(me.user_id, &body.text()).await?;
    let location = format!("/api/me/addresses/{}", added.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(added)))
}

/// Replaces an entry. Orders keep the address they were placed with.
#[utoipa::path(put, path = "/api/me/addresses/{id}", tag = "accounts", request_body = NewAddress,
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = Address),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 404, body = ProblemDocument, description = "`not-found`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn change_address(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Path(id): Path<Uuid>,
    Body(body): Body<NewAddress>,
) -> Result<Json<Address>, Error> {
    body.check_id(Some(id))?;
    let users = &app.clients.users;
    Ok(Json(users.change_address(me.user_id, id, &body.text()).await?))
}

/// Removes an entry; when it was the default, the newest remaining one takes over.
#[utoipa::path(delete, path = "/api/me/addresses/{id}", tag = "accounts",
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path)), responses(
    (status = 204, description = "Removed."),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn remove_address(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Error> {
    app.clients.users.remove_address(me.user_id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes an entry the default.
#[utoipa::path(put, path = "/api/me/addresses/{id}/default", tag = "accounts",
    security(("bearer" = []), ("cookie" = [])), params(("id" = Uuid, Path)), responses(
    (status = 200, body = Address),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 404, body = ProblemDocument, description = "`not-found`")))]
async fn set_default_address(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Path(id): Path<Uuid>,
) -> Result<Json<Address>, Error> {
    let address = app.clients.users.set_default_address(me.user_id, id).await?;
    Ok(Json(address))
}
