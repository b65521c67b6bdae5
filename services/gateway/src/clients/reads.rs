//! Every call of the clients, written down for the comparison with the providers' committed documents.

use emporium_service_kit::Page;
use emporium_service_kit::ServiceName::{Carts, Catalog, Orders, Payments, Sessions, Users};
use emporium_service_kit::contract::Read;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Items;
use super::carts::Cart;
use super::catalog::{Category, Product, ProductList, Suggestion};
use super::dead_letters::DeadLetter;
use super::orders::Order;
use super::payments::{Charge, Ledger};
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

/// Every call that the gateway makes, and what it reads of the answer.
pub fn reads() -> Vec<Read> {
    [
        users(),
        sessions_and_carts(),
        catalog(),
        orders(),
        payments(),
        dead_letters(),
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

fn dead_letters() -> Vec<Read> {
    let of = |service| {
        [
            Read::of::<Items<DeadLetter>>(service, "get", "/dead-letters"),
            Read::of::<DeadLetter>(service, "post", "/dead-letters/{id}/replay"),
        ]
    };
    [Sessions, Catalog, Orders].into_iter().flat_map(of).collect()
}
