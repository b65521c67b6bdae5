//! Servers of a test's own, which it may pause, kill and start again.

use std::fmt;

use tokio::sync::Mutex;

use super::kind::Source;
use super::server::Server;
use super::spec::{Spec, checked};
use super::start;

/// A server (or a cluster, as a whole) of one test's own. It ends, with its data, when this is dropped or the test process ends in whatever way.
pub struct OwnStore {
    /// Its URL, for somebody who may do everything.
    pub url: String,
    /// Where it comes from: Docker or the scripts.
    pub source: Source,
    /// The version it tells.
    pub version: String,
    port: u16,
    server: Mutex<Server>,
}

impl OwnStore {
    pub(crate) async fn start(spec: Spec) -> Result<Self, String> {
        let (server, version, source) = start::server(spec).await?;
        Ok(Self {
            url: server.url(),
            source,
            version,
            port: server.port(),
            server: Mutex::new(server),
        })
    }

    /// Its port on 127.0.0.1, which it keeps over a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL for somebody else, with the right password or a wrong one.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        let scheme = self.url.split(':').next().unwrap_or_default();
        let (user, password) = (checked(user), checked(password));
        format!("{scheme}://{user}:{password}@127.0.0.1:{}", self.port)
    }

    /// Stops all its threads at once: it keeps its connections and answers nothing, until [`OwnStore::resume`].
    pub async fn pause(&self) {
        self.server.lock().await.pause().await;
    }

    /// Lets it go on.
    pub async fn resume(&self) {
        self.server.lock().await.resume().await;
    }

    /// Ends it at once (SIGKILL) and returns when it is gone.
    pub async fn kill(&self) {
        self.server.lock().await.kill().await;
    }

    /// Starts it again, on the same port and the same data, and returns when it answers. One that runs is asked to end
    /// first.
    pub async fn restart(&self) {
        let restarted = self.server.lock().await.restart().await;
        restarted.expect("the server starts again");
    }
}

impl fmt::Debug for OwnStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("OwnStore");
        debug
            .field("port", &self.port)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
