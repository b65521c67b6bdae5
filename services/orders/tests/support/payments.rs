//! The stand-in for payments.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use emporium_service_kit::Problem;
use serde_json::{Value, json};
use uuid::Uuid;

use super::routes::{Shared, act, conflict, ok, traces};
use super::{Money, Traces};
use axum::response::IntoResponse;

fn charge_json(saga: Uuid, traces: &Traces) -> Value {
    let state = match traces.charge.unwrap() {
        Money::Succeeded => "succeeded",
        Money::Declined => "declined",
        Money::Pending => "pending",
        Money::Open => "open",
        Money::Voided => "voided",
    };
    json!({ "saga_id": saga, "state": state, "reason": (state == "declined").then_some("card-declined") })
}

pub async fn charge(
    State(world): State<Shared>,
    Path(saga): Path<Uuid>,
    Json(body): Json<Value>,
) -> Response {
    let token = body["payment_token"].as_str().unwrap_or_default().to_owned();
    act(world, "payments", "charge", saga, move |world| {
        if traces(world, saga).charge == Some(Money::Voided) {
            return conflict("charge-voided");
        }
        if traces(world, saga).charge.is_none() {
            world.charges_asked += 1;
            let state = match &*token {
                "tok_ok" => Money::Succeeded,
                "tok_later" => Money::Open,
                "tok_timeout" | "tok_slow" => Money::Pending,
                _ => Money::Declined,
            };
            if token == "tok_slow" {
                world.pending_for.insert(saga, 2);
            }
            traces(world, saga).charge = Some(state);
        }
        ok(charge_json(saga, &world.sagas[&saga]))
    })
    .await
}

pub async fn look_up(State(world): State<Shared>, Path(saga): Path<Uuid>) -> Response {
    act(world, "payments", "look-up", saga, move |world| {
        if traces(world, saga).charge.is_none() {
            return Problem::not_found("No such charge.").into_response();
        }
        if let Some(left) = world.pending_for.get_mut(&saga) {
            *left = left.saturating_sub(1);
            if *left == 0 && traces(world, saga).charge == Some(Money::Pending) {
                traces(world, saga).charge = Some(Money::Succeeded);
            }
        }
        ok(charge_json(saga, &world.sagas[&saga]))
    })
    .await
}

pub async fn void(State(world): State<Shared>, Path(saga): Path<Uuid>) -> Response {
    act(world, "payments", "void", saga, move |world| {
        let traces = traces(world, saga);
        match traces.charge {
            Some(Money::Succeeded) => traces.refunded = true,
            Some(Money::Declined) => {}
            _ => traces.charge = Some(Money::Voided),
        }
        ok(charge_json(saga, traces))
    })
    .await
}
