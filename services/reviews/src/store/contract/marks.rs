//! The part of the suite about what orders' and users' events add to reviews.

use emporium_event_bus::CloudEvent;
use uuid::Uuid;

use super::{Bench, bought, hide, named, opinion, order_event, refunded};
use crate::model::Review;
use crate::store::{Draft, Moderation, Posted};

impl Bench {
    /// Whether the review has the mark, which its product's summary has to know as well.
    async fn marked(&self, review: &Review) -> bool {
        let found = self.find(review).await;
        assert_eq!(
            self.summary(review.product_id).await,
            self.counted(review.product_id).await
        );
        found.verified
    }
}

/// The mark is there while units were bought and not all given back, in whatever order that was told, and however often.
pub async fn purchases_mark_reviews_whichever_comes_first(bench: Bench) {
    let (product, early, late) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    bench.absorb(&[bought(early, product, 1)]).await;
    let marked = bench.post(product, early, opinion(5)).await;
    assert!(marked.verified, "bought before");
    let review = bench.post(product, late, opinion(4)).await;
    assert!(!bench.marked(&review).await, "did not buy");
    let purchase = bought(late, product, 3);
    bench.absorb(std::slice::from_ref(&purchase)).await;
    assert!(bench.marked(&review).await, "bought afterwards");
    let part = refunded(late, product, 2);
    bench.absorb(&[part.clone(), part.clone()]).await;
    bench.absorb(&[part, purchase]).await;
    assert!(
        bench.marked(&review).await,
        "kept one of three; what comes again counts once"
    );
    bench.absorb(&[refunded(late, product, 1)]).await;
    assert!(!bench.marked(&review).await, "gave all back");
    bench.absorb(&[bought(late, product, 1)]).await;
    assert!(bench.marked(&review).await, "bought again");

    let refund_of_unknown = order_event("order.refunded.v1", None, Some(late), &[(product, 9)]);
    let guest = order_event("order.confirmed.v1", Some(Uuid::new_v4()), None, &[(product, 1)]);
    let of_another = bought(late, Uuid::new_v4(), 1);
    bench.absorb(&[refund_of_unknown, guest, of_another]).await;
    assert!(bench.marked(&review).await);
    assert_eq!(bench.summary(product).await.unwrap().verified, 2);
    bench.moderate(&review, hide()).await;
    assert_eq!(
        bench.summary(product).await.unwrap().verified,
        1,
        "hidden ones do not count"
    );
    bench.absorb(&[refunded(late, product, 1)]).await;
    bench.moderate(&review, Moderation::Show).await;
    assert!(!bench.marked(&review).await, "given back while it was hidden");

    // A refund that is told before its order.
    let buyer = Uuid::new_v4();
    let review = bench.post(product, buyer, opinion(1)).await;
    let mut events = [bought(buyer, product, 1), refunded(buyer, product, 1)];
    events.reverse();
    for event in &events {
        bench.absorb(std::slice::from_ref(event)).await;
        assert!(!bench.marked(&review).await);
    }
    let many: Vec<CloudEvent> = (0..500).map(|_| bought(buyer, product, 1)).collect();
    bench.absorb(&many).await;
    assert!(bench.marked(&review).await);
}

/// A name is the newest that users told, however late the older ones come; the one given at posting counts until then;
/// blocked authors have none.
pub async fn names_follow_the_users_events(bench: Bench) {
    let author = Uuid::new_v4();
    let post = Draft {
        product_id: Uuid::new_v4(),
        author_id: author,
        author_name: Some("As given".to_owned()),
        opinion: opinion(3),
    };
    let Posted::Done(review) = bench.store.post(&post).await.unwrap() else {
        panic!("it is the first one");
    };
    let name = async || bench.find(&review).await.author_name;
    assert_eq!(name().await.as_deref(), Some("As given"));
    bench
        .absorb(&[named(author, "Second", true, 2), named(author, "First", true, 1)])
        .await;
    assert_eq!(name().await.as_deref(), Some("Second"));
    bench.absorb(&[named(author, "First", true, 1)]).await;
    assert_eq!(name().await.as_deref(), Some("Second"));
    bench.absorb(&[named(author, "Second", false, 4)]).await;
    assert_eq!(name().await, None, "blocked");
    bench.absorb(&[named(author, "Third", true, 3)]).await;
    assert_eq!(name().await, None);
    bench.absorb(&[named(author, "Fifth", true, 5)]).await;
    assert_eq!(name().await.as_deref(), Some("Fifth"));
}
