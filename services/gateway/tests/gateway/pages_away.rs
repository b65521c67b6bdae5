//! Pages while services are away: what is missing is said, and the rest is there.

use std::time::Duration;

use tokio::time::timeout;
use wiremock::{MockServer, ResponseTemplate};

use crate::browser::{Browser, all, stocked};
use crate::support::{Shop, goes_away, id};

/// Who is away, what is opened, the status, what the page says, and what is there all the same.
type Away = (&'static str, &'static str, u16, &'static str, &'static str);

const AWAY: [Away; 24] = [
    ("catalog", "/", 200, "categories are missing", "See all products"),
    (
        "catalog",
        "/search?q=x",
        503,
        "nothing can be found",
        "search-form",
    ),
    (
        "catalog",
        "/cart",
        200,
        "names and prices are missing",
        "value=\"2\"",
    ),
    (
        "catalog",
        "/products/{1}",
        503,
        "The catalogue of products",
        "search-form",
    ),
    ("catalog", "/orders/{70}", 200, "", "What you ordered"),
    (
        "carts",
        "/products/{1}",
        200,
        "cannot be put into one",
        "id=\"price\"",
    ),
    ("carts", "/cart", 503, "cannot be shown just now", "search-form"),
    ("carts", "/account", 200, "", "address-book"),
    (
        "orders",
        "/orders",
        503,
        "Your orders cannot be shown",
        "nav-cart",
    ),
    ("orders", "/account", 200, "", "address-book"),
    (
        "payments",
        "/orders/{70}",
        200,
        "handles payments does not answer",
        "id=\"timeline\"",
    ),
    ("users", "/account", 503, "accounts and addresses", "search-form"),
    ("users", "/orders", 200, "", "id=\"orders\""),
    (
        "sessions",
        "/",
        200,
        "We cannot tell who you are",
        "Popular just now",
    ),
    (
        "sessions",
        "/products/{1}",
        200,
        "We cannot tell who you are",
        "add-to-cart",
    ),
    (
        "sessions",
        "/cart",
        200,
        "We cannot tell who you are",
        "There is nothing in it yet",
    ),
    (
        "sessions",
        "/orders",
        503,
        "knows who is signed in",
        "search-form",
    ),
    (
        "reviews",
        "/products/{1}",
        200,
        "keeps reviews does not answer",
        "add-to-cart",
    ),
    ("reviews", "/account/reviews", 503, "keeps reviews", "search-form"),
    ("reviews", "/", 200, "", "id=\"for-you\""),
    (
        "recommendations",
        "/products/{1}",
        200,
        "finds what goes with what",
        "id=\"reviews\"",
    ),
    (
        "recommendations",
        "/",
        200,
        "finds what goes with what",
        "Popular just now",
    ),
    (
        "recommendations",
        "/orders",
        200,
        "finds what goes with what",
        "id=\"orders\"",
    ),
    ("analytics", "/products/{1}", 200, "", "add-to-cart"),
];

#[tokio::test]
async fn while_a_service_is_away_its_part_says_so_and_the_rest_works() {
    for case in AWAY {
        goes_on(case).await;
    }
}

async fn goes_on((service, at, status, says, keeps): Away) {
    let at = at
        .replace("{1}", &id(1).to_string())
        .replace("{70}", &id(70).to_string());
    let shop = stocked().await;
    goes_away(stand_in(&shop, service)).await;
    let page = Browser::customer(&shop).page(&at, status).await;
    assert!(
        page.contains(says),
        "without {service}, {at} does not say {says:?}"
    );
    assert!(
        page.contains(keeps),
        "without {service}, {at} does not keep {keeps:?}"
    );
}

fn stand_in<'a>(shop: &'a Shop, service: &str) -> &'a MockServer {
    match service {
        "users" => &shop.users,
        "sessions" => &shop.sessions,
        "catalog" => &shop.catalog,
        "carts" => &shop.carts,
        "orders" => &shop.orders,
        "recommendations" => &shop.recommendations,
        "reviews" => &shop.reviews,
        "analytics" => &shop.analytics,
        _ => &shop.payments,
    }
}

#[tokio::test]
async fn without_carts_a_product_cannot_be_put_into_one() {
    let shop = stocked().await;
    let at = format!("/products/{}", id(1));
    let browser = Browser::customer(&shop);
    assert!(browser.page(&at, 200).await.contains("id=\"add-to-cart\""));
    goes_away(&shop.carts).await;
    assert!(!browser.page(&at, 200).await.contains("id=\"add-to-cart\""));
}

#[tokio::test]
async fn a_service_that_hangs_holds_a_page_up_for_a_moment_only() {
    let shop = stocked().await;
    for server in [&shop.catalog, &shop.carts, &shop.sessions] {
        server.reset().await;
        let never = ResponseTemplate::new(200).set_delay(Duration::from_mins(1));
        all(server, "GET", ".", never.clone()).await;
        all(server, "POST", ".", never).await;
    }
    let page = timeout(Duration::from_secs(8), Browser::customer(&shop).page("/", 200)).await;
    assert!(page.unwrap().contains("popular products are missing"));
}

#[tokio::test]
async fn everything_away_is_still_a_shop() {
    let shop = Shop::open().await;
    for server in [
        &shop.users,
        &shop.sessions,
        &shop.catalog,
        &shop.carts,
        &shop.orders,
        &shop.payments,
        &shop.recommendations,
        &shop.reviews,
        &shop.analytics,
        &shop.monitoring,
    ] {
        goes_away(server).await;
    }
    let browser = Browser::customer(&shop);
    for (at, status) in [
        ("/", 200),
        ("/search", 503),
        ("/cart", 200),
        ("/sign-in", 200),
        ("/account", 503),
    ] {
        browser.page(at, status).await;
    }
}
