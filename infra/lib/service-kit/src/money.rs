//! Money: whole minor units and an ISO 4217 currency. All arithmetic is checked; a sum that does not fit is an error,
//! never a wrapped or rounded value.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// An ISO 4217 alphabetic code, such as `GBP`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Pound sterling, the shop's currency unless set otherwise.
    pub const GBP: Self = Self(*b"GBP");

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

/// The text is not three capital letters.
#[derive(Debug, thiserror::Error)]
#[error("a currency is three capital letters (ISO 4217), such as GBP")]
pub struct BadCurrency;

impl FromStr for Currency {
    type Err = BadCurrency;
    fn from_str(text: &str) -> Result<Self, BadCurrency> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(BadCurrency),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// An amount of money in minor units (pence, cents) of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units; negative for discounts and refunds where a field allows it.
    #[schema(example = 4995)]
    pub amount: i64,
    /// ISO 4217 code.
    #[schema(value_type = String, example = "GBP")]
    pub currency: Currency,
}

/// Why two amounts cannot be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The amounts are of different currencies.
    #[error("amounts of {0} and {1} cannot be combined")]
    Currencies(Currency, Currency),
    /// The result does not fit 64 bits.
    #[error("the amount is too large")]
    Overflow,
}

impl Money {
    /// `amount` minor units of `currency`.
    pub fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Nothing, in `currency`.
    pub fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The sum of two amounts of one currency.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let amount = self
            .amount
            .checked_add(other.amount)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// The difference of two amounts of one currency.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let amount = self
            .amount
            .checked_sub(other.amount)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// The amount times a quantity.
    pub fn checked_mul(self, quantity: i64) -> Result<Self, MoneyError> {
        let amount = self.amount.checked_mul(quantity).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// The sum of many amounts; nothing at all is zero of `currency`.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts
            .into_iter()
            .try_fold(Self::zero(currency), Self::checked_add)
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::Currencies(self.currency, other.currency))
        }
    }
}

impl fmt::Display for Money {
    /// `£49.95` for pounds, else `49.95 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.amount < 0 { "-" } else { "" };
        let (major, minor) = (self.amount.unsigned_abs() / 100, self.amount.unsigned_abs() % 100);
        if self.currency == Currency::GBP {
            write!(f, "{sign}£{major}.{minor:02}")
        } else {
            write!(f, "{sign}{major}.{minor:02} {}", self.currency)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn currencies_do_not_mix() {
        let eur: Currency = "EUR".parse().unwrap();
        assert!(matches!(
            Money::new(1, Currency::GBP).checked_add(Money::new(1, eur)),
            Err(MoneyError::Currencies(..))
        ));
        assert!("gbp".parse::<Currency>().is_err());
        assert!("GBPX".parse::<Currency>().is_err());
    }

    #[test]
    fn shows_pounds_and_pence() {
        assert_eq!(Money::new(-5, Currency::GBP).to_string(), "-£0.05");
        assert_eq!(
            Money::new(i64::MIN, Currency::GBP).to_string(),
            "-£92233720368547758.08"
        );
    }

    proptest! {
        #[test]
        fn arithmetic_equals_wide_arithmetic_or_says_overflow(a: i64, b: i64, q: i64) {
            let (x, y) = (Money::new(a, Currency::GBP), Money::new(b, Currency::GBP));
            let wide = |v: i128| i64::try_from(v).map_err(|_| MoneyError::Overflow);
            prop_assert_eq!(x.checked_add(y).map(|m| m.amount), wide(i128::from(a) + i128::from(b)));
            prop_assert_eq!(x.checked_sub(y).map(|m| m.amount), wide(i128::from(a) - i128::from(b)));
            prop_assert_eq!(x.checked_mul(q).map(|m| m.amount), wide(i128::from(a) * i128::from(q)));
        }

        #[test]
        fn json_keeps_every_amount(a: i64) {
            let money = Money::new(a, Currency::GBP);
            let text = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
        }
    }
}
