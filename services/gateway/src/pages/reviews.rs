//! The part of a product's page that shows what customers think of it.

use emporium_service_kit::client::CallError;
use uuid::Uuid;

use crate::app::App;
use crate::clients::reviews::{ReviewFilter, ReviewPage};
use crate::identity::Identity;
use crate::pages::chrome::Visitor;
use crate::pages::format::shortened;
use crate::pages::params::{Params, link};
use crate::pages::part;
use crate::pages::review_form::ReviewForm;
use crate::pages::review_item::{FILTER_CHARS_MAX, ReviewItem, Trait};
use crate::pages::stars::Stars;
use crate::pages::timeline::Moment;
use crate::reviews::{self, Rating};

const PAGE_SIZE: u32 = 10;
const SORTS: [(&str, &str); 4] = [
    ("helpful", "Most helpful"),
    ("new", "Newest"),
    ("rating-high", "Best first"),
    ("rating-low", "Worst first"),
];
const NO_SUCH_LIST: &str = "There is no such list of reviews; please start from the first page.";
/// Filters by what reviews say, at once.
const WITH_MAX: usize = 5;

/// The whole part.
pub struct Section {
    /// The product.
    pub product_id: Uuid,
    /// Of all reviews; `None` without any, or while nobody can say.
    pub summary: Option<SummaryView>,
    /// The same in numbers.
    pub rating: Option<Rating>,
    /// `None`: the reviews service did not answer.
    pub items: Option<Vec<Row>>,
    /// Ways to sort.
    pub sorts: Vec<Way>,
    /// Filters that are on, with a way to take them off.
    pub chips: Vec<Way>,
    /// Only verified purchases, or all again.
    pub verified: Way,
    /// The first page, from a later one.
    pub first_href: Option<String>,
    /// The next page. A filtered one may be empty and still have a next one.
    pub next_href: Option<String>,
    /// Up to when purchases are known.
    pub as_of: Option<Moment>,
    /// What the reader can do about a review of their own.
    pub own: Own,
    /// Why a list was not given, when the address is to blame.
    pub refused: Option<&'static str>,
    /// This list, for coming back to it after a vote.
    pub here: String,
}

/// What the reader can do about a review of their own.
pub enum Own {
    /// Sign in first.
    SignIn(String),
    /// Nobody can say who it is, or whether there is one.
    Unknown,
    /// Write one.
    Write(ReviewForm),
    /// Change it.
    Written(Box<ReviewItem>),
}

/// A review in the list.
pub struct Row {
    /// The review.
    pub item: ReviewItem,
    /// Who may vote on it.
    pub voting: Voting,
    /// The same list, of reviews that say the same: by the traits' places.
    pub ask: Ask,
}

/// Whether the reader may vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voting {
    /// Their own review.
    Own,
    /// Not signed in.
    Stranger,
    /// They may.
    Open,
}

/// A link among others.
pub struct Way {
    /// Where it leads.
    pub href: String,
    /// What it says.
    pub label: String,
    /// True when it is where the reader is.
    pub selected: bool,
}

/// How a product is rated, as bars.
pub struct SummaryView {
    /// `4.3`.
    pub average: String,
    /// The same as stars.
    pub stars: Stars,
    /// How many reviews.
    pub count: i64,
    /// How many of them are verified purchases.
    pub verified: i64,
    /// From five stars to one.
    pub bars: Vec<Bar>,
}

/// How many gave so many stars.
pub struct Bar {
    /// `5`.
    pub stars: usize,
    /// How many.
    pub count: i64,
    /// The same in hundredths of all, for the bar.
    pub share: i64,
    /// Only these.
    pub href: String,
    /// True while only these are shown.
    pub selected: bool,
}

/// What is asked for, as the address says it.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    product: Uuid,
    sort: String,
    stars: String,
    verified: bool,
    with: Vec<String>,
    cursor: String,
}

impl Ask {
    /// Reads an address; what is no order or rating is left out.
    pub fn read(product: Uuid, params: &Params) -> Self {
        let text = |name| params.get(name).unwrap_or_default().to_owned();
        let sort = text("sort");
        let stars = text("stars");
        Self {
            product,
            sort: if SORTS.iter().any(|(name, _)| *name == sort) {
                sort
            } else {
                String::new()
            },
            stars: if ["1", "2", "3", "4", "5"].contains(&&*stars) {
                stars
            } else {
                String::new()
            },
            verified: params.get("verified").is_some(),
            with: params.all("with").take(WITH_MAX).map(str::to_owned).collect(),
            cursor: text("cursor"),
        }
    }

    fn filter(&self, viewer: Option<Uuid>) -> ReviewFilter {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ReviewFilter {
            sort: given(&self.sort),
            rating: self.stars.parse().ok(),
            verified: self.verified.then_some(true),
            attributes: self.with.clone(),
            viewer,
            cursor: given(&self.cursor),
            limit: Some(PAGE_SIZE),
        }
    }

    /// The product's page with a change of this; a cursor belongs to one list only.
    fn href(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut ask = Self {
            cursor: String::new(),
            ..self.clone()
        };
        change(&mut ask);
        format!("{}#reviews", ask.here())
    }

    fn here(&self) -> String {
        let mut pairs = vec![
            ("sort", self.sort.as_str()),
            ("stars", &self.stars),
            ("verified", if self.verified { "1" } else { "" }),
        ];
        pairs.extend(self.with.iter().map(|with| ("with", with.as_str())));
        pairs.push(("cursor", &self.cursor));
        link(&format!("/products/{}", self.product), pairs)
    }

    /// The list of reviews that say this too.
    pub fn with(&self, one: &Trait) -> Option<String> {
        let filter = one.filter.as_ref()?;
        let known = self.with.contains(filter);
        let chars: usize = self.with.iter().map(|with| with.chars().count()).sum();
        // Addresses are bounded too.
        (!known && self.with.len() < WITH_MAX && chars <= FILTER_CHARS_MAX)
            .then(|| self.href(|ask| ask.with.push(filter.clone())))
    }
}

/// Everything, fetched at once.
pub async fn load(app: &App, visitor: &Visitor, ask: Ask) -> Section {
    let viewer = visitor.shopper.identity.as_ref().map(|identity| identity.user_id);
    let filter = ask.filter(viewer);
    let product = ask.product;
    let clients = &app.clients.reviews;
    let (page, rating, own) = tokio::join!(
        list(app, product, &filter),
        part("rating", reviews::rating(app, product)),
        async {
            match viewer {
                Some(me) => part("own review", clients.own(product, me)).await,
                None => None,
            }
        },
    );
    let identity = visitor.shopper.identity.as_ref();
    let own = match (identity, own) {
        (None, _) if visitor.sessions_away => Own::Unknown,
        (None, _) => Own::SignIn(link(
            "/sign-in",
            [("next", &*format!("/products/{product}/review"))],
        )),
        (Some(_), None) => Own::Unknown,
        (Some(_), Some(None)) => Own::Write(ReviewForm::new(product)),
        (Some(_), Some(Some(review))) => Own::Written(Box::new(ReviewItem::of(&review))),
    };
    section(&ask, page, rating, own, identity)
}

/// A list, or why there is none.
enum Listed {
    Page(ReviewPage),
    /// There is no such list: the address is to blame.
    Refused,
    /// The reviews service did not answer.
    Away,
}

async fn list(app: &App, product: Uuid, filter: &ReviewFilter) -> Listed {
    let call = async {
        match app.clients.reviews.of_product(product, filter).await {
            Err(error) if refused(&error) => Ok(Listed::Refused),
            answer => answer.map(Listed::Page),
        }
    };
    part("reviews", call).await.unwrap_or(Listed::Away)
}

fn refused(error: &CallError) -> bool {
    matches!(error.status().map(|status| status.as_u16()), Some(400 | 422))
}

fn section(
    ask: &Ask,
    listed: Listed,
    rating: Option<Rating>,
    own: Own,
    reader: Option<&Identity>,
) -> Section {
    let nothing = ReviewPage {
        items: Vec::new(),
        next_cursor: None,
        as_of: None,
    };
    let (page, refused) = match listed {
        Listed::Page(page) => (Some(page), None),
        Listed::Refused => (Some(nothing), Some(NO_SUCH_LIST)),
        Listed::Away => (None, None),
    };
    let next = page.as_ref().and_then(|page| page.next_cursor.clone());
    Section {
        product_id: ask.product,
        summary: rating.as_ref().and_then(|rating| summary(ask, rating)),
        rating,
        sorts: sorts(ask),
        chips: chips(ask),
        verified: Way {
            href: ask.href(|ask| ask.verified = !ask.verified),
            label: "Verified purchases only".to_owned(),
            selected: ask.verified,
        },
        first_href: (!ask.cursor.is_empty()).then(|| ask.href(|_| ())),
        next_href: next.map(|cursor| ask.href(|ask| ask.cursor = cursor)),
        as_of: page.as_ref().and_then(|page| page.as_of).map(Moment::new),
        items: page.map(|page| rows(ask, &page, reader)),
        own,
        refused,
        here: ask.here(),
    }
}

fn rows(ask: &Ask, page: &ReviewPage, reader: Option<&Identity>) -> Vec<Row> {
    let voting = |author: Uuid| match reader {
        None => Voting::Stranger,
        Some(reader) if reader.user_id == author => Voting::Own,
        Some(_) => Voting::Open,
    };
    let items = page.items.iter();
    items
        .map(|review| Row {
            item: ReviewItem::of(review),
            voting: voting(review.author_id),
            ask: ask.clone(),
        })
        .collect()
}

fn summary(ask: &Ask, rating: &Rating) -> Option<SummaryView> {
    let bars = (1..=5).rev().map(|stars: usize| {
        let count = rating.histogram[stars - 1];
        let own = stars.to_string();
        Bar {
            stars,
            count,
            share: (count.saturating_mul(100) / rating.count.max(1)).clamp(0, 100),
            selected: ask.stars == own,
            href: ask.href(|ask| ask.stars = if ask.stars == own { String::new() } else { own }),
        }
    });
    Some(SummaryView {
        stars: Stars::mean(rating)?,
        average: format!("{:.1}", rating.average?),
        count: rating.count,
        verified: rating.verified,
        bars: bars.collect(),
    })
}

fn sorts(ask: &Ask) -> Vec<Way> {
    let ways = SORTS.into_iter();
    ways.map(|(name, label)| Way {
        href: ask.href(|ask| name.clone_into(&mut ask.sort)),
        label: label.to_owned(),
        selected: ask.sort == name || (ask.sort.is_empty() && name == SORTS[0].0),
    })
    .collect()
}

fn chips(ask: &Ask) -> Vec<Way> {
    let chip = |label: String, href| Way {
        href,
        label,
        selected: true,
    };
    let mut chips = Vec::new();
    if !ask.stars.is_empty() {
        let plural = if ask.stars == "1" { "star" } else { "stars" };
        chips.push(chip(
            format!("{} {plural}", ask.stars),
            ask.href(|ask| ask.stars.clear()),
        ));
    }
    for (at, with) in ask.with.iter().enumerate() {
        let label = shortened(&with.replacen(':', ": ", 1));
        chips.push(chip(
            label,
            ask.href(|ask| {
                ask.with.remove(at);
            }),
        ));
    }
    chips
}
