//! Making a Redis Cluster of three masters out of three servers, as `redis-cli --cluster create` does it:
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.

use std::time::Duration;

use redis::RedisResult;

use super::docker::Container;
use super::kind::{Source, Store};
use super::ready;
use super::scripts::ScriptServer;
use super::spec::Spec;

/// The hash slots of the three masters.
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];
/// The nodes have to hear of each other, which takes some rounds of gossip.
const LIMIT: Duration = Duration::from_mins(1);

/// The nodes; dropping it ends them.
pub(crate) enum Cluster {
    /// Processes.
    Scripts(Vec<ScriptServer>),
    /// Processes in one container.
    Container(Box<Container>),
}

impl Cluster {
    /// Starts three servers and joins them; gives their version too.
    pub(crate) async fn start(source: Source) -> Result<(Self, String), String> {
        if source == Source::Docker {
            let (container, version) = Container::start_cluster().await?;
            let ports: Vec<(u16, u16)> = container.ports().map(|port| (port, port + 10_000)).collect();
            join(&ports).await?;
            return Ok((Self::Container(Box::new(container)), version));
        }
        let mut nodes = Vec::new();
        let mut version = String::new();
        for _ in SLOTS {
            let (node, its_version) = ScriptServer::start(Spec::plain(Store::RedisCluster)).await?;
            nodes.push(node);
            version = its_version;
        }
        let ports: Vec<(u16, u16)> = nodes.iter().map(|node| (node.port(), node.node_port())).collect();
        join(&ports).await?;
        Ok((Self::Scripts(nodes), version))
    }

    /// Starts every node again, and waits until they have found each other.
    pub(crate) async fn restart(&mut self) -> Result<(), String> {
        let ports: Vec<u16> = match self {
            Self::Container(container) => {
                container.restart().await?;
                container.ports().collect()
            }
            Self::Scripts(nodes) => {
                for node in nodes.iter_mut() {
                    node.restart().await?;
                }
                nodes.iter().map(ScriptServer::port).collect()
            }
        };
        all_well(&ports).await
    }

    /// The first node's port.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Scripts(nodes) => nodes[0].port(),
            Self::Container(container) => container.port(),
        }
    }

    /// The first node's URL.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Scripts(nodes) => nodes[0].url(),
            Self::Container(container) => container.url(),
        }
    }
}

/// Joins the nodes with these ports (for clients and for each other), and waits until every one says that all is well.
async fn join(ports: &[(u16, u16)]) -> Result<(), String> {
    for (index, (port, _)) in ports.iter().enumerate() {
        introduce(index, *port, ports)
            .await
            .map_err(|error| format!("cannot form a cluster: {error}"))?;
    }
    let ports: Vec<u16> = ports.iter().map(|(port, _)| *port).collect();
    all_well(&ports).await
}

/// Waits until every node says that the cluster is well.
async fn all_well(ports: &[u16]) -> Result<(), String> {
    for port in ports {
        let url = format!("redis://127.0.0.1:{port}");
        ready::wait(Store::RedisCluster, &url, LIMIT, || None).await?;
    }
    Ok(())
}

async fn introduce(index: usize, port: u16, all: &[(u16, u16)]) -> RedisResult<()> {
    let mut connection = ready::redis_connection(&format!("redis://127.0.0.1:{port}")).await?;
    let mut cluster = redis::cmd("CLUSTER");
    // Different from the start, so that the nodes need not settle whose slots are newer.
    let () = cluster
        .arg("SET-CONFIG-EPOCH")
        .arg(index + 1)
        .query_async(&mut connection)
        .await?;
    let (first, last) = SLOTS[index];
    let mut cluster = redis::cmd("CLUSTER");
    let () = cluster
        .arg("ADDSLOTSRANGE")
        .arg(first)
        .arg(last)
        .query_async(&mut connection)
        .await?;
    let (port, node_port) = all[0];
    if index > 0 {
        let mut cluster = redis::cmd("CLUSTER");
        cluster.arg("MEET").arg("127.0.0.1").arg(port).arg(node_port);
        let () = cluster.query_async(&mut connection).await?;
    }
    Ok(())
}
