//! Ranges of days that the business page is about.

use emporium_service_kit::days::{Days, DaysQuery};
use time::macros::format_description;
use time::{Date, Duration, Month};

use crate::clients::analytics::Revenue;
use crate::pages::params::{Params, link};

/// Days of an answer that lists each of them, as analytics has it.
const LISTED_DAYS_MAX: i64 = 1_100;
/// Days of any other answer.
const DAYS_MAX: i64 = 3_660;
/// Days of cohorts.
const COHORT_DAYS_MAX: i64 = 1_830;
/// Up to so many days are shown each, and as weeks.
const DAILY_MAX: i64 = 62;
const WEEKLY_MAX: i64 = 300;
/// Years that have a link each.
const YEARS_MAX: usize = 6;

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Day, Self::Week, Self::Month]
            .into_iter()
            .find(|period| period.as_str() == text)
    }

    /// What a period is called that begins on this day.
    pub fn name(self, from: Date) -> String {
        let written = match self {
            Self::Day => from.format(format_description!("[day padding:none] [month repr:long] [year]")),
            Self::Week => from.format(format_description!(
                "week of [day padding:none] [month repr:long] [year]"
            )),
            Self::Month => from.format(format_description!("[month repr:long] [year]")),
        };
        written.unwrap_or_default()
    }
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub days: Days,
    pub period: Period,
}

/// When the shop sold anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    /// From the first month to the last one.
    pub days: Days,
    /// The years of the months in which it did, ascending.
    pub years: Vec<i32>,
}

/// A link to another range, or to other periods of this one.
pub struct Choice {
    pub href: String,
    pub label: String,
    pub selected: bool,
}

impl Range {
    /// What the parameters ask for, and what is wrong with them. Without any: all there is when that can be listed, else the
    /// last year of it; thirty days when there is nothing.
    pub fn read(params: &Params, extent: Option<Days>, today: Date) -> (Self, Option<String>) {
        let asked = DaysQuery {
            from: params.get("from").map(str::to_owned),
            to: params.get("to").map(str::to_owned),
        };
        let usual = usual(extent, today);
        let read = if asked.from.is_none() && asked.to.is_none() {
            Ok(usual)
        } else {
            asked.range(today, 30, DAYS_MAX)
        };
        let (days, mistake) = match read {
            Ok(days) => (days, None),
            Err(problem) => (usual, Some(mistake(&problem))),
        };
        let period = params.get("by").and_then(Period::read);
        let period = period.unwrap_or(if days.count() <= DAILY_MAX {
            Period::Day
        } else if days.count() <= WEEKLY_MAX {
            Period::Week
        } else {
            Period::Month
        });
        let listable = days.count() <= LISTED_DAYS_MAX || period != Period::Day;
        let period = if listable { period } else { Period::Week };
        (Self { days, period }, mistake)
    }

    /// The range as analytics is asked about it.
    pub fn text(days: Days) -> (String, String) {
        (iso(days.from), iso(days.to))
    }

    /// The end of the range, as long as days may be listed.
    pub fn listed(&self) -> Days {
        self.last(LISTED_DAYS_MAX)
    }

    /// The end of the range, as long as cohorts may be.
    pub fn cohorts(&self) -> Days {
        self.last(COHORT_DAYS_MAX - 31)
    }

    fn last(&self, days_max: i64) -> Days {
        let least = self.days.to.checked_sub(Duration::days(days_max - 1));
        Days {
            from: least.map_or(self.days.from, |least| least.max(self.days.from)),
            to: self.days.to,
        }
    }

    /// Links to ranges.
    pub fn choices(&self, sold: Option<&Sold>, today: Date) -> Vec<Choice> {
        let mut all = Vec::new();
        if let Some(sold) = sold {
            if sold.days.count() <= DAYS_MAX {
                all.push(("All of it".to_owned(), sold.days));
            }
            let years = sold.years.iter().rev().take(YEARS_MAX);
            all.extend(years.filter_map(|year| Some((year.to_string(), whole_year(*year)?))));
        }
        for (label, days) in [("Last 12 months", 365), ("Last 30 days", 30)] {
            let from = today.checked_sub(Duration::days(days - 1));
            all.extend(from.map(|from| (label.to_owned(), Days { from, to: today })));
        }
        all.into_iter()
            .map(|(label, days)| Choice {
                href: Self::link(days, None),
                selected: days == self.days,
                label,
            })
            .collect()
    }

    /// Links to periods.
    pub fn periods(&self) -> Vec<Choice> {
        [Period::Day, Period::Week, Period::Month]
            .into_iter()
            .filter(|period| *period != Period::Day || self.days.count() <= LISTED_DAYS_MAX)
            .map(|period| Choice {
                href: Self::link(self.days, Some(period)),
                label: format!("by {}", period.as_str()),
                selected: period == self.period,
            })
            .collect()
    }

    fn link(days: Days, period: Option<Period>) -> String {
        let (from, to) = Self::text(days);
        let by = period.map(Period::as_str).unwrap_or_default();
        link("/admin/business", [("from", &*from), ("to", &*to), ("by", by)])
    }
}

/// In whole sentences: problems name the fields of an address.
fn mistake(problem: &emporium_service_kit::Problem) -> String {
    let errors = problem
        .extensions
        .get("errors")
        .and_then(|errors| errors.as_array());
    let said = errors.and_then(|errors| errors.first());
    let said = said.and_then(|error| Some((error.get("field")?.as_str()?, error.get("message")?.as_str()?)));
    let (field, message) = said.unwrap_or(("range", "cannot be read"));
    format!("That range cannot be shown ({field}: {message}); here is another one.")
}

fn usual(extent: Option<Days>, today: Date) -> Days {
    let before = |to: Date, days: i64| to.checked_sub(Duration::days(days - 1)).unwrap_or(to);
    match extent {
        Some(extent) if extent.count() <= LISTED_DAYS_MAX => extent,
        Some(extent) => Days {
            from: before(extent.to, 365),
            to: extent.to,
        },
        None => Days {
            from: before(today, 30),
            to: today,
        },
    }
}

fn whole_year(year: i32) -> Option<Days> {
    Some(Days {
        from: Date::from_calendar_date(year, Month::January, 1).ok()?,
        to: Date::from_calendar_date(year, Month::December, 31).ok()?,
    })
}

/// `2010-12-01`.
pub fn iso(day: Date) -> String {
    day.format(format_description!("[year]-[month]-[day]"))
        .unwrap_or_default()
}

/// The other way round.
pub fn read_day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

/// Ranges by which analytics is asked, month by month, when the shop sold anything: twenty years, in two pieces.
pub fn long_ago(today: Date) -> [Days; 2] {
    let before = |to: Date, days: i64| to.checked_sub(Duration::days(days)).unwrap_or(to);
    let middle = before(today, DAYS_MAX - 1);
    let earlier = before(middle, 1);
    [
        Days {
            from: before(earlier, DAYS_MAX - 1),
            to: earlier,
        },
        Days {
            from: middle,
            to: today,
        },
    ]
}

/// The months in which anything was sold or given back, as [`long_ago`]'s answers say, oldest first.
pub fn sold<'a>(answers: impl IntoIterator<Item = &'a Revenue>, today: Date) -> Option<Sold> {
    let (mut extent, mut years): (Option<Days>, Vec<i32>) = (None, Vec::new());
    let months = answers.into_iter().flat_map(|revenue| &revenue.items);
    for month in
        months.filter(|month| month.orders.is_some_and(|orders| orders > 0) || month.refunds.amount != 0)
    {
        let Some(from) = month.key.as_deref().and_then(read_day) else {
            continue;
        };
        let last = from.replace_day(from.month().length(from.year())).unwrap_or(from);
        let first = extent.map_or(from, |extent| extent.from);
        extent = Some(Days {
            from: first,
            to: last.min(today),
        });
        years.push(from.year());
    }
    years.dedup();
    extent.map(|days| Sold { days, years })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use time::macros::date;

    const TODAY: Date = date!(2026 - 11 - 23);

    fn read(query: &str, extent: Option<Days>) -> (Range, Option<String>) {
        Range::read(&Params::parse(query), extent, TODAY)
    }

    #[test]
    fn the_usual_range_is_what_there_is() {
        let two_years = Days {
            from: date!(2009 - 12 - 01),
            to: date!(2011 - 12 - 31),
        };
        let (range, mistake) = read("", Some(two_years));
        assert_eq!(
            (range.days, range.period, mistake),
            (two_years, Period::Month, None)
        );
        let long = Days {
            from: date!(2009 - 12 - 01),
            to: TODAY,
        };
        assert_eq!(read("", Some(long)).0.days.count(), 365);
        assert_eq!(read("", None).0.days.count(), 30);
        assert_eq!(read("from=2010-01-01&to=2010-01-31", None).0.period, Period::Day);
        assert_eq!(read("from=2010-01-01&to=2010-06-30", None).0.period, Period::Week);
    }

    #[test]
    fn years_with_sales_are_offered_however_long_ago() {
        let month = |key: &str, orders: i64| {
            json!({ "key": key, "orders": orders, "units": orders, "gross": { "amount": orders, "currency": "GBP" },
                "refunds": { "amount": 0, "currency": "GBP" }, "net": { "amount": orders, "currency": "GBP" } })
        };
        let months = [
            ("2009-12-01", 5),
            ("2010-01-01", 5),
            ("2010-02-01", 5),
            ("2011-12-01", 5),
            ("2015-01-01", 0),
            ("2026-11-01", 1),
        ];
        let items: Vec<_> = months.map(|(key, orders)| month(key, orders)).into();
        let revenue: Revenue =
            serde_json::from_value(json!({ "items": items, "total": month("all", 21), "as_of": null }))
                .unwrap();
        let sold = sold([&revenue], TODAY).unwrap();
        assert_eq!(sold.years, [2009, 2010, 2011, 2026]);
        let (range, _) = read("", Some(sold.days));
        let labels: Vec<String> = range
            .choices(Some(&sold), TODAY)
            .into_iter()
            .map(|choice| choice.label)
            .collect();
        assert_eq!(labels[..4], ["2026", "2011", "2010", "2009"]);
    }

    #[test]
    fn absurd_ranges_are_told() {
        for query in [
            "from=0001-01-01",
            "from=9999-99-99",
            "from=2010-01-02&to=2010-01-01",
            "to=x",
            "from=1970-01-01&to=2099-12-31",
        ] {
            let (range, mistake) = read(query, None);
            assert!(mistake.is_some(), "{query}");
            assert_eq!(range.days.count(), 30);
        }
        // Days of ten years would be too many to list.
        assert_eq!(
            read("from=2017-01-01&to=2026-01-01&by=day", None).0.period,
            Period::Week
        );
    }

    proptest! {
        #[test]
        fn any_range_is_bounded(query in "(from=[0-9-]{0,12})?(&to=[0-9-]{0,12})?(&by=[a-z]{0,6})?") {
            let (range, _) = read(&query, None);
            prop_assert!((1..=DAYS_MAX).contains(&range.days.count()));
            prop_assert!(range.listed().count() <= LISTED_DAYS_MAX);
            prop_assert!(range.cohorts().count() <= COHORT_DAYS_MAX - 31);
            prop_assert!(range.period != Period::Day || range.days.count() <= LISTED_DAYS_MAX);
        }
    }
}
