//! A running store, whatever it was started by, and what can be done to it.

use rustix::process::Signal;

use super::cluster::Cluster;
use super::docker::Container;
use super::kind::{Source, Store};
use super::scripts::ScriptServer;
use super::spec::Spec;

/// One server, or the three of a cluster. Dropping it ends it.
pub(crate) enum Server {
    /// By a script.
    Script(Box<ScriptServer>),
    /// In a container.
    Container(Box<Container>),
    /// By either; it is paused and killed as a whole.
    Cluster(Cluster),
}

impl Server {
    /// Starts it; gives its version too.
    pub(crate) async fn start(source: Source, spec: Spec) -> Result<(Self, String), String> {
        if spec.store() == Store::RedisCluster {
            let (cluster, version) = Cluster::start(source).await?;
            return Ok((Self::Cluster(cluster), version));
        }
        Ok(if source == Source::Docker {
            let (server, version) = Container::start(spec).await?;
            (Self::Container(Box::new(server)), version)
        } else {
            let (server, version) = ScriptServer::start(spec).await?;
            (Self::Script(Box::new(server)), version)
        })
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Script(server) => server.url(),
            Self::Container(server) => server.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Script(server) => server.port(),
            Self::Container(server) => server.port(),
            Self::Cluster(cluster) => cluster.port(),
        }
    }

    pub(crate) async fn pause(&mut self) {
        match self {
            Self::Script(server) => server.signal(Signal::STOP),
            Self::Container(server) | Self::Cluster(Cluster::Container(server)) => server.pause().await,
            Self::Cluster(Cluster::Scripts(nodes)) => {
                for node in nodes {
                    node.signal(Signal::STOP);
                }
            }
        }
    }

    pub(crate) async fn resume(&mut self) {
        match self {
            Self::Script(server) => server.signal(Signal::CONT),
            Self::Container(server) | Self::Cluster(Cluster::Container(server)) => server.resume().await,
            Self::Cluster(Cluster::Scripts(nodes)) => {
                for node in nodes {
                    node.signal(Signal::CONT);
                }
            }
        }
    }

    pub(crate) async fn kill(&mut self) {
        match self {
            Self::Script(server) => server.kill(),
            Self::Container(server) | Self::Cluster(Cluster::Container(server)) => server.kill().await,
            Self::Cluster(Cluster::Scripts(nodes)) => nodes.iter_mut().for_each(ScriptServer::kill),
        }
    }

    pub(crate) async fn restart(&mut self) -> Result<(), String> {
        match self {
            Self::Script(server) => server.restart().await,
            Self::Container(server) => server.restart().await,
            Self::Cluster(cluster) => cluster.restart().await,
        }
    }
}
