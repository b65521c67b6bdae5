//! Reservations: stock that is kept for an order for a while.
//!
//! `held` ends in exactly one of `committed`, `released` and `expired`, decided under the reservation's row lock. A
//! reservation whose time is up counts as expired from that moment on, whether or not the reaper has come by.

use emporium_service_kit::Tx;
use sqlx::FromRow;
use time::{Duration, OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::Store;
use super::inventory::{self, Movement, Stock};
use crate::error::{Error, Shortage};
use crate::model::{Reservation, ReservationLine, ReservationRequest, ReservationState as State};

/// The longest that stock is kept.
pub const HOLD_MAX: Duration = Duration::hours(24);
/// Reservations that one step of the reaper ends.
const EXPIRED_BATCH: i64 = 100;
/// How long ended reservations are remembered. Long after every saga's deadline, so that late requests meet them.
const REMEMBERED: Duration = Duration::days(30);
/// Ended reservations that are forgotten in one go.
const FORGOTTEN_BATCH: i64 = 1_000;

#[derive(Debug, FromRow)]
struct Row {
    saga_id: Uuid,
    state: String,
    product_ids: Vec<Uuid>,
    quantities: Vec<i64>,
    expires_at: OffsetDateTime,
}

impl Row {
    fn state(&self) -> State {
        match self.state.as_str() {
            "held" => State::Held,
            "committed" => State::Committed,
            "released" => State::Released,
            _ => State::Expired,
        }
    }

    fn lines(&self) -> Vec<ReservationLine> {
        let lines = self.product_ids.iter().zip(&self.quantities);
        lines
            .map(|(&product_id, &quantity)| ReservationLine { product_id, quantity })
            .collect()
    }

    fn show(&self, state: State, expires_at: OffsetDateTime) -> Reservation {
        Reservation {
            saga_id: self.saga_id,
            state,
            expires_at,
            lines: self.lines(),
        }
    }

    /// The moves that end it: units leave for good, are available again, or come back after they had left.
    fn movements(&self, state: State) -> Vec<Movement> {
        let had_left = self.state() == State::Committed;
        let leaving = i64::from(state == State::Committed) - i64::from(had_left);
        let held = i64::from(!had_left);
        let lines = self.lines();
        lines
            .into_iter()
            .map(|line| Movement {
                product_id: line.product_id,
                on_hand: -line.quantity * leaving,
                reserved: -line.quantity * held,
                reason: name_of(state).to_owned(),
                reference: Some(self.saga_id),
            })
            .collect()
    }
}

fn name_of(state: State) -> &'static str {
    match state {
        State::Held => "held",
        State::Committed => "committed",
        State::Released => "released",
        State::Expired => "expired",
    }
}

const COLUMNS: &str = "saga_id, state, product_ids, quantities, expires_at";

impl Store {
    /// Reserves all lines or none. The same request again gives the same answer.
    pub async fn hold(&self, saga_id: Uuid, request: &ReservationRequest) -> Result<Reservation, Error> {
        let expires_at = self.check_end(request.expires_at)?;
        let mut lines = request.lines.clone();
        lines.sort_unstable();
        let mut tx = self.db.begin().await?;
        if !insert(
            &mut tx,
            saga_id,
            State::Held,
            &lines,
            expires_at,
            self.clock.now(),
        )
        .await?
        {
            let row = find(&mut tx, saga_id).await?.ok_or(Error::UnknownReservation)?;
            return self.answer_again(&row, &lines);
        }
        let ids: Vec<Uuid> = lines.iter().map(|line| line.product_id).collect();
        let locked = inventory::lock(&mut tx, &ids).await?;
        let shortages = shortages(&lines, &locked);
        if !shortages.is_empty() {
            tx.rollback().await?;
            return Err(Error::OutOfStock(shortages));
        }
        let movements: Vec<Movement> = lines
            .iter()
            .map(|line| Movement {
                product_id: line.product_id,
                on_hand: 0,
                reserved: line.quantity,
                reason: "reserved".to_owned(),
                reference: Some(saga_id),
            })
            .collect();
        let turned = self.move_stock(&mut tx, locked, &movements).await?;
        tx.commit().await?;
        self.moved(turned);
        Ok(Reservation {
            saga_id,
            state: State::Held,
            expires_at,
            lines,
        })
    }

    fn answer_again(&self, row: &Row, lines: &[ReservationLine]) -> Result<Reservation, Error> {
        match row.state() {
            State::Released => Err(Error::ReservationReleased),
            State::Expired => Err(Error::ReservationGone),
            State::Held if row.expires_at <= self.clock.now() => Err(Error::ReservationGone),
            _ if row.lines() != lines => Err(Error::ReservationDiffers),
            state => Ok(row.show(state, row.expires_at)),
        }
    }

    /// Keeps a reservation longer; never shorter.
    pub async fn extend(&self, saga_id: Uuid, until: OffsetDateTime) -> Result<Reservation, Error> {
        let until = self.check_end(until)?;
        let mut tx = self.db.begin().await?;
        let row = find(&mut tx, saga_id).await?.ok_or(Error::UnknownReservation)?;
        if row.state() != State::Held {
            return Err(Error::ReservationGone);
        }
        if row.expires_at <= self.clock.now() {
            return self.expire_found(tx, &row).await;
        }
        let until = until.max(row.expires_at);
        sqlx::query("UPDATE catalog_reservation SET expires_at = $2 WHERE saga_id = $1")
            .bind(saga_id)
            .bind(until)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(row.show(State::Held, until))
    }

    /// The reserved units leave the warehouse.
    pub async fn commit(&self, saga_id: Uuid) -> Result<Reservation, Error> {
        let mut tx = self.db.begin().await?;
        let row = find(&mut tx, saga_id).await?.ok_or(Error::UnknownReservation)?;
        match row.state() {
            State::Committed => Ok(row.show(State::Committed, row.expires_at)),
            State::Released | State::Expired => Err(Error::ReservationGone),
            State::Held if row.expires_at <= self.clock.now() => self.expire_found(tx, &row).await,
            State::Held => {
                self.end(tx, &[&row], State::Committed).await?;
                Ok(row.show(State::Committed, row.expires_at))
            }
        }
    }

    /// Gives the reserved units back. An unknown reservation leaves a tombstone that refuses a late request to hold. With
    /// `return_committed`, units that have left are put back too: for a saga that asked for the commit, never heard
    /// whether it happened, and was cancelled at its deadline.
    pub async fn release(&self, saga_id: Uuid, return_committed: bool) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        if insert(&mut tx, saga_id, State::Released, &[], now, now).await? {
            return Ok(tx.commit().await?);
        }
        let row = find(&mut tx, saga_id).await?.ok_or(Error::UnknownReservation)?;
        match row.state() {
            State::Released | State::Expired => Ok(()),
            State::Committed if !return_committed => Err(Error::ReservationCommitted),
            State::Committed | State::Held => self.end(tx, &[&row], State::Released).await,
        }
    }

    /// One step of the reaper: ends some reservations whose time is up; gives how many. Several may run: each takes
    /// others.
    pub async fn expire_step(&self) -> Result<usize, Error> {
        let mut tx = self.db.begin().await?;
        let due: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM catalog_reservation WHERE state = 'held' AND expires_at <= $1
             ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED"
        )))
        .bind(self.clock.now())
        .bind(EXPIRED_BATCH)
        .fetch_all(&mut tx)
        .await?;
        let rows: Vec<&Row> = due.iter().collect();
        if !rows.is_empty() {
            self.end(tx, &rows, State::Expired).await?;
        }
        Ok(due.len())
    }

    /// Forgets some reservations that ended long ago; gives how many.
    pub async fn forget_step(&self) -> Result<u64, Error> {
        let forgotten = sqlx::query(
            "DELETE FROM catalog_reservation WHERE saga_id IN (
               SELECT saga_id FROM catalog_reservation WHERE ended_at < $1
               ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind(self.clock.now() - REMEMBERED)
        .bind(FORGOTTEN_BATCH)
        .execute(&self.db)
        .await?;
        Ok(forgotten.rows_affected())
    }

    /// Ends a reservation that was found to be over its time.
    async fn expire_found<T>(&self, tx: Tx, row: &Row) -> Result<T, Error> {
        self.end(tx, &[row], State::Expired).await?;
        Err(Error::ReservationGone)
    }

    /// Ends reservations, whose rows are locked, and commits the transaction.
    async fn end(&self, mut tx: Tx, rows: &[&Row], state: State) -> Result<(), Error> {
        let movements: Vec<Movement> = rows.iter().flat_map(|row| row.movements(state)).collect();
        let ids: Vec<Uuid> = movements.iter().map(|movement| movement.product_id).collect();
        let locked = inventory::lock(&mut tx, &ids).await?;
        let turned = self.move_stock(&mut tx, locked, &movements).await?;
        sqlx::query("UPDATE catalog_reservation SET state = $2, ended_at = $3 WHERE saga_id = ANY ($1)")
            .bind(rows.iter().map(|row| row.saga_id).collect::<Vec<_>>())
            .bind(name_of(state))
            .bind(self.clock.now())
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        self.moved(turned);
        Ok(())
    }

    /// The end as it is kept: in UTC, to the microsecond.
    fn check_end(&self, expires_at: OffsetDateTime) -> Result<OffsetDateTime, Error> {
        let now = self.clock.now();
        if expires_at <= now || expires_at > now + HOLD_MAX {
            return Err(Error::Invalid {
                field: "expires_at",
                message: "must be within the next 24 hours".to_owned(),
            });
        }
        Ok(expires_at.to_offset(UtcOffset::UTC).truncate_to_microsecond())
    }
}

/// Inserts a reservation; false when there is one. Waits for a transaction that is about to insert the same.
async fn insert(
    tx: &mut Tx,
    saga_id: Uuid,
    state: State,
    lines: &[ReservationLine],
    expires_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(
        "INSERT INTO catalog_reservation (saga_id, state, product_ids, quantities, expires_at, created_at, ended_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (saga_id) DO NOTHING",
    )
    .bind(saga_id)
    .bind(name_of(state))
    .bind(lines.iter().map(|line| line.product_id).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.quantity).collect::<Vec<_>>())
    .bind(expires_at)
    .bind(now)
    .bind((state != State::Held).then_some(now))
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Locks a reservation and reads it.
async fn find(tx: &mut Tx, saga_id: Uuid) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM catalog_reservation WHERE saga_id = $1 FOR UPDATE"
    )))
    .bind(saga_id)
    .fetch_optional(tx)
    .await
}

/// The lines that cannot be had. Unknown and archived products are never available.
fn shortages(lines: &[ReservationLine], locked: &[Stock]) -> Vec<Shortage> {
    let available = |id| {
        let stock = locked
            .iter()
            .find(|stock| stock.product_id == id && !stock.archived);
        stock.map_or(0, Stock::available)
    };
    let short = lines.iter().map(|line| Shortage {
        product_id: line.product_id,
        requested: line.quantity,
        available: available(line.product_id),
    });
    short.filter(|line| line.available < line.requested).collect()
}
