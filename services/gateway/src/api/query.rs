//! Reading query parameters. A parameter that is there but blank is absent: forms send those.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use emporium_service_kit::{PageQuery, Problem};
use garde::Validate;
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

/// All pairs of a query string, for parameters that may be given several times, which `serde` does not offer here.
pub async fn all_pairs<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<Vec<(String, String)>, Problem> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
    pairs
        .map(|axum::extract::Query(pairs)| pairs)
        .map_err(|rejection| Problem::bad_request("bad-query", rejection.body_text()))
}

/// Reads a parameter that may be given once: 400 for a second time, and for what cannot be read.
pub fn once<T: FromStr>(name: &str, slot: &mut Option<T>, value: &str) -> Result<(), Problem> {
    if slot.is_some() {
        return Err(Problem::bad_request(
            "bad-query",
            format!("{name} is given twice."),
        ));
    }
    let value = value
        .parse()
        .map_err(|_| Problem::bad_request("bad-query", format!("{name} cannot be read.")))?;
    *slot = Some(value);
    Ok(())
}

/// What was read, if it is acceptable: 422 otherwise.
pub fn valid<T: Validate<Context = ()>>(query: T) -> Result<T, Problem> {
    match query.validate() {
        Ok(()) => Ok(query),
        Err(report) => {
            let errors = report.iter();
            Err(Problem::invalid(errors.map(|(path, error)| {
                (path.to_string(), error.message().to_owned())
            })))
        }
    }
}

/// `cursor` and `limit` as they go on to a service.
pub fn pairs(page: &PageQuery) -> Vec<(&'static str, String)> {
    let cursor = page.cursor.clone().map(|cursor| ("cursor", cursor));
    let limit = page.limit.map(|limit| ("limit", limit.to_string()));
    cursor.into_iter().chain(limit).collect()
}
