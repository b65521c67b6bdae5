//! What the server is, and whether it will do: looked at once, when the service starts.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use super::client::{CallError, Client, Request};
use super::connect::ConnectError;
use crate::question::SPAN_DAYS_MAX;
use crate::store::Capability;

/// How long the first answer may take: a server that has just started reads its log first.
const START_TIMEOUT: Duration = Duration::from_secs(8);
/// The oldest version that takes everything in use.
const VERSION_MIN: (u32, u32) = (2, 42);
/// What the rules of `infra/stores/prometheus/rules.yml` record, that answers are made of.
const RECORDED: [&str; 5] = ["hour:increase", "hour:sum", "hour:count", "hour:min", "hour:max"];
/// What no Prometheus gives.
const NEVER: [Capability; 6] = [
    Capability::RatesOfKnownTime,
    Capability::CountsNewSeries,
    Capability::CountsOverAbsences,
    Capability::WholeHistogramResets,
    Capability::KindsApart,
    Capability::OrderOfArrival,
];

/// What a server is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// It has `anchored` ranges, which begin with the last point before them: increases are exact.
    pub is_exact: bool,
    /// A range does not hold a point at its beginning (since 3.0).
    pub is_left_open: bool,
    /// What it lacks.
    pub lacks: Vec<Capability>,
}

#[derive(Deserialize)]
struct BuildInfo {
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeInfo {
    storage_retention: String,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    name: String,
    health: String,
}

/// Looks at a server.
pub async fn look(client: &Client) -> Result<Server, ConnectError> {
    let version = version(client, START_TIMEOUT).await.map_err(refused)?;
    let (major, minor) =
        numbers(&version).ok_or_else(|| ConnectError::Foreign("its version is no number".to_owned()))?;
    if (major, minor) < VERSION_MIN {
        return Err(ConnectError::Version(version));
    }
    look_at_rules(client).await?;
    let is_exact = is_exact(client).await?;
    let retention: RuntimeInfo = get(client, "runtimeinfo", "api/v1/status/runtimeinfo")
        .await
        .map_err(refused)?;
    let lacking = [
        (is_exact, Capability::ExactIncreases),
        (keeps_a_year(&retention.storage_retention), Capability::KeepsAYear),
    ];
    let lacking = lacking.into_iter().filter(|(is_given, _)| !is_given);
    Ok(Server {
        is_exact,
        is_left_open: major >= 3,
        lacks: lacking.map(|(_, lack)| lack).chain(NEVER).collect(),
    })
}

/// The server's version. Also a ping: it needs no points.
pub async fn version(client: &Client, timeout: Duration) -> Result<String, CallError> {
    let request = Request {
        operation: "buildinfo",
        path: "api/v1/status/buildinfo",
        parameters: &[],
        text: "GET /api/v1/status/buildinfo",
        timeout,
    };
    let info: BuildInfo = client.ask(request, |_| 1).await?;
    Ok(info.version)
}

async fn get<T: serde::de::DeserializeOwned>(
    client: &Client,
    operation: &'static str,
    path: &str,
) -> Result<T, CallError> {
    let request = Request {
        operation,
        path,
        parameters: &[],
        text: path,
        timeout: START_TIMEOUT,
    };
    client.ask(request, |_| 1).await
}

fn refused(error: CallError) -> ConnectError {
    match error {
        CallError::Unavailable(reason) => ConnectError::Unreachable(reason),
        CallError::Refused => ConnectError::Credentials,
        other => ConnectError::Foreign(other.to_string()),
    }
}

/// Major and minor version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-', '+', '~']).map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

/// Whether the server takes the expression, whatever its version: before 3.16 a flag decides.
async fn is_exact(client: &Client) -> Result<bool, ConnectError> {
    let text = "increase(up[1s] anchored)";
    let request = Request {
        operation: "query",
        path: "api/v1/query",
        parameters: &[("query", text.to_owned())],
        text,
        timeout: START_TIMEOUT,
    };
    match client.ask(request, |_: &serde::de::IgnoredAny| 0).await {
        Ok(_) => Ok(true),
        Err(CallError::Answered { status: 400, .. }) => Ok(false),
        Err(error) => Err(refused(error)),
    }
}

/// Without rules answers about months would be of nothing.
async fn look_at_rules(client: &Client) -> Result<(), ConnectError> {
    let found: Groups = get(client, "rules", "api/v1/rules?type=record")
        .await
        .map_err(refused)?;
    let rules = found.groups.iter().flat_map(|group| &group.rules);
    let sound: BTreeSet<&str> = rules
        .filter(|rule| rule.health != "err")
        .map(|rule| rule.name.as_str())
        .collect();
    match RECORDED.iter().find(|name| !sound.contains(**name)) {
        None => Ok(()),
        Some(missing) => Err(ConnectError::Rules((*missing).to_owned())),
    }
}

/// Whether a retention such as `1y`, `400d`, `15d or 1GiB` is of a year at least. One that also has a size may end earlier.
fn keeps_a_year(retention: &str) -> bool {
    let days = u64::try_from(SPAN_DAYS_MAX).unwrap_or(0);
    seconds(retention).is_some_and(|seconds| seconds >= days * 86_400)
}

/// Seconds of a duration as the server writes it: parts of a number and a unit.
fn seconds(duration: &str) -> Option<u64> {
    let mut rest = duration.trim();
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|sign: char| !sign.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|sign: char| sign.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit = match &rest[..end] {
            // As the server has it: a year is 365 days.
            "y" => 365 * 86_400,
            "w" => 7 * 86_400,
            "d" => 86_400,
            "h" => 3_600,
            "m" => 60,
            "s" => 1,
            "ms" => 0,
            _ => return None,
        };
        sum = sum.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end..];
    }
    (sum > 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retentions_are_read() {
        for (text, keeps) in [
            ("400d", true),
            ("366d", true),
            ("1y1d", true),
            ("1y", false),
            ("53w", true),
            ("15d", false),
            ("400d or 1GiB", false),
            ("50GiB", false),
            ("", false),
            ("d", false),
            ("99999999999999999999d", false),
        ] {
            assert_eq!(keeps_a_year(text), keeps, "{text}");
        }
    }

    #[test]
    fn versions_are_read() {
        for (text, read) in [
            ("3.16.0", Some((3, 16))),
            ("2.42.0+ds", Some((2, 42))),
            ("3.0-rc.1", Some((3, 0))),
            ("", None),
            ("v3", None),
        ] {
            assert_eq!(numbers(text), read, "{text}");
        }
    }
}
