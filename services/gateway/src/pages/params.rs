//! Query parameters of pages: whatever was typed into the address bar, a page can be shown for it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// The parameters in their order; the first of a name counts.
pub struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Params {
    /// Reads `a=1&b=2`. What is not UTF-8 becomes replacement characters, control characters become blanks.
    pub fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let pairs = pairs.map(|(name, value)| (name.into_owned(), value.replace(char::is_control, " ")));
        Self(pairs.collect())
    }

    /// A parameter without white space around it; `None` when absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All parameters of a name that are not empty.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }
}

/// `path?name=value&…`, encoded; pairs without a value are left out.
pub fn link<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// Where to go after signing in: an address of the shop itself, else `None`. Browsers read a second slash or backslash as
/// the start of another host.
pub fn local_path(text: &str) -> Option<&str> {
    const BYTES_MAX: usize = 1_024;
    let mut bytes = text.bytes();
    let local = bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && text.len() <= BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    local.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shops_own_addresses_are_gone_to() {
        for good in ["/", "/checkout", "/search?q=a%20b"] {
            assert_eq!(local_path(good), Some(good));
        }
        for bad in [
            "",
            "checkout",
            "//evil.example",
            "/\\evil.example",
            "/a\\b",
            "https://evil.example/",
            "/a\r\nSet-Cookie: x=1",
            "/a b",
            "/ä",
        ] {
            assert_eq!(local_path(bad), None, "{bad:?}");
        }
        assert_eq!(local_path(&format!("/{}", "a".repeat(2_000))), None);
    }

    #[test]
    fn links_are_encoded() {
        assert_eq!(
            link("/search", [("q", "a&b=\"<c>"), ("sort", "")]),
            "/search?q=a%26b%3D%22%3Cc%3E"
        );
        assert_eq!(link("/search", [("q", "")]), "/search");
        assert_eq!(
            Params::parse("a=+1+&a=2&b=%FF").all("a").collect::<Vec<_>>(),
            ["1", "2"]
        );
        assert_eq!(Params::parse("a=&b=%FF").get("a"), None);
        assert_eq!(Params::parse("a=x%00%0Ay").get("a"), Some("x  y"));
    }
}
