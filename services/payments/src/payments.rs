//! What the service does, apart from HTTP: charges and the provider brought together.

use emporium_event_bus::Outbox;
use emporium_service_kit::{Environment, Money, StartError};
use sqlx::migrate::Migrator;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Config;
use crate::error::Error;
use crate::model::{Charge, ChargeState};
use crate::provider::{Outcome, Provider};
use crate::store::{NewCharge, Store};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Notices taken, or charges looked up, in one step.
const STEP_MAX: i64 = 100;
/// Every so many polls the pending charges are looked up as well.
const POLLS_A_RECONCILIATION: u32 = 20;

/// Charges, refunds and the provider.
#[derive(Clone)]
pub struct Payments {
    /// The service's data.
    pub store: Store,
    provider: Provider,
    config: Config,
    clock: emporium_service_kit::Clock,
}

impl Payments {
    /// Opens the service's data and brings its tables up to date.
    pub async fn open(environment: &Environment, config: &Config) -> Result<Self, StartError> {
        let db = environment.db()?;
        db.migrate(&MIGRATIONS, "payments")
            .await
            .map_err(|source| StartError::Migrate {
                service: environment.service,
                source,
            })?;
        let outbox = Outbox::open(environment).await?;
        let clock = environment.clock.clone();
        Ok(Self {
            store: Store::new(db.clone(), outbox, clock.clone()),
            provider: Provider::new(db, clock.clone()),
            config: config.clone(),
            clock,
        })
    }

    /// Charges a saga once. Without an answer in time the charge stays pending.
    pub async fn charge(&self, new: NewCharge, token: &str) -> Result<Charge, Error> {
        let charge = self.store.begin_charge(&new).await?;
        let charge = refuse_voided(charge)?;
        if (charge.order_id, charge.customer_id, charge.amount)
            != (Some(new.order_id), new.customer_id, new.amount)
        {
            return Err(Error::ChargeDiffers);
        }
        if charge.state != ChargeState::Pending {
            return Ok(charge);
        }
        // No connection is held while the provider thinks.
        let patience = self.config.patience();
        let answer = self
            .provider
            .charge(new.saga_id, token, new.amount, patience)
            .await?;
        let charge = match answer {
            Some(answer) => self.store.apply(new.saga_id, &answer).await?,
            None => self.store.find(new.saga_id).await?,
        };
        refuse_voided(charge)
    }

    /// A saga's charge; when it is pending, the provider is asked again.
    pub async fn find(&self, saga_id: Uuid) -> Result<Charge, Error> {
        let charge = self.store.find(saga_id).await?;
        if charge.state == ChargeState::Pending
            && let Some(answer) = self.provider.look_up(saga_id).await?
        {
            return self.store.apply(saga_id, &answer).await;
        }
        Ok(charge)
    }

    /// Gives a saga's charge up. A pending one is looked up first: the provider may have taken the money unheard. And before
    /// that the provider is told, so that a request that is still on its way to it cannot take money after the look.
    pub async fn void(&self, saga_id: Uuid) -> Result<Charge, Error> {
        self.provider.cancel(saga_id).await?;
        match self.find(saga_id).await {
            Ok(_) | Err(Error::UnknownCharge) => self.store.void(saga_id).await,
            Err(error) => Err(error),
        }
    }

    /// Gives part of a charge back; true when the refund is new.
    pub async fn refund(
        &self,
        saga_id: Uuid,
        refund_id: Uuid,
        amount: Money,
        reason: &str,
    ) -> Result<(Charge, bool), Error> {
        self.store.refund(saga_id, refund_id, amount, reason).await
    }

    /// The customer finished on the provider's side, and the provider calls back. Only an open charge changes.
    pub async fn called_back(&self, saga_id: Uuid, outcome: Outcome) -> Result<Charge, Error> {
        let charge = self.store.find(saga_id).await?;
        match self.provider.finish(saga_id, outcome).await? {
            Some(answer) => self.store.apply(saga_id, &answer).await,
            None => Ok(charge),
        }
    }

    /// Takes the provider's notices that are due; gives how many there were. Tests call it until it gives 0.
    pub async fn notices_step(&self) -> Result<usize, Error> {
        let due = self.provider.due(STEP_MAX).await?;
        let mut taken = Vec::with_capacity(due.len());
        for (saga_id, answer) in &due {
            match self.store.apply(*saga_id, answer).await {
                Ok(_) => taken.push(*saga_id),
                // One that cannot be taken does not keep the others waiting.
                Err(error) => {
                    tracing::warn!(%saga_id, %error, "a notice of the provider could not be taken");
                    self.provider.repeat(*saga_id).await?;
                }
            }
        }
        if !taken.is_empty() {
            self.provider.noted(&taken).await?;
        }
        Ok(due.len())
    }

    /// Looks up charges that are pending for long: whoever asked for them may be gone. Gives where to go on; nothing at
    /// the end.
    pub async fn reconcile_step(
        &self,
        after: (OffsetDateTime, Uuid),
    ) -> Result<Option<(OffsetDateTime, Uuid)>, Error> {
        let before = self.clock.now() - self.config.reconcile_after();
        let pending = self.store.pending(after, before, STEP_MAX).await?;
        let ids: Vec<Uuid> = pending.iter().map(|(_, saga_id)| *saga_id).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        for (saga_id, answer) in self.provider.look_up_many(&ids).await? {
            self.store.apply(saga_id, &answer).await?;
        }
        Ok(pending.last().copied())
    }

    /// The background task: notices as they come, reconciliation now and then.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let from_the_start = (OffsetDateTime::UNIX_EPOCH, Uuid::nil());
        let (mut polls, mut position) = (0, from_the_start);
        while !stop.is_cancelled() {
            while self.notices_step().await? > 0 {}
            if polls % POLLS_A_RECONCILIATION == 0 {
                position = self.reconcile_step(position).await?.unwrap_or(from_the_start);
            }
            polls = polls.wrapping_add(1);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.provider.notice(self.config.poll()) => {}
            }
        }
        Ok(())
    }
}

fn refuse_voided(charge: Charge) -> Result<Charge, Error> {
    if charge.given_up {
        return Err(Error::ChargeVoided);
    }
    Ok(charge)
}
