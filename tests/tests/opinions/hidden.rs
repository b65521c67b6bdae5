//! What moderation has hidden is nowhere to be found.

use emporium_tests::customer::text;
use emporium_tests::{Admin, Customer, ShopProcess};
use serde_json::json;

use super::{counted, find, list, opinion, page, post, reviews_of};

/// Everything that others than the author and the administrator can ask for, and in which a text might show.
async fn seen_by_others(
    shop: &ShopProcess,
    other: &Customer,
    product: &str,
    review: &str,
) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    for who in [&shop.visitor(), &other.api] {
        let list = reviews_of(product);
        for path in [
            list.clone(),
            format!("{list}?sort=new"),
            format!("{list}?sort=rating-high&limit=1"),
            format!("{list}?rating=1"),
            format!("{list}?verified=false"),
            format!("{list}?attribute=pros:unmistakable-pro"),
            format!("{list}/{review}"),
            format!("/api/products/{product}"),
            format!("/api/products/{product}/recommendations"),
            "/api/products?q=unmistakable".to_owned(),
            "/api/me/reviews".to_owned(),
            "/api/admin/reviews?state=hidden&limit=100".to_owned(),
            format!("/products/{product}"),
            format!("/products/{product}?sort=new"),
            format!("/products/{product}?stars=1"),
            format!("/products/{product}?with=pros:unmistakable-pro"),
            format!("/products/{product}/review"),
            "/account/reviews".to_owned(),
            "/admin/reviews?state=hidden".to_owned(),
            "/search?q=unmistakable".to_owned(),
            "/".to_owned(),
        ] {
            let reply = who.get(&path).await;
            assert!(reply.status < 500, "{path}: {}", reply.text);
            seen.push((path, reply.text));
        }
    }
    seen
}

/// True when some of it shows the review's words (the filter's own words in an address are the asker's).
fn shows(seen: &[(String, String)]) -> Vec<&str> {
    let words = ["Unmistakable title", "Unmistakable text"];
    let shown = seen
        .iter()
        .filter(|(_, body)| words.iter().any(|words| body.contains(words)));
    shown.map(|(path, _)| path.as_str()).collect()
}

#[allow(clippy::too_many_lines)] // one story
pub async fn a_hidden_review_is_nowhere_and_counts_for_nothing(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Vase to be moderated", 4_000, 10).await;
    let (ada, bob) = (Customer::sign_up(shop).await, Customer::sign_up(shop).await);
    let body = json!({ "rating": 1, "title": "Unmistakable title", "text": "Unmistakable text", "attributes": { "pros": ["unmistakable-pro"] } });
    let review = ada.api.post(&reviews_of(&product), &body).await.expect(201);
    let (id, version) = (text(&review["id"]), review["version"].as_i64().unwrap());
    post(&bob, &product, 5, "Nothing wrong here").await;
    let own = format!("{}/{id}", reviews_of(&product));
    bob.api
        .put(&format!("{own}/vote"), json!({ "helpful": true }))
        .await
        .expect(200);
    assert!(
        !shows(&seen_by_others(shop, &bob, &product, &id).await).is_empty(),
        "the look finds what there is"
    );
    let moderation = format!("/api/admin/reviews/{id}/moderation");
    let hide = json!({ "state": "hidden", "reason": "It is about somebody's mother." });
    shop.visitor()
        .put(&moderation, &hide)
        .await
        .expect_problem(401, "sign-in-required");
    for customer in [&ada, &bob] {
        customer
            .api
            .put(&moderation, &hide)
            .await
            .expect_problem(403, "administrators-only");
    }
    for (body, status) in [
        (json!({ "state": "hidden" }), 422),
        (json!({ "state": "hidden", "reason": " " }), 422),
        (json!({ "state": "hidden", "reason": "a\0b" }), 422),
        (json!({ "state": "hidden", "reason": "x".repeat(501) }), 422),
        (json!({ "state": "visible", "reason": "why not" }), 422),
        (json!({ "state": "gone", "reason": "x" }), 400),
        (json!({ "reason": "x" }), 400),
    ] {
        assert_eq!(admin.api.put(&moderation, &body).await.status, status, "{body}");
    }
    for _ in 0..2 {
        let hidden = admin.api.put(&moderation, &hide).await.expect(200);
        assert_eq!(
            (&hidden["state"], &hidden["hidden_reason"]),
            (&json!("hidden"), &hide["reason"])
        );
    }
    let seen = seen_by_others(shop, &bob, &product, &id).await;
    assert_eq!(shows(&seen), Vec::<&str>::new());
    let by_id = seen
        .iter()
        .filter(|(path, body)| body.contains(&id) && !path.contains(&id));
    assert_eq!(
        by_id.map(|(path, _)| path).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    let left = list(&bob.api, &product).await;
    assert_eq!(
        counted(&left),
        json!({ "count": 1, "histogram": [0, 0, 0, 0, 1], "verified": 0 }),
        "it counts no more"
    );
    bob.api.get(&own).await.expect_problem(404, "not-found");
    bob.api
        .put(&format!("{own}/vote"), json!({ "helpful": true }))
        .await
        .expect_problem(404, "not-found");
    // Its author sees it, with the reason, may change it, and does not show it again by that.
    let seen = ada.api.get(&own).await.expect(200);
    assert_eq!(
        (&seen["state"], &seen["hidden_reason"]),
        (&json!("hidden"), &hide["reason"])
    );
    assert!(
        page(&ada.api, &product).await.contains("It is about somebody"),
        "on the page too"
    );
    let mine = ada.api.get("/api/me/reviews").await.expect(200);
    assert_eq!(
        (
            mine["items"].as_array().unwrap().len(),
            &mine["items"][0]["product_name"]
        ),
        (1, &json!("Vase to be moderated"))
    );
    ada.api
        .post(&reviews_of(&product), opinion(5, "Another account of it"))
        .await
        .expect_problem(409, "already-reviewed");
    let mut edit = body.clone();
    edit["version"] = json!(seen["version"]);
    edit["rating"] = json!(2);
    assert!(seen["version"].as_i64().unwrap() > version);
    assert_eq!(ada.api.put(&own, &edit).await.expect(200)["state"], "hidden");
    assert_eq!(
        shows(&seen_by_others(shop, &bob, &product, &id).await),
        Vec::<&str>::new()
    );
    let hidden = admin
        .api
        .get("/api/admin/reviews?state=hidden&limit=100")
        .await
        .expect(200);
    assert!(
        hidden["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["id"] == *id),
        "{hidden}"
    );
    // Shown again it is as it was, with its votes.
    admin
        .api
        .put(&moderation, json!({ "state": "visible" }))
        .await
        .expect(200);
    let seen = list(&bob.api, &product).await;
    assert_eq!(
        counted(&seen),
        json!({ "count": 2, "histogram": [0, 1, 0, 0, 1], "verified": 0 })
    );
    let again = find(&seen, "Unmistakable title");
    assert_eq!(
        (&again["helpful"], &again["own_vote"], &again["rating"]),
        (&json!(1), &json!(true), &json!(2))
    );
}
