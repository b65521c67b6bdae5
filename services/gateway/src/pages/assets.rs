//! The stylesheet, the script and the icons. They are part of the program, and their addresses name their content, so
//! that browsers may keep them for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::error::Error;

/// Addresses of the assets, for templates.
pub struct Assets {
    /// The stylesheet.
    pub style: String,
    /// What administrators' pages have besides: charts.
    pub charts: String,
    /// The script.
    pub script: String,
    /// The icons: one symbol each.
    pub icons: String,
    /// The shop's own icon.
    pub favicon: String,
}

struct File {
    name: String,
    kind: &'static str,
    bytes: &'static [u8],
}

/// One stylesheet for browsers, two files for readers.
const STYLE: &[u8] = concat!(
    include_str!("../../assets/shop.css"),
    include_str!("../../assets/opinions.css")
)
.as_bytes();
const CHARTS: &[u8] = include_bytes!("../../assets/charts.css");
const SCRIPT: &[u8] = include_bytes!("../../assets/shop.js");
const ICONS: &[u8] = include_bytes!("../../assets/icons.svg");
const FAVICON: &[u8] = include_bytes!("../../assets/favicon.svg");

static FILES: LazyLock<[File; 5]> = LazyLock::new(|| {
    [
        file("shop", "css", "text/css; charset=utf-8", STYLE),
        file("charts", "css", "text/css; charset=utf-8", CHARTS),
        file("shop", "js", "text/javascript; charset=utf-8", SCRIPT),
        file("icons", "svg", "image/svg+xml", ICONS),
        file("favicon", "svg", "image/svg+xml", FAVICON),
    ]
});

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let [style, charts, script, icons, favicon] = &*FILES;
    let address = |file: &File| format!("/assets/{}", file.name);
    Assets {
        style: address(style),
        charts: address(charts),
        script: address(script),
        icons: address(icons),
        favicon: address(favicon),
    }
});

/// The addresses.
pub fn addresses() -> &'static Assets {
    &ASSETS
}

/// `GET /assets/{file}`.
pub async fn serve(Path(name): Path<String>) -> Result<Response, Error> {
    let file = FILES.iter().find(|file| file.name == name);
    let file = file.ok_or(Error::Unknown("file"))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.kind)),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
    ];
    Ok((headers, file.bytes).into_response())
}

/// `GET /favicon.ico`: asked for by browsers that were not told of the icon, on an answer that is no page.
pub async fn favicon() -> Redirect {
    Redirect::temporary(&addresses().favicon)
}

/// `GET /robots.txt`: what is personal or endless is not for crawlers.
pub async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /account\nDisallow: /admin\nDisallow: /api\nDisallow: /cart\nDisallow: /checkout\n\
     Disallow: /orders\nDisallow: /search\n"
}

fn file(stem: &str, extension: &str, kind: &'static str, bytes: &'static [u8]) -> File {
    File {
        name: format!("{stem}.{:016x}.{extension}", fingerprint(bytes)),
        kind,
        bytes,
    }
}

/// FNV-1a. It tells one version of our own files from the next; nobody gains anything by finding two that collide.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
