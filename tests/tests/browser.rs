//! The journey of a customer in a real browser: search, product, cart, sign-up, checkout, order; with JavaScript and
//! without it, on a desktop and on a phone.
#![allow(clippy::unwrap_used)]

use emporium_tests::browser::{Driver, click, fill, text_of};
use emporium_tests::{Options, Polyglot, ShopProcess};
use thirtyfour::prelude::*;
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

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
