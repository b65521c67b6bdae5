//! Reading query parameters. A parameter that is there but blank is absent: forms send those.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// For `#[serde(default, deserialize_with)]`: `None` for a blank parameter.
pub fn blank_is_absent<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: Display,
{
    let text = Option::<String>::deserialize(deserializer)?;
    match text.as_deref().map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}
