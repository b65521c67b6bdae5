//! Settings of the gateway.

use clap::Parser;
use emporium_service_kit::Currency;

/// What can be set, from environment variables.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    /// The address that browsers use, such as `https://shop.example`, when a proxy stands before the gateway. With
    /// `https`, cookies are marked `Secure` and browsers are told to come back over TLS only.
    #[arg(long, env = "EMPORIUM_GATEWAY_PUBLIC_URL", value_parser = origin)]
    pub public_url: Option<String>,
    /// The shop's currency (ISO 4217): what an empty cart costs nothing of.
    #[arg(long, env = "EMPORIUM_GATEWAY_CURRENCY", default_value_t = Currency::GBP)]
    pub currency: Currency,
    /// How many activities of visitors wait at most until the analytics service takes them; more are dropped and counted.
    #[arg(long, env = "EMPORIUM_GATEWAY_ACTIVITY_QUEUE", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub activity_queue: u32,
}

impl Config {
    /// True when browsers reach the gateway over TLS.
    pub fn https(&self) -> bool {
        self.public_url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://"))
    }
}

/// Scheme and authority in lower case, without a path: what browsers send as `Origin`.
fn origin(text: &str) -> Result<String, String> {
    let uri: axum::http::Uri = text.parse().map_err(|_| "is not a URL".to_owned())?;
    match (uri.scheme_str(), uri.authority(), uri.path()) {
        (Some(scheme @ ("http" | "https")), Some(authority), "" | "/") => {
            Ok(format!("{scheme}://{authority}").to_ascii_lowercase())
        }
        _ => Err("write it as https://shop.example".to_owned()),
    }
}
