//! The stand-ins' routes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use emporium_service_kit::Problem;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Fault, Points, Stock, Traces, World, payments};

pub type Shared = Arc<Mutex<World>>;

pub fn router(world: Shared) -> Router {
    let users = Router::new()
        .route("/users/{id}", get(user))
        .route("/users/{id}/addresses/{address}", get(address))
        .route("/events", get(user_events))
        .route("/points/{saga}", put(add_points))
        .route("/points/{saga}/confirm", post(confirm_points))
        .route("/points/{saga}/cancel", post(cancel_points));
    let catalog = Router::new()
        .route("/products/batch", post(products))
        .route("/reservations/{saga}", put(reserve).merge(delete(release)))
        .route("/reservations/{saga}/extend", post(extend))
        .route("/reservations/{saga}/commit", post(commit));
    let carts = Router::new()
        .route("/carts/user/{id}", get(cart))
        .route("/carts/user/{id}/purchases/{saga}", post(clear));
    let payments = Router::new()
        .route(
            "/charges/{saga}",
            put(payments::charge).merge(get(payments::look_up)),
        )
        .route("/charges/{saga}/void", post(payments::void));
    Router::new()
        .nest("/users", users)
        .nest("/catalog", catalog)
        .nest("/carts", carts)
        .nest("/payments", payments)
        .with_state(world)
}

pub fn ok(body: Value) -> Response {
    Json(body).into_response()
}

pub fn conflict(code: &'static str) -> Response {
    Problem::conflict(code, "No.").into_response()
}

fn away() -> Response {
    Problem::unavailable("store-unavailable", "Away.").into_response()
}

/// Carries out an operation of a saga with the fault that is next for it.
pub async fn act(
    world: Shared,
    service: &'static str,
    operation: &'static str,
    saga: Uuid,
    work: impl FnOnce(&mut World) -> Response + Send + 'static,
) -> Response {
    let fault = {
        let mut world = world.lock().unwrap();
        if world.away.contains(&service) {
            return away();
        }
        let customer = world.sagas.get(&saga).and_then(|traces| traces.customer);
        let queue = customer.and_then(|id| world.faults.get_mut(&(id, operation)));
        queue.and_then(std::collections::VecDeque::pop_front)
    };
    let run = move |world: &Shared| {
        let mut world = world.lock().unwrap();
        world.log.push((saga, operation));
        work(&mut world)
    };
    match fault.unwrap_or(Fault::Fine) {
        Fault::Fine => run(&world),
        Fault::Refuse => {
            world.lock().unwrap().log.push((saga, operation));
            conflict(match operation {
                "reserve" => "out-of-stock",
                "commit" | "extend" => "reservation-gone",
                _ => "refused",
            })
        }
        Fault::LostRequest => away(),
        Fault::Hangs => {
            tokio::time::sleep(Duration::from_millis(600)).await;
            away()
        }
        Fault::LostAnswer => {
            run(&world);
            away()
        }
        Fault::Broken => {
            run(&world);
            (StatusCode::INTERNAL_SERVER_ERROR, "nonsense").into_response()
        }
        Fault::TooSlow => {
            // The work goes on when the caller hangs up.
            let answer = run(&world);
            tokio::time::sleep(Duration::from_millis(600)).await;
            answer
        }
        Fault::Slow => {
            tokio::time::sleep(Duration::from_millis(60)).await;
            run(&world)
        }
        Fault::ArrivesLate => {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(1_200)).await;
                run(&world);
            });
            away()
        }
    }
}

pub fn traces(world: &mut World, saga: Uuid) -> &mut Traces {
    world.sagas.entry(saga).or_default()
}

async fn user(State(world): State<Shared>, Path(id): Path<Uuid>) -> Response {
    let world = world.lock().unwrap();
    if world.away.contains(&"users") {
        return away();
    }
    let Some(person) = world.people.get(&id) else {
        return Problem::not_found("No such user.").into_response();
    };
    ok(json!({
        "id": id, "name": "Ada", "email": format!("{id}@example.org"), "active": person.active, "version": person.version,
        "role": "customer", "points": 0,
    }))
}

async fn address(State(world): State<Shared>, Path((id, address)): Path<(Uuid, Uuid)>) -> Response {
    let world = world.lock().unwrap();
    match world.people.get(&id) {
        Some(person) if person.address == address => ok(json!({
            "id": address, "street": "1 High Street", "city": "York", "postal_code": "YO1 7HH", "country": "GB",
            "is_default": true,
        })),
        _ => Problem::not_found("No such address.").into_response(),
    }
}

#[derive(serde::Deserialize)]
struct After {
    after: i64,
}

async fn user_events(State(world): State<Shared>, Query(query): Query<After>) -> Response {
    let world = world.lock().unwrap();
    let first = usize::try_from(query.after).unwrap();
    let items: Vec<Value> = world
        .user_events
        .iter()
        .enumerate()
        .skip(first)
        .take(2)
        .map(|(n, event)| json!({ "position": n + 1, "event": event }))
        .collect();
    let next = first + items.len();
    ok(json!({ "items": items, "next_after": next, "at_end": next == world.user_events.len() }))
}

async fn products(State(world): State<Shared>, Json(body): Json<Value>) -> Response {
    let slow = {
        let mut world = world.lock().unwrap();
        let first: Uuid = serde_json::from_value(body["ids"][0].clone()).unwrap();
        let owner = world.things.get(&first).map(|thing| thing.owner);
        let queue = owner.and_then(|id| world.faults.get_mut(&(id, "products")));
        queue.and_then(std::collections::VecDeque::pop_front).is_some()
    };
    if slow {
        tokio::time::sleep(Duration::from_millis(800)).await;
    }
    let world = world.lock().unwrap();
    if world.away.contains(&"catalog") {
        return away();
    }
    let ids: Vec<Uuid> = serde_json::from_value(body["ids"].clone()).unwrap();
    let items: Vec<Value> = ids
        .iter()
        .filter_map(|id| Some((id, world.things.get(id)?)))
        .map(|(id, thing)| {
            json!({
                "id": id, "sku": "SKU-1", "name": "A brass lamp", "price": { "amount": thing.price, "currency": "GBP" },
                "status": if thing.archived { "archived" } else { "active" },
            })
        })
        .collect();
    ok(json!({ "items": items }))
}

async fn reserve(State(world): State<Shared>, Path(saga): Path<Uuid>, Json(body): Json<Value>) -> Response {
    {
        let mut world = world.lock().unwrap();
        let product: Uuid = serde_json::from_value(body["lines"][0]["product_id"].clone()).unwrap();
        let owner = world.things.get(&product).map(|thing| thing.owner);
        traces(&mut world, saga).customer = owner;
    }
    act(world, "catalog", "reserve", saga, move |world| {
        match traces(world, saga).stock {
            None | Some(Stock::Held) => {
                traces(world, saga).stock = Some(Stock::Held);
                ok(json!({ "saga_id": saga, "state": "held" }))
            }
            Some(_) => conflict("reservation-released"),
        }
    })
    .await
}

async fn extend(State(world): State<Shared>, Path(saga): Path<Uuid>) -> Response {
    act(world, "catalog", "extend", saga, move |world| {
        if traces(world, saga).stock != Some(Stock::Held) {
            return conflict("reservation-gone");
        }
        traces(world, saga).extended = true;
        ok(json!({ "saga_id": saga, "state": "held" }))
    })
    .await
}

async fn commit(State(world): State<Shared>, Path(saga): Path<Uuid>) -> Response {
    act(world, "catalog", "commit", saga, move |world| {
        match traces(world, saga).stock {
            Some(Stock::Held | Stock::Committed) => {
                traces(world, saga).stock = Some(Stock::Committed);
                ok(json!({ "state": "committed" }))
            }
            _ => conflict("reservation-gone"),
        }
    })
    .await
}

#[derive(serde::Deserialize)]
struct Return {
    committed: Option<String>,
}

async fn release(
    State(world): State<Shared>,
    Path(saga): Path<Uuid>,
    Query(query): Query<Return>,
) -> Response {
    act(world, "catalog", "release", saga, move |world| {
        if traces(world, saga).stock == Some(Stock::Committed) && query.committed.as_deref() != Some("return")
        {
            return conflict("reservation-committed");
        }
        traces(world, saga).stock = Some(Stock::Released);
        StatusCode::NO_CONTENT.into_response()
    })
    .await
}

async fn add_points(State(world): State<Shared>, Path(saga): Path<Uuid>) -> Response {
    act(world, "users", "points", saga, move |world| {
        match traces(world, saga).points {
            Some(Points::Cancelled) => conflict("points-cancelled"),
            None => {
                traces(world, saga).points = Some(Points::Pending);
                ok(json!({ "state": "pending" }))
            }
            Some(_) => ok(json!({ "state": "pending" })),
        }
    })
    .await
}

async fn confirm_points(State(world): State<Shared>, Path(saga): Path<Uuid>) -> Response {
    act(
        world,
        "users",
        "confirm-points",
        saga,
        move |world| match traces(world, saga).points {
            Some(Points::Pending | Points::Confirmed) => {
                traces(world, saga).points = Some(Points::Confirmed);
                ok(json!({ "state": "confirmed" }))
            }
            _ => conflict("points-cancelled"),
        },
    )
    .await
}

async fn cancel_points(State(world): State<Shared>, Path(saga): Path<Uuid>) -> Response {
    act(world, "users", "cancel-points", saga, move |world| {
        if traces(world, saga).points == Some(Points::Confirmed) {
            return conflict("points-confirmed");
        }
        traces(world, saga).points = Some(Points::Cancelled);
        ok(json!({ "state": "cancelled" }))
    })
    .await
}

async fn cart(State(world): State<Shared>, Path(id): Path<Uuid>) -> Response {
    let world = world.lock().unwrap();
    if world.away.contains(&"carts") {
        return away();
    }
    let Some(person) = world.people.get(&id) else {
        return ok(json!({ "id": id, "revision": 0, "items": [] }));
    };
    let items: Vec<Value> = person
        .cart
        .iter()
        .map(|(product, quantity)| json!({ "product_id": product, "quantity": quantity }))
        .collect();
    ok(json!({ "id": id, "revision": person.revision, "items": items }))
}

async fn clear(
    State(world): State<Shared>,
    Path((id, saga)): Path<(Uuid, Uuid)>,
    Json(body): Json<Value>,
) -> Response {
    act(world, "carts", "clear-cart", saga, move |world| {
        if traces(world, saga).cleared == 0 {
            traces(world, saga).cleared = 1;
            let person = world.people.get_mut(&id).unwrap();
            for line in body["lines"].as_array().unwrap() {
                let product: Uuid = serde_json::from_value(line["product_id"].clone()).unwrap();
                for entry in &mut person.cart {
                    if entry.0 == product {
                        entry.1 -= line["quantity"].as_i64().unwrap();
                    }
                }
            }
            person.cart.retain(|(_, quantity)| *quantity > 0);
            person.revision += 1;
        }
        ok(json!({ "id": id }))
    })
    .await
}
