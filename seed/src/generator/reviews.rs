//! Reviews: who writes one of what, how content they are, and in which words.
//!
//! A review follows an order line: some weeks or months later its buyer writes one, or does not. A product has a quality of its own, so
//! its ratings have something in common; who sent it back is less content. A few write about what they never bought here.

use std::collections::{BTreeMap, HashSet};

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::opinions::{ANSWERS, Aspect, CLOSERS, DEPARTMENTS, Department, OPENERS, TITLES, Words};
use super::orders::Drafted;
use super::seasons::{ORDER_DAYS, REFERENCE};
use super::text::fill;
use super::vocabulary::{CATEGORY_COUNT, department_number};
use super::{Generator, Stream};
use crate::ids;
use crate::records::{OrderRecord, ReviewAnswer, ReviewRecord, ReviewVote};

/// One customer in so many reviews every other thing, the others one in eight.
const KEEN_EVERY: u64 = 5;
/// One order in so many leads to a review of something that was not in it.
const UNBOUGHT_EVERY: u32 = 40;
/// The most votes of a review.
const VOTES_MAX: u32 = 14;

/// How often a rating of 1 to 5 is given to a product of some quality, from poor to great.
const RATINGS: [[u32; 5]; 4] = [
    [22, 24, 26, 18, 10],
    [8, 12, 24, 34, 22],
    [3, 4, 10, 31, 52],
    [1, 2, 5, 20, 72],
];
/// The same of somebody who sent it back.
const RATINGS_RETURNED: [u32; 5] = [38, 30, 18, 9, 5];
/// How many of a hundred products are of at most that quality.
const QUALITIES: [u32; 3] = [10, 35, 80];

/// What a review is about.
struct Subject {
    /// The product's number.
    product: u64,
    /// Whether the customer bought it, and sent it back.
    bought: bool,
    returned: bool,
}

impl Generator {
    /// The reviews that follow the order number `index`, without those that `seen` has: one for a customer and a product.
    pub(super) fn reviews_of_order(&self, index: u64, seen: &mut HashSet<u64>) -> Vec<ReviewRecord> {
        let drafted = self.drafted(index);
        let mut rng = self.rng(Stream::Review, index);
        let subjects = self.subjects(&drafted, &mut rng);
        let mut reviews = Vec::new();
        for subject in subjects {
            let posted_at = drafted.placed_at() + Duration::minutes(rng.random_range(2 * 1_440..100 * 1_440));
            // Both are far below 2^32.
            let pair = drafted.buyer << 32 | subject.product;
            if posted_at < REFERENCE && seen.insert(pair) {
                reviews.push(self.review(&drafted, &subject, posted_at, pair, &mut rng));
            }
        }
        reviews
    }

    /// What the buyer reviews: some of the goods, and seldom something else.
    fn subjects(&self, drafted: &Drafted, rng: &mut ChaCha8Rng) -> Vec<Subject> {
        let one_in = if drafted.buyer.is_multiple_of(KEEN_EVERY) {
            2
        } else {
            8
        };
        let returned = drafted.records.iter().find_map(|record| match record {
            OrderRecord::Refund(refund) => refund.lines.first().map(|line| line.product_id),
            OrderRecord::Order(_) => None,
        });
        let mut subjects: Vec<Subject> = drafted
            .products
            .iter()
            .zip(drafted.lines())
            .filter(|_| rng.random_ratio(1, one_in))
            .map(|(product, line)| Subject {
                product: *product,
                bought: true,
                returned: returned == Some(line.product_id),
            })
            .collect();
        if rng.random_ratio(1, UNBOUGHT_EVERY) {
            let category = rng.random_range(0..CATEGORY_COUNT);
            let product = self.product_at_rank(category, rng.random_range(0..self.per_category()));
            if self.blueprint(product).created_at < drafted.placed_at()
                && !drafted.products.contains(&product)
            {
                subjects.push(Subject {
                    product,
                    bought: false,
                    returned: false,
                });
            }
        }
        subjects
    }

    fn review(
        &self,
        drafted: &Drafted,
        subject: &Subject,
        posted_at: OffsetDateTime,
        pair: u64,
        rng: &mut ChaCha8Rng,
    ) -> ReviewRecord {
        let blueprint = self.blueprint(subject.product);
        let (slug, noun) = (blueprint.category.slug, blueprint.noun.text.replace('~', ""));
        let weights = if subject.returned {
            RATINGS_RETURNED
        } else {
            RATINGS[self.quality(subject.product)]
        };
        let rating = rating(&weights, rng);
        let number = usize::try_from(subject.product % CATEGORY_COUNT as u64).unwrap_or(0);
        let department = &DEPARTMENTS[department_number(number)];
        let opinion = Opinion::form(department, slug, rating, rng);
        let text = opinion.text(department, &noun, subject.bought, rng);
        let (author_id, id_key) = (self.customer(drafted.buyer).id, self.key("review", pair));
        let votes = self.votes(drafted.buyer, text.len(), rng);
        ReviewRecord {
            id: ids::derive(posted_at, "seed/review", &id_key),
            product_id: self.article(blueprint).id,
            author_id,
            rating: i64::from(rating),
            title: opinion.title(&noun, rng),
            attributes: opinion.attributes(department, &noun, rng),
            answers: answers(posted_at, rating, &noun, &id_key, rng),
            text,
            created_at: posted_at,
            votes,
        }
    }

    /// How good a product is, from 0 (poor) to 3.
    fn quality(&self, product: u64) -> usize {
        let roll = self.rng(Stream::Quality, product).random_range(0..100);
        QUALITIES.iter().filter(|most| roll >= **most).count()
    }

    /// Votes of other customers: of many reviews none, and more of those that say more.
    fn votes(&self, author: u64, text_bytes: usize, rng: &mut ChaCha8Rng) -> Vec<ReviewVote> {
        if rng.random_ratio(1, 2) {
            return Vec::new();
        }
        let most = rng.random_range(1..=VOTES_MAX);
        let count = rng.random_range(1..=most);
        let helpful_percent = if text_bytes > 180 { 88 } else { 66 };
        let mut voters = BTreeMap::new();
        for _ in 0..count {
            let voter = rng.random_range(0..self.scale.customers());
            let helpful = rng.random_ratio(helpful_percent, 100);
            if voter != author {
                voters.insert(voter, helpful);
            }
        }
        let vote = |(voter, helpful)| ReviewVote {
            voter_id: self.customer(voter).id,
            helpful,
        };
        voters.into_iter().map(vote).collect()
    }
}

fn rating(weights: &[u32; 5], rng: &mut ChaCha8Rng) -> u8 {
    let mut left = rng.random_range(0..weights.iter().sum::<u32>());
    for (rating, weight) in (1..=5).zip(weights) {
        if left < *weight {
            return rating;
        }
        left -= weight;
    }
    5
}

/// Words of a list by rating.
fn by_rating(words: &Words, rating: u8) -> &'static [&'static str] {
    words[usize::from(rating.clamp(1, 5)) - 1]
}

fn said(template: &str, noun: &str) -> String {
    let mut text = String::with_capacity(template.len() + noun.len());
    fill(template, &[("noun", noun)], &mut text);
    text
}

/// What somebody thinks of a product.
struct Opinion {
    rating: u8,
    praised: Vec<&'static Aspect>,
    blamed: Vec<&'static Aspect>,
}

impl Opinion {
    fn form(department: &'static Department, slug: &str, rating: u8, rng: &mut ChaCha8Rng) -> Self {
        let fitting: Vec<&Aspect> = department
            .aspects
            .iter()
            .filter(|aspect| aspect.fits(slug))
            .collect();
        let (praises, blames) = match rating {
            1 => (0, rng.random_range(1..=2)),
            2 => (rng.random_range(0..=1), rng.random_range(1..=2)),
            3 => (1, 1),
            4 => (rng.random_range(1..=2), rng.random_range(0..=1)),
            _ => (rng.random_range(1..=3), 0),
        };
        let mut chosen: Vec<&Aspect> = fitting.choose_multiple(rng, praises + blames).copied().collect();
        let blamed = chosen.split_off(praises.min(chosen.len()));
        Self {
            rating,
            praised: chosen,
            blamed,
        }
    }

    fn title(&self, noun: &str, rng: &mut ChaCha8Rng) -> String {
        let aspect = if self.rating > 3 {
            self.praised.first().map(|aspect| aspect.pro)
        } else {
            self.blamed.first().map(|aspect| aspect.con)
        };
        let title = match aspect {
            Some(aspect) if rng.random_ratio(1, 4) => aspect.to_owned(),
            _ => said(pick(by_rating(&TITLES, self.rating), rng), noun),
        };
        let mut letters = title.chars();
        let first = letters.next().map(char::to_uppercase);
        first.into_iter().flatten().chain(letters).collect()
    }

    /// One or two paragraphs. Some people are brief.
    fn text(&self, department: &Department, noun: &str, bought: bool, rng: &mut ChaCha8Rng) -> String {
        let mut sentences = vec![said(pick(by_rating(&OPENERS, self.rating), rng), noun)];
        sentences.extend(
            self.praised
                .iter()
                .map(|aspect| pick(aspect.praise, rng).to_owned()),
        );
        let mixed = !self.praised.is_empty();
        for (place, aspect) in self.blamed.iter().enumerate() {
            let sentence = pick(aspect.blame, rng);
            sentences.push(if mixed && place == 0 {
                format!("On the other hand: {}", lower(sentence))
            } else {
                sentence.to_owned()
            });
        }
        let mut text = sentences.join(" ");
        if !bought {
            text.push_str(" (I got mine elsewhere.)");
        } else if rng.random_ratio(2, 5) {
            text.push_str("\n\n");
            text.push_str(pick(department.stories, rng));
        }
        if rng.random_ratio(3, 5) {
            text.push(' ');
            text.push_str(&said(pick(by_rating(&CLOSERS, self.rating), rng), noun));
        }
        text
    }

    /// Half of all reviews have lists of advantages and disadvantages, fewer an answer to what is asked, few photos.
    fn attributes(
        &self,
        department: &Department,
        noun: &str,
        rng: &mut ChaCha8Rng,
    ) -> BTreeMap<String, Value> {
        let mut attributes = BTreeMap::new();
        if rng.random_ratio(1, 2) {
            for (key, list) in [
                (
                    "pros",
                    self.praised.iter().map(|aspect| aspect.pro).collect::<Vec<_>>(),
                ),
                ("cons", self.blamed.iter().map(|aspect| aspect.con).collect()),
            ] {
                if !list.is_empty() {
                    attributes.insert(key.to_owned(), json!(list));
                }
            }
        }
        if rng.random_ratio(1, 3) {
            let (path, choices) = department.asked;
            let place = rng
                .random_range(0..choices.len())
                .min(rng.random_range(0..choices.len()));
            let inner = path[1..]
                .iter()
                .rev()
                .fold(json!(choices[place]), |inner, key| json!({ *key: inner }));
            attributes.insert(path[0].to_owned(), inner);
        }
        if rng.random_ratio(1, 8) {
            let count = if rng.random_ratio(1, 3) { 2 } else { 1 };
            let photos: Vec<Value> = department
                .captions
                .choose_multiple(rng, count)
                .map(|caption| json!({ "caption": said(caption, noun) }))
                .collect();
            attributes.insert("photos".to_owned(), Value::Array(photos));
        }
        attributes
    }
}

/// With a small first letter, but for the one word that never has one.
fn lower(sentence: &str) -> String {
    if sentence.starts_with("I ") {
        return sentence.to_owned();
    }
    let mut letters = sentence.chars();
    let first = letters.next().map(char::to_lowercase);
    first.into_iter().flatten().chain(letters).collect()
}

fn pick(from: &[&'static str], rng: &mut ChaCha8Rng) -> &'static str {
    from.choose(rng).copied().unwrap_or_default()
}

/// The seller answers those who are not content, and now and then somebody who is.
fn answers(
    posted_at: OffsetDateTime,
    rating: u8,
    noun: &str,
    key: &[u8],
    rng: &mut ChaCha8Rng,
) -> Vec<ReviewAnswer> {
    let percent = [60, 50, 15, 4, 3][usize::from(rating.clamp(1, 5)) - 1];
    let at = posted_at + Duration::minutes(rng.random_range(60..3 * 1_440));
    let text = said(pick(by_rating(&ANSWERS, rating), rng), noun);
    if !rng.random_ratio(percent, 100) || at >= REFERENCE {
        return Vec::new();
    }
    vec![ReviewAnswer {
        id: ids::derive(at, "seed/review-answer", key),
        author_id: ids::derive(REFERENCE - Duration::days(ORDER_DAYS), "seed/seller", b"seller"),
        text,
        at,
    }]
}
