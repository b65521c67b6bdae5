//! Servers of a test's own, whatever they are: what a contract suite does to them.

use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::db::STATEMENT_TIMEOUT;

use crate::own_postgres::OwnPostgres;
use crate::stores::OwnStore;

/// A server that nobody else uses and that the test may torment. It keeps its port and its data.
#[async_trait]
pub trait OwnServer: Send + Sync {
    /// Its URL, for somebody who may do everything.
    fn url(&self) -> &str;
    /// Longest time until a call to it has to fail while it answers nothing.
    fn error_max(&self) -> Duration;
    /// Ends it at once (SIGKILL) and returns when it is gone.
    async fn kill(&self);
    /// Starts it again, on the same data, and returns when it answers.
    async fn restart(&self);
    /// Stops it (SIGSTOP): it keeps its connections and answers nothing.
    async fn pause(&self);
    /// Lets it go on.
    async fn resume(&self);
}

/// What a suite tests (a store, mostly), on a server of the test's own, which keeps all that it acknowledges.
pub struct Own<S> {
    /// What is tested.
    pub store: S,
    /// What it is on.
    pub server: Box<dyn OwnServer>,
}

macro_rules! own_server {
    ($server:ty, $error_max:expr) => {
        #[async_trait]
        impl OwnServer for $server {
            fn url(&self) -> &str {
                &self.url
            }
            fn error_max(&self) -> Duration {
                $error_max
            }
            async fn kill(&self) {
                <$server>::kill(self).await;
            }
            async fn restart(&self) {
                <$server>::restart(self).await;
            }
            async fn pause(&self) {
                <$server>::pause(self).await;
            }
            async fn resume(&self) {
                <$server>::resume(self).await;
            }
        }
    };
}

own_server!(OwnPostgres, STATEMENT_TIMEOUT + Duration::from_secs(2));
own_server!(OwnStore, Duration::from_secs(3));
