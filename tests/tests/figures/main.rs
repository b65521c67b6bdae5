//! The figures of the business and of the machinery, through the public administration's API: they equal the orders, each
//! visitor counts once, a missing analytics service costs activities and nothing else, consumers can be paused and watched.
#![allow(clippy::unwrap_used)]

mod machinery;
mod visits;

use std::collections::BTreeMap;
use std::time::Duration;

use emporium_test_kit::eventually;
use emporium_tests::customer::text;
use emporium_tests::ends::ends_on;
use emporium_tests::{Admin, Customer, Options, ShopProcess, gift_shop};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");
/// What happened is in the figures within this, on a busy machine too.
const FOLLOWS_S: u64 = 20;
/// Longest that a page of the shop may take while analytics is away.
const PAGE_MAX: Duration = Duration::from_secs(4);

/// What orders come to on a day: how many, and their sum.
type Days = BTreeMap<String, (i64, i64)>;

async fn get(admin: &Admin, path: &str) -> Value {
    admin.api.get(path).await.expect(200)
}

async fn revenue(admin: &Admin, query: &str) -> Value {
    get(admin, &format!("/api/admin/analytics/revenue?{query}")).await
}

/// Confirmed orders by the day they were placed on, as the public API lists them, and what of them was given back.
async fn by_orders(admin: &Admin) -> (Days, i64) {
    let (mut days, mut refunded, mut cursor) = (Days::new(), 0, String::new());
    loop {
        let page = get(
            admin,
            &format!("/api/admin/orders?status=confirmed&limit=100{cursor}"),
        )
        .await;
        for order in page["items"].as_array().unwrap() {
            let day = days
                .entry(text(&order["placed_at"])[..10].to_owned())
                .or_default();
            *day = (day.0 + 1, day.1 + order["total"]["amount"].as_i64().unwrap());
            refunded += order["refunded"]["amount"].as_i64().unwrap();
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (days, refunded),
        }
    }
}

/// The same as analytics tells it, days without orders left out.
async fn by_analytics(admin: &Admin, from: &str, to: &str) -> Days {
    let found = revenue(admin, &format!("by=day&from={from}&to={to}")).await;
    let items = found["items"].as_array().unwrap().iter();
    let day = |item: &Value| {
        let sales = (
            item["orders"].as_i64().unwrap(),
            item["gross"]["amount"].as_i64().unwrap(),
        );
        (text(&item["key"]), sales)
    };
    items.map(day).filter(|(_, sales)| *sales != (0, 0)).collect()
}

async fn buy(customer: &Customer, address: &str, product: &str, quantity: i64, token: &str) -> Value {
    customer.put(product, quantity).await;
    let order = customer.order(address, token).await;
    assert!(matches!(order.status, 201 | 202), "{}", order.text);
    order.json
}

#[tokio::test]
async fn revenue_equals_the_orders_and_their_refunds() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let admin = Admin::of(&shop).await;
    let file = gift_shop::dirty(shop.path());
    let arguments = ["import", "online-retail", file.to_str().unwrap()];
    let imported = ends_on(PROGRAM, &[], &arguments, shop.path());
    assert!(imported.status.success(), "{imported:?}");
    let product = admin.product("Teapot", 2_050, 100).await;
    let (mut live, mut units) = (0, 0);
    for (quantity, token) in [(1, "tok_ok"), (3, "tok_twice"), (2, "tok_decline"), (4, "tok_ok")] {
        let customer = Customer::sign_up(&shop).await;
        let address = customer.add_address().await;
        let order = buy(&customer, &address, &product, quantity, token).await;
        if order["status"] == "confirmed" {
            live += order["total"]["amount"].as_i64().unwrap();
            units += quantity;
        }
    }
    assert_eq!((live, units), (8 * 2_050, 8));
    let (orders, refunded) = by_orders(&admin).await;
    let (first, last) = (orders.keys().next().unwrap(), orders.keys().last().unwrap());
    assert!(orders.len() >= 2 && first == "2010-07-01", "{orders:?}");
    // The imported days and the days of now are more than three years apart: asked for apart.
    let now = orders.keys().find(|day| day.as_str() > "2011").unwrap();
    let figures = eventually("all orders are in the figures", FOLLOWS_S, async || {
        let mut days = by_analytics(&admin, first, "2010-12-31").await;
        days.append(&mut by_analytics(&admin, now, last).await);
        (days == orders).then_some(days)
    })
    .await;
    println!(
        "{} days, {} orders",
        figures.len(),
        figures.values().map(|day| day.0).sum::<i64>()
    );
    // However it is cut, it is the same sum; refunds stand on their own day.
    let (count, gross) = orders
        .range(..now.clone())
        .fold((0, 0), |sum, (_, day)| (sum.0 + day.0, sum.1 + day.1));
    for by in ["day", "week", "month", "category", "country"] {
        let cut = revenue(&admin, &format!("by={by}&from={first}&to=2010-07-31")).await;
        let total = &cut["total"];
        assert_eq!(
            (
                &total["gross"]["amount"],
                &total["refunds"]["amount"],
                &total["net"]["amount"]
            ),
            (&json!(gross), &json!(101), &json!(gross - 101)),
            "{by}"
        );
        let parts = cut["items"]
            .as_array()
            .unwrap()
            .iter()
            .chain([&cut["others"], &cut["unallocated"]]);
        let sum: i64 = parts.filter_map(|part| part["gross"]["amount"].as_i64()).sum();
        assert_eq!(sum, gross, "{by}: {cut}");
        if by != "category" {
            assert_eq!(total["orders"], count, "{by}");
        }
    }
    assert_eq!(refunded, 101, "orders say the same of what was given back");
    let day = revenue(&admin, "by=day&from=2010-07-03&to=2010-07-03").await;
    assert_eq!(day["items"][0]["refunds"]["amount"], 101, "{day}");
    let hour = get(&admin, "/api/admin/analytics/live").await;
    assert_eq!(
        (&hour["orders"], &hour["units"], &hour["gross"]["amount"]),
        (&json!(3), &json!(units), &json!(live))
    );
    let top = get(
        &admin,
        &format!("/api/admin/analytics/top-products?from={now}&to={last}"),
    )
    .await;
    assert_eq!(
        (&top["items"][0]["name"], &top["items"][0]["units"]),
        (&json!("Teapot"), &json!(units)),
        "{top}"
    );
    absurd_ranges_are_refused(&admin).await;
}

async fn absurd_ranges_are_refused(admin: &Admin) {
    for path in [
        "revenue?from=0001-01-01&to=9999-12-31",
        "revenue?from=2011-02-30",
        "revenue?from=2011-02-01&to=2011-01-01",
        "revenue?from=yesterday",
        "revenue?from=99999999999999-01-01",
        "revenue?currency=POUNDS",
        "revenue?by=sideways",
        "revenue?by=country&limit=100000",
        "top-products?limit=0",
        "funnel?from=1900-01-01&to=2100-01-01",
        "cohorts?from=1900-01-01&to=2100-01-01",
        "baskets?from=%00",
        "repeat-rate?from=2011-01-01'--",
    ] {
        let reply = admin.api.get(&format!("/api/admin/analytics/{path}")).await;
        assert!(
            matches!(reply.status, 400 | 422),
            "{path}: {} {}",
            reply.status,
            reply.text
        );
        assert_eq!(reply.content_type, "application/problem+json", "{path}");
    }
}
