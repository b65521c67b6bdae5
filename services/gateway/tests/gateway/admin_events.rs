//! Projections and dead letters: what consumers of events are doing, pausing, rebuilding, replaying; by the API and by pages.

use serde_json::{Value, json};

use crate::browser::{Browser, checked, redirect};
use crate::consumers::consuming;
use crate::support::*;

#[tokio::test]
async fn every_consumer_is_listed_and_those_away_are_named() {
    let (shop, _) = consuming().await;
    let list = shop.admin().get("/api/admin/projections").await.expect(200);
    let names: Vec<(&str, &str)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["service"].as_str().unwrap(), item["name"].as_str().unwrap()))
        .collect();
    let expected = ["sessions", "catalog", "orders", "recommendations"].map(|name| (name, name));
    assert_eq!(names[..4], expected);
    assert_eq!(
        names[4..],
        [("reviews", "reviews.ratings"), ("analytics", "analytics")]
    );
    let first = &list["items"][0];
    for field in [
        "state",
        "error",
        "position",
        "end",
        "lag_events",
        "lag_ms",
        "as_of",
        "dead_letters",
        "rebuild",
        "outcome",
    ] {
        assert!(first.get(field).is_some(), "{field}");
    }
    assert_eq!(list["degraded"], json!([]));

    goes_away(&shop.orders).await;
    goes_away(&shop.analytics).await;
    let list = shop.admin().get("/api/admin/projections").await.expect(200);
    assert_eq!(list["degraded"], json!(["orders", "analytics"]));
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
    let page = Browser::admin(&shop).page("/admin/projections", 200).await;
    assert!(
        page.contains("(analytics) does not answer") && page.contains("id=\"projection-reviews.ratings\"")
    );
    let one = shop.admin().get("/api/admin/projections/orders").await;
    assert_eq!(
        one.expect_problem(503, "service-unavailable")["service"],
        "orders"
    );
}

#[tokio::test]
async fn a_paused_consumer_falls_behind_and_catches_up() {
    let (shop, _) = consuming().await;
    let at = "/api/admin/projections/reviews.ratings";
    let paused = shop
        .admin()
        .post(&format!("{at}/pause"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&paused["state"], &paused["service"]),
        (&json!("paused"), &json!("reviews"))
    );
    let lag = async || {
        shop.admin().get(at).await.expect(200)["lag_events"]
            .as_i64()
            .unwrap()
    };
    let (first, second) = (lag().await, lag().await);
    assert!(0 < first && first < second, "{first} {second}");

    let admin = Browser::admin(&shop);
    let page = admin.page("/admin/projections/reviews.ratings", 200).await;
    assert!(page.contains("Paused") && page.contains("id=\"resume\"") && !page.contains("id=\"pause\""));
    assert!(!page.contains("http-equiv"), "nothing moves");
    let resumed = admin.post("/admin/projections/reviews.ratings/resume", &[]).await;
    assert_eq!(
        redirect(&resumed),
        "/admin/projections/reviews.ratings?note=projection-resumed"
    );
    assert_eq!(lag().await, 0);
    let paused = admin.post("/admin/projections/reviews.ratings/pause", &[]).await;
    assert!(
        admin
            .page(redirect(&paused), 200)
            .await
            .contains("Its events wait.")
    );
}

#[tokio::test]
async fn a_rebuild_is_followed_on_its_page_to_its_outcome() {
    let (shop, ratings) = consuming().await;
    let admin = Browser::admin(&shop);
    let at = "/admin/projections/reviews.ratings";
    let page = admin.page(at, 200).await;
    assert!(page.contains("id=\"rebuild-now\"") && !page.contains("id=\"outcome\""));
    let asked = admin.post(&format!("{at}/rebuild"), &[]).await;
    let page = admin.page(redirect(&asked), 200).await;
    assert!(
        page.contains("value=\"25\"") && page.contains("http-equiv=\"refresh\""),
        "a quarter is read"
    );
    assert!(!page.contains("id=\"rebuild-now\""), "one is under way");
    let list = admin.page("/admin/projections", 200).await;
    assert!(list.contains("Rebuild: 50 %") && list.contains("http-equiv=\"refresh\""));
    admin.page(at, 200).await;
    let page = admin.page(at, 200).await;
    assert!(page.contains("id=\"outcome\"") && page.contains("Equal") && page.contains("1,234"));
    assert!(!page.contains("http-equiv"), "it is over");

    ratings.lock().unwrap().equal = Some(false);
    assert!(!page.contains("id=\"not-compared\""));
    let page = admin.page(at, 200).await;
    assert!(page.contains("It differed") && page.contains("ratings: &#60;b&#62;row"));
    ratings.lock().unwrap().for_the_bus = true;
    let page = admin.page(at, 200).await;
    assert!(page.contains("Not compared") && page.contains("id=\"not-compared\""));
    let by_api = shop
        .admin()
        .post(&format!("/api{at}/rebuild"), json!({}))
        .await
        .expect(202);
    assert_eq!(by_api["rebuild"]["phase"], "reading");
}

#[tokio::test]
async fn dead_letters_of_every_consumer() {
    let (shop, ratings) = consuming().await;
    ratings.lock().unwrap().letters = (1..=4).map(|id| (id, false)).collect();
    for name in ["sessions", "catalog", "orders", "recommendations", "analytics"] {
        let shown = shop
            .admin()
            .get(&format!("/api/admin/dead-letters/{name}"))
            .await
            .expect(200);
        assert_eq!(shown, json!({ "items": [], "next_cursor": null }), "{name}");
    }
    let at = "/api/admin/dead-letters/reviews.ratings";
    let page = shop.admin().get(&format!("{at}?limit=3")).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = shop
        .admin()
        .get(&format!("{at}?limit=3&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(
        (&rest["items"][0]["id"], &rest["next_cursor"]),
        (&json!(4), &Value::Null)
    );
    let replayed = shop
        .admin()
        .post(&format!("{at}/2/replay"), json!({}))
        .await
        .expect(200);
    assert_eq!(replayed["replayed_at"], AT);
    shop.admin()
        .post(&format!("{at}/1/replay"), json!({}))
        .await
        .expect_problem(409, "still-rejected");
    shop.admin()
        .post(&format!("{at}/9/replay"), json!({}))
        .await
        .expect_problem(404, "not-found");
    let done = shop
        .admin()
        .post(&format!("{at}/replay"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        done,
        json!({ "replayed": 1, "rejected": 2, "next_after": null, "error": null }),
        "4; 1 and 3 still not"
    );
    for name in [
        "users",
        "..",
        "reviews%2Fx",
        "reviews.",
        "Orders",
        "orders%3Fa=b",
        "gateway",
    ] {
        let reply = shop.admin().get(&format!("/api/admin/dead-letters/{name}")).await;
        reply.expect_problem(404, "not-found");
    }
    shop.admin()
        .get(&format!("{at}?cursor=!"))
        .await
        .expect_problem(400, "bad-cursor");
}

#[tokio::test]
async fn replaying_many_takes_them_by_the_hundred() {
    let (shop, ratings) = consuming().await;
    let letters = |from: i64, to: i64, replayed: bool| (from..=to).map(move |id| (id * 2, replayed));
    ratings.lock().unwrap().letters = letters(1, 150, true).chain(letters(151, 270, false)).collect();
    let at = "/api/admin/dead-letters/reviews.ratings/replay";
    let first = shop.admin().post(at, json!({})).await.expect(200);
    assert_eq!(
        first,
        json!({ "replayed": 100, "rejected": 0, "next_after": 500, "error": null })
    );
    let second = shop.admin().post(at, json!({})).await.expect(200);
    assert_eq!(
        second,
        json!({ "replayed": 20, "rejected": 0, "next_after": null, "error": null }),
        "those replayed are passed over"
    );
}

#[tokio::test]
async fn neither_thousands_replayed_nor_a_hundred_refused_stand_in_the_way() {
    let (shop, ratings) = consuming().await;
    let replayed = (1..=2_500).map(|id| (id, true));
    let refused = (0..150).map(|n| (3_001 + 2 * n, false));
    ratings.lock().unwrap().letters = replayed.chain(refused).chain([(4_000, false)]).collect();
    let at = "/api/admin/dead-letters/reviews.ratings/replay";
    let first = shop.admin().post(at, json!({})).await.expect(200);
    assert_eq!(
        first,
        json!({ "replayed": 0, "rejected": 100, "next_after": 3_199, "error": null })
    );
    let on = format!("{at}?after=3199");
    let second = shop.admin().post(&on, json!({})).await.expect(200);
    assert_eq!(
        second,
        json!({ "replayed": 1, "rejected": 50, "next_after": null, "error": null })
    );

    let admin = Browser::admin(&shop);
    let asked = admin
        .post("/admin/dead-letters/reviews.ratings/replay", &[])
        .await;
    let page = admin.page(redirect(&asked), 200).await;
    assert!(page.contains("/admin/dead-letters/reviews.ratings/replay?after=3199"));
}

#[tokio::test]
async fn what_was_replayed_before_a_failure_is_told() {
    let (shop, ratings) = consuming().await;
    {
        let mut ratings = ratings.lock().unwrap();
        ratings.letters = (1..=10).map(|id| (id * 2, false)).collect();
        ratings.breaks_at = Some(14);
    }
    let at = "/api/admin/dead-letters/reviews.ratings/replay";
    let some = shop.admin().post(at, json!({})).await.expect(200);
    assert_eq!(
        some,
        json!({ "replayed": 7, "rejected": 0, "next_after": 12, "error": "service-unavailable" }),
        "4, and 3 of the 4 beside the one that failed"
    );
    ratings.lock().unwrap().breaks_at = None;
    let rest = shop
        .admin()
        .post(&format!("{at}?after=12"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&rest["replayed"], &rest["next_after"]),
        (&json!(3), &Value::Null)
    );
    ratings.lock().unwrap().letters = vec![(2, false)];
    ratings.lock().unwrap().breaks_at = Some(2);
    let none = shop.admin().post(at, json!({})).await;
    none.expect_problem(503, "service-unavailable");
}

#[tokio::test]
async fn dead_letters_are_replayed_on_their_page() {
    let (shop, ratings) = consuming().await;
    ratings.lock().unwrap().letters = vec![(1, false), (2, false), (4, true)];
    let admin = Browser::admin(&shop);
    // Those of whoever has most.
    let page = admin.page("/admin/dead-letters", 200).await;
    assert!(page.contains("reviews.ratings (2)") && page.contains("id=\"letter-1\""));
    assert!(page.contains("no &#60;such&#62; field") && page.contains("&#60;/pre&#62;&#60;script"));
    assert_eq!(page.matches("Applied").count(), 1);
    let replayed = admin
        .post("/admin/dead-letters/reviews.ratings/2/replay", &[])
        .await;
    let page = admin.page(redirect(&replayed), 200).await;
    assert!(page.contains("has been applied") && page.matches("Applied").count() == 2);
    let refused = admin
        .post("/admin/dead-letters/reviews.ratings/1/replay", &[])
        .await;
    assert!(
        admin
            .page(redirect(&refused), 200)
            .await
            .contains("could not be applied this time either")
    );
    let some = admin
        .post("/admin/dead-letters/reviews.ratings/replay", &[])
        .await;
    assert!(
        admin
            .page(redirect(&some), 200)
            .await
            .contains("not all of them could be applied")
    );
    ratings.lock().unwrap().letters[0].0 = 6;
    let all = admin
        .post("/admin/dead-letters/reviews.ratings/replay", &[])
        .await;
    assert!(
        admin
            .page(redirect(&all), 200)
            .await
            .contains("All events that waited")
    );
    assert!(ratings.lock().unwrap().letters.iter().all(|letter| letter.1));

    goes_away(&shop.reviews).await;
    let page = admin
        .page("/admin/dead-letters?consumer=reviews.ratings", 200)
        .await;
    assert!(page.contains("so this part is missing"));
    let page = admin
        .page("/admin/dead-letters?consumer=%3Cscript%3E&cursor=x", 200)
        .await;
    assert!(page.contains("There is no such projection."));
    let failed = admin
        .post("/admin/dead-letters/reviews.ratings/replay", &[])
        .await;
    assert_eq!(failed.status, 503);
    checked(&failed);
}
