//! The asker's cart: which one it is, what may go into it, and how browsers and API clients keep hold of it.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use emporium_service_kit::client::CallError;
use uuid::Uuid;

use crate::activity::Did;
use crate::app::App;
use crate::clients::carts::{Cart, CartKey, CartLine};
use crate::clients::catalog::ProductStatus;
use crate::compose::{self, CartView};
use crate::config::Config;
use crate::cookies;
use crate::error::Error;
use crate::identity::{CART_HEADER, Shopper};

/// A cart with names and prices, and what its owner's browser has to do.
pub struct Opened {
    /// What is in it.
    pub view: CartView,
    /// What to do with the cookie `cart`.
    pub cookie: CartCookie,
    /// What was done to it.
    pub did: Option<Did>,
}

/// What a browser does with the cookie `cart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CartCookie {
    /// Leave it as it is.
    Leave,
    /// Keep this id; API clients find it in `X-Cart-Id`.
    Keep(Uuid),
    /// Forget it: the cart was merged into the customer's.
    Forget,
}

impl CartCookie {
    /// Writes the headers that say so.
    pub fn apply(self, config: &Config, headers: &mut HeaderMap) {
        match self {
            Self::Leave => {}
            Self::Forget => cookies::forget(headers, config, cookies::CART),
            Self::Keep(id) => {
                cookies::keep_cart(headers, config, id);
                if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
                    headers.insert(CART_HEADER, value);
                }
            }
        }
    }
}

/// The cart as it is now.
pub async fn open(app: &App, shopper: &Shopper) -> Result<Opened, Error> {
    let held = hold(app, shopper).await?;
    let cart = match (held.merged, held.key) {
        (Some(cart), _) => cart,
        (None, Some(key)) => app.clients.carts.cart(key).await?,
        (None, None) => Cart::default(),
    };
    Ok(opened(app, cart, held.cookie, None).await)
}

/// Sets how many of a product are in the cart; 0 removes it. The product has to exist and be on sale.
pub async fn set_quantity(
    app: &App,
    shopper: &Shopper,
    product: Uuid,
    quantity: i64,
) -> Result<Opened, Error> {
    if quantity == 0 {
        return remove(app, shopper, product).await;
    }
    let held = hold(app, shopper).await?;
    check_product(app, held.key, product).await?;
    // Only now, so that a refused product does not leave a cart behind.
    let (key, cookie) = match held.key {
        Some(key) => (key, held.cookie),
        None => new_cart(),
    };
    let cart = app.clients.carts.set_quantity(key, product, quantity).await?;
    let cart = Cart {
        dropped: dropped(held.merged),
        ..cart
    };
    let did = Did::cart(product, quantity).by(shopper.identity.as_ref());
    Ok(opened(app, cart, cookie, Some(did)).await)
}

/// Removes a product from the cart; nothing happens when it is not there.
pub async fn remove(app: &App, shopper: &Shopper, product: Uuid) -> Result<Opened, Error> {
    let held = hold(app, shopper).await?;
    let cart = match held.key {
        Some(key) => app.clients.carts.remove(key, product).await?,
        None => Cart::default(),
    };
    let cart = Cart {
        dropped: dropped(held.merged),
        ..cart
    };
    let did = Did::cart(product, 0).by(shopper.identity.as_ref());
    Ok(opened(app, cart, held.cookie, held.key.map(|_| did)).await)
}

/// Which cart it is.
struct Held {
    key: Option<CartKey>,
    cookie: CartCookie,
    /// What is in it, when an anonymous one has just been merged into it.
    merged: Option<Cart>,
}

/// What did not fit at the merge.
fn dropped(merged: Option<Cart>) -> Vec<CartLine> {
    merged.map(|cart| cart.dropped).unwrap_or_default()
}

/// Finds the cart. Somebody who is signed in and still has an anonymous cart could not merge it at sign-in: now is the
/// time.
async fn hold(app: &App, shopper: &Shopper) -> Result<Held, Error> {
    let Some(identity) = &shopper.identity else {
        return Ok(Held {
            key: shopper.anonymous_cart.map(CartKey::Anonymous),
            cookie: shopper.anonymous_cart.map_or(CartCookie::Leave, CartCookie::Keep),
            merged: None,
        });
    };
    let (cookie, merged) = match shopper.anonymous_cart {
        None => (CartCookie::Leave, None),
        Some(anonymous) => match app.clients.carts.merge(identity.user_id, anonymous).await {
            Ok(cart) => (CartCookie::Forget, Some(cart)),
            Err(error @ CallError::Problem { .. }) => {
                // Such as too many lines: both carts stay, and the anonymous one is offered again next time.
                tracing::warn!(%error, "cart not merged");
                (CartCookie::Leave, None)
            }
            Err(error) => return Err(error.into()),
        },
    };
    Ok(Held {
        key: Some(CartKey::User(identity.user_id)),
        cookie,
        merged,
    })
}

fn new_cart() -> (CartKey, CartCookie) {
    let id = Uuid::new_v4();
    (CartKey::Anonymous(id), CartCookie::Keep(id))
}

/// The catalog says whether the product can be bought. While it is away, what is in the cart already may still change.
async fn check_product(app: &App, key: Option<CartKey>, product: Uuid) -> Result<(), Error> {
    match app.clients.catalog.product(product).await {
        Ok(Some(found)) if found.status == ProductStatus::Active => Ok(()),
        Ok(Some(_)) => Err(Error::ProductArchived),
        Ok(None) => Err(Error::Unknown("product")),
        Err(error) => {
            let cart = match key {
                Some(key) => app.clients.carts.cart(key).await?,
                None => Cart::default(),
            };
            let known = cart.items.iter().any(|line| line.product_id == product);
            if known { Ok(()) } else { Err(error.into()) }
        }
    }
}

async fn opened(app: &App, cart: Cart, cookie: CartCookie, did: Option<Did>) -> Opened {
    Opened {
        view: compose::price_cart(app, cart).await,
        cookie,
        did,
    }
}

impl Opened {
    /// Adds to a page's answer what a browser has to do, and what was done.
    pub fn finish(self, config: &Config, answer: &mut Response) {
        self.cookie.apply(config, answer.headers_mut());
        if let Some(did) = self.did {
            did.note(answer);
        }
    }
}
