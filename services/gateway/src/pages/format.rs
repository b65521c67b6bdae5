//! How times and amounts look.

use emporium_service_kit::{Currency, Money};
use time::OffsetDateTime;
use time::macros::format_description;

/// `4 March 2026`.
pub fn day(at: OffsetDateTime) -> String {
    let form = format_description!("[day padding:none] [month repr:long] [year]");
    at.format(form).unwrap_or_default()
}

/// `4 March 2026, 14:05 UTC`.
pub fn moment(at: OffsetDateTime) -> String {
    let form = format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    at.format(form).unwrap_or_default()
}

/// `14:05:09`.
pub fn clock(at: OffsetDateTime) -> String {
    at.format(format_description!("[hour]:[minute]:[second]"))
        .unwrap_or_default()
}

/// `14:05`.
pub fn clock_minute(at: OffsetDateTime) -> String {
    at.format(format_description!("[hour]:[minute]"))
        .unwrap_or_default()
}

/// For `<time datetime>`, to the second: HTML allows no microseconds.
pub fn iso(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    at.format(form).unwrap_or_default()
}

/// Minor units as people type them: `12`, `12.50`.
pub fn typed(minor: i64) -> String {
    let (major, rest) = (minor / 100, minor % 100);
    if rest == 0 {
        major.to_string()
    } else {
        format!("{major}.{rest:02}")
    }
}

/// Minor units of an amount that somebody typed: `12`, `12.5`, `£1,200.50`. `None` when it is no amount, is negative or
/// does not fit.
pub fn amount(text: &str) -> Option<i64> {
    let text = text.trim().trim_start_matches('£').replace(',', "");
    let (major, minor) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (major.is_empty() && minor.is_empty()) || minor.len() > 2 || !digits(major) || !digits(minor) {
        return None;
    }
    let major: i64 = if major.is_empty() { 0 } else { major.parse().ok()? };
    let minor: i64 = format!("{minor:0<2}").parse().ok()?;
    major.checked_mul(100)?.checked_add(minor)
}

/// A price range in words; both ends are part of it.
pub fn range(from: Option<i64>, to: Option<i64>, currency: Currency) -> String {
    let money = |amount| Money::new(amount, currency);
    match (from.filter(|from| *from > 0), to) {
        (None, None) => "Any price".to_owned(),
        (None, Some(to)) => format!("Up to {}", money(to)),
        (Some(from), None) => format!("{} and over", money(from)),
        (Some(from), Some(to)) => format!("{} to {}", money(from), money(to)),
    }
}

/// The beginning of a long text: whoever typed it sees it whole in the search box, not in headings and on chips.
pub fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}

/// With a capital letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A slug as words: `out-of-stock` becomes `out of stock`.
pub fn words(slug: &str) -> String {
    slug.replace(['-', '_'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    #[test]
    fn times() {
        let at = datetime!(2026-03-04 14:05:09.123456 UTC);
        assert_eq!(day(at), "4 March 2026");
        assert_eq!(moment(at), "4 March 2026, 14:05 UTC");
        assert_eq!(
            (clock(at), iso(at)),
            ("14:05:09".into(), "2026-03-04T14:05:09Z".into())
        );
    }

    #[test]
    fn typed_amounts() {
        for (text, minor) in [
            ("12", 1200),
            ("12.5", 1250),
            (" £1,200.05 ", 120_005),
            (".5", 50),
            ("0", 0),
        ] {
            assert_eq!(amount(text), Some(minor), "{text}");
        }
        for bad in [
            "",
            ".",
            "-1",
            "1.234",
            "1e3",
            "ten",
            "99999999999999999999",
            "1.2.3",
            "٣",
        ] {
            assert_eq!(amount(bad), None, "{bad}");
        }
        assert_eq!((typed(1200), typed(1205)), ("12".into(), "12.05".into()));
        assert_eq!(range(None, Some(1000), Currency::GBP), "Up to £10.00");
    }

    proptest! {
        #[test]
        fn what_is_typed_out_is_read_back(minor in 0..i64::MAX) {
            prop_assert_eq!(amount(&typed(minor)), Some(minor));
        }

        #[test]
        fn nothing_typed_panics(text in ".{0,40}") {
            let _ = amount(&text);
        }
    }
}
