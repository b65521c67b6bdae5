//! Ranges of days, as reports ask for them: two dates, both included, in UTC. Bounded, since the work of a report grows with
//! its range.

use garde::Validate;
use serde::{Deserialize, Serialize};
use time::macros::{date, format_description};
use time::{Date, Duration, OffsetDateTime, Time};
use utoipa::IntoParams;

use crate::Problem;

/// The first day that a range may have.
pub const FIRST: Date = date!(1970 - 01 - 01);
/// The last one.
pub const LAST: Date = date!(2099 - 12 - 31);

/// A date in JSON: `2010-12-01`. For serde's `with`; [`day::option`] where it may be null.
#[allow(missing_docs)] // the macro's
pub mod day {
    time::serde::format_description!(iso, Date, "[year]-[month]-[day]");
    pub use iso::{deserialize, option, serialize};
}

/// `?from=&to=` of a report.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DaysQuery {
    /// The first day, such as `2010-12-01` (UTC).
    #[garde(skip)]
    #[param(value_type = Option<String>, format = Date)]
    pub from: Option<String>,
    /// The last day, included.
    #[garde(skip)]
    #[param(value_type = Option<String>, format = Date)]
    pub to: Option<String>,
}

impl DaysQuery {
    /// The range; 422 when a date is none, lies before 1970 or after 2099, when they are in the wrong order, or when there are
    /// more than `days_max` days. Without `to` it ends with `today`, without `from` it has `days_usual` days.
    pub fn range(&self, today: Date, days_usual: i64, days_max: i64) -> Result<Days, Problem> {
        let to = parse("to", self.to.as_deref())?.unwrap_or(today);
        let usual = to.checked_sub(Duration::days(days_usual - 1));
        let usual = usual.map_or(FIRST, |from| from.max(FIRST));
        let from = parse("from", self.from.as_deref())?.unwrap_or(usual);
        let days = Days { from, to };
        if from > to {
            return Err(refused("from", "must not be after `to`"));
        }
        if days.count() > days_max {
            return Err(refused(
                "from",
                &format!("the range has more than {days_max} days"),
            ));
        }
        Ok(days)
    }

    /// [`DaysQuery::range`] where both dates have to be given.
    pub fn given(&self, days_max: i64) -> Result<Days, Problem> {
        for (field, value) in [("from", &self.from), ("to", &self.to)] {
            if value.is_none() {
                return Err(refused(field, "is needed"));
            }
        }
        self.range(LAST, 1, days_max)
    }
}

/// Days from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
}

impl Days {
    /// How many.
    pub fn count(self) -> i64 {
        i64::from(self.to.to_julian_day() - self.from.to_julian_day()) + 1
    }

    /// The first moment.
    pub fn start(self) -> OffsetDateTime {
        self.from.with_time(Time::MIDNIGHT).assume_utc()
    }

    /// The first moment after the last day.
    pub fn end(self) -> OffsetDateTime {
        self.to.with_time(Time::MIDNIGHT).assume_utc() + Duration::DAY
    }

    /// Whether a day is one of them.
    pub fn contains(self, day: Date) -> bool {
        (self.from..=self.to).contains(&day)
    }
}

fn parse(field: &str, text: Option<&str>) -> Result<Option<Date>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let shape = format_description!("[year]-[month]-[day]");
    let date = (text.len() == 10)
        .then(|| Date::parse(text, shape).ok())
        .flatten();
    match date {
        Some(date) if (FIRST..=LAST).contains(&date) => Ok(Some(date)),
        _ => Err(refused(
            field,
            "must be a date such as 2010-12-01, from 1970 to 2099",
        )),
    }
}

fn refused(field: &str, message: &str) -> Problem {
    Problem::invalid([(field.to_owned(), message.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: Option<&str>, to: Option<&str>) -> Result<Days, Problem> {
        let query = DaysQuery {
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        query.range(date!(2026 - 01 - 31), 30, 400)
    }

    #[test]
    fn ranges_are_bounded_and_have_both_ends() {
        let usual = range(None, None).unwrap();
        assert_eq!(
            (usual.from, usual.to),
            (date!(2026 - 01 - 02), date!(2026 - 01 - 31))
        );
        assert_eq!(usual.count(), 30);
        assert_eq!(usual.end() - usual.start(), Duration::days(30));
        let one = range(Some("2010-12-01"), Some("2010-12-01")).unwrap();
        assert_eq!(one.count(), 1);
        assert!(one.contains(date!(2010 - 12 - 01)) && !one.contains(date!(2010 - 12 - 02)));
        assert_eq!(
            range(Some("2025-01-01"), Some("2026-02-04")).unwrap().count(),
            400
        );
        assert_eq!(range(None, Some("1970-01-01")).unwrap().count(), 1);
        assert_eq!(range(Some("2099-12-31"), Some("2099-12-31")).unwrap().count(), 1);
        for (from, to) in [
            (Some("2026-02-01"), None),
            (Some("2025-01-01"), Some("2026-02-05")),
            (Some("2010-02-29"), Some("2010-03-01")),
            (Some("1969-12-31"), None),
            (None, Some("2100-01-01")),
            (None, Some("+10000-01-01")),
            (None, Some("")),
            (None, Some("2010-12-01T00:00:00Z")),
            (None, Some("-001-01-01")),
            (None, Some("’010-01-1")),
        ] {
            assert_eq!(range(from, to).unwrap_err().status, 422, "{from:?} {to:?}");
        }
        assert_eq!(DaysQuery::default().given(5).unwrap_err().status, 422);
    }
}
