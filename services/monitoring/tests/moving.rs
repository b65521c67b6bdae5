//! Moving hours between PostgreSQL and Prometheus.
#![allow(clippy::unwrap_used)]

#[path = "moving/shop.rs"]
mod shop;
mod support;

use emporium_monitoring::Error;
use emporium_monitoring::model::Kind;
use emporium_monitoring::question::As;
use emporium_monitoring::store;
use emporium_moving::Decision;
use emporium_moving::record::{Ending, Phase};
use emporium_service_kit::stores::MONITORING_STORE;
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::eventually;
use emporium_test_kit::moving::TIMING;
use serde_json::{Value as Json, json};
use shop::{
    Counts, HOUR, Shop, half_past, hour, known, own_hour, point, prometheus, recorder, recorder_of_own,
    straddling, writer,
};
use support::{Peer, Says, start};
use time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_hours_say_the_same() {
    let Some(server) = prometheus(Some("400d")).await else {
        return;
    };
    let end = half_past();
    let shop = Shop::open(end - 3 * HOUR).await;
    let begin = hour(shop.now());
    let one = shop.start("").await.unwrap();
    let other = shop.start("").await.unwrap();
    let store = store::gated(&one.moving);
    let store = store.as_ref();
    let mut counts = Counts::new();
    counts
        .record(&recorder(&one), begin - 40 * HOUR, begin - 12 * HOUR)
        .await;
    counts.record(&recorder(&one), begin - 5 * HOUR, shop.now()).await;
    let before = shop.hours(store, begin).await;
    assert!(known(store, &shop, "g", As::Quantile(0.5)).await > 10);
    println!("{before}");

    // The server has scraped for a while in this hour, and long ago: that is not one time with now.
    let direct = writer(&shop, &server.url).await;
    direct.write(&own_hour(begin - 9 * HOUR)).await.unwrap();
    let mut own = own_hour(begin);
    own.retain(|point| point.at >= begin + Duration::minutes(10));
    direct.write(&own).await.unwrap();
    let outcome = one.move_to(&server.url).await;
    assert_eq!(outcome.verified[0].rows, 33 * 7, "{outcome:?}");
    assert_eq!(shop.hours(store, begin).await, before);
    let others = store::gated(&other.moving);
    eventually("the other instance follows", 10, async || {
        (shop.hours(others.as_ref(), begin).await == before).then_some(())
    })
    .await;
    assert_eq!(
        known(store, &shop, "g", As::Quantile(0.5)).await,
        0,
        "nothing is made up"
    );
    assert_eq!(known(store, &shop, "c_total", As::Avg).await, 0);
    let fine = shop.ask(store, "g", As::Max, begin, Some(1_800)).await;
    assert!(
        matches!(fine, Err(Error::StepUnsuitable { multiple_of_s: 3_600 })),
        "{fine:?}"
    );
    let auto = shop.ask(store, "g", As::Max, begin, None).await.unwrap();
    assert_eq!((auto.windows.step_s, auto.resolution), (3_600, "hour"));
    let listed = store.metrics(100).await.unwrap();
    let kinds: Vec<_> = listed
        .iter()
        .map(|one| (one.name.as_str(), one.kind, one.series))
        .collect();
    assert!(
        kinds.contains(&("h", Kind::Histogram, 1)) && kinds.contains(&("g", Kind::Gauge, 2)),
        "{kinds:?}"
    );

    // A step of hours that were brought and of what the server has by itself, which is known from its first scrape on.
    assert_eq!(straddling(&shop, store, "g", As::Sum).await.to_string(), "25");
    assert_eq!(
        straddling(&shop, store, "c_total", As::Increase)
            .await
            .to_string(),
        "49"
    );

    // Two hours and a half later, and back: what the rules have made goes with it.
    direct.write(&own_hour(begin)).await.unwrap();
    direct.write(&own_hour(begin + HOUR)).await.unwrap();
    direct.write(&own_hour(begin + 2 * HOUR)).await.unwrap();
    shop.clock.advance(3 * HOUR);
    let later = begin + 3 * HOUR;
    let before = shop.hours(store, later).await;
    for to in ["", server.url.as_str(), ""] {
        let outcome = one.move_to(to).await;
        assert!(outcome.copied > 100, "{outcome:?}");
        assert_eq!(shop.hours(store, later).await, before, "moved to {to:?}");
        println!("{outcome:?}");
    }
    assert_eq!(known(store, &shop, "g", As::Avg).await, 33 * 2 + 3);
    // One value all the time is its own median.
    assert!(known(store, &shop, "g", As::Quantile(0.5)).await < 15);
    let rate = shop
        .ask(store, "c_total", As::Rate, later, Some(3_600))
        .await
        .unwrap();
    assert_eq!(
        rate.lines[0].values.last().unwrap().unwrap().to_string(),
        (60.0 / 3_600.0_f64).to_string()
    );
    // What is collected here from now on is rolled up beside it.
    let from = shop.now();
    counts.record(&recorder(&one), from, from + HOUR).await;
    assert_eq!(shop.hours(store, later).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_at_any_step_is_followed_by_another() {
    let Some(server) = prometheus(Some("400d")).await else {
        return;
    };
    let shop = Shop::open(half_past()).await;
    let begin = hour(shop.now());
    let first = shop.start("").await.unwrap();
    Counts::new()
        .record(&recorder(&first), begin - 3 * HOUR, begin)
        .await;
    let before = shop.hours(store::gated(&first.moving).as_ref(), begin).await;
    drop(first);
    let (mut from, mut to) = (String::new(), server.url.clone());
    for steps in 1.. {
        let dying = shop.by_hand(&from).await.unwrap();
        dying.ask(&to, false).await;
        let ended = dying.work(steps).await;
        drop(dying);
        let next = match shop.start(&from).await {
            Ok(next) => next,
            Err(_) => shop.start(&to).await.unwrap(),
        };
        assert_eq!(next.ended().await.ending, Ending::Switched, "after {steps} steps");
        assert_eq!(
            shop.hours(store::gated(&next.moving).as_ref(), begin).await,
            before,
            "after {steps} steps"
        );
        let refused = shop.start(&from).await.err().unwrap().to_string();
        assert!(refused.contains("was moved from"), "{refused}");
        std::mem::swap(&mut from, &mut to);
        if ended {
            println!("a move is {steps} steps at most");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_tells_what_differs_and_a_cancelled_move_leaves_everything() {
    let Some(server) = prometheus(Some("400d")).await else {
        return;
    };
    let shop = Shop::open(half_past()).await;
    let begin = hour(shop.now());
    let one = shop.start("").await.unwrap();
    Counts::new()
        .record(&recorder(&one), begin - 3 * HOUR, shop.now())
        .await;
    let store = store::gated(&one.moving);
    let before = shop.hours(store.as_ref(), shop.now()).await;
    one.ask(&server.url, true).await;
    eventually("it waits for the operator", 60, async || {
        let view = one.moving.status().await.ok()?.under_way?;
        (view.phase == Phase::Following && view.undecided).then_some(())
    })
    .await;
    let shadow = async |wanted: fn(u64, u64) -> bool| {
        eventually("what was compared is told", 60, async || {
            let shadow = one.moving.status().await.ok()?.under_way?.shadow;
            wanted(shadow.compared, shadow.different).then_some(shadow)
        })
        .await
    };
    // The present hour is each store's own, and says nothing.
    assert_eq!(shop.hours(store.as_ref(), shop.now()).await, before);
    let told = shadow(|compared, _| compared >= 10).await;
    assert_eq!((told.different, told.failed), (0, 0), "{told:?}");
    // Behind its back, a series more.
    let mut more = point(
        "hour:increase",
        "c_total",
        None,
        begin - HOUR - Duration::seconds(1),
        4.0,
    );
    for (name, value) in &mut more.series {
        if name == "job" {
            "emporium-moved-1".clone_into(value);
        }
        if name == "n" {
            "new".clone_into(value);
        }
    }
    writer(&shop, &server.url).await.write(&[more]).await.unwrap();
    shop.hours(store.as_ref(), shop.now()).await;
    let told = shadow(|_, different| different == 1).await;
    assert!(told.differences[0].contains("2 lines"), "{told:?}");

    one.moving.decide(Decision::Cancel).await.unwrap();
    assert_eq!(one.ended().await.ending, Ending::Cancelled);
    assert_eq!(shop.hours(store.as_ref(), shop.now()).await, before);
    one.move_to(&server.url).await;
    let hours = begin - HOUR / 2;
    let moved = shop.hours(store.as_ref(), hours).await;
    assert!(
        !moved.contains("new"),
        "what was brought before counts no more: {moved}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_a_remedy() {
    let Some(server) = prometheus(None).await else {
        return;
    };
    let shop = Shop::open(half_past()).await;
    let begin = hour(shop.now());
    let one = shop.start("").await.unwrap();
    Counts::new()
        .record(&recorder(&one), begin - 2 * HOUR, shop.now())
        .await;
    one.ask(&server.url, false).await;
    let outcome = one.ended().await;
    assert_eq!(outcome.ending, Ending::Refused);
    assert!(known(store::gated(&one.moving).as_ref(), &shop, "g", As::Quantile(0.5)).await > 0);
    assert!(
        outcome.reasons[0].contains("--web.enable-remote-write-receiver"),
        "{outcome:?}"
    );

    // Nothing is to be copied into this one; then the settings that contradict where it is now are refused.
    let empty = Shop::open(half_past()).await;
    let instance = empty.start("").await.unwrap();
    instance.move_to(&server.url).await;
    let refusal = async |url: &str| {
        let mut environment = empty.home.environment(url);
        environment.clock = empty.clock.clone();
        store::open(&environment, &empty.making, TIMING)
            .await
            .err()
            .unwrap()
            .to_string()
    };
    let own = refusal("").await;
    assert!(
        own.starts_with(MONITORING_STORE) && own.contains("was moved from"),
        "{own}"
    );
    let third = refusal("prometheus://127.0.0.1:9").await;
    assert!(
        third.starts_with(MONITORING_STORE) && third.contains("set it to that store"),
        "{third}"
    );

    // A database with hours in it is not thrown away unasked.
    recorder_of_own(&empty).await;
    let request = emporium_moving::MoveRequest {
        to: "postgres:".to_owned(),
        shadow: false,
        overwrite: false,
    };
    assert!(
        instance.moving.ask(&request).await.is_ok(),
        "it was left, and is told to be free"
    );
}

/// The keeper collects into the store that is filled as soon as it is, goes on over the switch, and ends when it is left; what is
/// counted then counts once, from the first scrape on.
#[tokio::test(flavor = "multi_thread")]
async fn scrapes_go_on_while_it_moves() {
    let Some(server) = prometheus(Some("400d")).await else {
        return;
    };
    let says = |count: u32| Says::Text(format!("# TYPE c_total counter\nc_total {count}\n"));
    let orders = Peer::start(says(20)).await;
    let peers = [(ServiceName::Orders, orders.url.clone())];
    let monitoring = start(Clock::System, &peers).await;
    let operator = monitoring.service.as_caller(ServiceName::Operator);
    let phase = async |wanted: fn(&Json) -> bool, what: &str| {
        // The rules' last hour is waited for, at the beginning of an hour.
        eventually(what, 240, async || {
            let status = operator.get("/move").await;
            (status.json["last"] != json!(null) || status.json["move"] != json!(null)).then_some(())?;
            wanted(&status.json).then_some(())
        })
        .await;
    };
    let is_over = |status: &Json| status["move"].is_null() && status["last"]["ending"] == json!("switched");
    // The next scrape on this store is not to be compared with this one.
    monitoring.round().await;
    operator
        .post("/move", &json!({"to": server.url}))
        .await
        .expect(202);
    phase(is_over, "it is moved there").await;
    assert!(monitoring.keeper.recorders().await.is_empty());

    orders.will_say(says(100));
    let back = json!({"to": "postgres:", "shadow": true});
    operator.post("/move", &back).await.expect(202);
    phase(
        |status| status["move"]["undecided"] == json!(true),
        "all is there",
    )
    .await;
    assert_eq!(monitoring.keeper.recorders().await.len(), 1);
    monitoring.round().await;
    orders.will_say(says(107));
    monitoring.round().await;
    operator.post("/move/switch", &json!({})).await.expect(202);
    phase(
        |status| status["move"].is_null() && status["serving"].as_str().is_some_and(|it| it.contains("own")),
        "it is back",
    )
    .await;
    orders.will_say(says(110));
    monitoring.round().await;
    let path = "/range?metric=c_total&as=increase&by=service&step=3600";
    let answer = monitoring.gateway.get(path).await.expect(200);
    let values = answer["items"][0]["values"].as_array().unwrap();
    let counted: f64 = values.iter().filter_map(Json::as_f64).sum();
    assert_eq!(
        counted.to_string(),
        "10",
        "from the first scrape on, once: {answer}"
    );
    monitoring.service.stop().await;
}
