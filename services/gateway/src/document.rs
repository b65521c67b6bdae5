//! What all operations of the OpenAPI document have in common, said in one place: the media type of problems, a
//! description of every answer (OpenAPI demands one), and that any operation may end in a problem.

use axum::http::StatusCode;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
/// Besides what an operation names itself: what can happen to every request.
const ANY_OTHER: &str = "Any other problem: 400 and 422 for what cannot be read or accepted, 403 `cross-site-request`, \
    and `user-blocked` when a blocked customer's session is presented, 405, 413, 415, 503 while a service is away.";

/// Completes the document of a router that has all its documented routes.
pub fn complete(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            complete_operation(operation);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    all.into_iter().flatten()
}

fn complete_operation(operation: &mut Operation) {
    let answers = &mut operation.responses.responses;
    for (status, answer) in answers.iter_mut() {
        if let (Ok(status), RefOr::T(answer)) = (status.parse::<StatusCode>(), answer) {
            complete_answer(status, answer);
        }
    }
    let problem = Content::new(Some(Ref::from_schema_name("ProblemDocument")));
    let any_other = ResponseBuilder::new()
        .description(ANY_OTHER)
        .content(PROBLEM, problem);
    answers.insert("default".to_owned(), any_other.build().into());
}

fn complete_answer(status: StatusCode, answer: &mut Response) {
    if answer.description.is_empty() {
        let words = status.canonical_reason().unwrap_or("Answered");
        answer.description = format!("{words}.");
    }
    let problem = status.is_client_error() || status.is_server_error();
    if problem && let Some(content) = answer.content.shift_remove(JSON) {
        answer.content.insert(PROBLEM.to_owned(), content);
    }
}
