//! What is acceptable: rules for garde that the kit's do not cover.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde hands over references")]

use emporium_service_kit::{Money, garde, validate};
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use crate::model::{
    ATTRIBUTE_NUMBER_MAX, AttributeValue, Attributes, CATEGORY_MAX, PRICE_MAX, ReservationLine, slug,
};

/// Imported history lies between these times; others are mistakes, and PostgreSQL and JSON disagree about some of them.
const EARLIEST: OffsetDateTime = datetime!(1970-01-01 00:00 UTC);
const LATEST: OffsetDateTime = datetime!(2200-01-01 00:00 UTC);

const ATTRIBUTES_MAX: usize = 200;
const ATTRIBUTE_NAME_MAX: usize = 100;
/// Real catalogues have lists of compatible devices of several thousand characters.
const ATTRIBUTE_TEXT_MAX: usize = 10_000;

/// a price that the shop may ask. The currency is checked where the shop's is known.
pub fn price(price: &Money, _: &()) -> garde::Result {
    if (0..=PRICE_MAX).contains(&price.amount) {
        Ok(())
    } else {
        Err(garde::Error::new("must be 0 to 1,000,000,000 minor units"))
    }
}

/// attributes that can be kept and shown.
pub fn attributes(attributes: &Attributes, cx: &()) -> garde::Result {
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(garde::Error::new("must not be more than 200"));
    }
    for (name, value) in attributes {
        if name.chars().count() > ATTRIBUTE_NAME_MAX {
            return Err(garde::Error::new("names must have 1 to 100 characters"));
        }
        validate::filled_line(name, cx)?;
        match value {
            AttributeValue::Text(text) if text.chars().count() > ATTRIBUTE_TEXT_MAX => {
                return Err(garde::Error::new("texts must have at most 10,000 characters"));
            }
            AttributeValue::Text(text) => validate::text(text, cx)?,
            AttributeValue::Number(number) => {
                if number
                    .as_f64()
                    .is_none_or(|float| float.abs() > ATTRIBUTE_NUMBER_MAX)
                {
                    return Err(garde::Error::new("numbers must be within 10^15 of zero"));
                }
            }
            AttributeValue::Flag(_) => {}
        }
    }
    Ok(())
}

/// text that a slug can be made of.
pub fn category(category: &str, cx: &()) -> garde::Result {
    validate::filled_line(category, cx)?;
    if category.chars().count() > CATEGORY_MAX {
        return Err(garde::Error::new("must have at most 100 characters"));
    }
    if slug(category).is_empty() {
        return Err(garde::Error::new("must have a letter or a digit"));
    }
    Ok(())
}

#[expect(
    clippy::option_option,
    clippy::ref_option,
    reason = "garde hands over the field itself"
)]
pub fn brand_patch(brand: &Option<Option<String>>, cx: &()) -> garde::Result {
    let Some(Some(brand)) = brand else { return Ok(()) };
    if brand.chars().count() > 100 {
        return Err(garde::Error::new("must have at most 100 characters"));
    }
    validate::filled_line(brand, cx)
}

pub fn not_zero(delta: &i64, _: &()) -> garde::Result {
    if *delta == 0 {
        return Err(garde::Error::new("must not be 0"));
    }
    Ok(())
}

pub fn distinct_products(lines: &[ReservationLine], _: &()) -> garde::Result {
    let mut ids: Vec<Uuid> = lines.iter().map(|line| line.product_id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(garde::Error::new("must name each product once"));
    }
    Ok(())
}

/// Where products may come from.
pub fn known_source(source: &str, _: &()) -> garde::Result {
    if ["seed", "icecat", "online-retail", "admin"].contains(&source) {
        return Ok(());
    }
    Err(garde::Error::new("must be seed, icecat, online-retail or admin"))
}

/// A time that imported history can have.
pub fn imported_time(at: &OffsetDateTime, _: &()) -> garde::Result {
    if (EARLIEST..LATEST).contains(at) {
        return Ok(());
    }
    Err(garde::Error::new("must be from 1970 to 2199"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_bounded() {
        let one = |name: &str, value: serde_json::Value| {
            attributes(
                &serde_json::from_value(serde_json::json!({ name: value })).unwrap(),
                &(),
            )
        };
        assert!(one("colour", "red".into()).is_ok());
        assert!(one("weight", 1.5.into()).is_ok());
        for bad in ["a\0b".to_owned(), "x".repeat(10_001)] {
            assert!(one("colour", bad.into()).is_err());
        }
        assert!(one("colour", 1e16.into()).is_err());
        assert!(one("colour", u64::MAX.into()).is_err());
        for name in [String::new(), "x".repeat(101), "a\nb".into(), "nul\0".into()] {
            assert!(one(&name, 1.into()).is_err(), "{name:?}");
        }
    }
}
