//! Shelves of suggested products: cards with a few words each why they are there.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::app::App;
use crate::clients::recommendations::Reason;
use crate::error::Error;
use crate::pages::PART_TIMEOUT;
use crate::pages::listing::Card;
use crate::pages::timeline::Moment;
use crate::shelves::{self, MyRecommendations, ProductRecommendations, Recommended};

/// Goods in the row "bought together".
const TOGETHER: usize = 4;
/// Goods on any other shelf.
const SHELF: usize = 4;

/// A shelf. It is not shown when it is empty and nothing is missing.
pub struct Shelf {
    /// The id of its heading.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What is on it.
    pub cards: Vec<Card>,
    /// Up to when what is on it was counted.
    pub as_of: Option<Moment>,
    /// What to say when it cannot be told.
    pub missing: Option<&'static str>,
}

impl Shelf {
    fn new(id: &'static str, title: &'static str, shown: Option<Vec<Recommended>>) -> Self {
        let missing = shown.is_none().then_some(AWAY);
        Self {
            id,
            title,
            cards: shown.into_iter().flatten().filter_map(card).collect(),
            as_of: None,
            missing,
        }
    }

    fn counted_at(mut self, at: Option<OffsetDateTime>) -> Self {
        self.as_of = at.map(Moment::new);
        self
    }

    /// True when there is something to show or to say.
    pub fn is_shown(&self) -> bool {
        !self.cards.is_empty() || self.missing.is_some()
    }
}

const AWAY: &str =
    "The part of the shop that finds what goes with what does not answer just now, so this is missing.";
const NAMELESS: &str = "The catalogue does not answer just now, so these suggestions are missing.";

/// Without the catalog there is nothing to show of a product.
fn card(one: Recommended) -> Option<Card> {
    let mut card = Card::from(one.product.as_ref()?);
    card.note = Some(one.explanation);
    card.again = one.reason == Reason::BoughtBefore;
    Some(card)
}

/// In time, or not at all.
async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Option<T> {
    match tokio::time::timeout(PART_TIMEOUT, call).await {
        Ok(Ok(found)) => return Some(found),
        Ok(Err(error)) => tracing::warn!(%error, "page without suggestions"),
        Err(_) => tracing::warn!("page without suggestions: they took too long"),
    }
    None
}

/// The shelves of a product's page: what is on the first one is not repeated on the second.
pub async fn of_product(app: &App, id: Uuid) -> Vec<Shelf> {
    const BOTH: u32 = 12;
    let found = in_time(shelves::of_product(app, id, BOTH)).await;
    let nameless = found
        .as_ref()
        .is_some_and(|found| found.degraded.contains(&"catalog"));
    if found.is_none() || nameless {
        let mut shelf = Shelf::new("also-bought", "Customers who bought this also bought", None);
        shelf.missing = Some(if nameless { NAMELESS } else { AWAY });
        return vec![shelf];
    }
    found.map(both).unwrap_or_default()
}

fn both(found: ProductRecommendations) -> Vec<Shelf> {
    let together = found.bought_together.map(|mut list| {
        list.truncate(TOGETHER);
        list
    });
    let first: Vec<Uuid> = together.iter().flatten().map(|one| one.product_id).collect();
    let also = found.also_bought.map(|mut list| {
        list.retain(|one| !first.contains(&one.product_id));
        list.truncate(SHELF);
        list
    });
    vec![
        Shelf::new("bought-together", "Bought together", together).counted_at(found.as_of),
        Shelf::new("also-bought", "Customers who bought this also bought", also).counted_at(found.as_of),
    ]
}

/// What the front page shows to somebody who is signed in.
#[derive(Default)]
pub struct ForYou {
    /// The shelves.
    pub shelves: Vec<Shelf>,
    /// True when what is popular is among them, so that the page need not show it twice.
    pub newcomer: bool,
}

/// The shelves of the front page.
pub async fn of_customer(app: &App, id: Uuid) -> ForYou {
    const LIMIT: u32 = 8;
    let found = in_time(shelves::of_customer(app, id, LIMIT)).await;
    let nameless = found
        .as_ref()
        .is_some_and(|found| found.degraded.contains(&"catalog"));
    if found.is_none() || nameless {
        let mut shelf = Shelf::new("for-you", "For you", None);
        shelf.missing = Some(if nameless { NAMELESS } else { AWAY });
        return ForYou {
            shelves: vec![shelf],
            newcomer: false,
        };
    }
    found.map(for_you).unwrap_or_default()
}

fn for_you(found: MyRecommendations) -> ForYou {
    let own = found.for_you.as_ref().map_or(0, Vec::len);
    let popular = found.popular.unwrap_or_default();
    let newcomer = found.for_you.is_some() && own == 0 && !popular.is_empty();
    let first = if newcomer {
        Shelf::new("for-you", "For you: what others like these days", Some(popular))
    } else {
        let filled = found
            .for_you
            .map(|list| list.into_iter().chain(popular).collect());
        Shelf::new("for-you", "For you", filled)
    };
    let mut again = Shelf::new("buy-again", "Buy again", found.buy_again);
    again.cards.truncate(SHELF);
    ForYou {
        shelves: vec![first.counted_at(found.as_of), again.counted_at(found.as_of)],
        newcomer,
    }
}

/// What a customer may want again, for the page of orders.
pub async fn buy_again(app: &App, id: Uuid) -> Shelf {
    let call = async { Ok(shelves::buy_again(app, id, 8).await?) };
    match in_time(call).await {
        Some((list, as_of)) => Shelf::new("buy-again", "Buy again", Some(list)).counted_at(as_of),
        None => Shelf::new("buy-again", "Buy again", None),
    }
}
