//! Opening: the URL, and whether what answers there will do.

use std::sync::Arc;
use std::time::Duration;

use emporium_service_kit::client::http_builder;
use emporium_service_kit::metrics::Metrics;
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{Body, CALLS_MAX, CONNECT_TIMEOUT, Client, ElasticError, Request, SEARCH_TIMEOUT};

/// How long the first answer may take: a server that has just started, or a busy machine, is slow at first, and a service
/// that does not start is worse than one that starts late.
const START_TIMEOUT: Duration = Duration::from_secs(8);
/// The oldest version that has everything in use, and that Elastic still mended when this was written.
const VERSION_MAJOR_MIN: u32 = 8;
/// Where Elasticsearch listens, with or without TLS.
const PORT: u16 = 9200;
/// What names of indices begin with when the URL says nothing.
const PREFIX: &str = "emporium";
/// Longer prefixes leave too little of the 255 bytes that a name may have.
const PREFIX_LENGTH_MAX: usize = 100;

/// Why an Elasticsearch cannot be used; never shows the URL.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL.
    #[error(
        "this is no Elasticsearch URL; write elasticsearch://host:port (elasticsearch+https:// for TLS), with user:password@ and /index-prefix where they are needed"
    )]
    Url,
    /// The index prefix.
    #[error(
        "the index prefix after the host has to be of the letters a to z, digits, - and _, begin with a letter, and have at most {PREFIX_LENGTH_MAX} characters"
    )]
    Prefix,
    /// Nobody answers there.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// User or password.
    #[error("user or password are refused, or missing")]
    Credentials,
    /// Something answers, but not as Elasticsearch does.
    #[error("this is no Elasticsearch server: {0}")]
    Foreign(String),
    /// Too old.
    #[error("Elasticsearch {0} is not supported; {VERSION_MAJOR_MIN}.0 is the oldest version that is")]
    Version(String),
}

/// A URL, read: `elasticsearch://[user:password@]host[:port][/index-prefix]`.
#[derive(Clone)]
pub struct Address {
    base: Url,
    /// What names of indices begin with.
    pub prefix: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(…)")
    }
}

impl Address {
    /// Reads a URL. TLS is by `elasticsearch+https`, and where the port is 443.
    pub fn read(url: &str) -> Result<Self, ConnectError> {
        let (scheme, rest) = url.split_once("://").ok_or(ConnectError::Url)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "elasticsearch" | "elasticsearch+http" => false,
            "elasticsearch+https" => true,
            _ => return Err(ConnectError::Url),
        };
        // The port is read without a default of http's, so that 80 and 443 are told from nothing.
        let mut base: Url = format!("ws://{rest}").parse().map_err(|_| ConnectError::Url)?;
        if base.query().is_some() || base.fragment().is_some() || base.host_str().is_none_or(str::is_empty) {
            return Err(ConnectError::Url);
        }
        let written = written_port(rest);
        let tls = tls || written == Some(443);
        let prefix = prefix_of(base.path())?;
        base.set_path("/");
        base.set_scheme(if tls { "https" } else { "http" })
            .and_then(|()| base.set_port(Some(written.unwrap_or(PORT))))
            .map_err(|()| ConnectError::Url)?;
        Ok(Self { base, prefix })
    }
}

/// The port as it is written, standard ones of other schemes included.
fn written_port(rest: &str) -> Option<u16> {
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (before, port) = host.rsplit_once(':')?;
    // An IPv6 address has colons of its own, inside brackets.
    (!before.contains('[') || before.ends_with(']')).then(|| port.parse().ok())?
}

fn prefix_of(path: &str) -> Result<String, ConnectError> {
    let prefix = path.trim_matches('/');
    if prefix.is_empty() {
        return Ok(PREFIX.to_owned());
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let fits = prefix.len() <= PREFIX_LENGTH_MAX
        && prefix.starts_with(|c: char| c.is_ascii_lowercase())
        && prefix.chars().all(allowed);
    fits.then(|| prefix.to_owned()).ok_or(ConnectError::Prefix)
}

/// What `GET /` tells.
#[derive(Debug, Deserialize)]
struct Root {
    version: Version,
}

#[derive(Debug, Deserialize)]
struct Version {
    number: String,
    /// Only forks have one.
    distribution: Option<String>,
}

impl Client {
    /// Connects to the server, and looks whether it will do.
    pub async fn connect(address: &Address, metrics: Metrics) -> Result<Self, ConnectError> {
        let http = http_builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| ConnectError::Unreachable(error.without_url().to_string()))?;
        let client = Self {
            http,
            base: address.base.clone(),
            metrics,
            permits: Arc::new(Semaphore::new(CALLS_MAX)),
        };
        let version = client.version(START_TIMEOUT).await.map_err(|error| match error {
            ElasticError::Unavailable(reason) => ConnectError::Unreachable(reason),
            ElasticError::Refused => ConnectError::Credentials,
            other => ConnectError::Foreign(other.to_string()),
        })?;
        check(&version)?;
        Ok(client)
    }

    async fn version(&self, timeout: Duration) -> Result<Version, ElasticError> {
        let request = Request {
            operation: "info",
            method: Method::GET,
            path: "",
            body: Body::None,
            text: "GET /",
            timeout,
        };
        self.send(request, |_| 1).await.map(|root: Root| root.version)
    }

    /// The server's version. Also a ping: nothing is smaller.
    pub async fn version_number(&self) -> Result<String, ElasticError> {
        self.version(SEARCH_TIMEOUT * 2)
            .await
            .map(|version| version.number)
    }
}

fn check(version: &Version) -> Result<(), ConnectError> {
    if let Some(distribution) = &version.distribution {
        let shown = distribution
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(40)
            .collect();
        return Err(ConnectError::Foreign(shown));
    }
    let major: Option<u32> = version
        .number
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    match major {
        Some(major) if major >= VERSION_MAJOR_MIN => Ok(()),
        Some(_) => Err(ConnectError::Version(version.number.clone())),
        None => Err(ConnectError::Foreign("its version is no number".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_in_all_their_forms() {
        let base = |url: &str| Address::read(url).map(|address| (address.base.to_string(), address.prefix));
        let own = |base: &str| (base.to_owned(), "emporium".to_owned());
        for (url, expected) in [
            ("elasticsearch://h", own("http://h:9200/")),
            ("Elasticsearch://h:80", own("http://h/")),
            ("elasticsearch://h:443/", own("https://h/")),
            ("elasticsearch+https://h", own("https://h:9200/")),
            ("elasticsearch://u:p%40@h:1", own("http://u:p%40@h:1/")),
            ("elasticsearch://[::1]:9201", own("http://[::1]:9201/")),
            ("elasticsearch://[::1]", own("http://[::1]:9200/")),
            (
                "elasticsearch://h/my-shop",
                ("http://h:9200/".to_owned(), "my-shop".to_owned()),
            ),
        ] {
            assert_eq!(base(url).unwrap(), expected, "{url}");
        }
        for url in [
            "",
            "elasticsearch:",
            "elasticsearch://",
            "http://h",
            "elasticsearch://h?x=1",
            "elasticsearch://h:99999",
        ] {
            assert!(matches!(base(url), Err(ConnectError::Url)), "{url}");
        }
        for url in [
            "elasticsearch://h/A",
            "elasticsearch://h/a/b",
            "elasticsearch://h/-a",
            "elasticsearch://h/a*",
            "elasticsearch://h/_all",
        ] {
            assert!(matches!(base(url), Err(ConnectError::Prefix)), "{url}");
        }
    }

    #[test]
    fn old_versions_and_forks_are_refused() {
        let version = |number: &str, distribution: Option<&str>| Version {
            number: number.to_owned(),
            distribution: distribution.map(str::to_owned),
        };
        assert!(check(&version("8.0.0", None)).is_ok() && check(&version("9.4.3", None)).is_ok());
        assert!(matches!(
            check(&version("7.17.9", None)),
            Err(ConnectError::Version(_))
        ));
        assert!(matches!(
            check(&version("2.11.0", Some("opensearch"))),
            Err(ConnectError::Foreign(_))
        ));
        assert!(matches!(
            check(&version("x", None)),
            Err(ConnectError::Foreign(_))
        ));
    }
}
