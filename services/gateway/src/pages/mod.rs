//! The storefront: pages rendered here, in the browser's own language of links and forms. Scripts make some things
//! quicker and nothing possible: a form posts, the answer redirects (303) to a page, also without JavaScript.
//!
//! A page fetches its parts at once and waits for each no longer than [`PART_TIMEOUT`] or the client's own limit. What a
//! missing service would have added is named on the page; only a page that would be empty without it becomes an error.
//!
//! - `chrome`: what surrounds every page (who is signed in, how much is in the basket, notices).
//! - `errors`: problems as pages in the shop's look, for browsers.
//! - `form`, `format`, `params`: typed text in and out.
//! - `shelves`, `reviews`, `stars`: parts that several pages have.
//! - `assets`, `picture`: the stylesheet, the script, the icons, and pictures drawn from them.
//! - one module a group of pages.

mod account;
mod addresses;
mod admin;
mod assets;
mod cart;
mod charts;
mod checkout;
mod chrome;
mod confirm;
mod countries;
mod errors;
mod facets;
mod form;
mod format;
mod home;
mod listing;
mod orders;
mod params;
mod picture;
mod product;
mod review;
mod review_form;
mod review_item;
mod reviews;
mod search;
mod shelves;
mod sign;
mod stars;
mod timeline;

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use emporium_service_kit::Problem;
use emporium_service_kit::client::CallError;
use tokio::time::timeout;

use crate::app::App;
use crate::pages::chrome::Chrome;

pub use errors::in_shop_look;

/// The address of the shop's own icon.
pub fn favicon() -> &'static str {
    &assets::addresses().favicon
}

/// How long a page waits for something it can do without. Longer than a read may take, so that a service that
/// hangs is noticed by the circuit breaker, which then spares the next pages the wait.
const PART_TIMEOUT: Duration = Duration::from_millis(2_500);
/// The largest form of a review, in bytes.
const REVIEW_FORM_BYTES_MAX: usize = 256 * 1024;

/// All pages and their assets.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home::show))
        .route("/search", get(search::show))
        .route("/products/{id}", get(product::show))
        .merge(review_routes())
        .route("/cart", get(cart::show))
        .route("/cart/items", post(cart::add))
        .route("/cart/items/{id}", post(cart::set))
        .route("/cart/items/{id}/remove", post(cart::remove))
        .route("/checkout", get(checkout::show).post(confirm::place))
        .route("/orders", get(orders::list))
        .route("/orders/{id}", get(orders::show))
        .route("/assets/{file}", get(assets::serve))
        .route("/favicon.ico", get(assets::favicon))
        .route("/robots.txt", get(assets::robots))
        .merge(account_routes())
        .merge(admin::routes())
}

fn review_routes() -> Router<App> {
    Router::new()
        .route("/products/{id}/review", get(review::show).post(review::send))
        .route("/products/{id}/reviews/{review_id}/vote", post(review::vote))
        // A review of the longest text and the largest free part, as forms encode what is not ASCII.
        .layer(DefaultBodyLimit::max(REVIEW_FORM_BYTES_MAX))
}

fn account_routes() -> Router<App> {
    Router::new()
        .route("/sign-in", get(sign::show_in).post(sign::sign_in))
        .route("/sign-up", get(sign::show_up).post(sign::sign_up))
        .route("/sign-out", get(sign::show_out).post(sign::sign_out))
        .route("/account", get(account::show))
        .route("/account/reviews", get(review::mine))
        .route("/account/profile", post(account::change_profile))
        .route("/account/preferences", post(account::change_preferences))
        .route("/account/sign-out-everywhere", post(account::sign_out_everywhere))
        .route(
            "/account/addresses/new",
            get(addresses::show_new).post(addresses::add),
        )
        .route(
            "/account/addresses/{id}",
            get(addresses::show).post(addresses::change),
        )
        .route("/account/addresses/{id}/delete", post(addresses::remove))
        .route("/account/addresses/{id}/default", post(addresses::make_default))
}

/// A part that a page can do without; `None`, and a line in the log, when it does not come (in time).
async fn part<T>(what: &'static str, call: impl Future<Output = Result<T, CallError>>) -> Option<T> {
    match timeout(PART_TIMEOUT, call).await {
        Ok(Ok(part)) => return Some(part),
        Ok(Err(error)) => tracing::warn!(what, %error, "page without this part"),
        Err(_) => tracing::warn!(what, "page without this part: it took too long"),
    }
    None
}

/// A page of somebody's own: no cache, not even the browser's, keeps it.
fn personal(status: StatusCode, page: &impl Template) -> Response {
    rendered(status, page, "no-store")
}

/// A page that anybody may see. It may still show who is signed in and what is in the basket, so that shared caches must
/// not keep it, and nobody does for those who are signed in.
fn open(status: StatusCode, chrome: &Chrome, page: &impl Template) -> Response {
    let policy = if chrome.signed_in() {
        "no-store"
    } else {
        "private, no-cache"
    };
    rendered(status, page, policy)
}

fn rendered(status: StatusCode, page: &impl Template, policy: &'static str) -> Response {
    match page.render() {
        Ok(html) => {
            let policy = (header::CACHE_CONTROL, HeaderValue::from_static(policy));
            (status, [policy], Html(html)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "page not rendered");
            Problem::internal().into_response()
        }
    }
}

/// After a POST: go and look at this page. `path` is one of the shop's own.
fn see_other(path: &str) -> Response {
    let mut answer = Redirect::to(path).into_response();
    let policy = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, policy);
    answer
}
