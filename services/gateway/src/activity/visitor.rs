//! Which visitor a request is of, without knowing who that is.

use axum::http::{HeaderMap, header};
use emporium_service_kit::ids;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cookies;
use crate::identity;

/// Words in `User-Agent` by which crawlers and previews say what they are.
const CRAWLERS: [&str; 8] = [
    "bot",
    "crawl",
    "spider",
    "slurp",
    "preview",
    "facebookexternalhit",
    "monitoring",
    "uptime",
];

/// The visitor that a request names: by the cookie, else by its session, else by its anonymous cart.
pub fn known(headers: &HeaderMap) -> Option<Uuid> {
    let cookie = cookies::read(headers, cookies::VISITOR).and_then(|id| Uuid::try_parse(id).ok());
    cookie
        .filter(|id| id.get_version_num() == 4)
        .or_else(|| identity::token(headers).map(|token| derived("session", token.as_bytes())))
        .or_else(|| identity::anonymous_cart(headers).map(of_cart))
}

/// The visitor with this anonymous cart.
pub fn of_cart(cart: Uuid) -> Uuid {
    derived("cart", cart.as_bytes())
}

/// A hash of what must not leave the gateway, for whoever has the one knows the session or the cart.
fn derived(namespace: &str, secret: &[u8]) -> Uuid {
    ids::derived(OffsetDateTime::UNIX_EPOCH, namespace, secret)
}

/// False for crawlers and for what a browser fetches before anybody asks for it.
pub fn is_somebody(headers: &HeaderMap) -> bool {
    let has = |name: &str, word: &str| {
        let values = headers.get_all(name).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.to_ascii_lowercase().contains(word))
    };
    let ahead = has("sec-purpose", "prefetch") || has("purpose", "prefetch") || has("x-moz", "prefetch");
    let agent = header::USER_AGENT.as_str();
    !ahead && !CRAWLERS.iter().any(|word| has(agent, word))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn the_cookie_comes_first_and_secrets_do_not_show() {
        let (visitor, cart) = (Uuid::new_v4(), Uuid::new_v4());
        let all = format!("visitor={visitor}; session=abc; cart={cart}");
        assert_eq!(known(&headers(&[("cookie", &all)])), Some(visitor));
        let by_token = known(&headers(&[("authorization", "Bearer abc")]));
        assert_eq!(by_token, known(&headers(&[("cookie", "session=abc; visitor=x")])));
        assert_ne!(by_token, known(&headers(&[("cookie", "session=abd")])));
        let by_cart = known(&headers(&[("x-cart-id", &cart.to_string())]));
        assert_eq!(by_cart, Some(of_cart(cart)));
        assert_ne!(by_cart, Some(cart));
        assert_eq!(known(&headers(&[])), None);
        assert_eq!(known(&headers(&[("cookie", "visitor=; session=")])), None);
    }

    #[test]
    fn crawlers_and_prefetches_are_nobody() {
        for agent in [
            "Googlebot/2.1",
            "Mozilla/5.0 (compatible; bingbot/2.0)",
            "Baiduspider",
        ] {
            assert!(!is_somebody(&headers(&[("user-agent", agent)])), "{agent}");
        }
        assert!(!is_somebody(&headers(&[("sec-purpose", "prefetch;prerender")])));
        for agent in ["Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "curl/8.5.0"] {
            assert!(is_somebody(&headers(&[("user-agent", agent)])), "{agent}");
        }
        assert!(is_somebody(&headers(&[])));
    }
}
