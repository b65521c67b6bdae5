//! Baskets of the gift shop's orders that the shop has, read off its owners' event histories.

use std::collections::{BTreeSet, HashMap};

use emporium_event_bus::CloudEvent;
use emporium_event_bus::history::{self, HistoryPage};
use emporium_recommendations::evaluation::{Basket, code};
use emporium_service_kit::ServiceName;
use emporium_service_kit::client::{CallError, Client};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::operator::Operator;
use crate::terminal::Later;

/// What the importer calls its orders, and its customers' addresses before and after their number.
const SOURCE: &str = "online-retail";
const ADDRESS: (&str, &str) = ("customer-", "@gift-shop.example");

#[derive(Deserialize)]
struct UserData {
    id: Uuid,
    email: String,
}

#[derive(Deserialize)]
struct ProductData {
    id: Uuid,
    sku: String,
}

#[derive(Deserialize)]
struct OrderData {
    order_id: Uuid,
    customer_id: Option<Uuid>,
    lines: Vec<Line>,
    #[serde(with = "time::serde::rfc3339")]
    placed_at: OffsetDateTime,
    source: String,
}

#[derive(Deserialize)]
struct Line {
    product_id: Uuid,
    quantity: i64,
    unit_price: i64,
}

/// The number that an order has for people: the importer's is the invoice's.
#[derive(Deserialize)]
struct Numbered {
    number: String,
}

/// All confirmed orders of the gift shop's known customers, by what the data set calls customers and goods. Everything that
/// the owners have written down when this begins is in it.
pub(super) async fn baskets(operator: &Operator) -> Result<Vec<Basket>, Error> {
    let mut progress = Later::begin();
    let numbers = customers(operator, &mut progress).await?;
    let codes = goods(operator, &mut progress).await?;
    let orders = operator.client(ServiceName::Operator, ServiceName::Orders)?;
    let mut baskets: HashMap<Uuid, Basket> = HashMap::new();
    read(&orders, &mut progress, |event| {
        if event.kind != "order.confirmed.v1" {
            return Ok(());
        }
        let order: OrderData = data(event)?;
        let number = order.customer_id.and_then(|id| numbers.get(&id));
        let (Some(customer), SOURCE) = (number, order.source.as_str()) else {
            return Ok(());
        };
        let sold = order
            .lines
            .iter()
            .filter(|line| line.quantity > 0 && line.unit_price > 0);
        let goods: BTreeSet<String> = sold
            .filter_map(|line| codes.get(&line.product_id).cloned())
            .collect();
        if !goods.is_empty() {
            let basket = Basket {
                customer: customer.clone(),
                invoice: String::new(),
                at: order.placed_at,
                goods,
            };
            baskets.insert(order.order_id, basket);
        }
        Ok(())
    })
    .await?;
    name_rivals(operator, &mut baskets).await?;
    progress.end();
    Ok(baskets.into_values().collect())
}

/// Customers' numbers by id.
async fn customers(operator: &Operator, progress: &mut Later) -> Result<HashMap<Uuid, String>, Error> {
    let users = operator.client(ServiceName::Operator, ServiceName::Users)?;
    let mut numbers = HashMap::new();
    read(&users, progress, |event| {
        if event.kind == "user.registered.v1" {
            let user: UserData = data(event)?;
            let (before, after) = ADDRESS;
            let number = user
                .email
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            // Addresses are in small letters, the data set's numbers in capitals.
            numbers.extend(number.map(|number| (user.id, number.to_uppercase())));
        }
        Ok(())
    })
    .await?;
    Ok(numbers)
}

/// Stock codes by the product's id, of what is a good.
async fn goods(operator: &Operator, progress: &mut Later) -> Result<HashMap<Uuid, String>, Error> {
    let catalog = operator.client(ServiceName::Operator, ServiceName::Catalog)?;
    let mut codes = HashMap::new();
    read(&catalog, progress, |event| {
        if event.kind == "product.created.v1" {
            let product: ProductData = data(event)?;
            codes.extend(code(&product.sku).map(|code| (product.id, code)));
        }
        Ok(())
    })
    .await?;
    Ok(codes)
}

/// Which of a customer's orders of the same moment comes first, its invoice number says, which no event tells.
async fn name_rivals(operator: &Operator, baskets: &mut HashMap<Uuid, Basket>) -> Result<(), Error> {
    // Single orders are the gateway's to see.
    let orders = operator.client(ServiceName::Gateway, ServiceName::Orders)?;
    let mut moments: HashMap<(String, OffsetDateTime), Vec<Uuid>> = HashMap::new();
    for (id, basket) in baskets.iter() {
        moments
            .entry((basket.customer.clone(), basket.at))
            .or_default()
            .push(*id);
    }
    for id in moments.into_values().filter(|orders| orders.len() > 1).flatten() {
        let call = orders.get(format!("/orders/{id}"));
        let order: Numbered = call.send().await.map_err(failed)?;
        if let Some(basket) = baskets.get_mut(&id) {
            basket.invoice = order.number;
        }
    }
    Ok(())
}

/// Reads a history from its start to where it ended at the beginning, or further.
async fn read(
    owner: &Client,
    progress: &mut Later,
    mut each: impl FnMut(&CloudEvent) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let page: HistoryPage = history::fetch_page(owner, after).await.map_err(failed)?;
        for item in &page.items {
            each(&item.event)?;
        }
        let end = page.end.map_or_else(String::new, |end| format!(" of {end}"));
        progress.tell(format_args!(
            "reading the history of {}: {}{end}",
            owner.callee(),
            page.next_after
        ));
        if page.at_end {
            return Ok(());
        }
        after = page.next_after;
    }
}

fn data<T: DeserializeOwned>(event: &CloudEvent) -> Result<T, Error> {
    event.data().map_err(|error| {
        Error::Other(format!(
            "the event {} ({}) cannot be read: {error}",
            event.id, event.kind
        ))
    })
}

fn failed(source: CallError) -> Error {
    if source.is_unavailable() {
        return Error::Away(source.to_string());
    }
    Error::Call {
        what: "reading histories",
        source,
    }
}
