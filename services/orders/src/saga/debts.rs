//! Paying what an ended order owes: forward for a confirmed one, backward for a cancelled one.

use emporium_service_kit::client::CallError;

use super::driver::Inner;
use super::machine;
use super::state::{Debt, Saga, Step};
use crate::crash::{self, Side};
use crate::error::Error;
use crate::store::saga as store;

impl Inner {
    /// Points and cart have nothing to do with each other, so they are asked at once.
    pub(super) async fn settle(&self, saga: &mut Saga, debts: &[Debt]) -> Result<bool, Error> {
        let attempts = debts
            .iter()
            .map(|debt| async { (*debt, self.performer.pay(saga, *debt).await) });
        let results = futures::future::join_all(attempts).await;
        let mut paid = Vec::new();
        for (debt, result) in results {
            match result {
                Ok(()) => paid.push(debt),
                Err(error) => note_unpaid(saga, debt, &error),
            }
        }
        if !paid.is_empty() && !self.note_paid(saga, &paid, crash::SETTLE).await? {
            return Ok(false);
        }
        self.later_if_owing(saga).await
    }

    /// One after the other, in the reverse order of the steps. One that gets no answer does not hold up the next: stock
    /// must not stay reserved because payments is away.
    pub(super) async fn compensate(&self, saga: &mut Saga, debts: &[Debt]) -> Result<bool, Error> {
        for debt in debts {
            match self.performer.pay(saga, *debt).await {
                Ok(()) => {
                    if !self.note_paid(saga, &[*debt], crash::COMPENSATE).await? {
                        return Ok(false);
                    }
                }
                Err(error) => {
                    note_unpaid(saga, *debt, &error);
                    let until = self.clock.now() + self.lease;
                    if !store::renew(&self.db, saga, until).await? {
                        return Ok(false);
                    }
                }
            }
        }
        self.later_if_owing(saga).await
    }

    async fn note_paid(&self, saga: &mut Saga, paid: &[Debt], point: &'static str) -> Result<bool, Error> {
        let now = self.clock.now();
        crash::reached(point, Side::Before);
        let ours = store::paid(&self.db, saga, paid, now + self.lease, now).await?;
        crash::reached(point, Side::After);
        saga.owed.retain(|debt| !paid.contains(debt));
        Ok(ours)
    }

    async fn later_if_owing(&self, saga: &mut Saga) -> Result<bool, Error> {
        if saga.owed.is_empty() {
            saga.step = Step::Done;
            return Ok(true);
        }
        let pause = machine::debt_pause(saga, &self.policy);
        self.retry(saga, pause, None, self.clock.now()).await
    }
}

fn note_unpaid(saga: &Saga, debt: Debt, error: &CallError) {
    // Nobody but a person can help when a service refuses what it must accept; being away is ordinary.
    if error.is_unavailable() {
        tracing::info!(order = %saga.order_id, debt = debt.as_str(), %error, "still owed");
    } else {
        tracing::error!(order = %saga.order_id, debt = debt.as_str(), %error, "refused, still owed");
    }
}
