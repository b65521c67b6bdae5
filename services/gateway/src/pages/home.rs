//! `/`: what is for whoever is signed in, categories, what is popular, what is new.

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
use crate::pages::shelves::{self, ForYou, Shelf};
use crate::pages::stars::rate;
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
    /// Shelves of whoever is signed in.
    pub shelves: Vec<Shelf>,
    /// False when a shelf shows what is popular already.
    pub shows_popular: bool,
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
    let ((chrome, own), categories, popular, newest) = tokio::join!(
        with_shelves(&app, &headers),
        part("categories", catalog.categories()),
        part("popular products", catalog.products(&by_popularity)),
        part("new products", catalog.products(&by_age)),
    );
    let mut page = HomePage {
        chrome: chrome.noting(params.get("note")),
        categories: categories.map(tiles),
        shows_popular: !own.newcomer,
        shelves: own.shelves,
        popular: popular.as_ref().map(cards),
        newest: newest.as_ref().map(cards),
    };
    let shelves = page.shelves.iter_mut().map(|shelf| &mut shelf.cards);
    let lists = shelves.chain(&mut page.popular).chain(&mut page.newest);
    rate(&app, &mut lists.collect::<Vec<_>>()).await;
    open(StatusCode::OK, &page.chrome, &page)
}

/// What surrounds the page, and what is on it for whoever is signed in.
async fn with_shelves(app: &App, headers: &HeaderMap) -> (Chrome, ForYou) {
    let visitor = Visitor::of(app, headers).await;
    let own = async {
        match &visitor.shopper.identity {
            Some(identity) => shelves::of_customer(app, identity.user_id).await,
            None => ForYou::default(),
        }
    };
    tokio::join!(Chrome::of(app, &visitor), own)
}

fn tiles(mut categories: Vec<Category>) -> Vec<Tile> {
    categories.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    categories
        .into_iter()
        .take(CATEGORIES_MAX)
        .map(Tile::from)
        .collect()
}
