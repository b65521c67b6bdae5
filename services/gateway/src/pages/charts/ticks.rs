//! Which moments of an axis of time are marked, and how they are written.

use time::macros::format_description;
use time::{Duration, OffsetDateTime, Time};

/// Round spans of time, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Every {
    Minutes(i64),
    Days(i64),
    Months(i32),
}

const EVERY: [Every; 19] = [
    Every::Minutes(1),
    Every::Minutes(5),
    Every::Minutes(10),
    Every::Minutes(15),
    Every::Minutes(30),
    Every::Minutes(60),
    Every::Minutes(180),
    Every::Minutes(360),
    Every::Minutes(720),
    Every::Days(1),
    Every::Days(7),
    Every::Months(1),
    Every::Months(3),
    Every::Months(6),
    Every::Months(12),
    Every::Months(24),
    Every::Months(60),
    Every::Months(120),
    Every::Months(1_200),
];

impl Every {
    /// Moments of the same span have the same number, of later ones a higher one.
    fn number(self, at: OffsetDateTime) -> i64 {
        match self {
            Self::Minutes(minutes) => at.unix_timestamp().div_euclid(minutes * 60),
            // 1970 began on a Thursday; weeks begin on Mondays.
            Self::Days(days) => (at.unix_timestamp().div_euclid(86_400) + 3).div_euclid(days),
            Self::Months(months) => {
                i64::from(at.year() * 12 + i32::from(u8::from(at.month())) - 1).div_euclid(i64::from(months))
            }
        }
    }

    fn words(self, at: OffsetDateTime) -> String {
        let written = match self {
            Self::Minutes(_) => at.format(format_description!("[hour]:[minute]")),
            Self::Days(_) => at.format(format_description!("[day padding:none] [month repr:short]")),
            Self::Months(months) if months < 12 => {
                at.format(format_description!("[month repr:short] [year]"))
            }
            Self::Months(_) => at.format(format_description!("[year]")),
        };
        written.unwrap_or_default()
    }
}

/// The points that begin a round span, with words, at most `marks_max` of them; `moments` ascend. Points of whole days and
/// months are written as such, however few they are.
pub fn of_time(moments: &[OffsetDateTime], marks_max: usize) -> Vec<(usize, String)> {
    let days = moments.iter().all(|at| at.time() == Time::MIDNIGHT);
    let months = days && moments.iter().all(|at| at.day() == 1);
    let fits = |every: &Every| match every {
        Every::Minutes(_) => !days,
        Every::Days(_) => !months,
        Every::Months(_) => true,
    };
    let mut found = Vec::new();
    for every in EVERY.into_iter().filter(fits) {
        found = marks(moments, every);
        if found.len() <= marks_max {
            break;
        }
    }
    // Points a century apart have no round span here.
    found.truncate(marks_max);
    found
}

fn marks(moments: &[OffsetDateTime], every: Every) -> Vec<(usize, String)> {
    let begins = |index: usize, at: OffsetDateTime| {
        let before = match index.checked_sub(1).and_then(|before| moments.get(before)) {
            Some(before) => *before,
            // The first point begins a span when nothing of it came before.
            None => match at.checked_sub(Duration::SECOND) {
                Some(before) => before,
                None => return true,
            },
        };
        every.number(before) != every.number(at)
    };
    let points = moments.iter().enumerate();
    points
        .filter(|(index, at)| begins(*index, **at))
        .map(|(index, at)| (index, every.words(*at)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;
    use time::{Date, Month};

    fn words(from: OffsetDateTime, step: Duration, count: i32, max: usize) -> Vec<String> {
        let moments: Vec<_> = (0..count).map(|n| from + step * n).collect();
        of_time(&moments, max)
            .into_iter()
            .map(|(_, words)| words)
            .collect()
    }

    #[test]
    fn marks_are_round_moments() {
        let noon = datetime!(2010-03-01 12:00 UTC);
        assert_eq!(
            words(noon, Duration::MINUTE, 60, 6),
            ["12:00", "12:10", "12:20", "12:30", "12:40", "12:50"]
        );
        assert_eq!(
            words(datetime!(2010-03-01 0:00 UTC), Duration::DAY, 30, 6),
            ["1 Mar", "8 Mar", "15 Mar", "22 Mar", "29 Mar"]
        );
        assert_eq!(
            words(datetime!(2009-12-01 0:00 UTC), Duration::DAY, 730, 8),
            [
                "Jan 2010", "Apr 2010", "Jul 2010", "Oct 2010", "Jan 2011", "Apr 2011", "Jul 2011",
                "Oct 2011"
            ]
        );
        assert!(of_time(&[], 5).is_empty());
    }

    #[test]
    fn a_few_days_and_months_are_marked_as_such() {
        assert_eq!(
            words(datetime!(2010-03-05 0:00 UTC), Duration::DAY, 7, 10),
            ["5 Mar", "6 Mar", "7 Mar", "8 Mar", "9 Mar", "10 Mar", "11 Mar"]
        );
        assert_eq!(
            words(datetime!(2010-03-01 0:00 UTC), Duration::WEEK, 3, 10),
            ["1 Mar", "8 Mar", "15 Mar"]
        );
        let month = |month| Date::from_calendar_date(2010, month, 1).unwrap().midnight();
        let months = [1, 2, 3, 4, 5, 6, 7].map(|number| month(Month::try_from(number).unwrap()).assume_utc());
        let found: Vec<String> = of_time(&months, 10).into_iter().map(|(_, words)| words).collect();
        assert_eq!(
            found,
            [
                "Jan 2010", "Feb 2010", "Mar 2010", "Apr 2010", "May 2010", "Jun 2010", "Jul 2010"
            ]
        );
        assert_eq!(
            words(datetime!(2010-03-05 0:00 UTC), Duration::HOUR, 3, 10).len(),
            3
        );
        assert_eq!(
            words(datetime!(2010-03-05 0:00 UTC), Duration::DAY, 1, 10),
            ["5 Mar"]
        );
    }

    proptest! {
        #[test]
        fn any_span_has_few_marks(from in -60_000_000_000_i64..250_000_000_000, step in 1_i64..400_000_000, count in 0_usize..300, max in 1_usize..20) {
            let from = OffsetDateTime::from_unix_timestamp(from).unwrap();
            let moments: Vec<_> = (0..count).map_while(|n| from.checked_add(Duration::seconds(step * i64::try_from(n).unwrap()))).collect();
            let found = of_time(&moments, max);
            prop_assert!(found.len() <= max);
            prop_assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(found.iter().all(|(index, words)| *index < moments.len() && !words.is_empty()));
        }
    }
}
