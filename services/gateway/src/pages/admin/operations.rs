//! `/admin/operations`: how services, stores, consumers, checkouts and pools are doing, as monitoring has it.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures::future::join_all;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::section::{Section, section};
use crate::app::App;
use crate::clients::monitoring::{Board, MetricLine, Panel};
use crate::error::Error;
use crate::pages::charts::{Figures, Plot, Series, Shape, Sheet, Unit};
use crate::pages::chrome::{Chrome, Visitor};
use crate::pages::format::{clock_minute, moment};
use crate::pages::params::{Params, link};
use crate::pages::personal;
use crate::pages::timeline::Moment;

/// The boards that are shown, in their order, and what leads to each.
static BOARDS: [(&str, &str); 6] = [
    ("services", "Services"),
    ("stores", "Stores"),
    ("consumers", "Consumers of events"),
    ("sagas", "Checkouts"),
    ("pools", "Pools of connections"),
    ("events", "Events"),
];
/// How many of them are asked for at once: each is dozens of questions to monitoring.
const BOARDS_AT_ONCE: usize = 2;
/// Panels that another board shows already.
const ELSEWHERE: [(&str, &str); 2] = [("events", "lag"), ("events", "dead_letters")];
/// Points of a drawing, at most: monitoring answers up to a thousand steps.
const POINTS_MAX: usize = 1_001;

/// Spans to choose from.
const SPANS: [(&str, &str, Duration); 5] = [
    ("1h", "Last hour", Duration::HOUR),
    ("6h", "6 hours", Duration::hours(6)),
    ("1d", "Day", Duration::DAY),
    ("7d", "Week", Duration::WEEK),
    ("90d", "90 days", Duration::days(90)),
];

#[derive(Template)]
#[template(path = "admin/operations.html")]
struct OperationsPage {
    chrome: Chrome,
    spans: Vec<Choice>,
    at: Moment,
    /// Where the drawings begin, when that is later than asked for: nothing is known of the time before.
    since: Option<Moment>,
    boards: Vec<Shown>,
}

struct Choice {
    href: String,
    label: &'static str,
    selected: bool,
}

/// A board on the page.
struct Shown {
    name: &'static str,
    label: &'static str,
    panels: Section<Vec<Drawn>>,
}

/// A panel on the page.
enum Drawn {
    Plot(Box<Plot>),
    /// Nobody exports it.
    Unknown(String),
}

/// `GET /admin/operations`.
pub async fn show(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    visitor.administrator()?;
    // An unknown word means the last hour, as the page then shows.
    let asked = params.get("span").unwrap_or_default();
    let span = SPANS.iter().find(|span| span.0 == asked).unwrap_or(&SPANS[0]);
    let now = app.clock.now();
    let times = times(now, span.2);
    let (chrome, mut boards) = tokio::join!(Chrome::of(&app, &visitor), boards(&app, &times));
    let since = begin(&boards);
    for board in &mut boards {
        if let (Ok(board), Some(since)) = (&mut board.1, since) {
            trim(board, since);
        }
    }
    let choices = SPANS.iter().map(|(name, label, _)| Choice {
        href: link("/admin/operations", [("span", *name)]),
        label,
        selected: *name == span.0,
    });
    let page = OperationsPage {
        chrome,
        spans: choices.collect(),
        at: Moment::new(now),
        since: since.map(Moment::new),
        boards: boards.into_iter().map(shown).collect(),
    };
    Ok(personal(StatusCode::OK, &page))
}

/// A board's place on the page, and what monitoring has of it.
type Answer = (&'static (&'static str, &'static str), Section<Board>);

async fn boards(app: &App, times: &[(String, String)]) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(BOARDS.len());
    for some in BOARDS.chunks(BOARDS_AT_ONCE) {
        let boards = some.iter().map(|place| async move {
            let board = section("monitoring", app.clients.monitoring.board(place.0, times)).await;
            (place, board)
        });
        answers.extend(join_all(boards).await);
    }
    answers
}

fn shown((place, board): Answer) -> Shown {
    Shown {
        name: place.0,
        label: place.1,
        panels: board.map(|board| draw(&board)),
    }
}

/// The first moment of which anything is known, when that is not where the boards begin: a young shop's drawings would be
/// slivers at the right edge of nothing.
fn begin(boards: &[Answer]) -> Option<OffsetDateTime> {
    let boards = || boards.iter().filter_map(|(_, board)| board.as_ref().ok());
    let first = |board: &Board| {
        let lines = board.panels.iter().flat_map(|panel| &panel.items);
        let known = lines.filter_map(|line| line.values.iter().position(Option::is_some));
        moment_of(board, known.min()?)
    };
    let first = boards().filter_map(first).min()?;
    boards().any(|board| board.from < first).then_some(first)
}

/// Where a step begins.
fn moment_of(board: &Board, step: usize) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(step).ok()?.saturating_mul(board.step_s);
    board.from.checked_add(Duration::seconds(seconds))
}

/// Leaves out the steps that are over before `since`.
fn trim(board: &mut Board, since: OffsetDateTime) {
    let before = (since - board.from).whole_seconds() / board.step_s.max(1);
    let before = usize::try_from(before).unwrap_or(0);
    for line in board.panels.iter_mut().flat_map(|panel| &mut panel.items) {
        line.values.drain(..before.min(line.values.len()));
    }
    board.from = moment_of(board, before).unwrap_or(board.from);
}

fn times(now: OffsetDateTime, span: Duration) -> Vec<(String, String)> {
    let text = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    let from = now.checked_sub(span).unwrap_or(now);
    vec![("from".to_owned(), text(from)), ("to".to_owned(), text(now))]
}

fn draw(board: &Board) -> Vec<Drawn> {
    let is_here = |panel: &&Panel| !ELSEWHERE.contains(&(&*board.name, &*panel.name));
    board
        .panels
        .iter()
        .filter(is_here)
        .map(|panel| {
            if panel.known {
                Drawn::Plot(Box::new(plot(board, &telling(panel))))
            } else {
                Drawn::Unknown(panel.title.clone())
            }
        })
        .collect()
}

/// Without what says nothing: connections that nobody uses.
fn telling(panel: &Panel) -> Panel {
    let mut panel = panel.clone();
    let is_idle = |line: &MetricLine| line.labels.get("state").is_some_and(|state| state == "idle");
    panel.items.retain(|line| !is_idle(line));
    panel
}

fn plot(board: &Board, panel: &Panel) -> Plot {
    let points = panel
        .items
        .iter()
        .map(|line| line.values.len())
        .max()
        .unwrap_or(0);
    let moments: Vec<OffsetDateTime> = (0..points.min(POINTS_MAX))
        .map_while(|step| moment_of(board, step))
        .collect();
    let is_one_day = board.to - board.from <= Duration::DAY;
    let name = |at: &OffsetDateTime| {
        if is_one_day {
            clock_minute(*at)
        } else {
            moment(*at)
        }
    };
    Plot::new(Sheet {
        id: &format!("{}-{}", slug(&board.name), slug(&panel.name)),
        title: &panel.title,
        unit: unit(&panel.unit),
        shape: if panel.items.len() == 1 {
            Shape::Area
        } else {
            Shape::Lines
        },
        figures: Figures::Summary,
        names: moments.iter().map(name).collect(),
        moments,
        series: series(panel),
    })
}

/// For an id in the page: ours are slugs already.
fn slug(text: &str) -> String {
    let kept = text.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    });
    kept.collect()
}

/// The lines of a panel under the labels by which they differ.
fn series(panel: &Panel) -> Vec<Series> {
    let lines = &panel.items;
    let differs = |label: &String| {
        lines
            .iter()
            .any(|line| line.labels.get(label) != lines[0].labels.get(label))
    };
    let labels: Vec<&String> = lines
        .first()
        .into_iter()
        .flat_map(|line| line.labels.keys())
        .collect();
    let told: Vec<&String> = labels
        .into_iter()
        .filter(|label| lines.len() == 1 || differs(label))
        .collect();
    lines
        .iter()
        .map(|line| Series {
            name: name(line, &told),
            values: line.values.clone(),
        })
        .collect()
}

fn name(line: &MetricLine, told: &[&String]) -> String {
    let service = line.labels.get("service").map_or("", String::as_str);
    // The service first, unless something else begins with its name: a projection is called after it.
    let others = told
        .iter()
        .filter(|label| **label != "service")
        .filter_map(|label| line.labels.get(*label));
    let others: Vec<&str> = others
        .map(String::as_str)
        .filter(|value| !value.is_empty())
        .collect();
    let is_named = others.iter().any(|value| value.starts_with(service));
    let first = Some(service)
        .filter(|_| !is_named && !service.is_empty() && told.iter().any(|label| *label == "service"));
    let parts: Vec<&str> = first.into_iter().chain(others).collect();
    if parts.is_empty() {
        "all".to_owned()
    } else {
        parts.join(" · ")
    }
}

fn unit(text: &str) -> Unit {
    match text {
        "per second" => Unit::PerSecond,
        "seconds" => Unit::Seconds,
        "share" => Unit::Share,
        "connections" => Unit::Number("connections"),
        "sagas" => Unit::Number("checkouts"),
        "events" => Unit::Count("events"),
        "orders" => Unit::Count("orders"),
        "requests" => Unit::Count("requests"),
        _ => Unit::Number("value"),
    }
}
