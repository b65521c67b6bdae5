//! Looking before leaping: may the customer order, where to, what, at which price. Nothing is written here.

use std::collections::HashMap;

use emporium_service_kit::{Currency, Money};
use uuid::Uuid;

use crate::error::Error;
use crate::model::{Address, CheckoutRequest, LineRow};
use crate::peers::{Cart, Item, Peers, Product};
use crate::store::create::Draft;

/// The largest total, in minor units: ten million pounds.
pub const TOTAL_MAX: i64 = 1_000_000_000;

/// What was found out.
#[derive(Debug)]
pub struct Prepared {
    cart_revision: i64,
    lines: Vec<LineRow>,
    total: Money,
    shipping: Address,
    billing: Address,
    payment_token: String,
}

impl Prepared {
    /// As an order.
    pub fn draft(self, id: Uuid, customer_id: Uuid) -> Draft {
        Draft {
            id,
            customer_id,
            cart_revision: self.cart_revision,
            points: points(self.total),
            lines: self.lines,
            total: self.total,
            shipping: self.shipping,
            billing: self.billing,
            payment_token: self.payment_token,
        }
    }
}

/// Asks users, carts and catalog. Questions that do not depend on each other are asked at once; when several are refused,
/// the customer counts first, then the address, then the cart.
pub async fn prepare(peers: &Peers, customer_id: Uuid, request: CheckoutRequest) -> Result<Prepared, Error> {
    let billing_id = request.billing_address_id.unwrap_or(request.address_id);
    let billing = async {
        if billing_id == request.address_id {
            return Ok(None);
        }
        peers.address(customer_id, billing_id).await.map(Some)
    };
    let (user, shipping, billing, cart) = tokio::join!(
        peers.user(customer_id),
        peers.address(customer_id, request.address_id),
        billing,
        peers.cart(customer_id),
    );
    let user = user?.ok_or(Error::UnknownCustomer)?;
    if !user.active {
        return Err(Error::UserBlocked);
    }
    let shipping = shipping?.ok_or(Error::UnknownAddress)?;
    let billing = match billing? {
        Some(found) => found.ok_or(Error::UnknownAddress)?,
        None => shipping.clone(),
    };
    let Cart { revision, items } = cart?;
    if items.is_empty() {
        return Err(Error::CartEmpty);
    }
    let ids: Vec<Uuid> = items.iter().map(|item| item.product_id).collect();
    let (lines, total) = price(&items, peers.products(&ids).await?)?;
    if request.expected_total.is_some_and(|expected| expected != total) {
        return Err(Error::PricesMoved(total));
    }
    Ok(Prepared {
        cart_revision: revision,
        lines,
        total,
        shipping,
        billing,
        payment_token: request.payment_token,
    })
}

/// Lines with names and prices of now, and their total.
fn price(items: &[Item], products: Vec<Product>) -> Result<(Vec<LineRow>, Money), Error> {
    let mut known: HashMap<Uuid, Product> = products
        .into_iter()
        .filter(|product| product.status == "active")
        .map(|product| (product.id, product))
        .collect();
    let missing: Vec<Uuid> = items
        .iter()
        .map(|item| item.product_id)
        .filter(|id| !known.contains_key(id))
        .collect();
    if !missing.is_empty() {
        return Err(Error::ProductUnavailable(missing));
    }
    let currency = known.values().next().map_or(Currency::GBP, |p| p.price.currency);
    let mut total = Money::zero(currency);
    let mut lines = Vec::with_capacity(items.len());
    for item in items {
        // A cart holds a product once; a second line of it finds nothing here.
        let Some(product) = known.remove(&item.product_id) else {
            return Err(Error::TotalNotAcceptable("a product is in it twice"));
        };
        total = line_total(&product, item.quantity)
            .and_then(|line| total.checked_add(line).ok())
            .filter(|total| total.amount <= TOTAL_MAX)
            .ok_or(Error::TotalNotAcceptable(
                "it is too large, or in several currencies",
            ))?;
        lines.push(LineRow {
            product_id: product.id,
            sku: product.sku,
            name: product.name,
            quantity: item.quantity,
            unit_price: product.price.amount,
        });
    }
    if total.amount <= 0 {
        return Err(Error::TotalNotAcceptable("there is nothing to pay"));
    }
    Ok((lines, total))
}

fn line_total(product: &Product, quantity: i64) -> Option<Money> {
    if quantity < 1 || product.price.amount < 0 {
        return None;
    }
    product.price.checked_mul(quantity).ok()
}

/// One loyalty point for each whole unit of the currency.
fn points(total: Money) -> i64 {
    total.amount / 100
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn product(n: u128, amount: i64) -> Product {
        Product {
            id: Uuid::from_u128(n),
            sku: format!("sku-{n}"),
            name: "A lamp".to_owned(),
            price: Money::new(amount, Currency::GBP),
            status: "active".to_owned(),
        }
    }

    fn item(n: u128, quantity: i64) -> Item {
        Item {
            product_id: Uuid::from_u128(n),
            quantity,
        }
    }

    #[test]
    fn archived_and_unknown_products_are_named() {
        let mut archived = product(2, 100);
        archived.status = "archived".to_owned();
        let result = price(
            &[item(1, 1), item(2, 1), item(3, 1)],
            vec![product(1, 100), archived],
        );
        let Err(Error::ProductUnavailable(ids)) = result else {
            panic!("{result:?}")
        };
        assert_eq!(ids, [Uuid::from_u128(2), Uuid::from_u128(3)]);
    }

    #[test]
    fn totals_that_cannot_be_charged_are_refused() {
        let refused =
            |items: &[Item], products| matches!(price(items, products), Err(Error::TotalNotAcceptable(_)));
        assert!(refused(&[item(1, 999)], vec![product(1, i64::MAX)]));
        assert!(refused(&[item(1, 1)], vec![product(1, TOTAL_MAX + 1)]));
        assert!(refused(&[item(1, 1)], vec![product(1, 0)]));
        assert!(refused(&[item(1, 1)], vec![product(1, -5)]));
        assert!(refused(&[item(1, 0)], vec![product(1, 5)]));
        assert!(refused(&[item(1, 1), item(1, 1)], vec![product(1, 5)]));
        let mut euro = product(2, 5);
        euro.price.currency = "EUR".parse().unwrap();
        assert!(refused(&[item(1, 1), item(2, 1)], vec![product(1, 5), euro]));
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_the_lines(cart in prop::collection::vec((1i64..1_000, 0i64..100_000), 1..20)) {
            let items: Vec<Item> = cart.iter().enumerate().map(|(n, (quantity, _))| item(n as u128, *quantity)).collect();
            let products = cart.iter().enumerate().map(|(n, (_, price))| product(n as u128, *price)).collect();
            let wanted: i64 = cart.iter().map(|(quantity, price)| quantity * price).sum();
            match price(&items, products) {
                Ok((lines, total)) => {
                    prop_assert_eq!(total.amount, wanted);
                    prop_assert_eq!(lines.iter().map(|l| l.quantity * l.unit_price).sum::<i64>(), wanted);
                    prop_assert!(points(total) * 100 <= wanted && wanted < (points(total) + 1) * 100);
                }
                Err(_) => prop_assert!(wanted == 0 || wanted > TOTAL_MAX),
            }
        }
    }
}
