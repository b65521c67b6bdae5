//! Monitoring, and consumers that are paused or put something aside.

use std::time::Instant;

use emporium_test_kit::eventually;
use emporium_tests::customer::text;
use emporium_tests::{Admin, Customer, Options, ShopProcess};
use serde_json::{Value, json};

use crate::{FOLLOWS_S, PAGE_MAX, PROGRAM, buy, get, revenue};

#[tokio::test]
async fn monitoring_answers_rates_and_refuses_absurd_questions() {
    let shop = ShopProcess::start(
        PROGRAM,
        &Options::default().on("EMPORIUM_MONITORING_SCRAPE_PERIOD_MS", "400"),
    )
    .await;
    let admin = Admin::of(&shop).await;
    let product = admin.product("Mug", 500, 10).await;
    let positive = |lines: &Value| {
        let lines = lines.as_array().into_iter().flatten();
        lines
            .flat_map(|line| line["values"].as_array().unwrap())
            .filter_map(Value::as_f64)
            .any(|value| value > 0.0)
    };
    let boards = get(&admin, "/api/admin/monitoring/boards").await;
    let names: Vec<String> = boards["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|board| text(&board["name"]))
        .collect();
    for name in ["services", "stores", "consumers", "sagas", "pools"] {
        assert!(names.iter().any(|board| board == name), "{boards}");
    }
    eventually("rates of requests by service", 2 * FOLLOWS_S, async || {
        assert_eq!(
            shop.visitor().get(&format!("/products/{product}")).await.status,
            200
        );
        let query = "metric=emporium_http_request_duration_seconds&as=rate&by=service";
        let range = admin
            .api
            .get(&format!("/api/admin/monitoring/range?{query}"))
            .await;
        if range.status == 404 {
            return None; // nothing was scraped yet
        }
        let range = range.expect(200);
        let lines = range["items"].as_array().unwrap();
        let busy = |service: &str| {
            lines
                .iter()
                .any(|line| line["labels"]["service"] == service && positive(&json!([line])))
        };
        (busy("gateway") && busy("catalog") && busy("reviews")).then_some(())
    })
    .await;
    for name in ["services", "stores", "pools"] {
        eventually("a board shows something", FOLLOWS_S, async || {
            let board = get(&admin, &format!("/api/admin/monitoring/boards/{name}")).await;
            let panels = board["panels"].as_array().unwrap();
            panels
                .iter()
                .any(|panel| panel["known"] == true && positive(&panel["items"]))
                .then_some(())
        })
        .await;
    }
    let metrics = get(&admin, "/api/admin/monitoring/metrics").await;
    assert!(
        metrics["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == "emporium_consumer_lag"),
        "{metrics}"
    );
    let page = admin.api.get("/admin/operations").await;
    assert!(
        page.status == 200 && page.text.contains("<svg class=\"plot\""),
        "{}",
        page.text
    );
    absurd_questions_are_refused(&shop, &admin).await;
}

async fn absurd_questions_are_refused(shop: &ShopProcess, admin: &Admin) {
    let metric = "metric=emporium_http_request_duration_seconds";
    for (query, status) in [
        ("metric=emporium_no_such_metric".to_owned(), 404),
        ("metric=".to_owned(), 422),
        ("metric=%00".to_owned(), 422),
        ("metric=x';DROP TABLE monitoring_series;--".to_owned(), 422),
        (format!("{metric}&step=1&from=2000-01-01T00:00:00Z"), 422),
        (
            format!("{metric}&from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z"),
            422,
        ),
        (
            format!("{metric}&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"),
            422,
        ),
        (format!("{metric}&step=0"), 422),
        (format!("{metric}&step=-5"), 422),
        (format!("{metric}&step=99999999999999999999"), 400),
        (format!("{metric}&as=quantile(2)"), 422),
        (format!("{metric}&as=median"), 422),
        (format!("{metric}&by={}", "x,".repeat(200)), 422),
        ("label.a=b&".repeat(40) + metric, 422),
        (format!("{metric}&from=yesterday"), 422),
    ] {
        let began = Instant::now();
        let reply = admin
            .api
            .get(&format!("/api/admin/monitoring/range?{query}"))
            .await;
        let fits = reply.status == status
            || (matches!(reply.status, 400 | 422) && status != 404)
            || (status == 422 && reply.status == 404 && query.starts_with("metric=x"));
        assert!(fits, "{query:.100}: {} {}", reply.status, reply.text);
        assert_eq!(reply.content_type, "application/problem+json", "{query:.100}");
        assert!(
            began.elapsed() < PAGE_MAX,
            "{query:.100} took {:?}",
            began.elapsed()
        );
    }
    get(admin, "/api/admin/monitoring/metrics").await;
    for path in ["range?metric=up", "boards", "boards/services", "metrics"] {
        let path = format!("/api/admin/monitoring/{path}");
        shop.visitor()
            .get(&path)
            .await
            .expect_problem(401, "sign-in-required");
    }
    admin
        .api
        .get("/api/admin/monitoring/boards/unheard-of")
        .await
        .expect_problem(404, "unknown-board");
}

async fn projection(admin: &Admin, name: &str) -> Value {
    get(admin, &format!("/api/admin/projections/{name}")).await
}

#[tokio::test]
#[allow(clippy::too_many_lines)] // one story
async fn a_paused_projection_stands_still_and_catches_up() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let admin = Admin::of(&shop).await;
    let product = admin.product("Mug", 500, 100).await;
    let customer = Customer::sign_up(&shop).await;
    let address = customer.add_address().await;
    let gross = async || {
        revenue(&admin, "by=month").await["total"]["gross"]["amount"]
            .as_i64()
            .unwrap()
    };
    let list = get(&admin, "/api/admin/projections").await;
    let names: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    for name in [
        "sessions",
        "catalog",
        "orders",
        "recommendations",
        "reviews.ratings",
        "analytics",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(list["degraded"], json!([]));
    buy(&customer, &address, &product, 1, "tok_ok").await;
    eventually("the first order is counted", FOLLOWS_S, async || {
        (gross().await == 500).then_some(())
    })
    .await;
    let (pause, resume) = (
        "/api/admin/projections/analytics/pause",
        "/api/admin/projections/analytics/resume",
    );
    for path in [pause, resume, "/api/admin/projections/analytics/rebuild"] {
        customer
            .api
            .post(path, json!({}))
            .await
            .expect_problem(403, "administrators-only");
        shop.visitor()
            .post(path, json!({}))
            .await
            .expect_problem(401, "sign-in-required");
        let nobody = path.replace("analytics", "nobody");
        admin
            .api
            .post(&nobody, json!({}))
            .await
            .expect_problem(404, "not-found");
    }
    for _ in 0..2 {
        assert_eq!(
            admin.api.post(pause, json!({})).await.expect(200)["state"],
            "paused",
            "again is the same"
        );
    }
    let lag = async || {
        projection(&admin, "analytics").await["lag_events"]
            .as_i64()
            .unwrap()
    };
    let mut behind = Vec::new();
    for _ in 0..2 {
        let before = lag().await;
        let order = buy(&customer, &address, &product, 1, "tok_ok").await;
        eventually("it falls behind", FOLLOWS_S, async || {
            (lag().await > before).then_some(())
        })
        .await;
        behind.push((projection(&admin, "analytics").await, text(&order["placed_at"])));
    }
    let (one, (other, placed)) = (&behind[0].0, &behind[1]);
    for lag in ["lag_events", "lag_ms"] {
        assert!(
            one[lag].as_i64() < other[lag].as_i64(),
            "{lag} grows: {one} {other}"
        );
    }
    assert_eq!(one["position"], other["position"], "it stands still");
    assert!(
        text(&other["as_of"]) < *placed,
        "what was placed since is not in it: {other}"
    );
    let stale = revenue(&admin, "by=month").await;
    assert_eq!(stale["total"]["gross"]["amount"], 500, "the answer is old");
    assert!(text(&stale["as_of"]) < *placed, "and says so: {stale}");
    // The others go on.
    let recommendations = eventually("another one is up to date", FOLLOWS_S, async || {
        let status = projection(&admin, "recommendations").await;
        (status["lag_events"] == 0).then_some(status)
    })
    .await;
    assert!(text(&recommendations["as_of"]) > text(&other["as_of"]));
    assert_eq!(admin.api.post(resume, json!({})).await.status, 200);
    let status = eventually("it has caught up", FOLLOWS_S, async || {
        let status = projection(&admin, "analytics").await;
        (status["lag_events"] == 0 && status["state"] == "running").then_some(status)
    })
    .await;
    assert!(text(&status["as_of"]) > text(&other["as_of"]), "{status}");
    assert_eq!((&status["lag_ms"], gross().await), (&json!(0), 1_500));
}

#[tokio::test]
#[allow(clippy::too_many_lines)] // one story
async fn an_event_that_cannot_be_applied_is_put_aside_and_replayed() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let admin = Admin::of(&shop).await;
    let (bad, good) = (
        admin.product("Unlucky mug", 1_313, 10).await,
        admin.product("Mug", 500, 10).await,
    );
    let customer = Customer::sign_up(&shop).await;
    let address = customer.add_address().await;
    let gross = async || {
        revenue(&admin, "by=month").await["total"]["gross"]["amount"]
            .as_i64()
            .unwrap()
    };
    // A fault of this release: its table refuses some orders that are in order.
    let db = shop.db("analytics");
    let fault = "ALTER TABLE analytics_order ADD CONSTRAINT fault CHECK (total <> 1313)";
    sqlx::query(fault).execute(&db).await.unwrap();
    let order = buy(&customer, &address, &bad, 1, "tok_ok").await;
    assert_eq!(order["status"], "confirmed", "nobody who buys notices");
    buy(&customer, &address, &good, 1, "tok_ok").await;
    eventually("the others are not held up", FOLLOWS_S, async || {
        (gross().await == 500).then_some(())
    })
    .await;
    let letters = "/api/admin/dead-letters/analytics";
    let letter = eventually("it is put aside", FOLLOWS_S, async || {
        let list = get(&admin, letters).await;
        let found = list["items"].as_array().unwrap().first().cloned();
        found.filter(|_| list["items"].as_array().unwrap().len() == 1)
    })
    .await;
    assert_eq!(
        (&letter["event"]["type"], &letter["event"]["subject"]),
        (&json!("order.confirmed.v1"), &order["id"]),
        "{letter}"
    );
    assert!(
        letter["attempts"].as_i64().unwrap() >= 5 && letter["replayed_at"].is_null(),
        "{letter}"
    );
    assert!(!letter["error"].to_string().contains("postgres://"), "{letter}");
    let waiting = async || projection(&admin, "analytics").await["dead_letters"].clone();
    eventually("the projection tells of it", FOLLOWS_S, async || {
        (waiting().await == 1).then_some(())
    })
    .await;
    let page = admin.api.get("/admin/dead-letters?consumer=analytics").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let replay = format!("{letters}/{}/replay", letter["id"]);
    customer
        .api
        .post(&replay, json!({}))
        .await
        .expect_problem(403, "administrators-only");
    admin
        .api
        .post(&replay, json!({}))
        .await
        .expect_problem(409, "still-rejected");
    assert_eq!(
        admin
            .api
            .post(&format!("{letters}/replay"), json!({}))
            .await
            .expect(200)["rejected"],
        1
    );
    assert_eq!(gross().await, 500);
    // The next release has no such fault.
    sqlx::query("ALTER TABLE analytics_order DROP CONSTRAINT fault")
        .execute(&db)
        .await
        .unwrap();
    let all = admin
        .api
        .post(&format!("{letters}/replay"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&all["replayed"], &all["rejected"]),
        (&json!(1), &json!(0)),
        "{all}"
    );
    eventually("it is counted", FOLLOWS_S, async || {
        (gross().await == 1_813).then_some(())
    })
    .await;
    admin.api.post(&replay, json!({})).await;
    assert_eq!(gross().await, 1_813, "once, however often it is replayed");
    eventually("nothing waits", FOLLOWS_S, async || {
        (waiting().await == 0).then_some(())
    })
    .await;
    assert!(get(&admin, letters).await["items"][0]["replayed_at"].is_string());
    admin
        .api
        .post(&format!("{letters}/999999/replay"), json!({}))
        .await
        .expect_problem(404, "not-found");
    admin
        .api
        .get("/api/admin/dead-letters/nobody")
        .await
        .expect_problem(404, "not-found");
}
