//! Lists over HTTP: pages, orders, filters, and what is no list.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::Shop;
use uuid::Uuid;

#[tokio::test]
async fn lists_have_pages_orders_and_filters() {
    let shop = Shop::open().await;
    let product = Uuid::new_v4();
    let list = format!("/products/{product}/reviews");
    for rating in [3, 1, 5, 2, 4] {
        let body = json!({"author_id": Uuid::new_v4(), "rating": rating, "title": "Title", "text": "Text",
            "attributes": {"fit": {"size": rating % 2}, "pros": ["light"]}});
        shop.gateway.post(&list, &body).await.expect(201);
    }
    let ratings = async |query: &str| {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = shop
                .gateway
                .get(&format!("{list}?limit=2&{query}{cursor}"))
                .await
                .expect(200);
            let items = page["items"].as_array().unwrap();
            all.extend(items.iter().map(|item| item["rating"].as_i64().unwrap()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    };
    assert_eq!(ratings("sort=rating-high").await, [5, 4, 3, 2, 1]);
    assert_eq!(ratings("sort=rating-low").await, [1, 2, 3, 4, 5]);
    assert_eq!(
        ratings("sort=rating-high&attribute=fit.size:1&attribute=pros:light").await,
        [5, 3, 1]
    );
    assert_eq!(ratings("rating=2").await, [2]);
    assert_eq!(ratings("verified=true").await, [0_i64; 0]);
    assert_eq!(ratings("sort=new").await.len(), 5);
    let cursor = shop
        .gateway
        .get(&format!("{list}?sort=new&limit=1"))
        .await
        .expect(200);
    let cursor = cursor["next_cursor"].as_str().unwrap();
    for (query, status, code) in [
        ("sort=best".to_owned(), 400, "bad-query"),
        ("rating=6".to_owned(), 422, "invalid"),
        ("rating=five".to_owned(), 400, "bad-query"),
        ("verified=perhaps".to_owned(), 400, "bad-query"),
        ("viewer=me".to_owned(), 400, "bad-query"),
        ("limit=0".to_owned(), 422, "invalid"),
        ("limit=101".to_owned(), 422, "invalid"),
        ("cursor=AAAA".to_owned(), 400, "bad-cursor"),
        (format!("sort=helpful&cursor={cursor}"), 400, "bad-cursor"),
        ("attribute=size".to_owned(), 422, "invalid"),
        ("attribute=a%00:b".to_owned(), 422, "invalid"),
        ("attribute=a:%FF".to_owned(), 422, "invalid"),
        (format!("attribute=a.b.c.d.e.f:{}", "x".repeat(9)), 422, "invalid"),
        (format!("attribute=a:{}", "x".repeat(2_001)), 422, "invalid"),
        ("attribute=a:b&".repeat(6), 422, "invalid"),
    ] {
        let reply = shop.gateway.get(&format!("{list}?{query}")).await;
        // Bytes that are no UTF-8 are read as U+FFFD, which finds nothing.
        if query.contains("%FF") {
            assert!(reply.status < 500, "{query}: {}", reply.text);
        } else {
            reply.expect_problem(status, code);
        }
    }
    let many: Vec<String> = (0..101).map(|_| Uuid::new_v4().to_string()).collect();
    shop.gateway
        .get(&format!("/summaries?ids={}", many.join(",")))
        .await
        .expect_problem(422, "invalid");
    shop.gateway
        .get(&format!("/summaries?ids={}", many[..100].join(",")))
        .await
        .expect(200);
    shop.gateway
        .get("/summaries?ids=me")
        .await
        .expect_problem(422, "invalid");
    shop.gateway
        .get("/summaries")
        .await
        .expect_problem(400, "bad-query");
    shop.gateway.get("/summaries?ids=").await.expect(200);
    shop.gateway
        .get("/reviews")
        .await
        .expect_problem(400, "bad-query");
    shop.gateway
        .get("/reviews?state=gone")
        .await
        .expect_problem(400, "bad-query");
    shop.reviews.stop().await;
}
