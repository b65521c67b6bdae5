//! Every page: good HTML whatever is in it, and useful while services are away.

use crate::browser::{Browser, HOSTILE, checked, stocked};
use crate::support::{goes_away, id};

/// Pages for anybody.
fn public_pages() -> Vec<String> {
    vec![
        "/".to_owned(),
        "/search?q=mug&category=a&brand=b&from=1&to=20&in_stock=1&attr=a:b&sort=name&cursor=x".to_owned(),
        "/search?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&from=%22%3E&brand=%00%ff".to_owned(),
        format!("/products/{}?note=added", id(1)),
        format!(
            "/products/{}?sort=%22%3E&with=%22%3E:%3Cscript%3E&cursor=%22",
            id(1)
        ),
        "/cart".to_owned(),
        "/sign-in?next=/checkout".to_owned(),
        "/sign-up?note=%3Cscript%3E".to_owned(),
    ]
}

/// Pages for the customer.
pub fn own_pages() -> Vec<String> {
    vec![
        "/checkout?seen=1".to_owned(),
        "/orders".to_owned(),
        format!("/orders/{}?note=placed", id(70)),
        "/account?note=profile".to_owned(),
        "/account/addresses/new?next=/checkout".to_owned(),
        format!("/account/addresses/{}", id(50)),
        "/account/reviews".to_owned(),
        format!("/products/{}/review", id(1)),
        "/sign-out".to_owned(),
    ]
}

/// Pages for administrators.
pub fn admin_pages() -> Vec<String> {
    vec![
        "/admin/orders".to_owned(),
        "/admin/orders?status=all".to_owned(),
        format!("/admin/orders/{}", id(70)),
        "/admin/products?q=%22%3E".to_owned(),
        format!("/admin/products/{}", id(1)),
        "/admin/users?q=%22%3E".to_owned(),
        "/admin/reviews?state=hidden&note=%22%3E".to_owned(),
        "/admin/reviews".to_owned(),
    ]
}

#[tokio::test]
async fn hostile_text_stays_text_on_every_page() {
    let shop = stocked().await;
    let people = [
        (Browser::stranger(&shop), public_pages()),
        (Browser::customer(&shop), [public_pages(), own_pages()].concat()),
        (Browser::admin(&shop), [own_pages(), admin_pages()].concat()),
    ];
    let escaped = "&#60;script&#62;alert(1)&#60;/script&#62;";
    let mut seen = 0;
    for (browser, pages) in people {
        for at in pages {
            let reply = browser.get(&at).await;
            if at.starts_with("/sign-") && reply.status == 303 {
                continue; // Who is signed in need not do so.
            }
            assert_eq!(reply.status, 200, "{at}: {}", reply.text);
            let page = checked(&reply);
            assert!(!page.contains(HOSTILE), "{at}");
            seen += usize::from(page.contains(escaped));
        }
    }
    assert!(
        seen > 20,
        "the text was on {seen} pages only, so this proves little"
    );
}

#[tokio::test]
async fn personal_pages_are_kept_by_nobody_and_assets_for_good() {
    let shop = stocked().await;
    for at in own_pages() {
        assert_eq!(
            Browser::customer(&shop).get(&at).await.headers["cache-control"],
            "no-store",
            "{at}"
        );
    }
    assert_eq!(
        Browser::customer(&shop).get("/").await.headers["cache-control"],
        "no-store"
    );
    let home = Browser::stranger(&shop).get("/").await;
    assert_eq!(home.headers["cache-control"], "private, no-cache");
    let policy = home.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("script-src 'self';") && !policy.contains("unsafe"),
        "{policy}"
    );

    let assets = home.text.split('"').filter(|text| text.starts_with("/assets/"));
    let assets: Vec<&str> = assets.map(|text| text.split('#').next().unwrap()).collect();
    assert!(assets.len() > 3);
    for asset in assets {
        let reply = shop.guest().get(asset).await;
        assert_eq!(reply.status, 200, "{asset}");
        assert_eq!(
            reply.headers["cache-control"],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    }
    shop.guest()
        .get("/assets/shop.0000000000000000.css")
        .await
        .expect_problem(404, "not-found");
}

#[tokio::test]
async fn who_is_not_signed_in_is_asked_to_and_comes_back() {
    let shop = stocked().await;
    for at in own_pages().into_iter().chain(admin_pages()) {
        if at == "/sign-out" {
            continue;
        }
        let reply = Browser::stranger(&shop).get(&at).await;
        let next = form_urlencoded::Serializer::new(String::new())
            .append_pair("next", &at)
            .finish();
        assert_eq!(
            (reply.status, reply.headers["location"].to_str().unwrap()),
            (303, &*format!("/sign-in?{next}"))
        );
        // The API's way stays the API's.
        shop.guest()
            .get(&at)
            .await
            .expect_problem(401, "sign-in-required");
    }
    for at in admin_pages() {
        let page = Browser::customer(&shop).page(&at, 403).await;
        assert!(page.contains("For administrators only"));
    }
}

#[tokio::test]
async fn errors_are_pages_for_browsers_and_problems_for_programs() {
    let shop = stocked().await;
    let browser = Browser::stranger(&shop);
    for at in ["/nothing", "/products/x", "/orders/%2e%2e%00", "/assets/x.css"] {
        assert!(
            browser.page(at, 404).await.contains("We cannot find that page"),
            "{at}"
        );
    }
    shop.guest()
        .get("/nothing")
        .await
        .expect_problem(404, "not-found");
    browser.get("/api/nothing").await.expect_problem(404, "not-found");
    let wrong_way = browser.post("/search", &[]).await;
    assert_eq!(wrong_way.status, 405);
    checked(&wrong_way);
    let large = browser.post("/sign-in", &[("email", &"x".repeat(70_000))]).await;
    assert_eq!(large.status, 413);
    checked(&large);
    // Another site's form changes nothing.
    for at in [
        "/cart/items",
        "/sign-in",
        "/sign-out",
        "/checkout",
        "/account/profile",
    ] {
        let reply = Browser::customer(&shop)
            .post_from(at, &[("product_id", &id(1).to_string())], "cross-site")
            .await;
        assert_eq!(reply.status, 403, "{at}");
        assert!(checked(&reply).contains("nothing was changed"));
    }
    let calls = shop.orders.received_requests().await.unwrap();
    assert!(calls.is_empty(), "{calls:?}");
}

#[tokio::test]
async fn trying_again_leads_to_a_page_that_can_be_opened() {
    let shop = stocked().await;
    goes_away(&shop.carts).await;
    let browser = Browser::customer(&shop);
    let product = id(1).to_string();
    let refused = browser.post("/cart/items", &[("product_id", &product)]).await;
    assert_eq!(refused.status, 503);
    assert!(checked(&refused).contains("href=\"/cart\">Try again"));
    goes_away(&shop.orders).await;
    let at = format!("/orders/{}", id(70));
    let page = browser.page(&at, 503).await;
    assert!(page.contains(&format!("href=\"{at}\">Try again")));
}

#[tokio::test]
async fn long_words_do_not_become_headings() {
    let shop = stocked().await;
    let long = "é".repeat(10_000);
    for name in ["q", "brand", "category"] {
        let page = Browser::stranger(&shop)
            .page(&format!("/search?{name}={long}"), 200)
            .await;
        let (_, heading) = page.split_once("<h1>").unwrap();
        let heading = heading.split_once("</h1>").unwrap().0;
        assert!(heading.chars().count() < 100, "{name}");
    }
}

#[tokio::test]
async fn administrators_see_what_is_missing_of_the_cross_service_list() {
    for part in ["users", "catalog"] {
        let shop = stocked().await;
        goes_away(if part == "users" {
            &shop.users
        } else {
            &shop.catalog
        })
        .await;
        let page = Browser::admin(&shop).page("/admin/orders", 200).await;
        assert!(page.contains("what it adds is missing below"), "{part}");
        assert_eq!(page.contains("@example.com"), part != "users");
    }
    let shop = stocked().await;
    let page = Browser::admin(&shop).page("/admin/orders", 200).await;
    assert!(page.contains("@example.com") && page.contains("2 × name then"));
}
