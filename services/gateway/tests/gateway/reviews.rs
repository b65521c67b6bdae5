//! What customers think of products: the API.

use emporium_test_kit::Caller;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::support::*;

/// A review as the reviews service answers it.
pub fn review(number: u128, author: uuid::Uuid) -> Value {
    json!({
        "id": id(number), "product_id": id(1), "author_id": author, "author_name": "Ann", "rating": 4,
        "title": "Good", "text": "Holds tea.", "attributes": { "pros": ["light"], "photos": [{ "caption": "front" }] },
        "state": "visible", "hidden_reason": null, "verified": true, "helpful": 3, "unhelpful": 1, "own_vote": null,
        "answers": [{ "id": id(90), "author_id": id(9), "text": "Thank you.", "created_at": AT, "updated_at": AT }],
        "version": 2, "created_at": AT, "updated_at": AT, "later_field": 1,
    })
}

pub fn page_of(items: &[Value]) -> Value {
    json!({ "items": items, "next_cursor": "c", "as_of": AT })
}

pub fn summary() -> Value {
    json!({ "items": [{ "product_id": id(1), "count": 4, "average": 4.25, "histogram": [0, 0, 1, 1, 2], "verified": 3,
        "verified_share": 0.75 }], "as_of": AT })
}

/// A shop with one product and one review of it.
pub async fn with_review(author: uuid::Uuid) -> Shop {
    let shop = Shop::open().await;
    let found = ok(&product(id(1), "Mug", 250, 5));
    answers(&shop.catalog, "GET", &format!("/products/{}", id(1)), found).await;
    let unknown = format!("/products/{}", id(2));
    answers(&shop.catalog, "GET", &unknown, problem(404, "not-found")).await;
    let list = ok(&page_of(&[review(80, author)]));
    answers(
        &shop.reviews,
        "GET",
        &format!("/products/{}/reviews", id(1)),
        list.clone(),
    )
    .await;
    answers(
        &shop.reviews,
        "GET",
        &format!("/products/{}/reviews", id(2)),
        list,
    )
    .await;
    answers(&shop.reviews, "GET", "/summaries", ok(&summary())).await;
    let one = ok(&review(80, author));
    answers(&shop.reviews, "GET", &format!("/reviews/{}", id(80)), one).await;
    shop
}

pub fn list_at() -> String {
    format!("/api/products/{}/reviews", id(1))
}

pub fn review_at(rest: &str) -> String {
    format!("{}/{}{rest}", list_at(), id(80))
}

#[tokio::test]
async fn a_list_passes_its_filters_on_and_has_the_rating() {
    let shop = with_review(CUSTOMER).await;
    let at = format!(
        "{}?sort=rating&rating=4&verified=true&attribute=pros%3Alight&attribute=fit.size%3As&cursor=x&limit=7&utm=y",
        list_at()
    );
    let shown = shop.customer().get(&at).await.expect(200);
    let one = &shown["items"][0];
    assert_eq!((&one["own"], &one["author_name"]), (&json!(true), &json!("Ann")));
    assert!(
        one.get("author_id").is_none() && one.get("later_field").is_none(),
        "{one}"
    );
    assert!(one["answers"][0].get("author_id").is_none());
    let summary = &shown["summary"];
    assert_eq!(
        (&summary["average"], &summary["histogram"]),
        (&json!(4.25), &json!([0, 0, 1, 1, 2]))
    );
    assert_eq!((&shown["as_of"], &shown["degraded"]), (&json!(AT), &json!([])));
    let asked = &requests(&shop.reviews, "GET", &format!("/products/{}/reviews", id(1))).await[0];
    let query: Vec<(String, String)> = asked.url.query_pairs().into_owned().collect();
    let viewer = CUSTOMER.to_string();
    let expected = [
        ("sort", "rating-high"),
        ("rating", "4"),
        ("verified", "true"),
        ("viewer", &viewer),
        ("cursor", "x"),
        ("limit", "7"),
        ("attribute", "pros:light"),
        ("attribute", "fit.size:s"),
    ];
    assert_eq!(
        query,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    // Somebody else's is not one's own; a stranger has none.
    let shown = shop.guest().get(&list_at()).await.expect(200);
    assert_eq!(shown["items"][0]["own"], false);
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused_before_anybody_is_called() {
    let shop = with_review(CUSTOMER).await;
    for (query, status, code) in [
        ("sort=evil", 422, "invalid"),
        ("rating=0", 422, "invalid"),
        ("rating=6", 422, "invalid"),
        ("rating=4.5", 400, "bad-query"),
        ("rating=4&rating=5", 400, "bad-query"),
        ("verified=perhaps", 400, "bad-query"),
        ("limit=0", 422, "invalid"),
        ("limit=101", 422, "invalid"),
        ("attribute=%00", 422, "invalid"),
        (
            "attribute=a:1&attribute=a:2&attribute=a:3&attribute=a:4&attribute=a:5&attribute=a:6",
            422,
            "invalid",
        ),
    ] {
        let at = format!("{}?{query}", list_at());
        shop.guest().get(&at).await.expect_problem(status, code);
    }
    assert!(shop.reviews.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn unknown_products_have_no_reviews_and_get_none() {
    let shop = with_review(CUSTOMER).await;
    let at = format!("/api/products/{}/reviews", id(2));
    shop.guest().get(&at).await.expect_problem(404, "not-found");
    let body = json!({ "rating": 5, "title": "t", "text": "x" });
    shop.customer()
        .post(&at, &body)
        .await
        .expect_problem(404, "not-found");
    let posted = requests(&shop.reviews, "POST", &format!("/products/{}/reviews", id(2))).await;
    assert!(posted.is_empty());
}

#[tokio::test]
async fn a_list_says_who_is_missing() {
    let shop = with_review(CUSTOMER).await;
    goes_away(&shop.catalog).await;
    goes_away(&shop.sessions).await;
    let shown = shop.customer().get(&list_at()).await.expect(200);
    assert_eq!(shown["degraded"], json!(["catalog", "sessions"]));
    goes_away(&shop.reviews).await;
    let reply = shop.guest().get(&list_at()).await;
    assert!(reply.text.contains("reviews"), "{}", reply.text);
    reply.expect_problem(503, "service-unavailable");
}

pub async fn knows_customer(shop: &Shop, name: &str) {
    let at = format!("/users/{CUSTOMER}");
    answers(&shop.users, "GET", &at, ok(&user(CUSTOMER, name))).await;
}

#[tokio::test]
async fn a_review_is_posted_in_the_customer_s_name() {
    let shop = with_review(CUSTOMER).await;
    knows_customer(&shop, "Ann\u{202E}").await;
    let posted = ResponseTemplate::new(201).set_body_json(review(80, CUSTOMER));
    answers(
        &shop.reviews,
        "POST",
        &format!("/products/{}/reviews", id(1)),
        posted,
    )
    .await;
    let free = json!({ "pros": ["light"], "photos": [{ "caption": "front" }], "fit": { "size": "small" } });
    let body = json!({ "rating": 4, "title": "Good", "text": "<script>", "attributes": free });
    let reply = shop.customer().post(&list_at(), &body).await;
    assert_eq!(reply.headers["location"].to_str().unwrap(), review_at(""));
    assert_eq!(reply.expect(201)["own"], true);
    let sent = &requests(&shop.reviews, "POST", &format!("/products/{}/reviews", id(1))).await[0];
    let sent: Value = sent.body_json().unwrap();
    let expected = json!({ "author_id": CUSTOMER, "author_name": "Ann", "rating": 4, "title": "Good",
        "text": "<script>", "attributes": free });
    assert_eq!(sent, expected);
    // Without users the name comes later, by events.
    goes_away(&shop.users).await;
    shop.customer().post(&list_at(), &body).await.expect(201);
    let sent = &requests(&shop.reviews, "POST", &format!("/products/{}/reviews", id(1))).await[1];
    assert!(sent.body_json::<Value>().unwrap().get("author_name").is_none());
}

#[tokio::test]
async fn bad_reviews_never_reach_the_service() {
    let shop = with_review(CUSTOMER).await;
    knows_customer(&shop, "Ann").await;
    let good = json!({ "rating": 4, "title": "Good", "text": "x" });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, status, code) in [
        (with("rating", json!(0)), 422, "invalid"),
        (with("rating", json!(6)), 422, "invalid"),
        (with("rating", json!(1.5)), 400, "bad-json"),
        (with("rating", json!("5")), 400, "bad-json"),
        (with("rating", json!(null)), 400, "bad-json"),
        (with("rating", json!(1e300)), 400, "bad-json"),
        (with("title", json!(" ")), 422, "invalid"),
        (with("title", json!("x".repeat(121))), 422, "invalid"),
        (with("title", json!("a\nb")), 422, "invalid"),
        (with("text", json!("")), 422, "invalid"),
        (with("text", json!("a\0b")), 422, "invalid"),
        (with("text", json!("x".repeat(8_001))), 422, "invalid"),
        (with("attributes", json!([1])), 400, "bad-json"),
        (with("verified", json!(true)), 400, "bad-json"),
        (with("author_id", json!(id(3))), 400, "bad-json"),
        (with("text", json!("x".repeat(1 << 20))), 413, "body-too-large"),
        (json!({}), 400, "bad-json"),
    ] {
        let start: String = body.to_string().chars().take(80).collect();
        let reply = shop.customer().post(&list_at(), &body).await;
        assert_eq!(reply.status, status, "{start}: {}", reply.text);
        reply.expect_problem(status, code);
    }
    // Deeper than any reader follows.
    let deep = format!(
        r#"{{"rating":4,"title":"t","text":"x","attributes":{}1{}}}"#,
        "{\"a\":".repeat(500),
        "}".repeat(500)
    );
    let request = shop.customer().request("POST", &list_at());
    let request = request.header("content-type", "application/json").body(deep);
    emporium_test_kit::Reply::read(request)
        .await
        .expect_problem(400, "bad-json");
    let posted = requests(&shop.reviews, "POST", &format!("/products/{}/reviews", id(1))).await;
    assert!(posted.is_empty());
}

#[tokio::test]
async fn what_the_service_refuses_comes_back_as_it_is() {
    let shop = with_review(CUSTOMER).await;
    knows_customer(&shop, "Ann").await;
    let taken = ResponseTemplate::new(409)
        .set_body_json(json!({ "type": "urn:emporium:problem:already-reviewed",
        "title": "t", "status": 409, "detail": "d", "code": "already-reviewed", "review_id": id(80) }));
    answers(
        &shop.reviews,
        "POST",
        &format!("/products/{}/reviews", id(1)),
        taken,
    )
    .await;
    let body = json!({ "rating": 4, "title": "Good", "text": "x" });
    let reply = shop.customer().post(&list_at(), &body).await;
    assert!(reply.text.contains(&id(80).to_string()), "{}", reply.text);
    reply.expect_problem(409, "already-reviewed");
}

#[tokio::test]
async fn edits_votes_and_answers_are_of_reviews_of_that_product() {
    let shop = with_review(CUSTOMER).await;
    let vote = json!({ "helpful": 2, "unhelpful": 1, "own_vote": true });
    let voter = format!("/reviews/{}/votes/{CUSTOMER}", id(80));
    answers(&shop.reviews, "PUT", &voter, ok(&vote)).await;
    answers(&shop.reviews, "DELETE", &voter, ok(&vote)).await;
    answers(
        &shop.reviews,
        "PUT",
        &format!("/reviews/{}", id(80)),
        ok(&review(80, CUSTOMER)),
    )
    .await;
    let answer = format!("/reviews/{}/answers/{}", id(80), id(90));
    answers(&shop.reviews, "PUT", &answer, ok(&review(80, CUSTOMER))).await;
    answers(&shop.reviews, "DELETE", &answer, ok(&review(80, CUSTOMER))).await;

    let elsewhere = format!("/api/products/{}/reviews/{}", id(2), id(80));
    let edit = json!({ "version": 2, "rating": 1, "title": "t", "text": "x" });
    let (yes, text) = (json!({ "helpful": true }), json!({ "text": "Thanks" }));
    let calls: [(Caller, &str, &str, Option<&Value>); 6] = [
        (shop.customer(), "GET", "", None),
        (shop.customer(), "PUT", "", Some(&edit)),
        (shop.customer(), "PUT", "/vote", Some(&yes)),
        (shop.customer(), "DELETE", "/vote", None),
        (shop.admin(), "PUT", "/answer", Some(&text)),
        (shop.admin(), "DELETE", "/answer", None),
    ];
    for (caller, verb, rest, body) in calls {
        for (at, status) in [(review_at(rest), 200), (format!("{elsewhere}{rest}"), 404)] {
            let mut request = caller.request(verb, &at);
            if let Some(body) = body {
                request = request.json(body);
            }
            let reply = emporium_test_kit::Reply::read(request).await;
            assert_eq!(reply.status, status, "{verb} {at}: {}", reply.text);
        }
    }
    let changed = &requests(&shop.reviews, "PUT", &format!("/reviews/{}", id(80))).await;
    assert_eq!(changed.len(), 1, "nothing is changed by the wrong address");
    let changed: Value = changed[0].body_json().unwrap();
    assert_eq!(
        (&changed["author_id"], &changed["version"]),
        (&json!(CUSTOMER), &json!(2))
    );
    // The answer that is there is changed; a second one is not added.
    assert_eq!(requests(&shop.reviews, "PUT", &answer).await.len(), 1);
    shop.customer()
        .put(&review_at("/answer"), &text)
        .await
        .expect_problem(403, "administrators-only");
    shop.guest()
        .put(&review_at("/vote"), &yes)
        .await
        .expect_problem(401, "sign-in-required");
}

#[tokio::test]
async fn one_s_own_reviews_have_the_products_names() {
    let shop = with_review(CUSTOMER).await;
    let list = ok(&page_of(&[review(80, CUSTOMER)]));
    answers(
        &shop.reviews,
        "GET",
        &format!("/authors/{CUSTOMER}/reviews"),
        list,
    )
    .await;
    let found = json!({ "items": [product(id(1), "Mug", 250, 5)] });
    answers(&shop.catalog, "POST", "/products/batch", ok(&found)).await;
    let shown = shop.customer().get("/api/me/reviews?limit=5").await.expect(200);
    assert_eq!(shown["items"][0]["product_name"], "Mug");
    assert_eq!(
        (&shown["items"][0]["own"], &shown["next_cursor"]),
        (&json!(true), &json!("c"))
    );
    goes_away(&shop.catalog).await;
    let shown = shop.customer().get("/api/me/reviews").await.expect(200);
    assert_eq!(
        (&shown["items"][0]["product_name"], &shown["degraded"]),
        (&Value::Null, &json!(["catalog"]))
    );
}

#[tokio::test]
async fn administrators_hide_and_show() {
    let shop = with_review(CUSTOMER).await;
    let list = ok(&page_of(&[review(80, CUSTOMER)]));
    answers(&shop.reviews, "GET", "/reviews", list).await;
    let found = json!({ "items": [product(id(1), "Mug", 250, 5)] });
    answers(&shop.catalog, "POST", "/products/batch", ok(&found)).await;
    let shown = shop
        .admin()
        .get("/api/admin/reviews?state=hidden")
        .await
        .expect(200);
    assert_eq!(shown["items"][0]["author_id"], json!(CUSTOMER));
    assert_eq!(shown["items"][0]["product_name"], "Mug");
    let asked = &requests(&shop.reviews, "GET", "/reviews").await[0];
    assert_eq!(asked.url.query(), Some("state=hidden"));
    shop.admin()
        .get("/api/admin/reviews?state=x")
        .await
        .expect_problem(400, "bad-query");

    let at = format!("/reviews/{}/moderation", id(80));
    answers(&shop.reviews, "PUT", &at, ok(&review(80, CUSTOMER))).await;
    let own = format!("/api/admin/reviews/{}/moderation", id(80));
    let hide = json!({ "state": "hidden", "reason": "spam" });
    shop.admin().put(&own, &hide).await.expect(200);
    shop.admin()
        .put(&own, &json!({ "state": "visible" }))
        .await
        .expect(200);
    let sent = requests(&shop.reviews, "PUT", &at).await;
    let sent: Vec<Value> = sent.iter().map(|one| one.body_json().unwrap()).collect();
    assert_eq!(sent, [hide, json!({ "state": "visible" })]);
    shop.admin()
        .put(&own, &json!({ "state": "gone" }))
        .await
        .expect_problem(400, "bad-json");
}
