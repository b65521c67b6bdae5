//! What the shop's graph is to the service: one node, changed under its lock.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emporium_moving::register::{Kept, Register};
use emporium_service_kit::StoreError;
use serde::{Deserialize, Serialize};

use super::client::{Neo4j, Tx};
use super::rows::ValueRow;
use super::statements as cypher;

/// How long reading or swapping may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The standing of one shop's graph.
pub(in crate::store) struct Standings {
    client: Neo4j,
    /// The shop.
    name: Arc<str>,
}

/// As it is kept: in one property, so that it is read as a whole.
#[derive(Serialize, Deserialize)]
struct Written {
    version: i64,
    text: String,
}

impl Standings {
    pub(super) fn of(client: Neo4j, name: Arc<str>) -> Self {
        Self { client, name }
    }
}

async fn read(tx: &mut Tx, name: &str) -> Result<Kept, StoreError> {
    let row: Option<ValueRow> = tx.row(&cypher::READ_STANDING, [("name", name.into())]).await?;
    let Some(row) = row else {
        return Ok(Kept::default());
    };
    let written: Written =
        serde_json::from_str(&row.value).map_err(|error| StoreError::Failed(error.into()))?;
    Ok(Kept {
        version: written.version,
        text: Some(written.text),
    })
}

#[async_trait]
impl Register for Standings {
    async fn load(&self) -> Result<Kept, StoreError> {
        let name = self.name.clone();
        self.client
            .transaction(TIMEOUT, |tx| Box::pin(async move { read(tx, &name).await }))
            .await
    }

    /// The lock is taken by a statement of its own: one that reads and takes it may have read before.
    async fn swap(&self, version: i64, text: &str) -> Result<bool, StoreError> {
        let name = self.name.clone();
        let next = Written {
            version: version + 1,
            text: text.to_owned(),
        };
        let value = serde_json::to_string(&next).map_err(|error| StoreError::Failed(error.into()))?;
        self.client
            .transaction(TIMEOUT, move |tx| {
                Box::pin(async move {
                    tx.run(&cypher::LOCK_STANDING, [("name", (&*name).into())])
                        .await?;
                    if read(tx, &name).await?.version != version {
                        return Ok(false);
                    }
                    let parameters = [("name", (&*name).into()), ("value", value.into())];
                    tx.run(&cypher::WRITE_STANDING, parameters).await?;
                    Ok(true)
                })
            })
            .await
    }
}
