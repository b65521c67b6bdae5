//! Which visitor a request is of, without knowing who that is.

use axum::http::{HeaderMap, header};
use emporium_service_kit::ids;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::cookies;
use crate::identity;

/// Parts of `User-Agent` by which crawlers and previews say what they are, besides words that end in `bot`.
const CRAWLERS: [&str; 7] = [
    "crawl",
    "spider",
    "slurp",
    "preview",
    "facebookexternalhit",
    "monitoring",
    "uptime",
];
/// Words that end so and are none: a maker of phones.
const NO_BOTS: [&str; 1] = ["cubot"];

/// The visitor that a request is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// By what it is counted.
    pub id: Uuid,
    /// True for a browser that does not have this as its cookie yet: so it stays the same visitor when its session or its
    /// cart becomes another one.
    pub keep: bool,
}

/// The visitor that a request names: by the cookie, else by its session, else by its anonymous cart. The latter two are
/// others on another day.
pub fn known(headers: &HeaderMap, today: Date) -> Option<Known> {
    let cookie = cookies::read(headers, cookies::VISITOR).and_then(|id| Uuid::try_parse(id).ok());
    // Random, or made from a session or a cart.
    if let Some(id) = cookie.filter(|id| matches!(id.get_version_num(), 4 | 7)) {
        return Some(Known { id, keep: false });
    }
    let id = identity::token(headers)
        .map(|token| derived("session", token.as_bytes(), today))
        .or_else(|| identity::anonymous_cart(headers).map(|cart| of_cart(cart, today)))?;
    let keep = headers.contains_key(header::COOKIE);
    Some(Known { id, keep })
}

/// The visitor with this anonymous cart on this day.
pub fn of_cart(cart: Uuid, today: Date) -> Uuid {
    derived("cart", cart.as_bytes(), today)
}

/// A hash of what must not leave the gateway, for whoever has the one knows the session or the cart. The day is in it, so
/// that nobody can follow a visitor from day to day.
fn derived(namespace: &str, secret: &[u8], today: Date) -> Uuid {
    let key = [&today.to_julian_day().to_be_bytes(), secret].concat();
    ids::derived(OffsetDateTime::UNIX_EPOCH, namespace, &key)
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
    !ahead && !has_bot(headers) && !CRAWLERS.iter().any(|word| has(agent, word))
}

/// `Googlebot/2.1`, `AdsBot-Google`, `robots`; not `CUBOT_NOTE`.
fn has_bot(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::USER_AGENT).iter();
    values.filter_map(|value| value.to_str().ok()).any(|agent| {
        let agent = agent.to_ascii_lowercase();
        agent
            .split(|letter: char| !letter.is_ascii_alphabetic())
            .map(|word| word.strip_suffix('s').unwrap_or(word))
            .any(|word| word.ends_with("bot") && !NO_BOTS.contains(&word))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use time::macros::date;

    use super::*;

    const TODAY: Date = date!(2026 - 11 - 23);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn the_cookie_comes_first_and_secrets_do_not_show() {
        fn id(pairs: &[(&'static str, &str)]) -> Option<Uuid> {
            known(&headers(pairs), TODAY).map(|known| known.id)
        }
        let (visitor, cart) = (Uuid::new_v4(), Uuid::new_v4());
        let all = format!("visitor={visitor}; session=abc; cart={cart}");
        assert_eq!(id(&[("cookie", &all)]), Some(visitor));
        let by_token = id(&[("authorization", "Bearer abc")]);
        assert_eq!(by_token, id(&[("cookie", "session=abc; visitor=x")]));
        assert_ne!(by_token, id(&[("cookie", "session=abd")]));
        let by_cart = id(&[("x-cart-id", &cart.to_string())]);
        assert_eq!(by_cart, Some(of_cart(cart, TODAY)));
        assert_ne!(by_cart, Some(cart));
        assert_eq!(id(&[]), None);
        assert_eq!(id(&[("cookie", "visitor=; session=")]), None);
    }

    #[test]
    fn nobody_is_followed_into_another_day() {
        let tomorrow = TODAY.next_day().unwrap();
        let with_session = headers(&[("cookie", "session=abc")]);
        assert_ne!(known(&with_session, TODAY), known(&with_session, tomorrow));
        let cart = Uuid::new_v4();
        let (now, then) = (of_cart(cart, TODAY), of_cart(cart, tomorrow));
        assert_ne!(
            now.as_bytes()[8..],
            then.as_bytes()[8..],
            "not just the time in it"
        );
    }

    #[test]
    fn browsers_keep_it_and_clients_without_cookies_do_not() {
        fn keeps(pairs: &[(&'static str, &str)]) -> Option<bool> {
            known(&headers(pairs), TODAY).map(|known| known.keep)
        }
        assert_eq!(keeps(&[("cookie", "session=abc")]), Some(true));
        assert_eq!(
            keeps(&[("cookie", &format!("cart={}", Uuid::new_v4()))]),
            Some(true)
        );
        assert_eq!(keeps(&[("authorization", "Bearer abc")]), Some(false));
        let kept = known(&headers(&[("cookie", "session=abc")]), TODAY).unwrap().id;
        let other_session = format!("visitor={kept}; session=other");
        let then = known(&headers(&[("cookie", &other_session)]), TODAY);
        assert_eq!(
            then,
            Some(Known {
                id: kept,
                keep: false
            })
        );
    }

    #[test]
    fn crawlers_and_prefetches_are_nobody() {
        for agent in [
            "Googlebot/2.1",
            "Mozilla/5.0 (compatible; bingbot/2.0)",
            "Baiduspider",
            "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
            "AdsBot-Google (+http://www.google.com/adsbot.html)",
        ] {
            assert!(!is_somebody(&headers(&[("user-agent", agent)])), "{agent}");
        }
        assert!(!is_somebody(&headers(&[("sec-purpose", "prefetch;prerender")])));
        for agent in [
            "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
            "Mozilla/5.0 (Linux; Android 11; CUBOT_X30) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 9; CUBOT NOTE 7) AppleWebKit/537.36",
            "Mozilla/5.0 Bottle/1.0",
            "curl/8.5.0",
        ] {
            assert!(is_somebody(&headers(&[("user-agent", agent)])), "{agent}");
        }
        assert!(is_somebody(&headers(&[])));
    }
}
