//! What others do with a review: votes, answers, moderation.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::extract::{Body, Path};
use emporium_service_kit::problem::ProblemDocument;
use uuid::Uuid;

use super::App;
use crate::error::Error;
use crate::model::{AnswerRequest, ModerationRequest, Review, State as Shown, VoteRequest, Votes};
use crate::rules::with_line_feeds;
use crate::store::{AnswerDraft, Answered, Moderation, Voted};

/// Casts a customer's vote, or changes it.
#[utoipa::path(put, path = "/reviews/{id}/votes/{voter_id}", params(("id" = Uuid, Path), ("voter_id" = Uuid, Path)),
    request_body = VoteRequest,
    responses((status = 200, body = Votes), (status = 400, body = ProblemDocument, description = "`bad-json`"),
        (status = 403, body = ProblemDocument, description = "`own-review`"),
        (status = 404, body = ProblemDocument, description = "`not-found`, also when it is hidden")))]
pub async fn put_vote(
    State(app): State<App>,
    Path((id, voter_id)): Path<(Uuid, Uuid)>,
    Body(body): Body<VoteRequest>,
) -> Result<Json<Votes>, Error> {
    voted(app.store.vote(id, voter_id, Some(body.helpful)).await?)
}

/// Takes a vote back; without one, nothing changes.
#[utoipa::path(delete, path = "/reviews/{id}/votes/{voter_id}", params(("id" = Uuid, Path), ("voter_id" = Uuid, Path)),
    responses((status = 200, body = Votes), (status = 403, body = ProblemDocument, description = "`own-review`"),
        (status = 404, body = ProblemDocument, description = "`not-found`, also when it is hidden")))]
pub async fn delete_vote(
    State(app): State<App>,
    Path((id, voter_id)): Path<(Uuid, Uuid)>,
) -> Result<Json<Votes>, Error> {
    voted(app.store.vote(id, voter_id, None).await?)
}

fn voted(outcome: Voted) -> Result<Json<Votes>, Error> {
    match outcome {
        Voted::Done(votes) => Ok(Json(votes)),
        Voted::Missing => Err(Error::Unknown),
        Voted::Own => Err(Error::OwnReview),
    }
}

/// Gives the seller's answer under an id of the caller's choice, or changes its text. Sending it again changes nothing.
#[utoipa::path(put, path = "/reviews/{id}/answers/{answer_id}", params(("id" = Uuid, Path), ("answer_id" = Uuid, Path)),
    request_body = AnswerRequest,
    responses((status = 201, body = Review, description = "The answer is new."), (status = 200, body = Review),
        (status = 400, body = ProblemDocument, description = "`bad-json`"),
        (status = 404, body = ProblemDocument, description = "`not-found`"),
        (status = 413, body = ProblemDocument, description = "`body-too-large`"),
        (status = 422, body = ProblemDocument, description = "`invalid`; `answers-full` at 10 answers")))]
pub async fn put_answer(
    State(app): State<App>,
    Path((review_id, answer_id)): Path<(Uuid, Uuid)>,
    Body(body): Body<AnswerRequest>,
) -> Result<(StatusCode, Json<Review>), Error> {
    let draft = AnswerDraft {
        review_id,
        answer_id,
        author_id: body.author_id,
        text: with_line_feeds(&body.text),
    };
    match app.store.answer(&draft).await? {
        Answered::Done(review, true) => Ok((StatusCode::CREATED, Json(*review))),
        Answered::Done(review, false) => Ok((StatusCode::OK, Json(*review))),
        Answered::Missing => Err(Error::Unknown),
        Answered::Full => Err(Error::AnswersFull),
    }
}

/// Takes an answer back; without it, nothing changes.
#[utoipa::path(delete, path = "/reviews/{id}/answers/{answer_id}", params(("id" = Uuid, Path), ("answer_id" = Uuid, Path)),
    responses((status = 200, body = Review), (status = 404, body = ProblemDocument, description = "`not-found`: no such review")))]
pub async fn delete_answer(
    State(app): State<App>,
    Path((id, answer_id)): Path<(Uuid, Uuid)>,
) -> Result<Json<Review>, Error> {
    let review = app.store.take_answer_back(id, answer_id).await?;
    review.map(Json).ok_or(Error::Unknown)
}

/// Hides a review from readers, with a reason that its author sees, or shows it again.
#[utoipa::path(put, path = "/reviews/{id}/moderation", params(("id" = Uuid, Path)), request_body = ModerationRequest,
    responses((status = 200, body = Review), (status = 400, body = ProblemDocument, description = "`bad-json`"),
        (status = 404, body = ProblemDocument, description = "`not-found`"),
        (status = 422, body = ProblemDocument, description = "`invalid`")))]
pub async fn put_moderation(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Body(body): Body<ModerationRequest>,
) -> Result<Json<Review>, Error> {
    let moderation = match body.state {
        Shown::Visible => Moderation::Show,
        // Validated to be there.
        Shown::Hidden => Moderation::Hide(with_line_feeds(&body.reason.unwrap_or_default())),
    };
    let review = app.store.moderate(id, &moderation).await?;
    review.map(Json).ok_or(Error::Unknown)
}
