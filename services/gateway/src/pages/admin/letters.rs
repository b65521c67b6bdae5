//! `/admin/dead-letters`: events that a consumer could not apply, and their replay.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::extract::Path;
use emporium_service_kit::page::{decode_cursor, encode_cursor};
use serde_json::Value;

use super::projections::absences;
use super::section::{Section, section};
use crate::administration::{self, ProjectionView};
use crate::app::App;
use crate::clients::projections::DeadLetter;
use crate::error::Error;
use crate::pages::chrome::{Chrome, Visitor};
use crate::pages::params::{Params, link};
use crate::pages::timeline::Moment;
use crate::pages::{personal, see_other};

const PAGE_SIZE: u32 = 50;
/// Characters of a payload that are shown.
const PAYLOAD_CHARS_MAX: usize = 6_000;

#[derive(Template)]
#[template(path = "admin/dead-letters.html")]
struct LettersPage {
    chrome: Chrome,
    tabs: Vec<Tab>,
    /// Whose letters are shown; none when nobody can say who there is.
    consumer: Option<String>,
    letters: Section<Vec<Letter>>,
    next_href: Option<String>,
    /// Replaying goes on after this one; 0: at the beginning.
    replay_after: i64,
}

struct Tab {
    href: String,
    label: String,
    count: i64,
    selected: bool,
}

struct Letter {
    id: i64,
    kind: String,
    subject: String,
    at: Moment,
    error: String,
    attempts: i32,
    replayed: Option<Moment>,
    payload: String,
    /// Characters of it that are not shown.
    more: usize,
}

/// `GET /admin/dead-letters`.
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    visitor.administrator()?;
    let (chrome, all) = tokio::join!(Chrome::of(&app, &visitor), administration::projections(&app));
    let mut chrome = chrome.noting(params.get("note"));
    chrome.notices.extend(absences(&all.degraded));
    let consumer = params
        .get("consumer")
        .map(str::to_owned)
        .or_else(|| first(&all.items));
    // An unreadable place is the beginning, as the page then shows.
    let after: i64 = params
        .get("cursor")
        .and_then(|cursor| decode_cursor(cursor).ok())
        .unwrap_or(0);
    let letters = match &consumer {
        Some(name) => {
            let service = all.items.iter().find(|view| view.projection.name == *name);
            let service = service.map_or("events", |view| view.service);
            section(
                service,
                app.clients.consumers.dead_letters(name, after.max(0), PAGE_SIZE),
            )
            .await
        }
        None => Err("Nobody can say just now which consumers there are.".to_owned()),
    };
    let last = letters
        .as_ref()
        .ok()
        .and_then(|letters| letters.last().filter(|_| letters.len() >= PAGE_SIZE as usize));
    let next = last.map(|last| encode_cursor(&last.id));
    let selected = consumer.as_deref().unwrap_or_default();
    let page = LettersPage {
        chrome,
        next_href: next.map(|next| {
            link(
                "/admin/dead-letters",
                [("consumer", selected), ("cursor", &*next)],
            )
        }),
        replay_after: self::after(&params),
        tabs: all.items.iter().map(|view| tab(view, selected)).collect(),
        letters: letters.map(|letters| letters.iter().map(letter).collect()),
        consumer,
    };
    Ok(personal(StatusCode::OK, &page))
}

/// The one with the most of them.
fn first(all: &[ProjectionView]) -> Option<String> {
    let most = all.iter().rev().max_by_key(|view| view.projection.dead_letters);
    most.map(|view| view.projection.name.clone())
}

fn tab(view: &ProjectionView, selected: &str) -> Tab {
    let name = &view.projection.name;
    Tab {
        href: link("/admin/dead-letters", [("consumer", &**name)]),
        label: name.clone(),
        count: view.projection.dead_letters,
        selected: name == selected,
    }
}

fn letter(letter: &DeadLetter) -> Letter {
    let member = |name: &str| {
        letter
            .event
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("–")
            .to_owned()
    };
    let whole = serde_json::to_string_pretty(&letter.event).unwrap_or_default();
    // Nothing of a page may be a control character, whatever an event holds.
    let clean: String = whole
        .chars()
        .filter(|letter| !letter.is_control() || *letter == '\n')
        .collect();
    let payload: String = clean.chars().take(PAYLOAD_CHARS_MAX).collect();
    Letter {
        id: letter.id,
        kind: member("type"),
        subject: member("subject"),
        at: Moment::exact(letter.at),
        error: letter.error.replace(char::is_control, " "),
        attempts: letter.attempts,
        replayed: letter.replayed_at.map(Moment::exact),
        more: clean.chars().count().saturating_sub(PAYLOAD_CHARS_MAX),
        payload,
    }
}

/// `POST /admin/dead-letters/{name}/{id}/replay`.
pub async fn replay(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, id)): Path<(String, i64)>,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let note = match app.clients.consumers.replay(&name, id).await {
        Ok(_) => "replayed",
        Err(error) if error.code() == Some("still-rejected") => "still-rejected",
        Err(error) => return Err(error.into()),
    };
    Ok(back(&name, note))
}

/// `POST /admin/dead-letters/{name}/replay`.
pub async fn replay_all(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let done = administration::replay_all(&app, &name, after(&params)).await?;
    let all = done.rejected == 0 && !done.more();
    let note = if all { "replayed-all" } else { "replayed-some" };
    let after = done.next_after.map(|id| id.to_string()).unwrap_or_default();
    Ok(see_other(&link(
        "/admin/dead-letters",
        [("consumer", &*name), ("after", &after), ("note", note)],
    )))
}

/// Where replaying goes on; the beginning when that cannot be read.
fn after(params: &Params) -> i64 {
    let after = params.get("after").and_then(|after| after.parse().ok());
    after.unwrap_or(0).max(0)
}

fn back(name: &str, note: &str) -> Response {
    see_other(&link("/admin/dead-letters", [("consumer", name), ("note", note)]))
}
