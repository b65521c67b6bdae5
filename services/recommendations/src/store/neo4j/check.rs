//! Start-up: what kind of server answers, and whether it will do.

use emporium_service_kit::StoreError;
use emporium_service_kit::report::{self, Server, ServerFacts};
use neo4rs::Error;
use serde::Deserialize;

use super::client::{BEGIN_TIMEOUT, NEO4J, Neo4j, Statement, Tx};
use super::error::{code, no_answer};

/// The oldest version with all that the statements need.
const VERSION_MIN: (u32, u32) = (5, 26);
/// The most that is told of what the server said, in characters.
const OWN_WORDS_MAX: usize = 200;

const COMPONENTS: Statement = Statement {
    name: "components",
    text: "CALL dbms.components() YIELD name, versions, edition WHERE name = 'Neo4j Kernel'
        RETURN versions[0] AS version, edition",
};

const TIME_LIMIT: Statement = Statement {
    name: "time limit",
    text: "SHOW SETTINGS 'db.transaction.timeout' YIELD value RETURN value",
};

const PING: Statement = Statement {
    name: "ping",
    text: "RETURN 1 AS one",
};

/// Why a Neo4j cannot be used; never shows the URL.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The URL.
    #[error(
        "this is no Neo4j URL; write neo4j://user:password@host:port, with neo4j+s:// for TLS and /database where they are needed"
    )]
    Url,
    /// What follows the question mark.
    #[error(
        "after the ? of a Neo4j URL only shop=name may stand, of at most 60 letters, digits, - and _; in a password, write %3F for ?"
    )]
    Shop,
    /// User or password.
    #[error("user or password are refused: {0}")]
    Credentials(String),
    /// Something answers, but not as Neo4j does.
    #[error(
        "what answers there is no Neo4j server, or its HTTP port; name the port of Bolt, which is 7687 unless it was changed, and write neo4j+s:// for TLS"
    )]
    Foreign,
    /// Too old, or something else that speaks Bolt.
    #[error("{0} is not supported; use Neo4j 5.26 or newer")]
    Version(String),
    /// A database that the server does not have.
    #[error(
        "the server has no such database; the Community edition has one, so leave the name after the host away"
    )]
    Database,
    /// Migrations of a newer program.
    #[error("the graph is of version {0}, which a newer program made; use that one, or name another shop")]
    Newer(i64),
    /// Something else has the name of an index or constraint.
    #[error("{0} exists for something else; drop it, so that it can be made")]
    Taken(String),
    /// The network, or anything else that passes or that only the server knows.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl ConnectError {
    /// Whether the text says what to do. The others are of a server that is away or refuses.
    pub fn tells_remedy(&self) -> bool {
        !matches!(self, Self::Store(_) | Self::Credentials(_))
    }

    /// Of the first call.
    fn of(error: StoreError) -> Self {
        if code(&error) == "Neo.ClientError.Database.DatabaseNotFound" {
            return Self::Database;
        }
        let StoreError::Unavailable(cause) = &error else {
            return Self::Store(error);
        };
        match cause.downcast_ref::<Error>() {
            Some(Error::AuthenticationError(text)) => Self::Credentials(own_words(text)),
            Some(Error::UnsupportedVersion(0, 0)) => Self::Version("the version of Bolt".to_owned()),
            Some(Error::ProtocolMismatch(_) | Error::UnsupportedVersion(..)) => Self::Foreign,
            _ => Self::Store(error),
        }
    }
}

/// What a server said, as a part of one line.
fn own_words(text: &str) -> String {
    let plain = |sign: char| if sign.is_control() { ' ' } else { sign };
    text.chars().map(plain).take(OWN_WORDS_MAX).collect()
}

#[derive(Deserialize)]
struct Component {
    version: String,
    edition: String,
}

impl Component {
    fn product(&self) -> String {
        format!(
            "Neo4j {} ({})",
            own_words(&self.version),
            own_words(&self.edition)
        )
    }

    fn is_supported(&self) -> bool {
        let mut parts = self.version.split(['.', '-']).map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= VERSION_MIN,
            _ => false,
        }
    }
}

async fn component(tx: &mut Tx) -> Result<Component, StoreError> {
    tx.row(&COMPONENTS, []).await?.ok_or_else(no_answer)
}

#[derive(Deserialize)]
struct Setting {
    value: String,
}

impl Neo4j {
    /// Whether the server can be used; gives whether it ends transactions that run for too long by itself.
    pub(super) async fn check(&self) -> Result<bool, ConnectError> {
        let component = self.first_transaction(|tx| Box::pin(component(tx))).await;
        let component = component.map_err(ConnectError::of)?;
        if !component.is_supported() {
            return Err(ConnectError::Version(component.product()));
        }
        let asked =
            self.first_transaction(|tx| Box::pin(async move { tx.row::<Setting>(&TIME_LIMIT, []).await }));
        // Who may not ask, does not know.
        let limit = match asked.await {
            Err(error) if code(&error).contains(".Security.") => None,
            answer => answer?,
        };
        let is_set = |limit: Setting| limit.value.contains(|sign: char| ('1'..='9').contains(&sign));
        Ok(limit.is_some_and(is_set))
    }

    /// Fails when the server does not answer in time.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.transaction(BEGIN_TIMEOUT, |tx| {
            Box::pin(async move { tx.run(&PING, []).await })
        })
        .await
    }
}

#[async_trait::async_trait]
impl Server for Neo4j {
    fn adapter(&self) -> &'static str {
        NEO4J
    }

    async fn facts(&self) -> Result<ServerFacts, StoreError> {
        let latency_ms = report::latency_ms(|| self.ping()).await?;
        let component: Component = self
            .transaction(BEGIN_TIMEOUT, |tx| Box::pin(component(tx)))
            .await?;
        Ok(ServerFacts {
            version: component.product(),
            latency_ms,
            durability: "transaction log flushed at every commit".to_owned(),
            // The Community edition does not tell.
            size_bytes: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, supported) in [
            ("5.26.30", true),
            ("2026.08.1", true),
            ("5.9.0", false),
            ("4.4.40", false),
            ("5.26-drop01", true),
            ("", false),
            ("Memgraph", false),
        ] {
            let component = Component {
                version: version.to_owned(),
                edition: "community".to_owned(),
            };
            assert_eq!(component.is_supported(), supported, "{version}");
        }
    }
}
