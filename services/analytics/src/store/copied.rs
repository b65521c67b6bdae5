//! What visitors do, as it is moved to another store: the same text from every one.
//!
//! | key | content, its fields separated by tabs, an absent one empty |
//! |---|---|
//! | `activity:<id>` | kind, visitor, customer, product, quantity, search, results |
//! | `day:<day>` | of a closed day: visitors, viewed, carted, began, paid; then each search that is kept, and how often |
//! | `search:<day>:<search>` | of an open day: how often |
//! | `visit:<day>:<visitor>` | of an open day: stage, customer |
//!
//! No search has a tab or another control character. Days are closed from the oldest on, and what came of a closed day is its one
//! record: its visits, searches and single activities count as gone, whether they were removed already or not. So it makes no
//! difference to a move how far a store is with removing.

use emporium_moving::{Keys, Record};
use emporium_service_kit::StoreError;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{Date, OffsetDateTime, Time};
use uuid::{Builder, Uuid};

use crate::model::{Activity, What, moment, normal};

/// Keys that are copied at a time.
pub(super) const PAGE: usize = 4_000;
/// The same of closed days, of which each has up to [`SEARCHES_KEPT`] searches.
pub(super) const DAYS_PAGE: usize = 50;
/// Searches without a result that stay of a closed day.
pub(super) const SEARCHES_KEPT: u8 = 100;

const DAY: StaticFormatDescription = format_description!("[year]-[month]-[day]");

/// What names a record. In the order of keys, which is that of a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RecordKey {
    /// A single activity.
    Activity(Uuid),
    /// A closed day.
    Day(Date),
    /// A search that found nothing.
    Search(Date, String),
    /// How far a visitor came on a day.
    Visit(Date, Uuid),
}

impl RecordKey {
    pub fn text(&self) -> String {
        match self {
            Self::Activity(id) => format!("activity:{id}"),
            Self::Day(day) => format!("day:{day}"),
            Self::Search(day, query) => format!("search:{day}:{query}"),
            Self::Visit(day, visitor) => format!("visit:{day}:{visitor}"),
        }
    }

    pub fn read(text: &str) -> Result<Self, StoreError> {
        let (kind, rest) = text.split_once(':').unwrap_or_default();
        let (first, second) = rest.split_once(':').unwrap_or((rest, ""));
        let day = Date::parse(first, DAY).ok();
        let key = match kind {
            "activity" => first.parse().ok().map(Self::Activity),
            "day" => day.map(Self::Day),
            "search" => day.map(|day| Self::Search(day, second.to_owned())),
            "visit" => day
                .zip(second.parse().ok())
                .map(|(day, visitor)| Self::Visit(day, visitor)),
            _ => None,
        };
        key.ok_or_else(|| StoreError::Failed(format!("{text:?} names no record of activity").into()))
    }
}

/// What an activity changes.
pub(super) fn keys_of(activity: &Activity) -> Vec<String> {
    let Some(day) = activity.moment().map(OffsetDateTime::date) else {
        return Vec::new();
    };
    let mut keys = vec![
        RecordKey::Activity(activity.id).text(),
        RecordKey::Visit(day, activity.visitor_id).text(),
    ];
    if let What::Search { query, results: 0 } = &activity.what {
        let query = normal(query);
        if !query.is_empty() {
            keys.push(RecordKey::Search(day, query).text());
        }
    }
    keys
}

/// A single activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActivityRecord {
    pub id: Uuid,
    /// That its id carries.
    pub day: Date,
    pub kind: i16,
    pub visitor_id: Uuid,
    pub customer_id: Option<Uuid>,
    pub product_id: Option<Uuid>,
    pub quantity: Option<i32>,
    /// Of a search.
    pub query: Option<String>,
    pub results: Option<i64>,
}

/// A closed day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DayRecord {
    pub day: Date,
    /// Visitors, viewed, carted, began, paid.
    pub figures: [i64; 5],
    pub searches: Vec<SearchRecord>,
}

/// A search that found nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SearchRecord {
    pub day: Date,
    pub query: String,
    pub searches: i64,
}

/// How far a visitor came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VisitRecord {
    pub day: Date,
    pub visitor_id: Uuid,
    pub stage: i16,
    pub customer_id: Option<Uuid>,
}

/// Records, by what they are of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    pub activities: Vec<ActivityRecord>,
    pub days: Vec<DayRecord>,
    pub searches: Vec<SearchRecord>,
    pub visits: Vec<VisitRecord>,
}

impl Sorted {
    pub fn of(records: &[Record]) -> Result<Self, StoreError> {
        let mut sorted = Self::default();
        for record in records {
            let read = sorted.add(RecordKey::read(&record.key)?, &record.content);
            read.ok_or_else(|| {
                StoreError::Failed(format!("the record {:?} cannot be read", record.key).into())
            })?;
        }
        Ok(sorted)
    }

    fn add(&mut self, key: RecordKey, content: &str) -> Option<()> {
        let fields: Vec<&str> = content.split('\t').collect();
        match (key, fields.as_slice()) {
            (RecordKey::Activity(id), [kind, visitor, customer, product, quantity, query, results]) => {
                let kind = kind.parse().ok()?;
                let is_search = kind == SEARCH;
                self.activities.push(ActivityRecord {
                    id,
                    day: moment(id)?.date(),
                    kind,
                    visitor_id: visitor.parse().ok()?,
                    customer_id: optional(customer).ok()?,
                    product_id: optional(product).ok()?,
                    quantity: optional(quantity).ok()?,
                    query: is_search.then(|| (*query).to_owned()),
                    results: optional(results).ok()?,
                });
            }
            (RecordKey::Day(day), [visitors, viewed, carted, began, paid, searches @ ..]) => {
                let mut figures = [0; 5];
                for (figure, text) in figures.iter_mut().zip([visitors, viewed, carted, began, paid]) {
                    *figure = text.parse().ok()?;
                }
                let (pairs, []) = searches.as_chunks::<2>() else {
                    return None;
                };
                let search = |[query, searches]: &[&str; 2]| {
                    Some(SearchRecord {
                        day,
                        query: (*query).to_owned(),
                        searches: searches.parse().ok()?,
                    })
                };
                let searches = pairs.iter().map(search).collect::<Option<_>>()?;
                self.days.push(DayRecord {
                    day,
                    figures,
                    searches,
                });
            }
            (RecordKey::Search(day, query), [searches]) => self.searches.push(SearchRecord {
                day,
                query,
                searches: searches.parse().ok()?,
            }),
            (RecordKey::Visit(day, visitor_id), [stage, customer]) => self.visits.push(VisitRecord {
                day,
                visitor_id,
                stage: stage.parse().ok()?,
                customer_id: optional(customer).ok()?,
            }),
            _ => return None,
        }
        Some(())
    }
}

/// [`What::kind`] of a search.
const SEARCH: i16 = 0;

/// Nothing, when the text is empty.
fn optional<T: std::str::FromStr>(text: &str) -> Result<Option<T>, T::Err> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some),
    }
}

/// Keys, by what they name.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub activities: Vec<Uuid>,
    pub days: Vec<Date>,
    pub searches: Vec<(Date, String)>,
    pub visits: Vec<(Date, Uuid)>,
}

impl Wanted {
    pub fn of(keys: &[String]) -> Result<Self, StoreError> {
        let mut wanted = Self::default();
        for key in keys {
            match RecordKey::read(key)? {
                RecordKey::Activity(id) => wanted.activities.push(id),
                RecordKey::Day(day) => wanted.days.push(day),
                RecordKey::Search(day, query) => wanted.searches.push((day, query)),
                RecordKey::Visit(day, visitor) => wanted.visits.push((day, visitor)),
            }
        }
        Ok(wanted)
    }
}

/// Where a listing begins, kind by kind.
pub(super) fn first_of_kinds() -> [RecordKey; 4] {
    [
        RecordKey::Activity(Uuid::nil()),
        RecordKey::Day(Date::MIN),
        RecordKey::Search(Date::MIN, String::new()),
        RecordKey::Visit(Date::MIN, Uuid::nil()),
    ]
}

/// A page of a listing, in the order of kinds: what was found after `after`, of which at most `max` was asked for. When that was all
/// of its kind, the next kind follows.
pub(super) fn page(after: &RecordKey, found: &[RecordKey], max: usize) -> Keys {
    let next = match found.last() {
        Some(last) if found.len() >= max => Some(last.clone()),
        _ => {
            let kind = std::mem::discriminant(after);
            let mut kinds = first_of_kinds().into_iter();
            kinds.find(|first| std::mem::discriminant(first) == kind);
            kinds.next()
        }
    };
    Keys {
        keys: found.iter().map(RecordKey::text).collect(),
        next: next.map(|next| next.text()),
    }
}

/// The smallest UUIDv7 of a day.
pub(super) fn first_id(day: Date) -> Uuid {
    let at = day.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp();
    let millis = u64::try_from(at).unwrap_or_default() * 1_000;
    Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn keys_come_back_from_their_text() {
        let (day, id) = (date!(2030 - 01 - 02), Uuid::from_u128(7));
        for key in [
            RecordKey::Activity(id),
            RecordKey::Day(day),
            RecordKey::Search(day, "a: b:c".to_owned()),
            RecordKey::Visit(day, id),
        ] {
            assert_eq!(RecordKey::read(&key.text()).unwrap(), key);
        }
        for first in first_of_kinds() {
            assert_eq!(RecordKey::read(&first.text()).unwrap(), first);
        }
        for bad in ["", "activity:x", "day:2030-13-01", "visit:2030-01-02:x", "cart:7"] {
            assert!(RecordKey::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_listing_goes_through_all_kinds() {
        let mut after = Some(RecordKey::Activity(Uuid::nil()));
        let mut kinds = Vec::new();
        while let Some(key) = after {
            kinds.push(std::mem::discriminant(&key));
            after = page(&key, &[], 5)
                .next
                .map(|text| RecordKey::read(&text).unwrap());
        }
        assert_eq!(kinds.len(), 4);
        let found = vec![RecordKey::Day(date!(2030 - 01 - 02))];
        let full = page(&RecordKey::Day(Date::MIN), &found, 1);
        assert_eq!(full.next, Some(found[0].text()));
        assert_eq!(
            page(&RecordKey::Day(Date::MIN), &found, 2).next.unwrap(),
            first_of_kinds()[2].text()
        );
    }
}
