//! What visitors do is told to analytics, and nobody waits for that.

use std::collections::HashSet;
use std::time::Duration;

use emporium_service_kit::Clock;
use emporium_test_kit::eventually;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::browser::{Browser, redirect, stocked};
use crate::support::*;

/// The sum of a counter's values whose labels have this text in them.
async fn counted(shop: &Shop, name: &str, label: &str) -> u64 {
    let text = shop.guest().get("/metrics").await.text;
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

const EMITTED: &str = "emporium_gateway_activities_emitted_total";
const DELIVERED: &str = "emporium_gateway_activities_delivered_total";
const DROPPED: &str = "emporium_gateway_activities_dropped_total";

/// Takes every batch.
async fn takes(analytics: &MockServer) {
    analytics.reset().await;
    let recorded = |request: &Request| {
        let sent: Value = request.body_json().unwrap();
        let received = sent["items"].as_array().unwrap().len();
        ok(
            &json!({ "received": received, "recorded": received, "repeated": 0, "out_of_time": 0, "over_limit": 0 }),
        )
    };
    Mock::given(method("POST"))
        .and(path("/activity"))
        .respond_with(recorded)
        .mount(analytics)
        .await;
}

/// Everything that was sent so far, repetitions included.
async fn sent(analytics: &MockServer) -> Vec<Value> {
    let batches = requests(analytics, "POST", "/activity").await;
    let items = batches
        .iter()
        .map(|batch| batch.body_json::<Value>().unwrap()["items"].clone());
    items
        .flat_map(|items| items.as_array().unwrap().clone())
        .collect()
}

async fn all_delivered(shop: &Shop, count: u64) {
    eventually("the activities are delivered", 10, async || {
        (counted(shop, DELIVERED, "").await == count).then_some(())
    })
    .await;
}

fn kinds(sent: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = sent.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds
}

#[tokio::test]
async fn pages_and_api_tell_the_same_things() {
    let shop = stocked().await;
    takes(&shop.analytics).await;
    let line = cart(2, &[(id(1), 3)]);
    let at = format!("/carts/user/{CUSTOMER}/items/{}", id(1));
    answers(&shop.carts, "PUT", &at, ok(&line)).await;
    answers(&shop.carts, "DELETE", &at, ok(&line)).await;
    let placed = ResponseTemplate::new(201).set_body_json(order(71, Some(CUSTOMER), &[id(1)]));
    answers(
        &shop.orders,
        "POST",
        &format!("/customers/{CUSTOMER}/orders"),
        placed,
    )
    .await;

    let browser = Browser::customer(&shop);
    browser.page(&format!("/products/{}", id(1)), 200).await;
    browser.page("/search?q=%20red%0Amug", 200).await;
    let added = browser
        .post("/cart/items", &[("product_id", &id(1).to_string())])
        .await;
    redirect(&added);
    browser.page("/checkout", 200).await;
    let api = shop.customer();
    api.get(&format!("/api/products/{}", id(1))).await.expect(200);
    api.get("/api/products?q=mug").await.expect(200);
    api.put(&format!("/api/cart/items/{}", id(1)), json!({ "quantity": 3 }))
        .await
        .expect(200);
    api.delete(&format!("/api/cart/items/{}", id(1)))
        .await
        .expect(200);
    let body = json!({ "address_id": id(50), "payment_token": "tok_ok" });
    let request = api
        .request("POST", "/api/orders")
        .header("idempotency-key", "k1")
        .json(&body);
    emporium_test_kit::Reply::read(request).await.expect(201);

    all_delivered(&shop, 9).await;
    let sent = sent(&shop.analytics).await;
    let expected = [
        "cart", "cart", "cart", "checkout", "checkout", "search", "search", "view", "view",
    ];
    assert_eq!(kinds(&sent), expected);
    let of = |kind: &str| sent.iter().filter(|one| one["kind"] == kind).collect::<Vec<_>>();
    for one in of("checkout").into_iter().chain(of("cart")) {
        assert_eq!(one["customer_id"], json!(CUSTOMER), "{one}");
    }
    let quantities: Vec<i64> = of("cart")
        .iter()
        .map(|one| one["quantity"].as_i64().unwrap())
        .collect();
    assert_eq!(
        quantities,
        [3, 3, 0],
        "two were there already, so one more makes three"
    );
    assert_eq!(of("search")[0]["query"], "red mug");
    assert_eq!(of("search")[1]["results"], 2);
    // One session is one visitor, whichever way it asks, and nobody learns its token.
    let visitors: HashSet<&str> = sent
        .iter()
        .map(|one| one["visitor_id"].as_str().unwrap())
        .collect();
    assert_eq!(visitors.len(), 1);
    for one in &sent {
        let id: uuid::Uuid = one["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
}

#[tokio::test]
async fn a_stranger_is_known_for_a_day_by_a_cookie_without_meaning() {
    let shop = stocked().await;
    takes(&shop.analytics).await;
    let at = format!("/products/{}", id(1));
    let left = || 86_400 - Clock::System.now().unix_timestamp().rem_euclid(86_400);
    let before = left();
    let reply = Browser::stranger(&shop).get(&at).await;
    let cookie = cookies(&reply)["visitor"].clone();
    assert!(cookie.contains("HttpOnly; SameSite=Lax; Max-Age="), "{cookie}");
    let age: i64 = cookie
        .rsplit('=')
        .next()
        .and_then(|age| age.parse().ok())
        .unwrap();
    assert!(
        age <= before && age >= left() - 1 || before < left(),
        "until midnight: {age}"
    );
    let value = cookie.split([';', '=']).nth(1).unwrap().to_owned();
    let again = shop
        .send("GET", &at, &[("cookie", &format!("visitor={value}"))], None)
        .await;
    assert!(!cookies(&again).contains_key("visitor"), "known already");
    all_delivered(&shop, 2).await;
    for one in sent(&shop.analytics).await {
        assert_eq!(one["visitor_id"], json!(value));
        assert!(one.get("customer_id").is_none());
    }
}

#[tokio::test]
async fn signing_out_makes_no_second_visitor() {
    let shop = stocked().await;
    takes(&shop.analytics).await;
    let at = format!("/products/{}", id(1));
    let reply = Browser::customer(&shop).get(&at).await;
    let cookie = cookies(&reply)["visitor"].clone();
    let value = cookie.split([';', '=']).nth(1).unwrap();
    shop.send("GET", &at, &[("cookie", &format!("visitor={value}"))], None)
        .await;
    all_delivered(&shop, 2).await;
    let visitors: HashSet<String> = sent(&shop.analytics)
        .await
        .iter()
        .map(|one| one["visitor_id"].to_string())
        .collect();
    assert_eq!(visitors.len(), 1);
    let api = shop.customer().get(&format!("/api{at}")).await;
    assert!(!cookies(&api).contains_key("visitor"), "no browser");
}

#[tokio::test]
async fn a_cart_s_id_is_not_told() {
    let shop = stocked().await;
    takes(&shop.analytics).await;
    let line = cart(1, &[(id(1), 1)]);
    let any = wiremock::matchers::path_regex("^/carts/anonymous/.*/items/");
    Mock::given(method("PUT"))
        .and(any)
        .respond_with(ok(&line))
        .mount(&shop.carts)
        .await;
    let at = format!("/api/cart/items/{}", id(1));
    let reply = shop.guest().put(&at, json!({ "quantity": 1 })).await;
    let cart_id = reply.headers["x-cart-id"].to_str().unwrap().to_owned();
    let header = [("x-cart-id", &*cart_id)];
    shop.send("PUT", &at, &header, Some(json!({ "quantity": 1 })))
        .await
        .expect(200);
    all_delivered(&shop, 2).await;
    let sent = sent(&shop.analytics).await;
    assert_eq!(
        sent[0]["visitor_id"], sent[1]["visitor_id"],
        "one cart is one visitor"
    );
    assert!(
        !sent[0].to_string().contains(&cart_id),
        "whoever has a cart's id has the cart"
    );
}

#[tokio::test]
async fn what_nobody_looked_at_is_not_counted() {
    let shop = stocked().await;
    takes(&shop.analytics).await;
    let at = format!("/products/{}", id(1));
    for (verb, at, header) in [
        ("HEAD", &*at, ("accept", "text/html")),
        ("GET", &at, ("user-agent", "Googlebot/2.1")),
        ("GET", &at, ("sec-purpose", "prefetch")),
        ("GET", &format!("{at}?note=added"), ("accept", "text/html")),
        ("GET", &format!("{at}?sort=new"), ("accept", "text/html")),
        ("GET", "/search", ("accept", "text/html")),
        ("GET", "/search?q=mug&cursor=c", ("accept", "text/html")),
        ("GET", "/products/nothing", ("accept", "text/html")),
    ] {
        let reply = shop.send(verb, at, &[header], None).await;
        assert!(!cookies(&reply).contains_key("visitor"), "{verb} {at}");
    }
    assert_eq!(counted(&shop, EMITTED, "").await, 0);
    let reply = shop.send("GET", &at, &[("user-agent", "Firefox")], None).await;
    assert_eq!(reply.status, 200);
    assert_eq!(counted(&shop, EMITTED, "kind=\"view\"").await, 1);
}

#[tokio::test]
async fn a_service_that_hangs_holds_no_page_up_and_what_does_not_fit_is_counted() {
    let shop = stocked_with(4).await;
    let never = ResponseTemplate::new(200).set_delay(Duration::from_mins(5));
    answers(&shop.analytics, "POST", "/activity", never).await;
    let at = format!("/api/products/{}", id(1));
    // The first batch is under way and hangs; four more wait; the rest is dropped, while every answer comes.
    shop.guest().get(&at).await.expect(200);
    eventually("a batch is under way", 10, async || {
        (!requests(&shop.analytics, "POST", "/activity").await.is_empty()).then_some(())
    })
    .await;
    for _ in 0..20 {
        shop.guest().get(&at).await.expect(200);
    }
    assert_eq!(counted(&shop, EMITTED, "").await, 21);
    assert_eq!(counted(&shop, DROPPED, "reason=\"queue-full\"").await, 16);
    assert_eq!(counted(&shop, "emporium_gateway_activities_waiting", "").await, 5);
    // It comes back: what was kept is delivered, the hanging batch under the ids that it had.
    let first = sent(&shop.analytics).await;
    takes(&shop.analytics).await;
    all_delivered(&shop, 5).await;
    let second = sent(&shop.analytics).await;
    assert_eq!(second.len(), 5);
    assert_eq!(first[0], second[0], "the same id, so that it counts once");
    shop.guest().get(&at).await.expect(200);
    all_delivered(&shop, 6).await;
    assert_eq!(counted(&shop, DROPPED, "").await, 16);
}

#[tokio::test]
async fn what_is_refused_is_dropped_and_the_next_goes_on() {
    let shop = stocked().await;
    answers(&shop.analytics, "POST", "/activity", problem(422, "invalid")).await;
    let at = format!("/api/products/{}", id(1));
    shop.guest().get(&at).await.expect(200);
    eventually("the batch is dropped", 10, async || {
        (counted(&shop, DROPPED, "reason=\"refused\"").await == 1).then_some(())
    })
    .await;
    takes(&shop.analytics).await;
    shop.guest().get(&at).await.expect(200);
    all_delivered(&shop, 1).await;
}

#[tokio::test]
async fn batches_are_within_bounds() {
    let shop = stocked().await;
    takes(&shop.analytics).await;
    let long = "\u{1F375}".repeat(200);
    let at = format!("/api/products?q={long}");
    for _ in 0..300 {
        shop.guest().get(&at).await.expect(200);
    }
    all_delivered(&shop, 300).await;
    for batch in requests(&shop.analytics, "POST", "/activity").await {
        assert!(batch.body.len() <= 256 * 1024, "{}", batch.body.len());
        assert!(
            batch.body_json::<Value>().unwrap()["items"]
                .as_array()
                .unwrap()
                .len()
                <= 500
        );
    }
}

#[tokio::test]
async fn what_waits_is_sent_before_the_end() {
    let shop = stocked().await;
    goes_away(&shop.analytics).await;
    let at = format!("/api/products/{}", id(1));
    for _ in 0..3 {
        shop.guest().get(&at).await.expect(200);
    }
    eventually("a delivery has failed", 10, async || {
        (!requests(&shop.analytics, "POST", "/activity").await.is_empty()).then_some(())
    })
    .await;
    takes(&shop.analytics).await;
    let stopped = shop.stop().await;
    let ids: HashSet<String> = sent(&stopped.analytics)
        .await
        .iter()
        .map(|one| one["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn an_end_without_analytics_is_bounded() {
    let shop = stocked().await;
    goes_away(&shop.analytics).await;
    shop.guest()
        .get(&format!("/api/products/{}", id(1)))
        .await
        .expect(200);
    let stop = tokio::time::timeout(Duration::from_secs(6), shop.stop());
    stop.await.expect("the gateway stops");
}

/// Services with goods, and a gateway in which so many activities wait at most.
async fn stocked_with(queue: u32) -> Shop {
    let shop = Shop::open_with(None, queue).await;
    answers(
        &shop.catalog,
        "GET",
        &format!("/products/{}", id(1)),
        ok(&product(id(1), "Mug", 250, 5)),
    )
    .await;
    shop
}
