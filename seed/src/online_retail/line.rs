//! One line of the file: its fields, checked, and its exact value.

use std::fmt;

/// Millionths of a pound in a penny.
const MICROS_PER_PENNY: i128 = 10_000;
/// No line is worth more: a guard, so that sums cannot overflow.
const VALUE_PENNIES_MAX: i128 = 100_000_000_000;
/// No price has more digits before its point.
const PRICE_DIGITS_MAX: usize = 8;
/// A price is read exactly up to this many digits behind its point.
const PRICE_DECIMALS_MAX: usize = 6;
/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// An exact amount of money in millionths of a pound: what the report adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(i128);

impl Value {
    /// `quantity` times `price_micros`.
    pub fn of(quantity: i32, price_micros: i64) -> Self {
        Self(i128::from(quantity) * i128::from(price_micros))
    }

    /// So many pennies.
    pub fn from_pennies(pennies: i64) -> Self {
        Self(i128::from(pennies) * MICROS_PER_PENNY)
    }

    /// The value in whole pennies; none when it is not whole, or out of all proportion.
    pub fn whole_pennies(self) -> Option<i64> {
        let pennies = self.0 / MICROS_PER_PENNY;
        (self.0 % MICROS_PER_PENNY == 0 && pennies.abs() <= VALUE_PENNIES_MAX)
            .then(|| i64::try_from(pennies).ok())
            .flatten()
    }
}

impl std::ops::Add for Value {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::AddAssign for Value {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl std::ops::Sub for Value {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl fmt::Display for Value {
    /// Pounds with at least two decimals and no rounding: `15145718.036`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = format!("{sign}{}.{:06}", magnitude / 1_000_000, magnitude % 1_000_000);
        let trimmed = text.trim_end_matches('0');
        let decimals = trimmed.len() - trimmed.find('.').unwrap_or(0) - 1;
        f.pad(&text[..trimmed.len() + 2_usize.saturating_sub(decimals)])
    }
}

/// A price in millionths of a pound: digits with an optional sign and decimals, nothing else.
pub fn price_micros(text: &str) -> Option<i64> {
    let (negative, digits) = signed(text);
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let decimals = decimals.trim_end_matches('0');
    let readable = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && digits.len() < 2) || !readable(whole) || !readable(decimals) {
        return None;
    }
    if whole.len() > PRICE_DIGITS_MAX || decimals.len() > PRICE_DECIMALS_MAX {
        return None;
    }
    let number = |part: &str| {
        part.bytes()
            .fold(0_i64, |sum, byte| sum * 10 + i64::from(byte - b'0'))
    };
    let missing = u32::try_from(PRICE_DECIMALS_MAX - decimals.len()).ok()?;
    let micros = number(whole) * 1_000_000 + number(decimals) * 10_i64.pow(missing);
    Some(if negative { -micros } else { micros })
}

/// A whole quantity.
pub fn quantity(text: &str) -> Option<i32> {
    let (negative, digits) = signed(text);
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let magnitude: i32 = digits.parse().ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

fn signed(text: &str) -> (bool, &str) {
    let text = text.trim();
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

/// A wall-clock time as seconds from 1970, as if it were UTC: `2009-12-01 07:45:00`, or `12/1/2009 7:45` with the
/// month first, as other editions of the data set have it.
pub fn local_seconds(text: &str) -> Option<i64> {
    let (date, clock) = text.trim().split_once([' ', 'T'])?;
    let (year, month, day) = if date.contains('/') {
        let (month, day, year) = three(date, '/')?;
        (year, month, day)
    } else {
        three(date, '-')?
    };
    let (hour, minute, second) = match clock.matches(':').count() {
        1 => three(&format!("{clock}:0"), ':')?,
        _ => three(clock, ':')?,
    };
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    if !(1970..=2099).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let date = time::Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let days = i64::from(date.to_julian_day())
        - i64::from(time::Date::from_ordinal_date(1970, 1).ok()?.to_julian_day());
    let seconds = days * DAY_SECONDS + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    // London's clocks were an hour ahead then, so that the first hour of its 1970 is in 1969, which no owner takes.
    (seconds >= 3_600).then_some(seconds)
}

fn three(text: &str, separator: char) -> Option<(u16, u16, u16)> {
    let mut parts = text.split(separator).map(|part| {
        let digits = !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        if digits { part.parse::<u16>().ok() } else { None }
    });
    let numbers = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(numbers)
}

/// A customer's number, `13085` or `13085.0` (as spreadsheets export it); `Ok(None)` for a guest.
pub fn customer(text: &str) -> Result<Option<&str>, ()> {
    let text = text.trim();
    let text = text.strip_suffix(".0").unwrap_or(text);
    match text.len() {
        0 => Ok(None),
        1..=20 if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Ok(Some(text)),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        assert_eq!(price_micros("2.1"), Some(2_100_000));
        assert_eq!(price_micros("-53594.36"), Some(-53_594_360_000));
        assert_eq!(price_micros("0.001"), Some(1_000));
        assert_eq!(price_micros("0.0"), Some(0));
        assert_eq!(price_micros(".5"), Some(500_000));
        assert_eq!(price_micros("3.10000000000"), Some(3_100_000));
        for wrong in [
            "",
            ".",
            "-",
            "1,50",
            "1e3",
            "£2",
            "NaN",
            "0.0000001",
            "999999999",
            "1.2.3",
            "--1",
        ] {
            assert_eq!(price_micros(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn values_show_at_least_two_decimals_and_all_that_count() {
        assert_eq!(Value::of(17, 1_000).to_string(), "0.017");
        assert_eq!(Value::of(-3, 2_500_000).to_string(), "-7.50");
        assert_eq!(Value::of(-3, 2_500_000).whole_pennies(), Some(-750));
        assert_eq!(Value::of(1000, 1_000).whole_pennies(), Some(100));
        assert_eq!(Value::of(1, 1_000).whole_pennies(), None);
        assert_eq!(Value::default().to_string(), "0.00");
        assert_eq!(Value::of(i32::MAX, 99_999_999_000_000).whole_pennies(), None);
    }

    #[test]
    fn times_are_read_in_both_editions() {
        assert_eq!(local_seconds("1970-01-02 00:00:01"), Some(86_401));
        assert_eq!(local_seconds("1970-01-01 01:00:00"), Some(3_600));
        assert!(local_seconds("2099-12-31 23:59:59").is_some());
        assert_eq!(
            local_seconds("2009-12-01 07:45:00"),
            local_seconds("12/1/2009 7:45")
        );
        assert_eq!(
            local_seconds("2009-12-01T07:45:00"),
            local_seconds("2009-12-01 07:45")
        );
        for wrong in [
            "",
            "2009-12-01",
            "2009-02-30 10:00:00",
            "2009-13-01 10:00",
            "10:00",
            "2009-12-01 24:00:00",
            "0001-01-01 10:00:00",
            "1969-12-31 10:00:00",
            "1970-01-01 00:59:59",
            "2100-01-01 00:00:00",
            "9999-12-31 23:59:59",
            "x y",
        ] {
            assert_eq!(local_seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn quantities_and_customers() {
        assert_eq!(quantity("-74215"), Some(-74_215));
        for wrong in ["", "1.5", "x", "9999999999", "-", "+-1"] {
            assert_eq!(quantity(wrong), None, "{wrong}");
        }
        assert_eq!(customer(" 13085.0"), Ok(Some("13085")));
        assert_eq!(customer(""), Ok(None));
        assert_eq!(customer("13 085"), Err(()));
    }
}
