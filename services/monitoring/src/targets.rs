//! Which services there are to scrape, for a Prometheus: its HTTP service discovery,
//! <https://prometheus.io/docs/prometheus/latest/http_sd/>.

use std::collections::{BTreeMap, HashMap};

use emporium_service_kit::ServiceName;
use reqwest::Url;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::SERVICE;

/// Services with the same labels: here always one.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TargetGroup {
    /// Host and port.
    pub targets: Vec<String>,
    /// What its series get. Those that begin with `__` say how it is asked.
    pub labels: BTreeMap<&'static str, String>,
}

/// The services that are scraped.
#[derive(Debug, Clone)]
pub struct Targets {
    others: Vec<TargetGroup>,
    own: Option<TargetGroup>,
}

impl Targets {
    /// The peers, and this service itself.
    pub fn new(peers: &HashMap<ServiceName, String>) -> Self {
        let group = |name: ServiceName| {
            let url = peers.get(&name)?;
            let group = Url::parse(url).ok().and_then(|url| group(name, &url));
            if group.is_none() {
                tracing::warn!(service = %name, "not scraped: its address in EMPORIUM_PEERS is no URL");
            }
            group
        };
        let others = ServiceName::listening().filter(|name| *name != ServiceName::Monitoring);
        Self {
            others: others.filter_map(group).collect(),
            own: group(ServiceName::Monitoring),
        }
    }

    /// The list for somebody who reaches this service at `host`: that is where it is scraped, unless `EMPORIUM_PEERS` says
    /// otherwise.
    pub fn list(&self, host: Option<&str>) -> Vec<TargetGroup> {
        let at_host = || {
            let url = Url::parse(&format!("http://{}/", host?)).ok()?;
            group(ServiceName::Monitoring, &url)
        };
        let own = self.own.clone().or_else(at_host);
        self.others.iter().cloned().chain(own).collect()
    }
}

/// A service at a URL. Its instance is the service and not its port: series go on when it moves.
fn group(name: ServiceName, url: &Url) -> Option<TargetGroup> {
    let target = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
    let path = format!("{}/metrics", url.path().trim_end_matches('/'));
    let labels = [
        (SERVICE, name.to_string()),
        ("instance", name.to_string()),
        ("__scheme__", url.scheme().to_owned()),
        ("__metrics_path__", path),
    ];
    Some(TargetGroup {
        targets: vec![target],
        labels: labels.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_targets() {
        let peers = [
            (ServiceName::Users, "http://127.0.0.1:8081".to_owned()),
            (ServiceName::Orders, "https://orders.example/api/".to_owned()),
            (ServiceName::Carts, "nonsense".to_owned()),
        ];
        let list = |host| {
            let groups = Targets::new(&peers.clone().into()).list(host).into_iter();
            let line = |group: TargetGroup| {
                let label = |name: &str| group.labels[name].clone();
                format!(
                    "{} {}://{}{} {}",
                    label("service"),
                    label("__scheme__"),
                    group.targets.join(","),
                    label("__metrics_path__"),
                    label("instance")
                )
            };
            groups.map(line).collect::<Vec<_>>()
        };
        let others = [
            "users http://127.0.0.1:8081/metrics users",
            "orders https://orders.example:443/api/metrics orders",
        ];
        assert_eq!(list(None), others);
        assert_eq!(
            list(Some("[::1]:8090"))[2],
            "monitoring http://[::1]:8090/metrics monitoring"
        );
        assert_eq!(list(Some("a b\"")), others);
    }
}
