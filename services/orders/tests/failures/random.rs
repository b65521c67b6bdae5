//! Random schedules of faults.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config as ProptestConfig, TestRng, TestRunner};

use crate::LOSSES;
use crate::support::{Fault, Points, Stage, Stock, assert_consistent, quick};

fn schedule() -> impl Strategy<Value = Vec<(&'static str, Vec<Fault>)>> {
    let operations = vec![
        "reserve",
        "points",
        "charge",
        "look-up",
        "extend",
        "commit",
        "void",
        "cancel-points",
        "release",
        "confirm-points",
        "clear-cart",
    ];
    let forever = |fault: Fault| prop::collection::vec(Just(fault), 60);
    let faults = prop_oneof![
        4 => Just(vec![]),
        4 => prop::collection::vec(prop::sample::select(LOSSES.to_vec()), 1..4),
        1 => forever(Fault::LostRequest),
        1 => forever(Fault::LostAnswer),
        1 => prop::collection::vec(Just(Fault::ArrivesLate), 1..3),
        1 => Just(vec![Fault::LostAnswer, Fault::Refuse]),
        1 => Just(vec![Fault::Refuse]),
    ];
    let steps = ["reserve", "points", "charge", "extend", "commit"];
    operations
        .into_iter()
        .map(|operation| {
            // Debts may be lost, but a service that refuses what it must accept for ever is another story.
            let refusable = steps.contains(&operation);
            faults.clone().prop_map(move |faults| {
                let fine = |fault: &Fault| refusable || *fault != Fault::Refuse;
                let limit = if refusable { 60 } else { 4 };
                let kept: Vec<Fault> = faults.iter().copied().filter(fine).take(limit).collect();
                (operation, kept)
            })
        })
        .collect::<Vec<_>>()
}

/// Random schedules of faults at every call: each order ends, and leaves behind what its status says.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_the_order_ends_and_the_books_agree() {
    let stage = Stage::start(quick()).await;
    let seed = emporium_test_kit::seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let tokens = prop::sample::select(vec![
        "tok_ok",
        "tok_ok",
        "tok_decline",
        "tok_slow",
        "tok_timeout",
        "tok_later",
    ]);
    let strategy = (tokens, schedule());
    let mut cases = Vec::new();
    for _ in 0..80 {
        let (token, schedule) = strategy.new_tree(&mut runner).unwrap().current();
        let ada = stage.shop.customer();
        for (operation, faults) in &schedule {
            stage.shop.faults(ada, operation, faults);
        }
        cases.push((token, schedule, ada));
    }
    let work = cases
        .iter()
        .map(|(token, _, ada)| stage.buy_patiently(*ada, token));
    let results = futures::future::join_all(work).await;
    for ((token, schedule, ada), reply) in cases.iter().zip(results) {
        let order = stage.settled(&reply.json["id"]).await;
        let took = |name: &str| {
            time::OffsetDateTime::parse(
                order[name].as_str().unwrap(),
                &time::format_description::well_known::Rfc3339,
            )
            .unwrap()
        };
        assert!(stage.shop.traces(*ada).len() <= 1);
        assert_consistent(&order, &stage.shop.traces_of(&order));
        let ended = took("updated_at") - took("placed_at");
        assert!(
            *token == "tok_later" || ended < time::Duration::seconds(15),
            "{ended} {token} {schedule:?}"
        );
    }
    // Requests that arrive long after the end change nothing any more.
    emporium_test_kit::eventually("all have settled", 5, async || {
        let world = stage.shop.world();
        let open = |stock: Option<Stock>| stock == Some(Stock::Held);
        let pending = |points: Option<Points>| points == Some(Points::Pending);
        (!world.sagas.values().any(|t| open(t.stock) || pending(t.points))).then_some(())
    })
    .await;
    stage.orders.stop().await;
}
