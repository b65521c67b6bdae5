//! Reviews and suggestions on pages.

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::browser::{Browser, HOSTILE, all, checked, redirect, stocked, value};
use crate::recommendations::{shelf, suggestion};
use crate::reviews::{page_of, review, summary};
use crate::support::*;

pub fn product_at() -> String {
    format!("/products/{}", id(1))
}

fn form_at() -> String {
    format!("/products/{}/review", id(1))
}

/// A shop whose product has somebody else's review, and none of the customer's.
pub async fn reviewed() -> Shop {
    let shop = Shop::open().await;
    let mug = product(id(1), "Mug", 250, 5);
    answers(&shop.catalog, "GET", &product_at(), ok(&mug)).await;
    let found = json!({ "items": [mug, product(id(3), "Tea pot", 900, 5), product(id(4), "Tray", 700, 2)] });
    answers(&shop.catalog, "POST", "/products/batch", ok(&found)).await;
    all(&shop.users, "GET", "^/users/[^/]+$", ok(&user(CUSTOMER, "Ann"))).await;
    all(&shop.carts, "GET", "^/carts/", ok(&cart(1, &[]))).await;
    let list = ok(&page_of(&[review(80, id(60))]));
    answers(&shop.reviews, "GET", &format!("{}/reviews", product_at()), list).await;
    answers(&shop.reviews, "GET", "/summaries", ok(&summary())).await;
    all(&shop.reviews, "GET", "/by/", problem(404, "not-found")).await;
    answers(
        &shop.reviews,
        "GET",
        &format!("/reviews/{}", id(80)),
        ok(&review(80, id(60))),
    )
    .await;
    let together = shelf(&[suggestion(3, "bought-together", Some(1))]);
    let also = shelf(&[
        suggestion(3, "bought-together", Some(1)),
        suggestion(4, "bought-together", Some(1)),
    ]);
    let at = |kind| format!("/products/{}/{kind}", id(1));
    answers(
        &shop.recommendations,
        "GET",
        &at("bought-together"),
        ok(&together),
    )
    .await;
    answers(&shop.recommendations, "GET", &at("also-bought"), ok(&also)).await;
    shop
}

#[tokio::test]
async fn a_product_s_page_has_reviews_and_what_goes_with_it() {
    let shop = reviewed().await;
    let page = Browser::customer(&shop).page(&product_at(), 200).await;
    for text in [
        "Rated 4.2 out of 5 by 4 reviews",
        "Rated 4 out of 5",
        "Verified purchase",
        "with=pros%3Alight",
        "<li>front</li>",
        "Answer from the shop",
        "Thank you.",
        "Helpful (3)",
        "Not helpful (1)",
        "id=\"write-review\"",
        "Bought together in 12 orders",
        "Customers who bought this also bought",
        "As of <time datetime=\"2026-03-01T12:00:00Z\"",
        "Verified purchases as of",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // What is bought together is not repeated below.
    assert_eq!(page.matches(&format!("href=\"/products/{}\"", id(3))).count(), 1);
    assert_eq!(page.matches(&format!("href=\"/products/{}\"", id(4))).count(), 1);
    let page = Browser::stranger(&shop).page(&product_at(), 200).await;
    assert!(page.contains("Sign in to write a review") && !page.contains("id=\"review-form\""));
    assert!(!page.contains("Helpful (3)"), "strangers do not vote");
}

#[tokio::test]
async fn sorting_and_filters_are_links_and_are_passed_on() {
    let shop = reviewed().await;
    let at = format!(
        "{}?sort=new&stars=5&verified=1&with=pros:light&with=fit.size:s&cursor=c",
        product_at()
    );
    let page = Browser::customer(&shop).page(&at, 200).await;
    let lists = requests(&shop.reviews, "GET", &format!("{}/reviews", product_at())).await;
    let query: Vec<(String, String)> = lists[0].url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("sort", "new"),
        ("rating", "5"),
        ("verified", "true"),
        ("attribute", "pros:light"),
        ("attribute", "fit.size:s"),
        ("cursor", "c"),
    ] {
        assert!(
            query.contains(&(name.into(), value.into())),
            "{name} in {query:?}"
        );
    }
    // The way back from a filter keeps the others and starts at the first page.
    let without = format!(
        "{}?sort=new&#38;verified=1&#38;with=pros%3Alight&#38;with=fit.size%3As#reviews",
        product_at()
    );
    assert!(page.contains(&without), "{page}");
    assert!(page.contains("First reviews"));
    // What makes no sense is left out, and a cursor of another list is no disaster.
    let page = Browser::customer(&shop)
        .page(&format!("{}?sort=evil&stars=9&with=%00", product_at()), 200)
        .await;
    assert!(page.contains("Most helpful"));
    let at = format!("{}/reviews", product_at());
    shop.reviews.reset().await;
    answers(&shop.reviews, "GET", &at, problem(400, "bad-cursor")).await;
    let page = Browser::customer(&shop)
        .page(&format!("{}?cursor=old", product_at()), 200)
        .await;
    assert!(page.contains("There is no such list of reviews"));
}

#[tokio::test]
async fn what_was_typed_stays_beside_what_is_wrong_with_it() {
    let shop = reviewed().await;
    let browser = Browser::customer(&shop);
    let errors = json!([{ "field": "title", "message": "must not be empty" },
        { "field": "attributes", "message": "keys must not contain . or : nor begin with $" }]);
    let refused = ResponseTemplate::new(422)
        .set_body_json(json!({ "type": "urn:emporium:problem:invalid", "title": "t",
        "status": 422, "detail": "d", "code": "invalid", "errors": errors }));
    answers(
        &shop.reviews,
        "POST",
        &format!("{}/reviews", product_at()),
        refused,
    )
    .await;
    let fields = [
        ("rating", "3"),
        ("title", " "),
        ("text", HOSTILE),
        ("pros", "light\r\ncheap"),
        ("attributes", "$a: 1"),
    ];
    let reply = browser.post(&form_at(), &fields).await;
    assert_eq!(reply.status, 422);
    let page = checked(&reply);
    for text in [
        "In one line must not be empty.",
        "Anything else to know keys must not contain",
        "value=\"3\" required checked",
        "light\ncheap",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains(HOSTILE));
    // Without a rating nobody is asked.
    let reply = browser
        .post(&form_at(), &[("title", "t"), ("text", "kept")])
        .await;
    assert_eq!(reply.status, 422);
    assert!(checked(&reply).contains("Your rating must be chosen") && reply.text.contains("kept"));
    let reply = browser
        .post(&form_at(), &[("rating", "3"), ("attributes", "no colon")])
        .await;
    assert!(checked(&reply).contains("name: value"));
    assert_eq!(
        requests(&shop.reviews, "POST", &format!("{}/reviews", product_at()))
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn a_review_is_written() {
    let shop = reviewed().await;
    let posted = ResponseTemplate::new(201).set_body_json(review(81, CUSTOMER));
    answers(
        &shop.reviews,
        "POST",
        &format!("{}/reviews", product_at()),
        posted,
    )
    .await;
    let long = "茶".repeat(8_000);
    let fields = [
        ("rating", "5"),
        ("title", "Good"),
        ("text", &*long),
        ("pros", "light\r\n\r\n cheap "),
        ("photos", "front"),
        (
            "attributes",
            "size: small\r\nagain: true\r\nweight: 007\r\nyears: 3",
        ),
    ];
    let reply = Browser::customer(&shop).post(&form_at(), &fields).await;
    let to = format!("{}?note=review-posted#review-{}", product_at(), id(81));
    assert_eq!(redirect(&reply), to);
    let sent = &requests(&shop.reviews, "POST", &format!("{}/reviews", product_at())).await[0];
    let sent: Value = sent.body_json().unwrap();
    assert_eq!(sent["text"], json!(long), "the longest text fits the form");
    let expected = json!({ "pros": ["light", "cheap"], "photos": [{ "caption": "front" }], "size": "small", "again": true,
        "weight": "007", "years": 3 });
    assert_eq!((&sent["attributes"], &sent["rating"]), (&expected, &json!(5)));
}

#[tokio::test]
async fn an_edit_keeps_what_the_form_does_not_show() {
    let shop = reviewed().await;
    let mut mine = review(82, CUSTOMER);
    mine["attributes"] = json!({ "pros": ["light"], "photos": [{ "caption": "front", "by": "me" }], "size": "small",
        "fit": { "deep": [1] } });
    shop.reviews.reset().await;
    all(&shop.reviews, "GET", "/by/", ok(&mine)).await;
    answers(&shop.reviews, "PUT", &format!("/reviews/{}", id(82)), ok(&mine)).await;
    let browser = Browser::customer(&shop);
    let page = browser.page(&form_at(), 200).await;
    assert_eq!(value(&page, "version"), "2");
    assert!(page.contains("size: small") && page.contains("value=\"4\" required checked"));
    let fields = [
        ("version", "2"),
        ("rating", "2"),
        ("title", "Good"),
        ("text", "Holds tea."),
        ("pros", ""),
        ("photos", "front"),
        ("attributes", "size: large"),
    ];
    let reply = browser.post(&form_at(), &fields).await;
    assert!(redirect(&reply).ends_with(&format!("note=review-changed#review-{}", id(82))));
    let sent = &requests(&shop.reviews, "PUT", &format!("/reviews/{}", id(82))).await[0];
    let sent: Value = sent.body_json().unwrap();
    let expected =
        json!({ "photos": [{ "caption": "front", "by": "me" }], "size": "large", "fit": { "deep": [1] } });
    assert_eq!((&sent["attributes"], &sent["version"]), (&expected, &json!(2)));
}

#[tokio::test]
async fn two_pages_of_one_author_lose_nothing() {
    let shop = reviewed().await;
    shop.reviews.reset().await;
    all(&shop.reviews, "GET", "/by/", ok(&review(82, CUSTOMER))).await;
    let browser = Browser::customer(&shop);
    // A form for a new review, sent after the review was written elsewhere.
    let typed = [("rating", "1"), ("title", "typed here"), ("text", "x")];
    let reply = browser.post(&form_at(), &typed).await;
    assert_eq!(reply.status, 409);
    let page = checked(&reply);
    assert!(page.contains("You have reviewed this product already") && page.contains("typed here"));
    assert_eq!(value(&page, "version"), "2");
    // A form of an older version.
    let differs = ResponseTemplate::new(409)
        .set_body_json(json!({ "type": "urn:emporium:problem:version-differs",
        "title": "t", "status": 409, "detail": "d", "code": "version-differs", "version": 5 }));
    answers(&shop.reviews, "PUT", &format!("/reviews/{}", id(82)), differs).await;
    let reply = browser
        .post(&form_at(), &[&typed[..], &[("version", "1")]].concat())
        .await;
    assert_eq!(reply.status, 409);
    let page = checked(&reply);
    assert!(page.contains("changed elsewhere") && page.contains("typed here"));
    assert_eq!(value(&page, "version"), "5");
}

#[tokio::test]
async fn votes_come_back_to_where_the_reader_was() {
    let shop = reviewed().await;
    let voter = format!("/reviews/{}/votes/{CUSTOMER}", id(80));
    let votes = json!({ "helpful": 4, "unhelpful": 1, "own_vote": true });
    answers(&shop.reviews, "PUT", &voter, ok(&votes)).await;
    answers(&shop.reviews, "DELETE", &voter, ok(&votes)).await;
    let at = format!("{}/reviews/{}/vote", product_at(), id(80));
    let browser = Browser::customer(&shop);
    let back = format!("{}?sort=new", product_at());
    let reply = browser.post(&at, &[("helpful", "true"), ("back", &back)]).await;
    assert_eq!(redirect(&reply), format!("{back}#review-{}", id(80)));
    for elsewhere in ["https://evil.example", "//evil.example", "/account"] {
        let reply = browser
            .post(&at, &[("helpful", "none"), ("back", elsewhere)])
            .await;
        assert_eq!(redirect(&reply), format!("{}#review-{}", product_at(), id(80)));
    }
    assert_eq!(requests(&shop.reviews, "PUT", &voter).await.len(), 1);
    assert_eq!(requests(&shop.reviews, "DELETE", &voter).await.len(), 3);
    for unreadable in ["", "True", "yes", "1"] {
        let reply = browser.post(&at, &[("helpful", unreadable)]).await;
        assert_eq!(reply.status, 422, "{unreadable:?}");
    }
    assert_eq!(
        requests(&shop.reviews, "DELETE", &voter).await.len(),
        3,
        "no vote is lost by that"
    );
    let reply = Browser::stranger(&shop).post(&at, &[("helpful", "true")]).await;
    assert!(redirect(&reply).starts_with("/sign-in"));
}

#[tokio::test]
async fn the_front_page_knows_who_looks() {
    let shop = stocked().await;
    let page = Browser::customer(&shop).page("/", 200).await;
    assert!(page.contains("id=\"for-you\"") && page.contains("Because you bought"));
    assert!(page.contains("id=\"buy-again\"") && page.contains("You bought it 3 times"));
    assert!(page.contains("Popular just now"));
    assert!(
        !Browser::stranger(&shop)
            .page("/", 200)
            .await
            .contains("id=\"for-you\"")
    );
    // A newcomer is shown what others like, once.
    shop.recommendations.reset().await;
    let popular = shelf(&[suggestion(1, "popular", None)]);
    all(&shop.recommendations, "GET", "/for-you", ok(&popular)).await;
    all(&shop.recommendations, "GET", "/buy-again", ok(&shelf(&[]))).await;
    let page = Browser::customer(&shop).page("/", 200).await;
    assert!(page.contains("For you: what others like these days"));
    assert!(!page.contains("id=\"popular\"") && !page.contains("id=\"buy-again\""));
}

#[tokio::test]
async fn administrators_moderate_and_answer() {
    let shop = stocked().await;
    let at = format!("/reviews/{}/moderation", id(80));
    answers(&shop.reviews, "PUT", &at, ok(&review(80, id(60)))).await;
    let browser = Browser::admin(&shop);
    let own = format!("/admin/reviews/{}/moderation", id(80));
    let reply = browser
        .post(&own, &[("state", "hidden"), ("reason", " spam ")])
        .await;
    assert_eq!(
        redirect(&reply),
        "/admin/reviews?state=visible&note=review-hidden"
    );
    let reply = browser.post(&own, &[("state", "visible"), ("reason", "x")]).await;
    assert_eq!(redirect(&reply), "/admin/reviews?state=hidden&note=review-shown");
    let sent = requests(&shop.reviews, "PUT", &at).await;
    let sent: Vec<Value> = sent.iter().map(|one| one.body_json().unwrap()).collect();
    assert_eq!(
        sent,
        [
            json!({ "state": "hidden", "reason": "spam" }),
            json!({ "state": "visible" })
        ]
    );
    assert_eq!(browser.post(&own, &[("state", "gone")]).await.status, 404);

    let answer = format!("/reviews/{}/answers/{}", id(80), id(90));
    answers(&shop.reviews, "PUT", &answer, ok(&review(80, id(60)))).await;
    answers(&shop.reviews, "DELETE", &answer, ok(&review(80, id(60)))).await;
    let own = format!("/admin/products/{}/reviews/{}/answer", id(1), id(80));
    let reply = browser
        .post(&own, &[("text", "Thanks"), ("state", "visible")])
        .await;
    assert_eq!(
        redirect(&reply),
        "/admin/reviews?state=visible&note=review-answered"
    );
    let reply = browser.post(&own, &[("text", " "), ("state", "hidden")]).await;
    assert_eq!(
        redirect(&reply),
        "/admin/reviews?state=hidden&note=review-answer-removed"
    );
    let reply = Browser::customer(&shop).post(&own, &[("text", "Thanks")]).await;
    assert_eq!(reply.status, 403);
}
