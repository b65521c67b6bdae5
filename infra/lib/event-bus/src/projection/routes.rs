//! What operators see of a service's consumer groups and do with them over HTTP. A consuming service mounts all of it:
//!
//! ```text
//! routes::api().merge(Projections::of([&group]).api()).with_state(app)
//! ```

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::extract::{Path, Query};
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Problem, ServiceName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Outcome, Rebuild};
use crate::bus::DeadLetter;
use crate::consumer::{
    self, ConsumerGroup, DeadLetterList, DeadLetterQuery, GroupStatus, accept_rebuild, away, store_away,
};

/// Administrators come by the gateway.
const CARETAKERS: &[ServiceName] = &[ServiceName::Gateway, ServiceName::Operator];

/// A service's projections, each kept by the consumer group of the same name.
#[derive(Clone)]
pub struct Projections(Arc<[Arc<ConsumerGroup>]>);

/// A projection and the group that keeps it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProjectionStatus {
    /// Its name, which is the group's.
    pub name: String,
    /// How the group stands.
    #[serde(flatten)]
    pub group: GroupStatus,
    /// Whether it can be rebuilt from the owners' histories. That happens beside the live one, with a comparison at its end.
    pub rebuildable: bool,
    /// The rebuild that is wanted or under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<Rebuild>,
    /// What came of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// All projections of a service.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProjectionList {
    /// By name.
    pub items: Vec<ProjectionStatus>,
}

impl Projections {
    /// Of these groups.
    pub fn of<'a>(groups: impl IntoIterator<Item = &'a Arc<ConsumerGroup>>) -> Self {
        Self(groups.into_iter().cloned().collect())
    }

    /// The routes, for a service with any state.
    pub fn api<S: Clone + Send + Sync + 'static>(self) -> Api<S> {
        Api::default()
            .allow(CARETAKERS, routes!(list_projections))
            .allow(CARETAKERS, routes!(get_projection))
            .allow(CARETAKERS, routes!(pause_projection))
            .allow(CARETAKERS, routes!(resume_projection))
            .allow(CARETAKERS, routes!(post_projection_rebuild))
            .allow(CARETAKERS, routes!(get_projection_dead_letters))
            .allow(CARETAKERS, routes!(replay_projection_dead_letter))
            .given(self)
    }

    fn find(&self, name: &str) -> Result<&Arc<ConsumerGroup>, Problem> {
        let found = self.0.iter().find(|group| group.name() == name);
        found.ok_or_else(|| Problem::not_found("There is no such projection."))
    }
}

impl ConsumerGroup {
    /// The status of the moment. With the bus away it is the last one known, which says since when.
    async fn projection_status(&self) -> Result<ProjectionStatus, Problem> {
        self.look().await;
        let (mut rebuild, mut outcome) = (None, None);
        if let Some(generations) = self.consumer.generations() {
            let standing = generations.standing().await.map_err(|error| store_away(&error))?;
            (rebuild, outcome) = (standing.rebuild, standing.outcome);
        }
        if let Some(rebuild) = &mut rebuild {
            rebuild.error = self.rebuild_error();
        }
        Ok(ProjectionStatus {
            name: self.name().to_owned(),
            group: self.status_with(rebuild.is_some()),
            rebuildable: self.can_rebuild(),
            rebuild,
            outcome,
        })
    }
}

/// What this service keeps of other services' events, and how far it is behind.
#[utoipa::path(get, path = "/projections", responses((status = 200, body = ProjectionList),
    (status = 503, body = ProblemDocument, description = "`store-unavailable`")))]
async fn list_projections(State(projections): State<Projections>) -> Result<Json<ProjectionList>, Problem> {
    let mut items = Vec::with_capacity(projections.0.len());
    for group in projections.0.iter() {
        items.push(group.projection_status().await?);
    }
    Ok(Json(ProjectionList { items }))
}

/// One of them.
#[utoipa::path(get, path = "/projections/{name}", params(("name" = String, Path)),
    responses((status = 200, body = ProjectionStatus), (status = 404, body = ProblemDocument, description = "`not-found`"),
        (status = 503, body = ProblemDocument, description = "`store-unavailable`")))]
async fn get_projection(
    State(projections): State<Projections>,
    Path(name): Path<String>,
) -> Result<Json<ProjectionStatus>, Problem> {
    projections.find(&name)?.projection_status().await.map(Json)
}

/// Pauses the group in all processes: nothing more is delivered to it until it is resumed, after a restart either.
#[utoipa::path(post, path = "/projections/{name}/pause", params(("name" = String, Path)),
    responses((status = 200, body = ProjectionStatus), (status = 404, body = ProblemDocument, description = "`not-found`"),
        (status = 503, body = ProblemDocument, description = "`bus-unavailable`")))]
async fn pause_projection(
    State(projections): State<Projections>,
    Path(name): Path<String>,
) -> Result<Json<ProjectionStatus>, Problem> {
    let group = projections.find(&name)?;
    group.pause().await.map_err(|error| away(&error))?;
    group.projection_status().await.map(Json)
}

/// Resumes a paused group.
#[utoipa::path(post, path = "/projections/{name}/resume", params(("name" = String, Path)),
    responses((status = 200, body = ProjectionStatus), (status = 404, body = ProblemDocument, description = "`not-found`"),
        (status = 503, body = ProblemDocument, description = "`bus-unavailable`")))]
async fn resume_projection(
    State(projections): State<Projections>,
    Path(name): Path<String>,
) -> Result<Json<ProjectionStatus>, Problem> {
    let group = projections.find(&name)?;
    group.resume().await.map_err(|error| away(&error))?;
    group.projection_status().await.map(Json)
}

/// Asks for a rebuild from the owners' histories, which a running member does. One that is under way goes on.
#[utoipa::path(post, path = "/projections/{name}/rebuild", params(("name" = String, Path)),
    responses((status = 202, body = ProjectionStatus, description = "`rebuild.id` is the `outcome.id` at its end, unless the bus asks for a rebuild meanwhile, whose id takes its place"),
        (status = 404, body = ProblemDocument, description = "`not-found`"),
        (status = 409, body = ProblemDocument, description = "`not-rebuildable`"),
        (status = 503, body = ProblemDocument, description = "`store-unavailable`")))]
async fn post_projection_rebuild(
    State(projections): State<Projections>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<ProjectionStatus>), Problem> {
    let group = projections.find(&name)?;
    let id = accept_rebuild(group).await?;
    let mut status = group.projection_status().await?;
    if status.rebuild.is_none() {
        let ended = status.outcome.as_ref().filter(|outcome| outcome.id == id);
        // A small one may have ended by now. What is answered is what was accepted.
        status.rebuild = ended.map(Outcome::as_wanted);
    }
    Ok((StatusCode::ACCEPTED, Json(status)))
}

/// Events that the group could not apply, oldest first.
#[utoipa::path(get, path = "/projections/{name}/dead-letters", params(("name" = String, Path), DeadLetterQuery),
    responses((status = 200, body = DeadLetterList), (status = 404, body = ProblemDocument, description = "`not-found`"),
        (status = 503, body = ProblemDocument, description = "`bus-unavailable`")))]
async fn get_projection_dead_letters(
    State(projections): State<Projections>,
    Path(name): Path<String>,
    query: Query<DeadLetterQuery>,
) -> Result<Json<DeadLetterList>, Problem> {
    consumer::list_dead_letters(projections.find(&name)?, query).await
}

/// Applies one of them again.
#[utoipa::path(post, path = "/projections/{name}/dead-letters/{id}/replay",
    params(("name" = String, Path), ("id" = i64, Path)),
    responses((status = 200, body = DeadLetter), (status = 404, body = ProblemDocument, description = "`not-found`"),
        (status = 409, body = ProblemDocument, description = "`still-rejected`"),
        (status = 503, body = ProblemDocument, description = "`bus-unavailable`, `store-unavailable`")))]
async fn replay_projection_dead_letter(
    State(projections): State<Projections>,
    Path((name, id)): Path<(String, i64)>,
) -> Result<Json<DeadLetter>, Problem> {
    consumer::replay_dead_letter(projections.find(&name)?, id).await
}
