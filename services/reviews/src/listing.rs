//! How lists are asked for: orders, filters, and cursors that are bound to their order.

use emporium_service_kit::Problem;
use emporium_service_kit::page::{decode_cursor, encode_cursor};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::attributes::AttributeFilter;
use crate::model::{Review, State};

/// The order of a product's reviews. Equal ones go by the time of posting, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// By votes: those who found it helpful, less those who did not.
    #[default]
    Helpful,
    /// The newest first.
    New,
    /// The best rating first.
    RatingHigh,
    /// The worst rating first.
    RatingLow,
}

impl Sort {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Helpful, Self::New, Self::RatingHigh, Self::RatingLow];

    /// Whether it goes by the rating.
    pub fn is_by_rating(self) -> bool {
        matches!(self, Self::RatingHigh | Self::RatingLow)
    }

    /// By what reviews are sorted, the largest first, before their ids decide; times in microseconds since 1970.
    pub fn rank(self, review: &Review) -> i64 {
        match self {
            Self::Helpful => review.helpful - review.unhelpful,
            Self::New => micros(review.created_at),
            Self::RatingHigh => i64::from(review.rating),
            Self::RatingLow => i64::from(RATING_TURNED - review.rating),
        }
    }
}

/// A time as a rank.
fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

/// A rating taken from this sorts the worst first, in the same direction as everything else.
pub const RATING_TURNED: i16 = 6;

/// The place of a review in an order: where the next page goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which order.
    #[serde(rename = "s")]
    pub sort: Sort,
    /// [`Sort::rank`].
    #[serde(rename = "r")]
    pub rank: i64,
    /// The review.
    #[serde(rename = "i")]
    pub id: Uuid,
}

impl Place {
    /// Where a review is.
    pub fn of(review: &Review, sort: Sort) -> Self {
        Self {
            sort,
            rank: sort.rank(review),
            id: review.id,
        }
    }

    /// The rank of [`Sort::New`]; `None` when a store could not keep it.
    pub fn time(&self) -> Option<OffsetDateTime> {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.rank) * 1_000);
        time.ok().filter(|time| (1..=9_999).contains(&time.year()))
    }

    /// Reads the cursor of a list in this order; 400 `bad-cursor` for that of another one, or one that somebody made up.
    pub fn read(cursor: Option<&str>, sort: Sort) -> Result<Option<Self>, Problem> {
        let Some(cursor) = cursor else { return Ok(None) };
        let place: Self = decode_cursor(cursor)?;
        if place.sort == sort && (sort != Sort::New || place.time().is_some()) {
            return Ok(Some(place));
        }
        Err(Problem::bad_request(
            "bad-cursor",
            "The cursor belongs to another order; start again without one.",
        ))
    }

    /// As a cursor.
    pub fn write(&self) -> String {
        encode_cursor(self)
    }
}

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Viewer {
    /// The customer, whose own votes are shown and who sees an own review that is hidden.
    pub customer: Option<Uuid>,
    /// Moderators see hidden reviews.
    pub moderator: bool,
}

impl Viewer {
    /// A moderator.
    pub const MODERATOR: Self = Self {
        customer: None,
        moderator: true,
    };

    /// A customer.
    pub fn customer(id: Uuid) -> Self {
        Self {
            customer: Some(id),
            moderator: false,
        }
    }

    /// Whether this viewer sees a review of that author in that state.
    pub fn sees(&self, author_id: Uuid, state: State) -> bool {
        state == State::Visible || self.moderator || self.customer == Some(author_id)
    }
}

/// The most reviews of a product that one page of a filtered list looks at. What few reviews have may be far down a long list,
/// so such a page may be short, or empty, and still not be the last.
pub const LOOK_MAX: u32 = 2_000;

/// A page of a product's visible reviews.
#[derive(Debug, Clone)]
pub struct ProductReviews {
    /// The product.
    pub product_id: Uuid,
    /// In which order.
    pub sort: Sort,
    /// Only those with this rating.
    pub rating: Option<i16>,
    /// Only those with the mark of a verified purchase, or only those without.
    pub verified: Option<bool>,
    /// Only those with all of these attributes.
    pub attributes: Vec<AttributeFilter>,
    /// Who looks.
    pub viewer: Viewer,
    /// Only those after this place.
    pub after: Option<Place>,
    /// At most so many.
    pub max: u32,
    /// At most so many are looked at, those that do not fit included; at least `max`.
    pub look: u32,
}

/// What a page of a product's reviews has.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The reviews that fit, in their order.
    pub items: Vec<Review>,
    /// Where the next page goes on: after the last review that this one looked at. `None` at the end of the list.
    pub next: Option<Place>,
}

/// A page of the newest reviews that one author wrote, or that are in one state.
#[derive(Debug, Clone, Copy)]
pub struct NewestReviews {
    /// Whose, or which.
    pub which: Which,
    /// Only those posted before this one.
    pub before: Option<Uuid>,
    /// At most so many.
    pub max: u32,
}

/// Reviews across products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of an author's, hidden ones included.
    By(Uuid),
    /// All in a state.
    In(State),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_is_bound_to_its_order() {
        let place = Place {
            sort: Sort::Helpful,
            rank: -3,
            id: Uuid::from_u128(7),
        };
        let cursor = place.write();
        assert_eq!(Place::read(Some(&cursor), Sort::Helpful).unwrap(), Some(place));
        assert_eq!(Place::read(None, Sort::Helpful).unwrap(), None);
        for sort in &Sort::ALL[1..] {
            assert_eq!(Place::read(Some(&cursor), *sort).unwrap_err().code, "bad-cursor");
        }
        for rank in [i64::MIN, i64::MAX] {
            let sort = Sort::New;
            let made_up = Place { sort, rank, ..place }.write();
            assert!(Place::read(Some(&made_up), sort).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_cursor_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = Place::read(Some(&text), Sort::New);
        }
    }
}
