//! Whether an index outside the database may answer just now, and if not, why.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Why an index must not answer. The text is for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nobody has looked yet.
    Unknown,
    /// There is no index, or none of this version's mapping, behind the alias.
    NotBuilt,
    /// The alias names the index of another database.
    Foreign,
    /// The server does not answer, or not in time.
    Silent(String),
    /// Changes of so long ago are not in it yet.
    Lagging(Duration),
}

impl Fault {
    /// One word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unknown | Self::NotBuilt => "not_built",
            Self::Foreign => "foreign",
            Self::Silent(_) => "silent",
            Self::Lagging(_) => "lagging",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("it has not been looked at yet"),
            Self::NotBuilt => f.write_str("the index is not built yet"),
            Self::Foreign => f.write_str(
                "the alias names the index of another database; give one of the shops an index prefix of its own, or POST /search/reindex",
            ),
            Self::Silent(reason) => write!(f, "the server does not answer: {reason}"),
            Self::Lagging(by) => write!(f, "it is {} s behind", by.as_secs()),
        }
    }
}

/// What is known of an index. Shared by all clones. It works as a circuit breaker: the first question that gets no answer
/// keeps the others away, and only whoever watches lets them in again, so no caller pays for finding out.
#[derive(Debug, Clone)]
pub struct Health(Arc<Mutex<Option<Fault>>>);

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Fault::Unknown))))
    }
}

impl Health {
    /// What keeps the index from answering, if anything.
    pub fn fault(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what somebody found who looked; gives true when that is news.
    pub fn found(&self, fault: Option<Fault>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = |fault: &Option<Fault>| fault.as_ref().map(Fault::kind);
        let is_news = kind(&known) != kind(&fault);
        *known = fault;
        is_news
    }
}
