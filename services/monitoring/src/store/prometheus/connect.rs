//! The server's address, from the URL of the setting.

use reqwest::Url;

/// Where Prometheus listens.
const PORT: u16 = 9090;

/// Why a Prometheus cannot be used; never shows the URL.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL.
    #[error(
        "this is no Prometheus URL; write prometheus://host:port (prometheus+https:// for TLS), with user:password@ before the host where they are needed"
    )]
    Url,
    /// Nobody answers there.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// User or password.
    #[error("user or password are refused, or missing")]
    Credentials,
    /// Something answers, but not as Prometheus does.
    #[error("what answers there is no Prometheus: {0}; see that host and port are right")]
    Foreign(String),
    /// Too old.
    #[error(
        "Prometheus {0} is not supported; use 3.16 or newer, or at least 2.42, which only estimates increases"
    )]
    Version(String),
    /// It makes no minutes and hours.
    #[error(
        "the server has no recording rule {0:?} without an error; give it the file infra/stores/prometheus/rules.yml as one of its rule_files"
    )]
    Rules(String),
}

impl ConnectError {
    /// Whether the text says what to do. The others are of a server that is away or refuses.
    pub fn tells_remedy(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Credentials)
    }
}

/// The HTTP address that a URL `prometheus://[user:password@]host[:port]` stands for.
pub fn address(url: &str) -> Result<Url, ConnectError> {
    let (scheme, rest) = url.split_once("://").ok_or(ConnectError::Url)?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "prometheus" => false,
        "prometheus+https" => true,
        _ => return Err(ConnectError::Url),
    };
    // A scheme of its own: of those that the parser knows it would leave out the usual port.
    let written: Url = format!("prometheus://{rest}")
        .parse()
        .map_err(|_| ConnectError::Url)?;
    let is_plain = written.query().is_none() && written.fragment().is_none();
    let host = written.host_str().filter(|host| !host.is_empty());
    let (Some(host), true, "" | "/") = (host, is_plain, written.path()) else {
        return Err(ConnectError::Url);
    };
    let (scheme, port) = (
        if secure { "https" } else { "http" },
        written.port().unwrap_or(PORT),
    );
    let base = format!("{scheme}://{host}:{port}/");
    let mut base: Url = base.parse().map_err(|_| ConnectError::Url)?;
    base.set_username(written.username())
        .and_then(|()| base.set_password(written.password()))
        .map_err(|()| ConnectError::Url)?;
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_in_all_their_forms() {
        for (url, base) in [
            ("prometheus://h", "http://h:9090/"),
            ("Prometheus://h:80/", "http://h/"),
            ("prometheus://h:443", "http://h:443/"),
            ("prometheus+https://h", "https://h:9090/"),
            ("prometheus+https://h:443", "https://h/"),
            ("prometheus://u:p%40%2F@h:1", "http://u:p%40%2F@h:1/"),
            ("prometheus://[::1]:9201", "http://[::1]:9201/"),
        ] {
            assert_eq!(address(url).unwrap().as_str(), base, "{url}");
        }
        for url in [
            "",
            "prometheus:",
            "prometheus://",
            "prometheus://:9090",
            "http://h",
            "prometheus://h/prefix",
            "prometheus://h?tls=true",
            "prometheus://h#x",
            "prometheus://h:99999",
        ] {
            assert!(matches!(address(url), Err(ConnectError::Url)), "{url}");
        }
    }
}
