//! `/api/products/{id}/recommendations` and `/api/me/recommendations`.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::Api;
use emporium_service_kit::extract::{Path, Query};
use emporium_service_kit::problem::ProblemDocument;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use uuid::Uuid;

use super::query::blank_is_absent;
use crate::app::App;
use crate::error::Error;
use crate::identity::SignedIn;
use crate::shelves::{self, LIMIT_MAX, MyRecommendations, ProductRecommendations};

/// Length of a list when nothing is asked for.
const LIMIT_USUAL: u32 = 8;

pub fn routes() -> Api<App> {
    Api::default()
        .public(routes!(get_product_recommendations))
        .public(routes!(get_my_recommendations))
}

/// How long lists are.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LengthQuery {
    /// The most of each list, 1 to 20; 8 when absent.
    #[serde(default, deserialize_with = "blank_is_absent")]
    #[garde(inner(range(min = 1, max = LIMIT_MAX)))]
    #[param(minimum = 1, maximum = 20)]
    limit: Option<u32>,
}

impl LengthQuery {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT_USUAL)
    }
}

/// What is bought with a product, best first, without what is not sold any more. Empty lists for one that nobody bought.
#[utoipa::path(get, path = "/api/products/{id}/recommendations", tag = "products",
    params(("id" = Uuid, Path), LengthQuery), responses(
    (status = 200, body = ProductRecommendations),
    (status = 404, body = ProblemDocument, description = "`not-found`: no such product"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn get_product_recommendations(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(query): Query<LengthQuery>,
) -> Result<Json<ProductRecommendations>, Error> {
    Ok(Json(shelves::of_product(&app, id, query.limit()).await?))
}

/// What one may want, each with the reason, and what one may want again. A newcomer is shown what is popular.
#[utoipa::path(get, path = "/api/me/recommendations", tag = "products",
    security(("bearer" = []), ("cookie" = [])), params(LengthQuery), responses(
    (status = 200, body = MyRecommendations),
    (status = 401, body = ProblemDocument, description = "`sign-in-required`"),
    (status = 422, body = ProblemDocument, description = "`invalid`")))]
async fn get_my_recommendations(
    State(app): State<App>,
    SignedIn(me): SignedIn,
    Query(query): Query<LengthQuery>,
) -> Result<Json<MyRecommendations>, Error> {
    Ok(Json(shelves::of_customer(&app, me.user_id, query.limit()).await?))
}
