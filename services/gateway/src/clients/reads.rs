//! Every call of the clients, written down for the comparison with the providers' committed documents.

use emporium_service_kit::Page;
use emporium_service_kit::ServiceName::{
    Analytics, Carts, Catalog, Monitoring, Orders, Payments, Recommendations, Reviews, Sessions, Users,
};
use emporium_service_kit::contract::Read;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Items;
use super::activity::Recorded;
use super::analytics::{Baskets, Cohorts, Funnel, Live, Repeat, Revenue, TopProducts};
use super::carts::Cart;
use super::catalog::{Category, Product, ProductList, Suggestion};
use super::monitoring::{Board, BoardName, MetricName, MetricRange};
use super::orders::Order;
use super::payments::{Charge, Ledger};
use super::projections::{DeadLetter, Projection};
use super::recommendations::Shelf;
use super::reviews::{Review, ReviewPage, Summary, Votes};
use super::sessions::{NewSession, Session};
use super::users::{Address, User};

/// What is read of an order but not shown to its customer, and therefore not part of [`Order`]'s own schema.
#[derive(ToSchema)]
#[allow(dead_code)] // only its schema is used
struct OrderOrigin {
    customer_id: Option<Uuid>,
    source: String,
    reference: Option<String>,
}

/// What is read of a review but not shown, and therefore not part of [`Review`]'s own schema.
#[derive(ToSchema)]
#[allow(dead_code)] // only its schema is used
struct ReviewOrigin {
    author_id: Uuid,
}

/// Every call that the gateway makes, and what it reads of the answer.
pub fn reads() -> Vec<Read> {
    [
        users(),
        sessions_and_carts(),
        catalog(),
        orders(),
        payments(),
        consumers(),
        reports(),
        opinions(),
        suggestions_and_activity(),
    ]
    .concat()
}

fn users() -> Vec<Read> {
    vec![
        Read::of::<User>(Users, "post", "/users"),
        Read::of::<Page<User>>(Users, "get", "/users"),
        Read::of::<Items<User>>(Users, "post", "/users/batch"),
        Read::of::<User>(Users, "get", "/users/{id}"),
        Read::of::<User>(Users, "patch", "/users/{id}"),
        Read::of::<User>(Users, "patch", "/users/{id}/status"),
        Read::of::<Items<Address>>(Users, "get", "/users/{id}/addresses"),
        Read::of::<Address>(Users, "post", "/users/{id}/addresses"),
        Read::of::<Address>(Users, "put", "/users/{id}/addresses/{address_id}"),
        Read::ignored(Users, "delete", "/users/{id}/addresses/{address_id}"),
        Read::of::<Address>(Users, "put", "/users/{id}/addresses/{address_id}/default"),
    ]
}

fn sessions_and_carts() -> Vec<Read> {
    vec![
        Read::of::<NewSession>(Sessions, "post", "/sessions"),
        Read::of::<Session>(Sessions, "post", "/sessions/lookup"),
        Read::ignored(Sessions, "post", "/sessions/revoke"),
        Read::ignored(Sessions, "delete", "/users/{user_id}/sessions"),
        Read::of::<Cart>(Carts, "get", "/carts/{kind}/{id}"),
        Read::of::<Cart>(Carts, "put", "/carts/{kind}/{id}/items/{product_id}"),
        Read::of::<Cart>(Carts, "delete", "/carts/{kind}/{id}/items/{product_id}"),
        Read::of::<Cart>(Carts, "post", "/carts/user/{id}/merge"),
    ]
}

fn catalog() -> Vec<Read> {
    vec![
        Read::of::<ProductList>(Catalog, "get", "/products"),
        Read::of::<Product>(Catalog, "get", "/products/{id}"),
        Read::of::<Items<Product>>(Catalog, "post", "/products/batch"),
        Read::of::<Items<Suggestion>>(Catalog, "get", "/suggest"),
        Read::of::<Items<Category>>(Catalog, "get", "/categories"),
        Read::of::<Product>(Catalog, "post", "/products"),
        Read::of::<Product>(Catalog, "patch", "/products/{id}"),
        Read::of::<Product>(Catalog, "delete", "/products/{id}"),
        Read::of::<Product>(Catalog, "post", "/products/{id}/stock"),
    ]
}

fn orders() -> Vec<Read> {
    vec![
        Read::of::<Order>(Orders, "post", "/customers/{customer_id}/orders"),
        Read::of::<Page<Order>>(Orders, "get", "/customers/{customer_id}/orders"),
        Read::of::<Order>(Orders, "get", "/customers/{customer_id}/orders/{id}"),
        Read::of::<Page<Order>>(Orders, "get", "/orders"),
        Read::of::<Page<OrderOrigin>>(Orders, "get", "/orders"),
        Read::of::<Order>(Orders, "get", "/orders/{id}"),
        Read::of::<OrderOrigin>(Orders, "get", "/orders/{id}"),
    ]
}

fn payments() -> Vec<Read> {
    vec![
        Read::of::<Charge>(Payments, "get", "/charges/{saga_id}"),
        Read::of::<Charge>(Payments, "post", "/provider/callbacks/{saga_id}"),
        Read::of::<Ledger>(Payments, "get", "/ledger/balance"),
    ]
}

fn consumers() -> Vec<Read> {
    let of = |service| {
        let act = |path| Read::of::<Projection>(service, "post", path);
        [
            Read::of::<Items<Projection>>(service, "get", "/projections"),
            Read::of::<Projection>(service, "get", "/projections/{name}"),
            act("/projections/{name}/pause"),
            act("/projections/{name}/resume"),
            act("/projections/{name}/rebuild"),
            Read::of::<Items<DeadLetter>>(service, "get", "/projections/{name}/dead-letters"),
            Read::of::<DeadLetter>(service, "post", "/projections/{name}/dead-letters/{id}/replay"),
        ]
    };
    let all = [Sessions, Catalog, Orders, Recommendations, Reviews, Analytics];
    all.into_iter().flat_map(of).collect()
}

fn reports() -> Vec<Read> {
    vec![
        Read::of::<Revenue>(Analytics, "get", "/revenue"),
        Read::of::<TopProducts>(Analytics, "get", "/top-products"),
        Read::of::<Funnel>(Analytics, "get", "/funnel"),
        Read::of::<Cohorts>(Analytics, "get", "/cohorts"),
        Read::of::<Baskets>(Analytics, "get", "/baskets"),
        Read::of::<Repeat>(Analytics, "get", "/repeat-rate"),
        Read::of::<Live>(Analytics, "get", "/live"),
        Read::of::<MetricRange>(Monitoring, "get", "/range"),
        Read::of::<Items<BoardName>>(Monitoring, "get", "/boards"),
        Read::of::<Board>(Monitoring, "get", "/boards/{name}"),
        Read::of::<Items<MetricName>>(Monitoring, "get", "/metric-names"),
    ]
}

fn opinions() -> Vec<Read> {
    vec![
        Read::of::<ReviewPage>(Reviews, "get", "/products/{product_id}/reviews"),
        Read::of::<Page<ReviewOrigin>>(Reviews, "get", "/products/{product_id}/reviews"),
        Read::of::<Review>(Reviews, "post", "/products/{product_id}/reviews"),
        Read::of::<Review>(Reviews, "get", "/products/{product_id}/reviews/by/{author_id}"),
        Read::of::<ReviewPage>(Reviews, "get", "/authors/{author_id}/reviews"),
        Read::of::<ReviewPage>(Reviews, "get", "/reviews"),
        Read::of::<Review>(Reviews, "get", "/reviews/{id}"),
        Read::of::<ReviewOrigin>(Reviews, "get", "/reviews/{id}"),
        Read::of::<Review>(Reviews, "put", "/reviews/{id}"),
        Read::of::<Votes>(Reviews, "put", "/reviews/{id}/votes/{voter_id}"),
        Read::of::<Votes>(Reviews, "delete", "/reviews/{id}/votes/{voter_id}"),
        Read::of::<Review>(Reviews, "put", "/reviews/{id}/answers/{answer_id}"),
        Read::of::<Review>(Reviews, "delete", "/reviews/{id}/answers/{answer_id}"),
        Read::of::<Review>(Reviews, "put", "/reviews/{id}/moderation"),
        Read::of::<Items<Summary>>(Reviews, "get", "/summaries"),
    ]
}

fn suggestions_and_activity() -> Vec<Read> {
    vec![
        Read::of::<Shelf>(Recommendations, "get", "/products/{id}/also-bought"),
        Read::of::<Shelf>(Recommendations, "get", "/products/{id}/bought-together"),
        Read::of::<Shelf>(Recommendations, "get", "/customers/{id}/for-you"),
        Read::of::<Shelf>(Recommendations, "get", "/customers/{id}/buy-again"),
        Read::of::<Recorded>(Analytics, "post", "/activity"),
    ]
}
