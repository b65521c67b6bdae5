//! Servers of a test's own, whatever they are: what a contract suite does to them.

use async_trait::async_trait;

use crate::own_postgres::OwnPostgres;
use crate::stores::OwnStore;

/// A server that nobody else uses and that the test may torment. It keeps its port and its data.
#[async_trait]
pub trait OwnServer: Send + Sync {
    /// Its URL, for somebody who may do everything.
    fn url(&self) -> &str;
    /// Ends it at once (SIGKILL) and returns when it is gone.
    async fn kill(&self);
    /// Starts it again, on the same data, and returns when it answers.
    async fn restart(&self);
    /// Stops it (SIGSTOP): it keeps its connections and answers nothing.
    async fn pause(&self);
    /// Lets it go on.
    async fn resume(&self);
}

macro_rules! own_server {
    ($server:ty) => {
        #[async_trait]
        impl OwnServer for $server {
            fn url(&self) -> &str {
                &self.url
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

own_server!(OwnPostgres);
own_server!(OwnStore);
