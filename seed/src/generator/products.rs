//! One product: what it is, what it is called, what it costs, and what there is to say about it.

use std::sync::Arc;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::seasons::{ORDER_DAYS, REFERENCE};
use super::text::{fill, title_case, with_article};
use super::vocabulary::{CATEGORY_COUNT, Category, Fact, Noun, THEME_COUNT, THEMES, Values, category};
use super::{Generator, Stream};
use crate::ids;
use crate::people;
use crate::records::{AttributeValue, Attributes, Money, ProductRecord};

/// Products that came while the orders were already running, out of a hundred.
const RECENT_PERCENT: u32 = 15;
/// The newest product is this old, so that it can have been bought.
const NEWEST_DAYS: i64 = 14;
/// How long before the first order the oldest products came.
const OLDEST_DAYS: i64 = 2 * ORDER_DAYS;
/// The least there is of anything.
const STOCK_MIN: i64 = 100;

/// What the choice of a product for an order looks at; cheap to make.
pub(super) struct Blueprint {
    pub index: u64,
    pub category: &'static Category,
    pub theme: usize,
    pub brand: usize,
    pub created_at: OffsetDateTime,
    pub noun: &'static Noun,
    rng: ChaCha8Rng,
}

/// What an order line shows of a product.
pub(super) struct Article {
    pub id: Uuid,
    pub sku: Arc<str>,
    pub name: Arc<str>,
    pub price: i64,
}

/// A product with all its words chosen, before sentences are made of them.
struct Draft {
    blueprint: Blueprint,
    article: Article,
    range: &'static str,
    material: &'static str,
    colour: Option<&'static str>,
    facts: Vec<(&'static Fact, AttributeValue)>,
    /// Title and author of a book.
    book: Option<(String, String)>,
}

impl Generator {
    /// The number of products in every category.
    pub(super) fn per_category(&self) -> u64 {
        self.scale.products() / CATEGORY_COUNT as u64
    }

    /// The product with the popularity rank `rank` (from 0) in the category number `category`.
    ///
    /// Ranks are dealt over the category's products, so that a product's number says nothing about its popularity.
    pub(super) fn product_at_rank(&self, category: usize, rank: u64) -> u64 {
        /// Shares no factor with any scale's number of products a category (5, 50, 1,250, 25,000).
        const STEP: u64 = 7_919;
        let count = self.per_category();
        let place = (rank * STEP + category as u64 * 31 + self.seed % count) % count;
        place * CATEGORY_COUNT as u64 + category as u64
    }

    /// The traits of the product number `index`.
    pub(super) fn blueprint(&self, index: u64) -> Blueprint {
        let mut rng = self.rng(Stream::Product, index);
        let place = usize::try_from(index % CATEGORY_COUNT as u64).unwrap_or(0);
        let category = category(place);
        let noun = &category.nouns[rng.random_range(0..category.nouns.len())];
        let brand = rng
            .random_range(0..category.brands.len())
            .min(rng.random_range(0..category.brands.len()));
        let theme = rng.random_range(0..THEME_COUNT);
        let (from, to) = if rng.random_ratio(RECENT_PERCENT, 100) {
            (NEWEST_DAYS, ORDER_DAYS)
        } else {
            (ORDER_DAYS, OLDEST_DAYS)
        };
        let created_at = REFERENCE - Duration::seconds(rng.random_range(from * 86_400..to * 86_400));
        Blueprint {
            index,
            category,
            theme,
            brand,
            created_at,
            noun,
            rng,
        }
    }

    /// The article that an order line names.
    pub(super) fn article(&self, blueprint: Blueprint) -> Article {
        self.draft(blueprint).article
    }

    /// The product number `index`.
    pub(super) fn product(&self, index: u64) -> ProductRecord {
        let mut draft = self.draft(self.blueprint(index));
        let description = describe(&mut draft);
        let category = draft.blueprint.category;
        ProductRecord {
            id: draft.article.id,
            sku: draft.article.sku.clone(),
            name: draft.article.name.clone(),
            description,
            category: category.slug.to_owned(),
            category_name: category.name.to_owned(),
            brand: Some(category.brands[draft.blueprint.brand].to_owned()),
            price: Money {
                amount: draft.article.price,
                currency: self.currency,
            },
            stock: STOCK_MIN
                + draft.blueprint.rng.random_range(0..400) * draft.blueprint.rng.random_range(1..=3),
            popularity: 0,
            created_at: draft.blueprint.created_at,
            source: "seed".to_owned(),
            attributes: attributes(draft),
        }
    }

    fn draft(&self, mut blueprint: Blueprint) -> Draft {
        let category = blueprint.category;
        let rng = &mut blueprint.rng;
        let ranges = category.style.ranges[blueprint.theme];
        let range = ranges[rng.random_range(0..ranges.len())];
        let materials = if blueprint.noun.materials.is_empty() {
            category.materials
        } else {
            blueprint.noun.materials
        };
        let material = materials[rng.random_range(0..materials.len())];
        let colour = category.colours.choose(rng).copied();
        let facts = category
            .facts
            .iter()
            .map(|fact| (fact, draw(fact, blueprint.noun, rng)))
            .filter(|(fact, _)| !blueprint.noun.without.contains(&fact.key))
            .collect::<Vec<_>>();
        let book = category
            .style
            .name
            .contains("{title}")
            .then(|| book_title(range, rng));
        let price = price(blueprint.noun, rng);
        let name = name(&blueprint, range, material, colour, &facts, book.as_ref());
        let article = Article {
            id: ids::derive(
                blueprint.created_at,
                "seed/product",
                &self.key("product", blueprint.index),
            ),
            sku: format!(
                "{}-{:06}{}",
                category.code,
                blueprint.index,
                self.suffix.to_uppercase()
            )
            .into(),
            name: name.into(),
            price,
        };
        Draft {
            blueprint,
            article,
            range,
            material,
            colour,
            facts,
            book,
        }
    }
}

fn draw(fact: &Fact, noun: &Noun, rng: &mut ChaCha8Rng) -> AttributeValue {
    match fact.values {
        Values::Number { min, max, step } => {
            let own = noun.sizes.iter().find(|(key, ..)| *key == fact.key);
            let (min, max) = own.map_or((min, max), |(_, min, max)| (*min, *max));
            (min + step * rng.random_range(0..=(max - min) / step)).into()
        }
        Values::Choice(words) => words.choose(rng).copied().unwrap_or_default().into(),
        Values::Flag(percent) => rng.random_ratio(percent, 100).into(),
    }
}

/// A price in the noun's band, cheaper ones more often, with an ending shops use.
fn price(noun: &Noun, rng: &mut ChaCha8Rng) -> i64 {
    let (min, max) = (i64::from(noun.pounds.0), i64::from(noun.pounds.1));
    let pounds = rng.random_range(min..=max).min(rng.random_range(min..=max));
    let pounds = if pounds > 100 { pounds / 5 * 5 } else { pounds };
    let below = match rng.random_range(0..20) {
        0..12 => 1,
        12..16 => 50,
        16..18 => 5,
        _ => 0,
    };
    pounds * 100 - below
}

/// A book's title and its author.
fn book_title(range: &str, rng: &mut ChaCha8Rng) -> (String, String) {
    const PATTERNS: &[&str] = &[
        "The {word} House",
        "A Year of {word}",
        "The Last {word}",
        "{word} and Other Stories",
        "Letters from the {word}",
        "The {word} Keeper",
        "What the {word} Knew",
        "{word} Days",
        "The {word} Table",
        "Beyond the {word}",
        "The Secret {word}",
        "{word} Songs",
        "Notes on {word}",
        "The Book of {word}",
        "A Small {word}",
    ];
    let mut title = String::new();
    fill(
        PATTERNS.choose(rng).copied().unwrap_or_default(),
        &[("word", range)],
        &mut title,
    );
    let (first, last) = people::name(rng);
    (title, format!("{first} {last}"))
}

/// The noun as sentences use it.
fn plain(noun: &Noun) -> String {
    noun.text.replace('~', "")
}

fn name(
    blueprint: &Blueprint,
    range: &str,
    material: &str,
    colour: Option<&str>,
    facts: &[(&Fact, AttributeValue)],
    book: Option<&(String, String)>,
) -> String {
    let category = blueprint.category;
    let text = blueprint.noun.text;
    let text = text.strip_prefix("pair of ").unwrap_or(text);
    // `set of six ~baubles` has the material inside: Set of Six Glass Baubles.
    let (material, noun) = match text.split_once('~') {
        Some((before, after)) => (String::new(), title_case(&format!("{before}{material} {after}"))),
        None => (title_case(material), title_case(text)),
    };
    let mut name = String::with_capacity(64);
    let (title, author) = book.map_or(("", ""), |(title, author)| (title, author));
    let material = if book.is_some() {
        material.to_lowercase()
    } else {
        material
    };
    let brand = category.brands[blueprint.brand];
    let values = [
        ("brand", brand),
        ("range", range),
        ("Material", &material),
        ("material", &material),
        ("Noun", &noun),
        ("title", title),
        ("author", author),
    ];
    fill(category.style.name, &values, &mut name);
    if name.contains("  ") {
        name = name.replace("  ", " ");
    }
    for (fact, value) in facts {
        if let Some(unit) = fact.in_name {
            name.push_str(", ");
            push_value(value, &mut name);
            if !unit.is_empty() {
                name.push(' ');
                name.push_str(unit);
            }
        }
    }
    if let Some(colour) = colour {
        name.push_str(", ");
        name.push_str(colour);
    }
    name
}

fn push_value(value: &AttributeValue, into: &mut String) {
    match value {
        AttributeValue::Text(text) => into.push_str(text),
        AttributeValue::Number(number) => into.push_str(&number.to_string()),
        AttributeValue::Flag(flag) => into.push_str(if *flag { "yes" } else { "no" }),
    }
}

/// Two to four sentences that mention what the attributes say.
fn describe(draft: &mut Draft) -> String {
    let category = draft.blueprint.category;
    let style = category.style;
    let noun = plain(draft.blueprint.noun);
    let a_noun = with_article(&noun);
    let theme = match THEMES[draft.blueprint.theme] {
        "Nordic" => "Nordic".to_owned(),
        theme => theme.to_lowercase(),
    };
    let colour = draft.colour.unwrap_or_default();
    let (title, author) = draft.book.clone().unwrap_or_default();
    let values = [
        ("brand", category.brands[draft.blueprint.brand]),
        ("range", draft.range),
        ("noun", &noun),
        ("a noun", &a_noun),
        ("material", draft.material),
        ("colour", colour),
        ("theme", &theme),
        ("title", &title),
        ("author", &author),
    ];
    let rng = &mut draft.blueprint.rng;
    let mut text = String::with_capacity(320);
    let mut say = |template: &str| {
        if !text.is_empty() {
            text.push(' ');
        }
        fill(template, &values, &mut text);
    };
    say(style.openers.choose(rng).copied().unwrap_or_default());
    let told = draft
        .facts
        .iter()
        .filter(|(_, value)| *value != AttributeValue::Flag(false))
        .collect::<Vec<_>>();
    if let Some((fact, value)) = told.choose(rng) {
        let mut words = String::new();
        push_value(value, &mut words);
        say(&fact.sentence.replace("{}", &words));
    }
    if told.is_empty() || rng.random_ratio(3, 4) {
        say(category.uses.choose(rng).copied().unwrap_or_default());
    }
    if rng.random_ratio(2, 5) {
        say(style.closers.choose(rng).copied().unwrap_or_default());
    }
    text
}

fn attributes(draft: Draft) -> Attributes {
    let mut attributes = Attributes::new();
    let is_book = draft.book.is_some();
    attributes.insert(
        if is_book { "binding" } else { "material" }.to_owned(),
        draft.material.into(),
    );
    if let Some((_, author)) = draft.book {
        attributes.insert("author".to_owned(), author.into());
    }
    if let Some(colour) = draft.colour {
        attributes.insert("colour".to_owned(), colour.into());
    }
    if draft.blueprint.category.style.shows_theme {
        attributes.insert("collection".to_owned(), THEMES[draft.blueprint.theme].into());
    }
    attributes.extend(
        draft
            .facts
            .into_iter()
            .map(|(fact, value)| (fact.key.to_owned(), value)),
    );
    attributes
}
