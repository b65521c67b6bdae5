//! The same events give what PostgreSQL gives: the same digests, and the same lists, to the last bit of each score.

use emporium_event_bus::CloudEvent;
use emporium_event_bus::projection::Comparison;
use emporium_test_kit::projection::Beside;
use neo4rs::BoltType;
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::shared;
use crate::model::Scope;
use crate::store::contract::history::{History, random};
use crate::store::neo4j::client::Statement;
use crate::store::{Made, RecommendationStore, fresh_postgres};

const HISTORIES: u16 = 60;

/// Tables with what they had, and their digests.
fn contents(comparison: &Comparison) -> Vec<(String, i64, Option<String>)> {
    let of = comparison.tables.iter();
    of.map(|table| (table.table.clone(), table.rows_live, table.digest_live.clone()))
        .collect()
}

/// A list, with the bits of its scores.
fn exact(made: &Made) -> Vec<String> {
    let items = made.items.iter();
    items
        .map(|item| format!("{:x} {item:?}", item.score.to_bits()))
        .collect()
}

async fn shelves(store: &dyn RecommendationStore, history: &History) -> Vec<Vec<String>> {
    let mut lists = Vec::new();
    for good in &history.goods {
        lists.push(exact(&store.also_bought(*good, 50).await.unwrap()));
    }
    lists.push(exact(
        &store.bought_together(&history.goods[..1], 50).await.unwrap(),
    ));
    lists.push(exact(
        &store.bought_together(&history.goods[..2], 50).await.unwrap(),
    ));
    for customer in &history.customers {
        lists.push(exact(&store.for_you(*customer, Scope::New, 50).await.unwrap()));
        lists.push(exact(&store.for_you(*customer, Scope::All, 50).await.unwrap()));
        lists.push(exact(&store.buy_again(*customer, 50).await.unwrap()));
    }
    for limit in [1, 7, 50] {
        lists.push(exact(&store.popular(limit).await.unwrap()));
    }
    lists
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_digests_are_those_of_postgres() {
    let (Some(neo4j), Some(postgres)) = (shared().await, fresh_postgres().await) else {
        return;
    };
    let seed = emporium_test_kit::seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let histories: Vec<History> = (0..HISTORIES).map(|number| random(seed, number)).collect();
    let events: Vec<&CloudEvent> = histories.iter().flat_map(|history| &history.events).collect();
    let (here, there) = (neo4j.projection(), postgres.projection());
    let (here, there) = (
        Beside::begin(&*here, &["/orders"]).await,
        Beside::begin(&*there, &["/orders"]).await,
    );
    here.deliver(&events, &mut rng).await;
    there.deliver(&events, &mut rng).await;
    let (ours, theirs) = (
        here.are_equal("on Neo4j").await,
        there.are_equal("on PostgreSQL").await,
    );
    assert_eq!(contents(&ours), contents(&theirs));
    assert!(contents(&ours).iter().all(|(_, rows, _)| *rows > 20), "{ours:?}");
    for history in &histories {
        let (ours, theirs) = (shelves(&neo4j, history).await, shelves(&*postgres, history).await);
        assert_eq!(ours, theirs);
    }
    // And so of what was built the other way.
    here.switch(&ours).await;
    let last = &histories[0];
    assert_eq!(shelves(&neo4j, last).await, shelves(&*postgres, last).await);
}

/// Comparing reads the graph itself: a relationship that is gone, or a basket that was changed, is told.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_damaged_is_told() {
    const DAMAGE: Statement = Statement {
        name: "damage",
        text: "MATCH (b:Basket {build: $build, id: $id})-[r:HAS]->() WITH b, r LIMIT 1 DELETE r SET b.units = [99]",
    };
    let Some(store) = shared().await else { return };
    let projection = store.projection();
    let beside = Beside::begin(&*projection, &["/orders"]).await;
    let history = random(emporium_test_kit::seed(), 7);
    let events: Vec<&CloudEvent> = history.events.iter().collect();
    projection.apply(&events).await.unwrap();
    beside.are_equal("before the damage").await;
    let build = store.moments.mark().await.unwrap().build;
    let order: Uuid = history.orders[0].id;
    let parameters: [(&str, BoltType); 2] =
        [("build", build.into()), ("id", order.simple().to_string().into())];
    store
        .client
        .first_transaction(move |tx| Box::pin(async move { tx.run(&DAMAGE, parameters).await }))
        .await
        .unwrap();
    let comparison = beside.compare().await.unwrap();
    let unequal: Vec<&str> = (comparison.tables.iter())
        .filter(|table| !table.equal)
        .map(|table| table.table.as_str())
        .collect();
    assert_eq!(unequal, ["recommendations_basket", "recommendations_purchase"]);
    let told = comparison.differences.join("\n");
    assert!(
        told.contains(&order.to_string()) && told.contains("{99}"),
        "{told}"
    );
    assert!(
        told.contains("recommendations_purchase") && told.contains("was not there, is"),
        "{told}"
    );
}
