//! The client: every command goes through here, is bounded, and is observed once.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::observe::{self, Call};
use emporium_service_kit::report::{self, Server, ServerFacts};
use emporium_service_kit::{StoreError, observe::observed};
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{Acknowledgment, ReadConcern, WriteConcern};
use mongodb::{Client, ClientSession, Database};
use rand::Rng;
use tokio::sync::MutexGuard;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::error::{Failure, Fault};
use super::shape;
use super::turns::Turns;
use super::tx::{Find, Tx};

/// The scheme of the URL, and the name in metrics and reports.
pub const MONGODB: &str = "mongodb";
/// How long a command may take, with opening a connection for it and, if it is a verb's first, waiting for its turn.
pub const ANSWER: Duration = Duration::from_millis(2_500);
/// The same for what handles many documents: a piece of a load, of a rebuild, of a comparison.
pub const LONG_ANSWER: Duration = Duration::from_secs(12);
/// How long a verb is tried again while others are faster.
const TRIED: Duration = Duration::from_secs(10);
/// Longest pauses between tries, in milliseconds: they grow from the first to the second.
const PAUSE_MS: (u64, u64) = (8, 120);
/// How often who waits for a turn looks whether the server still answers.
const LISTENED: Duration = Duration::from_millis(100);
/// How long a verb steps aside for a change of the projection's state.
const ASIDE: Duration = Duration::from_secs(2);

/// A MongoDB, or what speaks its protocol.
#[derive(Clone)]
pub struct Mongo {
    client: Client,
    db: Database,
    metrics: Metrics,
    product: String,
    /// When anything was last answered.
    heard: Arc<Mutex<Instant>>,
}

/// One try of a verb.
#[derive(Debug, Clone, Copy)]
pub struct Try {
    /// By when the first command has to be answered.
    pub until: Instant,
    /// How long each later one may take.
    pub answer: Duration,
    /// Whether it has stepped aside for long enough.
    pub presses_on: bool,
}

impl Try {
    /// A first try, with so much time for each command.
    pub fn within(answer: Duration) -> Self {
        Self {
            until: Instant::now() + answer,
            answer,
            presses_on: false,
        }
    }
}

impl Mongo {
    pub(super) fn new(client: Client, database: &str, metrics: Metrics, product: String) -> Self {
        let db = client.database(database);
        Self {
            client,
            db,
            metrics,
            product,
            heard: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Product and version.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// Runs a command outside a transaction.
    pub async fn command(&self, command: Document) -> Result<Document, Failure> {
        self.run(command, None, Instant::now() + ANSWER).await
    }

    /// Reads outside a transaction what is acknowledged; all documents of one `find` or `aggregate`.
    pub async fn read(&self, mut command: Document) -> Result<Vec<Document>, StoreError> {
        command.insert("readConcern", doc! { "level": "majority" });
        let reply = self.command(command).await?;
        let (mut documents, mut next) = shape::batch(reply)?;
        while let Some(more) = next {
            let (batch, then) = shape::batch(self.command(more).await?)?;
            documents.extend(batch);
            next = then;
        }
        Ok(documents)
    }

    /// One document as it is now, and not as a primary has it that was deposed and does not know yet.
    pub async fn latest(&self, collection: &str, id: &str) -> Result<Option<Document>, StoreError> {
        let mut command = Find::by(doc! { "_id": id }).limit(1).command(collection);
        // Other servers that speak the protocol have one member.
        let level = if self.is_mongodb() {
            "linearizable"
        } else {
            "majority"
        };
        command.insert("readConcern", doc! { "level": level });
        let (mut found, _) = shape::batch(self.command(command).await?)?;
        Ok(found.pop())
    }

    /// Begins a transaction in a snapshot, whose commit is acknowledged when it is in the journal of a majority.
    pub async fn begin(&self, at: Try) -> Result<Tx, Fault> {
        let begun = timeout_at(at.until, self.session()).await;
        let session = begun.unwrap_or(Err(Failure::Late))?;
        Ok(Tx::new(self.clone(), session, at))
    }

    async fn session(&self) -> Result<ClientSession, Failure> {
        let mut session = self.client.start_session().causal_consistency(false).await?;
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

    /// Runs a command and looks for refused writes in its answer, which the server gives as a success.
    pub(super) async fn run(
        &self,
        command: Document,
        session: Option<&mut ClientSession>,
        until: Instant,
    ) -> Result<Document, Failure> {
        let (operation, text) = (shape::operation(&command), heard(&command));
        let work = async {
            let mut action = self.db.run_command(command);
            if let Some(session) = session {
                action = action.session(session);
            }
            let answered = timeout_at(until, async { action.await }).await;
            let reply = answered.map_err(|_| Failure::Late)??;
            self.note_answer();
            shape::refused(&reply).map_or(Ok(reply), |code| Err(Failure::Write(code)))
        };
        self.observed(operation, &text, shape::rows, work).await
    }

    /// Observes what the driver does by a verb of its own.
    pub(super) async fn observed<T>(
        &self,
        operation: &'static str,
        text: &str,
        rows: impl FnOnce(&T) -> u64,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let call = Call {
            system: MONGODB,
            operation,
            text,
        };
        observed(&self.metrics, call, rows, Failure::word, work).await
    }

    fn note_answer(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Since when nothing was answered, or since then.
    fn silent_since(&self, then: Instant) -> Instant {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.max(then)
    }

    /// Waits for turns, as long as the server answers to those whose turn it is; gives the first try as well.
    pub async fn turns<'t>(
        &self,
        turns: &'t Turns,
        products: impl IntoIterator<Item = Uuid>,
        answer: Duration,
    ) -> Result<(Vec<MutexGuard<'t, ()>>, Try), StoreError> {
        let started = Instant::now();
        let mut waiting = pin!(turns.take(products));
        loop {
            let taken = timeout(LISTENED, &mut waiting).await;
            let silent = self.silent_since(started);
            if let Ok(taken) = taken {
                let until = silent + answer;
                return Ok((
                    taken,
                    Try {
                        until,
                        ..Try::within(answer)
                    },
                ));
            }
            if silent.elapsed() > answer {
                return Err(Failure::Late.into());
            }
            if started.elapsed() > TRIED {
                return Err(StoreError::Conflict(
                    "others change the same data all the time".into(),
                ));
            }
        }
    }

    /// Tries a verb, which is one transaction, until it comes to an end that is not others' doing. This is the only layer that
    /// tries again.
    pub async fn retried<T, F>(&self, first: Try, work: impl Fn(Try) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let started = Instant::now();
        let (mut at, mut tries, mut aside) = (first, 0_u32, None);
        loop {
            match work(at).await {
                Ok(done) => return Ok(done),
                Err(Fault::Store(error)) => return Err(error),
                Err(fault) if started.elapsed() > TRIED => return Err(StoreError::Conflict(fault.into())),
                Err(Fault::Again(_)) => tries += 1,
                Err(Fault::Closing(_)) => {
                    at.presses_on = aside.get_or_insert_with(Instant::now).elapsed() > ASIDE;
                }
            }
            let longest = (PAUSE_MS.0 << tries.min(4)).min(PAUSE_MS.1);
            let pause = rand::rng().random_range(1..=longest);
            sleep(Duration::from_millis(pause)).await;
            at.until = Instant::now() + at.answer;
        }
    }

    /// Fails when nobody answers who takes writes.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.command(doc! { "ping": 1 }).await?;
        Ok(())
    }
}

fn heard(command: &Document) -> String {
    if observe::is_heard() {
        shape::text(command)
    } else {
        String::new()
    }
}

#[async_trait]
impl Server for Mongo {
    fn adapter(&self) -> &'static str {
        MONGODB
    }

    async fn facts(&self) -> Result<ServerFacts, StoreError> {
        let latency_ms = report::latency_ms(|| self.ping()).await?;
        // SecantusDB reads every document for it, and answers nobody else meanwhile.
        let size = if self.is_mongodb() {
            size(&self.command(doc! { "dbStats": 1 }).await?)
        } else {
            None
        };
        Ok(ServerFacts {
            version: self.product.clone(),
            latency_ms,
            durability: "w=majority, j=true".to_owned(),
            size_bytes: size,
        })
    }
}

/// Bytes on disk, as `dbStats` tells them.
fn size(stats: &Document) -> Option<i64> {
    match stats.get("storageSize") {
        #[allow(clippy::cast_possible_truncation)] // bytes, far below 2^53
        Some(Bson::Double(size)) => Some(*size as i64),
        Some(Bson::Int64(size)) => Some(*size),
        Some(Bson::Int32(size)) => Some(i64::from(*size)),
        _ => None,
    }
}
