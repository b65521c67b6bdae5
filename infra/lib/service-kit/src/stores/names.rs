//! Names of settings: which variables are meant to be one, and what somebody who has misspelt one is told.

use super::{KNOWN, bad};
use crate::StartError;

/// How many letters may differ for a name to be taken for a misspelt one.
const SLIPS_MAX: usize = 2;
/// What a name that is shown may hold: anything else may be a URL in the wrong place, with its password.
const SHOWN_MAX: usize = 64;

/// Whether a variable is a setting, or was meant to be: one that somebody has misspelt must not be passed over.
pub(super) fn is_meant(variable: &str) -> bool {
    let upper = variable.to_ascii_uppercase();
    let Some(rest) = upper.strip_prefix("EMPORIUM_") else {
        return false;
    };
    ["_STORE", "_SEARCH"].iter().any(|end| rest.ends_with(end))
        || (rest.starts_with("RECOMMENDATIONS") && rest.ends_with("_CACHE"))
        || KNOWN
            .iter()
            .any(|known| distance(&upper, known.name) <= SLIPS_MAX)
}

/// The refusal of a name that is no setting.
pub(super) fn unknown(name: &str) -> StartError {
    let upper = name.to_ascii_uppercase();
    let nearest = KNOWN
        .iter()
        .map(|known| (distance(&upper, known.name), known.name))
        .min()
        .filter(|(slips, _)| *slips <= 2 * SLIPS_MAX);
    let all = || {
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        format!("there are {}", names.join(", "))
    };
    let hint = nearest.map_or_else(all, |(_, nearest)| format!("did you mean {nearest}?"));
    bad(shown(name), format!("there is no such setting; {hint}"))
}

/// A name as it may be shown: one that looks like none is described instead.
fn shown(name: &str) -> &str {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.len() <= SHOWN_MAX && name.bytes().all(is_word) {
        return name;
    }
    "a name that is no word"
}

/// How many letters have to be put in, taken out or changed to make one of the other (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    if one.len().abs_diff(other.len()) > 2 * SLIPS_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, left) in one.bytes().zip(1..) {
        let mut diagonal = std::mem::replace(&mut row[0], left);
        for (index, letter) in other.iter().enumerate() {
            let change = diagonal + usize::from(above != *letter);
            diagonal = row[index + 1];
            row[index + 1] = change.min(row[index] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (one, other, slips) in [
            ("EVENTS", "EVENTS", 0),
            ("EVENT", "EVENTS", 1),
            ("EVETNS", "EVENTS", 2),
            ("", "AB", 2),
            ("STORE", "STORAGE", 2),
        ] {
            assert_eq!(distance(one, other), slips, "{one} {other}");
        }
    }

    #[test]
    fn misspelt_variables_are_meant_and_others_are_not() {
        for variable in [
            "EMPORIUM_SESSION_STORE",
            "EMPORIUM_CARTS_STOER",
            "EMPORIUM_CART_STORES",
            "EMPORIUM_EVENT",
            "EMPORIUM_CATALOGUE_SEARCH",
            "EMPORIUM_ORDERS_STORE",
            "emporium_carts_store",
            "EMPORIUM_RECOMMENDATIONS_CASHE",
        ] {
            assert!(is_meant(variable), "{variable}");
        }
        for variable in [
            "EMPORIUM_STORES",
            "EMPORIUM_STORES_HOME",
            "EMPORIUM_CACHE",
            "EMPORIUM_PEERS",
            "EMPORIUM_DATABASE_URL",
            "EMPORIUM_SESSIONS_TTL_S",
            "EMPORIUM_TEST_REDIS",
            "REDIS_STORE",
        ] {
            assert!(!is_meant(variable), "{variable}");
        }
    }

    #[test]
    fn the_refusal_names_what_was_probably_meant() {
        let text = |name: &str| unknown(name).to_string();
        assert_eq!(
            text("EMPORIUM_CART_STORE"),
            "EMPORIUM_CART_STORE: there is no such setting; did you mean EMPORIUM_CARTS_STORE?"
        );
        assert!(text("emporium_carts_store").contains("did you mean EMPORIUM_CARTS_STORE?"));
        assert!(text("EMPORIUM_WAREHOUSE_STORE").contains("EMPORIUM_MONITORING_STORE"));
        assert!(!text("EMPORIUM_REDIS://:SECRET@HOST").contains("SECRET"));
        assert!(!text("EMPORIUM_A\nB").contains('\n'));
    }
}
