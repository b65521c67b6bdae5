//! What an adapter says to its server, recorded once and said again by a bare client.
//!
//! To measure what an adapter costs, a bare client has to send the very same commands. They are not written down a second
//! time here, where they would grow old: a [`Recorder`] stands between adapter and server while each operation runs once,
//! and what went through it is what the bare client sends afterwards, straight to the server. That it does so is checked
//! by recording the bare client as well: [`same`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

mod bolt;
pub mod fresh;
mod http;
mod mongodb;
mod postgres;
mod redis;

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RESP, <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
    Redis,
    /// <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
    Postgres,
    /// HTTP/1.1.
    Http,
    /// Neo4j's.
    Bolt,
    /// MongoDB's `OP_MSG`.
    MongoDb,
}

/// One thing that a client asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A Redis command with its arguments.
    Redis(Vec<Vec<u8>>),
    /// A statement with parameters in PostgreSQL's binary form.
    Statement(Statement),
    /// A PostgreSQL statement without parameters, such as `BEGIN`.
    Simple(String),
    /// An HTTP request.
    Http(Request),
    /// A statement of Neo4j's; `BEGIN`, `COMMIT` and `ROLLBACK` are [`Simple`](Command::Simple) ones.
    Cypher(Box<Cypher>),
    /// A MongoDB command.
    MongoDb(Commanded),
}

/// A statement of Neo4j's.
#[derive(Debug, Clone, PartialEq)]
pub struct Cypher {
    /// Its text.
    pub text: String,
    /// Its parameters.
    pub parameters: neo4rs::BoltMap,
}

/// A MongoDB command without what the driver adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commanded {
    /// Whether it is of a transaction.
    pub within: Within,
    /// BSON.
    pub bytes: Vec<u8>,
}

/// What a MongoDB command is to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// It has none.
    Nothing,
    /// Its first.
    Beginning,
    /// One of it.
    Transaction,
    /// Its end.
    Committing,
    /// Its end, with nothing changed.
    Aborting,
}

/// A statement with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its text.
    pub sql: Arc<str>,
    /// Whether the connection keeps it prepared.
    pub persistent: bool,
    /// Type (OID) and value of each parameter; `None` is NULL.
    pub parameters: Vec<(u32, Option<Vec<u8>>)>,
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// `content-type`, when there is a body.
    pub content_type: Option<String>,
    /// As it was sent.
    pub body: Vec<u8>,
}

/// What one operation said to the server, and what it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// In the order in which they were sent.
    pub commands: Vec<Command>,
    /// The answers' content, without what differs each time.
    pub answer: Vec<u8>,
}

/// Fails unless two operations said the same, and, for those that only read, were told the same.
pub fn same(adapter: &Exchange, bare: &Exchange, reads: bool) -> anyhow::Result<()> {
    ensure!(
        adapter.commands == bare.commands,
        "the bare client does not send what the adapter sends: {} and not {}",
        excerpt(&bare.commands),
        excerpt(&adapter.commands)
    );
    if reads && adapter.answer != bare.answer {
        bail!(
            "DIFFERENT ANSWERS to the same commands {}: the bare client was told {}, the adapter {}",
            excerpt(&adapter.commands),
            excerpt(&String::from_utf8_lossy(&bare.answer)),
            excerpt(&String::from_utf8_lossy(&adapter.answer))
        );
    }
    Ok(())
}

/// The beginning of something long, for people.
fn excerpt(of: &impl std::fmt::Debug) -> String {
    const CHARACTERS_MAX: usize = 2_000;
    let text = format!("{of:?}");
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{} … ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// Some bytes on their way.
struct Piece {
    connection: usize,
    from_client: bool,
    bytes: Vec<u8>,
}

type Log = Arc<Mutex<Vec<Piece>>>;

/// Passes everything on, and writes it down first. Ends when it is dropped.
pub struct Recorder {
    /// Where it listens.
    pub address: SocketAddr,
    log: Log,
    reader: Mutex<Reader>,
    listening: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Recorder {
    /// Stands in front of the server at `target`.
    pub async fn start(protocol: Protocol, target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let log = Log::default();
        let pieces = log.clone();
        let listening = tokio::spawn(async move {
            for connection in 0.. {
                let Ok((client, _)) = listener.accept().await else {
                    return;
                };
                let Ok(server) = TcpStream::connect(target).await else {
                    return;
                };
                pass(client, server, connection, &pieces);
            }
        });
        let reader = Mutex::new(Reader {
            protocol,
            connections: HashMap::new(),
        });
        Ok(Self {
            address,
            log,
            reader,
            listening,
        })
    }

    /// What went through since it was asked last. Nothing may be under way.
    pub fn take(&self) -> anyhow::Result<Exchange> {
        let pieces = std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner));
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.read(&pieces).context("reading what was recorded")
    }
}

fn pass(client: TcpStream, server: TcpStream, connection: usize, log: &Log) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::spawn(copy(from_client, to_server, connection, true, log.clone()));
    tokio::spawn(copy(from_server, to_client, connection, false, log.clone()));
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    connection: usize,
    from_client: bool,
    log: Log,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = buffer[..read].to_vec();
        log.lock().unwrap_or_else(PoisonError::into_inner).push(Piece {
            connection,
            from_client,
            bytes,
        });
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Makes messages of bytes.
struct Reader {
    protocol: Protocol,
    connections: HashMap<usize, Connection>,
}

/// What is known of a connection.
#[derive(Default)]
struct Connection {
    /// Bytes of a message whose end has not come.
    asked: Vec<u8>,
    told: Vec<u8>,
    /// Rows of a statement whose end has not come.
    rows: Vec<Vec<u8>>,
    state: postgres::Prepared,
    /// Whether both have said which version they speak.
    greeted: [bool; 2],
    waited: mongodb::Waited,
}

impl Reader {
    fn read(&mut self, pieces: &[Piece]) -> anyhow::Result<Exchange> {
        let mut exchange = Exchange {
            commands: Vec::new(),
            answer: Vec::new(),
        };
        for piece in pieces {
            let connection = self.connections.entry(piece.connection).or_default();
            if piece.from_client {
                connection.asked.extend_from_slice(&piece.bytes);
                let commands = match self.protocol {
                    Protocol::Redis => redis::commands(&mut connection.asked)?,
                    Protocol::Postgres => postgres::commands(&mut connection.asked, &mut connection.state)?,
                    Protocol::Http => http::requests(&mut connection.asked)?,
                    Protocol::Bolt => bolt::commands(&mut connection.asked, &mut connection.greeted[0])?,
                    Protocol::MongoDb => mongodb::commands(&mut connection.asked, &mut connection.waited)?,
                };
                exchange.commands.extend(commands);
            } else {
                connection.told.extend_from_slice(&piece.bytes);
                let answer = match self.protocol {
                    Protocol::Redis => std::mem::take(&mut connection.told),
                    Protocol::Postgres => postgres::answer(&mut connection.told, &mut connection.rows)?,
                    Protocol::Http => http::answer(&mut connection.told)?,
                    Protocol::Bolt => bolt::answer(&mut connection.told, &mut connection.greeted[1]),
                    Protocol::MongoDb => mongodb::answer(&mut connection.told, &mut connection.waited)?,
                };
                exchange.answer.extend(answer);
            }
        }
        Ok(exchange)
    }
}
