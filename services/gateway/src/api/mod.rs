//! The public JSON API: routes by resource.
//!
//! Request bodies name every field they take: a field that nobody asked for (a price, a role) is refused with 400 rather
//! than ignored. The bounds checked here are coarse ones; the finer rules are their owner's, whose 422 passes through.

mod accounts;
mod addresses;
mod admin;
mod cart;
mod orders;
mod products;
mod query;
mod recommendations;
mod review_query;
mod reviews;
mod sessions;
mod status;

use emporium_service_kit::Api;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::app::App;
use crate::cookies;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Emporium",
        description = "The shop's public API. Money is in minor units of an ISO 4217 currency, times are UTC (RFC 3339), \
            errors are problem details (RFC 9457). Lists answer `items` and `next_cursor`; pass it as `cursor` to get the \
            next page. An answer whose `degraded` list is not empty lacks what those services would have added. \
            Sign in with `POST /api/sessions`, then send `Authorization: Bearer` or the cookie `session`. \
            Without cookies, an anonymous cart is named by the header `X-Cart-Id`."
    ),
    modifiers(&Schemes),
    tags(
        (name = "accounts", description = "Signing up, signing in, one's own profile and address book."),
        (name = "products", description = "Looking around."),
        (name = "reviews", description = "What customers think of products. All texts are plain text: whoever shows them escapes them."),
        (name = "cart", description = "One's cart: anonymous at first, merged at sign-in."),
        (name = "orders", description = "Checkout and order history."),
        (name = "administration", description = "For administrators."),
        (name = "status", description = "How the services are."),
    )
)]
struct Document;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(cookies::SESSION)));
        components.add_security_scheme("cookie", cookie);
    }
}

/// All routes under `/api`.
pub fn routes() -> Api<App> {
    Api::new(Document::openapi())
        .merge(accounts::routes())
        .merge(sessions::routes())
        .merge(addresses::routes())
        .merge(products::routes())
        .merge(recommendations::routes())
        .merge(reviews::routes())
        .merge(cart::routes())
        .merge(orders::routes())
        .merge(admin::routes())
        .merge(status::routes())
}
