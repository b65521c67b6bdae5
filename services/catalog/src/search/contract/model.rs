//! Random sequences of changes against a model in memory: filters, counts, facets and orders have to agree, and so do the
//! products found by words. The order by relevance is each adapter's own.
//!
//! A sequence has a world of its own (a brand that nothing else has), so that many share one index: changes of many go in one
//! call, which is what makes hundreds of sequences affordable where a change is seen only after a refresh.

use std::collections::{BTreeMap, BTreeSet};

use time::Duration;
use uuid::Uuid;

use super::{EPOCH, everything};
use crate::model::AttributeValue;
use crate::search::cursor::micros_of;
use crate::search::{
    Document, FacetValue, IndexChange, SearchIndex, SearchPage, SearchQuery, Sort, price_range,
};

const BATCHES: u64 = 21;
const WORLDS: u64 = 25;
const STEPS: usize = 10;
const PRODUCTS: u64 = 7;
/// Far from each other, and each its own stem.
const WORDS: [&str; 8] = [
    "kettle", "blanket", "zipper", "laptop", "umbrella", "violin", "hammock", "cupboard",
];
const CATEGORIES: [&str; 3] = ["Garden", "Office", "Travel"];
const COLOURS: [&str; 3] = ["red", "green", "blue"];
const SORTS: [Sort; 6] = [
    Sort::Relevance,
    Sort::Popular,
    Sort::Newest,
    Sort::PriceAsc,
    Sort::PriceDesc,
    Sort::Name,
];

/// `SplitMix64` (Steele, Lea and Flood 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }
}

/// What one sequence has done.
struct World {
    brand: String,
    first: u128,
    /// By product: its version, and how it looks if it is listed.
    products: BTreeMap<Uuid, (i64, Option<Document>)>,
}

impl World {
    fn new(number: u64) -> Self {
        Self {
            brand: format!("world{number}"),
            first: (0x0191 << 112) + (u128::from(number) << 16),
            products: BTreeMap::new(),
        }
    }

    /// The next change, already in the model if it is one that counts.
    fn change(&mut self, random: &mut Random) -> IndexChange {
        let id = Uuid::from_u128(self.first + u128::from(random.below(PRODUCTS)));
        let (held, document) = self.products.get(&id).cloned().unwrap_or((0, None));
        let version = match random.below(8) {
            // Late, or the same again.
            0 | 1 if held > 1 => held - i64::try_from(random.below(2)).unwrap(),
            n => held + 1 + i64::from(n == 2),
        };
        let change = match document {
            _ if random.one_in(6) => IndexChange::Remove { id, version },
            Some(traded) if random.one_in(2) => IndexChange::Put(Box::new(Document {
                version,
                in_stock: random.one_in(2),
                popularity: i64::try_from(random.below(4)).unwrap(),
                ..traded
            })),
            _ => IndexChange::Put(Box::new(self.document(id, version, random))),
        };
        if version > held {
            let now = match &change {
                IndexChange::Put(document) => Some(document.as_ref().clone()),
                IndexChange::Remove { .. } => None,
            };
            self.products.insert(id, (version, now));
        }
        change
    }

    fn document(&self, id: Uuid, version: i64, random: &mut Random) -> Document {
        let category = random.pick(&CATEGORIES);
        let colour = random.pick(&COLOURS);
        Document {
            id,
            version,
            sku: format!("W-{}", id.as_u128() & 0xFFFF),
            name: format!("{} {}", random.pick(&WORDS), random.pick(&WORDS)),
            description: random.pick(&WORDS).to_owned(),
            category: category.to_lowercase(),
            category_name: category.to_owned(),
            brand: Some(self.brand.clone()),
            price: [0, 999, 1_000, 2_500, 70_000, 100_000][usize::try_from(random.below(6)).unwrap()],
            attributes: [("colour".to_owned(), AttributeValue::Text(colour.to_owned()))].into(),
            in_stock: random.one_in(2),
            popularity: i64::try_from(random.below(4)).unwrap(),
            created_at: EPOCH + Duration::hours(i64::try_from(random.below(5)).unwrap()),
        }
    }

    fn query(&self, random: &mut Random) -> SearchQuery {
        let mut query = everything(random.pick(&SORTS));
        query.brand = Some(self.brand.clone());
        query.limit = if random.one_in(2) { 3 } else { 20 };
        if random.one_in(2) {
            let words: Vec<&str> = (0..=random.below(2)).map(|_| random.pick(&WORDS)).collect();
            query.text = Some(words.join(" "));
        }
        query.category = random.one_in(4).then(|| random.pick(&CATEGORIES).to_lowercase());
        query.in_stock = random.one_in(3).then(|| random.one_in(2));
        query.price_min = random.one_in(4).then(|| random.pick(&[0, 999, 1_000]));
        query.price_max = random.one_in(4).then(|| random.pick(&[999, 2_500, 70_000]));
        if random.one_in(4) {
            query.attributes = vec![("colour".to_owned(), random.pick(&COLOURS).to_owned())];
        }
        query
    }

    /// What the query has to find: with all the words or, when nothing has them all, with any.
    fn found(&self, query: &SearchQuery) -> Vec<&Document> {
        let listed = self
            .products
            .values()
            .filter_map(|(_, document)| document.as_ref());
        let fitting: Vec<&Document> = listed.filter(|document| fits(document, query)).collect();
        let words: BTreeSet<&str> = query.text.iter().flat_map(|text| text.split(' ')).collect();
        let has = |document: &Document, word: &str| {
            document.name.split(' ').any(|other| other == word) || document.description == word
        };
        let with_all = |document: &&&Document| words.iter().all(|word| has(document, word));
        let all: Vec<&Document> = fitting.iter().filter(with_all).copied().collect();
        if !all.is_empty() || words.is_empty() {
            return all;
        }
        let with_any = |document: &&Document| words.iter().any(|word| has(document, word));
        fitting.into_iter().filter(with_any).collect()
    }

    async fn check(&self, index: &dyn SearchIndex, query: &SearchQuery) {
        let mut expected = self.found(query);
        expected.sort_by(|a, b| order(query.order(), a, b));
        let expected_ids: Vec<Uuid> = expected.iter().map(|document| document.id).collect();
        let mut asked = query.clone();
        let mut seen = Vec::new();
        loop {
            let page = index.search(&asked).await.unwrap();
            check_summary(&page, &expected, query);
            seen.extend(page.ids);
            asked.cursor = page.next_cursor;
            if asked.cursor.is_none() {
                break;
            }
        }
        if query.order() == Sort::Relevance {
            let distinct: BTreeSet<Uuid> = seen.iter().copied().collect();
            assert_eq!(distinct.len(), seen.len(), "nothing twice: {query:?}");
            assert_eq!(distinct, expected_ids.into_iter().collect(), "{query:?}");
        } else {
            assert_eq!(seen, expected_ids, "{query:?}");
        }
    }
}

fn fits(document: &Document, query: &SearchQuery) -> bool {
    let colour = document.attributes.get("colour").map(AttributeValue::shown);
    query
        .category
        .as_ref()
        .is_none_or(|category| *category == document.category)
        && query
            .in_stock
            .is_none_or(|in_stock| in_stock == document.in_stock)
        && query.price_min.is_none_or(|price| document.price >= price)
        && query.price_max.is_none_or(|price| document.price <= price)
        && query
            .attributes
            .iter()
            .all(|(_, value)| colour.as_ref() == Some(value))
}

fn order(sort: Sort, a: &Document, b: &Document) -> std::cmp::Ordering {
    match sort {
        Sort::Relevance | Sort::Popular => {
            (b.in_stock, b.popularity, b.id).cmp(&(a.in_stock, a.popularity, a.id))
        }
        Sort::Newest => (micros_of(b.created_at), b.id).cmp(&(micros_of(a.created_at), a.id)),
        Sort::PriceAsc => (a.price, a.id).cmp(&(b.price, b.id)),
        Sort::PriceDesc => (b.price, b.id).cmp(&(a.price, a.id)),
        Sort::Name => (&a.name, a.id).cmp(&(&b.name, b.id)),
    }
}

fn check_summary(page: &SearchPage, expected: &[&Document], query: &SearchQuery) {
    let summary = &page.summary;
    assert_eq!(summary.total, i64::try_from(expected.len()).unwrap(), "{query:?}");
    assert_eq!(
        summary.facets.category,
        tally(
            expected
                .iter()
                .map(|document| (&*document.category, &*document.category_name))
        ),
        "{query:?}"
    );
    let brands = expected.iter().filter_map(|document| document.brand.as_deref());
    assert_eq!(
        summary.facets.brand,
        tally(brands.map(|brand| (brand, brand))),
        "{query:?}"
    );
    let mut prices: BTreeMap<usize, i64> = BTreeMap::new();
    for document in expected {
        *prices.entry(price_range(document.price)).or_default() += 1;
    }
    let shown: Vec<(usize, i64)> = summary
        .facets
        .price
        .iter()
        .map(|range| (price_range(range.from), range.count))
        .collect();
    assert_eq!(shown, prices.into_iter().collect::<Vec<_>>(), "{query:?}");
}

fn tally<'a>(values: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<FacetValue> {
    let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut facets: Vec<FacetValue> = counts
        .into_iter()
        .map(|((value, name), count)| FacetValue {
            value: value.to_owned(),
            name: name.to_owned(),
            count,
        })
        .collect();
    facets.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    facets
}

/// Five hundred and some sequences of put, trade, remove, late and repeated changes, each looked at in the middle and at its end.
pub async fn agrees_with_a_model(index: &dyn SearchIndex) {
    let seed = std::env::var("EMPORIUM_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    println!("EMPORIUM_TEST_SEED={seed}");
    let mut random = Random(seed);
    for batch in 0..BATCHES {
        let mut worlds: Vec<World> = (0..WORLDS).map(|n| World::new(batch * WORLDS + n)).collect();
        for step in 0..STEPS {
            let changes: Vec<IndexChange> =
                worlds.iter_mut().map(|world| world.change(&mut random)).collect();
            index.apply(&changes).await.unwrap();
            if step + 1 == STEPS / 2 || step + 1 == STEPS {
                let asked: Vec<SearchQuery> = worlds.iter().map(|world| world.query(&mut random)).collect();
                let lane = async |lane: usize| {
                    for (world, query) in worlds.iter().zip(&asked).skip(lane).step_by(4) {
                        world.check(index, query).await;
                    }
                };
                tokio::join!(lane(0), lane(1), lane(2), lane(3));
            }
        }
    }
}
