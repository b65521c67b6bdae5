//! How many bytes a review may take.

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::reviews::{knows_customer, list_at, review, review_at, with_review};
use crate::support::*;

/// Each character as an escape, as some serialisers write all of them.
fn escaped(text: &str) -> String {
    let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    units.concat()
}

/// The longest review that there may be, in the longest way to write it: how many bytes it takes says nothing about whether it
/// is allowed. What is longer than any such is refused unread, and so is what is long elsewhere.
#[tokio::test]
async fn the_longest_review_is_taken_however_it_is_written() {
    let shop = with_review(CUSTOMER).await;
    knows_customer(&shop, "Ann").await;
    let posting = format!("/products/{}/reviews", id(1));
    let posted = ResponseTemplate::new(201).set_body_json(review(80, CUSTOMER));
    answers(&shop.reviews, "POST", &posting, posted).await;
    let changing = format!("/reviews/{}", id(80));
    answers(&shop.reviews, "PUT", &changing, ok(&review(80, CUSTOMER))).await;
    let (title, text) = ("\u{1F600}".repeat(120), "\u{1F600}".repeat(8_000));
    // Eight texts of two thousand are just within 16 KiB.
    let pro = "<".repeat(2_000);
    let pros = vec![format!("\"{}\"", escaped(&pro)); 8].join(",");
    let body = format!(
        r#"{{"version":2,"rating":4,"title":"{}","text":"{}","attributes":{{"pros":[{pros}]}}}}"#,
        escaped(&title),
        escaped(&text)
    );
    assert!(body.len() > 190_000, "{}", body.len());
    let send = async |verb: &str, at: String, body: String| {
        let request = shop.customer().request(verb, &at);
        let request = request.header("content-type", "application/json").body(body);
        emporium_test_kit::Reply::read(request).await
    };
    let new = body.replacen(r#""version":2,"#, "", 1);
    send("POST", list_at(), new.clone()).await.expect(201);
    send("PUT", review_at(""), body).await.expect(200);
    for (verb, at) in [("POST", &posting), ("PUT", &changing)] {
        let sent: Value = requests(&shop.reviews, verb, at).await[0].body_json().unwrap();
        assert_eq!((&sent["title"], &sent["text"]), (&json!(title), &json!(text)));
        assert_eq!(sent["attributes"], json!({ "pros": vec![&pro; 8] }));
    }
    // White space, up to the last byte and beyond.
    let padded = |bytes: usize| new.clone() + &" ".repeat(bytes - new.len());
    let most = emporium_gateway::REVIEW_BYTES_MAX;
    send("POST", list_at(), padded(most)).await.expect(201);
    let more = send("POST", list_at(), padded(most + 1)).await;
    more.expect_problem(413, "body-too-large");
    let vote = format!(r#"{{"helpful":true}}{}"#, " ".repeat(65 * 1024));
    let elsewhere = send("PUT", review_at("/vote"), vote).await;
    elsewhere.expect_problem(413, "body-too-large");
}
