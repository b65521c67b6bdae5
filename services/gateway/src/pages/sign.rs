//! `/sign-in`, `/sign-up`, `/sign-out`.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::Problem;
use emporium_service_kit::extract::Form;
use serde::Deserialize;

use crate::app::App;
use crate::clients::users::Registration;
use crate::cookies;
use crate::error::Error;
use crate::identity::{self, SignIn};
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::form::{self, Field};
use crate::pages::params::{Params, link, local_path};
use crate::pages::{personal, see_other};

#[derive(Template)]
#[template(path = "sign.html")]
struct SignPage {
    pub chrome: Chrome,
    /// True for signing up.
    pub up: bool,
    pub next: String,
    pub fields: Vec<Field>,
    pub error: Option<String>,
    /// The other form, with the same way on.
    pub other_href: String,
}

impl SignPage {
    fn new(chrome: Chrome, up: bool, next: &str) -> Self {
        let other = if up { "/sign-in" } else { "/sign-up" };
        Self {
            chrome,
            up,
            next: next.to_owned(),
            fields: if up {
                sign_up_fields("", "")
            } else {
                sign_in_fields("")
            },
            error: None,
            other_href: link(other, [("next", next)]),
        }
    }
}

fn sign_in_fields(email: &str) -> Vec<Field> {
    vec![
        Field::new("email", "E-mail address")
            .kind("email")
            .autocomplete("username")
            .length(0, 254)
            .value(email),
        Field::new("password", "Password")
            .kind("password")
            .autocomplete("current-password")
            .length(0, 1024),
    ]
}

fn sign_up_fields(name: &str, email: &str) -> Vec<Field> {
    vec![
        Field::new("name", "Your name")
            .autocomplete("name")
            .length(0, 200)
            .value(name),
        Field::new("email", "E-mail address")
            .kind("email")
            .autocomplete("username")
            .length(0, 254)
            .value(email),
        Field::new("password", "Password")
            .kind("password")
            .autocomplete("new-password")
            .hint("At least 8 characters. A few words you can remember are better than one with odd letters.")
            .length(8, 1024),
    ]
}

/// The form of both pages.
#[derive(Deserialize)]
pub struct SignForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

impl SignForm {
    fn next(&self) -> &str {
        local_path(&self.next).unwrap_or_default()
    }
}

/// `GET /sign-in`.
pub async fn show_in(State(app): State<App>, visitor: Visitor, params: Params) -> Response {
    show(&app, &visitor, &params, false).await
}

/// `GET /sign-up`.
pub async fn show_up(State(app): State<App>, visitor: Visitor, params: Params) -> Response {
    show(&app, &visitor, &params, true).await
}

async fn show(app: &App, visitor: &Visitor, params: &Params, up: bool) -> Response {
    let next = params.get("next").and_then(local_path).unwrap_or_default();
    if visitor.shopper.identity.is_some() {
        return see_other(if next.is_empty() { "/account" } else { next });
    }
    let chrome = Chrome::of(app, visitor).await.noting(params.get("note"));
    personal(StatusCode::OK, &SignPage::new(chrome, up, next))
}

/// `POST /sign-in`.
pub async fn sign_in(State(app): State<App>, visitor: Visitor, Form(form): Form<SignForm>) -> Response {
    let cart = visitor.shopper.anonymous_cart;
    match identity::sign_in(&app, form.email.trim(), &form.password, cart).await {
        Ok(done) => {
            let next = form.next();
            signed_in(&app, &done, if next.is_empty() { "/" } else { next })
        }
        Err(error) => {
            let problem = Problem::from(error);
            let chrome = Chrome::of(&app, &visitor).await;
            let mut page = SignPage::new(chrome, false, form.next());
            page.fields = sign_in_fields(&form.email);
            page.error = refusal(&problem, &mut page.fields);
            personal(problem.status, &page)
        }
    }
}

fn signed_in(app: &App, done: &SignIn, next: &str) -> Response {
    // What did not fit has to be seen before anything is bought.
    let next = if done.dropped.is_empty() {
        next
    } else {
        "/cart?note=cart-dropped"
    };
    let mut answer = see_other(next);
    let headers = answer.headers_mut();
    cookies::keep_session(headers, &app.config, &done.session.token);
    if done.cart_merged {
        cookies::forget(headers, &app.config, cookies::CART);
    }
    answer
}

fn refusal(problem: &Problem, fields: &mut [Field]) -> Option<String> {
    let text = match &*problem.code {
        "wrong-credentials" => "E-mail address and password do not belong together. Please try again.",
        "user-blocked" => "This account is blocked. Please get in touch with us.",
        "too-many-attempts" => "Too many attempts with this e-mail address. Please wait a few minutes.",
        _ if problem.status.is_server_error() => {
            "Signing in does not work just now; you can look around and fill your basket meanwhile."
        }
        _ => return form::complain(fields, problem),
    };
    Some(text.to_owned())
}

/// `POST /sign-up`: makes the account and signs in.
pub async fn sign_up(State(app): State<App>, visitor: Visitor, Form(form): Form<SignForm>) -> Response {
    let registration = Registration {
        email: form.email.trim(),
        password: &form.password,
        name: form.name.trim(),
    };
    if let Err(error) = app.clients.users.register(&registration).await {
        return not_signed_up(&app, &visitor, &form, Problem::from(error)).await;
    }
    let cart = visitor.shopper.anonymous_cart;
    let next = form.next();
    match identity::sign_in(&app, registration.email, &form.password, cart).await {
        Ok(done) if next.is_empty() => signed_in(&app, &done, "/?note=welcome"),
        Ok(done) => signed_in(&app, &done, next),
        Err(error) => {
            // The account is there; signing up again would only say that the address is taken.
            tracing::warn!(%error, "signed up but not in");
            see_other(&link("/sign-in", [("next", next), ("note", "registered")]))
        }
    }
}

async fn not_signed_up(app: &App, visitor: &Visitor, form: &SignForm, problem: Problem) -> Response {
    let chrome = Chrome::of(app, visitor).await;
    let mut page = SignPage::new(chrome, true, form.next());
    page.fields = sign_up_fields(&form.name, &form.email);
    page.error = match &*problem.code {
        "email-taken" => {
            let email = page.fields.iter_mut().find(|field| field.name == "email");
            if let Some(email) = email {
                email.error = Some(
                    "There is an account with this address already; you can sign in with it.".to_owned(),
                );
            }
            None
        }
        _ if problem.status.is_server_error() => {
            Some("New accounts cannot be made just now; please try again in a moment.".to_owned())
        }
        _ => form::complain(&mut page.fields, &problem),
    };
    personal(problem.status, &page)
}

#[derive(Template)]
#[template(path = "sign-out.html")]
struct SignOutPage {
    pub chrome: Chrome,
    /// True before it is done.
    pub ask: bool,
    /// True when all sessions can be ended as well from here: for the blocked, whose account page is closed.
    pub everywhere: bool,
}

/// `GET /sign-out`: asks, since a link alone must not change anything.
pub async fn show_out(State(app): State<App>, visitor: Visitor) -> Response {
    let blocked = visitor.blocked.is_some();
    if visitor.shopper.identity.is_none() && !blocked && !visitor.sessions_away {
        return see_other("/");
    }
    let page = SignOutPage {
        chrome: Chrome::of(&app, &visitor).await,
        ask: true,
        everywhere: blocked,
    };
    personal(StatusCode::OK, &page)
}

/// `POST /sign-out`. The browser forgets the session in any case; when it could not be ended as well, the answer says so.
pub async fn sign_out(State(app): State<App>, headers: axum::http::HeaderMap) -> Result<Response, Error> {
    let ended = match cookies::read(&headers, cookies::SESSION) {
        Some(token) => app.clients.sessions.revoke(token).await,
        None => Ok(()),
    };
    let mut answer = match ended {
        Err(error) if error.status().is_none_or(|status| status.is_server_error()) => {
            tracing::warn!(%error, "signed out in the browser only");
            let mut chrome = Chrome::bare();
            chrome.notices.push(Notice::warning(
                "This browser has forgotten your session, but it could not be ended on our side just now. To be sure, \
                 sign in later and choose “Sign out everywhere” in your account.",
            ));
            let page = SignOutPage {
                chrome,
                ask: false,
                everywhere: false,
            };
            personal(StatusCode::SERVICE_UNAVAILABLE, &page)
        }
        _ => see_other("/?note=signed-out"),
    };
    cookies::forget(answer.headers_mut(), &app.config, cookies::SESSION);
    Ok(answer)
}
