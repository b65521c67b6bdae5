//! Looking around.

use serde_json::{Value, json};

use crate::support::*;

fn list() -> Value {
    json!({
        "items": [product(id(1), "Mug", 250, 5)],
        "facets": { "category": [{ "value": "things", "name": "Things", "count": 1 }],
            "brand": [{ "value": "Acme", "count": 1 }], "price": [{ "from": null, "to": 1000, "count": 1 }] },
        "total": 1, "total_is_lower_bound": false, "next_cursor": "next", "degraded": ["suggestions"], "corrected_query": "mug",
    })
}

#[tokio::test]
async fn a_search_passes_its_filters_on_and_its_answer_back() {
    let shop = Shop::open().await;
    answers(&shop.catalog, "GET", "/products", ok(&list())).await;
    let at = "/api/products?q=mgu&category=things&brand=Acme&price_min=1&price_max=500&in_stock=true\
        &attr=colour%3Ablue&attr=size%3A3&sort=price_asc&cursor=c&limit=7&utm_source=elsewhere";
    let shown = shop.guest().get(at).await.expect(200);
    for field in [
        "items",
        "facets",
        "total",
        "next_cursor",
        "degraded",
        "corrected_query",
    ] {
        assert!(shown.get(field).is_some(), "{field}");
    }
    assert_eq!(shown["degraded"], json!(["suggestions"]));
    assert_eq!(
        shown["items"][0]["price"],
        json!({ "amount": 250, "currency": "GBP" })
    );
    assert!(shown["items"][0].get("later_field").is_none());
    let asked = &requests(&shop.catalog, "GET", "/products").await[0];
    let query: Vec<(String, String)> = asked.url.query_pairs().into_owned().collect();
    let expected = [
        ("q", "mgu"),
        ("category", "things"),
        ("brand", "Acme"),
        ("price_min", "1"),
        ("price_max", "500"),
        ("in_stock", "true"),
        ("sort", "price_asc"),
        ("cursor", "c"),
        ("limit", "7"),
        ("attr", "colour:blue"),
        ("attr", "size:3"),
    ];
    assert_eq!(
        query,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[tokio::test]
async fn blank_parameters_are_absent() {
    let shop = Shop::open().await;
    answers(&shop.catalog, "GET", "/products", ok(&list())).await;
    let at = "/api/products?q=&category=&brand=+&price_min=&price_max=&sort=&cursor=&limit=&attr=&in_stock=";
    shop.guest().get(at).await.expect(200);
    assert_eq!(
        requests(&shop.catalog, "GET", "/products").await[0]
            .url
            .query()
            .unwrap_or(""),
        ""
    );
}

#[tokio::test]
async fn one_product_suggestions_and_categories() {
    let shop = Shop::open().await;
    answers(
        &shop.catalog,
        "GET",
        &format!("/products/{}", id(1)),
        ok(&product(id(1), "Mug", 250, 5)),
    )
    .await;
    answers(
        &shop.catalog,
        "GET",
        &format!("/products/{}", id(2)),
        problem(404, "not-found"),
    )
    .await;
    let suggestions = json!({ "items": [{ "text": "Mug", "kind": "product", "product_id": id(1) }, { "text": "Acme", "kind": "brand" }] });
    answers(&shop.catalog, "GET", "/suggest", ok(&suggestions)).await;
    let categories =
        json!({ "items": [{ "slug": "things", "name": "Things", "count": 3 }], "next_cursor": null });
    answers(&shop.catalog, "GET", "/categories", ok(&categories)).await;
    let shown = shop
        .guest()
        .get(&format!("/api/products/{}", id(1)))
        .await
        .expect(200);
    for field in [
        "id",
        "sku",
        "name",
        "price",
        "in_stock",
        "attributes",
        "source",
        "status",
        "stock",
    ] {
        assert!(shown.get(field).is_some(), "{field}");
    }
    shop.guest()
        .get(&format!("/api/products/{}", id(2)))
        .await
        .expect_problem(404, "not-found");
    let shown = shop.guest().get("/api/suggest?q=mu").await.expect(200);
    assert_eq!(shown["items"], suggestions["items"]);
    shop.guest().get("/api/suggest?q=+").await.expect(200);
    shop.guest().get("/api/suggest").await.expect(200);
    assert_eq!(
        requests(&shop.catalog, "GET", "/suggest").await.len(),
        1,
        "nothing typed, nothing asked"
    );
    assert_eq!(shop.guest().get("/api/categories").await.expect(200), categories);
}

#[tokio::test]
async fn without_the_catalog_the_answer_names_it() {
    let shop = Shop::open().await;
    goes_away(&shop.catalog).await;
    for at in [
        "/api/products".to_owned(),
        format!("/api/products/{}", id(1)),
        "/api/suggest?q=a".to_owned(),
    ] {
        let shown = shop
            .guest()
            .get(&at)
            .await
            .expect_problem(503, "service-unavailable");
        assert_eq!(shown["service"], "catalog", "{at}");
    }
}
