//! `/cart`: what is in the basket, what it costs now, and what stands in the way of buying it.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::Money;
use emporium_service_kit::extract::{Form, Path};
use serde::Deserialize;
use uuid::Uuid;

use crate::app::App;
use crate::cart;
use crate::compose::{CartView, CartViewLine};
use crate::error::Error;
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::params::{Params, link};
use crate::pages::picture::Picture;
use crate::pages::product::QUANTITY_MAX;
use crate::pages::{personal, see_other};

#[derive(Template)]
#[template(path = "cart.html")]
struct CartPage {
    pub chrome: Chrome,
    /// False when the carts service does not answer.
    pub answered: bool,
    pub lines: Vec<Line>,
    pub total: Option<Money>,
    pub checkout_href: String,
    /// True when something keeps the basket from being bought as it is.
    pub blocked: bool,
}

/// A line of the basket.
pub(super) struct Line {
    pub id: Uuid,
    pub name: String,
    pub quantity: i64,
    pub unit_price: Option<Money>,
    pub sum: Option<Money>,
    pub problem: Option<String>,
    pub picture: Picture,
}

impl Line {
    pub fn of(line: &CartViewLine, catalog_answers: bool) -> Self {
        Self {
            id: line.product_id,
            name: line
                .name
                .clone()
                .unwrap_or_else(|| unnamed(line, catalog_answers)),
            quantity: line.quantity,
            unit_price: line.unit_price,
            sum: line.line_total,
            problem: catalog_answers.then(|| problem(line)).flatten(),
            picture: Picture::new(line.product_id, line.category.as_deref().unwrap_or_default()),
        }
    }
}

fn unnamed(line: &CartViewLine, catalog_answers: bool) -> String {
    if catalog_answers {
        return "A product that is no longer sold".to_owned();
    }
    let id = line.product_id.simple().to_string();
    format!("Product …{}", id.get(24..).unwrap_or_default())
}

fn problem(line: &CartViewLine) -> Option<String> {
    let Some(available) = line.available else {
        return Some("This product is no longer sold. Please take it out of your basket.".to_owned());
    };
    if available == 0 {
        return Some("Out of stock just now.".to_owned());
    }
    (available < line.quantity).then(|| format!("Only {available} left. Please choose fewer."))
}

/// `GET /cart`.
pub async fn show(State(app): State<App>, visitor: Visitor, params: Params) -> Response {
    let opened = cart::open(&app, &visitor.shopper).await;
    let (page, cookie) = match opened {
        Ok(opened) => (
            page(&visitor, &opened.view, params.get("note")),
            Some(opened.cookie),
        ),
        Err(error) => (away(&visitor, &error), None),
    };
    let status = if page.answered {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut answer = personal(status, &page);
    if let Some(cookie) = cookie {
        cookie.apply(&app.config, answer.headers_mut());
    }
    answer
}

fn page(visitor: &Visitor, view: &CartView, note: Option<&str>) -> CartPage {
    let mut chrome = Chrome::with_count(visitor, Some(count(view))).noting(note);
    if !view.dropped.is_empty() {
        chrome.notices.push(Notice::dropped());
    }
    let catalog_answers = view.degraded.is_empty();
    if !catalog_answers {
        chrome.notices.push(Notice::warning(
            "The catalogue does not answer just now, so names and prices are missing. What is in your basket is safe.",
        ));
    }
    chrome
        .notices
        .extend(visitor.blocked.as_ref().map(|_| Notice::blocked()));
    if visitor.sessions_away {
        chrome.notices.push(Notice::warning(
            "A basket that you filled while signed in cannot be shown before we know who you are.",
        ));
    }
    let lines: Vec<Line> = view
        .items
        .iter()
        .map(|line| Line::of(line, catalog_answers))
        .collect();
    CartPage {
        blocked: !catalog_answers || lines.iter().any(|line| line.problem.is_some()),
        checkout_href: checkout_href(view.total),
        answered: true,
        total: view.total,
        lines,
        chrome,
    }
}

/// Checkout is told which total was shown here, so that it can say when that has changed.
fn checkout_href(total: Option<Money>) -> String {
    let seen = total.map(|total| total.amount.to_string()).unwrap_or_default();
    link("/checkout", [("seen", seen.as_str())])
}

/// How many things are in a basket.
pub(super) fn count(view: &CartView) -> i64 {
    let quantities = view.items.iter().map(|line| line.quantity);
    quantities.fold(0, i64::saturating_add)
}

fn away(visitor: &Visitor, error: &Error) -> CartPage {
    tracing::warn!(%error, "basket cannot be shown");
    let mut chrome = Chrome::with_count(visitor, None);
    chrome
        .notices
        .extend(visitor.blocked.as_ref().map(|_| Notice::blocked()));
    chrome.notices.push(Notice::warning(
        "Your basket cannot be shown just now. What is in it is safe; please try again in a moment.",
    ));
    CartPage {
        chrome,
        answered: false,
        lines: Vec::new(),
        total: None,
        checkout_href: checkout_href(None),
        blocked: true,
    }
}

/// A product to put into the basket.
#[derive(Deserialize)]
pub struct AddForm {
    product_id: String,
    /// Absent means one: the buttons of lists send none.
    quantity: Option<String>,
}

/// `POST /cart/items`: adds to what is in the basket already.
pub async fn add(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<AddForm>,
) -> Result<Response, Error> {
    let product = Uuid::try_parse(&form.product_id).map_err(|_| Error::Unknown("product"))?;
    let page = |note| link(&format!("/products/{product}"), [("note", note)]);
    let more = form.quantity.as_deref().map_or(Some(1), quantity);
    let Some(more) = more.filter(|more| *more >= 1) else {
        return Ok(see_other(&page("quantity")));
    };
    let there = cart::open(&app, &visitor.shopper).await?.view;
    let there = there.items.iter().find(|line| line.product_id == product);
    let there = there.map_or(0, |line| line.quantity);
    if there.saturating_add(more) > QUANTITY_MAX {
        return Ok(see_other(&page("cart-full")));
    }
    let opened = cart::set_quantity(&app, &visitor.shopper, product, there + more).await?;
    let mut answer = see_other(&page("added"));
    opened.finish(&app.config, &mut answer);
    Ok(answer)
}

/// How many.
#[derive(Deserialize)]
pub struct QuantityForm {
    #[serde(default)]
    quantity: String,
}

/// `POST /cart/items/{id}`: sets how many; 0 removes.
pub async fn set(
    State(app): State<App>,
    visitor: Visitor,
    Path(product): Path<Uuid>,
    Form(form): Form<QuantityForm>,
) -> Result<Response, Error> {
    let Some(quantity) = quantity(&form.quantity).filter(|quantity| *quantity <= QUANTITY_MAX) else {
        return Ok(see_other("/cart?note=quantity"));
    };
    let opened = cart::set_quantity(&app, &visitor.shopper, product, quantity).await?;
    let mut answer = see_other("/cart?note=changed");
    opened.finish(&app.config, &mut answer);
    Ok(answer)
}

/// `POST /cart/items/{id}/remove`.
pub async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path(product): Path<Uuid>,
) -> Result<Response, Error> {
    let opened = cart::remove(&app, &visitor.shopper, product).await?;
    let mut answer = see_other("/cart?note=removed");
    opened.finish(&app.config, &mut answer);
    Ok(answer)
}

fn quantity(text: &str) -> Option<i64> {
    text.trim().parse().ok().filter(|quantity| *quantity >= 0)
}
