//! Where a store is, without the secrets of its URL.

/// Host, port and path of a URL. Options after `?` are left out as well: some of them are passwords.
pub(crate) fn of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // A password may hold a slash or an @ that nobody has escaped: whatever stands before the last @ is left out.
    let place = rest.rsplit('@').next().unwrap_or_default();
    let place = place.trim_end_matches('/');
    if place.is_empty() { "this machine" } else { place }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn an_address_holds_no_secret() {
        for (url, address) in [
            ("redis://127.0.0.1:6379", "127.0.0.1:6379"),
            (
                "rediss://user:secret@cache.example:6380/3",
                "cache.example:6380/3",
            ),
            ("redis://:sec/r@et@h:1/", "h:1"),
            ("postgres://u:secret@h:5432/shop?password=secret", "h:5432/shop"),
            ("postgres:///?host=/run&password=secret", "this machine"),
            ("elasticsearch://elastic:secret@[::1]:9200", "[::1]:9200"),
        ] {
            assert_eq!(of(url), address);
        }
    }
}
