//! What goes with what, and for whom: the API.

use serde_json::{Value, json};

use crate::support::*;

/// A suggestion as the recommendations service answers it.
pub fn suggestion(number: u128, reason: &str, because: Option<u128>) -> Value {
    json!({ "product_id": id(number), "score": 0.5, "reason": reason, "because": because.map(id),
        "together": because.map(|_| 12), "times": (reason == "bought-before").then_some(3) })
}

pub fn shelf(items: &[Value]) -> Value {
    json!({ "items": items, "as_of": AT })
}

/// A catalog that knows these products by batches; the second one is not sold any more.
async fn catalog(shop: &Shop, numbers: &[u128]) {
    let items: Vec<Value> = numbers
        .iter()
        .map(|number| {
            let mut found = product(id(*number), &format!("P{number}"), 100, 5);
            if *number == 2 {
                found["status"] = "archived".into();
            }
            found
        })
        .collect();
    answers(
        &shop.catalog,
        "POST",
        "/products/batch",
        ok(&json!({ "items": items })),
    )
    .await;
}

async fn of_product(shop: &Shop, together: &[Value], also: &[Value]) {
    let at = |kind| format!("/products/{}/{kind}", id(1));
    answers(
        &shop.recommendations,
        "GET",
        &at("bought-together"),
        ok(&shelf(together)),
    )
    .await;
    answers(&shop.recommendations, "GET", &at("also-bought"), ok(&shelf(also))).await;
}

fn at(number: u128) -> String {
    format!("/api/products/{}/recommendations", id(number))
}

fn ids(list: &Value) -> Vec<String> {
    let items = list.as_array().unwrap().iter();
    items
        .map(|one| one["product_id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn goods_of_one_basket_come_with_their_products_in_one_call() {
    let shop = Shop::open().await;
    let together = |number| suggestion(number, "bought-together", Some(1));
    // 2 is not sold any more, 5 is not known.
    of_product(
        &shop,
        &[together(2), together(3), together(5)],
        &[together(4), together(2), together(3)],
    )
    .await;
    catalog(&shop, &[1, 2, 3, 4]).await;
    let shown = shop.guest().get(&at(1)).await.expect(200);
    assert_eq!(ids(&shown["bought_together"]), [id(3).to_string()]);
    assert_eq!(ids(&shown["also_bought"]), [id(4).to_string(), id(3).to_string()]);
    let first = &shown["bought_together"][0];
    assert_eq!(first["product"]["name"], "P3");
    assert_eq!(first["explanation"], "Bought together in 12 orders");
    assert_eq!(
        shown["also_bought"][0]["explanation"],
        "In 12 orders with this one"
    );
    assert_eq!((&shown["as_of"], &shown["degraded"]), (&json!(AT), &json!([])));
    assert_eq!(requests(&shop.catalog, "POST", "/products/batch").await.len(), 1);
    // A little more is asked for than is shown.
    let shown = shop.guest().get(&format!("{}?limit=1", at(1))).await.expect(200);
    assert_eq!(ids(&shown["also_bought"]), [id(4).to_string()]);
    let asked = requests(
        &shop.recommendations,
        "GET",
        &format!("/products/{}/also-bought", id(1)),
    )
    .await;
    assert_eq!(asked[1].url.query(), Some("limit=7"));
    for (limit, status) in [("0", 422), ("21", 422), ("-1", 400), ("x", 400)] {
        let reply = shop.guest().get(&format!("{}?limit={limit}", at(1))).await;
        assert_eq!(reply.status, status, "{limit}");
    }
}

#[tokio::test]
async fn an_unknown_product_goes_with_nothing() {
    let shop = Shop::open().await;
    of_product(&shop, &[], &[]).await;
    catalog(&shop, &[3]).await;
    shop.guest().get(&at(1)).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn without_the_catalog_there_are_ids_and_without_the_service_nothing() {
    let shop = Shop::open().await;
    of_product(&shop, &[suggestion(3, "bought-together", Some(1))], &[]).await;
    goes_away(&shop.catalog).await;
    let shown = shop.guest().get(&at(1)).await.expect(200);
    assert_eq!(shown["degraded"], json!(["catalog"]));
    assert_eq!(shown["bought_together"][0]["product"], Value::Null);
    goes_away(&shop.recommendations).await;
    let reply = shop.guest().get(&at(1)).await;
    assert!(reply.text.contains("recommendations"), "{}", reply.text);
    reply.expect_problem(503, "service-unavailable");
}

#[tokio::test]
async fn what_is_for_me_says_why() {
    let shop = Shop::open().await;
    let own = [
        suggestion(3, "bought-together", Some(2)),
        suggestion(4, "popular", None),
    ];
    let of_me = |kind| format!("/customers/{CUSTOMER}/{kind}");
    answers(&shop.recommendations, "GET", &of_me("for-you"), ok(&shelf(&own))).await;
    let again = shelf(&[suggestion(6, "bought-before", None)]);
    answers(&shop.recommendations, "GET", &of_me("buy-again"), ok(&again)).await;
    catalog(&shop, &[2, 3, 4, 6]).await;
    let shown = shop.customer().get("/api/me/recommendations").await.expect(200);
    assert_eq!(ids(&shown["for_you"]), [id(3).to_string()]);
    // What speaks for it may be sold no more.
    assert_eq!(shown["for_you"][0]["explanation"], "Because you bought P2");
    assert_eq!(ids(&shown["popular"]), [id(4).to_string()]);
    assert_eq!(shown["buy_again"][0]["explanation"], "You bought it 3 times");
    assert_eq!(requests(&shop.catalog, "POST", "/products/batch").await.len(), 1);
    shop.guest()
        .get("/api/me/recommendations")
        .await
        .expect_problem(401, "sign-in-required");
}

#[tokio::test]
async fn half_of_it_is_better_than_nothing() {
    let shop = Shop::open().await;
    let of_me = |kind| format!("/customers/{CUSTOMER}/{kind}");
    let again = shelf(&[suggestion(6, "bought-before", None)]);
    answers(&shop.recommendations, "GET", &of_me("buy-again"), ok(&again)).await;
    answers(
        &shop.recommendations,
        "GET",
        &of_me("for-you"),
        problem(503, "store-unavailable"),
    )
    .await;
    catalog(&shop, &[6]).await;
    let shown = shop.customer().get("/api/me/recommendations").await.expect(200);
    assert_eq!(
        (&shown["for_you"], &shown["degraded"]),
        (&Value::Null, &json!(["recommendations"]))
    );
    assert_eq!(ids(&shown["buy_again"]), [id(6).to_string()]);
}
