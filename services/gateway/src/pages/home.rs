//! `/`: categories, what is popular, what is new.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::app::App;
use crate::clients::catalog::{Category, ProductFilter};
use crate::pages::chrome::{Chrome, Visitor};
use crate::pages::listing::{Card, cards};
use crate::pages::params::{Params, link};
use crate::pages::picture::Picture;
use crate::pages::{open, part};

const POPULAR: u32 = 8;
const NEWEST: u32 = 4;
/// Categories with the most products; all of them are on the search page.
const CATEGORIES_MAX: usize = 12;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    pub chrome: Chrome,
    /// `None`: the catalog does not answer.
    pub categories: Option<Vec<Tile>>,
    pub popular: Option<Vec<Card>>,
    pub newest: Option<Vec<Card>>,
}

/// A category.
pub(super) struct Tile {
    pub href: String,
    pub name: String,
    pub count: i64,
    pub picture: Picture,
}

impl From<Category> for Tile {
    fn from(category: Category) -> Self {
        Self {
            href: link("/search", [("category", category.slug.as_str())]),
            picture: Picture::of_category(&category.slug),
            name: category.name,
            count: category.count,
        }
    }
}

/// `GET /`.
pub async fn show(State(app): State<App>, headers: HeaderMap, params: Params) -> Response {
    let sorted = |sort: &str, limit| ProductFilter {
        sort: Some(sort.to_owned()),
        limit: Some(limit),
        ..ProductFilter::default()
    };
    let (by_popularity, by_age) = (sorted("popular", POPULAR), sorted("newest", NEWEST));
    let catalog = &app.clients.catalog;
    let (chrome, categories, popular, newest) = tokio::join!(
        async { Chrome::of(&app, &Visitor::of(&app, &headers).await).await },
        part("categories", catalog.categories()),
        part("popular products", catalog.products(&by_popularity)),
        part("new products", catalog.products(&by_age)),
    );
    let page = HomePage {
        chrome: chrome.noting(params.get("note")),
        categories: categories.map(tiles),
        popular: popular.as_ref().map(cards),
        newest: newest.as_ref().map(cards),
    };
    open(StatusCode::OK, &page.chrome, &page)
}

fn tiles(mut categories: Vec<Category>) -> Vec<Tile> {
    categories.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    categories
        .into_iter()
        .take(CATEGORIES_MAX)
        .map(Tile::from)
        .collect()
}
