//! `/admin/products`: adding, changing and archiving products, and their stock.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::client::CallError;
use emporium_service_kit::extract::{Form, Path};
use emporium_service_kit::{Money, Problem};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::clients::catalog::{Product, ProductFilter, ProductStatus};
use crate::error::Error;
use crate::pages::admin::attributes;
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::form::{self, Field};
use crate::pages::format;
use crate::pages::params::{Params, link};
use crate::pages::{personal, see_other};

const PAGE_SIZE: u32 = 50;

#[derive(Template)]
#[template(path = "admin/products.html")]
struct ProductsPage {
    pub chrome: Chrome,
    pub q: String,
    pub products: Vec<Product>,
    pub next_href: Option<String>,
    pub fields: Vec<Field>,
    pub error: Option<String>,
    /// True when the form for a new product was refused and has to be seen.
    pub adding: bool,
}

#[derive(Template)]
#[template(path = "admin/product.html")]
struct ProductPage {
    chrome: Chrome,
    product: Product,
    archived: bool,
    fields: Vec<Field>,
    error: Option<String>,
    /// Makes one change of any number of clicks on this very form.
    key: String,
}

/// The form of a product.
#[derive(Default, Deserialize)]
pub struct ProductForm {
    #[serde(default)]
    sku: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    brand: String,
    #[serde(default)]
    price: String,
    #[serde(default)]
    attributes: String,
}

impl ProductForm {
    fn of(product: &Product) -> Self {
        Self {
            sku: product.sku.clone(),
            name: product.name.clone(),
            description: product.description.clone(),
            category: product.category.clone(),
            brand: product.brand.clone().unwrap_or_default(),
            price: format::typed(product.price.amount),
            attributes: attributes::typed_out(&product.attributes),
        }
    }

    /// `new` also asks for the article number, which stays for good.
    fn fields(&self, new: bool) -> Vec<Field> {
        let sku = Field::new("sku", "Article number")
            .length(0, 64)
            .value(&*self.sku);
        let rest = [
            Field::new("name", "Name").length(0, 300).value(&*self.name),
            Field::new("description", "Description")
                .kind("textarea")
                .optional()
                .length(0, 20_000)
                .value(&*self.description),
            Field::new("category", "Category")
                .hint("A slug such as mugs-and-cups; a new one makes a new category.")
                .length(0, 100)
                .value(&*self.category),
            Field::new("brand", "Brand")
                .optional()
                .length(0, 100)
                .value(&*self.brand),
            Field::new("price", "Price")
                .hint("For instance 12.50")
                .length(0, 20)
                .value(&*self.price),
            Field::new("attributes", "Attributes")
                .kind("textarea")
                .optional()
                .hint("One a line, as name: value.")
                .length(0, 20_000)
                .value(&*self.attributes),
        ];
        new.then_some(sku).into_iter().chain(rest).collect()
    }

    /// As the catalog wants it; a problem when price or attributes cannot be read.
    fn body(&self, app: &App, currency: Option<emporium_service_kit::Currency>) -> Result<Value, Problem> {
        let wrong = |field: &str, message: &str| Problem::invalid([(field.to_owned(), message.to_owned())]);
        let amount =
            format::amount(&self.price).ok_or_else(|| wrong("price", "must look like 12 or 12.50"))?;
        let attributes = attributes::read(&self.attributes)
            .ok_or_else(|| wrong("attributes", "must be lines such as colour: green"))?;
        Ok(json!({
            "name": self.name.trim(),
            // Browsers send the ends of lines as two characters.
            "description": self.description.replace("\r\n", "\n").trim(),
            "category": self.category.trim(),
            "brand": Some(self.brand.trim()).filter(|brand| !brand.is_empty()),
            "price": Money::new(amount, currency.unwrap_or(app.config.currency)),
            "attributes": attributes,
        }))
    }
}

/// `GET /admin/products`.
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    visitor.administrator()?;
    let page = listed(&app, &visitor, &params, ProductForm::default().fields(true)).await?;
    Ok(personal(StatusCode::OK, &page))
}

async fn listed(
    app: &App,
    visitor: &Visitor,
    params: &Params,
    fields: Vec<Field>,
) -> Result<ProductsPage, Error> {
    let q = params.get("q").unwrap_or_default();
    let filter = ProductFilter {
        q: params.get("q").map(str::to_owned),
        sort: params.get("q").is_none().then(|| "newest".to_owned()),
        cursor: params.get("cursor").map(str::to_owned),
        limit: Some(PAGE_SIZE),
        ..ProductFilter::default()
    };
    let (chrome, found) = tokio::join!(Chrome::of(app, visitor), app.clients.catalog.products(&filter),);
    let found = found?;
    let next = found.next_cursor.as_deref();
    Ok(ProductsPage {
        chrome: chrome.noting(params.get("note")),
        next_href: next.map(|cursor| link("/admin/products", [("q", q), ("cursor", cursor)])),
        products: found.items,
        q: q.to_owned(),
        fields,
        error: None,
        adding: false,
    })
}

/// `POST /admin/products`.
pub async fn add(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<ProductForm>,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let problem = match form.body(&app, None) {
        Err(problem) => problem,
        Ok(mut body) => {
            body["sku"] = form.sku.trim().into();
            match app.clients.catalog.create(&body).await {
                Ok(product) => return Ok(see_other(&own_page(product.id, "product-added"))),
                Err(error) => refused(error)?,
            }
        }
    };
    let mut fields = form.fields(true);
    let error = complain(&mut fields, &problem);
    let page = listed(&app, &visitor, &Params::parse(""), fields).await?;
    let page = ProductsPage {
        error,
        adding: true,
        ..page
    };
    Ok(personal(problem.status, &page))
}

fn own_page(id: Uuid, note: &str) -> String {
    link(&format!("/admin/products/{id}"), [("note", note)])
}

fn refused(error: CallError) -> Result<Problem, Error> {
    match error {
        CallError::Problem { problem, .. }
            if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND =>
        {
            Ok(*problem)
        }
        error => Err(error.into()),
    }
}

fn complain(fields: &mut [Field], problem: &Problem) -> Option<String> {
    match &*problem.code {
        "sku-taken" => Some("There is a product with this article number already.".to_owned()),
        "stock-negative" => Some("There are not that many to take away.".to_owned()),
        _ => form::complain(fields, problem),
    }
}

/// `GET /admin/products/{id}`.
pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
    params: Params,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let mut page = load(&app, &visitor, id).await?;
    page.chrome = page.chrome.noting(params.get("note"));
    Ok(personal(StatusCode::OK, &page))
}

async fn load(app: &App, visitor: &Visitor, id: Uuid) -> Result<ProductPage, Error> {
    let (chrome, product) = tokio::join!(Chrome::of(app, visitor), app.clients.catalog.product(id));
    let product = product?.ok_or(Error::Unknown("product"))?;
    Ok(ProductPage {
        chrome,
        archived: product.status == ProductStatus::Archived,
        fields: ProductForm::of(&product).fields(false),
        error: None,
        key: Uuid::new_v4().to_string(),
        product,
    })
}

/// `POST /admin/products/{id}`.
pub async fn change(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
    Form(form): Form<ProductForm>,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let mut page = load(&app, &visitor, id).await?;
    let problem = match form.body(&app, Some(page.product.price.currency)) {
        Err(problem) => problem,
        Ok(body) => match app.clients.catalog.change(id, &body).await {
            Ok(_) => return Ok(see_other(&own_page(id, "product-changed"))),
            Err(error) => refused(error)?,
        },
    };
    page.fields = form.fields(false);
    page.error = complain(&mut page.fields, &problem);
    Ok(personal(problem.status, &page))
}

/// `POST /admin/products/{id}/archive`.
pub async fn archive(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
) -> Result<Response, Error> {
    visitor.administrator()?;
    app.clients.catalog.archive(id).await?;
    Ok(see_other(&own_page(id, "product-archived")))
}

/// More or fewer.
#[derive(Deserialize)]
pub struct StockForm {
    #[serde(default)]
    delta: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    idempotency_key: String,
}

/// `POST /admin/products/{id}/stock`.
pub async fn change_stock(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
    Form(form): Form<StockForm>,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let key = Uuid::try_parse(&form.idempotency_key)
        .ok()
        .map(|key| key.to_string());
    let problem = match form.delta.trim().parse::<i64>() {
        Err(_) => Problem::unprocessable("invalid", "The change must be a whole number such as 10 or -3."),
        Ok(delta) => {
            let reason = Some(form.reason.trim()).filter(|reason| !reason.is_empty());
            let mut body = json!({ "delta": delta });
            if let Some(reason) = reason {
                body["reason"] = reason.into();
            }
            match app.clients.catalog.change_stock(id, &body, key.as_deref()).await {
                Ok(_) => return Ok(see_other(&own_page(id, "stock"))),
                Err(error) => refused(error)?,
            }
        }
    };
    let mut page = load(&app, &visitor, id).await?;
    let text = complain(&mut [], &problem).unwrap_or_else(|| problem.detail.clone());
    page.chrome.notices.push(Notice::error(text));
    Ok(personal(problem.status, &page))
}
