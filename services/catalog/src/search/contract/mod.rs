//! What every search index promises, as tests: `search_contract!(name, make)` instantiates them for an adapter, where
//! `make` is an async function that gives an empty index, in anything that dereferences to `dyn SearchIndex`; what is applied
//! is seen by the next search. `None` where the store cannot be had, which `make` has noted.
//!
//! For tests only, so it panics instead of returning errors.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::too_many_lines,
    reason = "a suite for tests, where a surprise has to fail"
)]

use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Document, IndexChange, SearchIndex, SearchPage, SearchQuery, Sort};
use crate::model::AttributeValue;

/// Instantiates the suite for an adapter.
#[macro_export]
macro_rules! search_contract {
    ($name:ident, $make:path) => {
        mod $name {
            $crate::search_contract!(@tests $make,
                finds_words_wherever_they_stand, forgives_one_slip_a_word, counts_and_filters, pages_without_gaps,
                pages_stay_joined_while_others_change,
                refuses_foreign_cursors, survives_hostile_texts, follows_changes, falls_back_to_any_word, suggests,
                removals_have_versions, concurrent_writers_agree, goes_on_after_another_adapters_page,
                shows_where_words_stand, counts_beyond_the_bound,
                finds_words_of_every_script, long_values_find_nothing, agrees_with_a_model
            );
        }
    };
    (@tests $make:path, $($test:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let Some(index) = $make().await else { return };
                $crate::search::contract::$test(&*index).await;
            }
        )+
    };
}

mod changes;
mod lists;
mod model;
mod words;

pub use changes::{
    concurrent_writers_agree, counts_beyond_the_bound, follows_changes, goes_on_after_another_adapters_page,
    removals_have_versions, shows_where_words_stand,
};
pub use lists::{
    counts_and_filters, long_values_find_nothing, pages_stay_joined_while_others_change, pages_without_gaps,
    refuses_foreign_cursors,
};
pub use model::agrees_with_a_model;
pub use words::{
    falls_back_to_any_word, finds_words_of_every_script, finds_words_wherever_they_stand,
    forgives_one_slip_a_word, suggests, survives_hostile_texts,
};

const EPOCH: OffsetDateTime = datetime!(2024-01-01 00:00 UTC);

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}

fn document(number: u128, name: &str, category: &str, brand: &str) -> Document {
    Document {
        id: id(number),
        version: 1,
        sku: format!("SKU-{number}"),
        name: name.to_owned(),
        description: String::new(),
        category: category.to_lowercase(),
        category_name: category.to_owned(),
        brand: Some(brand.to_owned()).filter(|brand| !brand.is_empty()),
        price: 1_000 * i64::try_from(number).unwrap(),
        attributes: [].into(),
        in_stock: true,
        popularity: 0,
        created_at: EPOCH + Duration::minutes(i64::try_from(number).unwrap()),
    }
}

fn put(document: Document) -> IndexChange {
    IndexChange::Put(Box::new(document))
}

fn everything(sort: Sort) -> SearchQuery {
    SearchQuery::everything(sort, 20)
}

fn query(text: &str) -> SearchQuery {
    SearchQuery {
        text: Some(text.to_owned()),
        ..everything(Sort::Relevance)
    }
}

async fn find(index: &dyn SearchIndex, text: &str) -> SearchPage {
    index.search(&query(text)).await.unwrap()
}

fn numbers(page: &SearchPage) -> Vec<u128> {
    page.ids
        .iter()
        .map(|found| found.as_u128() - id(0).as_u128())
        .collect()
}

async fn fill(index: &dyn SearchIndex) {
    let mut laptop = document(1, "Traveller 15.6 laptop", "Computers", "Novatek");
    laptop.description = "A light machine for students".into();
    let mut bag = document(2, "Shoulder bag", "Accessories", "Carrier");
    bag.description = "Holds a laptop of up to 15.6 inches".into();
    let mut mouse = document(3, "Wireless mouse", "Accessories", "Novatek");
    mouse.attributes = [
        ("colour".to_owned(), AttributeValue::Text("Midnight blue".into())),
        ("buttons".to_owned(), AttributeValue::Number(3.into())),
        ("rechargeable".to_owned(), AttributeValue::Flag(true)),
    ]
    .into();
    let kettle = document(4, "Kettle, stainless steel", "Kitchen", "");
    let headphones = document(5, "Studio headphones", "Audio", "Klangwerk");
    let batteries = document(6, "Rechargeable batteries, four", "Accessories", "Voltara");
    let changes = [laptop, bag, mouse, kettle, headphones, batteries].map(put);
    index.apply(&changes).await.unwrap();
}
