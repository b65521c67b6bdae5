//! Products to search: the same ones in each run and on each adapter.
//!
//! Their words are made up, drawn by Zipf's law as words of a language are, and end in vowels that no English stemmer takes
//! for an ending. So what matches is the same for every adapter, whatever it does to real English, and answers can be
//! compared. How well each finds what people mean is another question, which `emporium evaluate search` answers on real
//! products.

use std::collections::BTreeMap;

use emporium_catalog::model::AttributeValue;
use emporium_catalog::search::{Document, SearchQuery, Sort};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Zipf};
use time::{Duration, OffsetDateTime};

use super::prepare::id;

/// Words of the language.
const WORDS: usize = 1_600;
/// The most frequent ones, which are in too many products for anybody to search by.
const COMMON: usize = 40;
const CATEGORIES: usize = 40;
const BRANDS: usize = 200;
const COLOURS: [&str; 8] = ["red", "blue", "green", "black", "white", "grey", "brown", "pink"];
/// Products of a page.
pub const PAGE: u32 = 24;

/// A word: of four syllables, of which any two words differ in two, so that no slip of a letter makes one of another.
fn word(number: usize) -> String {
    const CONSONANTS: [char; 14] = [
        'b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z',
    ];
    const VOWELS: [char; 3] = ['a', 'o', 'u'];
    const SYLLABLES: usize = CONSONANTS.len() * VOWELS.len();
    let (a, b) = (number % SYLLABLES, number / SYLLABLES % SYLLABLES);
    let syllables = [a, b, (a + b) % SYLLABLES, (a + 2 * b + 7) % SYLLABLES];
    syllables
        .into_iter()
        .flat_map(|number| [CONSONANTS[number / VOWELS.len()], VOWELS[number % VOWELS.len()]])
        .collect()
}

/// Draws the words of one product.
struct Dice(StdRng);

impl Dice {
    fn of(number: usize) -> Self {
        Self(StdRng::seed_from_u64(number as u64))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    fn number(&mut self, end: i64) -> i64 {
        self.0.random_range(0..end)
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // a rank
    fn word(&mut self) -> String {
        let rank = Zipf::new(WORDS as f64, 1.0).map_or(1.0, |zipf| zipf.sample(&mut self.0));
        word((rank as usize).clamp(1, WORDS) - 1)
    }

    fn words(&mut self, count: usize) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

/// Product number `number`.
pub fn document(number: usize, now: OffsetDateTime) -> Document {
    let mut dice = Dice::of(number);
    let (category, brand) = (dice.below(CATEGORIES), dice.below(BRANDS));
    let name = dice.words(5);
    let description = dice.words(30);
    let attributes = BTreeMap::from([
        (
            "colour".to_owned(),
            AttributeValue::Text(COLOURS[dice.below(COLOURS.len())].to_owned()),
        ),
        ("size".to_owned(), AttributeValue::Number(dice.below(50).into())),
        ("boxed".to_owned(), AttributeValue::Flag(dice.below(2) == 0)),
    ]);
    Document {
        id: id("product", number),
        version: 1,
        sku: format!("BENCH-{number:06}"),
        name,
        description,
        category: format!("category-{category}"),
        category_name: format!("Category {}", word(WORDS + category)),
        brand: Some(format!("Brand {}", word(WORDS + CATEGORIES + brand % 100))),
        price: dice.number(100_000) + 1,
        attributes,
        in_stock: dice.below(10) > 0,
        popularity: dice.number(5_000),
        created_at: now - Duration::minutes(i64::try_from(number).unwrap_or(0)),
    }
}

/// Everything, best first, nothing filtered.
fn all() -> SearchQuery {
    SearchQuery::everything(Sort::Relevance, PAGE)
}

/// The first page of what has so many words, which are those of some product's name.
pub fn by_words(query: usize, words: usize, products: usize, now: OffsetDateTime) -> SearchQuery {
    // Each query begins elsewhere, and takes the first product whose name has enough words that say something.
    let text = (query * 37..).find_map(|number| {
        let name = document(number % products, now).name;
        let mut chosen: Vec<&str> = Vec::new();
        for word in name.split(' ') {
            if !is_common(word) && !chosen.contains(&word) {
                chosen.push(word);
            }
        }
        (chosen.len() >= words).then(|| chosen[..words].join(" "))
    });
    SearchQuery { text, ..all() }
}

fn is_common(chosen: &str) -> bool {
    (0..COMMON).any(|number| word(number) == chosen)
}

/// The first page of a category's products in stock below a price, cheapest first.
pub fn by_facets(query: usize) -> SearchQuery {
    const PRICES: [i64; 5] = [50_000, 60_000, 70_000, 80_000, 90_000];
    SearchQuery {
        category: Some(format!("category-{}", query % CATEGORIES)),
        price_max: Some(PRICES[query / CATEGORIES % PRICES.len()]),
        in_stock: Some(true),
        sort: Sort::PriceAsc,
        ..all()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_differ_by_more_than_a_slip() {
        let words: HashSet<String> = (0..WORDS + CATEGORIES + BRANDS / 2).map(word).collect();
        assert_eq!(words.len(), WORDS + CATEGORIES + BRANDS / 2);
        let differing = |a: &str, b: &str| a.bytes().zip(b.bytes()).filter(|(a, b)| a != b).count();
        let first: Vec<&String> = words.iter().take(300).collect();
        for (at, a) in first.iter().enumerate() {
            assert!(first[at + 1..].iter().all(|b| differing(a, b) >= 2), "{a}");
        }
    }

    #[test]
    fn products_and_queries_are_the_same_each_time() {
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(document(7, now), document(7, now));
        assert_ne!(document(7, now).name, document(8, now).name);
        let query = by_words(3, 3, 500, now);
        assert_eq!(query, by_words(3, 3, 500, now));
        assert_eq!(query.text.unwrap().split(' ').count(), 3);
    }
}
