//! Customers who write reviews, edit, vote and are answered without pause, with a model of what was acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use emporium_reviews::listing::Viewer;
use emporium_reviews::model::{Opinion, Review, State};
use emporium_reviews::store::{
    AnswerDraft, Answered, Draft, Edit, Edited, Moderation, Posted, ReviewStore, Voted,
};
use emporium_service_kit::StoreError;
use emporium_test_kit::eventually;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shop::{Reviews, Shop};

/// Between two reviews of a customer.
const THINKING: Duration = Duration::from_millis(100);

/// Repeats a call until it is answered.
macro_rules! until_done {
    ($call:expr) => {
        loop {
            match $call.await {
                Ok(done) => break done,
                Err(StoreError::Unavailable(_) | StoreError::Conflict(_)) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
}

/// A review as it has to be.
#[derive(Debug, Clone)]
struct Told {
    id: Uuid,
    product: Uuid,
    author: Uuid,
    opinion: Opinion,
    version: i64,
    hidden: bool,
    answer: Option<Uuid>,
    votes: BTreeMap<Uuid, bool>,
    bought: bool,
}

/// What customers have done.
pub struct Customers {
    shop: Arc<Shop>,
    products: [Uuid; 3],
    told: Mutex<Vec<Told>>,
}

/// Free shapes whose spelling stores change.
fn attributes(n: usize) -> Value {
    match n % 4 {
        0 => json!({}),
        1 => json!({"zoom": 2.0, "a": [1, -2.5, [true, null]], "deep": {"y": "\u{1F600}", "b": 1e-7}}),
        2 => json!({"small": -0.0, "large": 9_007_199_254_740_991_i64, "$no": 1, "": 2}),
        _ => json!({"pros": ["light", "cheap"], "n": 100.0}),
    }
}

fn opinion(n: usize, rating: i16) -> Opinion {
    Opinion {
        rating,
        title: format!("Title {n}"),
        text: "<script>\nIt fits. \u{1F600}".to_owned(),
        attributes: attributes(n).as_object().unwrap().clone(),
    }
}

impl Customers {
    pub fn of(shop: &Arc<Shop>) -> Arc<Self> {
        Arc::new(Self {
            shop: shop.clone(),
            products: [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()],
            told: Mutex::default(),
        })
    }

    /// How many reviews are done with.
    pub fn rounds(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    /// One customer's review, from posting to the moderator, every call repeated until it is acknowledged.
    pub async fn round(&self, reviews: &Reviews) {
        let (store, n, author) = (&reviews.store, self.rounds(), Uuid::new_v4());
        let product = self.products[n % self.products.len()];
        let bought = n.is_multiple_of(2);
        if bought {
            self.shop.buy(reviews.bus.as_ref(), author, product).await;
        }
        if n.is_multiple_of(5) {
            self.shop.name(reviews.bus.as_ref(), author, "Ada").await;
        }
        let draft = Draft {
            product_id: product,
            author_id: author,
            author_name: None,
            opinion: opinion(n, 3),
        };
        let id = match until_done!(store.post(&draft)) {
            Posted::Done(review) => review.id,
            Posted::Exists(id) => id,
        };
        let mut told = Told {
            id,
            product,
            author,
            opinion: opinion(n + 1, i16::try_from(n % 5 + 1).unwrap()),
            version: 2,
            hidden: false,
            answer: None,
            votes: BTreeMap::new(),
            bought,
        };
        let edit = Edit {
            review_id: id,
            author_id: author,
            version: 1,
            opinion: told.opinion.clone(),
        };
        assert!(matches!(until_done!(store.edit(&edit)), Edited::Done(_)));
        self.vote(store.as_ref(), &mut told).await;
        self.keep(store.as_ref(), &mut told, n).await;
        self.told.lock().unwrap().push(told);
    }

    async fn vote(&self, store: &dyn ReviewStore, told: &mut Told) {
        let [one, other, third] = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
        for (voter, helpful) in [
            (one, Some(true)),
            (other, Some(false)),
            (one, Some(false)),
            (other, None),
            (third, Some(true)),
        ] {
            let voted = until_done!(store.vote(told.id, voter, helpful));
            assert!(matches!(voted, Voted::Done(_)), "{voted:?}");
            match helpful {
                Some(helpful) => told.votes.insert(voter, helpful),
                None => told.votes.remove(&voter),
            };
        }
    }

    /// The seller and the moderator.
    async fn keep(&self, store: &dyn ReviewStore, told: &mut Told, n: usize) {
        if n.is_multiple_of(3) {
            let draft = AnswerDraft {
                review_id: told.id,
                answer_id: Uuid::new_v4(),
                author_id: Uuid::new_v4(),
                text: "Thanks.".to_owned(),
            };
            let answered = until_done!(store.answer(&draft));
            assert!(matches!(answered, Answered::Done(..)), "{answered:?}");
            (told.answer, told.version) = (Some(draft.answer_id), told.version + 1);
        }
        if n % 4 == 1 {
            let hide = Moderation::Hide("off topic".to_owned());
            until_done!(store.moderate(told.id, &hide)).unwrap();
            (told.hidden, told.version) = (true, told.version + 1);
        }
        if n % 8 == 1 {
            until_done!(store.moderate(told.id, &Moderation::Show)).unwrap();
            (told.hidden, told.version) = (false, told.version + 1);
        }
    }

    /// Everything is as it was acknowledged: nothing lost, nothing doubled.
    pub async fn check(&self, reviews: &Reviews) {
        let all = self.told.lock().unwrap().clone();
        let store = reviews.store.as_ref();
        reviews.caught_up().await;
        for told in &all {
            let found = until_done!(store.find(told.id, Viewer::MODERATOR));
            check_review(told, &found.unwrap());
            for (voter, helpful) in &told.votes {
                let seen = until_done!(store.find(told.id, Viewer::customer(*voter)));
                if !told.hidden {
                    assert_eq!(seen.unwrap().own_vote, Some(*helpful));
                }
            }
            let own = until_done!(store.find_own(told.product, told.author));
            assert_eq!(own.unwrap().id, told.id);
        }
        self.check_summaries(store, &all).await;
        self.check_history(reviews, &all).await;
    }

    async fn check_summaries(&self, store: &dyn ReviewStore, all: &[Told]) {
        for product in self.products {
            let shown = |told: &&Told| told.product == product && !told.hidden;
            let mut histogram = [0_i64; 5];
            for told in all.iter().filter(shown) {
                histogram[usize::try_from(told.opinion.rating - 1).unwrap()] += 1;
            }
            let verified = all.iter().filter(shown).filter(|told| told.bought).count();
            let expected =
                emporium_reviews::model::Summary::of(product, histogram, i64::try_from(verified).unwrap());
            let found = until_done!(store.summaries(&[product])).pop();
            assert_eq!(found, expected);
        }
    }

    /// One event for each version of a review, in order and without holes, and each of them on the bus once.
    async fn check_history(&self, reviews: &Reviews, all: &[Told]) {
        let history = reviews.history().await;
        let mut versions = BTreeMap::<String, i64>::new();
        for (position, item) in (1..).zip(&history) {
            assert_eq!(item.position, position, "no holes");
            let last = versions.entry(item.event.subject.clone()).or_default();
            *last += 1;
            assert_eq!(item.event.aggregateversion, *last, "in order");
        }
        for told in all {
            assert_eq!(versions[&told.id.to_string()], told.version, "of {told:?}");
        }
        let count = i64::try_from(history.len()).unwrap();
        eventually("each is on the bus once", 60, async || {
            (reviews.on_the_bus().await == count).then_some(())
        })
        .await;
    }
}

fn check_review(told: &Told, found: &Review) {
    let opinion = Opinion {
        rating: found.rating,
        title: found.title.clone(),
        text: found.text.clone(),
        attributes: found.attributes.clone(),
    };
    assert_eq!(opinion, told.opinion);
    let count = |wanted| told.votes.values().filter(|helpful| **helpful == wanted).count();
    let votes = (
        i64::try_from(count(true)).unwrap(),
        i64::try_from(count(false)).unwrap(),
    );
    assert_eq!((found.helpful, found.unhelpful), votes, "{told:?}");
    assert_eq!(found.version, told.version, "{told:?}");
    assert_eq!(found.state == State::Hidden, told.hidden);
    assert_eq!(found.answers.first().map(|answer| answer.id), told.answer);
    assert_eq!(found.verified, told.bought, "{told:?}");
}

/// Customers who write by an instance until they are stopped.
pub struct Traffic {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Traffic {
    pub fn begin(customers: &[Arc<Customers>], reviews: &Arc<Reviews>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let run = |customers: &Arc<Customers>| {
            let (customers, reviews, stop) = (customers.clone(), reviews.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    customers.round(&reviews).await;
                    // Customers think. A store that is filled more slowly than others write is never full.
                    tokio::time::sleep(THINKING).await;
                }
            })
        };
        let tasks = customers.iter().map(run).collect();
        Self { tasks, stop }
    }

    pub async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// Waits until so many more reviews are done with.
pub async fn goes_on(customers: &[Arc<Customers>], by: usize) {
    let rounds = || customers.iter().map(|one| one.rounds()).sum::<usize>();
    let before = rounds();
    eventually("reviews are written", 120, async || {
        (rounds() >= before + by).then_some(())
    })
    .await;
}
