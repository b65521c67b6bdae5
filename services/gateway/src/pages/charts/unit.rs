//! How values are written: exactly in tables, shortly on axes.

use emporium_service_kit::{Currency, Money};

/// What a value is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Minor units of a currency.
    Money(Currency),
    /// Things that are counted.
    Count(&'static str),
    /// Something that need not be whole.
    Number(&'static str),
    /// How often a second.
    PerSecond,
    /// A span of time, in seconds.
    Seconds,
    /// A part of the whole, 0 to 1.
    Share,
}

impl Unit {
    /// The least step of an axis that says anything: a thing, a pound.
    pub fn step_min(self) -> f64 {
        match self {
            Self::Money(_) => 100.0,
            Self::Count(_) => 1.0,
            _ => 0.0,
        }
    }

    /// What an axis is of.
    pub fn words(self) -> String {
        match self {
            Self::Money(currency) => currency.to_string(),
            Self::Count(what) | Self::Number(what) => what.to_owned(),
            Self::PerSecond => "per second".to_owned(),
            Self::Seconds => "duration".to_owned(),
            Self::Share => "share".to_owned(),
        }
    }

    /// For tables.
    pub fn exact(self, value: f64) -> String {
        if !value.is_finite() {
            return "–".to_owned();
        }
        match self {
            Self::Money(currency) => money(Money::new(whole(value), currency)),
            Self::Count(_) => grouped(whole(value)),
            Self::Number(_) | Self::PerSecond => significant(value),
            Self::Seconds => seconds(value),
            Self::Share => format!("{} %", significant(hundredths(value))),
        }
    }

    /// For a mark of an axis: `£20k`.
    pub fn short(self, value: f64) -> String {
        match self {
            Self::Money(Currency::GBP) => {
                let sign = if value < 0.0 { "−" } else { "" };
                format!("{sign}£{}", compact(value.abs() / 100.0))
            }
            // The axis says which.
            Self::Money(_) => compact(value / 100.0),
            Self::Count(_) | Self::Number(_) | Self::PerSecond => compact(value),
            Self::Seconds => seconds(value),
            Self::Share => format!("{} %", trimmed(hundredths(value), 6)),
        }
    }
}

/// How many hundredths; beyond all numbers the last one.
fn hundredths(value: f64) -> f64 {
    (value * 100.0).clamp(f64::MIN, f64::MAX)
}

/// The nearest whole number; beyond 64 bits the last one that fits.
#[allow(clippy::cast_possible_truncation)] // saturates
fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// `£1,234.56`, `1,234.56 EUR`.
pub fn money(amount: Money) -> String {
    let sign = if amount.amount < 0 { "−" } else { "" };
    let (major, minor) = (
        amount.amount.unsigned_abs() / 100,
        amount.amount.unsigned_abs() % 100,
    );
    let major = digits_in_groups(&major.to_string());
    if amount.currency == Currency::GBP {
        format!("{sign}£{major}.{minor:02}")
    } else {
        format!("{sign}{major}.{minor:02} {}", amount.currency)
    }
}

/// `1,234,567`.
pub fn grouped(value: i64) -> String {
    let sign = if value < 0 { "−" } else { "" };
    format!("{sign}{}", digits_in_groups(&value.unsigned_abs().to_string()))
}

fn digits_in_groups(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `0`, `0.02`, `150`, `1.5k`, `20M`, `3bn`; beyond that, powers of ten.
fn compact(value: f64) -> String {
    let size = value.abs();
    let (by, suffix) = match size {
        _ if size < 1e3 => (1.0, ""),
        _ if size < 1e6 => (1e3, "k"),
        _ if size < 1e9 => (1e6, "M"),
        _ if size < 1e15 => (1e9, "bn"),
        _ => return format!("{value:.0e}").replace('-', "−"),
    };
    let places = if by > 1.0 { 2 } else { 6 };
    format!("{}{suffix}", trimmed(value / by, places))
}

/// With at most `places` decimals, without zeros at the end.
fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    match text.strip_prefix('-') {
        Some("0") => "0".to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

/// With three significant digits, and all those before the decimal point.
fn significant(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 1e15 => format!("{value:.2e}").replace('-', "−"),
        _ if size >= 100.0 => grouped(whole(value)),
        _ if size >= 10.0 => trimmed(value, 1),
        _ if size >= 1.0 => trimmed(value, 2),
        _ if size >= 0.01 => trimmed(value, 3),
        _ => trimmed(value, 5),
    }
}

/// `250 µs`, `12.5 ms`, `3.2 s`, `4 min`, `2.5 h`, `3 d`.
fn seconds(value: f64) -> String {
    let size = value.abs();
    let (by, unit) = match size {
        0.0 => return "0 s".to_owned(),
        _ if size < 1e-3 => (1e-6, "µs"),
        _ if size < 1.0 => (1e-3, "ms"),
        _ if size < 120.0 => (1.0, "s"),
        _ if size < 7_200.0 => (60.0, "min"),
        _ if size < 172_800.0 => (3_600.0, "h"),
        _ => (86_400.0, "d"),
    };
    format!("{} {unit}", significant(value / by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_in_words() {
        let money = Unit::Money(Currency::GBP);
        assert_eq!(money.exact(123_456_789.0), "£1,234,567.89");
        assert_eq!(money.short(2_000_000.0), "£20k");
        assert_eq!(money.short(-50_000.0), "−£500");
        assert_eq!(money.short(0.0), "£0");
        assert_eq!(Unit::Count("orders").exact(-1_234.0), "−1,234");
        assert_eq!(Unit::Share.short(0.25), "25 %");
        assert_eq!(Unit::Share.exact(0.123_45), "12.3 %");
        assert_eq!(Unit::PerSecond.exact(0.033_33), "0.033");
        for (value, text) in [
            (0.0, "0 s"),
            (0.000_25, "250 µs"),
            (0.0125, "12.5 ms"),
            (90.0, "90 s"),
            (600.0, "10 min"),
        ] {
            assert_eq!(Unit::Seconds.short(value), text);
        }
        assert_eq!(
            (compact(1.5e6), compact(2e17), compact(-0.0)),
            ("1.5M".into(), "2e17".into(), "0".into())
        );
    }

    proptest! {
        #[test]
        fn any_value_is_written_shortly(value in proptest::num::f64::ANY) {
            for unit in [Unit::Money(Currency::GBP), Unit::Count("x"), Unit::Number("x"), Unit::PerSecond, Unit::Seconds, Unit::Share] {
                let (exact, short) = (unit.exact(value), unit.short(value));
                prop_assert!(!exact.contains("NaN") && !exact.contains("inf"), "{exact}");
                prop_assert!(!exact.is_empty() && !short.is_empty());
            }
        }

        #[test]
        fn what_axes_reach_is_short(value in -1e18..1e18_f64) {
            let short = Unit::Count("x").short(value.round());
            prop_assert!(short.chars().count() <= 14, "{short}");
        }
    }
}
