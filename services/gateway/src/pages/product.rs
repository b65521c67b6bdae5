//! `/products/{id}`: everything about one product, the way into the basket, what goes with it, what customers say.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use emporium_service_kit::extract::Path;
use serde_json::Value;
use uuid::Uuid;

use crate::activity::Did;
use crate::app::App;
use crate::clients::catalog::{Product, ProductFilter};
use crate::error::Error;
use crate::identity::Identity;
use crate::pages::chrome::{Chrome, Visitor};
use crate::pages::format::{capital, words};
use crate::pages::listing::{Card, Stock, cards};
use crate::pages::params::{Params, link};
use crate::pages::picture::Picture;
use crate::pages::reviews::{self, Ask, Own, Section, Voting};
use crate::pages::shelves::{self, Shelf};
use crate::pages::stars::{Stars, rate};
use crate::pages::{open, part};

/// How many neighbours are shown.
const RELATED: usize = 4;
/// How many are asked for: the product itself may be among them, and all that is on its shelves.
const RELATED_ASKED: u32 = 13;
/// The most that a basket takes of one product.
pub(super) const QUANTITY_MAX: i64 = 999;

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage {
    pub chrome: Chrome,
    pub product: Product,
    pub category_href: String,
    pub brand_href: Option<String>,
    pub picture: Picture,
    pub stock: Stock,
    /// Of all reviews.
    pub stars: Option<Stars>,
    /// How many can be put into the basket.
    pub quantity_max: i64,
    /// False while the carts service does not answer.
    pub carts_answer: bool,
    pub paragraphs: Vec<String>,
    pub attributes: Vec<(String, String)>,
    pub related: Vec<Card>,
    /// What goes with it.
    pub shelves: Vec<Shelf>,
    pub reviews: Section,
}

/// `GET /products/{id}`.
pub async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<Uuid>,
    params: Params,
) -> Result<Response, Error> {
    let ((chrome, reviews, who), found, shelves) = tokio::join!(
        with_reviews(&app, &headers, Ask::read(id, &params)),
        with_related(&app, id),
        shelves::of_product(&app, id),
    );
    let (product, related) = found?;
    let mut page = ProductPage {
        shelves,
        ..page(chrome.noting(params.get("note")), product, related, reviews)
    };
    page.related = elsewhere(page.related, &page.shelves);
    let lists = page.shelves.iter_mut().map(|shelf| &mut shelf.cards);
    rate(&app, &mut lists.chain([&mut page.related]).collect::<Vec<_>>()).await;
    // Coming back from a form, or turning to other reviews of it, is no other look at the product.
    let first = params.get("note").is_none() && page.reviews.here == format!("/products/{id}");
    let did = first.then(|| Did::view(id).by(who.as_ref()));
    Ok((did, open(StatusCode::OK, &page.chrome, &page)).into_response())
}

/// What surrounds the page, and the reviews as whoever is asking sees them.
async fn with_reviews(app: &App, headers: &HeaderMap, ask: Ask) -> (Chrome, Section, Option<Identity>) {
    let visitor = Visitor::of(app, headers).await;
    let (chrome, reviews) = tokio::join!(Chrome::of(app, &visitor), reviews::load(app, &visitor, ask));
    (chrome, reviews, visitor.shopper.identity)
}

async fn with_related(app: &App, id: Uuid) -> Result<(Product, Vec<Card>), Error> {
    let product = app.clients.catalog.product(id).await?;
    let product = product.ok_or(Error::Unknown("product"))?;
    let alike = ProductFilter {
        category: Some(product.category.clone()),
        limit: Some(RELATED_ASKED),
        ..ProductFilter::default()
    };
    let own = format!("/products/{id}");
    let list = part("related products", app.clients.catalog.products(&alike)).await;
    let mut related = list.as_ref().map(cards).unwrap_or_default();
    related.retain(|card| card.href != own);
    Ok((product, related))
}

/// What is on no shelf, as much as is shown.
fn elsewhere(mut related: Vec<Card>, shelves: &[Shelf]) -> Vec<Card> {
    let on = |id: Uuid| {
        let mut cards = shelves.iter().flat_map(|shelf| &shelf.cards);
        cards.any(|card| card.id == id)
    };
    related.retain(|card| !on(card.id));
    related.truncate(RELATED);
    related
}

fn page(chrome: Chrome, product: Product, related: Vec<Card>, reviews: Section) -> ProductPage {
    ProductPage {
        carts_answer: chrome.carts_answer,
        category_href: link("/search", [("category", product.category.as_str())]),
        brand_href: product
            .brand
            .as_deref()
            .map(|brand| link("/search", [("brand", brand)])),
        picture: Picture::new(product.id, &product.category),
        stock: Stock::of(&product),
        stars: reviews.rating.as_ref().and_then(Stars::mean),
        quantity_max: product.available().min(QUANTITY_MAX),
        paragraphs: paragraphs(&product.description),
        attributes: attributes(&product),
        related,
        shelves: Vec::new(),
        reviews,
        product,
        chrome,
    }
}

fn paragraphs(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

fn attributes(product: &Product) -> Vec<(String, String)> {
    let rows = product.attributes.iter();
    rows.map(|(name, value)| (capital(&words(name)), shown(value)))
        .collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bool(true) => "Yes".to_owned(),
        Value::Bool(false) => "No".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
