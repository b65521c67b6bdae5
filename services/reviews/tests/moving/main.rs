//! Moving reviews between PostgreSQL and MongoDB, under traffic, with instances killed at every step.
#![allow(clippy::unwrap_used)]

mod shop;
mod traffic;

use std::sync::Arc;

use emporium_moving::record::Ending;
use emporium_moving::{Decision, MoveRequest};
use emporium_reviews::listing::Viewer;
use emporium_reviews::store::{Moderation, ReviewStore};
use emporium_service_kit::stores::REVIEWS_STORE;
use emporium_test_kit::eventually;

use shop::{Shop, mongodb, own_mongodb};
use traffic::{Customers, Traffic, goes_on};

/// What is compared, table by table.
const TABLES: [&str; 7] = [
    "event",
    "published",
    "review",
    "reviews_author",
    "reviews_standing",
    "reviews_summary",
    "vote",
];

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_under_traffic_loses_and_doubles_nothing() {
    let Some(mongodb) = mongodb().await else { return };
    let shop = Arc::new(Shop::open().await);
    let customers = [Customers::of(&shop), Customers::of(&shop), Customers::of(&shop)];
    let reviews = Arc::new(shop.start("").await);
    // A second instance, which does not know of the move but by the record.
    let other = Arc::new(shop.start("").await);
    // Somebody whose reviews nobody touches meanwhile.
    let quiet = Customers::of(&shop);
    for _ in 0..3 {
        quiet.round(&reviews).await;
    }
    reviews.caught_up().await;
    let mut history = Vec::new();
    for to in [mongodb.as_str(), "", mongodb.as_str()] {
        let (one, two) = customers.split_at(2);
        let traffic = [Traffic::begin(one, &reviews), Traffic::begin(two, &other)];
        goes_on(&customers, 6).await;
        let outcome = reviews.instance.move_to(to).await;
        println!("{outcome:?}");
        let names: Vec<&str> = outcome.verified.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, TABLES);
        assert!(outcome.verified.iter().all(|table| table.rows > 0), "{outcome:?}");
        goes_on(&customers, 6).await;
        for traffic in traffic {
            traffic.end().await;
        }
        for instance in [&reviews, &other] {
            for customers in customers.iter().chain([&quiet]) {
                customers.check(instance).await;
            }
        }
        // Not a byte of what was told before has changed.
        let now = reviews.history().await;
        let text = |items: &[emporium_event_bus::history::HistoryItem]| serde_json::to_string(items).unwrap();
        assert_eq!(text(&now[..history.len()]), text(&history));
        history = now;
    }
    reviews.rebuilds_equal().await;
    let refused = shop.try_start("", false).await.err().unwrap().to_string();
    assert!(
        refused.starts_with(REVIEWS_STORE) && refused.contains("to mongodb://"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_at_any_step_is_followed_by_another() {
    let Some(mongodb) = mongodb().await else { return };
    let shop = Arc::new(Shop::open().await);
    let customers = Customers::of(&shop);
    let (mut from, mut to) = (String::new(), mongodb);
    for steps in 1.. {
        let dying = shop.start_by_hand(&from).await;
        customers.round(&dying).await;
        dying.caught_up().await;
        dying.instance.ask(&to, false).await;
        dying.instance.work(steps).await;
        let ended = dying.instance.moving.status().await.unwrap().under_way.is_none();
        drop(dying);
        // The setting may name either store by now: the one that holds is the one that starts.
        let next = match shop.try_start(&from, false).await {
            Ok(next) => next,
            Err(_) => shop.start(&to).await,
        };
        customers.round(&next).await;
        let outcome = next.instance.ended().await;
        assert_eq!(
            outcome.ending,
            Ending::Switched,
            "killed after {steps} steps: {outcome:?}"
        );
        customers.check(&next).await;
        let refused = shop.try_start(&from, false).await.err().unwrap().to_string();
        assert!(refused.contains("was moved from"), "{refused}");
        std::mem::swap(&mut from, &mut to);
        if ended {
            println!("a move is {steps} steps at most");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_killed_in_the_middle_is_filled_when_it_is_back() {
    let Some((server, mongodb)) = own_mongodb().await else {
        return;
    };
    let shop = Arc::new(Shop::open().await);
    let customers = [Customers::of(&shop), Customers::of(&shop)];
    let reviews = Arc::new(shop.start("").await);
    let traffic = Traffic::begin(&customers, &reviews);
    goes_on(&customers, 4).await;
    reviews.instance.ask(&mongodb, true).await;
    eventually("it has copied", 60, async || {
        let view = reviews.instance.moving.status().await.ok()?.under_way?;
        (view.copied > 0).then_some(())
    })
    .await;
    server.kill().await;
    goes_on(&customers, 10).await;
    eventually("the trouble is told", 60, async || {
        let view = reviews.instance.moving.status().await.ok()?.under_way?;
        (!view.trouble.is_empty()).then_some(())
    })
    .await;
    server.restart().await;
    reviews.undecided().await;
    server.pause().await;
    goes_on(&customers, 4).await;
    server.resume().await;
    reviews.instance.moving.decide(Decision::Switch).await.unwrap();
    let outcome = reviews.instance.ended().await;
    assert_eq!(outcome.ending, Ending::Switched, "{outcome:?}");
    traffic.end().await;
    for customers in &customers {
        customers.check(&reviews).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_move_leaves_everything_where_it_was() {
    let Some(mongodb) = mongodb().await else { return };
    let shop = Arc::new(Shop::open().await);
    let customers = Customers::of(&shop);
    let reviews = shop.start("").await;
    customers.round(&reviews).await;
    reviews.instance.ask(&mongodb, true).await;
    reviews.undecided().await;
    let refused = shop.try_start(&mongodb, false).await.err().unwrap().to_string();
    assert!(
        refused.starts_with(REVIEWS_STORE) && refused.contains("has not ended"),
        "{refused}"
    );
    reviews.instance.moving.decide(Decision::Cancel).await.unwrap();
    assert_eq!(reviews.instance.ended().await.ending, Ending::Cancelled);
    customers.round(&reviews).await;
    customers.check(&reviews).await;
    // It was emptied, the projection too, so it may be moved to again.
    reviews.instance.move_to(&mongodb).await;
    customers.check(&reviews).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_data_is_not_thrown_away_unasked() {
    let Some(mongodb) = mongodb().await else { return };
    let (shop, elsewhere) = (Arc::new(Shop::open().await), Arc::new(Shop::open().await));
    let (mine, theirs) = (Customers::of(&shop), Customers::of(&elsewhere));
    let reviews = shop.start("").await;
    mine.round(&reviews).await;
    let others = elsewhere.start(&mongodb).await;
    theirs.round(&others).await;
    let mut request = MoveRequest {
        to: mongodb.clone(),
        shadow: false,
        overwrite: false,
    };
    let refused = reviews
        .instance
        .moving
        .ask(&request)
        .await
        .unwrap_err()
        .document();
    assert_eq!(refused.code, "not-empty", "{refused:?}");
    theirs.check(&others).await;
    let gone = others.history().await[0].event.subject.parse().unwrap();
    drop(others);
    request.overwrite = true;
    reviews.instance.moving.ask(&request).await.unwrap();
    assert_eq!(reviews.instance.ended().await.ending, Ending::Switched);
    mine.check(&reviews).await;
    assert_eq!(reviews.store.find(gone, Viewer::MODERATOR).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_tells_what_differs() {
    let Some(mongodb) = mongodb().await else { return };
    let shop = Arc::new(Shop::open().await);
    let customers = Customers::of(&shop);
    let reviews = shop.start("").await;
    customers.round(&reviews).await;
    reviews.caught_up().await;
    reviews.instance.ask(&mongodb, true).await;
    reviews.settled().await;
    let id = reviews.history().await[0].event.subject.parse().unwrap();
    let shadow = async |wanted: fn(u64, u64) -> bool| {
        eventually("what was compared is told", 60, async || {
            let shadow = reviews.instance.moving.status().await.ok()?.under_way?.shadow;
            wanted(shadow.compared, shadow.different).then_some(shadow)
        })
        .await
    };
    reviews.store.find(id, Viewer::MODERATOR).await.unwrap().unwrap();
    shadow(|compared, different| compared == 1 && different == 0).await;

    // Behind its back.
    let there = shop.beside(&mongodb).await;
    let hide = Moderation::Hide("nobody knows".to_owned());
    there.moderate(id, &hide).await.unwrap().unwrap();
    reviews.store.find(id, Viewer::MODERATOR).await.unwrap().unwrap();
    let told = shadow(|_, different| different == 1).await;
    assert!(!told.differences.is_empty(), "{told:?}");

    // The switch finds it too, copies once more, and is right.
    reviews.instance.moving.decide(Decision::Switch).await.unwrap();
    let outcome = reviews.instance.ended().await;
    assert_eq!(
        (outcome.ending, outcome.shadow.different),
        (Ending::Switched, 1),
        "{outcome:?}"
    );
    customers.check(&reviews).await;
}
