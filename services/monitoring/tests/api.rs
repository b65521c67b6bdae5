//! The API, on a real database and with services that say what the test wants.
#![allow(clippy::unwrap_used)]

mod support;

use emporium_service_kit::{Clock, ServiceName};
use serde_json::{Value, json};
use support::{Peer, Says, rfc3339, start};
use time::Duration;
use time::macros::datetime;

fn text(n: i32) -> Says {
    Says::Text(format!(
        "# TYPE emporium_http_request_duration_seconds histogram\n\
         emporium_http_request_duration_seconds_bucket{{route=\"/x\",status=\"2xx\",le=\"0.1\"}} {}\n\
         emporium_http_request_duration_seconds_bucket{{route=\"/x\",status=\"2xx\",le=\"+Inf\"}} {0}\n\
         emporium_http_request_duration_seconds_sum{{route=\"/x\",status=\"2xx\"}} {}\n\
         emporium_http_request_duration_seconds_bucket{{route=\"/x\",status=\"5xx\",le=\"0.1\"}} {}\n\
         emporium_http_request_duration_seconds_bucket{{route=\"/x\",status=\"5xx\",le=\"+Inf\"}} {2}\n\
         emporium_http_request_duration_seconds_sum{{route=\"/x\",status=\"5xx\"}} 0\n\
         emporium_http_request_duration_seconds_bucket{{route=\"/metrics\",status=\"2xx\",le=\"+Inf\"}} {}\n\
         emporium_http_request_duration_seconds_sum{{route=\"/metrics\",status=\"2xx\"}} 0\n\
         # TYPE emporium_orders_ended_total counter\nemporium_orders_ended_total{{outcome=\"confirmed\"}} {0}\n\
         emporium_orders_sagas{{step=\"charge\"}} 3\nemporium_consumer_lag{{group=\"orders\"}} {n}\n\
         emporium_pool_connections{{state=\"used\"}} 2\n\
         # TYPE emporium_store_call_duration_seconds histogram\n\
         emporium_store_call_duration_seconds_bucket{{store=\"redis\",operation=\"GET\",le=\"0.001\"}} {n}\n\
         emporium_store_call_duration_seconds_bucket{{store=\"redis\",operation=\"GET\",le=\"+Inf\"}} {n}\n\
         emporium_store_call_duration_seconds_sum{{store=\"redis\",operation=\"GET\"}} 0\n\
         emporium_store_call_duration_seconds_bucket{{store=\"redis\",operation=\"XREAD\",le=\"0.001\"}} 0\n\
         emporium_store_call_duration_seconds_bucket{{store=\"redis\",operation=\"XREAD\",le=\"1\"}} {3}\n\
         emporium_store_call_duration_seconds_bucket{{store=\"redis\",operation=\"XREAD\",le=\"+Inf\"}} {3}\n\
         emporium_store_call_duration_seconds_sum{{store=\"redis\",operation=\"XREAD\"}} 0\n",
        n * 30,
        f64::from(n) * 1.5,
        n * 10,
        n * 1_000,
    ))
}

#[tokio::test]
async fn each_route_has_its_callers() {
    let monitoring = start(Clock::System, &[]).await;
    let operator = monitoring.service.as_caller(ServiceName::Operator);
    for path in ["/metric-names", "/range?metric=up", "/boards", "/boards/services"] {
        let anonymous = monitoring.service.anonymous().get(path).await;
        anonymous.expect_problem(401, "service-token-required");
        let orders = monitoring.service.as_caller(ServiceName::Orders).get(path).await;
        orders.expect_problem(403, "caller-not-allowed");
    }
    operator.get("/boards").await.expect(200);
    monitoring.gateway.get("/metric-names").await.expect(200);
    monitoring
        .service
        .anonymous()
        .get("/health/ready")
        .await
        .expect(200);
    let stores = operator.get("/stores").await.expect(200);
    assert_eq!(
        (&stores[0]["adapter"], &stores[0]["lacks"]),
        (&json!("postgresql"), &json!([]))
    );
    monitoring.service.stop().await;
}

#[tokio::test]
async fn a_range_is_answered() {
    let began = datetime!(2026-05-04 12:00 UTC);
    let clock = Clock::manual(began);
    let orders = Peer::start(text(0)).await;
    let monitoring = start(clock.clone(), &[(ServiceName::Orders, orders.url.clone())]).await;
    for n in 0..=12 {
        orders.will_say(text(n));
        monitoring.round().await;
        clock.advance(Duration::seconds(10));
    }
    let gateway = &monitoring.gateway;
    let (from, to) = (rfc3339(began), rfc3339(began + Duration::seconds(120)));
    let common = format!("from={from}&to={to}&label.service=orders");
    for settled in [false, true] {
        let ended = gateway
            .get(&format!(
                "/range?metric=emporium_orders_ended_total&as=increase&step=60&{common}"
            ))
            .await
            .expect(200);
        assert_eq!(ended["items"][0]["values"], json!([150.0, 180.0]), "{settled}");
        assert_eq!(
            ended["items"][0]["labels"],
            json!({"outcome": "confirmed", "service": "orders"})
        );
        assert_eq!(
            (
                &ended["kind"],
                &ended["as"],
                &ended["step_s"],
                &ended["resolution"],
                &ended["relative_error"]
            ),
            (
                &json!("counter"),
                &json!("increase"),
                &json!(60),
                &json!("minute"),
                &Value::Null
            )
        );
        assert_eq!((&ended["from"], &ended["to"]), (&json!(from), &json!(to)));
        let usual = gateway
            .get(&format!(
                "/range?metric=emporium_orders_ended_total&step=10&{common}"
            ))
            .await
            .expect(200);
        assert_eq!(
            (&usual["as"], &usual["resolution"]),
            (&json!("rate"), &json!("raw"))
        );
        assert_eq!(
            usual["items"][0]["values"][0],
            Value::Null,
            "of the first scrape nothing is known"
        );
        assert_eq!(usual["items"][0]["values"][5], json!(3.0));
        let lag = gateway
            .get(&format!(
                "/range?metric=emporium_consumer_lag&as=quantile(0.5)&step=120&by=&{common}"
            ))
            .await
            .expect(200);
        assert_eq!(
            (&lag["relative_error"], &lag["items"][0]["labels"]),
            (&json!(0.01), &json!({}))
        );
        let median = lag["items"][0]["values"][0].as_f64().unwrap();
        assert!((median - 5.0).abs() < 0.051, "{median}");
        let requests = gateway
            .get(&format!(
                "/range?metric=emporium_http_request_duration_seconds&as=increase&step=60&not.route=/metrics&by=status&{common}"
            ))
            .await
            .expect(200);
        assert_eq!(requests["items"][0]["values"], json!([150.0, 180.0]));
        assert_eq!(requests["items"][1]["values"], json!([50.0, 60.0]));
        monitoring.keeper.roll_up().await.unwrap();
    }
    let names = gateway.get("/metric-names").await.expect(200);
    let names: Vec<&str> = names["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"up") && names.contains(&"emporium_orders_sagas"),
        "{names:?}"
    );
    assert!(names.contains(&"emporium_monitoring_series"), "its own as well");
    monitoring.service.stop().await;
}

#[tokio::test]
async fn boards_answer_what_is_asked_most() {
    let began = datetime!(2026-05-04 12:00 UTC);
    let clock = Clock::manual(began);
    let orders = Peer::start(text(0)).await;
    let peers = [
        (ServiceName::Orders, orders.url.clone()),
        (ServiceName::Users, "http://127.0.0.1:9".to_owned()),
    ];
    let monitoring = start(clock.clone(), &peers).await;
    for n in 0..=12 {
        orders.will_say(text(n));
        monitoring.round().await;
        clock.advance(Duration::seconds(10));
    }
    let (from, to) = (rfc3339(began), rfc3339(began + Duration::seconds(120)));
    let show = async |name: &str| {
        let path = format!("/boards/{name}?from={from}&to={to}&step=120");
        monitoring.gateway.get(&path).await.expect(200)
    };
    let line = |board: &Value, panel: &str, labels: Value| {
        let panels = board["panels"].as_array().unwrap();
        let panel = panels.iter().find(|it| it["name"] == panel).unwrap().clone();
        assert_eq!(panel["known"], true, "{panel}");
        let found = panel["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["labels"] == labels);
        found.unwrap_or_else(|| panic!("{panel}"))["values"][0].clone()
    };
    let services = show("services").await;
    assert_eq!(
        (&services["step_s"], &services["from"]),
        (&json!(120), &json!(from))
    );
    let of = |panel: &str, service: &str| line(&services, panel, json!({"service": service}));
    assert_eq!(
        (of("up", "orders"), of("up", "users"), of("up", "monitoring")),
        (json!(1.0), json!(0.0), json!(1.0))
    );
    assert_eq!(
        of("request_rate", "orders"),
        json!(4.0),
        "40 in 10 s, scrapes left out"
    );
    assert_eq!(of("error_share", "orders"), json!(0.25));
    let median = of("duration_p50", "orders").as_f64().unwrap();
    assert!(median > 0.0 && median <= 0.1, "{median}");
    let sagas = show("sagas").await;
    assert_eq!(line(&sagas, "sagas", json!({"step": "charge"})), json!(3.0));
    assert_eq!(
        line(&sagas, "ended", json!({"outcome": "confirmed"})),
        json!(330.0)
    );
    let consumers = show("consumers").await;
    assert_eq!(
        line(&consumers, "lag", json!({"service": "orders", "group": "orders"})),
        json!(11.0)
    );
    let pools = show("pools").await;
    assert_eq!(
        line(
            &pools,
            "connections_peak",
            json!({"service": "orders", "state": "used"})
        ),
        json!(2.0)
    );
    assert!(
        line(&pools, "connections_max", json!({"service": "monitoring"}))
            .as_f64()
            .unwrap()
            > 0.0
    );
    let stores = show("stores").await;
    let own = json!({"service": "monitoring", "store": "postgresql"});
    assert!(line(&stores, "call_rate", own.clone()).as_f64().unwrap() > 0.0);
    assert_eq!(line(&stores, "error_share", own), json!(0.0));
    let redis = line(
        &stores,
        "duration_p99",
        json!({"service": "orders", "store": "redis"}),
    );
    assert!(
        redis.as_f64().unwrap() <= 0.001,
        "waiting for events is not slowness: {redis}"
    );
    let events = show("events").await;
    let unpublished = &events["panels"][0];
    assert_eq!(
        (&unpublished["known"], &unpublished["items"]),
        (&json!(false), &json!([])),
        "nobody exports it here"
    );
    every_board_answers(&monitoring.gateway).await;
    monitoring.service.stop().await;
}

async fn every_board_answers(gateway: &emporium_test_kit::Caller) {
    let listed = gateway.get("/boards").await.expect(200);
    for board in listed["items"].as_array().unwrap() {
        let path = format!("/boards/{}", board["name"].as_str().unwrap());
        gateway.get(&path).await.expect(200);
    }
    gateway
        .get("/boards/none")
        .await
        .expect_problem(404, "unknown-board");
}

#[tokio::test]
async fn absurd_questions_are_clear_problems() {
    let monitoring = start(Clock::manual(datetime!(2026-05-04 12:00 UTC)), &[]).await;
    monitoring.round().await;
    let gateway = &monitoring.gateway;
    let long = "x".repeat(3_000);
    let many_labels: Vec<String> = (0..11).map(|n| format!("&label.l{n}=x")).collect();
    let many_labels = many_labels.concat();
    for (query, status, code) in [
        ("", 422, "invalid"),
        ("metric=", 422, "invalid"),
        ("metric=a-b", 422, "invalid"),
        (&format!("metric={long}"), 422, "invalid"),
        ("metric=unknown_metric", 404, "unknown-metric"),
        ("metric=unknown_metric&as=avg", 404, "unknown-metric"),
        ("metric=up%00", 422, "invalid"),
        ("metric=up&metric=up", 422, "invalid"),
        ("metric=up&colour=red", 422, "invalid"),
        ("metric=up&as=median", 422, "invalid"),
        ("metric=up&as=quantile(1.5)", 422, "invalid"),
        ("metric=up&as=rate", 422, "not-for-this-kind"),
        ("metric=up&step=0", 422, "invalid"),
        ("metric=up&step=-5", 422, "invalid"),
        ("metric=up&step=1.5", 422, "invalid"),
        ("metric=up&step=99999999999999999999", 422, "invalid"),
        ("metric=up&step=3", 422, "invalid"),
        (
            "metric=up&from=2026-05-04T11:00:00Z&to=2026-05-04T11:00:00Z",
            422,
            "invalid",
        ),
        (
            "metric=up&from=2026-05-04T11:00:00Z&to=2026-05-04T10:00:00Z",
            422,
            "invalid",
        ),
        ("metric=up&from=2024-01-01T00:00:00Z", 422, "invalid"),
        (
            "metric=up&from=0000-01-01T00:00:00Z&to=9999-12-31T23:59:59Z",
            422,
            "invalid",
        ),
        ("metric=up&from=yesterday", 422, "invalid"),
        ("metric=up&from=2026-05-03T11:00:00Z&step=1", 422, "invalid"),
        (
            "metric=up&from=2026-05-04T10:55:00Z&to=2026-05-04T10:56:00Z&step=5",
            422,
            "step-unsuitable",
        ),
        (
            "metric=up&from=2026-04-04T10:55:00Z&step=3000",
            422,
            "step-unsuitable",
        ),
        ("metric=up&label.=x", 422, "invalid"),
        ("metric=up&label.a-b=x", 422, "invalid"),
        ("metric=up&label.a=x&label.a=y", 422, "invalid"),
        (&format!("metric=up&label.a={long}"), 422, "invalid"),
        (&format!("metric=up{many_labels}"), 422, "invalid"),
        ("metric=up&by=a-b", 422, "invalid"),
        ("metric=up&by=a,b,c,d,e,f,g,h,i,j,k", 422, "invalid"),
    ] {
        let answer = gateway.get(&format!("/range?{query}")).await;
        let text = answer.text.clone();
        assert!(text.len() < 1_000, "{query}: nothing long is echoed");
        assert_eq!(answer.content_type, "application/problem+json", "{query}");
        assert_eq!(
            (answer.status, answer.json["code"].as_str().unwrap()),
            (status, code),
            "{query}: {text}"
        );
    }
    let million = gateway
        .get("/range?metric=up&from=2026-05-03T12:00:00Z&step=1")
        .await;
    assert!(million.text.contains("86400 steps"), "{}", million.text);
    let finer = gateway
        .get("/range?metric=up&from=2026-05-04T10:55:00Z&to=2026-05-04T10:56:00Z&step=5")
        .await
        .expect_problem(422, "step-unsuitable");
    assert_eq!(finer["multiple_of_s"], 60);
    for query in [
        "from=2020-01-01T00:00:00Z&to=2020-06-01T00:00:00Z",
        "from=9998-01-01T00:00:00Z&to=9998-06-01T00:00:00Z",
    ] {
        let nothing = gateway
            .get(&format!("/range?metric=up&{query}"))
            .await
            .expect(200);
        assert!(nothing["items"].as_array().unwrap().len() <= 1);
    }
    for query in [
        "step=0",
        "from=x",
        "metric=up",
        "to=2020-01-01T00:00:00Z&from=2026-01-01T00:00:00Z",
    ] {
        let answer = gateway.get(&format!("/boards/services?{query}")).await;
        answer.expect_problem(422, "invalid");
    }
    monitoring.service.stop().await;
}
