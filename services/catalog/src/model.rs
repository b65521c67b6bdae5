//! The shapes that the service speaks.

use std::collections::BTreeMap;

use emporium_service_kit::{Money, validate};
use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, OneOf, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::rules;
use crate::search::{Highlights, text};

/// The dearest price, in minor units.
pub const PRICE_MAX: i64 = 1_000_000_000;
/// The most units on hand of one product.
pub const ON_HAND_MAX: i64 = 1_000_000_000;
/// The largest change of stock at once.
pub const DELTA_MAX: i64 = 1_000_000;
/// Every whole number up to here is exact in the floating point of JSON's readers.
pub const ATTRIBUTE_NUMBER_MAX: f64 = 1e15;
/// The longest name of a category, in characters.
pub const CATEGORY_MAX: usize = 100;

/// A product as it is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Product {
    /// UUIDv7.
    pub id: Uuid,
    /// Stock keeping unit; unique.
    pub sku: String,
    /// One line.
    pub name: String,
    /// Several lines, possibly none.
    pub description: String,
    /// The category's slug.
    pub category: String,
    /// The category's name.
    pub category_name: String,
    /// Who makes it, if known.
    pub brand: Option<String>,
    /// In the shop's currency.
    pub price: Money,
    /// Whether any is available.
    pub in_stock: bool,
    /// Units available: on hand and not reserved.
    pub stock: i64,
    /// Free attributes: text, number or flag.
    #[schema(value_type = BTreeMap<String, AttributeValue>)]
    pub attributes: Box<RawValue>,
    /// `seed`, `icecat`, `online-retail` or `admin`.
    pub source: String,
    /// Whether it is on sale.
    pub status: Status,
    /// Units sold.
    pub popularity: i64,
    /// Rises with every change, of stock and popularity, too.
    pub version: i64,
    /// When it came into the catalogue.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it changed last.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// In lists by words, where the words stand, if the search index tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub highlights: Option<Highlights>,
}

/// Whether a product is on sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Listed and sold.
    Active,
    /// Not any more; kept, because orders refer to it.
    Archived,
}

/// The value of a free attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// Yes or no.
    Flag(bool),
    /// A number, at most 10¹⁵ either way.
    Number(serde_json::Number),
    /// Text of at most 10,000 characters.
    Text(String),
}

impl PartialSchema for AttributeValue {
    fn schema() -> RefOr<Schema> {
        let one_of = |kind| Object::builder().schema_type(kind);
        OneOf::builder()
            .description(Some("The value of a free attribute."))
            .item(one_of(Type::Boolean))
            .item(one_of(Type::Number))
            .item(one_of(Type::String))
            .into()
    }
}

impl ToSchema for AttributeValue {
    fn name() -> std::borrow::Cow<'static, str> {
        "AttributeValue".into()
    }
}

/// Attributes by name.
pub type Attributes = BTreeMap<String, AttributeValue>;

impl AttributeValue {
    /// As text; whole numbers without a decimal point.
    pub fn shown(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Text(text) => text.clone(),
            Self::Number(number) => match number.as_f64() {
                Some(float) if float.fract() == 0.0 && float.abs() <= ATTRIBUTE_NUMBER_MAX => {
                    format!("{float:.0}")
                }
                _ => number.to_string(),
            },
        }
    }
}

/// A new product.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
pub struct NewProduct {
    /// 1 to 64 visible characters; unique.
    #[garde(length(chars, min = 1, max = 64), custom(validate::filled_line))]
    pub sku: String,
    /// 1 to 300 characters.
    #[garde(length(chars, min = 1, max = 300), custom(validate::filled_line))]
    pub name: String,
    /// At most 5,000 characters.
    #[serde(default)]
    #[garde(length(chars, max = 5_000), custom(validate::text))]
    pub description: String,
    /// A category's slug, or the name of a new one.
    #[garde(custom(rules::category))]
    pub category: String,
    /// In the shop's currency, 0 to 10⁹ minor units.
    #[garde(custom(rules::price))]
    pub price: Money,
    /// At most 100 characters.
    #[serde(default)]
    #[garde(inner(length(chars, max = 100)), custom(validate::filled_line_opt))]
    pub brand: Option<String>,
    /// At most 200.
    #[serde(default)]
    #[garde(custom(rules::attributes))]
    #[schema(value_type = std::collections::BTreeMap<String, AttributeValue>)]
    pub attributes: Attributes,
}

/// Changes of a product; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, Validate, ToSchema)]
pub struct ProductPatch {
    /// As in a new product.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 64)), custom(validate::filled_line_opt))]
    pub sku: Option<String>,
    /// As in a new product.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 300)), custom(validate::filled_line_opt))]
    pub name: Option<String>,
    /// As in a new product.
    #[serde(default)]
    #[garde(inner(length(chars, max = 5_000)), custom(validate::text_opt))]
    pub description: Option<String>,
    /// As in a new product.
    #[serde(default)]
    #[garde(inner(custom(rules::category)))]
    pub category: Option<String>,
    /// As in a new product.
    #[serde(default)]
    #[garde(inner(custom(rules::price)))]
    pub price: Option<Money>,
    /// As in a new product; null takes it off.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    #[garde(custom(rules::brand_patch))]
    pub brand: Option<Option<String>>,
    /// Replaces all attributes.
    #[serde(default)]
    #[garde(inner(custom(rules::attributes)))]
    #[schema(value_type = Option<BTreeMap<String, AttributeValue>>)]
    pub attributes: Option<Attributes>,
}

/// A change of the stock on hand.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
pub struct StockChange {
    /// Units that came (or, negative, went), at most a million.
    #[garde(range(min = -DELTA_MAX, max = DELTA_MAX), custom(rules::not_zero))]
    pub delta: i64,
    /// Why, in at most 200 characters.
    #[serde(default)]
    #[garde(inner(length(chars, max = 200)), custom(validate::filled_line_opt))]
    pub reason: Option<String>,
}

/// A quantity of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Validate, ToSchema)]
pub struct ReservationLine {
    /// The product.
    #[garde(skip)]
    pub product_id: Uuid,
    /// 1 to a million.
    #[garde(range(min = 1, max = DELTA_MAX))]
    pub quantity: i64,
}

/// What to reserve, and until when.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
pub struct ReservationRequest {
    /// 1 to 100 lines, each of another product.
    #[garde(length(min = 1, max = 100), dive, custom(rules::distinct_products))]
    pub lines: Vec<ReservationLine>,
    /// At most 24 hours from now.
    #[serde(with = "time::serde::rfc3339")]
    #[garde(skip)]
    pub expires_at: OffsetDateTime,
}

/// A new end of a reservation.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
pub struct ExtendRequest {
    /// At most 24 hours from now. An earlier end than the present one changes nothing.
    #[serde(with = "time::serde::rfc3339")]
    #[garde(skip)]
    pub expires_at: OffsetDateTime,
}

/// What became of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReservationState {
    /// The stock is kept for it.
    Held,
    /// The stock has left.
    Committed,
    /// Given back on request; also the tombstone of one that never was.
    Released,
    /// Given back because time was up.
    Expired,
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reservation {
    /// Who it is for: the order's id.
    pub saga_id: Uuid,
    /// What became of it.
    pub state: ReservationState,
    /// Until when the stock is kept.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// By product id.
    pub lines: Vec<ReservationLine>,
}

/// Reads a field so that `null` (`Some(None)`) differs from an absent field (`None`).
#[expect(clippy::option_option, reason = "three states: absent, null, a value")]
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A category's slug: the words of its name, joined by hyphens.
pub fn slug(name: &str) -> String {
    let slug = text::words(name).join("-").replace('.', "-");
    let slug: String = slug.chars().take(CATEGORY_MAX).collect();
    // A cut right after a word leaves a hyphen, and the slug would not be its own slug.
    slug.trim_end_matches('-').to_owned()
}

/// What a category is called that nobody gave a name: the name itself, or its slug in words.
pub fn category_name(given: &str) -> String {
    let given = given.trim();
    if slug(given) != given {
        return given.to_owned();
    }
    let spaced = given.replace('-', " ");
    let mut letters = spaced.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_and_names() {
        assert_eq!(slug("Kitchen & Dining"), "kitchen-dining");
        assert_eq!(slug(" Café  1.5 "), "cafe-1-5");
        assert_eq!(slug("!!!"), "");
        assert_eq!(category_name("kitchen-dining"), "Kitchen dining");
        assert_eq!(category_name("Kitchen & Dining"), "Kitchen & Dining");
        for name in ["Kitchen & Dining", "Größe XL", "a", "1.5"] {
            assert_eq!(slug(&slug(name)), slug(name), "a slug is its own slug");
        }
    }

    #[test]
    fn a_slug_that_is_cut_at_a_hyphen_has_none_at_its_end() {
        // A syllable becomes three letters, and the hundredth character of this slug would be its second hyphen.
        let name = format!("{} {}xx end", "한".repeat(21), "한".repeat(11));
        assert_eq!(slug(&name).chars().count(), 99);
        assert_eq!(slug(&slug(&name)), slug(&name));
    }

    proptest::proptest! {
        #[test]
        fn a_slug_is_its_own_slug(name in "[\\PC가-힣 ]{0,100}") {
            proptest::prop_assert_eq!(slug(&slug(&name)), slug(&name));
        }
    }

    #[test]
    fn whole_numbers_are_shown_without_a_point() {
        let shown = |text: &str| serde_json::from_str::<AttributeValue>(text).unwrap().shown();
        assert_eq!(
            [
                shown("17.0"),
                shown("2.130"),
                shown("-3"),
                shown("true"),
                shown("\"x\"")
            ],
            ["17", "2.13", "-3", "true", "x"]
        );
    }
}
