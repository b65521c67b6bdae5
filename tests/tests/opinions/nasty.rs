//! What nobody should send, and what nobody should be harmed by.

use emporium_service_kit::stores::REVIEWS_STORE;
use emporium_test_kit::{Reply, eventually};
use emporium_tests::customer::text;
use emporium_tests::{Admin, Customer, ShopProcess};
use mongodb::Client;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use serde_json::json;
use uuid::Uuid;

use crate::{list, opinion, page, post, reviews_of};

/// A body of a review as text, with one of its parts replaced.
fn body(part: &str, json: &str) -> String {
    let parts = [
        ("rating", "4"),
        ("title", "\"Fine\""),
        ("text", "\"It is fine.\""),
        ("attributes", "{}"),
    ];
    let member =
        |(name, usual): (&str, &str)| format!("\"{name}\":{}", if name == part { json } else { usual });
    format!("{{{}}}", parts.map(member).join(","))
}

/// A form as a browser without JavaScript sends it.
fn form_of(who: &Customer, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let mut url = reqwest::Url::parse("http://form.example").unwrap();
    url.query_pairs_mut().extend_pairs(fields);
    let request = who.api.request("POST", path);
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(url.query().unwrap().to_owned())
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

#[allow(clippy::too_many_lines)] // a table of cases
fn refused() -> Vec<(String, String)> {
    let mut cases = Vec::new();
    let mut with = |part: &str, json: &str| cases.push((format!("{part} {json:.60}"), body(part, json)));
    for rating in [
        "0",
        "6",
        "-1",
        "1.5",
        "5.0",
        "\"5\"",
        "null",
        "true",
        "[5]",
        "{}",
        "1e400",
        "99999999999999999999",
    ] {
        with("rating", rating);
    }
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    for words in [
        "",
        "   ",
        "two\nlines",
        "a\0b",
        "bell \u{7}",
        "turned \u{202E}round",
        "isolated \u{2066}x",
        "line \u{2028}x",
        &"é".repeat(121),
    ] {
        with("title", &quoted(words));
    }
    for words in [
        "",
        " \n\t ",
        "a\0b",
        "escape \u{1b}[2J",
        "turned \u{202E}round",
        "para \u{2029}x",
        &"é".repeat(8_001),
    ] {
        with("text", &quoted(words));
    }
    for json in [
        "null",
        "7",
        "[\"x\"]",
        "{\"x\":\"y\"}",
        "\"\\ud800\"",
        "\"\\u0000\"",
    ] {
        with("title", json);
        with("text", json);
    }
    let numbers = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let keys: Vec<String> = (0..65).map(|n| format!("\"k{n}\":1")).collect();
    for attributes in [
        "[]".to_owned(),
        "\"pros\"".to_owned(),
        "7".to_owned(),
        nested(6),
        nested(100),
        nested(5_000),
        format!("{{{}}}", keys.join(",")),
        format!("{{\"many\":[{}]}}", numbers(257)),
        format!("{{\"long\":{}}}", quoted(&"x".repeat(2_001))),
        format!("{{\"{}\":1}}", "k".repeat(65)),
        "{\"\":1}".to_owned(),
        "{\"a.b\":1}".to_owned(),
        "{\"a:b\":1}".to_owned(),
        "{\"$where\":\"sleep(1000)\"}".to_owned(),
        "{\"a\\u0000b\":1}".to_owned(),
        "{\"turned\\u202e\":1}".to_owned(),
        "{\"pros\":[\"turned\\u202e\"]}".to_owned(),
        "{\"pros\":[\"a\\u0000b\"]}".to_owned(),
        "{\"n\":9007199254740993}".to_owned(),
        "{\"n\":1e400}".to_owned(),
        format!("{{\"long\":[{}]}}", vec![quoted(&"y".repeat(1_900)); 9].join(",")),
    ] {
        with("attributes", &attributes);
    }
    for (name, raw) in [
        ("no rating", r#"{"title":"Fine","text":"It is fine."}"#),
        ("no title", r#"{"rating":4,"text":"It is fine."}"#),
        ("no text", r#"{"rating":4,"title":"Fine"}"#),
        (
            "marked by itself",
            r#"{"rating":4,"title":"Fine","text":"Fine.","verified":true}"#,
        ),
        (
            "somebody else's",
            r#"{"rating":4,"title":"Fine","text":"Fine.","author_id":"00000000-0000-4000-8000-000000000000"}"#,
        ),
        (
            "shown by itself",
            r#"{"rating":4,"title":"Fine","text":"Fine.","state":"visible"}"#,
        ),
        (
            "two ratings",
            r#"{"rating":4,"rating":5,"title":"Fine","text":"Fine."}"#,
        ),
        ("cut off", r#"{"rating":4,"title":"Fine","te"#),
        ("no JSON", "rating=4&title=Fine&text=Fine"),
        ("a list", "[4,\"Fine\",\"Fine.\"]"),
        ("nothing", ""),
        ("null", "null"),
    ] {
        cases.push((name.to_owned(), raw.to_owned()));
    }
    cases
}

/// And gives back what was typed.
async fn the_form_refuses_the_same(ada: &Customer, product: &str) {
    let form = format!("/products/{product}/review");
    for (rating, title, words) in [
        ("1.5", "Typed in vain", "x"),
        ("9", "Typed in vain", "x"),
        ("", "Typed in vain", "x"),
        ("4", "Typed in vain", ""),
        ("4", "Typed in vain", "a\0b"),
    ] {
        let fields = [
            ("rating", rating),
            ("title", title),
            ("text", words),
            ("pros", "light\nlight"),
        ];
        let reply = Reply::read(form_of(ada, &form, &fields)).await;
        assert!(
            matches!(reply.status, 400 | 422),
            "{rating} {words:?}: {} {}",
            reply.status,
            reply.text
        );
        assert!(
            reply.text.contains("Typed in vain") && reply.text.contains("review-form"),
            "{rating} {words:?}: {}",
            reply.text
        );
    }
    let large = [("rating", "4"), ("title", "Fine"), ("text", &"x".repeat(1 << 20))];
    assert_eq!(Reply::read(form_of(ada, &form, &large)).await.status, 413);
}

pub async fn what_is_not_acceptable_is_refused_whole(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Target of bad opinions", 900, 5).await;
    let ada = Customer::sign_up(shop).await;
    let path = reviews_of(&product);
    let send = |raw: Vec<u8>| {
        ada.api
            .request("POST", &path)
            .header("content-type", "application/json")
            .body(raw)
    };
    for (name, raw) in refused() {
        let reply = Reply::read(send(raw.into_bytes())).await;
        assert!(
            matches!(reply.status, 400 | 422),
            "{name}: {} {}",
            reply.status,
            reply.text
        );
        assert_eq!(
            reply.content_type, "application/problem+json",
            "{name}: {}",
            reply.text
        );
        assert!(
            !reply.text.contains("panicked") && !reply.text.contains("postgres"),
            "{name}: {}",
            reply.text
        );
    }
    let broken = [
        b"{\"rating\":4,\"title\":\"",
        &[0xff, 0xfe][..],
        b"\",\"text\":\"x\"}",
    ]
    .concat();
    Reply::read(send(broken)).await.expect_problem(400, "bad-json");
    let megabyte = body("text", &serde_json::to_string(&"x".repeat(1 << 20)).unwrap());
    Reply::read(send(megabyte.clone().into_bytes()))
        .await
        .expect_problem(413, "body-too-large");
    // The same without saying before how long it is.
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> = megabyte
        .as_bytes()
        .chunks(8_192)
        .map(|part| Ok(part.to_vec()))
        .collect();
    let stream = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let streamed = ada
        .api
        .request("POST", &path)
        .header("content-type", "application/json")
        .body(stream);
    Reply::read(streamed).await.expect_problem(413, "body-too-large");
    let form = ada
        .api
        .request("POST", &path)
        .header("content-type", "text/plain")
        .body(body("", ""));
    Reply::read(form)
        .await
        .expect_problem(415, "unsupported-media-type");
    shop.visitor()
        .post(&path, opinion(4, "Fine"))
        .await
        .expect_problem(401, "sign-in-required");
    let unknown = reviews_of(&Uuid::new_v4().to_string());
    ada.api
        .post(&unknown, opinion(4, "Fine"))
        .await
        .expect_problem(404, "not-found");
    let reply = ada
        .api
        .post(&reviews_of("not-a-product"), opinion(4, "Fine"))
        .await;
    assert!((400..423).contains(&reply.status), "{}", reply.text);
    the_form_refuses_the_same(&ada, &product).await;
    // None of it left anything behind, by the API or behind it.
    assert_eq!(list(&ada.api, &product).await["summary"]["count"], 0);
    assert_eq!(
        ada.api.get("/api/me/reviews").await.expect(200)["items"],
        json!([])
    );
    let author: Uuid = ada.id.parse().unwrap();
    assert_eq!(kept_of(shop, author).await, [0, 0]);
    post(&ada, &product, 4, "Fine after all").await;
    assert_eq!(kept_of(shop, author).await, [1, 1]);
}

/// The reviews of an author and the events about them, as the store has them.
async fn kept_of(shop: &ShopProcess, author: Uuid) -> [u64; 2] {
    let Some(url) = shop.store(REVIEWS_STORE) else {
        let counts = [
            "SELECT count(*) FROM reviews_review WHERE author_id = $1",
            "SELECT count(*) FROM reviews_outbox WHERE data->>'author_id' = $1::text",
        ];
        let db = shop.db("reviews");
        return futures::future::join_all(counts.map(async |sql| {
            let rows: i64 = sqlx::query_scalar(sql).bind(author).fetch_one(&db).await.unwrap();
            rows.unsigned_abs()
        }))
        .await
        .try_into()
        .unwrap();
    };
    let client = Client::with_uri_str(url).await.unwrap();
    let database = client.default_database().unwrap();
    let id = Bson::Binary(Binary {
        subtype: BinarySubtype::Uuid,
        bytes: author.as_bytes().to_vec(),
    });
    let all = [
        ("reviews_review", doc! { "author_id": id }),
        // An event's data is a text.
        (
            "reviews_outbox",
            doc! { "data": { "$regex": author.to_string() } },
        ),
    ];
    futures::future::join_all(all.map(async |(name, of_author)| {
        let documents = database.collection::<Document>(name);
        documents.count_documents(of_author).await.unwrap()
    }))
    .await
    .try_into()
    .unwrap()
}

pub async fn whatever_is_written_is_shown_as_text(shop: &ShopProcess) {
    const SCRIPT: &str = "<script>alert('read')</script>";
    const IMAGE: &str = "\"><img src=x onerror=alert(2)>";
    let admin = Admin::of(shop).await;
    let product = admin.product("Target of scripts", 900, 5).await;
    let (ada, bob) = (Customer::sign_up(shop).await, Customer::sign_up(shop).await);
    ada.api
        .patch("/api/me", json!({ "name": format!("Ada {SCRIPT}") }))
        .await
        .expect(200);
    let zalgo = format!("z{} 😀 \u{200B}\u{FEFF} 日本語 العربية", "\u{0301}".repeat(50));
    let written = json!({
        "rating": 1, "title": format!("{SCRIPT} {IMAGE}"), "text": format!("{SCRIPT}\n\n{IMAGE}\n{zalgo}\n{{{{ 7*7 }}}} ${{7*7}} javascript:alert(3)"),
        "attributes": {
            "pros": [SCRIPT, IMAGE, 3, true, null], "cons": IMAGE, "photos": [{ "caption": SCRIPT }, { "nothing": IMAGE }, 7],
            "__proto__": { "constructor": SCRIPT }, SCRIPT: IMAGE, "'; DROP TABLE reviews_review; --": [[["deep"]]], "unheard_of": { IMAGE: [1, 2] },
        },
    });
    let review = ada.api.post(&reviews_of(&product), &written).await.expect(201);
    let own = format!("{}/{}", reviews_of(&product), text(&review["id"]));
    let answer = json!({ "text": format!("Dear {SCRIPT}") });
    admin.api.put(&format!("{own}/answer"), &answer).await.expect(201);
    // The API gives what was written, unchanged.
    let seen = bob.api.get(&own).await.expect(200);
    for part in ["rating", "title", "text", "attributes"] {
        assert_eq!(seen[part], written[part], "{part}");
    }
    let found = bob
        .api
        .request("GET", &reviews_of(&product))
        .query(&[("attribute", format!("pros:{IMAGE}"))]);
    assert_eq!(
        Reply::read(found).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1,
        "and finds it by it"
    );
    let named = eventually("the new name arrives", 20, async || {
        let html = page(&bob.api, &product).await;
        html.contains("Ada &").then_some(html)
    });
    let moderation = format!("/api/admin/reviews/{}/moderation", text(&review["id"]));
    let hide = json!({ "state": "hidden", "reason": format!("Because {SCRIPT}") });
    let mut pages = vec![named.await];
    for (who, path) in [
        (&shop.visitor(), format!("/products/{product}")),
        (&ada.api, format!("/products/{product}")),
        (&ada.api, format!("/products/{product}/review")),
        (&ada.api, "/account/reviews".to_owned()),
        (&admin.api, "/admin/reviews?state=visible".to_owned()),
    ] {
        pages.push(who.get(&path).await.text);
    }
    admin.api.put(&moderation, &hide).await.expect(200);
    for (who, path) in [
        (&ada.api, "/account/reviews".to_owned()),
        (&ada.api, format!("/products/{product}")),
        (&admin.api, "/admin/reviews?state=hidden".to_owned()),
    ] {
        let reply = who.get(&path).await;
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("script-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
        pages.push(reply.text);
    }
    for html in pages {
        assert!(html.contains("alert("), "the review is on the page: {html}");
        for live in [
            "<script>alert",
            "<img src=x",
            "Dear <script",
            "Because <script",
            "Ada <script",
            "href=\"javascript:",
        ] {
            assert!(!html.contains(live), "{live}: {html}");
        }
    }
}

pub async fn strange_questions_are_answered_in_order(shop: &ShopProcess) {
    let admin = Admin::of(shop).await;
    let product = admin.product("Target of strange questions", 900, 5).await;
    let ada = Customer::sign_up(shop).await;
    post(&ada, &product, 4, "Fine").await;
    let list = reviews_of(&product);
    let long = "x".repeat(5_000);
    for (name, value, refused) in [
        ("sort", "sideways", true),
        ("rating", "0", true),
        ("rating", "6", true),
        ("rating", "1.5", true),
        ("rating", "five", true),
        ("verified", "perhaps", true),
        ("limit", "0", true),
        ("limit", "101", true),
        ("limit", "-1", true),
        ("limit", "1e3", true),
        ("cursor", "nonsense", true),
        ("cursor", &*long, true),
        ("cursor", "AAAA\u{0}", true),
        ("attribute", "pros", true),
        ("attribute", "$.pros:x", true),
        ("attribute", &*long, true),
        ("attribute", "a\u{0}:b", true),
        ("attribute", "pros:' OR '1'='1", false),
        ("attribute", "pros:\" || true || \"", false),
        ("attribute", "pros:@ ? (exists(@.**))", false),
        ("unknown", "x", false),
    ] {
        let reply = Reply::read(shop.visitor().request("GET", &list).query(&[(name, value)])).await;
        if refused {
            assert!(
                matches!(reply.status, 400 | 422),
                "{name}={value:.40}: {} {}",
                reply.status,
                reply.text
            );
            assert_eq!(
                reply.content_type, "application/problem+json",
                "{name}={value:.40}"
            );
        } else {
            let found = reply.expect(200)["items"].as_array().unwrap().len();
            assert_eq!(found, usize::from(name == "unknown"), "{name}={value}");
        }
        // A page is a page, whatever its address says.
        let name = match name {
            "rating" => "stars",
            "attribute" => "with",
            other => other,
        };
        let shown = shop
            .visitor()
            .request("GET", &format!("/products/{product}"))
            .query(&[(name, value)]);
        let reply = Reply::read(shown).await;
        assert!(
            reply.status == 200 && reply.text.contains("What customers say"),
            "{name}={value:.40}: {} {}",
            reply.status,
            reply.text
        );
    }
    let six: Vec<(&str, String)> = (0..6).map(|n| ("attribute", format!("k{n}:v"))).collect();
    Reply::read(shop.visitor().request("GET", &list).query(&six))
        .await
        .expect_problem(422, "invalid");
    shop.visitor()
        .get(&reviews_of(&Uuid::new_v4().to_string()))
        .await
        .expect_problem(404, "not-found");
}
