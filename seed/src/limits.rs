//! What the owners take: the limits of their bulk interfaces, as `docs/src/contracts.md` and their descriptions give them.
//!
//! An importer rejects what is beyond them while it reads, so that no owner refuses a part of what another one takes:
//! an order that is refused while its payment is booked would leave the books wrong. Where two owners keep the same thing
//! (a product's name stands in the catalog and in order lines), the narrower limit counts.

use std::collections::HashSet;

use emporium_service_kit::bulk::{RECORD_BYTES_MAX, check_text, check_time};
use serde::Serialize;

use crate::records::{
    AddressRecord, AttributeValue, Attributes, Order, OrderCharge, OrderLine, OrderRecord, PaymentRecord,
    ProductRecord, Refund, ReviewRecord, StockAdjustmentRecord, UserRecord,
};

/// Lines of an order, and as many charges.
pub const ORDER_LINES_MAX: usize = 5_000;
/// An order's total, a payment, a unit price in an order; minor units.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000;
/// A product's price in the catalog, in minor units.
pub const PRICE_MAX: i64 = 1_000_000_000;
/// A quantity, a stock, an adjustment, a balance of points.
pub const QUANTITY_MAX: i64 = 1_000_000_000;
/// Entries of an address book.
pub const ADDRESSES_MAX: usize = 50;
/// A product's stock-keeping unit, in characters.
pub const SKU_CHARS_MAX: usize = 64;
/// Any text of an order, in bytes.
const ORDER_TEXT_BYTES_MAX: usize = 500;
/// A product's attributes.
pub const ATTRIBUTES_MAX: usize = 200;
/// A number among attributes.
const ATTRIBUTE_NUMBER_MAX: f64 = 1e15;
/// An e-mail address, in bytes.
const EMAIL_BYTES_MAX: usize = 254;
/// Preferences as JSON.
const PREFERENCES_BYTES_MAX: usize = 8 * 1024;

/// A record of a bulk interface, which its owner takes or not.
pub trait Limited: Serialize {
    /// Why the owner would refuse it.
    fn check(&self) -> Result<(), String>;

    /// [`Limited::check`], and whether its line is short enough for a bulk interface.
    fn check_whole(&self) -> Result<(), String> {
        self.check()?;
        let bytes = serde_json::to_vec(self).map_err(|error| error.to_string())?.len();
        within(bytes <= RECORD_BYTES_MAX, "the record", "1 MiB at most")
    }
}

impl Limited for ProductRecord {
    fn check(&self) -> Result<(), String> {
        filled("the SKU", &self.sku, SKU_CHARS_MAX)?;
        filled("the name", &self.name, 300)?;
        text("the description", &self.description, 5_000)?;
        filled("the category", &self.category, 100)?;
        filled("the category's name", &self.category_name, 100)?;
        if let Some(brand) = &self.brand {
            filled("the brand", brand, 100)?;
        }
        within(
            (0..=PRICE_MAX).contains(&self.price.amount),
            "the price",
            "0 to 1,000,000,000 minor units",
        )?;
        attributes(&self.attributes)?;
        within(
            (0..=QUANTITY_MAX).contains(&self.stock),
            "the stock",
            "0 to 1,000,000,000",
        )?;
        check_time("the time", self.created_at)
    }
}

impl Limited for StockAdjustmentRecord {
    fn check(&self) -> Result<(), String> {
        within(
            self.delta.abs() <= QUANTITY_MAX,
            "the adjustment",
            "1,000,000,000 at most",
        )?;
        text("the reason", &self.reason, 200)?;
        text("the reference", &self.reference, 200)?;
        check_time("the time", self.at)
    }
}

impl Limited for UserRecord {
    fn check(&self) -> Result<(), String> {
        text("the e-mail address", &self.email, EMAIL_BYTES_MAX)?;
        let is_plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte))
        };
        let parts = self.email.split_once('@');
        within(
            parts.is_some_and(|(name, domain)| is_plain(name) && name.len() <= 64 && is_plain(domain)),
            "the e-mail address",
            "one",
        )?;
        filled("the name", &self.name, 200)?;
        check_time("the time", self.created_at)?;
        within(
            (0..=QUANTITY_MAX).contains(&self.points),
            "the points",
            "0 to 1,000,000,000",
        )?;
        let preferences = serde_json::to_vec(&self.preferences).map_err(|error| error.to_string())?;
        within(
            preferences.len() <= PREFERENCES_BYTES_MAX,
            "the preferences",
            "8 KiB at most",
        )?;
        addresses(&self.addresses)?;
        self.password.as_ref().map_or(Ok(()), |password| {
            within(
                password.chars().count() >= 8,
                "the password",
                "8 characters at least",
            )?;
            text("the password", password, 128)
        })
    }
}

impl Limited for OrderRecord {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Order(order) => order.check(),
            Self::Refund(refund) => refund.check(),
        }
    }
}

impl Limited for Order {
    fn check(&self) -> Result<(), String> {
        order_text("the number", &self.number)?;
        order_text("the reference", self.reference.as_deref().unwrap_or_default())?;
        check_time("the time", self.placed_at)?;
        if let Some(address) = &self.shipping_address {
            order_text("the street", &address.street)?;
            order_text("the city", &address.city)?;
            order_text("the postal code", &address.postal_code)?;
            order_text("the country", &address.country)?;
        }
        let total = parts(&self.lines, &self.charges)?;
        within(
            !self.lines.is_empty() || !self.charges.is_empty(),
            "the order",
            "a line or a charge at least",
        )?;
        within(
            total.is_some_and(|total| (0..=AMOUNT_MAX).contains(&total)),
            "the total",
            "0 to 1,000,000,000,000 minor units",
        )
    }
}

impl Limited for Refund {
    fn check(&self) -> Result<(), String> {
        order_text("the reference", self.reference.as_deref().unwrap_or_default())?;
        check_time("the time", self.at)?;
        parts(&self.lines, &self.charges)?;
        amount(self.amount, 0)
    }
}

impl Limited for PaymentRecord {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Charge {
                amount: money, at, ..
            } => {
                check_time("the time", *at)?;
                amount(money.amount, 0)
            }
            Self::Refund {
                amount: money,
                at,
                reason,
                ..
            } => {
                check_time("the time", *at)?;
                filled("the reason", reason, 200)?;
                amount(money.amount, 1)
            }
        }
    }
}

impl Limited for ReviewRecord {
    fn check(&self) -> Result<(), String> {
        within((1..=5).contains(&self.rating), "the rating", "1 to 5")?;
        filled("the title", &self.title, 120)?;
        for (name, prose, chars_max) in std::iter::once(("the text", &self.text, 8_000)).chain(
            self.answers
                .iter()
                .map(|answer| ("an answer", &answer.text, 4_000)),
        ) {
            filled(name, &prose.replace('\n', " "), chars_max)?;
        }
        within(self.answers.len() <= 10, "the answers", "10 at most")?;
        within(self.votes.len() <= 1_000, "the votes", "1,000 at most")?;
        let attributes = serde_json::to_vec(&self.attributes).map_err(|error| error.to_string())?;
        within(attributes.len() <= 16 << 10, "the attributes", "16 KiB at most")?;
        check_time("the time", self.created_at)
    }
}

fn amount(amount: i64, least: i64) -> Result<(), String> {
    within(
        (least..=AMOUNT_MAX).contains(&amount),
        "the amount",
        "1,000,000,000,000 minor units at most, and not negative",
    )
}

/// Lines and charges of an order or a refund, and their sum; none when it overflows.
fn parts(lines: &[OrderLine], charges: &[OrderCharge]) -> Result<Option<i64>, String> {
    let count = lines.len().max(charges.len());
    within(count <= ORDER_LINES_MAX, "the lines", "5,000 at most")?;
    let mut total = Some(0_i64);
    for line in lines {
        order_text("a SKU", &line.sku)?;
        order_text("a name", &line.name)?;
        within(
            (1..=QUANTITY_MAX).contains(&line.quantity),
            "a quantity",
            "1 to 1,000,000,000",
        )?;
        amount(line.unit_price, 0)?;
        let value = line.unit_price.checked_mul(line.quantity);
        total = total
            .zip(value)
            .and_then(|(total, value)| total.checked_add(value));
    }
    for charge in charges {
        order_text("a charge's name", &charge.name)?;
        within(
            (-AMOUNT_MAX..=AMOUNT_MAX).contains(&charge.amount),
            "a charge",
            "1,000,000,000,000 minor units at most",
        )?;
        total = total.and_then(|total| total.checked_add(charge.amount));
    }
    Ok(total)
}

fn addresses(addresses: &[AddressRecord]) -> Result<(), String> {
    within(addresses.len() <= ADDRESSES_MAX, "the addresses", "50 at most")?;
    let defaults = addresses.iter().filter(|address| address.is_default).count();
    within(defaults <= 1, "the default addresses", "one at most")?;
    let ids: HashSet<_> = addresses.iter().map(|address| address.id).collect();
    within(ids.len() == addresses.len(), "the addresses", "all different")?;
    for address in addresses {
        filled("the street", &address.street, 200)?;
        filled("the city", &address.city, 100)?;
        text("the postal code", &address.postal_code, 20)?;
        let country = address.country.as_bytes();
        within(
            country.len() == 2 && country.iter().all(u8::is_ascii_uppercase),
            "the country",
            "two capital letters",
        )?;
    }
    Ok(())
}

fn attributes(attributes: &Attributes) -> Result<(), String> {
    within(
        attributes.len() <= ATTRIBUTES_MAX,
        "the attributes",
        "200 at most",
    )?;
    for (key, value) in attributes {
        filled("an attribute's name", key, 100)?;
        match value {
            AttributeValue::Flag(_) => {}
            AttributeValue::Number(number) => within(
                number
                    .as_f64()
                    .is_some_and(|number| number.abs() <= ATTRIBUTE_NUMBER_MAX),
                &format!("the attribute {key}"),
                "within 10^15 of zero",
            )?,
            AttributeValue::Text(value) => text(&format!("the attribute {key}"), value, 10_000)?,
        }
    }
    Ok(())
}

fn order_text(name: &str, text: &str) -> Result<(), String> {
    check_text(name, text, ORDER_TEXT_BYTES_MAX)
}

/// At most `chars_max` characters in one line, something other than white space among them.
fn filled(name: &str, value: &str, chars_max: usize) -> Result<(), String> {
    if value.trim().is_empty() {
        return Err(format!("{name} is empty"));
    }
    text(name, value, chars_max)
}

/// At most `chars_max` characters in one line.
fn text(name: &str, value: &str, chars_max: usize) -> Result<(), String> {
    // Nearly all text is short enough in bytes, which need no counting.
    if value.len() > chars_max && value.chars().count() > chars_max {
        return Err(format!("{name} is longer than {chars_max} characters"));
    }
    check_text(name, value, usize::MAX)
}

fn within(is_within: bool, name: &str, limit: &str) -> Result<(), String> {
    if is_within {
        return Ok(());
    }
    Err(format!("{name} must be {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{DEFAULT_SEED, Generator, Scale};
    use crate::records::Currency;
    use time::OffsetDateTime;

    /// The time that the first and the last record may have, and those that none may.
    #[test]
    fn times_from_1970_to_2099_are_taken() {
        let taken = |second| {
            let at = OffsetDateTime::from_unix_timestamp(second).expect("a time");
            check_time("it", at).is_ok()
        };
        assert!(taken(0) && taken(4_102_444_799) && !taken(-1) && !taken(4_102_444_800));
    }

    #[test]
    fn what_is_made_up_is_within_the_limits() {
        fn all<R: Limited>(records: impl Iterator<Item = R>) {
            for record in records {
                record.check_whole().expect("within the limits");
            }
        }
        let generator = Generator::new(Scale::Tiny, DEFAULT_SEED, Currency::GBP);
        all(generator.products());
        all(generator.users());
        all(generator.orders());
        all(generator.payments());
        all(generator.reviews());
    }
}
