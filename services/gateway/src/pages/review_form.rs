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
            pros: list(free.get(PROS)),
            cons: list(free.get(CONS)),
            photos: captions(free.get(PHOTOS)),
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
        let parts = [
            (PROS, &self.pros, &shown.pros, texts(&self.pros)),
            (CONS, &self.cons, &shown.cons, texts(&self.cons)),
            (PHOTOS, &self.photos, &shown.photos, photos(&self.photos)),
        ];
        for (name, now, then, value) in parts {
            if same(now, then) {
                continue;
            }
            match value {
                Some(value) => attributes.insert(name.to_owned(), value),
                None => attributes.remove(name),
            };
        }
        if !same(&self.attributes, &shown.attributes) {
            attributes.retain(|name, value| is_fixed(name) || line_of(value).is_none());
            attributes.extend(named(&self.attributes)?);
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

fn texts(text: &str) -> Option<Value> {
    let list: Vec<&str> = lines(text).collect();
    (!list.is_empty()).then(|| json!(list))
}

fn photos(text: &str) -> Option<Value> {
    let list: Vec<Value> = lines(text).map(|line| json!({ "caption": line })).collect();
    (!list.is_empty()).then(|| json!(list))
}

fn list(value: Option<&Value>) -> String {
    let items: Vec<String> = match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().filter_map(line_of).collect(),
        Some(single) => line_of(single).into_iter().collect(),
    };
    items.join("\n")
}

fn captions(value: Option<&Value>) -> String {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    let captions = items.filter_map(|photo| photo.get("caption").or(Some(photo)).and_then(line_of));
    captions.collect::<Vec<_>>().join("\n")
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
    let rows = free.filter_map(|(name, value)| Some(format!("{name}: {}", line_of(value)?)));
    rows.collect::<Vec<_>>().join("\n")
}

/// `name: value` a line; numbers, `true` and `false` are what they look like.
fn named(text: &str) -> Result<Map<String, Value>, Problem> {
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
        if found.insert(name, typed(value)).is_some() {
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
