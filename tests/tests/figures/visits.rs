//! What visitors do, and what becomes of it while analytics is away.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use emporium_test_kit::{Caller, Reply, eventually};
use emporium_tests::{Admin, Customer, DatabaseAway, Options, ShopProcess};
use serde_json::json;

use crate::{FOLLOWS_S, PAGE_MAX, PROGRAM, buy, by_orders, get};

/// Somebody with a browser that keeps cookies.
struct Visitor {
    caller: Caller,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl Visitor {
    fn of(shop: &ShopProcess) -> Self {
        Self {
            caller: shop.visitor(),
            cookies: RefCell::default(),
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let cookies = self
            .cookies
            .borrow()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>();
        let reply = Reply::read(request.header("cookie", cookies.join("; "))).await;
        for line in reply.headers.get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies
                .borrow_mut()
                .insert(name.to_owned(), value.to_owned());
        }
        reply
    }

    async fn sees(&self, path: &str) {
        let reply = self.send(self.caller.request("GET", path)).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }

    /// Sends a form; gives where its answer leads.
    async fn submits(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let mut url = reqwest::Url::parse("http://form.example").unwrap();
        url.query_pairs_mut().extend_pairs(fields);
        let request = self
            .caller
            .request("POST", path)
            .header("content-type", "application/x-www-form-urlencoded");
        let reply = self.send(request.body(url.query().unwrap().to_owned())).await;
        assert_eq!(reply.status, 303, "{path}: {}", reply.text);
        reply.headers["location"].to_str().unwrap().to_owned()
    }
}

/// A sum of one of the gateway's metrics, of the lines that hold this.
async fn metric(shop: &ShopProcess, name: &str, with: &str) -> f64 {
    let reply = shop.visitor().get("/metrics").await;
    assert_eq!(reply.status, 200);
    let lines = reply
        .text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(with));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// Waits until everything that the gateway told of is delivered or dropped; gives both.
async fn at_rest(shop: &ShopProcess) -> (f64, f64) {
    eventually("no activity waits", FOLLOWS_S, async || {
        let emitted = metric(shop, "emporium_gateway_activities_emitted_total", "").await;
        let delivered = metric(shop, "emporium_gateway_activities_delivered_total", "").await;
        let dropped = metric(shop, "emporium_gateway_activities_dropped_total", "").await;
        let waiting = metric(shop, "emporium_gateway_activities_waiting", "").await;
        #[allow(clippy::float_cmp)] // whole numbers
        (emitted == delivered + dropped && waiting == 0.0).then_some((delivered, dropped))
    })
    .await
}

#[tokio::test]
async fn each_visitor_counts_once_at_the_furthest_stage() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let admin = Admin::of(&shop).await;
    let (mug, cup) = (
        admin.product("Mug", 500, 50).await,
        admin.product("Cup", 600, 50).await,
    );
    let customer = Customer::sign_up(&shop).await;
    let funnel = async || get(&admin, "/api/admin/analytics/funnel").await["total"].clone();
    let stages = |visitors: i64, viewed: i64, carted: i64, began: i64, paid: i64| json!({ "visitors": visitors, "viewed": viewed, "carted": carted, "began_checkout": began, "paid": paid });
    assert_eq!(
        funnel().await,
        stages(0, 0, 0, 0, 0),
        "an administrator's work and an account are no visit"
    );
    // Everything that one visitor does, most of it more than once, to the end.
    let ada = Visitor::of(&shop);
    for path in [
        format!("/products/{mug}"),
        format!("/products/{cup}"),
        format!("/products/{mug}"),
        "/search?q=mug".to_owned(),
        "/".to_owned(),
    ] {
        ada.sees(&path).await;
    }
    for quantity in ["1", "2"] {
        ada.submits("/cart/items", &[("product_id", &mug), ("quantity", quantity)])
            .await;
    }
    ada.submits(
        "/sign-in",
        &[("email", &customer.email), ("password", "correct horse battery")],
    )
    .await;
    let address = customer.add_address().await;
    for _ in 0..2 {
        ada.sees("/checkout").await;
    }
    let form = [
        ("address_id", &*address),
        ("billing_same", "1"),
        ("payment_token", "tok_ok"),
        ("idempotency_key", "9dabc0a7-e87d-438f-9ab1-2c446b94e487"),
        ("expected_amount", "1500"),
        ("expected_currency", "GBP"),
    ];
    let order = ada.submits("/checkout", &form).await;
    assert!(order.starts_with("/orders/"), "{order}");
    // One who puts something into the basket, one who looks, one who only searches.
    let bob = Visitor::of(&shop);
    bob.sees(&format!("/products/{cup}")).await;
    bob.submits("/cart/items", &[("product_id", &cup), ("quantity", "1")])
        .await;
    let cyd = Visitor::of(&shop);
    for _ in 0..5 {
        cyd.sees(&format!("/products/{cup}")).await;
    }
    Visitor::of(&shop)
        .sees("/search?q=something+that+nobody+has")
        .await;
    // Who is nobody: a crawler, what a browser fetches ahead, a look at the headers only.
    for (method, header, value) in [
        ("GET", "user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1)"),
        ("GET", "sec-purpose", "prefetch"),
        ("HEAD", "accept", "text/html"),
    ] {
        let request = shop
            .visitor()
            .request(method, &format!("/products/{mug}"))
            .header(header, value);
        assert_eq!(Reply::read(request).await.status, 200);
    }
    let (delivered, dropped) = at_rest(&shop).await;
    println!("{delivered} activities were delivered");
    assert!(dropped.abs() < 0.5, "{dropped} were dropped");
    let wanted = stages(4, 3, 2, 1, 1);
    eventually("the payment arrives", FOLLOWS_S, async || {
        (funnel().await["paid"] == 1).then_some(())
    })
    .await;
    assert_eq!(funnel().await, wanted);
    let page = admin.api.get("/admin/business").await;
    assert!(
        page.status == 200 && page.text.contains("From visit to payment"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn without_analytics_pages_go_on_and_no_order_is_lost() {
    const QUEUE: &str = "25";
    let shop = ShopProcess::start(
        PROGRAM,
        &Options::default().on("EMPORIUM_GATEWAY_ACTIVITY_QUEUE", QUEUE),
    )
    .await;
    let admin = Admin::of(&shop).await;
    let product = admin.product("Mug", 500, 1_000).await;
    let customer = Customer::sign_up(&shop).await;
    let address = customer.add_address().await;
    let placed = async || buy(&customer, &address, &product, 1, "tok_ok").await;
    let total = async || {
        let reply = admin.api.get("/api/admin/analytics/revenue?by=month").await;
        (reply.status == 200).then(|| reply.json["total"]["gross"]["amount"].as_i64().unwrap())
    };
    placed().await;
    eventually("the first order is counted", FOLLOWS_S, async || {
        (total().await == Some(500)).then_some(())
    })
    .await;
    let away = DatabaseAway::of(&shop, "analytics").await;
    let path = format!("/products/{product}");
    let (mut slowest, mut views) = (Duration::ZERO, 0);
    while metric(&shop, "emporium_gateway_activities_dropped_total", "queue-full").await < 10.0 {
        assert!(views < 5_000, "nothing was ever dropped");
        let began = Instant::now();
        assert_eq!(shop.visitor().get(&path).await.status, 200);
        (slowest, views) = (slowest.max(began.elapsed()), views + 1);
    }
    println!("{views} views, slowest {slowest:.1?}");
    assert!(slowest < PAGE_MAX, "{slowest:?}");
    assert!(
        metric(&shop, "emporium_gateway_activities_waiting", "").await > 0.0,
        "the oldest ones wait"
    );
    for _ in 0..4 {
        assert_eq!(placed().await["status"], "confirmed");
    }
    let reply = admin.api.get("/api/admin/analytics/revenue").await;
    assert_eq!(
        (reply.status, &*reply.content_type),
        (503, "application/problem+json"),
        "{}",
        reply.text
    );
    for path in [
        "/admin/business",
        "/admin",
        "/admin/projections",
        "/admin/operations",
    ] {
        let began = Instant::now();
        let page = admin.api.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(
            began.elapsed() < 2 * PAGE_MAX,
            "{path} took {:?}",
            began.elapsed()
        );
        let says = page.text.contains("notice warning")
            || page.text.contains("does not answer")
            || page.text.contains("failing");
        assert!(
            says || path == "/admin/operations",
            "{path} says what is missing: {}",
            page.text
        );
    }
    let list = get(&admin, "/api/admin/projections").await;
    assert!(
        list["degraded"].as_array().unwrap().contains(&json!("analytics")),
        "{list}"
    );
    assert!(
        list["items"].as_array().unwrap().len() >= 5,
        "it hides nobody else's: {list}"
    );
    away.back().await;
    eventually("every order is counted", 2 * FOLLOWS_S, async || {
        (total().await == Some(2_500)).then_some(())
    })
    .await;
    let (delivered, dropped) = at_rest(&shop).await;
    println!("{delivered} delivered, {dropped} dropped");
    assert!(dropped >= 10.0 && delivered >= 25.0);
    // Each order once, also a moment later: the next one is the only one more.
    placed().await;
    eventually("the next one too", FOLLOWS_S, async || {
        (total().await >= Some(3_000)).then_some(())
    })
    .await;
    assert_eq!(total().await, Some(3_000));
    assert_eq!(
        get(&admin, "/api/admin/dead-letters/analytics").await["items"],
        json!([]),
        "nobody blames the events"
    );
    let (days, _) = by_orders(&admin).await;
    assert_eq!(days.values().map(|day| day.1).sum::<i64>(), 3_000);
}
