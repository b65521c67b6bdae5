//! `/admin/projections`: what services keep of other services' events, how far each is behind, and what can be done.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::extract::Path;

use crate::administration::{self, ProjectionView};
use crate::app::App;
use crate::clients::projections::{Act, ConsumerState, Rebuild, RebuildOutcome, RebuildPhase};
use crate::error::Error;
use crate::pages::charts::{Unit, grouped};
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::errors::part;
use crate::pages::params::{Params, link};
use crate::pages::timeline::Moment;
use crate::pages::{personal, see_other};

#[derive(Template)]
#[template(path = "admin/projections.html")]
struct ProjectionsPage {
    chrome: Chrome,
    rows: Vec<Row>,
    /// Whether a rebuild is under way, so that the page is looked at again. A busy shop is always behind by something:
    /// that alone is no reason to take the page from under its reader.
    moving: bool,
}

#[derive(Template)]
#[template(path = "admin/projection.html")]
struct ProjectionPage {
    chrome: Chrome,
    row: Row,
    moving: bool,
    outcome: Option<Outcome>,
}

/// A projection.
struct Row {
    name: String,
    service: &'static str,
    state: &'static str,
    class: &'static str,
    error: Option<String>,
    position: String,
    end: String,
    lag_events: String,
    lag_time: String,
    as_of: Option<Moment>,
    dead_letters: i64,
    letters_href: String,
    paused: bool,
    rebuildable: bool,
    progress: Option<Progress>,
    /// What came of the last rebuild, in short: class and words.
    last: Option<(&'static str, &'static str)>,
}

/// A rebuild under way.
struct Progress {
    phase: &'static str,
    events: String,
    total: Option<String>,
    /// Of a hundred.
    part: Option<i64>,
    since: Moment,
    error: Option<String>,
}

/// What came of the last rebuild.
struct Outcome {
    class: &'static str,
    words: &'static str,
    compared: bool,
    finished: Moment,
    took: String,
    events: String,
    tables: Vec<Table>,
    differences: Vec<String>,
}

struct Table {
    /// Its name, in pieces between which a line may end.
    name: Vec<String>,
    live: String,
    rebuilt: String,
    equal: bool,
}

/// `GET /admin/projections`.
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    visitor.administrator()?;
    let (chrome, all) = tokio::join!(Chrome::of(&app, &visitor), administration::projections(&app));
    let mut chrome = chrome.noting(params.get("note"));
    chrome.notices.extend(absences(&all.degraded));
    let page = ProjectionsPage {
        chrome,
        moving: all.items.iter().any(|view| view.projection.is_rebuilding()),
        rows: all.items.into_iter().map(row).collect(),
    };
    Ok(personal(StatusCode::OK, &page))
}

/// Whose projections cannot be shown.
pub(super) fn absences(degraded: &[&'static str]) -> Vec<Notice> {
    let notice = |service: &&str| {
        Notice::warning(format!(
            "{} ({service}) does not answer just now; what it keeps of events is missing below.",
            part(service)
        ))
    };
    degraded.iter().map(notice).collect()
}

/// `GET /admin/projections/{name}`.
pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let (chrome, view) = tokio::join!(
        Chrome::of(&app, &visitor),
        administration::projection(&app, &name)
    );
    let view = view?;
    let page = ProjectionPage {
        chrome: chrome.noting(params.get("note")),
        moving: view.projection.is_rebuilding(),
        outcome: view.projection.outcome.as_ref().map(outcome),
        row: row(view),
    };
    Ok(personal(StatusCode::OK, &page))
}

/// `POST /admin/projections/{name}/pause`.
pub async fn pause(app: State<App>, visitor: Visitor, name: Path<String>) -> Result<Response, Error> {
    act(app, visitor, name, Act::Pause, "projection-paused").await
}

/// `POST /admin/projections/{name}/resume`.
pub async fn resume(app: State<App>, visitor: Visitor, name: Path<String>) -> Result<Response, Error> {
    act(app, visitor, name, Act::Resume, "projection-resumed").await
}

/// `POST /admin/projections/{name}/rebuild`.
pub async fn rebuild(app: State<App>, visitor: Visitor, name: Path<String>) -> Result<Response, Error> {
    act(app, visitor, name, Act::Rebuild, "projection-rebuild").await
}

async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    act: Act,
    done: &'static str,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let note = match administration::act(&app, &name, act).await {
        Ok(_) => done,
        Err(Error::Call(error)) if error.code() == Some("not-rebuildable") => "not-rebuildable",
        Err(error) => return Err(error),
    };
    Ok(see_other(&link(
        &format!("/admin/projections/{name}"),
        [("note", note)],
    )))
}

fn row(view: ProjectionView) -> Row {
    let projection = view.projection;
    let (state, class) = state(projection.state);
    let number = |value: Option<i64>| value.map_or_else(|| "–".to_owned(), grouped);
    Row {
        service: view.service,
        state,
        class,
        position: number(projection.position),
        end: number(projection.end),
        lag_events: number(projection.lag_events),
        lag_time: projection.lag_ms.map_or_else(|| "–".to_owned(), time_span),
        as_of: projection.as_of.map(Moment::exact),
        dead_letters: projection.dead_letters,
        letters_href: link("/admin/dead-letters", [("consumer", &*projection.name)]),
        paused: projection.state == ConsumerState::Paused,
        rebuildable: projection.rebuildable,
        progress: projection.rebuild.as_ref().map(progress),
        last: projection.outcome.as_ref().map(verdict),
        error: projection.error,
        name: projection.name,
    }
}

/// Milliseconds, in words.
#[allow(clippy::cast_precision_loss)] // for people
pub(super) fn time_span(ms: i64) -> String {
    Unit::Seconds.exact(ms as f64 / 1_000.0)
}

/// A state in words, with its class.
pub(super) fn state(state: ConsumerState) -> (&'static str, &'static str) {
    match state {
        ConsumerState::Running => ("Running", "done"),
        ConsumerState::Paused => ("Paused", "waiting"),
        ConsumerState::Rebuilding => ("Rebuilding", "undone"),
        ConsumerState::Failing => ("Failing", "refused"),
        ConsumerState::Other => ("Not known", "todo"),
    }
}

fn progress(rebuild: &Rebuild) -> Progress {
    let part = rebuild.total.filter(|total| *total > 0);
    let part = part.map(|total| (rebuild.events.saturating_mul(100) / total).clamp(0, 100));
    Progress {
        phase: match rebuild.phase {
            RebuildPhase::Wanted => "It is about to begin",
            RebuildPhase::Reading => "The histories are being read",
            RebuildPhase::Comparing => "Both generations are being compared",
            RebuildPhase::Other => "It is under way",
        },
        events: grouped(rebuild.events),
        total: rebuild.total.map(grouped),
        part,
        since: Moment::exact(rebuild.started_at),
        error: rebuild.error.clone(),
    }
}

fn verdict(outcome: &RebuildOutcome) -> (&'static str, &'static str) {
    match outcome.equal {
        Some(true) => ("done", "Equal"),
        Some(false) => ("refused", "It differed"),
        None => ("todo", "Not compared"),
    }
}

fn outcome(outcome: &RebuildOutcome) -> Outcome {
    let (class, words) = verdict(outcome);
    let took = (outcome.finished_at - outcome.started_at).whole_milliseconds();
    Outcome {
        class,
        words,
        compared: outcome.equal.is_some(),
        finished: Moment::exact(outcome.finished_at),
        took: time_span(i64::try_from(took).unwrap_or(i64::MAX)),
        events: grouped(outcome.events),
        tables: outcome
            .tables
            .iter()
            .map(|table| Table {
                name: table.table.split_inclusive('_').map(str::to_owned).collect(),
                live: grouped(table.rows_live),
                rebuilt: grouped(table.rows_rebuilt),
                equal: table.equal,
            })
            .collect(),
        differences: outcome.differences.clone(),
    }
}
