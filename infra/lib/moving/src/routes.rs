//! How an operator asks for a move and looks on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::extract::Body;
use emporium_service_kit::problem::ProblemDocument;
use emporium_service_kit::{Api, Problem, ServiceName};
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::mover::Moving;
use crate::record::{Move, Outcome, Phase, Place, Report, Shadow, Standing};
use crate::register;

/// Moving is the operator's.
const OPERATOR: &[ServiceName] = &[ServiceName::Operator];

/// Asks for a move.
#[derive(Clone, Serialize, Deserialize, Validate, ToSchema)]
pub struct MoveRequest {
    /// The URL of the store to move to, as in the setting; `postgres:` for the service's own database.
    #[garde(length(bytes, min = 1, max = 2_048))]
    pub to: String,
    /// Whether answers of both stores are compared, until `POST /move/switch`.
    #[garde(skip)]
    #[serde(default)]
    pub shadow: bool,
    /// Whether what the other store holds may be thrown away.
    #[garde(skip)]
    #[serde(default)]
    pub overwrite: bool,
}

impl std::fmt::Debug for MoveRequest {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MoveRequest")
            .field("shadow", &self.shadow)
            .field("overwrite", &self.overwrite)
            .finish_non_exhaustive()
    }
}

/// Where the data is, and what is moved.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MoveStatus {
    /// The service.
    pub service: String,
    /// The setting that names the store.
    pub setting: String,
    /// Which store serves, without secrets.
    pub serving: String,
    /// The move that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "move")]
    pub under_way: Option<MoveView>,
    /// What became of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Outcome>,
}

/// A move that is under way.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MoveView {
    /// Which one.
    pub id: Uuid,
    /// Where to, without secrets.
    pub to: String,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub began_at: OffsetDateTime,
    /// What it is at.
    pub phase: Phase,
    /// Whether it waits for the operator's decision.
    pub undecided: bool,
    /// Records that were copied.
    pub copied: i64,
    /// Events or documents that were read to build the rest.
    pub built: Option<i64>,
    /// How many of them there are, if that is known.
    pub built_total: Option<i64>,
    /// Records that were written to and are to be copied again.
    pub marked: i64,
    /// How often copying began anew because the stores differed.
    pub passes: u32,
    /// How they differed the last time.
    pub differences: Vec<String>,
    /// Reads that were answered by both.
    pub shadow: Shadow,
    /// What keeps it from going on.
    pub trouble: Vec<String>,
}

impl<S: ?Sized + Send + Sync + 'static> Moving<S> {
    /// The routes, for a service with any state.
    pub fn api<T: Clone + Send + Sync + 'static>(&self) -> Api<T> {
        Api::default()
            .allow(OPERATOR, routes!(get_move, post_move, delete_move))
            .allow(OPERATOR, routes!(post_switch))
            .given(Handle(std::sync::Arc::new(self.clone())))
    }

    /// Where the data is, and what is moved.
    pub async fn status(&self) -> Result<MoveStatus, Problem> {
        let here = self.0.gate.here();
        let (_, standing) = register::standing(here.register.as_ref()).await?;
        let mut status = MoveStatus {
            service: self.service().to_string(),
            setting: self.0.setting.to_owned(),
            serving: here.address.clone(),
            under_way: None,
            last: None,
        };
        match standing {
            Standing::Serving { last } => status.last = last.map(|last| *last),
            Standing::Moving(moving) => {
                let marked = match &here.copied {
                    Some(copied) => copied.journal.count().await?,
                    None => 0,
                };
                status.under_way = Some(view(&moving, marked));
            }
            // This instance is about to follow.
            Standing::Left(_) | Standing::Filling { .. } => {}
        }
        Ok(status)
    }

    /// Begins a move, or joins the one that is under way to the same store.
    pub async fn ask(&self, request: &MoveRequest) -> Result<MoveStatus, Problem> {
        let is_own = matches!(request.to.trim_end_matches('/'), "postgres:" | "postgresql:");
        let url = if is_own { "" } else { &request.to };
        let refused = |problem: String| Problem::unprocessable("invalid", problem);
        let environment = self.with_url(url).map_err(|error| refused(error.to_string()))?;
        let sealed = self
            .0
            .sealer
            .seal(url, self.0.setting)
            .map_err(|error| refused(error.to_string()))?;
        // Opened here first: what cannot be used is told at once, and nothing has begun.
        let there = (self.0.opener)(environment)
            .await
            .map_err(|error| refused(error.to_string()))?;
        let (_, its) = register::standing(there.register.as_ref()).await?;
        if matches!(its, Standing::Serving { .. }) && !request.overwrite {
            let empty = there
                .is_empty()
                .await
                .map_err(|error| refused(error.to_string()))?;
            if !empty {
                let here = self.0.gate.here();
                let same = there.address == here.address;
                let why = if same { SAME } else { crate::mover::NOT_EMPTY };
                return Err(Problem::conflict(
                    "not-empty",
                    format!("{}: {why}", there.address),
                ));
            }
        }
        let here = self.0.gate.here();
        let to = Place {
            address: there.address.clone(),
            sealed,
        };
        let asked = Move::asked(&here.address, to, request.shadow, request.overwrite, self.now());
        let begun = register::change(here.register.as_ref(), |standing| match standing {
            Standing::Serving { .. } => (Some(Standing::Moving(Box::new(asked.clone()))), Ok(())),
            // The same again is joined.
            Standing::Moving(other) if other.to.address == asked.to.address => (None, Ok(())),
            Standing::Moving(other) => (None, Err(other.to.address.clone())),
            Standing::Left(left) => (None, Err(left.to.address.clone())),
            Standing::Filling { from, .. } => (None, Err(from.clone())),
        });
        if let Err(other) = begun.await? {
            return Err(Problem::conflict(
                "moving",
                format!("A move to {other} is under way; let it end or cancel it first."),
            ));
        }
        self.0.wake.notify_one();
        self.status().await
    }

    /// Says how the move that is under way goes on.
    pub async fn decide(&self, decision: Decision) -> Result<MoveStatus, Problem> {
        let here = self.0.gate.here();
        let changed = register::change(here.register.as_ref(), |standing| match standing {
            Standing::Moving(moving) => {
                let mut next = moving.clone();
                match decision {
                    Decision::Switch => next.shadow = false,
                    Decision::Cancel => next.cancelled = true,
                }
                (Some(Standing::Moving(next)), true)
            }
            _ => (None, false),
        });
        if !changed.await? {
            return Err(Problem::conflict("not-moving", "No move is under way."));
        }
        self.0.wake.notify_one();
        self.status().await
    }
}

const SAME: &str =
    "this is the store where the data is already, or one that holds other data; nothing to move";

fn view(moving: &Move, marked: i64) -> MoveView {
    let reports: Vec<&Report> = moving.members.values().map(|member| &member.report).collect();
    let built = reports.iter().find_map(|report| report.built);
    MoveView {
        id: moving.id,
        to: moving.to.address.clone(),
        began_at: moving.began_at,
        phase: moving.phase,
        undecided: moving.is_undecided(),
        copied: moving.copied,
        built: built.map(|(done, _)| done),
        built_total: built.and_then(|(_, total)| total),
        marked,
        passes: moving.passes,
        differences: moving.differences.clone(),
        shadow: moving.compared(),
        trouble: reports
            .iter()
            .filter_map(|report| report.trouble.clone())
            .collect(),
    }
}

/// What an operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Answers were compared for long enough.
    Switch,
    /// Everything stays where it is.
    Cancel,
}

/// [`Moving`] of any store, so that the routes have one type.
#[derive(Clone)]
struct Handle(std::sync::Arc<dyn Asked>);

#[async_trait::async_trait]
trait Asked: Send + Sync {
    async fn status(&self) -> Result<MoveStatus, Problem>;
    async fn ask(&self, request: &MoveRequest) -> Result<MoveStatus, Problem>;
    async fn decide(&self, decision: Decision) -> Result<MoveStatus, Problem>;
}

#[async_trait::async_trait]
impl<S: ?Sized + Send + Sync + 'static> Asked for Moving<S> {
    async fn status(&self) -> Result<MoveStatus, Problem> {
        self.status().await
    }

    async fn ask(&self, request: &MoveRequest) -> Result<MoveStatus, Problem> {
        self.ask(request).await
    }

    async fn decide(&self, decision: Decision) -> Result<MoveStatus, Problem> {
        self.decide(decision).await
    }
}

/// Where the data is, and what is moved.
#[utoipa::path(get, path = "/move", responses((status = 200, body = MoveStatus),
    (status = 503, body = ProblemDocument, description = "`store-unavailable`")))]
async fn get_move(State(handle): State<Handle>) -> Result<Json<MoveStatus>, Problem> {
    handle.0.status().await.map(Json)
}

/// Begins a move to another store, or joins the one that is under way there. It goes on by itself, after a restart too.
#[utoipa::path(post, path = "/move", request_body = MoveRequest, responses((status = 202, body = MoveStatus),
    (status = 409, body = ProblemDocument, description = "`moving` elsewhere already, `not-empty`"),
    (status = 422, body = ProblemDocument, description = "`invalid`: no such store, or one that cannot be used"),
    (status = 503, body = ProblemDocument, description = "`store-unavailable`")))]
async fn post_move(
    State(handle): State<Handle>,
    Body(request): Body<MoveRequest>,
) -> Result<(StatusCode, Json<MoveStatus>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(handle.0.ask(&request).await?)))
}

/// Decides for the switch, when answers were compared for long enough.
#[utoipa::path(post, path = "/move/switch", responses((status = 202, body = MoveStatus),
    (status = 409, body = ProblemDocument, description = "`not-moving`"),
    (status = 503, body = ProblemDocument, description = "`store-unavailable`")))]
async fn post_switch(State(handle): State<Handle>) -> Result<(StatusCode, Json<MoveStatus>), Problem> {
    let decided = handle.0.decide(Decision::Switch).await?;
    Ok((StatusCode::ACCEPTED, Json(decided)))
}

/// Ends the move: everything stays where it was, and the other store is emptied. Too late when the switch is made already.
#[utoipa::path(delete, path = "/move", responses((status = 202, body = MoveStatus),
    (status = 409, body = ProblemDocument, description = "`not-moving`"),
    (status = 503, body = ProblemDocument, description = "`store-unavailable`")))]
async fn delete_move(State(handle): State<Handle>) -> Result<(StatusCode, Json<MoveStatus>), Problem> {
    let decided = handle.0.decide(Decision::Cancel).await?;
    Ok((StatusCode::ACCEPTED, Json(decided)))
}
