//! The client: the crate `clickhouse` over HTTP, every statement bounded in time and observed once.

use std::time::Duration;

use clickhouse::error::Error;
use clickhouse::query::Query;
use clickhouse::{Client, RowOwned, RowRead, RowWrite};
use emporium_service_kit::StoreError;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::observe::{Call, observed};
use serde::Serialize;

/// `db.system.name`, the scheme of URLs, and the name in reports.
pub const CLICKHOUSE: &str = "clickhouse";
/// How long a statement may take that somebody waits for.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one may take that compares whole builds, or changes tables.
const LONG_TIMEOUT: Duration = Duration::from_mins(2);
/// The most that is told of what the server said, in characters.
const WORDS_MAX: usize = 200;
/// Rows of an answer; every answer has a bound of its own below this.
const ROWS_MAX: &str = "100000";

/// A ClickHouse server and a database on it. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct ClickHouse {
    client: Client,
    metrics: Metrics,
}

impl std::fmt::Debug for ClickHouse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClickHouse")
    }
}

impl ClickHouse {
    /// With the settings that all statements have: none takes longer than somebody waits for it, since a server goes on with what
    /// nobody waits for; none is held back to be joined with others; a block's token reaches the views.
    pub(super) fn new(client: Client, metrics: Metrics) -> Self {
        let client = client
            .with_setting("async_insert", "0")
            .with_setting("insert_deduplicate", "1")
            .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
            .with_setting("parallel_view_processing", "1")
            .with_setting("enable_extended_results_for_datetime_functions", "1")
            .with_setting("join_use_nulls", "1")
            .with_setting("max_result_rows", ROWS_MAX)
            .with_setting("mutations_sync", "1");
        Self { client, metrics }
    }

    /// A statement; values are parameters (`{name:Type}`), never spliced.
    pub(super) fn ask(&self, text: impl Into<String>) -> Ask<'_> {
        let text = text.into();
        Ask {
            query: self.client.query_raw(&text),
            metrics: &self.metrics,
            operation: "SELECT",
            within: CALL_TIMEOUT,
            text,
        }
    }

    /// A statement about a set of ids, which it names `{ids}`. They are hexadecimal digits in its text, which takes many more than a
    /// parameter; spans tell the text without them. At most [`SET_MAX`].
    pub(super) fn ask_of_ids(&self, text: &str, ids: &[u128]) -> Ask<'_> {
        let set = format!(
            "(SELECT reinterpretAsUInt128(reverse(substring(unhex('{}'), number * 16 + 1, 16))) FROM numbers({}))",
            digits(ids),
            ids.len()
        );
        let ask = Ask {
            query: self.client.query_raw(&text.replacen("{ids}", &set, 1)),
            metrics: &self.metrics,
            operation: "SELECT",
            within: CALL_TIMEOUT,
            text: text.to_owned(),
        };
        ask.setting("max_query_size", QUERY_SIZE)
    }

    /// Inserts rows as one block, which its token lets in once.
    pub(super) async fn insert<T>(
        &self,
        table: &'static str,
        rows: &[T],
        token: &str,
    ) -> Result<(), StoreError>
    where
        T: RowOwned + RowWrite + Sync,
    {
        let text = format!("INSERT INTO {table}");
        let work = async {
            let mut insert = self
                .client
                .insert::<T>(table)
                .await?
                .with_setting("max_execution_time", seconds(CALL_TIMEOUT))
                .with_setting("insert_deduplication_token", token);
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        };
        let metrics = &self.metrics;
        let count = u64::try_from(rows.len()).unwrap_or_default();
        bounded(metrics, ("INSERT", &text), CALL_TIMEOUT, |()| count, work).await
    }

    /// Fails when the server does not answer in time.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.ask("SELECT 1").one::<u8>().await.map(|_| ())
    }
}

/// A statement with its parameters.
#[must_use]
pub(super) struct Ask<'a> {
    query: Query,
    metrics: &'a Metrics,
    operation: &'static str,
    within: Duration,
    text: String,
}

impl Ask<'_> {
    /// The value of `{name:Type}`.
    pub(super) fn param(mut self, name: &str, value: impl Serialize) -> Self {
        self.query = self.query.param(name, value);
        self
    }

    /// A setting of this statement.
    pub(super) fn setting(mut self, name: &str, value: &str) -> Self {
        self.query = self.query.with_setting(name, value);
        self
    }

    /// It may take its time.
    pub(super) fn long(mut self) -> Self {
        self.within = LONG_TIMEOUT;
        self
    }

    /// All rows.
    pub(super) async fn rows<T: RowOwned + RowRead>(self) -> Result<Vec<T>, StoreError> {
        let query = self
            .query
            .with_setting("max_execution_time", seconds(self.within));
        let call = (self.operation, self.text.as_str());
        let count = |rows: &Vec<T>| u64::try_from(rows.len()).unwrap_or_default();
        bounded(self.metrics, call, self.within, count, query.fetch_all::<T>()).await
    }

    /// The one row.
    pub(super) async fn one<T: RowOwned + RowRead>(self) -> Result<T, StoreError> {
        let mut rows = self.rows::<T>().await?;
        let row = rows.pop().filter(|_| rows.is_empty());
        row.ok_or_else(|| StoreError::Failed("one row was expected".into()))
    }

    /// Runs what gives no rows; `operation` is its name in metrics.
    pub(super) async fn run(self, operation: &'static str) -> Result<(), StoreError> {
        let query = self
            .query
            .with_setting("max_execution_time", seconds(self.within));
        let call = (operation, self.text.as_str());
        bounded(self.metrics, call, self.within, |()| 0, query.execute()).await
    }
}

/// As the server takes it, rounded up: whole seconds.
fn seconds(within: Duration) -> String {
    (within.as_secs() + u64::from(within.subsec_nanos() > 0)).to_string()
}

async fn bounded<T>(
    metrics: &Metrics,
    (operation, text): (&'static str, &str),
    within: Duration,
    rows: impl FnOnce(&T) -> u64,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, StoreError> {
    let call = Call {
        system: CLICKHOUSE,
        operation,
        text,
    };
    let work = async {
        match tokio::time::timeout(within, work).await {
            Ok(done) => done.map_err(|error| Fault::of(&error)),
            Err(_) => Err(Fault::late()),
        }
    };
    let done = observed(metrics, call, rows, |fault: &Fault| &fault.name, work).await;
    done.map_err(Fault::into_store)
}

/// Why a call failed.
pub(super) struct Fault {
    /// The server's code, if it answered.
    pub(super) code: Option<u32>,
    name: String,
    told: String,
    away: bool,
}

impl Fault {
    fn late() -> Self {
        Self {
            code: None,
            name: "timeout".to_owned(),
            told: "no answer in time".to_owned(),
            away: true,
        }
    }

    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::BadResponse(text) => Self::answered(text),
            Error::Network(_) | Error::TimedOut => Self {
                code: None,
                name: "network".to_owned(),
                told: "no connection".to_owned(),
                away: true,
            },
            // Of what is sent or read: the adapter's own.
            other => Self {
                code: None,
                name: "client".to_owned(),
                told: words(&other.to_string()),
                away: false,
            },
        }
    }

    /// `Code: 159. DB::Exception: … (TIMEOUT_EXCEEDED) (version …)`.
    fn answered(text: &str) -> Self {
        let digits = text.split("Code: ").nth(1).unwrap_or_default();
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        let code = digits.parse().ok();
        Self {
            code,
            name: code.map_or_else(|| "answer".to_owned(), |code: u32| code.to_string()),
            told: words(text),
            // What is no answer of a server's comes from something in between.
            away: code.is_none_or(|code| AWAY.contains(&code)),
        }
    }

    fn into_store(self) -> StoreError {
        if self.away {
            StoreError::Unavailable(self.told.into())
        } else {
            StoreError::Failed(self.told.into())
        }
    }

    /// In the server's words, cut.
    pub(super) fn told(&self) -> &str {
        &self.told
    }
}

/// Codes that say "not now": time, memory, too many queries or parts, network, shutting down, a full disk, credentials that
/// were changed.
const AWAY: [u32; 16] = [
    159, 160, 202, 203, 209, 210, 236, 241, 242, 243, 252, 279, 394, 516, 746, 999,
];

fn words(text: &str) -> String {
    text.chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .take(WORDS_MAX)
        .collect()
}

/// Ids of one parameter: a server takes 128 KiB of it.
const IDS_MAX: usize = 2_000;
/// Ids of one statement, and how many bytes it may have with them.
pub(super) const SET_MAX: usize = 65_536;
const QUERY_SIZE: &str = "4194304";

/// Ids as parameters, each of up to [`IDS_MAX`]: hexadecimal digits, which a server reads tenfold as fast as so many literals.
pub(super) fn hex(ids: impl Iterator<Item = u128>) -> Vec<String> {
    let ids: Vec<u128> = ids.collect();
    ids.chunks(IDS_MAX).map(digits).collect()
}

fn digits(ids: &[u128]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(32 * ids.len());
    for id in ids {
        // Writing to a text cannot fail.
        let _ = write!(text, "{id:032x}");
    }
    text
}

/// A set of ids for `IN`, of the parameter `name`, which is one of [`hex`].
pub(super) fn ids_of(name: &str) -> String {
    format!(
        "(SELECT reinterpretAsUInt128(reverse(substring(unhex({{{name}:String}}), number * 16 + 1, 16)))
          FROM numbers(intDiv(length({{{name}:String}}), 32)))"
    )
}
