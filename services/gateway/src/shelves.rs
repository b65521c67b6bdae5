//! What the recommendations service suggests, with the products as the catalog knows them now: one call a shelf, all at
//! once, then one batch call to the catalog for all of them. What is not sold any more is left out, so a little more is asked
//! for than is shown.

use std::collections::HashMap;

use emporium_service_kit::ServiceName;
use emporium_service_kit::client::CallError;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::clients::catalog::{Product, ProductStatus};
use crate::clients::recommendations::{Reason, Shelf, Suggestion};
use crate::compose::{kept, products};
use crate::error::Error;

/// The longest list.
pub const LIMIT_MAX: u32 = 20;
/// How many more are asked for than are shown.
const SPARE: u32 = 6;

/// What goes with a product.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductRecommendations {
    /// What was bought together with it more often than once, best first; null when the service did not say.
    pub bought_together: Option<Vec<Recommended>>,
    /// What customers who bought it bought in the same orders, best first; null when the service did not say.
    pub also_bought: Option<Vec<Recommended>>,
    /// Everything that happened before this moment is in it; null while that is not known.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
    /// Services that could not add their part: `recommendations`, `catalog`.
    pub degraded: Vec<&'static str>,
}

/// What a customer may want.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyRecommendations {
    /// Found by what the customer bought, each with the reason; none of it was bought before. Empty for a newcomer, null when
    /// the service did not say.
    pub for_you: Option<Vec<Recommended>>,
    /// What many buy these days, where `for_you` is shorter than it may be: all of it for a newcomer.
    pub popular: Option<Vec<Recommended>>,
    /// What the customer bought before and may want again; null when the service did not say.
    pub buy_again: Option<Vec<Recommended>>,
    /// Everything that happened before this moment is in it; null while that is not known.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
    /// Services that could not add their part: `recommendations`, `catalog`.
    pub degraded: Vec<&'static str>,
}

/// A product that is suggested.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Recommended {
    /// Which.
    pub product_id: Uuid,
    /// As the catalog knows it now; null when the catalog is away.
    pub product: Option<Product>,
    /// Why it is here.
    pub reason: Reason,
    /// The same in a few words, such as "Because you bought a red mug".
    pub explanation: String,
    /// The product that speaks for it most.
    pub because: Option<Uuid>,
    /// In how many orders it is together with what it was found by.
    pub together: Option<u32>,
    /// How many of the customer's orders have it.
    pub times: Option<u32>,
}

/// Where a suggestion stands, which decides how it is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Together,
    Also,
    Customer,
}

/// What the catalog says; `None` when it is away.
type Known = Option<HashMap<Uuid, Product>>;

/// What goes with a product: 404 for one that the catalog does not know, 503 when nobody recommends.
pub async fn of_product(app: &App, id: Uuid, limit: u32) -> Result<ProductRecommendations, Error> {
    let (client, asked) = (&app.clients.recommendations, limit + SPARE);
    let (together, also) = tokio::join!(client.bought_together(id, asked), client.also_bought(id, asked));
    let mut degraded = Vec::new();
    let (together, also) = either(together, also, &mut degraded)?;
    let as_of = earliest([&together, &also]);
    let known = look_up(app, [&together, &also], vec![id], &mut degraded).await;
    if known.as_ref().is_some_and(|known| !known.contains_key(&id)) {
        return Err(Error::Unknown("product"));
    }
    let shown = |shelf: Option<Shelf>, place| shelf.map(|shelf| shown(shelf.items, &known, place, limit));
    Ok(ProductRecommendations {
        bought_together: shown(together, Place::Together),
        also_bought: shown(also, Place::Also),
        as_of,
        degraded,
    })
}

/// What a customer may want; 503 when nobody recommends.
pub async fn of_customer(app: &App, id: Uuid, limit: u32) -> Result<MyRecommendations, Error> {
    let (client, asked) = (&app.clients.recommendations, limit + SPARE);
    let (for_you, again) = tokio::join!(client.for_you(id, asked), client.buy_again(id, asked));
    let mut degraded = Vec::new();
    let (for_you, again) = either(for_you, again, &mut degraded)?;
    let as_of = earliest([&for_you, &again]);
    let known = look_up(app, [&for_you, &again], Vec::new(), &mut degraded).await;
    let shown = |items: Vec<Suggestion>| shown(items, &known, Place::Customer, limit);
    let (own, popular) = match for_you {
        None => (None, None),
        Some(shelf) => {
            let all = shown(shelf.items).into_iter();
            let (popular, own) = all.partition(|one| one.reason == Reason::Popular);
            (Some(own), Some(popular))
        }
    };
    Ok(MyRecommendations {
        for_you: own,
        popular,
        buy_again: again.map(|shelf| shown(shelf.items)),
        as_of,
        degraded,
    })
}

/// What a customer may want again, alone.
pub async fn buy_again(
    app: &App,
    id: Uuid,
    limit: u32,
) -> Result<(Vec<Recommended>, Option<OffsetDateTime>), CallError> {
    let shelf = app.clients.recommendations.buy_again(id, limit + SPARE).await?;
    let as_of = shelf.as_of;
    let ids = shelf.items.iter().map(|one| one.product_id).collect();
    let known = Some(products(app, ids).await?);
    Ok((shown(shelf.items, &known, Place::Customer, limit), as_of))
}

/// Both shelves, or what there is of them: the first one's error when there is none.
fn either(
    one: Result<Shelf, CallError>,
    other: Result<Shelf, CallError>,
    degraded: &mut Vec<&'static str>,
) -> Result<(Option<Shelf>, Option<Shelf>), Error> {
    let (one, other) = match (one, other) {
        (Err(error), Err(_)) => return Err(error.into()),
        (one, other) => (one, other),
    };
    let service = ServiceName::Recommendations;
    Ok((kept(service, one, degraded), kept(service, other, degraded)))
}

fn earliest(shelves: [&Option<Shelf>; 2]) -> Option<OffsetDateTime> {
    let moments = shelves.into_iter().flatten().map(|shelf| shelf.as_of);
    moments.min().flatten()
}

/// Everything that is on the shelves, and what speaks for it, in one call.
async fn look_up(
    app: &App,
    shelves: [&Option<Shelf>; 2],
    mut ids: Vec<Uuid>,
    degraded: &mut Vec<&'static str>,
) -> Known {
    for one in shelves.into_iter().flatten().flat_map(|shelf| &shelf.items) {
        ids.extend([Some(one.product_id), one.because].into_iter().flatten());
    }
    kept(ServiceName::Catalog, products(app, ids).await, degraded)
}

fn shown(items: Vec<Suggestion>, known: &Known, place: Place, limit: u32) -> Vec<Recommended> {
    let sold = |id: &Uuid| match known {
        None => true,
        Some(known) => known
            .get(id)
            .is_some_and(|product| product.status == ProductStatus::Active),
    };
    let find = |id: Uuid| known.as_ref().and_then(|known| known.get(&id));
    items
        .into_iter()
        .filter(|one| sold(&one.product_id))
        .take(limit as usize)
        .map(|one| Recommended {
            explanation: explain(&one, place, one.because.and_then(find)),
            product: find(one.product_id).cloned(),
            product_id: one.product_id,
            reason: one.reason,
            because: one.because,
            together: one.together,
            times: one.times,
        })
        .collect()
}

fn explain(one: &Suggestion, place: Place, because: Option<&Product>) -> String {
    match (one.reason, place) {
        (Reason::Popular, _) => "Popular just now".to_owned(),
        (Reason::BoughtBefore, _) => match one.times {
            None | Some(0) => "You bought it before".to_owned(),
            Some(1) => "You bought it once".to_owned(),
            Some(times) => format!("You bought it {times} times"),
        },
        (Reason::BoughtTogether, Place::Customer) => match because {
            Some(product) => format!("Because you bought {}", product.name),
            None => "Goes with what you bought".to_owned(),
        },
        (Reason::BoughtTogether, Place::Together) => match one.together {
            None | Some(0 | 1) => "Bought together".to_owned(),
            Some(orders) => format!("Bought together in {orders} orders"),
        },
        (Reason::BoughtTogether, Place::Also) => match one.together {
            None | Some(0) => "Bought with this one".to_owned(),
            Some(1) => "In one order with this one".to_owned(),
            Some(orders) => format!("In {orders} orders with this one"),
        },
    }
}
