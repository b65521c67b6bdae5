//! `/products/{id}`: everything about one product, and the way into the basket.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use emporium_service_kit::extract::Path;
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::clients::catalog::{Product, ProductFilter};
use crate::error::Error;
use crate::pages::chrome::{Chrome, Visitor};
use crate::pages::format::words;
use crate::pages::listing::{Card, Stock, cards};
use crate::pages::params::{Params, link};
use crate::pages::picture::Picture;
use crate::pages::{open, part};

/// How many neighbours are shown; one more is asked for, since the product itself may be among them.
const RELATED: u32 = 4;
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
    /// How many can be put into the basket.
    pub quantity_max: i64,
    /// False while the carts service does not answer.
    pub carts_answer: bool,
    pub paragraphs: Vec<String>,
    pub attributes: Vec<(String, String)>,
    pub related: Vec<Card>,
}

/// `GET /products/{id}`.
pub async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<Uuid>,
    params: Params,
) -> Result<Response, Error> {
    let (chrome, found) = tokio::join!(
        async { Chrome::of(&app, &Visitor::of(&app, &headers).await).await },
        with_related(&app, id),
    );
    let (product, related) = found?;
    let page = page(chrome.noting(params.get("note")), product, related);
    Ok(open(StatusCode::OK, &page.chrome, &page))
}

async fn with_related(app: &App, id: Uuid) -> Result<(Product, Vec<Card>), Error> {
    let product = app.clients.catalog.product(id).await?;
    let product = product.ok_or(Error::Unknown("product"))?;
    let alike = ProductFilter {
        category: Some(product.category.clone()),
        limit: Some(RELATED + 1),
        ..ProductFilter::default()
    };
    let own = format!("/products/{id}");
    let list = part("related products", app.clients.catalog.products(&alike)).await;
    let mut related = list.as_ref().map(cards).unwrap_or_default();
    related.retain(|card| card.href != own);
    related.truncate(RELATED as usize);
    Ok((product, related))
}

fn page(chrome: Chrome, product: Product, related: Vec<Card>) -> ProductPage {
    ProductPage {
        carts_answer: chrome.carts_answer,
        category_href: link("/search", [("category", product.category.as_str())]),
        brand_href: product
            .brand
            .as_deref()
            .map(|brand| link("/search", [("brand", brand)])),
        picture: Picture::new(product.id, &product.category),
        stock: Stock::of(&product),
        quantity_max: product.available().min(QUANTITY_MAX),
        paragraphs: paragraphs(&product.description),
        attributes: attributes(&product),
        related,
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

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
