//! The suite that every adapter passes. An adapter joins it with one line at the end of this file.

use std::sync::Arc;

use emporium_event_bus::CloudEvent;
use emporium_service_kit::Clock;
use serde_json::{Value, json};
use time::Duration;
use time::macros::datetime;
use uuid::Uuid;

use super::{Draft, Edit, Moderation, Posted, ReviewStore, Voted};
use crate::listing::{LOOK_MAX, NewestReviews, Place, ProductReviews, Sort, Viewer, Which};
use crate::model::{Opinion, Review, Summary};

mod concurrency;
mod generations;
mod lists;
mod load;
mod marks;
mod model_based;
pub mod outages;
mod verbs;

use concurrency::{
    concurrent_edits_lose_nothing, concurrent_posts_make_one_review, concurrent_votes_all_count,
    everything_at_once_keeps_summaries_right,
};
use generations::{a_rebuild_beside_the_shop_ends_equal, what_comes_back_by_the_bus_changes_nothing};
use lists::{
    filters_find_what_fits, lists_are_sorted_and_paged, newest_lists_have_pages,
    pages_look_at_so_many_and_no_more, summaries_come_in_batches,
};
use load::{
    loads_and_posts_at_once_lose_nothing, reviews_of_the_past_are_as_if_posted_then,
    what_is_there_stays_when_the_past_is_loaded,
};
use marks::{names_follow_the_users_events, purchases_mark_reviews_whichever_comes_first};
use outages::{a_pause_is_an_error_in_time, a_restart_loses_nothing};
use verbs::{
    answers_are_given_changed_and_taken_back, edits_need_the_version, hidden_reviews_are_for_few,
    one_review_for_a_customer_and_product, the_history_has_each_version_and_no_words,
    votes_are_cast_changed_and_taken_back,
};

/// A store with the clock by which it tells the time.
pub struct Bench {
    pub store: Arc<dyn ReviewStore>,
    pub clock: Clock,
    /// How many random sequences are compared with the model: fewer on a server that is slow here.
    pub sequences: u32,
}

fn opinion(rating: i16) -> Opinion {
    Opinion {
        rating,
        title: format!("{rating} of 5"),
        text: "Does what it says.".to_owned(),
        attributes: serde_json::Map::new(),
    }
}

fn with_attributes(rating: i16, attributes: &Value) -> Opinion {
    Opinion {
        attributes: attributes.as_object().unwrap().clone(),
        ..opinion(rating)
    }
}

fn draft(product_id: Uuid, author_id: Uuid, opinion: Opinion) -> Draft {
    Draft {
        product_id,
        author_id,
        author_name: None,
        opinion,
    }
}

fn edit(review: &Review, version: i64, opinion: Opinion) -> Edit {
    Edit {
        review_id: review.id,
        author_id: review.author_id,
        version,
        opinion,
    }
}

fn hide() -> Moderation {
    Moderation::Hide("off topic".to_owned())
}

/// A whole list: every review in one page.
fn list(product_id: Uuid) -> ProductReviews {
    ProductReviews {
        product_id,
        sort: Sort::New,
        rating: None,
        verified: None,
        attributes: Vec::new(),
        viewer: Viewer::default(),
        after: None,
        max: 100,
        look: LOOK_MAX,
    }
}

/// Another service's event, which happened once.
fn event(kind: &str, data: &Value) -> CloudEvent {
    emporium_test_kit::event(kind, datetime!(2025-01-01 0:00 UTC), data)
}

fn order_event(
    kind: &str,
    order_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    lines: &[(Uuid, i64)],
) -> CloudEvent {
    let lines: Vec<Value> = lines
        .iter()
        .map(|(product, quantity)| json!({"product_id": product, "quantity": quantity, "unit_price": 100}))
        .collect();
    let data = json!({"order_id": order_id, "customer_id": customer_id, "lines": lines, "version": 3});
    event(kind, &data)
}

fn bought(customer: Uuid, product: Uuid, units: i64) -> CloudEvent {
    let order = Some(Uuid::now_v7());
    order_event("order.confirmed.v1", order, Some(customer), &[(product, units)])
}

fn refunded(customer: Uuid, product: Uuid, units: i64) -> CloudEvent {
    let order = Some(Uuid::now_v7());
    order_event("order.refunded.v1", order, Some(customer), &[(product, units)])
}

fn named(user: Uuid, name: &str, active: bool, version: i64) -> CloudEvent {
    let data =
        json!({"id": user, "name": name, "active": active, "version": version, "email": "a@example.com"});
    event("user.updated.v1", &data)
}

impl Bench {
    /// Time passes, so that what is posted later is newer.
    fn tick(&self) {
        self.clock.advance(Duration::milliseconds(2));
    }

    async fn post(&self, product: Uuid, author: Uuid, opinion: Opinion) -> Review {
        self.tick();
        match self.store.post(&draft(product, author, opinion)).await.unwrap() {
            Posted::Done(review) => *review,
            Posted::Exists(id) => panic!("there is {id} already"),
        }
    }

    async fn vote(&self, review: &Review, voter: Uuid, helpful: Option<bool>) -> (i64, i64) {
        match self.store.vote(review.id, voter, helpful).await.unwrap() {
            Voted::Done(votes) => {
                assert_eq!(votes.own_vote, helpful);
                (votes.helpful, votes.unhelpful)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn moderate(&self, review: &Review, moderation: Moderation) -> Review {
        self.store
            .moderate(review.id, &moderation)
            .await
            .unwrap()
            .unwrap()
    }

    async fn absorb(&self, events: &[CloudEvent]) {
        emporium_test_kit::projection::apply(&*self.store.projection(), events).await;
    }

    async fn find(&self, review: &Review) -> Review {
        self.store
            .find(review.id, Viewer::MODERATOR)
            .await
            .unwrap()
            .unwrap()
    }

    async fn summary(&self, product: Uuid) -> Option<Summary> {
        self.store.summaries(&[product]).await.unwrap().pop()
    }

    /// How a product's summary has to be, counted from its list.
    async fn counted(&self, product: Uuid) -> Option<Summary> {
        let (mut histogram, mut verified) = ([0; 5], 0);
        for review in self.pages(&list(product), 50).await {
            histogram[usize::from(review.rating.unsigned_abs()) - 1] += 1;
            verified += i64::from(review.verified);
        }
        Summary::of(product, histogram, verified)
    }

    /// A product's list, read page by page.
    async fn pages(&self, wanted: &ProductReviews, size: u32) -> Vec<Review> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = ProductReviews {
                after,
                max: size,
                ..wanted.clone()
            };
            let found = self.store.of_product(&page).await.unwrap();
            assert!(found.items.len() <= size as usize);
            all.extend(found.items);
            let Some(next) = found.next else { return all };
            // As it travels.
            after = Place::read(Some(&next.write()), wanted.sort).unwrap();
        }
    }

    /// The newest reviews, read page by page.
    async fn newest(&self, which: Which, size: u32) -> Vec<Review> {
        let (mut all, mut before) = (Vec::<Review>::new(), None);
        loop {
            let page = NewestReviews {
                which,
                before,
                max: size,
            };
            let items = self.store.newest(&page).await.unwrap();
            let Some(last) = items.last() else { return all };
            before = Some(last.id);
            all.extend(items);
        }
    }

    /// The whole history of the store.
    async fn history(&self) -> Vec<CloudEvent> {
        let (mut events, mut after) = (Vec::new(), 0);
        loop {
            let page = self.store.history(after, 100).await.unwrap();
            after = page.next_after;
            events.extend(page.items.into_iter().map(|item| item.event));
            if page.at_end {
                return events;
            }
        }
    }
}

async fn behaves_like_the_model(bench: Bench) {
    model_based::check(&bench);
}

/// `contract!(adapter, future of a fresh store, future of a store on a server of the test's own => tests of outages)`: every
/// test of the suite as `adapter::…`. A future gives `None` where the store cannot be had, which the test kit then lists as
/// not run.
macro_rules! contract {
    ($adapter:ident, $open:expr, $own:expr) => {
        mod $adapter {
            emporium_test_kit::contract_tests!($open => one_review_for_a_customer_and_product, edits_need_the_version,
                votes_are_cast_changed_and_taken_back, answers_are_given_changed_and_taken_back,
                hidden_reviews_are_for_few, the_history_has_each_version_and_no_words, lists_are_sorted_and_paged,
                filters_find_what_fits, pages_look_at_so_many_and_no_more, newest_lists_have_pages, summaries_come_in_batches,
                purchases_mark_reviews_whichever_comes_first, names_follow_the_users_events,
                a_rebuild_beside_the_shop_ends_equal, what_comes_back_by_the_bus_changes_nothing,
                concurrent_posts_make_one_review, concurrent_votes_all_count, concurrent_edits_lose_nothing,
                everything_at_once_keeps_summaries_right, reviews_of_the_past_are_as_if_posted_then,
                what_is_there_stays_when_the_past_is_loaded, loads_and_posts_at_once_lose_nothing, behaves_like_the_model);
            emporium_test_kit::contract_tests!($own => a_restart_loses_nothing, a_pause_is_an_error_in_time);
        }
    };
}

contract!(
    postgres,
    crate::store::postgres::tests::fresh(),
    crate::store::postgres::tests::own()
);

contract!(
    mongodb,
    crate::store::mongodb::tests::fresh(),
    crate::store::mongodb::tests::own()
);
