//! The address book.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::Page;
use emporium_service_kit::extract::{Body, Path};
use uuid::Uuid;

use super::App;
use crate::error::Error;
use crate::input::AddressInput;
use crate::model::Address;

/// A user's addresses: the default first, then the newest first. At most 50, so always whole.
#[utoipa::path(get, path = "/users/{id}/addresses", params(("id" = Uuid, Path)), responses(
    (status = 200, body = Page<Address>), (status = 404, description = "`not-found`")))]
pub async fn list_addresses(
    State(app): State<App>,
    Path(user_id): Path<Uuid>,
) -> Result<Json<Page<Address>>, Error> {
    Ok(Json(Page::whole(app.store.addresses(user_id).await?)))
}

/// Adds an address; the first one is the default.
#[utoipa::path(post, path = "/users/{id}/addresses", params(("id" = Uuid, Path)), request_body = AddressInput, responses(
    (status = 201, body = Address), (status = 404, description = "`not-found`"),
    (status = 422, description = "`invalid`, `too-many-addresses`")))]
pub async fn post_address(
    State(app): State<App>,
    Path(user_id): Path<Uuid>,
    Body(asked): Body<AddressInput>,
) -> Result<(StatusCode, Json<Address>), Error> {
    let address = app
        .store
        .add_address(user_id, asked.place(), asked.is_default)
        .await?;
    Ok((StatusCode::CREATED, Json(address)))
}

/// One address.
#[utoipa::path(get, path = "/users/{id}/addresses/{address_id}", params(("id" = Uuid, Path), ("address_id" = Uuid, Path)),
    responses((status = 200, body = Address), (status = 404, description = "`not-found`")))]
pub async fn get_address(
    State(app): State<App>,
    Path((user_id, id)): Path<(Uuid, Uuid)>,
) -> Result<Json<Address>, Error> {
    Ok(Json(app.store.address(user_id, id).await?))
}

/// Replaces an address's text.
#[utoipa::path(put, path = "/users/{id}/addresses/{address_id}", params(("id" = Uuid, Path), ("address_id" = Uuid, Path)),
    request_body = AddressInput, responses((status = 200, body = Address), (status = 404, description = "`not-found`"),
    (status = 422, description = "`invalid`")))]
pub async fn put_address(
    State(app): State<App>,
    Path((user_id, id)): Path<(Uuid, Uuid)>,
    Body(asked): Body<AddressInput>,
) -> Result<Json<Address>, Error> {
    let address = app
        .store
        .change_address(user_id, id, asked.place(), asked.is_default)
        .await?;
    Ok(Json(address))
}

/// Removes an address; the newest remaining one takes over as the default.
#[utoipa::path(delete, path = "/users/{id}/addresses/{address_id}", params(("id" = Uuid, Path), ("address_id" = Uuid, Path)),
    responses((status = 204), (status = 404, description = "`not-found`")))]
pub async fn delete_address(
    State(app): State<App>,
    Path((user_id, id)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode, Error> {
    app.store.delete_address(user_id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes an address the default.
#[utoipa::path(put, path = "/users/{id}/addresses/{address_id}/default",
    params(("id" = Uuid, Path), ("address_id" = Uuid, Path)),
    responses((status = 200, body = Address), (status = 404, description = "`not-found`")))]
pub async fn put_default(
    State(app): State<App>,
    Path((user_id, id)): Path<(Uuid, Uuid)>,
) -> Result<Json<Address>, Error> {
    Ok(Json(app.store.set_default_address(user_id, id).await?))
}
