//! The journey of a customer in a real browser: search, product, cart, sign-up, checkout, order; with JavaScript and
//! without it, on a desktop and on a phone.
#![allow(clippy::unwrap_used)]

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use emporium_tests::{Options, Polyglot, ShopProcess};
use thirtyfour::prelude::*;
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

/// A chromedriver of our own; it ends with the test.
struct Driver {
    child: Child,
    url: String,
    profile: tempfile::TempDir,
}

impl Driver {
    /// `None`, said aloud, when there is no Chromium here. In CI that is a failure.
    fn start() -> Option<Self> {
        if !Path::new("/usr/bin/chromedriver").exists() || !Path::new("/usr/bin/chromium").exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI has to have chromium and chromium-driver"
            );
            println!("LEFT OUT: the browser test needs Debian's packages chromium and chromium-driver");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("/usr/bin/chromedriver")
            .arg(format!("--port={port}"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "chromedriver does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            profile: tempfile::tempdir().unwrap(),
        })
    }

    async fn browser(&self, javascript: bool, size: (u32, u32)) -> WebDriver {
        let mut options = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ] {
            options.add_arg(argument).unwrap();
        }
        options
            .add_arg(&format!("--window-size={},{}", size.0, size.1))
            .unwrap();
        let profile = self.profile.path().join(Uuid::new_v4().to_string());
        options
            .add_arg(&format!("--user-data-dir={}", profile.display()))
            .unwrap();
        if !javascript {
            let off = serde_json::json!({ "profile.managed_default_content_settings.javascript": 2 });
            options.add_experimental_option("prefs", off).unwrap();
        }
        // Settles which cryptography TLS would use: the WebDriver client asks for it even for plain HTTP.
        let _ = emporium_service_kit::client::http_builder();
        WebDriver::new(&self.url, options).await.unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The whole group: a test that failed leaves its browser behind.
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

async fn click(browser: &WebDriver, css: &str) {
    let element = browser
        .query(By::Css(css))
        .first()
        .await
        .unwrap_or_else(|error| panic!("{css}: {error}"));
    element.scroll_into_view().await.unwrap();
    element
        .click()
        .await
        .unwrap_or_else(|error| panic!("{css}: {error}"));
}

async fn fill(browser: &WebDriver, css: &str, text: &str) {
    let element = browser
        .query(By::Css(css))
        .first()
        .await
        .unwrap_or_else(|error| panic!("{css}: {error}"));
    element.clear().await.unwrap();
    element.send_keys(text).await.unwrap();
}

async fn text_of(browser: &WebDriver, css: &str) -> String {
    let element = browser
        .query(By::Css(css))
        .first()
        .await
        .unwrap_or_else(|error| panic!("{css}: {error}"));
    element.text().await.unwrap()
}

/// Search → product → cart → sign-up → checkout → order. Forms are followed as a person would, by what is on the page.
async fn journey(browser: &WebDriver, shop: &str) {
    browser.goto(shop).await.unwrap();
    assert!(browser.title().await.unwrap().contains("Emporium"));
    fill(browser, "#search-q", "mug").await;
    click(browser, "#search-submit").await;
    click(browser, "#results .card a").await;
    let product = text_of(browser, "#product h1").await;
    fill(browser, "#quantity", "2").await;
    click(browser, "#add").await;
    assert!(
        text_of(browser, "#cart-count").await.starts_with('2'),
        "the page's head counts it"
    );
    browser.goto(format!("{shop}/cart")).await.unwrap();
    assert!(
        text_of(browser, "main").await.contains(&product),
        "the basket has it"
    );
    let total = text_of(browser, "#cart-total").await;
    click(browser, "#to-checkout").await;
    click(browser, "#to-sign-up").await;
    fill(browser, "#name", "Béatrice O'Neill <b>").await;
    fill(
        browser,
        "#email",
        &format!("{}@customers.example", Uuid::new_v4().simple()),
    )
    .await;
    fill(browser, "#password", "correct horse battery").await;
    click(browser, "#sign-up").await;
    fill(browser, "#street", "12 Mill Lane").await;
    fill(browser, "#city", "Leeds").await;
    fill(browser, "#postal_code", "LS1 4AP").await;
    click(browser, "#address-save").await;
    assert_eq!(
        text_of(browser, "#checkout-total").await,
        total,
        "the basket came along"
    );
    click(browser, "#tok_ok").await;
    click(browser, "#place-order").await;
    let status = browser.query(By::Id("status")).first().await.unwrap();
    status.wait_until().displayed().await.unwrap();
    let page = text_of(browser, "main").await;
    assert!(page.contains(&product), "{page}");
    assert!(page.to_lowercase().contains("confirmed"), "{page}");
    assert_eq!(text_of(browser, "#order-total").await, total);
    assert!(
        text_of(browser, "#timeline").await.lines().count() >= 3,
        "the saga's steps are shown"
    );
    browser.goto(format!("{shop}/orders")).await.unwrap();
    assert!(text_of(browser, "#orders").await.contains(&total));
}

#[tokio::test]
async fn a_customer_buys_in_a_browser() {
    journeys(&with_sample()).await;
}

#[tokio::test]
async fn the_same_on_the_specialised_stores() {
    let Some(stores) = Polyglot::get().await else {
        return;
    };
    journeys(&stores.options(with_sample())).await;
}

fn with_sample() -> Options {
    Options {
        sample: Some("tiny"),
        ..Options::default()
    }
}

async fn journeys(options: &Options) {
    let Some(driver) = Driver::start() else { return };
    let shop = ShopProcess::start(PROGRAM, options).await;
    let url = shop.url("gateway");
    for (javascript, size) in [(true, (1_280, 900)), (false, (390, 844))] {
        let browser = driver.browser(javascript, size).await;
        journey(&browser, &url).await;
        no_sideways_scrolling(&browser, &url, javascript).await;
        browser.quit().await.unwrap();
    }
}

/// Nothing on a page is wider than the window.
async fn no_sideways_scrolling(browser: &WebDriver, shop: &str, javascript: bool) {
    if !javascript {
        return;
    }
    browser.set_window_rect(0, 0, 500, 844).await.unwrap();
    for page in ["/", "/search?q=mug", "/cart", "/orders", "/account"] {
        browser.goto(format!("{shop}{page}")).await.unwrap();
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let over = browser.execute(script, Vec::new()).await.unwrap();
        assert!(
            over.json().as_i64().unwrap() <= 1,
            "{page} is too wide by {:?}",
            over.json()
        );
    }
}
