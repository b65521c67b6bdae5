//! `/admin/users`: accounts, and whether they may be used.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::extract::{Form, Path};
use serde::Deserialize;
use uuid::Uuid;

use crate::app::App;
use crate::clients::Role;
use crate::clients::users::User;
use crate::error::Error;
use crate::pages::chrome::{Chrome, Visitor};
use crate::pages::params::{Params, link};
use crate::pages::timeline::Moment;
use crate::pages::{personal, see_other};

const PAGE_SIZE: u32 = 50;

#[derive(Template)]
#[template(path = "admin/users.html")]
struct UsersPage {
    pub chrome: Chrome,
    pub q: String,
    pub rows: Vec<Row>,
    pub next_href: Option<String>,
}

/// An account.
pub(in crate::pages) struct Row {
    pub id: Uuid,
    pub name: String,
    pub email: String,
    pub admin: bool,
    pub active: bool,
    pub points: i64,
    pub origin: String,
    pub since: Moment,
    /// Nobody locks themselves out.
    pub own: bool,
}

/// `GET /admin/users`.
pub async fn list(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    let me = visitor.administrator()?.user_id;
    let q = params.get("q").unwrap_or_default();
    let mut query = vec![("limit", PAGE_SIZE.to_string())];
    query.extend(params.get("q").map(|q| ("q", q.to_owned())));
    query.extend(params.get("cursor").map(|cursor| ("cursor", cursor.to_owned())));
    let (chrome, users) = tokio::join!(Chrome::of(&app, &visitor), app.clients.users.list(&query),);
    let users = users?;
    let next = users.next_cursor.as_deref();
    let page = UsersPage {
        chrome: chrome.noting(params.get("note")),
        rows: users.items.into_iter().map(|user| row(user, me)).collect(),
        next_href: next.map(|cursor| link("/admin/users", [("q", q), ("cursor", cursor)])),
        q: q.to_owned(),
    };
    Ok(personal(StatusCode::OK, &page))
}

fn row(user: User, me: Uuid) -> Row {
    Row {
        id: user.id,
        name: user.name,
        email: user.email,
        admin: user.role == Role::Admin,
        active: user.active,
        points: user.points,
        origin: user.origin,
        since: Moment::day(user.created_at),
        own: user.id == me,
    }
}

/// Whether an account may be used, and where the list was.
#[derive(Deserialize)]
pub struct StatusForm {
    #[serde(default)]
    active: String,
    #[serde(default)]
    q: String,
}

/// `POST /admin/users/{id}/status`.
pub async fn set_status(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
    Form(form): Form<StatusForm>,
) -> Result<Response, Error> {
    visitor.administrator()?;
    let active = match form.active.as_str() {
        "true" => true,
        "false" => false,
        _ => return Err(Error::Unknown("status")),
    };
    let note = match app.clients.users.set_active(id, active).await {
        Ok(_) if active => "user-opened",
        Ok(_) => "user-blocked",
        Err(error) if error.code() == Some("last-administrator") => "last-administrator",
        Err(error) => return Err(error.into()),
    };
    Ok(see_other(&link(
        "/admin/users",
        [("q", form.q.as_str()), ("note", note)],
    )))
}
