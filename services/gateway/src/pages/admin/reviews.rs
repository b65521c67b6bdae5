//! `/admin/reviews`: what customers write: hiding it, showing it again, answering it.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::client::CallError;
use emporium_service_kit::extract::{Form, Path};
use serde::Deserialize;
use uuid::Uuid;

use crate::app::App;
use crate::clients::reviews::ReviewState;
use crate::error::Error;
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::form::hidden;
use crate::pages::params::{Params, link};
use crate::pages::review_item::ReviewItem;
use crate::pages::{personal, see_other};
use crate::reviews::{self, AdminReviewList};

const PAGE_SIZE: u32 = 20;

#[derive(Template)]
#[template(path = "admin/reviews.html")]
struct AdminReviewsPage {
    pub chrome: Chrome,
    /// Which ones are shown.
    pub state: &'static str,
    pub rows: Vec<Row>,
    pub next_href: Option<String>,
}

/// A review for whoever moderates.
pub(in crate::pages) struct Row {
    pub item: ReviewItem,
    /// What it is about; `None` while the catalog is away.
    pub product: Option<String>,
    pub author_id: Uuid,
    /// What the answer says now.
    pub answer: String,
}

/// `GET /admin/reviews`.
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    visitor.administrator()?;
    let state: ReviewState = params.get("state").and_then(hidden).unwrap_or_default();
    let mut page = vec![("limit", PAGE_SIZE.to_string())];
    page.extend(params.get("cursor").map(|cursor| ("cursor", cursor.to_owned())));
    let (chrome, list) = tokio::join!(Chrome::of(&app, &visitor), reviews::newest(&app, state, &page));
    let page = page_of(chrome.noting(params.get("note")), state, list?);
    Ok(personal(StatusCode::OK, &page))
}

fn page_of(mut chrome: Chrome, state: ReviewState, list: AdminReviewList) -> AdminReviewsPage {
    if !list.degraded.is_empty() {
        chrome.notices.push(Notice::warning(
            "The catalogue does not answer just now, so products' names are missing.",
        ));
    }
    let next = list.next_cursor.as_deref();
    let rows = list.items.into_iter().map(|one| {
        let item = ReviewItem::of(&one.review);
        Row {
            product: one.product_name,
            author_id: one.author_id,
            answer: item
                .answers
                .first()
                .map(|first| first.text.clone())
                .unwrap_or_default(),
            item,
        }
    });
    AdminReviewsPage {
        chrome,
        state: state.as_str(),
        rows: rows.collect(),
        next_href: next.map(|cursor| link("/admin/reviews", [("state", state.as_str()), ("cursor", cursor)])),
    }
}

/// A decision.
#[derive(Deserialize)]
pub struct ModerationForm {
    #[serde(default)]
    state: String,
    #[serde(default)]
    reason: String,
}

/// `POST /admin/reviews/{id}/moderation`.
pub async fn moderate(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
    Form(form): Form<ModerationForm>,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let state: ReviewState = hidden(&form.state).ok_or(Error::Unknown("state"))?;
    let reason = (state == ReviewState::Hidden).then(|| form.reason.trim());
    let outcome = app.clients.reviews.moderate(id, state, reason).await;
    let (at, done) = match state {
        ReviewState::Visible => (ReviewState::Hidden, "review-shown"),
        ReviewState::Hidden => (ReviewState::Visible, "review-hidden"),
    };
    back(outcome.map(|_| done), at, "review-reason")
}

/// An answer; an empty one takes it back.
#[derive(Deserialize)]
pub struct AnswerForm {
    #[serde(default)]
    text: String,
    /// The list that the reader was on.
    #[serde(default)]
    state: String,
}

/// `POST /admin/products/{id}/reviews/{review_id}/answer`.
pub async fn answer(
    State(app): State<App>,
    visitor: Visitor,
    Path(ids): Path<(Uuid, Uuid)>,
    Form(form): Form<AnswerForm>,
) -> Result<Response, Error> {
    let me = visitor.administrator()?.user_id;
    let at: ReviewState = hidden(&form.state).unwrap_or_default();
    let text = form.text.trim();
    let outcome = if text.is_empty() {
        reviews::take_answer_back(&app, ids, me)
            .await
            .map(|_| "review-answer-removed")
    } else {
        reviews::answer(&app, ids, me, text)
            .await
            .map(|_| "review-answered")
    };
    match outcome {
        Ok(note) => back(Ok(note), at, ""),
        Err(Error::Call(error)) => back(Err(error), at, "review-answer-refused"),
        Err(error) => Err(error),
    }
}

/// To the list again, with what came of it; `refused` is said of what cannot be accepted.
fn back(
    outcome: Result<&'static str, CallError>,
    at: ReviewState,
    refused: &'static str,
) -> Result<Response, Error> {
    let unacceptable = |error: &CallError| error.status().is_some_and(|status| status.as_u16() == 422);
    let note = match outcome {
        Ok(note) => note,
        Err(error) if unacceptable(&error) => refused,
        Err(error) => return Err(error.into()),
    };
    let pairs = [("state", at.as_str()), ("note", note)];
    Ok(see_other(&link("/admin/reviews", pairs)))
}
