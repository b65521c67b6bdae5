//! Bad input is told clearly and changes nothing.
#![allow(clippy::unwrap_used)]

mod support;

use emporium_test_kit::Reply;
use serde_json::{Value, json};
use support::{Shop, new, path};
use uuid::Uuid;

/// What may come instead of a review, with what it is answered.
fn bad_bodies(author: Uuid) -> Vec<(String, u16, &'static str)> {
    let good = json!({"author_id": author, "rating": 3, "title": "Title", "text": "Text", "attributes": {}});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        (body.to_string(), 422, "invalid")
    };
    let raw = |field: &str, value: &str| {
        let mut body = good.clone();
        body[field] = json!("@");
        (body.to_string().replace("\"@\"", value), 400, "bad-json")
    };
    let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let mut bodies = vec![
        with("rating", json!(0)),
        with("rating", json!(6)),
        with("rating", json!(-1)),
        raw("rating", "3.5"),
        raw("rating", "1e400"),
        raw("rating", "99999999999999999999"),
        raw("rating", "\"5\""),
        raw("rating", "null"),
        with("title", json!("")),
        with("title", json!("   ")),
        with("title", json!("x".repeat(121))),
        with("title", json!("two\nlines")),
        with("text", json!("")),
        with("text", json!("x".repeat(8_001))),
        with("author_name", json!("a\nb")),
        raw("title", r#""\ud800""#),
        raw("text", r#""\udc00 alone""#),
        raw("text", r#""\ud800\u0041""#),
        raw("attributes", r#"{"a":"\ud800"}"#),
        raw("attributes", r#"{"a":1e400}"#),
        raw("attributes", "[1]"),
        raw("attributes", "\"text\""),
        raw("attributes", &nested(200)),
        with("attributes", serde_json::from_str(&nested(6)).unwrap()),
        with("attributes", json!({"a": 1e300})),
        with("attributes", json!({"a": u64::MAX})),
        with("attributes", json!({"a": "x".repeat(2_001)})),
        with("attributes", json!({"a": vec![0; 300]})),
        with("attributes", json!({"a.b": 1})),
        with("attributes", json!({"$where": 1})),
        with("attributes", json!({"": 1})),
        with(
            "attributes",
            (0..65).map(|n| (format!("k{n}"), json!(n))).collect(),
        ),
        raw("verified", "true"),
        raw("state", "\"visible\""),
        raw("helpful", "1000"),
        ("[]".to_owned(), 400, "bad-json"),
        (String::new(), 400, "bad-json"),
        ("{".to_owned(), 400, "bad-json"),
        (format!("{{\"author_id\":\"{author}\"}}"), 400, "bad-json"),
        (
            "{\"author_id\":\"me\",\"rating\":3,\"title\":\"a\",\"text\":\"b\"}".to_owned(),
            400,
            "bad-json",
        ),
    ];
    // 1 MB is over the limit for bodies; 100 kB is not, but is over the field's.
    let mut large = with("text", json!("x".repeat(1_000_000)));
    (large.1, large.2) = (413, "body-too-large");
    bodies.push(large);
    bodies.push(with("text", json!("x".repeat(100_000))));
    for bad in [
        "\0",
        "\u{7}",
        "\u{85}",
        "\u{202e}",
        "\u{2066}",
        "\u{2028}",
        "\u{1b}[31m",
    ] {
        for field in ["title", "text"] {
            bodies.push(with(field, json!(format!("a{bad}b"))));
        }
        bodies.push(with("attributes", json!({ format!("a{bad}"): 1 })));
        bodies.push(with("attributes", json!({ "a": [format!("a{bad}")] })));
    }
    bodies
}

/// A request with a path below the review's, and the status and code of its answer.
type Case = (String, Value, u16, &'static str);

fn bad_requests(author: Uuid) -> Vec<Case> {
    let (vote, answer) = (
        format!("/votes/{}", Uuid::new_v4()),
        format!("/answers/{}", Uuid::new_v4()),
    );
    let edit = json!({"author_id": author, "version": 0, "rating": 3, "title": "a", "text": "b"});
    let answered = |text: &str| {
        (
            answer.clone(),
            json!({"author_id": author, "text": text}),
            422,
            "invalid",
        )
    };
    let moderated = |body: Value| ("/moderation".to_owned(), body, 422, "invalid");
    vec![
        (vote.clone(), json!({"helpful": "yes"}), 400, "bad-json"),
        (vote, json!({}), 400, "bad-json"),
        ("/votes/me".to_owned(), json!({"helpful": true}), 404, "not-found"),
        answered(" "),
        answered(&"x".repeat(4_001)),
        answered("a\u{202e}b"),
        moderated(json!({"state": "hidden"})),
        moderated(json!({"state": "hidden", "reason": ""})),
        moderated(json!({"state": "hidden", "reason": "x".repeat(501)})),
        moderated(json!({"state": "visible", "reason": "x"})),
        (
            "/moderation".to_owned(),
            json!({"state": "gone"}),
            400,
            "bad-json",
        ),
        (String::new(), edit, 422, "invalid"),
        ("x".to_owned(), json!({}), 404, "not-found"),
    ]
}

#[tokio::test]
async fn bad_input_is_told_clearly_and_changes_nothing() {
    let shop = Shop::open().await;
    let (product, author) = new();
    let review = shop.post(product, author, 2).await;
    let list = format!("/products/{product}/reviews");
    let send = async |method: &str, path: &str, body: &str| {
        let request = shop.gateway.request(method, path);
        let request = request.header("content-type", "application/json");
        Reply::read(request.body(body.to_owned())).await
    };
    for (body, status, code) in bad_bodies(author) {
        let start: String = body.chars().take(120).collect();
        println!("{start}");
        send("POST", &list, &body).await.expect_problem(status, code);
        if body.starts_with('{') && status != 413 {
            // It would be the author's edit of the right version, if it were acceptable.
            let edit = body.replacen('{', "{\"version\":1,", 1);
            let reply = send("PUT", &path(&review), &edit).await;
            assert!(matches!(reply.status, 400 | 422), "{}", reply.text);
            assert_eq!(reply.content_type, "application/problem+json");
        }
    }
    for (below, body, status, code) in bad_requests(author) {
        let reply = send("PUT", &format!("{}{below}", path(&review)), &body.to_string()).await;
        reply.expect_problem(status, code);
    }
    let nowhere = send("POST", "/products/me/reviews", "{}").await;
    nowhere.expect_problem(404, "not-found");

    let now = shop.gateway.get(&path(&review)).await.expect(200);
    assert_eq!(now, review);
    let page = shop.gateway.get(&list).await.expect(200);
    assert_eq!(page["items"], json!([review]));
    let history = shop.gateway.get("/events").await.expect(200);
    let events = history["items"].as_array().unwrap().len();
    assert_eq!(events, 1, "refused changes leave no event");
    shop.reviews.stop().await;
}
