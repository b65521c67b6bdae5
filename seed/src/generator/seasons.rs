//! The calendar of the generated shop: when people buy, and what.
//!
//! All weights are whole numbers, so that every machine computes the same times.

use time::{Duration, OffsetDateTime, macros::datetime};

/// The moment the sample data is "now": no generated order is younger. Part of the bytes, so it never moves.
pub const REFERENCE: OffsetDateTime = datetime!(2025-11-01 00:00 UTC);

/// How far back orders go.
pub const ORDER_DAYS: i64 = 730;

/// Orders of a month, relative to the others, January first. December is the peak.
const SHOP_BY_MONTH: [u64; 12] = [80, 78, 85, 88, 95, 90, 85, 82, 92, 105, 150, 210];

/// Orders of a weekday, relative to the others, Monday first.
const SHOP_BY_WEEKDAY: [u64; 7] = [105, 100, 98, 97, 92, 96, 112];

/// Orders of an hour, relative to the others, midnight first.
const SHOP_BY_HOUR: [u64; 24] = [
    6, 3, 2, 1, 1, 2, 8, 22, 38, 48, 54, 58, 62, 58, 52, 50, 48, 50, 56, 70, 84, 80, 52, 20,
];

/// When a category sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Season {
    /// All the year round.
    Even,
    /// When it is cold and dark.
    Winter,
    /// When gardens wake up.
    Spring,
    /// For holidays.
    Summer,
    /// When leaves turn.
    Autumn,
    /// As presents.
    Christmas,
    /// Hardly at any other time.
    OnlyChristmas,
    /// In late summer.
    BackToSchool,
}

impl Season {
    /// How much more (above 100) or less it sells in `month`, 1 to 12, in per cent.
    pub fn percent(self, month: u8) -> u32 {
        let by_month: [u32; 12] = match self {
            Self::Even => [100; 12],
            Self::Winter => [140, 130, 100, 80, 60, 50, 50, 60, 100, 140, 150, 140],
            Self::Spring => [70, 100, 170, 210, 180, 130, 90, 80, 80, 60, 50, 50],
            Self::Summer => [40, 50, 80, 110, 160, 210, 220, 170, 90, 50, 40, 50],
            Self::Autumn => [80, 80, 90, 100, 90, 80, 80, 100, 170, 180, 130, 90],
            Self::Christmas => [60, 70, 90, 80, 80, 80, 70, 70, 90, 120, 190, 220],
            Self::OnlyChristmas => [6, 3, 2, 2, 2, 3, 5, 15, 60, 190, 420, 520],
            Self::BackToSchool => [120, 80, 80, 80, 80, 90, 120, 220, 200, 100, 90, 90],
        };
        by_month[usize::from(month.clamp(1, 12) - 1)]
    }
}

/// Spreads the orders over the days before [`REFERENCE`]: the first to the earliest moment, the last to the latest.
pub struct Calendar {
    /// Weight of all days before the day, one more entry than days.
    cumulative: Vec<u64>,
}

impl Calendar {
    /// The calendar of [`ORDER_DAYS`] days.
    pub fn of_two_years() -> Self {
        let mut cumulative = vec![0];
        let mut sum = 0;
        for day in 0..ORDER_DAYS {
            let date = start() + Duration::days(day);
            let month = usize::from(u8::from(date.month()) - 1);
            let weekday = usize::from(date.weekday().number_days_from_monday());
            sum += SHOP_BY_MONTH[month] * SHOP_BY_WEEKDAY[weekday];
            cumulative.push(sum);
        }
        Self { cumulative }
    }

    /// The time at the fraction `numerator / denominator` of all orders; it grows with the fraction.
    pub fn time_at(&self, numerator: u64, denominator: u64) -> OffsetDateTime {
        let total = self.cumulative.last().copied().unwrap_or(1);
        let scaled = u128::from(total) * u128::from(numerator.min(denominator)) * 1_000_000
            / u128::from(denominator.max(1));
        let position = u64::try_from(scaled / 1_000_000).unwrap_or(0).min(total - 1);
        let day = self.cumulative.partition_point(|before| *before <= position) - 1;
        let of_day = scaled - u128::from(self.cumulative[day]) * 1_000_000;
        let day_weight = u128::from(self.cumulative[day + 1] - self.cumulative[day]) * 1_000_000;
        start() + Duration::days(i64::try_from(day).unwrap_or(0)) + time_of_day(of_day, day_weight)
    }
}

fn start() -> OffsetDateTime {
    REFERENCE - Duration::days(ORDER_DAYS)
}

/// The time at the fraction `part / whole` of a day's orders.
fn time_of_day(part: u128, whole: u128) -> Duration {
    const HOUR_MILLIS: u128 = 3_600_000;
    let total: u64 = SHOP_BY_HOUR.iter().sum();
    let mut left = part * u128::from(total) * HOUR_MILLIS / whole.max(1);
    for (hour, weight) in (0_i64..).zip(SHOP_BY_HOUR) {
        let of_hour = u128::from(weight) * HOUR_MILLIS;
        if left < of_hour {
            let millis = i64::try_from(left / u128::from(weight)).unwrap_or(0);
            return Duration::hours(hour) + Duration::milliseconds(millis);
        }
        left -= of_hour;
    }
    Duration::milliseconds(86_399_999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_times_grow_stay_in_the_two_years_and_peak_in_december() {
        let calendar = Calendar::of_two_years();
        let count = 20_000;
        let times: Vec<_> = (0..count).map(|order| calendar.time_at(order, count)).collect();
        assert!(times.is_sorted());
        assert!(times[0] >= start() && times[times.len() - 1] < REFERENCE);
        let in_month = |month: u8| {
            times
                .iter()
                .filter(|time| u8::from(time.month()) == month)
                .count()
        };
        assert!((1..=11).all(|month| in_month(month) < in_month(12)));
        assert!(
            times.iter().filter(|time| time.hour() == 20).count()
                > times.iter().filter(|time| time.hour() == 3).count() * 10
        );
    }
}
