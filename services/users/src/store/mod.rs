//! The private PostgreSQL database. Tables carry the prefix `users_`, and no statement names a schema.
//!
//! Every change of an account, its addresses or its points first locks the account's row. That makes the sums, the
//! single default address and the order of versions simple truths instead of races.

mod accounts;
mod addresses;
mod bulk;
mod points;

use emporium_event_bus::Outbox;
use emporium_service_kit::{Clock, Db, Tx};
use uuid::Uuid;

use crate::error::Error;
use crate::model::User;

pub use accounts::{Login, NewAccount, UserPosition};
pub use addresses::ADDRESSES_MAX;
pub use bulk::{StagedAddress, StagedUser};

/// The service's data.
#[derive(Clone)]
pub struct Store {
    db: Db,
    /// Events, which are the service's history as well.
    pub outbox: Outbox,
    clock: Clock,
}

/// The columns of a [`User`].
macro_rules! user_columns {
    () => {
        "id, email, name, role, active, points, pending_points, preferences, origin, name_invented, version, \
         created_at, updated_at"
    };
}
use user_columns;

impl Store {
    /// The data in `db`.
    pub fn new(db: Db, outbox: Outbox, clock: Clock) -> Self {
        Self { db, outbox, clock }
    }

    /// Reads an account and keeps others from changing it until the transaction ends.
    async fn lock(tx: &mut Tx, user_id: Uuid) -> Result<User, Error> {
        sqlx::query_as(concat!(
            "SELECT ",
            user_columns!(),
            " FROM users_account WHERE id = $1 FOR NO KEY UPDATE"
        ))
        .bind(user_id)
        .fetch_optional(tx)
        .await?
        .ok_or(Error::UnknownUser)
    }

    /// Counts `by` further changes of a locked account.
    async fn bump(&self, tx: &mut Tx, user_id: Uuid, by: i64) -> Result<(), Error> {
        sqlx::query("UPDATE users_account SET version = version + $2, updated_at = $3 WHERE id = $1")
            .bind(user_id)
            .bind(by)
            .bind(self.clock.now())
            .execute(tx)
            .await?;
        Ok(())
    }

    async fn commit(&self, tx: Tx) -> Result<(), Error> {
        tx.commit().await?;
        self.outbox.wake();
        Ok(())
    }
}
