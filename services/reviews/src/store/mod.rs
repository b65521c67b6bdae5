//! Where reviews are kept.
//!
//! # Adding an adapter
//!
//! 1. Write `store/<name>.rs`, or a folder, with a type that implements [`ReviewStore`]. The verbs are what the service does,
//!    so an adapter is free in its layout: PostgreSQL keeps one row a review with its free part in `jsonb`; a document store
//!    would keep one document a review, with answers, marks and names in it. Its errors become [`StoreError`]s.
//! 2. Let [`open_side`] make it for its URL scheme: one more arm. Add the scheme to `emporium_service_kit::stores::KNOWN`.
//! 3. Add one line to the end of `store/contract.rs`: the whole suite, model-based test included, then runs against it. What an adapter cannot give
//!    becomes a declared lack, as for carts; there is none so far.
//!
//! What every adapter has to keep, and the suite checks:
//!
//! - **Each verb is atomic.** Two customers who vote at once, or an author who edits while a moderator hides, lose nothing.
//!   There is one review for a customer and a product, however many try at once.
//! - **A change and its event commit together**: [`ReviewStore::history`] has one event for each version of a review.
//! - **Summaries have what was acknowledged.** A review that was posted, changed, hidden or shown counts in its product's
//!   summary when the verb returns, without waiting for its event to come back by the bus. Orders' and users' events are in
//!   when [`ReviewStore::projection`] has applied them.
//! - **The projection can be made anew.** Its two generations hold what the histories of reviews, orders and users say;
//!   verbs write to both while one is built.
//! - **A version grows by one with each edit, answer and moderation that changes something**; votes leave it alone.
//! - **Texts come back as they went in.**
//! - **A page costs what a page costs**, however many reviews a product has and however few of them fit a filter.
//! - **Whoever calls, waits seconds at most**: a store that does not answer is a [`StoreError::Unavailable`] in time.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::{Consumer, HistoryPage, OutboxStore};
use emporium_moving::postgres::PostgresMoving;
use emporium_moving::register::{Journal, Register};
use emporium_moving::{Moving, Side};
use emporium_service_kit::report::Opened;
use emporium_service_kit::store::POSTGRES;
use emporium_service_kit::stores::REVIEWS_STORE as SETTING;
use emporium_service_kit::{Environment, StartError, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::listing::{Found, NewestReviews, ProductReviews, Viewer};
use crate::model::{Answer, Opinion, Review, Summary, Votes};

mod change;
#[cfg(test)]
mod contract;
mod copied;
mod gated;
mod mongodb;
mod past;
mod postgres;

use self::mongodb::MongoMoving;
pub use self::mongodb::{MONGODB, MongoReviews};
use copied::{ReviewRecords, Rows};
pub use gated::GatedReviews;
pub use postgres::PostgresReviews;

/// The projection, and the consumer group that feeds it: rating summaries, marks of verified purchases, authors' names. They
/// are one projection because they hang together: a summary counts marks.
pub const PROJECTION: &str = "reviews.ratings";

/// A review to be posted.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What it is about.
    pub product_id: Uuid,
    /// Who posts.
    pub author_id: Uuid,
    /// How the author is called, as long as nothing else is known.
    pub author_name: Option<String>,
    /// What the author thinks.
    pub opinion: Opinion,
}

/// What became of posting.
#[derive(Debug, Clone, PartialEq)]
pub enum Posted {
    /// It is posted.
    Done(Box<Review>),
    /// The customer has a review of the product: this one.
    Exists(Uuid),
}

/// An author's change.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Which review.
    pub review_id: Uuid,
    /// Who edits.
    pub author_id: Uuid,
    /// The version that was edited.
    pub version: i64,
    /// What the author thinks now.
    pub opinion: Opinion,
}

/// What became of an edit.
#[derive(Debug, Clone, PartialEq)]
pub enum Edited {
    /// The review says what the author wants: it was changed, or said so already.
    Done(Box<Review>),
    /// There is no such review by that author.
    Missing,
    /// The review is at this version by now and was not changed.
    Stale(i64),
}

/// What became of a vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voted {
    /// It counts.
    Done(Votes),
    /// There is no such review that the voter can see.
    Missing,
    /// Nobody votes on an own review.
    Own,
}

/// An answer to be given, or given anew.
#[derive(Debug, Clone)]
pub struct AnswerDraft {
    /// To which review.
    pub review_id: Uuid,
    /// Which answer: a new one, or one that is there.
    pub answer_id: Uuid,
    /// Who writes.
    pub author_id: Uuid,
    /// What the seller says.
    pub text: String,
}

/// What became of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    /// The review as moderators see it; whether the answer is new.
    Done(Box<Review>, bool),
    /// There is no such review.
    Missing,
    /// It would be one too many.
    Full,
}

/// A moderator's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moderation {
    /// Readers see it.
    Show,
    /// Its author and moderators do, for this reason.
    Hide(String),
}

/// A visible review of the past, with what it got.
#[derive(Debug, Clone, PartialEq)]
pub struct PastReview {
    /// UUIDv7 of the time of posting.
    pub id: Uuid,
    /// When it was posted.
    pub created_at: OffsetDateTime,
    /// What the customer posted.
    pub draft: Draft,
    /// The seller's answers, oldest first.
    pub answers: Vec<Answer>,
    /// Who voted on it, and whether it helped; each voter once.
    pub votes: Vec<(Uuid, bool)>,
}

impl PastReview {
    /// Its version: posting and each answer are one.
    pub fn version(&self) -> i64 {
        1 + i64::try_from(self.answers.len()).unwrap_or(i64::MAX - 1)
    }
}

/// A store of reviews; the module's documentation says what an adapter has to keep.
#[async_trait]
pub trait ReviewStore: Send + Sync {
    /// Posts a review, visible at once, unless its author has one of the product.
    async fn post(&self, draft: &Draft) -> Result<Posted, StoreError>;

    /// Changes what the author thinks, if the review is at the version that was edited. When it says so already, nothing
    /// changes, whatever its version: so an edit may be sent again.
    async fn edit(&self, edit: &Edit) -> Result<Edited, StoreError>;

    /// Casts a customer's vote on somebody else's visible review, changes it, or takes it back (`None`).
    async fn vote(&self, review_id: Uuid, voter_id: Uuid, helpful: Option<bool>)
    -> Result<Voted, StoreError>;

    /// Gives an answer or changes the text of one.
    async fn answer(&self, draft: &AnswerDraft) -> Result<Answered, StoreError>;

    /// Takes an answer back; without it, nothing changes. Gives the review as moderators see it, `None` when there is none.
    async fn take_answer_back(&self, review_id: Uuid, answer_id: Uuid) -> Result<Option<Review>, StoreError>;

    /// Hides a review or shows it; gives it as moderators see it, `None` when there is none.
    async fn moderate(&self, review_id: Uuid, moderation: &Moderation) -> Result<Option<Review>, StoreError>;

    /// Takes reviews of the past that are new, and gives how many that were. One whose id is there, or whose author has a review
    /// of the product, is left out. They count in summaries and have events as if they had been posted and answered at their
    /// times.
    ///
    /// Each is taken whole, with its votes, answers and events, or not at all. An error may leave the first of them taken: a store
    /// whose transactions have to be small takes several. Loading them once more brings the others.
    async fn load(&self, reviews: &[PastReview]) -> Result<u64, StoreError>;

    /// A review that the viewer sees.
    async fn find(&self, review_id: Uuid, viewer: Viewer) -> Result<Option<Review>, StoreError>;

    /// A customer's own review of a product.
    async fn find_own(&self, product_id: Uuid, author_id: Uuid) -> Result<Option<Review>, StoreError>;

    /// A page of a product's visible reviews. It looks at no more than [`ProductReviews::look`] of them: where that ends it, it
    /// says where the next page goes on, be it without having found anything.
    async fn of_product(&self, page: &ProductReviews) -> Result<Found, StoreError>;

    /// A page of the newest reviews of an author or in a state, as moderators see them.
    async fn newest(&self, page: &NewestReviews) -> Result<Vec<Review>, StoreError>;

    /// How products are rated; those without visible reviews are left out.
    async fn summaries(&self, products: &[Uuid]) -> Result<Vec<Summary>, StoreError>;

    /// The events of this store's changes after the position `after`, at most `max`.
    async fn history(&self, after: i64, max: i64) -> Result<HistoryPage, StoreError>;

    /// Where the events of this store's changes are numbered, and how far they are published.
    fn outbox(&self) -> &dyn OutboxStore;

    /// What applies events of reviews, orders and users to the projection [`PROJECTION`].
    fn projection(&self) -> Arc<dyn Consumer>;

    /// Fails when the store does not answer.
    async fn ping(&self) -> Result<(), StoreError>;
}

pub use emporium_moving::Group;

/// Opens the store that `EMPORIUM_REVIEWS_STORE` names, or the service's own database when it names none, with what moves it to
/// another one. An error is one line that names the setting; there is no falling back to another store.
pub async fn open(environment: &Environment, group: &Group) -> Result<Moving<dyn ReviewStore>, StartError> {
    let group = group.clone();
    Moving::open(environment, SETTING, move |environment| {
        open_side(environment, group.clone())
    })
    .await
}

/// The store behind the gate of a move.
pub fn gated(
    moving: &Moving<dyn ReviewStore>,
    environment: &Environment,
) -> Result<Arc<GatedReviews>, StartError> {
    let setting = environment.stores.setting(SETTING);
    let gated = GatedReviews::new(moving.gate(), environment);
    Ok(Arc::new(
        gated.map_err(|error| setting.failed(environment, error))?,
    ))
}

/// Opens the store that the environment's setting names. The scheme picks the adapter.
pub async fn open_side(environment: Environment, group: Group) -> Result<Side<dyn ReviewStore>, StartError> {
    let setting = environment.stores.setting(SETTING);
    match setting.scheme().as_str() {
        POSTGRES => {
            let db = setting.postgres(&environment).await?;
            let migrated = PostgresReviews::migrate(&db).await;
            migrated.map_err(|error| setting.not_migrated(&environment, error))?;
            let moves = PostgresMoving::open(db.clone(), environment.service).await;
            let moves = moves.map_err(|error| setting.not_migrated(&environment, error))?;
            // Reviews and their events commit together, so the outbox is where the reviews are.
            let beside = Environment {
                db: Some(db.clone()),
                ..environment.clone()
            };
            let (store, _) = PostgresReviews::open(db.clone(), &beside).await?;
            let store = Arc::new(store);
            let opened = Opened::new(store.clone() as _, db, SETTING, []);
            Ok(side(opened, setting.address(), store, Arc::new(moves), &group))
        }
        MONGODB => {
            let opened = MongoReviews::open(setting.url(), &environment).await;
            let (store, _) = opened.map_err(|error| {
                if error.tells_remedy() {
                    setting.refused(error.to_string())
                } else {
                    setting.failed(&environment, error)
                }
            })?;
            let (server, lacks, store) = (store.server(), store.lacks(), Arc::new(store));
            let moves = Arc::new(MongoMoving::new(server.clone()));
            let opened = Opened::new(store.clone() as _, server, SETTING, lacks);
            Ok(side(opened, setting.address(), store, moves, &group))
        }
        _ => Err(setting.unknown_scheme(&[POSTGRES, MONGODB])),
    }
}

/// Reviews, votes and the outbox are copied; the projection is built.
fn side(
    opened: Opened<dyn ReviewStore>,
    address: String,
    rows: Arc<dyn Rows>,
    moves: Arc<impl Register + Journal + 'static>,
    group: &Group,
) -> Side<dyn ReviewStore> {
    let projection = opened.store.projection();
    Side::of(opened, address, moves.clone())
        .copying(Arc::new(ReviewRecords(rows)), moves)
        .building(projection, group)
}
