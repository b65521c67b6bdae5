//! Loading reviews of the past.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use emporium_service_kit::Problem;
use emporium_service_kit::bulk::{self, BulkLoad, BulkSummary, Stored};
use emporium_service_kit::problem::ProblemDocument;

use super::App;
use crate::bulk::{BulkReview, read};
use crate::store::PastReview;

/// Loads reviews of the past, streamed: one record a line, in transactions of some hundreds. What is there already stays as it
/// is. They are published as events of their time, as any review.
#[utoipa::path(post, path = "/bulk/reviews", request_body(content = BulkReview, content_type = "application/x-ndjson"),
    responses((status = 200, body = BulkSummary),
        (status = 400, body = ProblemDocument, description = "`stream-broke`"),
        (status = 413, body = ProblemDocument, description = "`record-too-large`")))]
pub async fn bulk_reviews(State(app): State<App>, body: Body) -> Result<Json<BulkSummary>, Problem> {
    bulk::load(&app, body).await.map(Json)
}

impl BulkLoad for App {
    type Checked = PastReview;
    /// Each may have ten answers and a thousand votes.
    const RECORDS_MAX: usize = 500;

    fn read(&self, line: &[u8]) -> Result<PastReview, String> {
        read(line)
    }

    async fn store(&self, chunk: Vec<(u64, PastReview)>) -> Result<Stored, Problem> {
        let reviews: Vec<PastReview> = chunk.into_iter().map(|(_, review)| review).collect();
        let loaded = self.store.load(&reviews).await?;
        Ok(Stored {
            loaded,
            rejected: Vec::new(),
        })
    }
}
