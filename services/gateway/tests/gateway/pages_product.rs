//! A product's page: what stands on it but once, and the ways that lead to its reviews and on from them.

use serde_json::{Value, json};

use crate::browser::{Browser, all, products};
use crate::pages_reviews::{product_at, reviewed};
use crate::reviews::{page_of, review, summary};
use crate::support::*;

/// What is on a shelf stands there with its reason; below it is something else.
#[tokio::test]
async fn more_like_this_is_what_no_shelf_has() {
    let shop = reviewed().await;
    let alike: Vec<Value> = [(1, "Mug"), (3, "Tea pot"), (4, "Tray"), (5, "Spoon")]
        .into_iter()
        .chain([(6, "Jug"), (7, "Bowl"), (8, "Dish"), (9, "Ladle")])
        .map(|(number, name)| product(id(number), name, 300, 5))
        .collect();
    answers(&shop.catalog, "GET", "/products", ok(&products(&alike))).await;
    let page = Browser::customer(&shop).page(&product_at(), 200).await;
    for number in 3..=8 {
        let links = page
            .matches(&format!("href=\"/products/{}\"", id(number)))
            .count();
        assert_eq!(links, 1, "{number}");
    }
    let (_, below) = page.split_once("id=\"related\"").unwrap();
    assert_eq!(below.matches("<li class=\"card\"").count(), 4, "{below}");
    assert!(below.contains("Spoon") && !below.contains("Tea pot") && !below.contains("Ladle"));
}

/// A filter may find nothing among the many that a page looks at, and go on.
#[tokio::test]
async fn a_page_that_found_nothing_leads_on() {
    let shop = reviewed().await;
    let at = format!("{}/reviews", product_at());
    shop.reviews.reset().await;
    answers(&shop.reviews, "GET", &at, ok(&page_of(&[]))).await;
    answers(&shop.reviews, "GET", "/summaries", ok(&summary())).await;
    let browser = Browser::customer(&shop);
    let page = browser.page(&format!("{}?verified=1", product_at()), 200).await;
    assert!(page.contains("id=\"looked\"") && page.contains("Look through more"));
    assert!(page.contains("verified=1&#38;cursor=c#reviews") && !page.contains("No review fits."));
    shop.reviews.reset().await;
    let end = json!({ "items": [], "next_cursor": null, "as_of": AT });
    answers(&shop.reviews, "GET", &at, ok(&end)).await;
    answers(&shop.reviews, "GET", "/summaries", ok(&summary())).await;
    let page = browser
        .page(&format!("{}?verified=1&cursor=c", product_at()), 200)
        .await;
    assert!(page.contains("No review fits.") && !page.contains("Look through more"));
}

/// Whoever has bought something finds the way to reviewing it, whatever the reviews service does.
#[tokio::test]
async fn an_order_leads_to_reviewing_what_was_bought() {
    let shop = reviewed().await;
    all(&shop.payments, "GET", "^/charges/", problem(404, "not-found")).await;
    let at = format!("/orders/{}", id(70));
    let anchor = |number| format!("href=\"/products/{}#your-review\"", id(number));
    for (status, links) in [("confirmed", 1), ("pending", 0), ("cancelled", 0)] {
        let mut order = order(70, Some(CUSTOMER), &[id(1), id(3)]);
        order["status"] = status.into();
        shop.orders.reset().await;
        all(&shop.orders, "GET", "/orders/.+", ok(&order)).await;
        let page = Browser::customer(&shop).page(&at, 200).await;
        for number in [1, 3] {
            assert_eq!(page.matches(&anchor(number)).count(), links, "{status}");
        }
    }
    // The anchor is there for each reader: the form, the way to it, the own review, or why there is none.
    let is_there = async |browser: Browser<'_>, inside: &str| {
        let page = browser.page(&product_at(), 200).await;
        assert_eq!(page.matches("id=\"your-review\"").count(), 1, "{inside}");
        let (_, after) = page.split_once("id=\"your-review\"").unwrap();
        assert!(after.contains(inside), "{inside}");
    };
    is_there(Browser::customer(&shop), "id=\"review-form\"").await;
    is_there(Browser::stranger(&shop), "Sign in to write a review").await;
    shop.reviews.reset().await;
    all(&shop.reviews, "GET", "/by/", ok(&review(82, CUSTOMER))).await;
    let list = ok(&page_of(&[]));
    answers(&shop.reviews, "GET", &format!("{}/reviews", product_at()), list).await;
    is_there(Browser::customer(&shop), "Change your review").await;
    goes_away(&shop.reviews).await;
    is_there(Browser::customer(&shop), "keeps reviews does not answer").await;
}
