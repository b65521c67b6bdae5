//! Problems as pages: handlers answer alike for everybody (problem+json), and here it becomes a page in the shop's look
//! when a browser asked for one.

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use emporium_service_kit::Problem;
use serde_json::Value;

use crate::pages::chrome::Chrome;
use crate::pages::params::link;
use crate::pages::{personal, see_other};

/// Problems are some hundred bytes; more than this is none of ours.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    chrome: Chrome,
    status: u16,
    heading: &'static str,
    text: String,
    /// Where to go on, besides the front page: address and words.
    onward: Option<(String, &'static str)>,
}

/// Layer: turns problems into pages for whoever asked for HTML outside of `/api`.
pub async fn in_shop_look(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") || !accepts_html(&request) {
        return next.run(request).await;
    }
    let back = way_back(&request);
    let answer = next.run(request).await;
    let problem = answer.headers().get(header::CONTENT_TYPE);
    if problem.is_none_or(|kind| kind != "application/problem+json") {
        return answer;
    }
    page(answer, &back).await
}

fn accepts_html(request: &Request) -> bool {
    let mut accepted = request.headers().get_all(header::ACCEPT).iter();
    accepted.any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}

/// Where to go on after signing in, or to try again: to the page itself, or, for a form, to the page of its part of the
/// shop, since a form's address may show nothing by itself.
fn way_back(request: &Request) -> String {
    let uri = request.uri();
    if *request.method() == Method::GET {
        return uri
            .path_and_query()
            .map_or("/", |whole| whole.as_str())
            .to_owned();
    }
    let part = uri.path().split('/').nth(1).unwrap_or_default();
    format!("/{part}")
}

async fn page(answer: Response, back: &str) -> Response {
    let (parts, body) = answer.into_parts();
    let Ok(bytes) = to_bytes(body, PROBLEM_BYTES_MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let problem = Problem::from_answer(parts.status, &bytes);
    if problem.code == "sign-in-required" {
        return see_other(&link("/sign-in", [("next", back)]));
    }
    let (heading, text) = words(&problem);
    let page = ErrorPage {
        chrome: Chrome::bare(),
        status: problem.status.as_u16(),
        heading,
        text,
        onward: onward(&problem, back),
    };
    let mut answer = personal(problem.status, &page);
    for name in [header::RETRY_AFTER, header::ALLOW] {
        if let Some(value) = parts.headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

fn onward(problem: &Problem, back: &str) -> Option<(String, &'static str)> {
    match (problem.status, &*problem.code) {
        (_, "user-blocked") => Some(("/sign-out".to_owned(), "Sign out")),
        (status, _) if status.is_server_error() => Some((back.to_owned(), "Try again")),
        _ => None,
    }
}

fn words(problem: &Problem) -> (&'static str, String) {
    match (problem.status, &*problem.code) {
        (_, "cross-site-request") => (
            "That did not come from here",
            "This request was sent by another site, so nothing was changed. If you meant it, please do it on one of our \
             pages."
                .to_owned(),
        ),
        (_, "user-blocked") => (
            "This account is blocked",
            "You can look around, but your account, your orders and the checkout are closed for now. Nothing of yours has \
             been deleted. Please get in touch with us."
                .to_owned(),
        ),
        (_, "administrators-only") => (
            "For administrators only",
            "This page is for those who run the shop. You are signed in as a customer.".to_owned(),
        ),
        (StatusCode::NOT_FOUND, _) => (
            "We cannot find that page",
            "Perhaps the address was mistyped, or what was here is gone.".to_owned(),
        ),
        (StatusCode::METHOD_NOT_ALLOWED, _) => (
            "This page cannot be opened like that",
            "Please start again from the shop's front page.".to_owned(),
        ),
        (StatusCode::SERVICE_UNAVAILABLE, _) => ("Part of the shop is away", missing(problem)),
        (status, _) if status.is_server_error() => (
            "Something went wrong on our side",
            "Nothing you did caused this. Please try again in a moment.".to_owned(),
        ),
        _ => ("That did not work", problem.detail.clone()),
    }
}

fn missing(problem: &Problem) -> String {
    let service = problem.extensions.get("service").and_then(Value::as_str);
    let part = service.map_or("A part of the shop that this page needs", part);
    format!("{part} does not answer just now. Nothing is lost; please try again in a moment.")
}

/// What customers know a service by.
pub fn part(service: &str) -> &'static str {
    match service {
        "users" => "The part of the shop that keeps accounts and addresses",
        "sessions" => "The part of the shop that knows who is signed in",
        "catalog" => "The catalogue of products",
        "carts" => "The part of the shop that keeps baskets",
        "orders" => "The part of the shop that keeps orders",
        "payments" => "The part of the shop that handles payments",
        "recommendations" => "The part of the shop that finds what goes with what",
        "reviews" => "The part of the shop that keeps reviews",
        "analytics" => "The part of the shop that makes its figures",
        "monitoring" => "The part of the shop that watches over the others",
        _ => "A part of the shop that this page needs",
    }
}
