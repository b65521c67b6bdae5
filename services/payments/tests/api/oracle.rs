//! What payments should do, without a database: the other side of the comparison in `model`.

use std::collections::HashMap;

use emporium_payments::{ChargeState, LATE, Outcome, SLOW, SLOW_NOTICE};
use time::Duration;

use crate::model::{SAGAS, Step, TOKENS};

/// What one step comes to, as far as it can be told from outside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Charge(ChargeState, i64),
    Unknown,
    Differs,
    Voided,
    RefundDiffers,
    Exceeds,
    Nothing,
}

#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) amount: i64,
    state: ChargeState,
    pub(crate) captured: bool,
    given_up: bool,
    pub(crate) refunded: i64,
    since: i64,
}

/// The provider's side of a charge.
#[derive(Debug, Clone)]
struct Request {
    token: &'static str,
    asked: i64,
    finished: Option<Outcome>,
    noted: bool,
}

/// What the provider says.
enum Answer {
    Silence,
    Open,
    Settled(Outcome),
}

#[derive(Default)]
pub(crate) struct Model {
    now: i64,
    pub(crate) charges: HashMap<usize, Charge>,
    requests: HashMap<usize, Request>,
    refunds: HashMap<usize, (usize, i64)>,
}

impl Request {
    fn answer(&self, now: i64) -> Answer {
        let after = |wait: Duration| {
            if now - self.asked >= wait.whole_seconds() {
                Answer::Settled(Outcome::Succeeded)
            } else {
                Answer::Silence
            }
        };
        match self.token {
            "tok_ok" | "tok_twice" => Answer::Settled(Outcome::Succeeded),
            "tok_slow" => after(SLOW),
            "tok_late" => after(LATE),
            "tok_timeout" => Answer::Silence,
            "tok_later" => self.finished.map_or(Answer::Open, Answer::Settled),
            _ => Answer::Settled(Outcome::Declined),
        }
    }

    fn notice_due(&self, now: i64) -> bool {
        let wait = match self.token {
            "tok_twice" => Duration::ZERO,
            "tok_slow" => SLOW_NOTICE,
            "tok_late" => LATE,
            _ => return false,
        };
        !self.noted && now - self.asked >= wait.whole_seconds()
    }
}

impl Model {
    fn apply(&mut self, saga: usize) {
        use ChargeState::{Declined, Open, Pending, Succeeded, Voided};
        let answer = match self.requests.get(&saga) {
            Some(request) => request.answer(self.now),
            None => Answer::Silence,
        };
        let Some(charge) = self.charges.get_mut(&saga) else {
            return;
        };
        match (charge.state, answer) {
            (Pending | Open, Answer::Settled(Outcome::Succeeded)) => {
                charge.state = Succeeded;
                charge.captured = true;
            }
            (Pending | Open, Answer::Settled(Outcome::Declined)) => charge.state = Declined,
            (Pending, Answer::Open) => charge.state = Open,
            (Voided, Answer::Settled(Outcome::Succeeded)) if !charge.captured => {
                charge.captured = true;
                charge.refunded = charge.amount;
            }
            _ => {}
        }
    }

    fn seen(&self, saga: usize) -> Seen {
        self.charges.get(&saga).map_or(Seen::Unknown, |charge| {
            Seen::Charge(charge.state, charge.refunded)
        })
    }

    fn look(&mut self, saga: usize) -> Seen {
        if self
            .charges
            .get(&saga)
            .is_some_and(|charge| charge.state == ChargeState::Pending)
        {
            self.apply(saga);
        }
        self.seen(saga)
    }

    fn put(&mut self, saga: usize, token: &'static str, amount: i64) -> Seen {
        let now = self.now;
        let charge = self.charges.entry(saga).or_insert(Charge {
            amount,
            state: ChargeState::Pending,
            captured: false,
            given_up: false,
            refunded: 0,
            since: now,
        });
        if charge.given_up {
            return Seen::Voided;
        }
        if charge.amount != amount {
            return Seen::Differs;
        }
        if charge.state == ChargeState::Pending {
            self.requests.entry(saga).or_insert(Request {
                token,
                asked: now,
                finished: None,
                noted: false,
            });
            self.apply(saga);
        }
        self.seen(saga)
    }

    fn void(&mut self, saga: usize) -> Seen {
        self.look(saga);
        let charge = self.charges.entry(saga).or_insert(Charge {
            amount: 0,
            state: ChargeState::Voided,
            captured: false,
            given_up: true,
            refunded: 0,
            since: 0,
        });
        match charge.state {
            ChargeState::Pending | ChargeState::Open => {
                charge.state = ChargeState::Voided;
                charge.given_up = true;
            }
            ChargeState::Succeeded => {
                charge.given_up = true;
                charge.refunded = charge.amount;
            }
            ChargeState::Declined | ChargeState::Voided => {}
        }
        self.seen(saga)
    }

    fn refund(&mut self, saga: usize, refund: usize, amount: i64) -> Seen {
        let Some(charge) = self.charges.get_mut(&saga) else {
            return Seen::Unknown;
        };
        match self.refunds.get(&refund) {
            Some(before) if *before == (saga, amount) => {}
            Some(_) => return Seen::RefundDiffers,
            None => {
                let left = if charge.captured {
                    charge.amount - charge.refunded
                } else {
                    0
                };
                if amount > left {
                    return Seen::Exceeds;
                }
                charge.refunded += amount;
                self.refunds.insert(refund, (saga, amount));
            }
        }
        self.seen(saga)
    }

    pub(crate) fn step(&mut self, step: &Step) -> Seen {
        match *step {
            Step::Put(saga, token, same) => self.put(saga, TOKENS[token], amount(saga, same)),
            Step::Get(saga) => self.look(saga),
            Step::Void(saga) => self.void(saga),
            Step::CallBack(saga, yes) => {
                if let Some(request) = self
                    .requests
                    .get_mut(&saga)
                    .filter(|request| request.token == "tok_later")
                {
                    request.finished.get_or_insert(outcome(yes));
                    self.apply(saga);
                }
                self.seen(saga)
            }
            Step::Refund(saga, refund, amount) => self.refund(saga, refund, amount),
            Step::Advance(seconds) => {
                self.now += seconds;
                Seen::Nothing
            }
            Step::Notices => {
                for saga in 0..SAGAS {
                    if self
                        .requests
                        .get(&saga)
                        .is_some_and(|request| request.notice_due(self.now))
                    {
                        self.apply(saga);
                        self.requests
                            .entry(saga)
                            .and_modify(|request| request.noted = true);
                    }
                }
                Seen::Nothing
            }
            Step::Reconcile => {
                for saga in 0..SAGAS {
                    if self
                        .charges
                        .get(&saga)
                        .is_some_and(|charge| self.now - charge.since > 60)
                    {
                        self.look(saga);
                    }
                }
                Seen::Nothing
            }
        }
    }
}

pub(crate) fn amount(saga: usize, same: bool) -> i64 {
    let amount = [100, 250, 999][saga];
    if same { amount } else { amount + 1 }
}

pub(crate) fn outcome(yes: bool) -> Outcome {
    if yes {
        Outcome::Succeeded
    } else {
        Outcome::Declined
    }
}
