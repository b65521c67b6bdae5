//! Administrators' pages made of figures and metrics: what is drawn, and what is said of what is missing.

use serde_json::{Value, json};

use crate::admin_reports::{best_sellers, money, sales};
use crate::browser::{Browser, HOSTILE};
use crate::support::*;

fn revenue(keys: &[Option<&str>]) -> Value {
    let items: Vec<Value> = keys.iter().map(|key| sales(*key, 2, 1_000_000, 50_000)).collect();
    json!({ "items": items, "others": sales(Some("x"), 1, 5, 0), "unallocated": sales(None, 1, 7, 0),
        "total": sales(None, 4, 2_000_000, 100_000), "as_of": AT })
}

/// Analytics with two years of sales.
async fn analytics(shop: &Shop) {
    let stages = json!({ "visitors": 1000, "viewed": 500, "carted": 100, "began_checkout": 50, "paid": 25 });
    let minute = json!({ "minute": AT, "orders": 1, "units": 2, "gross": money(300) });
    let retained = |months: i32, share: f64| json!({ "months": months, "customers": 5, "share": share });
    for (at, answer) in [
        (
            "/revenue",
            revenue(&[Some("2009-12-01"), Some("2010-01-01"), None]),
        ),
        ("/top-products", best_sellers(&[id(1)])),
        ("/funnel", json!({ "items": [], "total": stages, "as_of": AT })),
        (
            "/cohorts",
            json!({ "as_of": AT, "items": [{ "month": "2009-12-01", "customers": 955, "bought_again": 700,
            "share_again": 0.733, "retained": [retained(0, 1.0), retained(1, 0.35), retained(3, 0.5)] }] }),
        ),
        (
            "/baskets",
            json!({ "orders": 10, "mean_lines": 21.5, "mean_units": 250.0, "mean_value": money(48_000),
            "by_lines": [{ "from": 0, "to": 0, "orders": 1 }, { "from": 1, "to": 1, "orders": 3 }, { "from": 2, "to": 2, "orders": 0 }, { "from": 3, "to": null, "orders": 6 }], "by_units": [], "as_of": AT }),
        ),
        (
            "/repeat-rate",
            json!({ "customers": 100, "orders": 300, "guest_orders": 5, "repeat_customers": 72, "repeat_rate": 0.72,
            "returning_customers": 3, "returning_rate": 0.03, "as_of": AT }),
        ),
        (
            "/live",
            json!({ "items": [minute, minute], "orders": 2, "units": 4, "gross": money(600), "as_of": AT }),
        ),
    ] {
        answers(&shop.analytics, "GET", at, ok(&answer)).await;
    }
    answers(
        &shop.catalog,
        "POST",
        "/products/batch",
        ok(&json!({ "items": [product(id(1), HOSTILE, 1, 1)] })),
    )
    .await;
}

fn board(name: &str) -> Value {
    let line =
        |service: &str, values: &[Option<f64>]| json!({ "labels": { "service": service }, "values": values });
    let many: Vec<Value> = (0..12)
        .map(|n| line(&format!("service-{n}"), &[Some(f64::from(n)), None, Some(1.0)]))
        .collect();
    json!({ "name": name, "title": name, "from": AT, "to": "2026-03-01T12:03:00Z", "step_s": 60, "panels": [
        { "name": "request_rate", "title": format!("Requests of {name}"), "unit": "per second", "known": true, "items": many },
        { "name": "lonely", "title": "One", "unit": "seconds", "known": true, "items": [line(HOSTILE, &[None, Some(0.002), None])] },
        { "name": "nothing", "title": "Nothing", "unit": "share", "known": true, "items": [] },
        { "name": "untold", "title": "Untold", "unit": "share", "known": false, "items": [] },
    ] })
}

#[tokio::test]
async fn the_business_page_draws_what_analytics_tells() {
    let shop = Shop::open().await;
    analytics(&shop).await;
    let admin = Browser::admin(&shop);
    let page = admin
        .page("/admin/business?from=2009-12-01&to=2010-01-31&by=month", 200)
        .await;
    for text in [
        "£19,000.00",
        "£20,000.00",
        "£1,000.00",
        "December 2009",
        "£10k",
        "class=\"s2\"",
        "as of",
        "21.5",
        "72 %",
        "73 %",
        "35 %",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(
        page.contains("&#60;/title&#62;") && page.contains("1,234"),
        "the product's name and units"
    );
    assert!(
        page.contains(">2.5 %<") && page.contains(">50 %<"),
        "of all, and of the stage before"
    );
    assert!(page.contains("Postage, discounts, fees") && page.contains("All others"));
    assert!(
        page.contains("Charges only") && page.contains("3 lines and more") && !page.contains("2 lines"),
        "sizes that orders had, and no others"
    );
    let asked = requests(&shop.analytics, "GET", "/revenue").await;
    let ranges = asked.iter().filter_map(|request| request.url.query());
    assert!(
        ranges
            .clone()
            .any(|query| query.starts_with("from=2009-12-01&to=2010-01-31&by=month"))
    );
    // What is drawn is also told, and stands in a table.
    assert!(page.contains("<desc id=\"revenue-d\">From December 2009 to "));
    assert!(page.contains(
        "<th scope=\"row\">January 2010</th><td class=\"num\">£10,000.00</td><td class=\"num\">−£500.00</td>"
    ));
}

#[tokio::test]
async fn ranges_nobody_can_be_shown_are_told_and_cost_no_more() {
    let shop = Shop::open().await;
    analytics(&shop).await;
    let admin = Browser::admin(&shop);
    for query in [
        "from=0001-01-01&to=9999-12-31",
        "from=x",
        "from=2011-01-01&to=2010-01-01",
        "from=1970-01-01&to=2099-12-31",
        "to=%00x",
    ] {
        let page = admin.page(&format!("/admin/business?{query}"), 422).await;
        assert!(page.contains("That range cannot be shown"), "{query}");
    }
    let page = admin
        .page(
            "/admin/business?from=2017-01-01&to=2026-12-31&by=day&limit=9999",
            200,
        )
        .await;
    assert!(page.contains("last three years") && page.contains("Revenue by week"));
    let all = shop.analytics.received_requests().await.unwrap();
    for request in all.iter().filter(|request| request.url.path() == "/revenue") {
        let pairs: std::collections::HashMap<_, _> = request.url.query_pairs().into_owned().collect();
        let day = |name: &str| {
            let form = time::macros::format_description!("[year]-[month]-[day]");
            time::Date::parse(&pairs[name], form).unwrap()
        };
        let days = (day("to") - day("from")).whole_days();
        let max = if pairs["by"] == "day" { 1_100 } else { 3_660 };
        assert!((0..max).contains(&days), "{pairs:?}");
    }
}

#[tokio::test]
async fn without_analytics_each_part_says_so() {
    let shop = Shop::open().await;
    goes_away(&shop.analytics).await;
    let admin = Browser::admin(&shop);
    let page = admin.page("/admin/business", 200).await;
    assert_eq!(
        page.matches("makes its figures does not answer just now").count(),
        9,
        "{page}"
    );
    assert!(page.contains("id=\"range\""));
    let page = admin.page("/admin", 200).await;
    assert!(page.contains("makes its figures does not answer") && page.contains("analytics: down"));
    assert!(page.contains("of 10 are up"));
}

#[tokio::test]
async fn one_part_that_is_refused_leaves_the_others() {
    let shop = Shop::open().await;
    answers(&shop.analytics, "GET", "/baskets", problem(422, "sums-too-large")).await;
    analytics(&shop).await;
    let page = Browser::admin(&shop).page("/admin/business", 200).await;
    assert_eq!(page.matches("This cannot be shown: d").count(), 1);
    assert!(page.contains("id=\"funnel\""));
}

#[tokio::test]
async fn the_operations_page_draws_monitoring_s_boards() {
    let shop = Shop::open().await;
    for name in ["services", "stores", "consumers", "sagas", "pools"] {
        answers(
            &shop.monitoring,
            "GET",
            &format!("/boards/{name}"),
            ok(&board(name)),
        )
        .await;
    }
    let admin = Browser::admin(&shop);
    let page = admin.page("/admin/operations?span=7d", 200).await;
    assert!(page.contains("Requests of stores") && page.contains("No service tells of this yet."));
    assert!(
        page.contains("4 more in the figures below"),
        "eight lines can be told from each other"
    );
    assert!(page.contains("service-11") && page.contains("<th scope=\"row\">service-0</th>"));
    assert!(page.contains("<circle"), "a point without neighbours is seen");
    assert!(page.contains("2 ms") && page.contains("Nothing is known of this time."));
    // The board that nobody answered for.
    assert_eq!(page.matches("watches over the others").count(), 1);
    let asked = &requests(&shop.monitoring, "GET", "/boards/services").await[0];
    let pairs: std::collections::HashMap<_, _> = asked.url.query_pairs().into_owned().collect();
    let at = |name: &str| {
        time::OffsetDateTime::parse(&pairs[name], &time::format_description::well_known::Rfc3339).unwrap()
    };
    assert_eq!(at("to") - at("from"), time::Duration::WEEK);

    goes_away(&shop.monitoring).await;
    let page = admin.page("/admin/operations?span=%3Cscript%3E", 200).await;
    assert_eq!(page.matches("watches over the others").count(), 6);
}

/// A shop that is minutes old fills its drawings with these minutes.
#[tokio::test]
async fn drawings_begin_where_something_is_known() {
    let shop = Shop::open().await;
    for name in ["services", "stores", "consumers", "sagas", "pools", "events"] {
        let mut young = board(name);
        let panels = young["panels"].as_array_mut().unwrap();
        for line in panels
            .iter_mut()
            .flat_map(|panel| panel["items"].as_array_mut().unwrap())
        {
            let values = line["values"].as_array_mut().unwrap();
            values.splice(0..0, vec![Value::Null; 57]);
        }
        young["from"] = "2026-03-01T11:03:00Z".into();
        answers(&shop.monitoring, "GET", &format!("/boards/{name}"), ok(&young)).await;
    }
    let page = Browser::admin(&shop).page("/admin/operations", 200).await;
    assert!(
        page.contains("id=\"since\"") && page.contains("datetime=\"2026-03-01T12:00:00Z\""),
        "where they begin is said"
    );
    assert!(
        page.contains("From 12:00 to 12:02."),
        "three of sixty minutes are drawn"
    );
    let (_, drawings) = page.split_once("id=\"board-services\"").unwrap();
    assert!(
        !drawings.contains(">11:") && !drawings.contains("From 11:"),
        "nothing of the hour before is"
    );
}

#[tokio::test]
async fn none_of_it_is_for_customers() {
    let shop = Shop::open().await;
    let pages = [
        "/admin",
        "/admin/business",
        "/admin/operations",
        "/admin/projections",
        "/admin/projections/orders",
        "/admin/dead-letters",
    ];
    for at in pages {
        assert_eq!(Browser::customer(&shop).get(at).await.status, 403, "{at}");
        assert_eq!(Browser::stranger(&shop).get(at).await.status, 303, "{at}");
    }
    for at in [
        "/admin/projections/orders/pause",
        "/admin/projections/orders/resume",
        "/admin/projections/orders/rebuild",
        "/admin/dead-letters/orders/replay",
        "/admin/dead-letters/orders/1/replay",
    ] {
        assert_eq!(Browser::customer(&shop).post(at, &[]).await.status, 403, "{at}");
        assert_eq!(
            Browser::admin(&shop)
                .post_from(at, &[], "cross-site")
                .await
                .status,
            403,
            "{at}"
        );
    }
    for server in [&shop.orders, &shop.analytics, &shop.monitoring] {
        assert!(
            server.received_requests().await.unwrap().is_empty(),
            "nobody was asked for them"
        );
    }
}
