//! Writing a review and changing it: everything is text here, one thing a line where there may be several. What the form
//! cannot show of a review that came by the API is kept as it is.

use std::str::FromStr;

use emporium_service_kit::Problem;
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};
use uuid::Uuid;

use crate::clients::reviews::{Opinion, Review};
use crate::pages::form::{self, Choice, Field};
use crate::pages::review_item::{CONS, PHOTOS, PROS};

const RATINGS: [(&str, &str); 5] = [
    ("5", "5 – excellent"),
    ("4", "4 – good"),
    ("3", "3 – fair"),
    ("2", "2 – poor"),
    ("1", "1 – bad"),
];

/// The form as a page shows it.
pub struct ReviewForm {
    /// Where it is sent.
    pub action: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Of the review that is changed; `None` for a new one.
    pub version: Option<i64>,
    /// What is wrong with none of the fields in particular.
    pub error: Option<String>,
}

/// The form as it is sent.
#[derive(Debug, Default, Deserialize)]
pub struct Sent {
    #[serde(default)]
    rating: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    pros: String,
    #[serde(default)]
    cons: String,
    #[serde(default)]
    photos: String,
    #[serde(default)]
    attributes: String,
    #[serde(default)]
    version: String,
}

impl ReviewForm {
    /// An empty form.
    pub fn new(product: Uuid) -> Self {
        Self::of(product, &Sent::default())
    }

    /// The form with what was typed, or with what there is.
    pub fn of(product: Uuid, sent: &Sent) -> Self {
        let lines = |name, label| {
            Field::new(name, label)
                .kind("textarea")
                .optional()
                .hint("One a line.")
                .length(0, 4_000)
        };
        let ratings = RATINGS.into_iter().map(|(value, label)| Choice {
            value: value.to_owned(),
            label: label.to_owned(),
            selected: sent.rating == value,
        });
        Self {
            action: format!("/products/{product}/review"),
            version: sent.version(),
            error: None,
            fields: vec![
                Field::new("rating", "Your rating")
                    .choices(ratings.collect())
                    .kind("radio"),
                Field::new("title", "In one line")
                    .length(0, 120)
                    .value(&*sent.title),
                Field::new("text", "Your review")
                    .kind("textarea")
                    .length(0, 8_000)
                    .value(&*sent.text),
                lines("pros", "What is good").value(&*sent.pros),
                lines("cons", "What is not so good").value(&*sent.cons),
                lines("photos", "What your photos show")
                    .hint("One caption a line. This shop draws its pictures, so only captions are kept.")
                    .value(&*sent.photos),
                lines("attributes", "Anything else to know")
                    .hint("One a line, such as \u{201c}size: true to label\u{201d}.")
                    .value(&*sent.attributes),
            ],
        }
    }

    /// The same with what the reviews service says about it.
    #[must_use]
    pub fn refused(mut self, problem: &Problem) -> Self {
        self.error = form::complain(&mut self.fields, problem);
        self
    }
}

impl Sent {
    /// What the form shows of a review.
    pub fn from_review(review: &Review) -> Self {
        let free = &review.attributes;
        Self {
            rating: review.rating.to_string(),
            title: review.title.clone(),
            text: review.text.clone(),
            pros: TEXT.text(free.get(PROS)),
            cons: TEXT.text(free.get(CONS)),
            photos: PHOTO.text(free.get(PHOTOS)),
            attributes: rest(free),
            version: review.version.to_string(),
        }
    }

    /// The version that was changed; `None` for a new review.
    pub fn version(&self) -> Option<i64> {
        self.version.parse().ok().filter(|version| *version > 0)
    }

    /// The same, from another version.
    #[must_use]
    pub fn at_version(mut self, version: i64) -> Self {
        self.version = version.to_string();
        self
    }

    /// What is meant; `before` is the review that is changed. A part that was not touched stays as it is.
    pub fn opinion(&self, before: Option<&Review>) -> Result<Opinion, Problem> {
        let rating = self.rating.trim().parse::<i64>().unwrap_or(0);
        if !(1..=5).contains(&rating) {
            let message = "must be chosen, from 1 to 5".to_owned();
            return Err(Problem::invalid([("rating".to_owned(), message)]));
        }
        let shown = before.map(Self::from_review).unwrap_or_default();
        let mut attributes = before.map(|review| review.attributes.clone()).unwrap_or_default();
        let parts: [(_, _, _, &Kind); 3] = [
            (PROS, &self.pros, &shown.pros, &TEXT),
            (CONS, &self.cons, &shown.cons, &TEXT),
            (PHOTOS, &self.photos, &shown.photos, &PHOTO),
        ];
        for (name, now, then, kind) in parts {
            if same(now, then) {
                continue;
            }
            match kind.merged(now, attributes.get(name)) {
                Some(value) => attributes.insert(name.to_owned(), value),
                None => attributes.remove(name),
            };
        }
        if !same(&self.attributes, &shown.attributes) {
            let named = named(&self.attributes, &attributes)?;
            attributes.retain(|name, value| is_fixed(name) || row(name, value).is_none());
            attributes.extend(named);
        }
        Ok(Opinion {
            rating,
            title: self.title.trim().to_owned(),
            text: self.text.trim().to_owned(),
            attributes,
        })
    }
}

/// Browsers end lines with `\r\n`.
fn same(now: &str, then: &str) -> bool {
    lines(now).eq(lines(then))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn is_fixed(name: &str) -> bool {
    [PROS, CONS, PHOTOS].contains(&name)
}

/// What the items of a list are.
struct Kind {
    /// The line that the form shows of an item; `None`: it shows nothing of it.
    line: fn(&Value) -> Option<String>,
    /// The item that a line stands for.
    item: fn(&str) -> Value,
}

const TEXT: Kind = Kind {
    line: filled_line,
    item: |line| json!(line),
};
const PHOTO: Kind = Kind {
    line: |photo| filled_line(photo.get("caption").unwrap_or(photo)),
    item: |line| json!({ "caption": line }),
};

impl Kind {
    /// What the form shows of a list.
    fn text(&self, list: Option<&Value>) -> String {
        let lines: Vec<String> = items(list).into_iter().filter_map(self.line).collect();
        lines.join("\n")
    }

    /// The list after these lines were typed. A line that was there before is the item that it was, with all that the form
    /// does not show of it; items that have no line stay, behind the others.
    fn merged(&self, text: &str, before: Option<&Value>) -> Option<Value> {
        let mut left = items(before);
        let mut list: Vec<Value> = Vec::new();
        for line in lines(text) {
            let same = left
                .iter()
                .position(|item| (self.line)(item).as_deref() == Some(line));
            list.push(same.map_or_else(|| (self.item)(line), |at| left.remove(at).clone()));
        }
        left.retain(|item| (self.line)(item).is_none());
        list.extend(left.into_iter().cloned());
        (!list.is_empty()).then_some(Value::Array(list))
    }
}

fn items(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(single) => vec![single],
    }
}

/// An item's line as it comes back; blank ones do not.
fn filled_line(value: &Value) -> Option<String> {
    let line = line_of(value)?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// What fits a line of the form.
fn line_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.contains(['\n', '\r'])).then(|| text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn rest(free: &Map<String, Value>) -> String {
    let free = free.iter().filter(|(name, _)| !is_fixed(name));
    let rows = free.filter_map(|(name, value)| row(name, value));
    rows.collect::<Vec<_>>().join("\n")
}

/// `name: value`, if that can be read again.
fn row(name: &str, value: &Value) -> Option<String> {
    let is_plain = !name.is_empty() && name.trim() == name && !name.contains([':', '\n', '\r']);
    let line = line_of(value).filter(|_| is_plain)?;
    Some(format!("{name}: {}", line.trim()))
}

/// `name: value` a line. What reads as before is what it was, and what was text stays text; otherwise numbers, `true` and
/// `false` are what they look like.
fn named(text: &str, before: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let refuse = |message: String| Err(Problem::invalid([("attributes".to_owned(), message)]));
    let mut found = Map::new();
    for line in lines(text) {
        let Some((name, value)) = line.split_once(':') else {
            return refuse("must be written name: value, one a line".to_owned());
        };
        let (name, value) = (name.trim().to_owned(), value.trim());
        if is_fixed(&name) {
            return refuse(format!("must not have {name}, which has a field of its own"));
        }
        let value = match before.get(&name) {
            Some(old) if line_of(old).is_some_and(|line| line.trim() == value) => old.clone(),
            Some(Value::String(_)) => Value::String(value.to_owned()),
            _ => typed(value),
        };
        if found.insert(name, value).is_some() {
            return refuse("must not have a name twice".to_owned());
        }
    }
    Ok(found)
}

fn typed(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        // Only what reads back as it was typed: `007` and `1.50` stay text.
        _ => match Number::from_str(text) {
            Ok(number) if number.to_string() == text => Value::Number(number),
            _ => Value::String(text.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(kind: &Kind, text: &str, before: &Value) -> Option<Value> {
        kind.merged(text, Some(before))
    }

    #[test]
    fn items_without_a_line_and_their_other_fields_stay() {
        let before = json!(["light", 3, "3", { "deep": 1 }, "two\nlines", " outer "]);
        assert_eq!(TEXT.text(Some(&before)), "light\n3\n3\nouter");
        assert_eq!(
            merged(&TEXT, "outer\r\nnew\r\n3", &before),
            Some(json!([" outer ", "new", 3, { "deep": 1 }, "two\nlines"]))
        );
        assert_eq!(
            merged(&TEXT, "", &before),
            Some(json!([{ "deep": 1 }, "two\nlines"]))
        );
        assert_eq!(merged(&TEXT, " \n", &json!(["light"])), None);
        let photos = json!([{ "caption": "front", "by": "me" }, { "url": "u" }, "back"]);
        assert_eq!(PHOTO.text(Some(&photos)), "front\nback");
        assert_eq!(
            merged(&PHOTO, "side\nfront", &photos),
            Some(json!([{ "caption": "side" }, { "caption": "front", "by": "me" }, { "url": "u" }]))
        );
    }

    #[test]
    fn numbers_stay_text_when_they_were_text() {
        let before = json!({ "size": "42", "weight": "7", "years": 3, "again": true, "pad": " x ", "fit": { "a": 1 } });
        let before = before.as_object().unwrap();
        assert_eq!(rest(before).lines().count(), 5, "what is nested has no line");
        let text = "size: 42\nweight: 8\nyears: 4\nagain: true\npad: x\nnew: 5";
        let expected =
            json!({ "size": "42", "weight": "8", "years": 4, "again": true, "pad": " x ", "new": 5 });
        assert_eq!(json!(named(text, before).unwrap()), expected);
    }
}
