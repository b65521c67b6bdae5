//! The gateway: the public JSON API and the storefront, composed from the other services. It owns no data.
//!
//! - `clients`: typed clients of the services, used by API and pages alike.
//! - `identity`: who is asking (session or anonymous cart), signing in.
//! - `cart`: the asker's cart: which one, merged at sign-in, checked against the catalog.
//! - `compose`: answers that need several services; what is missing is named instead of hidden.
//! - `administration`: the same for those who run the shop.
//! - `activity`: what visitors do, told to analytics without waiting.
//! - `reviews`, `shelves`: reviews and suggestions, joined with what else their readers want to know.
//! - `api`: the routes under `/api`, by resource; `document`: what their OpenAPI document says of all of them; `docs`: the
//!   page to browse it.
//! - `pages`: the storefront.
//! - `security`: headers of every answer, protection against requests from other sites.

mod activity;
mod administration;
mod api;
mod app;
mod cart;
mod clients;
mod compose;
mod config;
mod cookies;
mod docs;
mod document;
mod error;
mod identity;
mod pages;
mod reviews;
mod security;
mod shelves;

use axum::extract::DefaultBodyLimit;
use axum::middleware;
use emporium_service_kit::config::from_env;
use emporium_service_kit::{Environment, Service, StartError};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};

use crate::app::App;

pub use clients::reads;
pub use config::Config;

/// The largest request body, in bytes: nothing that a customer or an administrator sends comes near, but a review.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The largest review as JSON, in bytes: any that is allowed, each character written as an escape. One takes twelve bytes at most
/// (`\ud83d\ude00`), and six for each byte of attributes, which are bound in bytes. The rest is for names and white space.
pub const REVIEW_BYTES_MAX: usize =
    12 * (reviews::TITLE_CHARS_MAX + reviews::TEXT_CHARS_MAX) + 6 * reviews::ATTRIBUTES_BYTES_MAX + 8 * 1024;
/// Answers of fewer bytes are not worth compressing.
const COMPRESSED_BYTES_MIN: u64 = 1024;

/// Builds the service with settings from environment variables.
#[allow(clippy::unused_async)] // every service is built by an async function
pub async fn build(environment: &Environment) -> Result<Service, StartError> {
    build_with(environment, from_env()?)
}

/// Builds the service with these settings.
pub fn build_with(environment: &Environment, config: Config) -> Result<Service, StartError> {
    let (app, outbox) = App::new(environment, config)?;
    let routes = api::routes().pages(pages::routes());
    let router = docs::serve(routes.with_state(app.clone()))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), activity::tell))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            security::refuse_other_sites,
        ))
        .layer(middleware::from_fn(pages::in_shop_look))
        // Outside of the layer that reads problems.
        .layer(
            CompressionLayer::new()
                .quality(CompressionLevel::Fastest)
                .compress_when(DefaultPredicate::new().and(SizeAbove::new(COMPRESSED_BYTES_MIN))),
        )
        .layer(middleware::from_fn_with_state(app, security::headers));
    let stop = environment.shutdown.clone();
    Ok(Service::new(router).task("activity", move || {
        let (outbox, stop) = (outbox.clone(), stop.clone());
        async move {
            outbox.run(stop).await;
            Ok(())
        }
    }))
}
