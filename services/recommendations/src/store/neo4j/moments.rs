//! One moment. Neo4j's transactions read what is committed when they read it, and a commit becomes visible bit by bit: two
//! nodes that one transaction changed may be read one old and one new, even by one statement.
//!
//! So there is a node `Moment`, whose version changes with every effect, in its last statement, under its lock, which is held
//! until the commit is visible as a whole. A shelf reads the version under the lock (which waits for a commit under way, and
//! for nothing else), then what it is made of, then the version once more, under the lock: the same version is one moment. A
//! shelf that met effects twice holds the lock while it reads, and they wait for it.

use std::sync::Arc;
use std::time::Duration;

use emporium_service_kit::{Clock, StoreError};
use futures::future::BoxFuture;
use serde::Deserialize;

use super::client::{Neo4j, Tx};
use super::statements as cypher;
use super::traversal::Traversal;

/// How long a shelf may take, once the server has begun to answer.
const SHELF_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a shelf is tried before it keeps effects waiting.
const OPTIMISTIC_TRIES: usize = 2;

/// How the graph stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Mark {
    /// Changes with each effect, and with the live build.
    pub version: i64,
    /// Changes with each piece of a history that goes into the build that is not live.
    pub filled: i64,
    /// The live build.
    pub build: i64,
}

/// Takes the lock, until the transaction ends, and reads what it guards: in a statement of its own, since one that reads and
/// takes the lock may have read before.
pub(super) async fn locked(tx: &mut Tx, name: &str) -> Result<Mark, StoreError> {
    tx.run(&cypher::LOCK_MOMENT, [("name", name.into())]).await?;
    let mark = tx.row(&cypher::READ_MOMENT, [("name", name.into())]).await?;
    mark.ok_or_else(|| StoreError::Failed("the shop's Moment is not there any more".into()))
}

/// What is asked of a moment.
pub(super) type Asked<T> =
    dyn for<'a> Fn(&'a mut Traversal<'_>) -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync;

/// The shop's moments.
#[derive(Clone)]
pub(super) struct Moments {
    pub client: Neo4j,
    pub clock: Clock,
    /// The shop.
    pub name: Arc<str>,
}

impl Moments {
    /// How the graph stands now.
    pub async fn mark(&self) -> Result<Mark, StoreError> {
        let name = self.name.clone();
        self.client
            .transaction(SHELF_TIMEOUT, |tx| {
                Box::pin(async move { locked(tx, &name).await })
            })
            .await
    }

    /// The answer of one moment.
    pub async fn ask<T: Send + 'static>(&self, asked: Arc<Asked<T>>) -> Result<T, StoreError> {
        for _ in 0..OPTIMISTIC_TRIES {
            let mark = self.mark().await?;
            if let Some(answer) = self.ask_at(Some(mark), asked.clone()).await? {
                return Ok(answer);
            }
        }
        let answer = self.ask_at(None, asked).await?;
        answer.ok_or_else(|| StoreError::Failed("a moment passed while its lock was held".into()))
    }

    /// The answer, if the graph still stands so; without a mark, the lock is held.
    async fn ask_at<T: Send + 'static>(
        &self,
        mark: Option<Mark>,
        asked: Arc<Asked<T>>,
    ) -> Result<Option<T>, StoreError> {
        let (name, clock) = (self.name.clone(), self.clock.now());
        self.client
            .transaction(SHELF_TIMEOUT, move |tx| {
                Box::pin(async move {
                    let at = match mark {
                        Some(mark) => mark,
                        None => locked(tx, &name).await?,
                    };
                    let mut traversal = Traversal::begin(tx, at.build, clock).await?;
                    let answer = asked(&mut traversal).await?;
                    let stands = match mark {
                        Some(mark) => locked(tx, &name).await?.version == mark.version,
                        None => true,
                    };
                    Ok(stands.then_some(answer))
                })
            })
            .await
    }
}
