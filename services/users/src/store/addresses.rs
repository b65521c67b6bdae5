//! Address books.

use emporium_service_kit::{Tx, ids};
use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::events::{self, AddressChange};
use crate::model::{Address, Place, User};

/// The most addresses a user has.
pub const ADDRESSES_MAX: usize = 50;

/// The columns of an [`Address`].
macro_rules! address_columns {
    () => {
        "id, street, city, postal_code, country, is_default"
    };
}

impl Store {
    /// A user's addresses, the default first, then the newest first. Never more than [`ADDRESSES_MAX`].
    pub async fn addresses(&self, user_id: Uuid) -> Result<Vec<Address>, Error> {
        let sql = concat!(
            "SELECT ",
            address_columns!(),
            " FROM users_address WHERE user_id = $1 ORDER BY is_default DESC, created_at DESC, id DESC"
        );
        let addresses: Vec<Address> = sqlx::query_as(sql).bind(user_id).fetch_all(&self.db).await?;
        if addresses.is_empty() && self.find(user_id).await?.is_none() {
            return Err(Error::UnknownUser);
        }
        Ok(addresses)
    }

    /// One of a user's addresses.
    pub async fn address(&self, user_id: Uuid, id: Uuid) -> Result<Address, Error> {
        let sql = concat!(
            "SELECT ",
            address_columns!(),
            " FROM users_address WHERE id = $1 AND user_id = $2"
        );
        sqlx::query_as(sql)
            .bind(id)
            .bind(user_id)
            .fetch_optional(&self.db)
            .await?
            .ok_or(Error::UnknownAddress)
    }

    /// Adds an address; the first one is the default.
    pub async fn add_address(&self, user_id: Uuid, place: Place, default: bool) -> Result<Address, Error> {
        let mut tx = self.db.begin().await?;
        let user = Self::lock(&mut tx, user_id).await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM users_address WHERE user_id = $1")
            .bind(user_id)
            .fetch_one(&mut tx)
            .await?;
        if usize::try_from(count).unwrap_or(usize::MAX) >= ADDRESSES_MAX {
            return Err(Error::TooManyAddresses(ADDRESSES_MAX));
        }
        let id = ids::new(&self.clock);
        let is_default = default || count == 0;
        if is_default {
            clear_default(&mut tx, user_id).await?;
        }
        let sql = "INSERT INTO users_address
            (id, user_id, street, city, postal_code, country, is_default, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
        sqlx::query(sql)
            .bind(id)
            .bind(user_id)
            .bind(&place.street)
            .bind(&place.city)
            .bind(&place.postal_code)
            .bind(&place.country)
            .bind(is_default)
            .bind(self.clock.now())
            .execute(&mut tx)
            .await?;
        self.finish_address(tx, &user, &[(id, AddressChange::Added)])
            .await?;
        Ok(place.into_address(id, is_default))
    }

    /// Replaces the text of an address, and makes it the default when `default`.
    pub async fn change_address(
        &self,
        user_id: Uuid,
        id: Uuid,
        place: Place,
        default: bool,
    ) -> Result<Address, Error> {
        let mut tx = self.db.begin().await?;
        let user = Self::lock(&mut tx, user_id).await?;
        let before = locked_address(&mut tx, user_id, id).await?;
        let after = place.into_address(id, before.is_default || default);
        if before == after {
            return Ok(before);
        }
        if default && !before.is_default {
            clear_default(&mut tx, user_id).await?;
        }
        let sql = "UPDATE users_address
            SET street = $2, city = $3, postal_code = $4, country = $5, is_default = $6, updated_at = $7
            WHERE id = $1";
        sqlx::query(sql)
            .bind(id)
            .bind(&after.street)
            .bind(&after.city)
            .bind(&after.postal_code)
            .bind(&after.country)
            .bind(after.is_default)
            .bind(self.clock.now())
            .execute(&mut tx)
            .await?;
        let mut changes = Vec::new();
        if (Address {
            is_default: before.is_default,
            ..after.clone()
        }) != before
        {
            changes.push((id, AddressChange::Changed));
        }
        if after.is_default != before.is_default {
            changes.push((id, AddressChange::Default));
        }
        self.finish_address(tx, &user, &changes).await?;
        Ok(after)
    }

    /// Makes an address the default.
    pub async fn set_default_address(&self, user_id: Uuid, id: Uuid) -> Result<Address, Error> {
        let mut tx = self.db.begin().await?;
        let user = Self::lock(&mut tx, user_id).await?;
        let before = locked_address(&mut tx, user_id, id).await?;
        if before.is_default {
            return Ok(before);
        }
        clear_default(&mut tx, user_id).await?;
        mark_default(&mut tx, id).await?;
        self.finish_address(tx, &user, &[(id, AddressChange::Default)])
            .await?;
        Ok(Address {
            is_default: true,
            ..before
        })
    }

    /// Removes an address. When it was the default, the newest remaining one becomes it.
    pub async fn delete_address(&self, user_id: Uuid, id: Uuid) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let user = Self::lock(&mut tx, user_id).await?;
        let before = locked_address(&mut tx, user_id, id).await?;
        sqlx::query("DELETE FROM users_address WHERE id = $1")
            .bind(id)
            .execute(&mut tx)
            .await?;
        let mut changes = vec![(id, AddressChange::Deleted)];
        if before.is_default
            && let Some(next) = newest_address(&mut tx, user_id).await?
        {
            mark_default(&mut tx, next).await?;
            changes.push((next, AddressChange::Default));
        }
        self.finish_address(tx, &user, &changes).await
    }

    /// Each change has a version and an event of its own.
    async fn finish_address(
        &self,
        mut tx: Tx,
        user: &User,
        changes: &[(Uuid, AddressChange)],
    ) -> Result<(), Error> {
        let mut version = user.version;
        let mut new = Vec::with_capacity(changes.len());
        for (id, change) in changes {
            version += 1;
            new.push(events::address(&self.clock, user.id, *id, *change, version)?);
        }
        self.bump(&mut tx, user.id, version - user.version).await?;
        self.outbox.write(&mut tx, &new).await?;
        self.commit(tx).await
    }
}

impl Place {
    fn into_address(self, id: Uuid, is_default: bool) -> Address {
        let Self {
            street,
            city,
            postal_code,
            country,
        } = self;
        Address {
            id,
            street,
            city,
            postal_code,
            country,
            is_default,
        }
    }
}

async fn locked_address(tx: &mut Tx, user_id: Uuid, id: Uuid) -> Result<Address, Error> {
    let sql = concat!(
        "SELECT ",
        address_columns!(),
        " FROM users_address WHERE id = $1 AND user_id = $2"
    );
    sqlx::query_as(sql)
        .bind(id)
        .bind(user_id)
        .fetch_optional(tx)
        .await?
        .ok_or(Error::UnknownAddress)
}

async fn newest_address(tx: &mut Tx, user_id: Uuid) -> Result<Option<Uuid>, Error> {
    let sql = "SELECT id FROM users_address WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1";
    Ok(sqlx::query_scalar(sql).bind(user_id).fetch_optional(tx).await?)
}

async fn clear_default(tx: &mut Tx, user_id: Uuid) -> Result<(), Error> {
    sqlx::query("UPDATE users_address SET is_default = false WHERE user_id = $1 AND is_default")
        .bind(user_id)
        .execute(tx)
        .await?;
    Ok(())
}

async fn mark_default(tx: &mut Tx, id: Uuid) -> Result<(), Error> {
    sqlx::query("UPDATE users_address SET is_default = true WHERE id = $1")
        .bind(id)
        .execute(tx)
        .await?;
    Ok(())
}
