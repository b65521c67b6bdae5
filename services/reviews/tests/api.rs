//! The API on a real PostgreSQL with a real bus: what callers get.
#![allow(clippy::unwrap_used)]

mod support;

use emporium_service_kit::ServiceName;
use emporium_test_kit::{Caller, Reply, eventually};
use serde_json::json;
use support::{Shop, new, path};
use uuid::Uuid;

#[tokio::test]
async fn a_review_is_posted_edited_voted_on_answered_and_moderated() {
    let shop = Shop::open().await;
    let (product, author) = new();
    let attributes = json!({"pros": ["light"], "fit": {"size": "small"}, "photos": [{"caption": "<front>"}]});
    let body = json!({"author_id": author, "author_name": "Ada", "rating": 4, "title": "<b>Good</b>", "text": "One\r\ntwo",
        "attributes": attributes});
    let list = format!("/products/{product}/reviews");
    let review = shop.gateway.post(&list, &body).await.expect(201);
    assert_eq!(review["title"], "<b>Good</b>", "plain text, as given");
    assert_eq!(review["text"], "One\ntwo");
    assert_eq!(review["attributes"], attributes);
    assert_eq!(
        (&review["state"], &review["verified"], &review["version"]),
        (&json!("visible"), &json!(false), &json!(1))
    );
    let problem = shop
        .gateway
        .post(&list, &body)
        .await
        .expect_problem(409, "already-reviewed");
    assert_eq!(problem["review_id"], review["id"]);
    let own = shop.gateway.get(&format!("{list}/by/{author}")).await.expect(200);
    assert_eq!(own, review);

    let edit = json!({"author_id": author, "version": 1, "rating": 2, "title": "Less good", "text": "x"});
    let edited = shop.gateway.put(&path(&review), &edit).await.expect(200);
    assert_eq!(
        (&edited["version"], &edited["rating"], &edited["attributes"]),
        (&json!(2), &json!(2), &json!({}))
    );
    assert_eq!(shop.gateway.put(&path(&review), &edit).await.expect(200), edited);
    let stale = json!({"author_id": author, "version": 1, "rating": 3, "title": "Better", "text": "x"});
    let problem = shop
        .gateway
        .put(&path(&review), &stale)
        .await
        .expect_problem(409, "version-differs");
    assert_eq!(problem["version"], 2);
    let foreign =
        json!({"author_id": Uuid::new_v4(), "version": 2, "rating": 1, "title": "Mine", "text": "x"});
    shop.gateway
        .put(&path(&review), &foreign)
        .await
        .expect_problem(404, "not-found");

    shop.reviews.stop().await;
}

#[tokio::test]
async fn others_vote_answer_and_moderate() {
    let shop = Shop::open().await;
    let (product, author) = new();
    let list = format!("/products/{product}/reviews");
    let review = shop.post(product, author, 4).await;
    let voter = Uuid::new_v4();
    let vote = format!("{}/votes/{voter}", path(&review));
    let votes = shop
        .gateway
        .put(&vote, json!({"helpful": true}))
        .await
        .expect(200);
    assert_eq!(votes, json!({"helpful": 1, "unhelpful": 0, "own_vote": true}));
    let seen = shop
        .gateway
        .get(&format!("{list}?viewer={voter}"))
        .await
        .expect(200);
    assert_eq!(seen["items"][0]["own_vote"], true);
    let votes = shop.gateway.delete(&vote).await.expect(200);
    assert_eq!(votes, json!({"helpful": 0, "unhelpful": 0, "own_vote": null}));
    let own_vote = format!("{}/votes/{author}", path(&review));
    shop.gateway
        .put(&own_vote, json!({"helpful": true}))
        .await
        .expect_problem(403, "own-review");

    let answer = format!("{}/answers/{}", path(&review), Uuid::new_v4());
    let words = json!({"author_id": voter, "text": "We are sorry."});
    shop.gateway.put(&answer, &words).await.expect(201);
    let answered = shop.gateway.put(&answer, &words).await.expect(200);
    assert_eq!(answered["answers"][0]["text"], "We are sorry.");
    assert_eq!(
        shop.gateway.delete(&answer).await.expect(200)["answers"],
        json!([])
    );

    let moderation = format!("{}/moderation", path(&review));
    shop.operator
        .put(&moderation, json!({"state": "hidden", "reason": "spam"}))
        .await
        .expect(200);
    shop.gateway
        .get(&path(&review))
        .await
        .expect_problem(404, "not-found");
    shop.gateway
        .put(&vote, json!({"helpful": true}))
        .await
        .expect_problem(404, "not-found");
    let hidden = shop
        .gateway
        .get(&format!("{}?viewer={author}", path(&review)))
        .await
        .expect(200);
    assert_eq!(
        (&hidden["state"], &hidden["hidden_reason"]),
        (&json!("hidden"), &json!("spam"))
    );
    shop.gateway
        .get(&format!("{}?moderator=true", path(&review)))
        .await
        .expect(200);
    let queue = shop.operator.get("/reviews?state=hidden").await.expect(200);
    assert_eq!(queue["items"][0]["id"], review["id"]);
    assert_eq!(shop.gateway.get(&list).await.expect(200)["items"], json!([]));
    shop.gateway
        .put(&moderation, json!({"state": "visible"}))
        .await
        .expect(200);
    assert_eq!(
        shop.gateway.get(&list).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let by_author = shop
        .gateway
        .get(&format!("/authors/{author}/reviews"))
        .await
        .expect(200);
    assert_eq!(by_author["items"].as_array().unwrap().len(), 1);
    shop.reviews.stop().await;
}

#[tokio::test]
async fn orders_and_users_are_followed_and_answers_say_up_to_when() {
    let shop = Shop::open().await;
    let (product, author) = new();
    shop.tell(
        "user.registered.v1",
        &json!({"id": author, "name": "Grace", "active": true, "version": 1}),
    )
    .await;
    shop.buy(author, product).await;
    let review = shop.post(product, author, 5).await;
    let found = eventually("the mark and the name are there", 20, async || {
        let found = shop.gateway.get(&path(&review)).await.expect(200);
        (found["verified"] == true && found["author_name"] == "Grace").then_some(found)
    })
    .await;
    assert_eq!(found["version"], 1);
    let list = format!("/products/{product}/reviews?verified=true");
    // Which the group's member learns a moment after it has applied them.
    let page = eventually("it is known up to when", 20, async || {
        let page = shop.gateway.get(&list).await.expect(200);
        page["as_of"].is_string().then_some(page)
    })
    .await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let summary = shop
        .gateway
        .get(&format!("/summaries?ids={product},{}", Uuid::new_v4()))
        .await
        .expect(200);
    let right = json!({"product_id": product, "count": 1, "average": 5.0, "histogram": [0, 0, 0, 0, 1], "verified": 1,
        "verified_share": 1.0});
    assert_eq!(summary["items"], json!([right]));
    assert!(summary["as_of"].is_string());
    shop.tell(
        "user.updated.v1",
        &json!({"id": author, "name": "Grace", "active": false, "version": 2}),
    )
    .await;
    eventually("a blocked author has no name", 20, async || {
        let found = shop.gateway.get(&path(&review)).await.expect(200);
        found["author_name"].is_null().then_some(())
    })
    .await;
    shop.reviews.stop().await;
}

#[tokio::test]
async fn a_rebuild_over_http_ends_equal_while_customers_post() {
    let shop = Shop::open().await;
    let product = Uuid::new_v4();
    for rating in 1..=5 {
        let author = Uuid::new_v4();
        shop.buy(author, product).await;
        shop.post(product, author, rating).await;
    }
    let status = async || {
        shop.operator
            .get("/projections/reviews.ratings")
            .await
            .expect(200)
    };
    eventually("it has caught up", 20, async || {
        let status = status().await;
        (status["state"] == "running" && status["lag_events"] == 0 && status["end"].as_i64() >= Some(10))
            .then_some(())
    })
    .await;
    let asked = shop
        .operator
        .post("/projections/reviews.ratings/rebuild", json!({}))
        .await
        .expect(202);
    for rating in 1..=5 {
        shop.post(product, Uuid::new_v4(), rating).await;
    }
    let outcome = eventually("it is rebuilt", 60, async || {
        let status = status().await;
        (status["outcome"]["id"] == asked["rebuild"]["id"]).then(|| status["outcome"].clone())
    })
    .await;
    assert_eq!(outcome["equal"], true, "{outcome}");
    let summary = shop
        .gateway
        .get(&format!("/summaries?ids={product}"))
        .await
        .expect(200);
    assert_eq!(summary["items"][0]["histogram"], json!([2, 2, 2, 2, 2]));
    assert_eq!(summary["items"][0]["verified"], 5);
    shop.reviews.stop().await;
}

#[tokio::test]
async fn a_paused_projection_leaves_reviews_alone_and_catches_up() {
    let shop = Shop::open().await;
    let (product, author) = new();
    eventually("the group is there", 20, async || {
        let status = shop
            .operator
            .get("/projections/reviews.ratings")
            .await
            .expect(200);
        (status["state"] == "running" && status["as_of"].is_string()).then_some(())
    })
    .await;
    shop.operator
        .post("/projections/reviews.ratings/pause", json!({}))
        .await
        .expect(200);
    shop.buy(author, product).await;
    let review = shop.post(product, author, 3).await;
    let summary = shop
        .gateway
        .get(&format!("/summaries?ids={product}"))
        .await
        .expect(200);
    assert_eq!(
        (&summary["items"][0]["count"], &summary["items"][0]["verified"]),
        (&json!(1), &json!(0))
    );
    shop.operator
        .post("/projections/reviews.ratings/resume", json!({}))
        .await
        .expect(200);
    eventually("the mark has come", 20, async || {
        let found = shop.gateway.get(&path(&review)).await.expect(200);
        (found["verified"] == true).then_some(())
    })
    .await;
    shop.reviews.stop().await;
}

#[tokio::test]
async fn each_route_has_its_callers() {
    let shop = Shop::open().await;
    let (product, author) = new();
    let review = shop.post(product, author, 3).await;
    let list = format!("/products/{product}/reviews");
    let orders = shop.reviews.as_caller(ServiceName::Orders);
    for path in [
        &list,
        &path(&review),
        "/reviews?state=visible",
        "/summaries?ids=",
        "/projections",
    ] {
        orders.get(path).await.expect_problem(403, "caller-not-allowed");
        shop.reviews
            .anonymous()
            .get(path)
            .await
            .expect_problem(401, "service-token-required");
    }
    orders.get("/events").await.expect(200);
    shop.operator.get("/summaries?ids=").await.expect(200);
    shop.operator
        .get(&list)
        .await
        .expect_problem(403, "caller-not-allowed");
    shop.reviews.stop().await;
}

/// The operator alone loads reviews of the past; each is told to the world as any other.
#[tokio::test]
async fn the_operator_loads_reviews_of_the_past() {
    let shop = Shop::open().await;
    let (product, author) = support::new();
    let id = "01941f29-7c00-7000-8000-000000000001";
    let record = json!({"id": id, "product_id": product, "author_id": author, "author_name": "Ada", "rating": 4,
        "title": "Good", "text": "It fits.", "attributes": {"pros": ["light"]}, "created_at": "2025-01-01T00:00:00Z",
        "answers": [{"id": Uuid::new_v4(), "author_id": Uuid::new_v4(), "text": "Thank you.", "at": "2025-01-02T00:00:00Z"}],
        "votes": [{"voter_id": Uuid::new_v4(), "helpful": true}]});
    let mut bad = record.clone();
    bad["rating"] = json!(6);
    let body = format!("{record}\nnope\n\n{bad}\n{record}\n");
    let load = async |caller: &Caller| {
        let request = caller.request("POST", "/bulk/reviews");
        let request = request.header("content-type", "application/x-ndjson");
        Reply::read(request.body(body.clone())).await
    };
    assert_eq!(load(&shop.gateway).await.status, 403);
    for (loaded, unchanged) in [(1, 1), (0, 2)] {
        let answer = load(&shop.operator).await.expect(200);
        assert_eq!(
            (&answer["received"], &answer["rejected_count"]),
            (&json!(4), &json!(2))
        );
        assert_eq!(
            (&answer["loaded"], &answer["unchanged"]),
            (&json!(loaded), &json!(unchanged))
        );
        assert_eq!(answer["rejected"][1]["line"], 4);
    }
    let list = shop
        .gateway
        .get(&format!("/products/{product}/reviews"))
        .await
        .expect(200);
    let review = &list["items"][0];
    assert_eq!(
        (&review["id"], &review["helpful"], &review["version"]),
        (&json!(id), &json!(1), &json!(2))
    );
    assert_eq!(review["answers"][0]["text"], "Thank you.");
    let events = shop.gateway.get("/events").await.expect(200);
    let kinds: Vec<&str> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["event"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["review.posted.v1", "review.answered.v1"]);
    shop.reviews.stop().await;
}
