//! The cookies: `session` (the token), `cart` (the anonymous cart's id) and `visitor` (a random id that tells one visitor
//! of a day from another). Scripts can read none of them.

use axum::http::{HeaderMap, HeaderValue, header};
use time::{Duration, OffsetDateTime, Time, UtcOffset};
use uuid::Uuid;

use crate::config::Config;

/// Holds the session's token.
pub const SESSION: &str = "session";
/// Holds the id of the anonymous cart.
pub const CART: &str = "cart";

/// Holds a random id by which visits are counted.
pub const VISITOR: &str = "visitor";

/// How long a browser keeps the token, in seconds: as long as a session can possibly live. When it really ends is up to
/// the sessions service.
const SESSION_AGE_S: u32 = 30 * 24 * 3600;
/// How long a browser keeps the cart's id, in seconds: as long as an anonymous cart lives after the last change.
const CART_AGE_S: u32 = 30 * 24 * 3600;

/// The value of a cookie that the browser sent.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// Keeps the session's token in the browser.
pub fn keep_session(headers: &mut HeaderMap, config: &Config, token: &str) {
    set(headers, config, SESSION, token, SESSION_AGE_S);
}

/// Keeps the anonymous cart's id in the browser.
pub fn keep_cart(headers: &mut HeaderMap, config: &Config, id: Uuid) {
    set(headers, config, CART, &id.to_string(), CART_AGE_S);
}

/// Keeps the visitor's id in the browser until midnight (UTC), for visitors are counted by the day.
pub fn keep_visitor(headers: &mut HeaderMap, config: &Config, id: Uuid, now: OffsetDateTime) {
    let of_today = now
        .to_offset(UtcOffset::UTC)
        .time()
        .duration_since(Time::MIDNIGHT);
    // An age of nothing would make the browser forget it before it is used.
    let left = (Duration::DAY - of_today).whole_seconds().max(1);
    let age_s = u32::try_from(left).unwrap_or(1);
    set(headers, config, VISITOR, &id.to_string(), age_s);
}

/// Makes the browser forget a cookie.
pub fn forget(headers: &mut HeaderMap, config: &Config, name: &str) {
    set(headers, config, name, "", 0);
}

fn set(headers: &mut HeaderMap, config: &Config, name: &str, value: &str, age_s: u32) {
    let secure = if config.https() { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age_s}{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(header::SET_COOKIE, value);
    } else {
        tracing::error!(name, "a cookie's value does not fit a header");
    }
}
