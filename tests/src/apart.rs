//! Services of a shop that run as processes of their own, beside it and on its databases.

use std::process::{Child, Command, Stdio};

use emporium_service_kit::ServiceName;
use emporium_test_kit::{Caller, eventually};
use serde_json::Value;

use crate::process::{ShopProcess, watch, without_settings};

/// A service that runs alone, `emporium serve`; killed when it is dropped.
pub struct Apart {
    program: String,
    service: ServiceName,
    listen: String,
    settings: Vec<(String, String)>,
    running: Option<(Child, Child)>,
    // What the process's watcher clears away.
    folder: tempfile::TempDir,
}

impl Apart {
    /// A service with the shop's keys, its database and its place on the bus, that knows the shop's services as its peers
    /// except for these: of each the service and where it is instead. It does not run yet.
    pub fn new(
        program: &str,
        shop: &ShopProcess,
        service: ServiceName,
        elsewhere: &[(ServiceName, String)],
    ) -> Self {
        let peer = |name: ServiceName| {
            let other = elsewhere.iter().find(|(which, _)| *which == name);
            let url = other.map_or_else(|| shop.url(name.as_str()), |(_, url)| url.clone());
            format!("{name}={url}")
        };
        let peers: Vec<String> = ServiceName::listening().map(peer).collect();
        let mut settings = vec![
            ("EMPORIUM_PEERS".to_owned(), peers.join(",")),
            ("EMPORIUM_DATA_DIR".to_owned(), shop.path().display().to_string()),
        ];
        if service != ServiceName::Gateway {
            let database = shop.database_url(service.as_str());
            settings.push(("EMPORIUM_EVENTS".to_owned(), bus_url(shop, service, &database)));
            settings.push(("EMPORIUM_DATABASE_URL".to_owned(), database));
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            program: program.to_owned(),
            service,
            listen: free.local_addr().unwrap().to_string(),
            settings,
            running: None,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Where it is, also before it runs and after it was killed.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Starts it, for the first time or again, and waits until it is ready.
    pub async fn start(&mut self) {
        assert!(self.running.is_none(), "{} runs already", self.service);
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = without_settings(&mut Command::new(&self.program))
            .args(["serve", self.service.as_str(), "--listen", &self.listen])
            .envs(self.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let watcher = watch(child.id(), self.folder.path());
        self.running = Some((child, watcher));
        let caller = Caller::new(&self.url(), self.service, None);
        eventually("the service apart is ready", 60, async || {
            let answer = caller.request("GET", "/health/ready").send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Ends it with SIGKILL, as `kill -9` does.
    pub fn kill(&mut self) {
        let (mut child, mut watcher) = self.running.take().expect("it runs");
        // The watcher first: it would take the folder along.
        let _ = watcher.kill();
        let _ = watcher.wait();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
    }
}

/// The embedded bus, in the service's own role at it.
fn bus_url(shop: &ShopProcess, service: ServiceName, database: &str) -> String {
    let keys = std::fs::read_to_string(shop.path().join("keys.json")).unwrap();
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let role = format!("emporium_{service}_bus");
    let password = keys["passwords"][&role].as_str().unwrap();
    let host = database.split('@').nth(1).unwrap().split('/').next().unwrap();
    format!("postgres://{role}:{password}@{host}/emporium_bus?sslmode=disable")
}
