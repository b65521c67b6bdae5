//! The part of the suite about making the projection anew.

use std::time::Duration;

use emporium_event_bus::CloudEvent;
use emporium_event_bus::history::HistoryItem;
use emporium_event_bus::projection::{Cursor, Generations, Piece, Work};
use uuid::Uuid;

use super::{Bench, bought, edit, hide, named, opinion, refunded};
use crate::changes::KINDS;
use crate::model::Summary;
use crate::store::{AnswerDraft, Moderation};

const LEASE: Duration = Duration::from_mins(1);

fn items(events: &[CloudEvent]) -> Vec<HistoryItem> {
    let item = |(position, event): (i64, &CloudEvent)| HistoryItem {
        position,
        event: event.clone(),
        recorded_at: None,
    };
    (1..).zip(events).map(item).collect()
}

/// Fills the generation that is built from one owner's history, in pieces of a few events.
async fn fill(generations: &dyn Generations, work: &Work, owner: &str, events: &[CloudEvent]) {
    let items = items(events);
    for piece in items.chunks(3) {
        let wanted: Vec<&HistoryItem> = piece
            .iter()
            .filter(|item| KINDS.contains(&item.event.kind.as_str()))
            .collect();
        let piece = Piece {
            owner,
            items: &wanted,
            events: 3,
            cursor: Cursor {
                after: piece[piece.len() - 1].position,
                end: None,
                done: false,
            },
        };
        generations.fill(work, &piece).await.unwrap();
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
    let generations = projection
        .generations()
        .expect("the projection has two generations");
    let rebuild = generations.want().await.unwrap();
    let member = Uuid::new_v4();
    generations.take(member, LEASE).await.unwrap().unwrap();
    let work = Work {
        rebuild,
        member,
        lease: LEASE,
    };
    let owners = ["/orders", "/users", "/reviews"].map(str::to_owned);
    generations.begin(&work, &owners).await.unwrap();

    let own = bench.history().await;
    fill(generations, &work, "/reviews", &own[..own.len() / 2]).await;
    let meanwhile = bench.trade(&products).await;
    bench.absorb(&meanwhile).await;
    told.extend(meanwhile);
    fill(generations, &work, "/reviews", &own[own.len() / 2..]).await;
    fill(generations, &work, "/orders", &told).await;
    assert!(
        generations.compare(&work, &[]).await.unwrap().is_none(),
        "the live one has not had its own events back yet"
    );
    let own = bench.history().await;
    fill(generations, &work, "/reviews", &own).await;
    bench.absorb(&own).await;

    let before = bench.all_summaries(&products).await;
    let comparison = generations
        .compare(&work, &[])
        .await
        .unwrap()
        .expect("both have all");
    assert!(comparison.equal(), "{:?}", comparison.differences);
    assert!(
        comparison.tables.iter().all(|table| table.rows_rebuilt > 0),
        "{comparison:?}"
    );
    let outcome = generations.switch(&work, Some(&comparison)).await.unwrap();
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
