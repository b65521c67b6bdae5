//! The goods: what each stock code is called, what it costs, and which category its words put it in.

use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use super::codes::{self, CodeKind};
use super::ledger::{Ledger, Role};
use super::table::Table;
use super::words;
use crate::ids;

/// Identity must not depend on which file showed a thing first, so ids of products and customers carry the day on
/// which the data set begins.
pub const DATA_SET_EPOCH: OffsetDateTime = datetime!(2009-12-01 00:00 UTC);

/// Goods of the file.
pub struct Product {
    /// Derived from the code alone.
    pub id: Uuid,
    /// The tidy name.
    pub name: std::sync::Arc<str>,
    /// Whether the file has no proper name for it.
    pub name_missing: bool,
    /// The usual price in pennies.
    pub price: i64,
    /// Whether it was never sold for money, so that the price is its category's median.
    pub price_invented: bool,
    /// Slug and name of the category.
    pub category: (&'static str, &'static str),
    /// When the file first mentions it.
    pub first_at: OffsetDateTime,
}

/// What the lines say about a code.
#[derive(Default)]
struct Evidence {
    first_at: Option<OffsetDateTime>,
    description: Option<u32>,
    price: Option<i64>,
}

/// The id of the goods with that code.
pub fn product_id(code: &str) -> Uuid {
    ids::derive(DATA_SET_EPOCH, "online-retail/product", code.as_bytes())
}

/// All goods, by the number of their code; none for codes that are not goods or whose lines were all rejected.
pub fn products(table: &Table, ledger: &Ledger) -> Vec<Option<Product>> {
    let mut evidence: Vec<Evidence> = (0..table.codes.len()).map(|_| Evidence::default()).collect();
    first_times(table, ledger, &mut evidence);
    usual_descriptions(table, ledger, &mut evidence);
    usual_prices(table, ledger, &mut evidence);
    let mut products: Vec<Option<Product>> = (0..)
        .zip(&evidence)
        .map(|(code, found)| product(table, code, found))
        .collect();
    invent_prices(&mut products);
    products
}

fn product(table: &Table, code: u32, found: &Evidence) -> Option<Product> {
    let first_at = found.first_at?;
    let code = table.codes.text(code);
    if codes::kind(code) != CodeKind::Goods {
        return None;
    }
    let name = found
        .description
        .map(|description| words::tidy(table.descriptions.text(description)));
    let category = name.as_deref().map_or(words::OTHER, words::category);
    Some(Product {
        id: product_id(code),
        name_missing: name.is_none(),
        name: name.unwrap_or_else(|| format!("Gift Shop Item {code}")).into(),
        price: found.price.unwrap_or(0),
        price_invented: found.price.is_none(),
        category,
        first_at,
    })
}

fn first_times(table: &Table, ledger: &Ledger, evidence: &mut [Evidence]) {
    for (line, role) in table.lines.iter().zip(&ledger.roles) {
        if *role != Role::Rejected {
            let at = table.invoices[line.invoice as usize].at;
            let first_at = &mut evidence[line.code as usize].first_at;
            *first_at = Some(first_at.map_or(at, |first| first.min(at)));
        }
    }
}

/// The most common description: of lines with a price, because "damaged", "?" and the like stand at lines without
/// one; else of those that at least look like a name.
fn usual_descriptions(table: &Table, ledger: &Ledger, evidence: &mut [Evidence]) {
    let mut seen: Vec<(u32, bool, u32)> = table
        .lines
        .iter()
        .zip(&ledger.roles)
        .filter(|(_, role)| **role != Role::Rejected)
        .map(|(line, _)| (line.code, line.price_micros == 0, line.description))
        .collect();
    seen.sort_unstable();
    // Lines with a price come first; lines without one count only if those gave no name.
    let mut best = (false, 0);
    for run in seen.chunk_by(|one, other| one == other) {
        let (code, unpriced, description) = run[0];
        let found = &mut evidence[code as usize].description;
        let is_better = found.is_none() || (unpriced == best.0 && run.len() > best.1);
        if is_better && words::is_name(table.descriptions.text(description), unpriced) {
            *found = Some(description);
            best = (unpriced, run.len());
        }
    }
}

/// The most common price of sold units in whole pennies; of equally common ones the most recent.
fn usual_prices(table: &Table, ledger: &Ledger, evidence: &mut [Evidence]) {
    let mut seen: Vec<(u32, i64, OffsetDateTime)> = table
        .lines
        .iter()
        .zip(&ledger.roles)
        .filter(|(line, role)| {
            **role == Role::Order
                && line.quantity > 0
                && line.price_micros > 0
                && line.price_micros % 10_000 == 0
        })
        .map(|(line, _)| {
            (
                line.code,
                line.price_micros / 10_000,
                table.invoices[line.invoice as usize].at,
            )
        })
        .collect();
    seen.sort_unstable();
    let mut best = (0, OffsetDateTime::UNIX_EPOCH);
    for run in seen.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
        let (code, price, _) = run[0];
        let rank = (run.len(), run[run.len() - 1].2);
        let found = &mut evidence[code as usize].price;
        if found.is_none() || rank > best {
            *found = Some(price);
            best = rank;
        }
    }
}

/// Goods that were never sold get the median price of their category.
fn invent_prices(products: &mut [Option<Product>]) {
    /// For a category in which nothing was ever sold.
    const FALLBACK_PENNIES: i64 = 295;
    let mut known: Vec<(&str, i64)> = products
        .iter()
        .flatten()
        .filter(|product| !product.price_invented)
        .map(|product| (product.category.0, product.price))
        .collect();
    known.sort_unstable();
    let medians: Vec<(&str, i64)> = known
        .chunk_by(|one, other| one.0 == other.0)
        .map(|run| run[run.len() / 2])
        .collect();
    for product in products
        .iter_mut()
        .flatten()
        .filter(|product| product.price_invented)
    {
        let median = medians
            .iter()
            .find(|(category, _)| *category == product.category.0);
        product.price = median.map_or(FALLBACK_PENNIES, |(_, price)| *price);
    }
}
