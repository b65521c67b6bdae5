//! Loyalty points: set aside when a checkout begins, confirmed or cancelled when it ends.

use emporium_service_kit::Tx;
use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::events;
use crate::model::{Points, PointsState};

impl Store {
    /// Sets points aside for a saga. The same again changes nothing; after a cancellation it is refused.
    pub async fn add_points(&self, saga_id: Uuid, user_id: Uuid, points: i64) -> Result<Points, Error> {
        let mut tx = self.db.begin().await?;
        let user = Self::lock(&mut tx, user_id).await?;
        let new = Points {
            saga_id,
            user_id: Some(user_id),
            points,
            state: PointsState::Pending,
        };
        if !self.insert_points(&mut tx, &new).await? {
            return before(&mut tx, &new).await;
        }
        self.settle(tx, user_id, user.version, &new, (0, points)).await?;
        Ok(new)
    }

    /// Makes a saga's points count.
    pub async fn confirm_points(&self, saga_id: Uuid) -> Result<Points, Error> {
        let found = self.find_points(saga_id).await?.ok_or(Error::UnknownPoints)?;
        let Some(user_id) = found.user_id else {
            return Err(Error::PointsCancelled);
        };
        let mut tx = self.db.begin().await?;
        let user = Self::lock(&mut tx, user_id).await?;
        let mut points = locked_points(&mut tx, saga_id).await?;
        match points.state {
            PointsState::Confirmed => return Ok(points),
            PointsState::Cancelled => return Err(Error::PointsCancelled),
            PointsState::Pending => points.state = PointsState::Confirmed,
        }
        let moved = (points.points, -points.points);
        self.settle(tx, user_id, user.version, &points, moved).await?;
        Ok(points)
    }

    /// Ends a saga's points, also ones that were confirmed (a compensation after the confirmation), also ones that never
    /// arrived (a tombstone, so that a late request is refused).
    pub async fn cancel_points(&self, saga_id: Uuid) -> Result<Points, Error> {
        let found = match self.find_points(saga_id).await? {
            Some(found) => found,
            None => self.bury_points(saga_id).await?,
        };
        let Some(user_id) = found.user_id else {
            return Ok(found);
        };
        let mut tx = self.db.begin().await?;
        let user = Self::lock(&mut tx, user_id).await?;
        let mut points = locked_points(&mut tx, saga_id).await?;
        let moved = match points.state {
            PointsState::Cancelled => return Ok(points),
            PointsState::Confirmed => (-points.points, 0),
            PointsState::Pending => (0, -points.points),
        };
        points.state = PointsState::Cancelled;
        self.settle(tx, user_id, user.version, &points, moved).await?;
        Ok(points)
    }

    /// Leaves a tombstone; gives what is there when somebody was faster.
    async fn bury_points(&self, saga_id: Uuid) -> Result<Points, Error> {
        let tombstone = Points {
            saga_id,
            user_id: None,
            points: 0,
            state: PointsState::Cancelled,
        };
        let mut tx = self.db.begin().await?;
        let points = if self.insert_points(&mut tx, &tombstone).await? {
            tombstone
        } else {
            locked_points(&mut tx, saga_id).await?
        };
        tx.commit().await?;
        Ok(points)
    }

    async fn find_points(&self, saga_id: Uuid) -> Result<Option<Points>, Error> {
        let sql = "SELECT saga_id, user_id, points, state FROM users_points WHERE saga_id = $1";
        Ok(sqlx::query_as(sql).bind(saga_id).fetch_optional(&self.db).await?)
    }

    /// False when the saga has points or a tombstone already.
    async fn insert_points(&self, tx: &mut Tx, points: &Points) -> Result<bool, Error> {
        let sql = "INSERT INTO users_points (saga_id, user_id, points, state, created_at, updated_at)
                   VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (saga_id) DO NOTHING";
        let done = sqlx::query(sql)
            .bind(points.saga_id)
            .bind(points.user_id)
            .bind(points.points)
            .bind(points.state)
            .bind(self.clock.now())
            .execute(tx)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Writes the new state, the account's sums (`moved`: change of points, of pending points) and the event; commits.
    async fn settle(
        &self,
        mut tx: Tx,
        user_id: Uuid,
        version: i64,
        points: &Points,
        moved: (i64, i64),
    ) -> Result<(), Error> {
        let now = self.clock.now();
        sqlx::query("UPDATE users_points SET state = $2, updated_at = $3 WHERE saga_id = $1")
            .bind(points.saga_id)
            .bind(points.state)
            .bind(now)
            .execute(&mut tx)
            .await?;
        let sql = "UPDATE users_account
            SET points = points + $2, pending_points = pending_points + $3, version = version + 1, updated_at = $4
            WHERE id = $1";
        sqlx::query(sql)
            .bind(user_id)
            .bind(moved.0)
            .bind(moved.1)
            .bind(now)
            .execute(&mut tx)
            .await?;
        let event = events::points(&self.clock, user_id, points, version + 1)?;
        self.outbox.write(&mut tx, &[event]).await?;
        self.commit(tx).await
    }
}

/// The answer to a repeated request.
async fn before(tx: &mut Tx, asked: &Points) -> Result<Points, Error> {
    let points = locked_points(tx, asked.saga_id).await?;
    if points.state == PointsState::Cancelled {
        return Err(Error::PointsCancelled);
    }
    if (points.user_id, points.points) != (asked.user_id, asked.points) {
        return Err(Error::PointsDiffer);
    }
    Ok(points)
}

async fn locked_points(tx: &mut Tx, saga_id: Uuid) -> Result<Points, Error> {
    let sql = "SELECT saga_id, user_id, points, state FROM users_points WHERE saga_id = $1 FOR UPDATE";
    Ok(sqlx::query_as(sql).bind(saga_id).fetch_one(tx).await?)
}
