//! Transactions.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Either, Execute, Executor, PgConnection, Postgres, SqlStr};

use super::{Observed, SERVER_GRACE, no_answer, observe};
use crate::metrics::{Metrics, Operation};

/// `COPY` sends so many bytes at a time.
const COPY_PIECE: usize = 256 << 10;

/// A transaction; dropped without [`Tx::commit`] it rolls back.
pub struct Tx {
    /// `None` while a COPY runs, and after one that nobody waited for.
    pub(super) inner: Option<sqlx::Transaction<'static, Postgres>>,
    pub(super) metrics: Metrics,
    pub(super) answer_timeout: Duration,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

impl Tx {
    /// Allows each further statement of the transaction so much time, in place of [`STATEMENT_TIMEOUT`](super::STATEMENT_TIMEOUT).
    pub async fn allow(&mut self, timeout: Duration) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT set_config('statement_timeout', $1, true)")
            .bind(timeout.as_millis().to_string())
            .execute(&mut *self)
            .await?;
        self.answer_timeout = timeout + SERVER_GRACE;
        Ok(())
    }

    /// Makes the transaction's changes durable.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        let started = Instant::now();
        let inner = self.inner.ok_or_else(gone)?;
        let committed = tokio::time::timeout(self.answer_timeout, inner.commit()).await;
        let result = committed.unwrap_or_else(|_| Err(no_answer()));
        self.metrics
            .store_call(Operation::Commit, started.elapsed(), 0, result.is_err());
        result
    }

    /// Undoes the transaction.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        match self.inner {
            Some(inner) => inner.rollback().await,
            None => Ok(()),
        }
    }

    /// `COPY … FROM STDIN` of bytes in the statement's format; gives the number of rows. It may take as long as any statement
    /// of the transaction.
    ///
    /// It runs in a task of its own, which nobody can cancel: a future that is dropped between the end of the data and the
    /// server's answer would give a connection back to the pool whose next statement reads that answer for its own. Whoever
    /// does not wait for the end has no transaction any more; it is rolled back.
    pub async fn copy_in(&mut self, sql: &str, data: impl AsRef<[u8]>) -> Result<u64, sqlx::Error> {
        let started = Instant::now();
        let mut inner = self.inner.take().ok_or_else(gone)?;
        let (sql, data) = (sql.to_owned(), data.as_ref().to_vec());
        let copying = tokio::spawn(async move {
            let copied = copy(&mut inner, &sql, &data).await;
            (inner, copied)
        });
        let result = match tokio::time::timeout(self.answer_timeout, copying).await {
            Ok(Ok((inner, copied))) => {
                self.inner = Some(inner);
                copied
            }
            Ok(Err(_)) => Err(sqlx::Error::WorkerCrashed),
            Err(_) => Err(no_answer()),
        };
        self.metrics
            .store_call(Operation::Copy, started.elapsed(), 0, result.is_err());
        result
    }
}

async fn copy(connection: &mut PgConnection, sql: &str, data: &[u8]) -> Result<u64, sqlx::Error> {
    let mut copy = connection.copy_in_raw(sql).await?;
    // In pieces: the driver copies what it sends, and the server works on one piece while the next one is made.
    for piece in data.chunks(COPY_PIECE) {
        copy.send(piece).await?;
    }
    copy.finish().await
}

/// The transaction was lost with a COPY that nobody waited for.
fn gone() -> sqlx::Error {
    sqlx::Error::Protocol("the transaction was given up during a COPY".to_owned())
}

impl<'c> Executor<'c> for &'c mut Tx {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (query, watch) = observe(query, &self.metrics, self.answer_timeout);
        match &mut self.inner {
            Some(inner) => Observed::new((&mut **inner).fetch_many(query), watch).boxed(),
            None => futures::stream::once(async { Err(gone()) }).boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (query, watch) = observe(query, &self.metrics, self.answer_timeout);
        match &mut self.inner {
            Some(inner) => watch.one((&mut **inner).fetch_optional(query)).boxed(),
            None => async { Err(gone()) }.boxed(),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        match &mut self.inner {
            Some(inner) => (&mut **inner).prepare_with(sql, parameters),
            None => async { Err(gone()) }.boxed(),
        }
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        match &mut self.inner {
            Some(inner) => (&mut **inner).describe(sql),
            None => async { Err(gone()) }.boxed(),
        }
    }
}
