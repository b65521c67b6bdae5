//! The reviews service: what customers think of products. All its texts are plain text; whoever shows them escapes them.

use emporium_service_kit::Page;
use emporium_service_kit::client::{Answer, CallError, Client};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Items, READ_TIMEOUT, found};

/// The most products whose ratings are asked for at once.
pub const SUMMARIES_MAX: usize = 100;

/// Client of the reviews service.
#[derive(Clone)]
pub struct Reviews(Client);

/// A customer's review of a product.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Review {
    /// Its id; by it, reviews are in the order in which they were posted.
    pub id: Uuid,
    /// What it is about.
    pub product_id: Uuid,
    /// Who wrote it. Not shown: readers know authors by name only.
    #[serde(skip_serializing)]
    pub author_id: Uuid,
    /// The author's name; null when the author is blocked or was never named.
    pub author_name: Option<String>,
    /// 1 to 5.
    pub rating: i64,
    /// One line of plain text.
    pub title: String,
    /// Plain text.
    pub text: String,
    /// Of free shape; by custom `pros` and `cons` are lists of texts, and `photos` is a list of `{"caption"}`.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// Whether readers see it.
    pub state: ReviewState,
    /// Why a moderator has hidden it.
    pub hidden_reason: Option<String>,
    /// Whether the author has bought the product here and kept it.
    pub verified: bool,
    /// How many found it helpful.
    pub helpful: i64,
    /// How many did not.
    pub unhelpful: i64,
    /// What the asker voted.
    pub own_vote: Option<bool>,
    /// The seller's answers, oldest first.
    #[serde(default)]
    pub answers: Vec<ReviewAnswer>,
    /// Grows with each change; an edit names the one it began from.
    pub version: i64,
    /// When it was posted.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its author last changed it.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// Whether readers see a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReviewState {
    /// Everybody does.
    #[default]
    Visible,
    /// Its author and moderators do.
    Hidden,
}

impl ReviewState {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::Hidden => "hidden",
        }
    }
}

/// The seller's answer to a review.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReviewAnswer {
    /// Its id.
    pub id: Uuid,
    /// Plain text.
    pub text: String,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its text was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A page of reviews.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ReviewPage {
    /// The reviews.
    pub items: Vec<Review>,
    /// Where to go on.
    pub next_cursor: Option<String>,
    /// What other services said before this moment is in marks and names.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}

/// How a product is rated.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Summary {
    /// The product.
    pub product_id: Uuid,
    /// Visible reviews.
    pub count: i64,
    /// Mean rating.
    pub average: f64,
    /// How many gave 1, 2, 3, 4 and 5.
    pub histogram: [i64; 5],
    /// How many have the mark of a verified purchase.
    pub verified: i64,
}

/// Votes of a review, after one was cast or taken back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Votes {
    /// How many found it helpful.
    pub helpful: i64,
    /// How many did not.
    pub unhelpful: i64,
    /// What the asker's vote is now.
    pub own_vote: Option<bool>,
}

/// Which of a product's reviews are wanted.
#[derive(Debug, Clone, Default)]
pub struct ReviewFilter {
    /// `helpful`, `new`, `rating-high` or `rating-low`.
    pub sort: Option<String>,
    /// Only those with this rating.
    pub rating: Option<i64>,
    /// Only those with the mark of a verified purchase, or only those without.
    pub verified: Option<bool>,
    /// `path:value` pairs that all have to fit.
    pub attributes: Vec<String>,
    /// Whose votes are shown.
    pub viewer: Option<Uuid>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// The page size.
    pub limit: Option<u32>,
}

impl ReviewFilter {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let single = [
            ("sort", self.sort.clone()),
            ("rating", self.rating.map(|value| value.to_string())),
            ("verified", self.verified.map(|value| value.to_string())),
            ("viewer", self.viewer.map(|value| value.to_string())),
            ("cursor", self.cursor.clone()),
            ("limit", self.limit.map(|value| value.to_string())),
        ];
        let single = single
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let attributes = self.attributes.iter().map(|pair| ("attribute", pair.clone()));
        single.chain(attributes).collect()
    }
}

/// What an author thinks.
#[derive(Debug, Clone, Serialize)]
pub struct Opinion {
    /// 1 to 5.
    pub rating: i64,
    /// One line of plain text.
    pub title: String,
    /// Plain text.
    pub text: String,
    /// Of free shape.
    pub attributes: Map<String, Value>,
}

#[derive(Serialize)]
struct NewReview<'a> {
    author_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_name: Option<&'a str>,
    #[serde(flatten)]
    opinion: &'a Opinion,
}

#[derive(Serialize)]
struct EditReview<'a> {
    author_id: Uuid,
    version: i64,
    #[serde(flatten)]
    opinion: &'a Opinion,
}

impl Reviews {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// A product's visible reviews.
    pub async fn of_product(&self, product: Uuid, filter: &ReviewFilter) -> Result<ReviewPage, CallError> {
        let call = self.0.get(format!("/products/{product}/reviews"));
        call.query(&filter.pairs()).timeout(READ_TIMEOUT).send().await
    }

    /// A customer's reviews, newest first, hidden ones too: for that customer's eyes.
    pub async fn of_author(&self, author: Uuid, page: &[(&str, String)]) -> Result<ReviewPage, CallError> {
        let call = self.0.get(format!("/authors/{author}/reviews"));
        call.query(page).timeout(READ_TIMEOUT).send().await
    }

    /// The newest reviews of all products in this state, for moderators.
    pub async fn newest(&self, state: ReviewState, page: &[(&str, String)]) -> Result<ReviewPage, CallError> {
        let call = self.0.get("/reviews").query(&[("state", state.as_str())]);
        call.query(page).timeout(READ_TIMEOUT).send().await
    }

    /// A customer's own review of a product, hidden or not.
    pub async fn own(&self, product: Uuid, author: Uuid) -> Result<Option<Review>, CallError> {
        let call = self.0.get(format!("/products/{product}/reviews/by/{author}"));
        found(call.timeout(READ_TIMEOUT).send().await)
    }

    /// One review, if this viewer sees it.
    pub async fn review(
        &self,
        id: Uuid,
        viewer: Option<Uuid>,
        moderator: bool,
    ) -> Result<Option<Review>, CallError> {
        let mut query = vec![("moderator", moderator.to_string())];
        query.extend(viewer.map(|viewer| ("viewer", viewer.to_string())));
        let call = self.0.get(format!("/reviews/{id}")).query(&query);
        found(call.timeout(READ_TIMEOUT).send().await)
    }

    /// How products are rated, at most [`SUMMARIES_MAX`] of them; those without visible reviews are left out.
    pub async fn summaries(&self, products: &[Uuid]) -> Result<Vec<Summary>, CallError> {
        let ids: Vec<String> = products.iter().map(Uuid::to_string).collect();
        let call = self.0.get("/summaries").query(&[("ids", ids.join(","))]);
        call.timeout(READ_TIMEOUT)
            .send::<Items<Summary>>()
            .await
            .map(|list| list.items)
    }

    /// Posts a review. Not tried again: the second try would find the first one's. Problems: 409 `already-reviewed`
    /// with `review_id`, 422.
    pub async fn post(
        &self,
        product: Uuid,
        author: Uuid,
        name: Option<&str>,
        opinion: &Opinion,
    ) -> Result<Review, CallError> {
        let review = NewReview {
            author_id: author,
            author_name: name,
            opinion,
        };
        let call = self.0.post(format!("/products/{product}/reviews"));
        call.json(&review).send().await
    }

    /// Changes what an author thinks. Problems: 404 (also somebody else's), 409 `version-differs`, 422.
    pub async fn edit(
        &self,
        id: Uuid,
        author: Uuid,
        version: i64,
        opinion: &Opinion,
    ) -> Result<Review, CallError> {
        let edit = EditReview {
            author_id: author,
            version,
            opinion,
        };
        self.0.put(format!("/reviews/{id}")).json(&edit).send().await
    }

    /// Casts a vote, or takes it back. Problems: 403 `own-review`, 404.
    pub async fn vote(&self, id: Uuid, voter: Uuid, helpful: Option<bool>) -> Result<Votes, CallError> {
        let path = format!("/reviews/{id}/votes/{voter}");
        match helpful {
            Some(helpful) => self.0.put(path).json(&json!({ "helpful": helpful })).send().await,
            None => self.0.delete(path).send().await,
        }
    }

    /// Gives the seller's answer, or changes it; 201 for a new one. Problems: 404, 422 `answers-full`.
    pub async fn answer(
        &self,
        id: Uuid,
        answer: Uuid,
        author: Uuid,
        text: &str,
    ) -> Result<Answer<Review>, CallError> {
        let call = self.0.put(format!("/reviews/{id}/answers/{answer}"));
        let body = json!({ "author_id": author, "text": text });
        call.json(&body).answer().await
    }

    /// Takes an answer back; without it, nothing changes.
    pub async fn take_answer_back(&self, id: Uuid, answer: Uuid) -> Result<Review, CallError> {
        self.0
            .delete(format!("/reviews/{id}/answers/{answer}"))
            .send()
            .await
    }

    /// Hides a review, with a reason, or shows it again, without one. Problems: 404, 422.
    pub async fn moderate(
        &self,
        id: Uuid,
        state: ReviewState,
        reason: Option<&str>,
    ) -> Result<Review, CallError> {
        let mut body = json!({ "state": state });
        if let Some(reason) = reason {
            body["reason"] = reason.into();
        }
        let call = self.0.put(format!("/reviews/{id}/moderation"));
        call.json(&body).send().await
    }
}

impl From<ReviewPage> for Page<Review> {
    fn from(page: ReviewPage) -> Self {
        Self {
            items: page.items,
            next_cursor: page.next_cursor,
        }
    }
}
