//! Answers that need several services: one page of one service, then one bounded batch call to each other service, all at
//! once; never a call a row. What a service that is away would have added is null, and `degraded` names the service.

use std::collections::HashMap;

use emporium_service_kit::client::CallError;
use emporium_service_kit::{Currency, Money, ServiceName};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::clients::carts::{Cart, CartLine};
use crate::clients::catalog::Product;
use crate::clients::orders::{
    AddressSnapshot, Fulfilment, Order, OrderCharge, OrderFilter, OrderLine, OrderStatus, TimelineEntry,
};
use crate::clients::payments::Charge;
use crate::clients::users::User;
use crate::error::Error;

/// A cart with names and prices of now.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartView {
    /// The lines, in the order they were added.
    pub items: Vec<CartViewLine>,
    /// What all lines with a price cost; null when the catalog is away.
    pub total: Option<Money>,
    /// Grows with every change.
    pub revision: i64,
    /// Only when an anonymous cart has just been merged into this one: what did not fit (999 of a product, 100 products).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub dropped: Vec<CartLine>,
    /// Services that could not add their part: `catalog`.
    pub degraded: Vec<&'static str>,
}

/// A line of a cart. Everything but product and quantity is null when the catalog is away.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartViewLine {
    /// What.
    pub product_id: Uuid,
    /// Its name.
    pub name: Option<String>,
    /// Its category's slug, for the storefront's pictures.
    #[serde(skip)]
    pub category: Option<String>,
    /// How many.
    pub quantity: i64,
    /// What one costs now.
    pub unit_price: Option<Money>,
    /// Quantity times price.
    pub line_total: Option<Money>,
    /// True when at least one can be bought now.
    pub in_stock: Option<bool>,
    /// How many can be bought now.
    pub available: Option<i64>,
}

/// An order with what administrators want to know besides.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminOrder {
    /// Its id.
    pub id: Uuid,
    /// The number that people use.
    pub number: String,
    /// How far the checkout is.
    pub status: OrderStatus,
    /// How far the delivery is.
    pub fulfilment: Fulfilment,
    /// Who placed it; null for guests.
    pub customer_id: Option<Uuid>,
    /// The customer as the users service knows them now.
    pub customer: Option<OrderCustomer>,
    /// What was bought.
    pub lines: Vec<AdminOrderLine>,
    /// Postage, discounts and the like.
    pub charges: Vec<OrderCharge>,
    /// The sum of lines and charges.
    pub total: Money,
    /// How much was given back.
    pub refunded: Money,
    /// Where it goes.
    pub shipping_address: Option<AddressSnapshot>,
    /// Whom it is billed to.
    pub billing_address: Option<AddressSnapshot>,
    /// When it was placed.
    #[serde(with = "time::serde::rfc3339")]
    pub placed_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// Loyalty points it earns.
    pub points: i64,
    /// Where it came from: `shop`, `seed` or `online-retail`.
    pub source: String,
    /// Its identity there, such as an invoice's number.
    pub reference: Option<String>,
    /// What happened, step by step; only when one order is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<TimelineEntry>,
}

/// A customer, as far as an order needs them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrderCustomer {
    /// The user's id.
    pub id: Uuid,
    /// Their name.
    pub name: String,
    /// Their e-mail address.
    pub email: String,
}

/// A line of an order, with the product's present name.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminOrderLine {
    /// The line as it was bought.
    #[serde(flatten)]
    pub line: OrderLine,
    /// The product's name now; `name` is the one it was bought under.
    pub current_name: Option<String>,
}

/// A page of orders for administrators.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminOrderList {
    /// The orders of this page, newest first.
    pub items: Vec<AdminOrder>,
    /// Pass as `cursor` to get the next page; null at the end.
    pub next_cursor: Option<String>,
    /// Services that could not add their part: `users`, `catalog`.
    pub degraded: Vec<&'static str>,
}

/// One order for administrators.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminOrderDetail {
    /// The order.
    #[serde(flatten)]
    pub order: AdminOrder,
    /// Its charge; null when nothing was charged yet.
    pub charge: Option<Charge>,
    /// Services that could not add their part: `users`, `catalog`, `payments`.
    pub degraded: Vec<&'static str>,
}

/// Puts names and prices to a cart, with one call to the catalog.
pub async fn price_cart(app: &App, cart: Cart) -> CartView {
    let mut degraded = Vec::new();
    let ids = cart.items.iter().map(|line| line.product_id).collect();
    let products = products(app, ids).await;
    let products = kept(ServiceName::Catalog, products, &mut degraded);
    let items: Vec<CartViewLine> = cart
        .items
        .iter()
        .map(|line| price_line(line, products.as_ref().and_then(|all| all.get(&line.product_id))))
        .collect();
    let total = products
        .is_some()
        .then(|| total(app.config.currency, &items))
        .flatten();
    CartView {
        items,
        total,
        revision: cart.revision,
        dropped: cart.dropped,
        degraded,
    }
}

fn price_line(line: &CartLine, product: Option<&Product>) -> CartViewLine {
    let available = product.map(Product::available);
    CartViewLine {
        product_id: line.product_id,
        name: product.map(|product| product.name.clone()),
        category: product.map(|product| product.category.clone()),
        quantity: line.quantity,
        unit_price: product.map(|product| product.price),
        line_total: product.and_then(|product| product.price.checked_mul(line.quantity).ok()),
        in_stock: available.map(|available| available > 0),
        available,
    }
}

/// The sum of the lines that have a price, of which nothing costs nothing of `currency`. `None` when it does not fit, since
/// a wrong sum is worse than none.
fn total(currency: Currency, items: &[CartViewLine]) -> Option<Money> {
    let priced = || items.iter().filter(|line| line.unit_price.is_some());
    let currency = priced()
        .find_map(|line| line.unit_price)
        .map_or(currency, |price| price.currency);
    let amounts: Vec<Money> = priced().map(|line| line.line_total).collect::<Option<_>>()?;
    Money::sum(currency, amounts).ok()
}

/// A page of everybody's orders with customers and products: one call to orders, then one to users and one to the catalog.
pub async fn admin_orders(app: &App, filter: &OrderFilter) -> Result<AdminOrderList, Error> {
    let page = app.clients.orders.all(filter).await?;
    let (items, degraded) = join_orders(app, page.items).await;
    Ok(AdminOrderList {
        items,
        next_cursor: page.next_cursor,
        degraded,
    })
}

/// One order with customer, products and charge.
pub async fn admin_order(app: &App, id: Uuid) -> Result<AdminOrderDetail, Error> {
    let order = app.clients.orders.order(id).await?;
    let order = order.ok_or(Error::Unknown("order"))?;
    let ((mut orders, mut degraded), charge) =
        tokio::join!(join_orders(app, vec![order]), app.clients.payments.charge(id));
    let charge = kept(ServiceName::Payments, charge, &mut degraded).flatten();
    let order = orders.pop().ok_or(Error::Unknown("order"))?;
    Ok(AdminOrderDetail {
        order,
        charge,
        degraded,
    })
}

async fn join_orders(app: &App, orders: Vec<Order>) -> (Vec<AdminOrder>, Vec<&'static str>) {
    let mut degraded = Vec::new();
    let buyers = orders.iter().filter_map(|order| order.customer_id).collect();
    let bought = orders
        .iter()
        .flat_map(|order| &order.lines)
        .map(|line| line.product_id)
        .collect();
    let (users, products) = tokio::join!(users(app, buyers), products(app, bought));
    let users = kept(ServiceName::Users, users, &mut degraded).unwrap_or_default();
    let products = kept(ServiceName::Catalog, products, &mut degraded).unwrap_or_default();
    let joined = orders
        .into_iter()
        .map(|order| join_order(order, &users, &products))
        .collect();
    (joined, degraded)
}

fn join_order(order: Order, users: &HashMap<Uuid, User>, products: &HashMap<Uuid, Product>) -> AdminOrder {
    let customer = order.customer_id.and_then(|id| users.get(&id));
    let lines = order.lines.into_iter().map(|line| AdminOrderLine {
        current_name: products.get(&line.product_id).map(|product| product.name.clone()),
        line,
    });
    AdminOrder {
        id: order.id,
        number: order.number,
        status: order.status,
        fulfilment: order.fulfilment,
        customer_id: order.customer_id,
        customer: customer.map(|user| OrderCustomer {
            id: user.id,
            name: user.name.clone(),
            email: user.email.clone(),
        }),
        lines: lines.collect(),
        charges: order.charges,
        total: order.total,
        refunded: order.refunded,
        shipping_address: order.shipping_address,
        billing_address: order.billing_address,
        placed_at: order.placed_at,
        updated_at: order.updated_at,
        reason: order.reason,
        points: order.points,
        source: order.source,
        reference: order.reference,
        timeline: order.timeline,
    }
}

async fn users(app: &App, ids: Vec<Uuid>) -> Result<HashMap<Uuid, User>, CallError> {
    let found = app.clients.users.batch(ids).await?;
    Ok(found.into_iter().map(|user| (user.id, user)).collect())
}

/// Products by their ids, in one batch call; unknown ones are left out.
pub async fn products(app: &App, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Product>, CallError> {
    let found = app.clients.catalog.batch(ids).await?;
    Ok(found.into_iter().map(|product| (product.id, product)).collect())
}

/// The part a service adds, or a note that it is missing.
pub fn kept<T>(
    service: ServiceName,
    answer: Result<T, CallError>,
    degraded: &mut Vec<&'static str>,
) -> Option<T> {
    match answer {
        Ok(part) => Some(part),
        Err(error) => {
            tracing::warn!(%service, %error, "answering without this service's part");
            degraded.push(service.as_str());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(price: Option<i64>, quantity: i64) -> CartViewLine {
        let price = price.map(|amount| Money::new(amount, Currency::GBP));
        CartViewLine {
            product_id: Uuid::nil(),
            name: None,
            category: None,
            quantity,
            unit_price: price,
            line_total: price.and_then(|price| price.checked_mul(quantity).ok()),
            in_stock: None,
            available: None,
        }
    }

    proptest! {
        #[test]
        fn a_cart_s_total_is_exact_or_left_out(
            lines in proptest::collection::vec((proptest::option::of(0..=i64::MAX / 500), 0..=999_i64), 0..20)
        ) {
            let items: Vec<CartViewLine> = lines.iter().map(|(price, quantity)| line(*price, *quantity)).collect();
            let wide: i128 = lines
                .iter()
                .map(|(price, quantity)| i128::from(price.unwrap_or(0)) * i128::from(*quantity))
                .sum();
            let exact = i64::try_from(wide).ok();
            prop_assert_eq!(total(Currency::GBP, &items).map(|money| money.amount), exact);
        }
    }

    #[test]
    fn amounts_of_two_currencies_have_no_sum() {
        let mut other = line(Some(1), 1);
        let euro: Currency = "EUR".parse().unwrap();
        other.unit_price = Some(Money::new(1, euro));
        other.line_total = other.unit_price;
        assert_eq!(total(Currency::GBP, &[line(Some(1), 1), other]), None);
        assert_eq!(total(euro, &[]), Some(Money::zero(euro)));
    }
}
