//! The part of the suite about making the projection anew.

use emporium_event_bus::CloudEvent;
use emporium_test_kit::projection::Beside;
use uuid::Uuid;

use super::{Bench, bought, edit, hide, named, opinion, refunded};
use crate::model::Summary;
use crate::store::{AnswerDraft, Moderation};

/// Fills the generation that is built from one owner's history, in pieces of a few events.
async fn fill(beside: &Beside<'_>, owner: &str, events: &[CloudEvent]) {
    for piece in events.chunks(3) {
        beside.fill(owner, &piece.iter().collect::<Vec<_>>()).await;
    }
}

impl Bench {
    /// Customers post, edit, buy and give back; moderators hide and show. Gives what orders and users told.
    async fn trade(&self, products: &[Uuid]) -> Vec<CloudEvent> {
        let mut events = Vec::new();
        for (n, product) in (0..).zip(products) {
            let author = Uuid::new_v4();
            events.push(named(author, "Somebody", true, 1));
            if n % 2 == 0 {
                events.push(bought(author, *product, 2));
            }
            let review = self.post(*product, author, opinion(n % 5 + 1)).await;
            if n % 3 == 0 {
                self.store.edit(&edit(&review, 1, opinion(5))).await.unwrap();
            }
            if n % 4 == 0 {
                events.push(refunded(author, *product, 2));
                self.moderate(&review, hide()).await;
            }
            if n % 8 == 0 {
                self.moderate(&review, Moderation::Show).await;
            }
            let answer = AnswerDraft {
                review_id: review.id,
                answer_id: Uuid::new_v4(),
                author_id: author,
                text: "Thank you.".to_owned(),
            };
            self.store.answer(&answer).await.unwrap();
        }
        events
    }

    async fn all_summaries(&self, products: &[Uuid]) -> Vec<Summary> {
        let mut found = self.store.summaries(products).await.unwrap();
        found.sort_by_key(|summary| summary.product_id);
        found
    }
}

/// The other generation is built from histories while customers go on; both are equal in the end, and switching shows no
/// difference.
pub async fn a_rebuild_beside_the_shop_ends_equal(bench: Bench) {
    let products: Vec<Uuid> = (0..16).map(|_| Uuid::new_v4()).collect();
    let mut told = bench.trade(&products).await;
    bench.absorb(&told).await;
    // Hidden before anybody counted them, if history brings both events at once: in pieces of three, one of these pairs does.
    for _ in 0..3 {
        let review = bench.post(Uuid::new_v4(), Uuid::new_v4(), opinion(1)).await;
        bench.moderate(&review, hide()).await;
    }
    let projection = bench.store.projection();
    let beside = Beside::begin(&*projection, &["/orders", "/users", "/reviews"]).await;

    let own = bench.history().await;
    fill(&beside, "/reviews", &own[..own.len() / 2]).await;
    let meanwhile = bench.trade(&products).await;
    bench.absorb(&meanwhile).await;
    told.extend(meanwhile);
    fill(&beside, "/reviews", &own[own.len() / 2..]).await;
    fill(&beside, "/orders", &told).await;
    assert!(
        beside.compare().await.is_none(),
        "the live one has not had its own events back yet"
    );
    let own = bench.history().await;
    fill(&beside, "/reviews", &own).await;
    bench.absorb(&own).await;

    let before = bench.all_summaries(&products).await;
    let comparison = beside.are_equal("the shop went on").await;
    assert!(
        comparison.tables.iter().all(|table| table.rows_rebuilt > 0),
        "{comparison:?}"
    );
    let rebuild = beside.rebuild();
    let outcome = beside.switch(&comparison).await;
    assert_eq!((outcome.id, outcome.equal), (rebuild, Some(true)));
    assert_eq!(bench.all_summaries(&products).await, before);
    for product in &products {
        assert_eq!(bench.summary(*product).await, bench.counted(*product).await);
    }
    // Verbs write to the new one.
    bench.trade(&products).await;
    for product in &products {
        assert_eq!(bench.summary(*product).await, bench.counted(*product).await);
    }
}

/// Verbs have put their changes into summaries already; their own events, in any order and more than once, add nothing.
pub async fn what_comes_back_by_the_bus_changes_nothing(bench: Bench) {
    let products: Vec<Uuid> = (0..8).map(|_| Uuid::new_v4()).collect();
    let told = bench.trade(&products).await;
    bench.absorb(&told).await;
    let before = bench.all_summaries(&products).await;
    assert!(before.len() > 4);
    let mut own = bench.history().await;
    // One by one, so that each old version comes after the newer ones.
    own.reverse();
    for events in own.chunks(1) {
        bench.absorb(events).await;
        bench.absorb(events).await;
        assert_eq!(bench.all_summaries(&products).await, before);
    }
}
