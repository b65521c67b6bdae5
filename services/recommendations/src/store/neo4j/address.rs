//! The URL: where the server is, who asks, and which shop's graph it is.

use percent_encoding::percent_decode_str;
use url::Url;

use super::check::ConnectError;

/// The shop whose graph it is when the URL names none.
const SHOP: &str = "emporium";
/// The longest name of a shop.
const SHOP_MAX: usize = 60;

/// `neo4j://user:password@host:port/database?shop=name`, where the database and the shop may be left away. The Community
/// edition has one database: several shops have graphs of their own in it by their names.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// In the driver's scheme, without user, password and path.
    pub uri: String,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The database; the user's own when none is named.
    pub database: Option<String>,
    /// Whose graph.
    pub shop: String,
}

impl Address {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, ConnectError> {
        let url = Url::parse(text).map_err(|_| ConnectError::Url)?;
        // The driver's `neo4j://` asks for a cluster's routing table, which it calls an experiment.
        let scheme = match url.scheme() {
            "neo4j" => "bolt",
            "neo4j+s" => "bolt+s",
            _ => return Err(ConnectError::Url),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let port = url.port().unwrap_or(7687);
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from).map_err(|_| ConnectError::Url)
        };
        let database = decoded(url.path().trim_matches('/'))?;
        if url.fragment().is_some() || database.contains('/') {
            return Err(ConnectError::Url);
        }
        Ok(Self {
            uri: format!("{scheme}://{}:{port}", host.ok_or(ConnectError::Url)?),
            user: decoded(url.username())?,
            password: decoded(url.password().unwrap_or_default())?,
            database: Some(database).filter(|name| !name.is_empty()),
            shop: shop(&url)?,
        })
    }
}

fn shop(url: &Url) -> Result<String, ConnectError> {
    let mut shop = SHOP.to_owned();
    for (name, value) in url.query_pairs() {
        let is_plain = value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if name != "shop" || value.is_empty() || value.len() > SHOP_MAX || !is_plain {
            return Err(ConnectError::Shop);
        }
        shop = value.into_owned();
    }
    Ok(shop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused_without_being_shown() {
        let read = Address::parse("neo4j://neo4j:p%40ss%2F@h.example:7688/graph?shop=two-2").unwrap();
        assert_eq!(read.uri, "bolt://h.example:7688");
        assert_eq!((read.user.as_str(), read.password.as_str()), ("neo4j", "p@ss/"));
        assert_eq!(
            (read.database.as_deref(), read.shop.as_str()),
            (Some("graph"), "two-2")
        );
        let read = Address::parse("neo4j+s://u:p@[::1]").unwrap();
        assert_eq!(read.uri, "bolt+s://[::1]:7687");
        assert_eq!((read.database, read.shop.as_str()), (None, SHOP));
        for url in [
            "neo4j://",
            "neo4j+ssc://u:secret@h",
            "bolt://u:secret@h",
            "neo4j://u:secret@h:1/a/b",
            "neo4j://u:secret@h#x",
            "neo4j://u:secret@h:99999",
            "neo4j://u:secret@h?shop=",
            "neo4j://u:secret@h?shop=a%20b",
            "neo4j://u:secret@h?database=secret",
        ] {
            let refused = Address::parse(url).err().expect(url).to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
