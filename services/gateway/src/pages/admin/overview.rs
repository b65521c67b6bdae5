//! `/admin`: how the shop is, at a glance, and the way to everything else.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::projections::{state, time_span};
use super::section::{Section, section};
use crate::administration::{self, ProjectionList};
use crate::app::App;
use crate::clients::analytics::Live;
use crate::clients::projections::ConsumerState;
use crate::clients::{HealthStatus, ServiceHealth};
use crate::error::Error;
use crate::pages::charts::{grouped, money, sparkline};
use crate::pages::chrome::{Chrome, Visitor};
use crate::pages::personal;
use crate::pages::timeline::Moment;

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    chrome: Chrome,
    live: Section<Hour>,
    services: Vec<ServiceHealth>,
    up: usize,
    projections: Vec<Behind>,
    silent: Vec<&'static str>,
    dead_letters: String,
    any_dead: bool,
}

/// The last hour.
struct Hour {
    orders: String,
    gross: String,
    line: String,
    as_of: Option<Moment>,
}

/// A projection, in short.
struct Behind {
    name: String,
    state: &'static str,
    class: &'static str,
    lag: String,
}

/// `GET /admin`.
pub async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, Error> {
    visitor.administrator()?;
    let (chrome, live, services, projections) = tokio::join!(
        Chrome::of(&app, &visitor),
        section("analytics", app.clients.analytics.live(&[])),
        app.clients.health(),
        administration::projections(&app),
    );
    let dead: i64 = projections
        .items
        .iter()
        .map(|view| view.projection.dead_letters)
        .sum();
    let page = OverviewPage {
        chrome,
        live: live.map(|live| hour(&live)),
        up: services.iter().filter(|service| is_up(service)).count(),
        services,
        dead_letters: grouped(dead),
        any_dead: dead > 0,
        projections: behind(&projections),
        silent: projections.degraded,
    };
    Ok(personal(StatusCode::OK, &page))
}

fn is_up(service: &ServiceHealth) -> bool {
    service.status == HealthStatus::Up
}

#[allow(clippy::cast_precision_loss)] // drawn
fn hour(live: &Live) -> Hour {
    let line: Vec<f64> = live
        .items
        .iter()
        .map(|minute| minute.gross.amount as f64)
        .collect();
    Hour {
        orders: grouped(live.orders),
        gross: money(live.gross),
        line: sparkline(&line),
        as_of: live.as_of.map(Moment::new),
    }
}

fn behind(all: &ProjectionList) -> Vec<Behind> {
    let rows = all.items.iter().map(|view| {
        let projection = &view.projection;
        let (state, class) = if projection.is_rebuilding() {
            state(ConsumerState::Rebuilding)
        } else {
            state(projection.state)
        };
        let lag = match (projection.lag_events, projection.lag_ms) {
            (Some(0), _) => "up to date".to_owned(),
            (Some(events), Some(ms)) => format!("{} events, {} behind", grouped(events), time_span(ms)),
            (Some(events), None) => format!("{} events behind", grouped(events)),
            (None, _) => "not known".to_owned(),
        };
        Behind {
            name: projection.name.clone(),
            state,
            class,
            lag,
        }
    });
    rows.collect()
}
