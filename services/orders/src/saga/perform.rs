//! Carries out a saga's tasks: calls the other services and reads what their answers mean.

use axum::http::StatusCode;
use emporium_service_kit::client::CallError;
use emporium_service_kit::{Clock, Problem, ServiceName};

use super::machine::{Answer, Task};
use super::state::{Debt, Saga};
use crate::config::{Config, span};
use crate::peers::{Charge, ChargeState, Peers};

/// How much sooner than the catalog's limit of 24 hours an extended reservation ends, for clocks that differ.
const DAY_MARGIN: time::Duration = time::Duration::seconds(60);

/// Calls other services for sagas.
#[derive(Clone)]
pub struct Performer {
    peers: Peers,
    clock: Clock,
    config: Config,
}

impl Performer {
    /// Calls through `peers`.
    pub fn new(peers: Peers, clock: Clock, config: Config) -> Self {
        Self { peers, clock, config }
    }

    /// Carries out a forward task.
    pub async fn perform(&self, saga: &Saga, task: &Task) -> Answer {
        match task {
            Task::GiveUp | Task::Nothing | Task::Pay(_) => Answer::Unknown("out of time".to_owned()),
            Task::Reserve => self.reserve(saga).await,
            Task::AddPoints => {
                let added = self
                    .peers
                    .add_points(saga.order_id, saga.customer_id, saga.points);
                done(added.await, |_| "points-refused")
            }
            Task::Charge => self.charge(saga).await,
            Task::LookUp => self.look_up(saga).await,
            Task::LookUpOrCharge => match self.look_up(saga).await {
                Answer::NoCharge => self.charge(saga).await,
                answer => answer,
            },
            Task::Commit => {
                let committed = self.peers.commit_reservation(saga.order_id);
                done(committed.await, |_| "reservation-gone")
            }
        }
    }

    /// Tries to pay one debt.
    pub async fn pay(&self, saga: &Saga, debt: Debt) -> Result<(), CallError> {
        match debt {
            Debt::VoidCharge => self.peers.void_charge(saga.order_id).await,
            Debt::CancelPoints => self.peers.cancel_points(saga.order_id).await,
            Debt::ReleaseStock => self.peers.release_reservation(saga.order_id).await,
            Debt::ConfirmPoints => self.peers.confirm_points(saga.order_id).await,
            Debt::ClearCart => {
                let (id, customer) = (saga.order_id, saga.customer_id);
                self.peers.clear_cart(id, customer, &saga.lines).await
            }
        }
    }

    async fn reserve(&self, saga: &Saga) -> Answer {
        // From the deadline, not from now: repeating the call asks for the same moment.
        let until = saga.deadline + span(self.config.reservation_margin_ms);
        let reserved = self.peers.reserve(saga.order_id, &saga.lines, until).await;
        done(reserved, |code| match code {
            "out-of-stock" => "out-of-stock",
            _ => "stock-refused",
        })
    }

    async fn charge(&self, saga: &Saga) -> Answer {
        // The token is there for as long as the step is; without it there is nothing to ask with.
        let Some(token) = &saga.payment_token else {
            return Answer::Unknown("the payment token is gone".to_owned());
        };
        let asked = self
            .peers
            .charge(saga.order_id, saga.customer_id, saga.total, token);
        match asked.await {
            Ok(charge) => self.read_charge(saga, charge).await,
            Err(error) => failure(&error, |_| "payment-refused"),
        }
    }

    async fn look_up(&self, saga: &Saga) -> Answer {
        match self.peers.find_charge(saga.order_id).await {
            Ok(Some(charge)) => self.read_charge(saga, charge).await,
            Ok(None) => Answer::NoCharge,
            Err(error) => failure(&error, |_| "payment-refused"),
        }
    }

    async fn read_charge(&self, saga: &Saga, charge: Charge) -> Answer {
        let why = charge.reason.unwrap_or_default();
        match charge.state {
            ChargeState::Succeeded => Answer::Succeeded,
            ChargeState::Declined => Answer::Declined(why),
            ChargeState::Pending => Answer::Pending,
            ChargeState::Voided => Answer::Refused {
                reason: "payment-voided",
                detail: why,
            },
            // Before anybody is told to wait for a day, the goods have to stay reserved for that day.
            ChargeState::Open if !saga.open => self.keep_reserved(saga).await,
            ChargeState::Open => Answer::Open,
        }
    }

    async fn keep_reserved(&self, saga: &Saga) -> Answer {
        let until = self.clock.now() + time::Duration::DAY - DAY_MARGIN;
        match self.peers.extend_reservation(saga.order_id, until).await {
            Ok(()) => Answer::Open,
            Err(error) => failure(&error, |_| "reservation-gone"),
        }
    }
}

fn done(result: Result<(), CallError>, reason: impl Fn(&str) -> &'static str) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => failure(&error, reason),
    }
}

/// A refusal is a decision of the service about this very request. Everything else (time-out, 5xx, a token that is not
/// accepted, an unreadable answer) leaves open what was done.
fn failure(error: &CallError, reason: impl Fn(&str) -> &'static str) -> Answer {
    match error {
        CallError::Problem { callee, problem } if decides(problem) => Answer::Refused {
            reason: reason(&problem.code),
            detail: refusal(*callee, problem),
        },
        _ => Answer::Unknown(error.to_string()),
    }
}

fn decides(problem: &Problem) -> bool {
    let statuses = [
        StatusCode::BAD_REQUEST,
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
        StatusCode::GONE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ];
    statuses.contains(&problem.status) && problem.code != "unreadable-problem"
}

fn refusal(callee: ServiceName, problem: &Problem) -> String {
    format!("{callee}: {} ({})", problem.detail, problem.code)
}
