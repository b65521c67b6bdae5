//! Listing keys, of one server or of all masters of a cluster.

use ::redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use ::redis::{ErrorKind, FromRedisValue, RedisError, Value, cmd};

use super::{Connection, Redis};
use crate::StoreError;

/// Some keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scanned {
    /// The keys. One may come more than once.
    pub keys: Vec<String>,
    /// What to ask for more with; `None` at the end.
    pub next: Option<String>,
}

/// A master, as the cluster names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    host: String,
    port: u16,
}

impl Node {
    fn routing(&self) -> RoutingInfo {
        RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress {
            host: self.host.clone(),
            port: self.port,
        })
    }
}

/// Where a listing is: on which node, and its own cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    node: Option<Node>,
    cursor: u64,
}

impl Place {
    fn read(text: Option<&str>) -> Result<Self, StoreError> {
        let Some(text) = text else {
            return Ok(Self {
                node: None,
                cursor: 0,
            });
        };
        let read = || {
            let (node, cursor) = text.rsplit_once('/')?;
            let cursor = cursor.parse().ok()?;
            if node.is_empty() {
                return Some(Self { node: None, cursor });
            }
            let (host, port) = node.rsplit_once(':')?;
            let node = Some(Node {
                host: host.to_owned(),
                port: port.parse().ok()?,
            });
            Some(Self { node, cursor })
        };
        read().ok_or_else(|| StoreError::Failed("this is no place in a listing of keys".into()))
    }

    fn text(&self) -> String {
        match &self.node {
            Some(node) => format!("{}:{}/{}", node.host, node.port, self.cursor),
            None => format!("/{}", self.cursor),
        }
    }
}

impl Redis {
    /// Keys that match a pattern (`MATCH`), about `max` of them looked at, after the call whose [`Scanned::next`] was `after`.
    /// A key that is there from the beginning of a listing to its end is listed, unless a cluster moves slots meanwhile.
    pub async fn scan(&self, pattern: &str, after: Option<&str>, max: usize) -> Result<Scanned, StoreError> {
        let mut place = Place::read(after)?;
        let nodes = match &self.connection {
            Connection::Single(_) => Vec::new(),
            Connection::Cluster(_) => self.masters().await?,
        };
        if place.node.is_none() {
            place.node = nodes.first().cloned();
        }
        let mut scan = cmd("SCAN");
        scan.arg(place.cursor)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(max);
        let node = place.node.clone();
        let (cursor, keys): (u64, Vec<String>) = self
            .observed("SCAN", "SCAN", || {
                let (connection, scan, node) = (self.connection.clone(), scan.clone(), node.clone());
                async move {
                    match (connection, node) {
                        (Connection::Cluster(mut cluster), Some(node)) => {
                            let value: Value = cluster.route_command(scan, node.routing()).await?;
                            Ok(FromRedisValue::from_redis_value(value)?)
                        }
                        (Connection::Single(single), _) => scan.query_async(&mut single.manager()).await,
                        (Connection::Cluster(_), None) => Err(RedisError::from((
                            ErrorKind::ClusterConnectionNotFound,
                            "no node",
                        ))),
                    }
                }
            })
            .await?;
        let next = match (cursor, &place.node) {
            (0, None) => None,
            (0, Some(node)) => nodes.iter().find(|other| *other > node).map(|other| Place {
                node: Some(other.clone()),
                cursor: 0,
            }),
            (cursor, node) => Some(Place {
                node: node.clone(),
                cursor,
            }),
        };
        Ok(Scanned {
            keys,
            next: next.map(|place| place.text()),
        })
    }

    /// The masters that have slots, in one order.
    async fn masters(&self) -> Result<Vec<Node>, StoreError> {
        let slots: Vec<Vec<Value>> = self.command("CLUSTER SLOTS", cmd("CLUSTER").arg("SLOTS")).await?;
        let mut nodes = Vec::new();
        for range in slots {
            let Some(Value::Array(master)) = range.into_iter().nth(2) else {
                continue;
            };
            let mut fields = master.into_iter();
            let (Some(host), Some(port)) = (fields.next(), fields.next()) else {
                continue;
            };
            let unreadable = |_| StoreError::Failed("this is not how a cluster lists its nodes".into());
            nodes.push(Node {
                host: String::from_redis_value(host).map_err(unreadable)?,
                port: u16::from_redis_value(port).map_err(unreadable)?,
            });
        }
        nodes.sort();
        nodes.dedup();
        Ok(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_its_text() {
        for text in ["/7", "127.0.0.1:7000/0", "::1:7000/18446744073709551615"] {
            assert_eq!(Place::read(Some(text)).unwrap().text(), text);
        }
        for bad in ["", "7", "h/7", "h:x/7", "h:1/-1"] {
            assert!(Place::read(Some(bad)).is_err(), "{bad}");
        }
    }
}
