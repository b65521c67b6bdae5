//! `/search`: looking for products, narrowing down by facets, sorting, paging.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use emporium_service_kit::Currency;
use emporium_service_kit::client::CallError;

use crate::activity::Did;
use crate::app::App;
use crate::clients::catalog::{Facets, ProductFilter, ProductList};
use crate::error::Error;
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::facets::{Chip, FacetGroup, category_name, chips, groups};
use crate::pages::form::Choice;
use crate::pages::format;
use crate::pages::listing::{Card, cards};
use crate::pages::open;
use crate::pages::params::{Params, link};
use crate::pages::stars::rate;

const PAGE_SIZE: u32 = 24;
const SORTS: [(&str, &str); 6] = [
    ("relevance", "Best match"),
    ("popular", "Most popular"),
    ("newest", "Newest"),
    ("price_asc", "Price: low to high"),
    ("price_desc", "Price: high to low"),
    ("name", "Name"),
];

/// What is looked for, as the address says it. Prices are in major units, as people type them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub q: String,
    pub category: String,
    pub brand: String,
    pub from: String,
    pub to: String,
    pub in_stock: bool,
    pub attr: Vec<String>,
    pub sort: String,
    pub cursor: String,
}

impl Query {
    fn read(params: &Params) -> Self {
        let text = |name| params.get(name).unwrap_or_default().to_owned();
        Self {
            q: text("q"),
            category: text("category"),
            brand: text("brand"),
            from: text("from"),
            to: text("to"),
            in_stock: params.get("in_stock").is_some(),
            attr: params.all("attr").take(10).map(str::to_owned).collect(),
            sort: text("sort"),
            cursor: text("cursor"),
        }
    }

    fn filter(&self) -> ProductFilter {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let sort = SORTS.iter().any(|(name, _)| *name == self.sort);
        ProductFilter {
            q: given(&self.q),
            category: given(&self.category),
            brand: given(&self.brand),
            price_min: format::amount(&self.from),
            price_max: format::amount(&self.to),
            in_stock: self.in_stock.then_some(true),
            attr: self.attr.clone(),
            sort: sort.then(|| self.sort.clone()),
            cursor: given(&self.cursor),
            limit: Some(PAGE_SIZE),
        }
    }

    /// This query with a change. The cursor belongs to one list only, so that it goes with every change.
    pub fn href(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut query = Self {
            cursor: String::new(),
            ..self.clone()
        };
        change(&mut query);
        link("/search", query.pairs())
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        let mut pairs = vec![
            ("q", self.q.as_str()),
            ("category", &self.category),
            ("brand", &self.brand),
            ("from", &self.from),
            ("to", &self.to),
            ("in_stock", if self.in_stock { "1" } else { "" }),
        ];
        pairs.extend(self.attr.iter().map(|attr| ("attr", attr.as_str())));
        pairs.extend([("sort", self.sort.as_str()), ("cursor", &self.cursor)]);
        pairs.retain(|(_, value)| !value.is_empty());
        pairs
    }

    /// What a form has to carry along, so that it changes nothing but its own fields.
    fn carried(&self, own: &[&str]) -> Vec<(String, String)> {
        let pairs = self.pairs().into_iter();
        pairs
            .filter(|(name, _)| *name != "cursor" && !own.contains(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    pub chrome: Chrome,
    pub query: Query,
    pub heading: String,
    /// How many were found, in words; empty when nobody can say.
    pub count: String,
    /// The words that were looked for instead.
    pub corrected: Option<String>,
    pub cards: Vec<Card>,
    pub groups: Vec<FacetGroup>,
    pub chips: Vec<Chip>,
    pub stock_href: String,
    pub sorts: Vec<Choice>,
    pub sort_carried: Vec<(String, String)>,
    pub price_carried: Vec<(String, String)>,
    pub price_error: Option<&'static str>,
    pub first_href: Option<String>,
    pub next_href: Option<String>,
    /// False when the catalog did not answer or refused; a notice says so.
    pub answered: bool,
}

/// `GET /search`.
pub async fn show(State(app): State<App>, headers: HeaderMap, params: Params) -> Result<Response, Error> {
    let query = Query::read(&params);
    let filter = query.filter();
    let ((mut chrome, who), answer) = tokio::join!(
        async {
            let visitor = Visitor::of(&app, &headers).await;
            (Chrome::of(&app, &visitor).await, visitor.shopper.identity)
        },
        app.clients.catalog.products(&filter),
    );
    chrome.q.clone_from(&query.q);
    let (status, list) = match answer {
        Ok(list) => (StatusCode::OK, Some(list)),
        Err(error) => {
            let (status, notice) = refusal(&error);
            chrome.notices.push(notice);
            (status, None)
        }
    };
    let did = list.as_ref().and_then(|list| {
        let did = Did::search(filter.q.as_deref(), filter.cursor.as_deref(), list.total)?;
        Some(did.by(who.as_ref()))
    });
    let mut page = page(chrome, query, list, app.config.currency);
    rate(&app, &mut [&mut page.cards]).await;
    Ok((did, open(status, &page.chrome, &page)).into_response())
}

/// What to say instead of results.
fn refusal(error: &CallError) -> (StatusCode, Notice) {
    match (error, error.status()) {
        (CallError::Problem { problem, .. }, Some(status)) if status.is_client_error() => {
            let text = match &*problem.code {
                "bad-cursor" => {
                    "This page of the results cannot be found; please start from the first one.".to_owned()
                }
                _ => "We cannot search for that. Please use fewer or simpler words.".to_owned(),
            };
            (status, Notice::error(text))
        }
        _ => {
            tracing::warn!(%error, "search without an answer");
            let text = "The catalogue does not answer just now, so nothing can be found. Please try again in a moment.";
            (StatusCode::SERVICE_UNAVAILABLE, Notice::warning(text))
        }
    }
}

fn page(mut chrome: Chrome, query: Query, list: Option<ProductList>, shop: Currency) -> SearchPage {
    let answered = list.is_some();
    let list = list.unwrap_or_else(nothing);
    chrome.notices.extend(missing(&list.degraded));
    let currency = list.items.first().map_or(shop, |product| product.price.currency);
    let next = list.next_cursor.as_deref().filter(|cursor| !cursor.is_empty());
    SearchPage {
        heading: heading(&query, &list.facets),
        count: if answered { count(&list) } else { String::new() },
        cards: cards(&list),
        groups: groups(&query, &list.facets, currency),
        chips: chips(&query, &list.facets, currency),
        stock_href: query.href(|query| query.in_stock = !query.in_stock),
        sorts: sorts(&query),
        sort_carried: query.carried(&["sort"]),
        price_carried: query.carried(&["from", "to"]),
        price_error: price_error(&query),
        first_href: (!query.cursor.is_empty()).then(|| query.href(|_| ())),
        next_href: next.map(|cursor| query.href(|query| cursor.clone_into(&mut query.cursor))),
        corrected: list.corrected_query,
        answered,
        query,
        chrome,
    }
}

/// What is not as it should be, in a customer's words.
fn missing(degraded: &[String]) -> Option<Notice> {
    let text = match degraded {
        [] => return None,
        [only] if only == "search" => {
            "Our search engine is taking a break. These results come from the catalogue itself and may be in another order."
                .to_owned()
        }
        several => format!("Part of this answer is missing for the moment ({}).", several.join(", ")),
    };
    Some(Notice::warning(text))
}

fn nothing() -> ProductList {
    ProductList {
        items: Vec::new(),
        facets: Facets::default(),
        total: 0,
        total_is_lower_bound: false,
        next_cursor: None,
        degraded: Vec::new(),
        corrected_query: None,
    }
}

fn heading(query: &Query, facets: &Facets) -> String {
    let place = if !query.category.is_empty() {
        category_name(&query.category, facets)
    } else if !query.brand.is_empty() {
        query.brand.clone()
    } else {
        "All products".to_owned()
    };
    if query.q.is_empty() {
        format::shortened(&place)
    } else {
        format!("“{}”", format::shortened(&query.q))
    }
}

fn count(list: &ProductList) -> String {
    match (list.total, list.total_is_lower_bound) {
        (1, false) => "1 product".to_owned(),
        (total, false) => format!("{total} products"),
        (total, true) => format!("More than {total} products"),
    }
}

fn sorts(query: &Query) -> Vec<Choice> {
    let usual = if query.q.is_empty() {
        "popular"
    } else {
        "relevance"
    };
    let current = if query.sort.is_empty() { usual } else { &query.sort };
    SORTS
        .iter()
        .filter(|(name, _)| *name != "relevance" || !query.q.is_empty())
        .map(|(name, label)| Choice {
            value: (*name).to_owned(),
            label: (*label).to_owned(),
            selected: *name == current,
        })
        .collect()
}

fn price_error(query: &Query) -> Option<&'static str> {
    let wrong = |text: &str| !text.is_empty() && format::amount(text).is_none();
    if wrong(&query.from) || wrong(&query.to) {
        return Some("Prices look like 12 or 12.50; this one was left out.");
    }
    let (from, to) = (format::amount(&query.from)?, format::amount(&query.to)?);
    (from > to).then_some("The first price should not be above the second one.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_change_one_thing_and_leave_the_page() {
        let query = Query::read(&Params::parse(
            "q=mug&brand=A%26B&from=10&sort=name&cursor=xyz&attr=a:b&in_stock=1",
        ));
        assert_eq!(
            query.href(|query| query.category = "x\"y".to_owned()),
            "/search?q=mug&category=x%22y&brand=A%26B&from=10&in_stock=1&attr=a%3Ab&sort=name"
        );
        assert_eq!(query.filter().price_min, Some(1000));
        assert_eq!(
            query.carried(&["sort", "q", "brand", "from", "in_stock"]),
            [("attr".to_owned(), "a:b".to_owned())]
        );
    }

    #[test]
    fn odd_prices_and_sorts_are_left_out() {
        let query = Query::read(&Params::parse("from=ten&to=-4&sort=evil"));
        let filter = query.filter();
        assert_eq!(
            (filter.price_min, filter.price_max, filter.sort),
            (None, None, None)
        );
        assert!(price_error(&query).is_some());
        assert!(price_error(&Query::read(&Params::parse("from=5&to=4"))).is_some());
        assert!(price_error(&Query::read(&Params::parse("from=4&to=5"))).is_none());
    }
}
