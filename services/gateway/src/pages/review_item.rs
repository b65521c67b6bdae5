//! One review as pages show it: its free part sorted into pros, cons, captions and everything else. All of it is text.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clients::reviews::{Review, ReviewAnswer, ReviewState};
use crate::pages::format::{capital, words};
use crate::pages::stars::Stars;
use crate::pages::timeline::Moment;

/// Keys of the free part that have a place of their own.
pub const PROS: &str = "pros";
/// What is not so good.
pub const CONS: &str = "cons";
/// A list of `{"caption"}`.
pub const PHOTOS: &str = "photos";
/// Lines that are shown of the rest, and of each place of its own.
const DETAILS_MAX: usize = 24;
/// Characters of what can be asked for by a link.
pub const FILTER_CHARS_MAX: usize = 200;

/// A review.
pub struct ReviewItem {
    /// Its id.
    pub id: Uuid,
    /// What it is about.
    pub product_id: Uuid,
    /// 1 to 5 as stars.
    pub stars: Stars,
    /// In one line.
    pub title: String,
    /// The text's paragraphs.
    pub paragraphs: Vec<String>,
    /// Who wrote it.
    pub author: String,
    /// True when they bought it here.
    pub verified: bool,
    /// When it was written.
    pub written: Moment,
    /// When it was changed, if it was.
    pub changed: Option<Moment>,
    /// What is good.
    pub pros: Vec<Trait>,
    /// What is not.
    pub cons: Vec<Trait>,
    /// What photos would show.
    pub captions: Vec<String>,
    /// Everything else: name and values.
    pub details: Vec<(String, Trait)>,
    /// How many found it helpful.
    pub helpful: i64,
    /// How many did not.
    pub unhelpful: i64,
    /// The reader's vote.
    pub own_vote: Option<bool>,
    /// The seller's answers.
    pub answers: Vec<AnswerItem>,
    /// True while readers do not see it.
    pub hidden: bool,
    /// Why, as the author may know.
    pub hidden_reason: Option<String>,
}

/// Something that a review says of the product, and the filter that finds others that say so.
pub struct Trait {
    /// The words.
    pub text: String,
    /// `path:value`; `None` when it cannot be asked for.
    pub filter: Option<String>,
}

/// The seller's answer.
pub struct AnswerItem {
    /// The text's paragraphs.
    pub paragraphs: Vec<String>,
    /// As it was written.
    pub text: String,
    /// When.
    pub written: Moment,
}

impl ReviewItem {
    /// A review in words and stars.
    pub fn of(review: &Review) -> Self {
        let attributes = &review.attributes;
        let changed = review.updated_at > review.created_at;
        Self {
            id: review.id,
            product_id: review.product_id,
            stars: Stars::of(review.rating),
            title: shown(&review.title),
            paragraphs: paragraphs(&review.text),
            author: review
                .author_name
                .as_deref()
                .map_or_else(|| "A customer".to_owned(), shown),
            verified: review.verified,
            written: Moment::day(review.created_at),
            changed: changed.then(|| Moment::day(review.updated_at)),
            pros: traits(PROS, attributes.get(PROS)),
            cons: traits(CONS, attributes.get(CONS)),
            captions: captions(attributes.get(PHOTOS)),
            details: details(attributes),
            helpful: review.helpful,
            unhelpful: review.unhelpful,
            own_vote: review.own_vote,
            answers: review.answers.iter().map(AnswerItem::of).collect(),
            hidden: review.state == ReviewState::Hidden,
            hidden_reason: review.hidden_reason.as_deref().map(shown),
        }
    }
}

impl AnswerItem {
    fn of(answer: &ReviewAnswer) -> Self {
        Self {
            paragraphs: paragraphs(&answer.text),
            text: shown(&answer.text),
            written: Moment::day(answer.created_at),
        }
    }
}

/// Text that HTML can hold: no control characters besides white space.
pub fn shown(text: &str) -> String {
    let kept = text.chars();
    kept.filter(|sign| !sign.is_control() || matches!(sign, '\n' | '\t'))
        .collect()
}

fn paragraphs(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| shown(line.trim()));
    lines.filter(|line| !line.is_empty()).collect()
}

/// A value as a list of its items.
fn traits(path: &str, value: Option<&Value>) -> Vec<Trait> {
    let items = match value {
        None => return Vec::new(),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(single) => vec![single],
    };
    let traits = items.into_iter().filter_map(|item| one(path, item));
    traits.take(DETAILS_MAX).collect()
}

fn one(path: &str, value: &Value) -> Option<Trait> {
    let text = scalar(value).filter(|text| !text.trim().is_empty())?;
    let raw = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // An address would not bring back what is long, or has white space that parameters lose.
    let is_plain = raw.trim() == raw && !raw.contains(char::is_control);
    let filter =
        Some(format!("{path}:{raw}")).filter(|filter| is_plain && filter.chars().count() <= FILTER_CHARS_MAX);
    Some(Trait { text, filter })
}

/// A text, number or truth value in words.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(shown(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("Yes".to_owned()),
        Value::Bool(false) => Some("No".to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn captions(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    let caption = |photo: &Value| photo.get("caption").or(Some(photo)).and_then(scalar);
    list.filter_map(caption)
        .filter(|text| !text.trim().is_empty())
        .take(DETAILS_MAX)
        .collect()
}

/// Everything without a place of its own, the nested ones with all their names: `Fit size`.
fn details(attributes: &Map<String, Value>) -> Vec<(String, Trait)> {
    let mut found = Vec::new();
    for (name, value) in attributes {
        if ![PROS, CONS, PHOTOS].contains(&name.as_str()) {
            gather(name, value, &mut found);
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.truncate(DETAILS_MAX);
    found
}

/// The service bounds depth and number of values.
fn gather(path: &str, value: &Value, found: &mut Vec<(String, Trait)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                gather(&format!("{path}.{name}"), value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(path, item, found)),
        _ => {
            let label = capital(&words(&shown(path).replace('.', " ")));
            found.extend(one(path, value).map(|trait_| (label, trait_)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn long_lists_are_cut_and_what_no_address_holds_is_no_link() {
        let many: Vec<Value> = (0..500).map(|n| json!(format!("one {n}"))).collect();
        let many = json!(many);
        assert_eq!(traits(PROS, Some(&many)).len(), DETAILS_MAX);
        assert_eq!(captions(Some(&many)).len(), DETAILS_MAX);
        let fits = "x".repeat(FILTER_CHARS_MAX - "pros:".len());
        assert!(one(PROS, &json!(fits)).unwrap().filter.is_some());
        for text in [
            format!("{fits}x"),
            "two\nlines".to_owned(),
            " before".to_owned(),
            "after ".to_owned(),
        ] {
            let shown = one(PROS, &json!(text)).unwrap();
            assert!(shown.filter.is_none() && !shown.text.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn the_free_part_is_sorted_into_its_places() {
        let free = json!({
            "pros": ["light", 3, null, ""], "cons": "small", "photos": [{ "caption": "front" }, "back", {}],
            "fit": { "size": "true to label", "wide": true, "deep": [{ "er": 1.5 }] },
        });
        let free = free.as_object().unwrap();
        let texts = |list: Vec<Trait>| list.into_iter().map(|one| one.text).collect::<Vec<_>>();
        assert_eq!(texts(traits(PROS, free.get(PROS))), ["light", "3"]);
        assert_eq!(texts(traits(CONS, free.get(CONS))), ["small"]);
        assert_eq!(captions(free.get(PHOTOS)), ["front", "back"]);
        let rows: Vec<_> = details(free)
            .into_iter()
            .map(|(name, one)| (name, one.text, one.filter.unwrap()))
            .collect();
        let row = |name: &str, text: &str, filter: &str| (name.into(), text.into(), filter.into());
        assert_eq!(
            rows,
            [
                row("Fit deep er", "1.5", "fit.deep.er:1.5"),
                row("Fit size", "true to label", "fit.size:true to label"),
                row("Fit wide", "Yes", "fit.wide:true"),
            ]
        );
    }
}
