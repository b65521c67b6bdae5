//! Bulk loads: repeatable, streamed, in whole transactions.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Shop, id};

fn record(n: usize) -> Value {
    json!({"id": Uuid::now_v7(), "email": format!("customer{n}@bulk.example"), "name": format!("Customer {n}"),
        "origin": "imported", "name_invented": true, "created_at": "2010-12-01T08:26:00Z",
        "preferences": {"n": n, "tab": "a\tb\\c\nd"}, "points": n,
        "addresses": [
            {"id": Uuid::now_v7(), "street": "not recorded", "city": "France", "postal_code": "", "country": "ZZ", "is_default": false},
            {"id": Uuid::now_v7(), "street": "2 \\N Road", "city": "Paris", "postal_code": "75001", "country": "FR", "is_default": false}],
        "password": null})
}

#[tokio::test]
async fn a_load_repeated_changes_nothing() {
    let shop = Shop::start().await;
    let records: Vec<Value> = (0..4_500).map(record).collect();
    let first = shop.operator.bulk("/bulk/users", &records).await.expect(200);
    assert_eq!(
        first,
        json!({"received": 4500, "loaded": 4500, "unchanged": 0, "rejected_count": 0, "rejected": []})
    );
    let again = shop.operator.bulk("/bulk/users", &records).await.expect(200);
    assert_eq!((&again["loaded"], &again["unchanged"]), (&json!(0), &json!(4500)));
    let user = shop.user(&id(&records[3])).await;
    assert_eq!(user["preferences"], records[3]["preferences"]);
    assert_eq!(
        (&user["points"], &user["origin"]),
        (&json!(3), &json!("imported"))
    );
    assert_eq!(
        (&user["name_invented"], &user["created_at"]),
        (&json!(true), &json!("2010-12-01T08:26:00Z"))
    );
    let book = shop
        .gateway
        .get(&format!("/users/{}/addresses", id(&user)))
        .await
        .expect(200);
    assert_eq!(
        (&book["items"][0]["is_default"], &book["items"][1]["is_default"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(book["items"][1]["street"], "2 \\N Road");
    let (events, ids): (i64, i64) = sqlx::query_as("SELECT count(*), count(DISTINCT id) FROM users_outbox")
        .fetch_one(&shop.users.db())
        .await
        .unwrap();
    assert_eq!((events, ids), (4500, 4500));
    let page = shop.orders.get("/events?limit=1").await.expect(200);
    let event = &page["items"][0]["event"];
    assert_eq!(
        (&event["type"], &event["time"]),
        (&json!("user.registered.v1"), &json!("2010-12-01T08:26:00Z"))
    );
    assert_eq!(event["data"]["origin"], "imported");
}

#[tokio::test]
async fn the_same_event_comes_out_of_the_same_record() {
    let record = record(1);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let shop = Shop::start().await;
        shop.operator
            .bulk("/bulk/users", std::slice::from_ref(&record))
            .await
            .expect(200);
        let page = shop.orders.get("/events").await.expect(200);
        ids.push(page["items"][0]["event"]["id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_with_its_reason() {
    let shop = Shop::start().await;
    shop.register("taken").await;
    let with = |field: &str, value: Value| {
        let mut record = record(7);
        record["email"] = json!(format!("{}@bulk.example", Uuid::new_v4()));
        record[field] = value;
        record
    };
    let good = with("name", json!("Good"));
    let mut shares_address = with("name", json!("Shares an address"));
    shares_address["addresses"] = good["addresses"].clone();
    let mut two_defaults = with("name", json!("Two defaults"));
    for address in two_defaults["addresses"].as_array_mut().unwrap() {
        address["is_default"] = json!(true);
    }
    let bad = [
        (
            with("email", json!("taken@example.com")),
            "belongs to another account",
        ),
        (with("email", good["email"].clone()), "belongs to another account"),
        (shares_address, "address id"),
        (two_defaults, "at most one"),
        (with("email", json!("nobody")), "email"),
        (with("name", json!("a\u{0}b")), "name"),
        (with("name", json!("x".repeat(201))), "name"),
        (with("created_at", json!("0000-01-01T00:00:00Z")), "created_at"),
        (
            with("created_at", json!("9999-12-31T23:59:59-23:59")),
            "created_at",
        ),
        (with("created_at", json!("yesterday")), ""),
        (with("points", json!(-1)), "points"),
        (with("points", json!(i64::MAX)), "points"),
        (with("points", json!(1.5)), ""),
        (with("preferences", json!({"a\u{0}": 1})), "NUL"),
        (with("preferences", json!({"a": "x".repeat(9_000)})), "bytes"),
        (with("preferences", json!([])), ""),
        (with("password", json!("short")), "password"),
        (with("origin", json!("stolen")), ""),
        (with("id", json!("1")), ""),
        (
            with(
                "addresses",
                json!([{"id": Uuid::nil(), "street": "", "city": "a", "postal_code": "", "country": "GB"}]),
            ),
            "street",
        ),
        (
            with(
                "addresses",
                json!([{"id": Uuid::nil(), "street": "a", "city": "a", "postal_code": "", "country": "gb"}]),
            ),
            "country",
        ),
    ];
    let mut records = vec![good.clone()];
    records.extend(bad.iter().map(|(record, _)| record.clone()));
    let summary = shop.operator.bulk("/bulk/users", &records).await.expect(200);
    assert_eq!(
        (&summary["received"], &summary["loaded"]),
        (&json!(records.len()), &json!(1))
    );
    assert_eq!(summary["rejected_count"], bad.len());
    let rejected = summary["rejected"].as_array().unwrap();
    for (n, (record, reason)) in bad.iter().enumerate() {
        let found = rejected.iter().find(|rejection| rejection["line"] == n + 2);
        let text = found.unwrap_or_else(|| panic!("not refused: {record}"))["reason"]
            .as_str()
            .unwrap();
        assert!(text.contains(reason), "{text} for {record}");
    }
    // Only the good record left traces.
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM users_outbox")
        .fetch_one(&shop.users.db())
        .await
        .unwrap();
    assert_eq!(count, 2);
}

#[tokio::test]
async fn demo_accounts_sign_in_and_are_hashed_once() {
    let shop = Shop::start().await;
    let mut demo = record(1);
    demo["password"] = json!("demo password");
    // The same record twice in one stream, and again.
    let summary = shop
        .operator
        .bulk("/bulk/users", &[demo.clone(), demo.clone()])
        .await
        .expect(200);
    assert_eq!(
        (&summary["loaded"], &summary["unchanged"]),
        (&json!(1), &json!(1))
    );
    shop.operator
        .bulk("/bulk/users", &[demo.clone()])
        .await
        .expect(200);
    let body = json!({"email": demo["email"], "password": "demo password"});
    let verified = shop.sessions.post("/credentials/verify", body).await.expect(200);
    assert_eq!(verified["user_id"], demo["id"]);
}

#[tokio::test]
async fn a_broken_stream_leaves_whole_transactions() {
    let shop = Shop::start().await;
    let lines: Vec<String> = (0..2_500).map(|n| record(n).to_string()).collect();
    let whole = lines.join("\n");
    let cut = whole.len() - 40;
    let parts = [
        Ok(whole.as_bytes()[..cut].to_vec()),
        Err(std::io::Error::other("the importer was killed")),
    ];
    let request = shop
        .operator
        .request("POST", "/bulk/users")
        .body(reqwest::Body::wrap_stream(futures::stream::iter(parts)));
    assert!(request.send().await.is_err());
    let count = async || -> (i64, i64) {
        sqlx::query_as("SELECT (SELECT count(*) FROM users_account), (SELECT count(*) FROM users_outbox)")
            .fetch_one(&shop.users.db())
            .await
            .unwrap()
    };
    emporium_test_kit::eventually("the first chunk is loaded", 10, async || {
        (count().await == (2_000, 2_000)).then_some(())
    })
    .await;
}
