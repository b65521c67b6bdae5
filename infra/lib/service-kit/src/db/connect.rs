//! A first look at a PostgreSQL that a setting names. A pool connects late, tries for as long as a caller waits and then
//! knows only that the time is up; one plain connection tells why.

use std::io::ErrorKind;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Duration, Instant, sleep, timeout_at};

use super::ACQUIRE_TIMEOUT;
use crate::store::own_words;

/// The oldest major version that is taken: the oldest one that its makers still mended when this was written.
const VERSION_MIN: i32 = 15;
/// Pause before a server that is just starting is asked again.
const STARTING_PAUSE: Duration = Duration::from_millis(200);

/// Why a PostgreSQL cannot be used; never shows the URL.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// User or password.
    #[error("user or password are refused")]
    Credentials,
    /// The database.
    #[error("the server has no such database")]
    Database,
    /// The server's own reason.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// Something answers, but not as PostgreSQL does.
    #[error("what answers there is no PostgreSQL server")]
    Foreign,
    /// Too old.
    #[error("PostgreSQL {0} is not supported; use {VERSION_MIN} or newer")]
    Version(String),
    /// A standby: it takes no writes.
    #[error("this is a standby, which takes no writes; name its primary")]
    Standby,
}

impl ConnectError {
    /// Whether the URL may be right, and the server is what has to be changed: the text then says how.
    pub fn tells_remedy(&self) -> bool {
        matches!(self, Self::Version(_) | Self::Standby)
    }
}

/// Connects once, within [`ACQUIRE_TIMEOUT`], and sees whether the server will do.
pub async fn look(options: &PgConnectOptions) -> Result<(), ConnectError> {
    let end = Instant::now() + ACQUIRE_TIMEOUT;
    let looked = timeout_at(end, async {
        let mut connection = open(options).await?;
        let found = sqlx::query_as(
            "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), pg_is_in_recovery()",
        )
        .fetch_one(&mut connection)
        .await;
        // What it was opened for is done; that the server does not hear so would change nothing.
        let _ = connection.close().await;
        found
    });
    let found: Result<(i32, String, bool), sqlx::Error> = looked.await.map_err(|_| {
        let text = format!("no PostgreSQL spoke within {} s", ACQUIRE_TIMEOUT.as_secs());
        ConnectError::Unreachable(text)
    })?;
    let (number, version, is_standby) = found.map_err(|error| refusal(&error))?;
    check(number, version, is_standby)
}

/// The number has the major version before its last four digits.
fn check(number: i32, version: String, is_standby: bool) -> Result<(), ConnectError> {
    if number / 10_000 < VERSION_MIN {
        return Err(ConnectError::Version(version));
    }
    if is_standby {
        return Err(ConnectError::Standby);
    }
    Ok(())
}

/// A server that is just starting says so, and is asked again; whoever calls bounds that.
async fn open(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let options = options.clone().disable_statement_logging();
    loop {
        match options.connect().await {
            Err(sqlx::Error::Database(error)) if code(&*error) == "57P03" => sleep(STARTING_PAUSE).await,
            result => return result,
        }
    }
}

/// By SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn refusal(error: &sqlx::Error) -> ConnectError {
    match error {
        sqlx::Error::Database(error) => match &*code(&**error) {
            "28P01" => ConnectError::Credentials,
            "3D000" => ConnectError::Database,
            _ => ConnectError::Refused(own_words(error.message())),
        },
        // Somebody took the connection, and hung up when PostgreSQL's protocol was spoken.
        sqlx::Error::Io(error)
            if matches!(
                error.kind(),
                ErrorKind::UnexpectedEof
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
            ) =>
        {
            ConnectError::Foreign
        }
        sqlx::Error::Io(error) => ConnectError::Unreachable(error.to_string()),
        sqlx::Error::Protocol(_) => ConnectError::Foreign,
        // TLS and the like: the driver's own words, which hold nothing of the URL's secrets.
        other => ConnectError::Refused(other.to_string()),
    }
}

fn code(error: &dyn DatabaseError) -> std::borrow::Cow<'_, str> {
    error.code().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_and_standbys_are_refused() {
        let check = |number, is_standby| check(number, "14.9".to_owned(), is_standby);
        assert!(check(150_000, false).is_ok() && check(180_001, false).is_ok());
        for number in [90_624, 149_999] {
            let refused = check(number, false).unwrap_err();
            assert!(matches!(refused, ConnectError::Version(_)));
            assert!(refused.to_string().contains("use 15 or newer"), "{refused}");
        }
        assert!(matches!(check(180_000, true), Err(ConnectError::Standby)));
    }
}
