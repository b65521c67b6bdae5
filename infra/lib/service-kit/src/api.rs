//! Routers that cannot forget their allow-lists.

use axum::middleware;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::auth;
use crate::{Problem, ServiceName};

/// A service's routes with their OpenAPI document. A route is added with the callers that may use it, or explicitly as
/// open to the public; there is no third way.
pub struct Api<S: Clone + Send + Sync + 'static> {
    router: OpenApiRouter<S>,
}

impl<S: Clone + Send + Sync + 'static> Default for Api<S> {
    fn default() -> Self {
        Self {
            router: OpenApiRouter::default(),
        }
    }
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// No routes; title, version and description come from a type that derives `utoipa::OpenApi`.
    pub fn new(document: utoipa::openapi::OpenApi) -> Self {
        Self {
            router: OpenApiRouter::with_openapi(document),
        }
    }

    /// Adds routes (made by `utoipa_axum::routes!`) that only `callers` may use.
    #[must_use]
    pub fn allow(self, callers: &'static [ServiceName], routes: UtoipaMethodRouter<S>) -> Self {
        let (schemas, mut paths, methods) = routes;
        for item in paths.paths.values_mut() {
            note_callers(item, callers);
        }
        let methods = methods.route_layer(middleware::from_fn_with_state(callers, auth::allow));
        Self {
            router: self.router.routes((schemas, paths, methods)),
        }
    }

    /// Adds routes that anybody may use: the gateway's.
    #[must_use]
    pub fn public(self, routes: UtoipaMethodRouter<S>) -> Self {
        Self {
            router: self.router.routes(routes),
        }
    }

    /// Adds another router's routes.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            router: self.router.merge(other.router),
        }
    }

    /// Gives these routes their state, so that they can be merged into those of another one.
    #[must_use]
    pub fn given<T: Clone + Send + Sync + 'static>(self, state: S) -> Api<T> {
        Api {
            router: self.router.with_state(state),
        }
    }

    /// Adds plain pages that are not part of the documented API.
    #[must_use]
    pub fn pages(self, pages: axum::Router<S>) -> Self {
        Self {
            router: self.router.merge(OpenApiRouter::from(pages)),
        }
    }

    /// The finished router, with problem+json for unknown addresses and methods.
    pub fn with_state(self, state: S) -> OpenApiRouter<()> {
        self.router
            .fallback(|| async { Problem::not_found("There is nothing at this address.") })
            .method_not_allowed()
            .with_state(state)
    }
}

/// Adds a fallback for known addresses with a wrong method, which `OpenApiRouter` does not offer itself.
trait MethodNotAllowed {
    fn method_not_allowed(self) -> Self;
}

impl<S: Clone + Send + Sync + 'static> MethodNotAllowed for OpenApiRouter<S> {
    fn method_not_allowed(self) -> Self {
        let (router, document) = self.split_for_parts();
        let router = router.method_not_allowed_fallback(|| async {
            Problem::new(
                axum::http::StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This address does not take that method.",
            )
        });
        let mut whole = OpenApiRouter::from(router);
        *whole.get_openapi_mut() = document;
        whole
    }
}

fn note_callers(item: &mut utoipa::openapi::PathItem, callers: &[ServiceName]) {
    let names: Vec<&str> = callers.iter().map(|name| name.as_str()).collect();
    let extension = || {
        utoipa::openapi::extensions::Extensions::builder()
            .add("x-callers", names.clone())
            .build()
    };
    let operations = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    for operation in operations.into_iter().flatten() {
        operation.extensions = Some(extension());
    }
}
