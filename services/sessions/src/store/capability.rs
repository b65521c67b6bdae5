//! What a store may be unable to give, whatever its adapter does.

use emporium_service_kit::Lack;

/// Something that the service would like of its store, and that a store may lack by its nature or by its server's settings.
/// What an adapter gives is in [`super::SessionStore`]; this is about what becomes of acknowledged writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Acknowledged writes are there after the server's process ended.
    SurvivesRestart,
    /// Acknowledged writes are there after the server's machine lost its power.
    SurvivesPowerLoss,
    /// Acknowledged writes are there after another machine has taken over.
    SurvivesFailover,
    /// Nothing is thrown out when memory is full.
    KeepsWhenFull,
}

impl Capability {
    /// That it is lacking, and what follows, for reports.
    pub fn lack(self) -> Lack {
        let (capability, consequence) = match self {
            Self::SurvivesRestart => (
                "survives a restart",
                "Sessions are in memory only. When the server ends, everybody has to sign in again; where it loads an old \
                 snapshot, log-outs and blocks since then are undone. Set appendonly to yes and appendfsync to always.",
            ),
            Self::SurvivesPowerLoss => (
                "survives a power loss",
                "When the server's machine fails, about the last second is lost: who signed in then has to do so again, \
                 and who logged out or was blocked then is in again until the session expires or the block is repeated. \
                 Set appendfsync to always.",
            ),
            Self::SurvivesFailover => (
                "survives a failover",
                "Replicas follow asynchronously. One that takes over may lack the last logins, log-outs and blocks.",
            ),
            Self::KeepsWhenFull => (
                "keeps everything when full",
                "The server may evict keys when its memory is full: sessions end early, failed logins are forgotten, and a \
                 log-out everywhere or a block may miss sessions whose list was evicted. Set maxmemory-policy to noeviction.",
            ),
        };
        Lack::new(capability, consequence)
    }
}
