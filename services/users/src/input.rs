//! What people type: rules for it, and its normal form.
#![allow(clippy::trivially_copy_pass_by_ref)] // garde hands its context to rules by reference

use emporium_service_kit::validate::filled_line;
use garde::Validate;
use garde::rules::email::parse_email;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::model::Place;

/// The longest e-mail address, in bytes (RFC 5321, section 4.5.3.1.3, less the angle brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// ISO 3166-1 alpha-2: the officially assigned codes, and XK, which stands for Kosovo by convention.
const COUNTRIES: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD \
CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF \
GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN \
KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA \
NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI \
SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI \
VN VU WF WS XK YE YT ZA ZM ZW";

/// The normal form of an e-mail address: no white space around it, lower case.
pub fn normal_email(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

/// An e-mail address, in whatever case, perhaps with white space around it.
pub fn email(text: &str, _: &()) -> garde::Result {
    let text = text.trim();
    if text.len() > EMAIL_BYTES_MAX {
        return Err(garde::Error::new("must have at most 254 bytes"));
    }
    parse_email(text).map_err(|_| garde::Error::new("must be an e-mail address"))
}

/// The code of a country that exists, in either case.
fn known_country(text: &str, _: &()) -> garde::Result {
    let code = text.trim().to_ascii_uppercase();
    if code.len() == 2 && COUNTRIES.split(' ').any(|known| known == code) {
        return Ok(());
    }
    Err(garde::Error::new("must be an ISO 3166 alpha-2 code, such as GB"))
}

/// Two letters: history also has codes that ISO leaves to its users, such as ZZ for "not known".
pub fn country_letters(text: &str, _: &()) -> garde::Result {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be two capital letters (ISO 3166 alpha-2)",
    ))
}

/// An address as typed.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct AddressInput {
    /// House and street.
    #[garde(length(chars, max = 200), custom(filled_line))]
    street: String,
    /// Town or city.
    #[garde(length(chars, max = 100), custom(filled_line))]
    city: String,
    /// Postal code.
    #[garde(length(chars, max = 20), custom(filled_line))]
    postal_code: String,
    /// ISO 3166 alpha-2 code, in either case.
    #[garde(custom(known_country))]
    #[schema(example = "GB")]
    country: String,
    /// True makes it the default. False leaves that as it is: the default only moves to another address.
    #[serde(default)]
    #[garde(skip)]
    pub is_default: bool,
}

impl AddressInput {
    /// The normal form.
    pub fn place(&self) -> Place {
        Place {
            street: self.street.trim().to_owned(),
            city: self.city.trim().to_owned(),
            postal_code: self.postal_code.trim().to_owned(),
            country: self.country.trim().to_ascii_uppercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails() {
        assert_eq!(normal_email(" Ada@Example.COM\n"), "ada@example.com");
        assert!(email(" Ada@Example.COM ", &()).is_ok());
        let long = format!("{}@{}.example", "a".repeat(64), "b".repeat(200));
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "a b@example.com",
            "a\0@example.com",
            "a@b\u{7}.com",
            "ä@example.com",
            &long,
        ] {
            assert!(email(bad, &()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn countries() {
        assert_eq!(COUNTRIES.split(' ').count(), 250);
        assert!(COUNTRIES.split(' ').is_sorted());
        assert!(known_country("gb", &()).is_ok());
        for bad in ["", "UK", "GBR", "G", "ZZ", "B ", "ÅÅ", "AD AE"] {
            assert!(known_country(bad, &()).is_err(), "{bad:?}");
        }
        assert!(country_letters("ZZ", &()).is_ok() && country_letters("zz", &()).is_err());
    }
}
