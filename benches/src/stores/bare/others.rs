//! Neo4j and MongoDB: their drivers' own transactions, without retries.

use anyhow::Context;
use mongodb::bson::{Document, RawDocumentBuf};
use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, WriteConcern};
use mongodb::{Client, ClientSession, Database};
use neo4rs::{ConfigBuilder, Graph, Query};
use reqwest::Url;

use super::Bare;
use crate::stores::record::{Command, Commanded, Within};

/// Connections of the adapters.
const NEO4J_POOL: usize = 16;
const MONGODB_POOL: u32 = 32;
/// Rows that a server sends at a time, as the adapter asks for them.
const FETCH: usize = 2_000;

impl Bare {
    /// A Neo4j client.
    pub fn neo4j(url: &str) -> anyhow::Result<Self> {
        let url: Url = url.parse()?;
        let host = url.host_str().context("a URL without a host")?;
        let config = ConfigBuilder::new()
            .uri(format!("bolt://{host}:{}", url.port().unwrap_or(7687)))
            .user(url.username())
            .password(url.password().unwrap_or_default())
            .fetch_size(FETCH)
            .max_connections(NEO4J_POOL);
        Ok(Self::Neo4j(Graph::connect(config.build()?)?))
    }

    /// A MongoDB client.
    pub async fn mongodb(url: &str, database: &str) -> anyhow::Result<Self> {
        let mut options = ClientOptions::parse(url).await?;
        options.max_pool_size = Some(MONGODB_POOL);
        options.retry_reads = Some(false);
        options.retry_writes = Some(false);
        Ok(Self::MongoDb(Client::with_options(options)?.database(database)))
    }
}

/// Statements between `BEGIN` and its end are a transaction; the adapter has no others.
pub(super) async fn run_neo4j(graph: &Graph, commands: &[Command]) -> anyhow::Result<()> {
    let mut open = None;
    for command in commands {
        match command {
            Command::Simple(text) if text == "BEGIN" => open = Some(graph.start_txn().await?),
            Command::Simple(text) => {
                let transaction = open.take().context("an end without a beginning")?;
                if text == "COMMIT" {
                    transaction.commit().await?;
                } else {
                    transaction.rollback().await?;
                }
            }
            Command::Cypher(cypher) => {
                let transaction = open.as_mut().context("a statement without a transaction")?;
                let query = Query::new(cypher.text.clone()).with_params(cypher.parameters.clone());
                let mut rows = transaction.execute(query).await?;
                while rows.next(transaction.handle()).await?.is_some() {}
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) async fn run_mongodb(database: &Database, commands: &[Command]) -> anyhow::Result<()> {
    let mut open: Option<ClientSession> = None;
    for command in commands {
        let Command::MongoDb(commanded) = command else {
            continue;
        };
        match commanded.within {
            Within::Nothing => ask(database, commanded, None).await?,
            Within::Beginning => {
                let mut session = begin(database).await?;
                ask(database, commanded, Some(&mut session)).await?;
                open = Some(session);
            }
            Within::Transaction => ask(database, commanded, open.as_mut()).await?,
            Within::Committing => {
                let mut session = open.take().context("an end without a beginning")?;
                session.commit_transaction().await?;
            }
            Within::Aborting => {
                let mut session = open.take().context("an end without a beginning")?;
                session.abort_transaction().await?;
            }
        }
    }
    Ok(())
}

async fn begin(database: &Database) -> anyhow::Result<ClientSession> {
    let mut session = database
        .client()
        .start_session()
        .causal_consistency(false)
        .await?;
    let journalled = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build();
    session
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(journalled)
        .await?;
    Ok(session)
}

async fn ask(
    database: &Database,
    commanded: &Commanded,
    session: Option<&mut ClientSession>,
) -> anyhow::Result<()> {
    let command = RawDocumentBuf::from_bytes(commanded.bytes.clone())?;
    let asked = database.run_raw_command(command);
    let _: Document = match session {
        Some(session) => asked.session(session).await?,
        None => asked.await?,
    };
    Ok(())
}
