//! Opening: the URL, and whether what answers there will do.

use std::time::Duration;

use clickhouse::Client;
use emporium_service_kit::metrics::Metrics;
use percent_encoding::percent_decode_str;
use url::Url;

use super::client::{CLICKHOUSE, ClickHouse, Fault};

/// How long the first answer may take: a server that has just started is slow at first.
const START_TIMEOUT: Duration = Duration::from_secs(8);
/// The oldest version whose handling of tokens in views was tried: year and month.
const VERSION_MIN: (u32, u32) = (25, 8);
/// Where ClickHouse listens for HTTP.
const PORT: u16 = 8123;
/// What a database is named when the URL says nothing.
const DATABASE: &str = "default";
/// Server codes: unknown user, wrong password, authentication failed; unknown database.
const CREDENTIALS: [u32; 3] = [192, 193, 516];
const UNKNOWN_DATABASE: u32 = 81;

/// Why a ClickHouse cannot be used; never shows the URL.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL.
    #[error(
        "this is no ClickHouse URL; write clickhouse://host:port of its HTTP interface, with user:password@ and /database where they are needed"
    )]
    Url,
    /// Nobody answers there.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// User or password.
    #[error("user or password are refused")]
    Credentials,
    /// No such database.
    #[error("there is no database {0:?} on the server; create it, or name another one after the host")]
    Database(String),
    /// Something answers, but not as ClickHouse does.
    #[error(
        "what answers there is no ClickHouse; name its HTTP interface, whose port is {PORT} and not 9000"
    )]
    Foreign,
    /// The server's own reason.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// Too old.
    #[error("ClickHouse {0} is not supported; use {year}.{month} or newer", year = VERSION_MIN.0, month = VERSION_MIN.1)]
    Version(String),
    /// Made by a newer program.
    #[error("the tables are of a newer version of the shop ({0}); start that one")]
    Newer(i64),
}

impl ConnectError {
    /// Whether the text says what to do. The others are of a server that is away or refuses.
    pub fn tells_remedy(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Credentials | Self::Refused(_))
    }
}

/// A URL, read: `clickhouse://[user:password@]host[:port][/database]`.
struct Address {
    base: String,
    user: Option<String>,
    password: Option<String>,
    database: String,
}

impl Address {
    fn read(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| url.scheme() == CLICKHOUSE)?;
        if url.query().is_some() || url.fragment().is_some() {
            return None;
        }
        let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let database = decoded(url.path().trim_matches('/'))?;
        let allowed = |sign: char| sign.is_ascii_alphanumeric() || sign == '_' || sign == '-';
        if !database.chars().all(allowed) {
            return None;
        }
        let given = |text: &str| (!text.is_empty()).then(|| decoded(text));
        Some(Self {
            base: format!("http://{host}:{}", url.port().unwrap_or(PORT)),
            user: given(url.username()).map_or(Some(None), |user| user.map(Some))?,
            password: url
                .password()
                .and_then(given)
                .map_or(Some(None), |word| word.map(Some))?,
            database: if database.is_empty() {
                DATABASE.to_owned()
            } else {
                database
            },
        })
    }

    fn client(&self) -> Client {
        let mut client = Client::default()
            .with_url(&self.base)
            .with_database(&self.database);
        if let Some(user) = &self.user {
            client = client.with_user(user);
        }
        if let Some(password) = &self.password {
            client = client.with_password(password);
        }
        client
    }
}

impl ClickHouse {
    /// The server that the URL names. Fails when it does not answer in time, refuses, or is none that will do.
    pub async fn connect(url: &str, metrics: Metrics) -> Result<Self, ConnectError> {
        let address = Address::read(url).ok_or(ConnectError::Url)?;
        let client = address.client();
        let asked = tokio::time::timeout(START_TIMEOUT, client.query_raw("SELECT version()").fetch_one());
        let version: String = match asked.await {
            Ok(Ok(version)) => version,
            Ok(Err(error)) => return Err(refusal(&error, &address.database)),
            Err(_) => return Err(ConnectError::Unreachable("the time is up".to_owned())),
        };
        let mut numbers = version
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or_default());
        let year_month = (
            numbers.next().unwrap_or_default(),
            numbers.next().unwrap_or_default(),
        );
        if year_month < VERSION_MIN {
            return Err(ConnectError::Version(version));
        }
        Ok(Self::new(client, metrics))
    }
}

fn refusal(error: &clickhouse::error::Error, database: &str) -> ConnectError {
    let fault = Fault::of(error);
    match (fault.code, error) {
        (Some(code), _) if CREDENTIALS.contains(&code) => ConnectError::Credentials,
        (Some(UNKNOWN_DATABASE), _) => ConnectError::Database(database.to_owned()),
        (Some(_), _) => ConnectError::Refused(fault.told().to_owned()),
        (None, clickhouse::error::Error::Network(cause)) if !is_connect(cause.as_ref()) => {
            ConnectError::Foreign
        }
        (None, clickhouse::error::Error::Network(_)) => ConnectError::Unreachable(fault.told().to_owned()),
        _ => ConnectError::Foreign,
    }
}

/// Whether no connection came about; an answer that is no HTTP is another thing.
fn is_connect(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.downcast_ref::<std::io::Error>().is_some() {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused() {
        let address = Address::read("clickhouse://me:a%3Fb@h/shop").unwrap();
        assert_eq!(
            (address.base.as_str(), address.database.as_str()),
            ("http://h:8123", "shop")
        );
        assert_eq!(
            (address.user.as_deref(), address.password.as_deref()),
            (Some("me"), Some("a?b"))
        );
        let plain = Address::read("clickhouse://[::1]:9/").unwrap();
        assert_eq!(
            (plain.base.as_str(), plain.database.as_str(), plain.user),
            ("http://[::1]:9", "default", None)
        );
        for url in [
            "clickhouse://h?x=1",
            "clickhouse://h#x",
            "clickhouse://h/a/b",
            "clickhouse://h/a%60b",
            "clickhouse://",
            "http://h",
        ] {
            assert!(Address::read(url).is_none(), "{url}");
        }
    }
}
