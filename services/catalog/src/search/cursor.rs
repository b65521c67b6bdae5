//! Cursors: the place of the last product of a page in its order of sorting. Opaque to callers, and bound to the sort.

use emporium_service_kit::page::{decode_cursor, encode_cursor};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{SearchError, Sort};

/// The sort key of the last product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Score in millionths, and the weights of the words that it was reckoned with. Weights follow the vocabulary, so
    /// without them any new product would move every score, and products at the border of two pages would come twice.
    Relevance(i64, Vec<f32>),
    /// The same of Elasticsearch, whose scores are others (hundred-thousandths): products with equal scores go by id.
    Score(i64, Vec<f32>),
    /// In stock; units sold.
    Popular(bool, i64),
    /// Creation time, microseconds since the epoch.
    Newest(i64),
    /// Price in minor units.
    PriceAsc(i64),
    /// Price in minor units.
    PriceDesc(i64),
    /// Folded name.
    Name(String),
}

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The sort key.
    #[serde(rename = "k")]
    pub key: Key,
    /// Whether the list holds products with any of the words, because none has all of them.
    #[serde(rename = "a", default)]
    pub any_word: bool,
    /// How many products the pages up to here had, when they are by relevance: where another adapter goes on.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub shown: u32,
    /// The product, to tell equal keys apart.
    #[serde(rename = "i")]
    pub id: Uuid,
}

impl Place {
    /// Reads a cursor of a list in this order.
    pub fn read(cursor: &str, sort: Sort) -> Result<Self, SearchError> {
        let place: Self = decode_cursor(cursor).map_err(|_| SearchError::BadCursor)?;
        let fits = match (&place.key, sort) {
            (Key::Relevance(..) | Key::Score(..), Sort::Relevance)
            | (Key::Popular(..), Sort::Popular)
            | (Key::PriceAsc(_), Sort::PriceAsc)
            | (Key::PriceDesc(_), Sort::PriceDesc) => true,
            (Key::Newest(micros), Sort::Newest) => time_of(*micros).is_some(),
            // PostgreSQL keeps no NUL in text.
            (Key::Name(name), Sort::Name) => !name.contains('\0'),
            _ => false,
        };
        if fits {
            Ok(place)
        } else {
            Err(SearchError::BadCursor)
        }
    }

    /// The weights that a list began with, if they can be those of a query of so many words.
    pub fn checked(weights: &[f32], words: usize) -> Result<&[f32], SearchError> {
        // Elasticsearch takes minus zero for negative, and refuses it.
        let is_one = |weight: &f32| (0.0..=1.0).contains(weight) && weight.is_sign_positive();
        let fit = weights.len() == words && weights.iter().all(is_one);
        fit.then_some(weights).ok_or(SearchError::BadCursor)
    }

    /// How many products the next page's place comes after.
    pub fn shown_after(place: Option<&Self>, page: usize) -> u32 {
        let before = place.map_or(0, |place| place.shown);
        before.saturating_add(u32::try_from(page).unwrap_or(u32::MAX))
    }

    /// As a cursor.
    pub fn write(&self) -> String {
        encode_cursor(self)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A time that a product can have been created at.
pub fn time_of(micros: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .ok()
        .filter(|time| (1..=9_999).contains(&time.year()))
}

/// A time in microseconds since the epoch.
pub fn micros_of(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_is_bound_to_its_sort() {
        let place = Place {
            key: Key::PriceAsc(5),
            any_word: false,
            shown: 0,
            id: Uuid::nil(),
        };
        let cursor = place.write();
        assert_eq!(Place::read(&cursor, Sort::PriceAsc).unwrap(), place);
        for sort in [
            Sort::PriceDesc,
            Sort::Name,
            Sort::Popular,
            Sort::Newest,
            Sort::Relevance,
        ] {
            assert!(Place::read(&cursor, sort).is_err());
        }
    }

    #[test]
    fn forged_keys_that_the_store_cannot_compare_are_refused() {
        for (key, sort) in [
            (Key::Name("a\0".into()), Sort::Name),
            (Key::Newest(i64::MIN), Sort::Newest),
        ] {
            let cursor = Place {
                key,
                any_word: false,
                shown: 0,
                id: Uuid::nil(),
            }
            .write();
            assert!(Place::read(&cursor, sort).is_err());
        }
    }

    #[test]
    fn forged_weights_are_refused() {
        assert!(Place::checked(&[0.0, 1.0], 2).is_ok());
        for weights in [
            &[1.0][..],
            &[0.5, -0.0],
            &[0.5, 1.5],
            &[0.5, f32::NAN],
            &[0.5, f32::INFINITY],
        ] {
            assert!(Place::checked(weights, 2).is_err(), "{weights:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = Place::read(&text, Sort::Popular);
        }
    }
}
