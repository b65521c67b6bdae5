//! A PostgreSQL of a test's own, which it may pause, kill and start again. Unlike the shared one it is durable.

use std::path::PathBuf;
use std::process::Command;

use emporium_embedded_postgres::{Server, Settings};
use tokio::sync::Mutex;

use crate::postgres::new_root;

/// A durable server that nobody else uses. It ends, with its data, when this is dropped or the test process ends.
pub struct OwnPostgres {
    /// Connection URL of its database `postgres`, as the superuser; the same after a restart.
    pub url: String,
    settings: Settings,
    root: PathBuf,
    server: Mutex<Option<Server>>,
}

impl OwnPostgres {
    /// Starts one, with the settings that the shop's own has.
    pub async fn start() -> Self {
        let root = new_root();
        let settings = Settings::new(&root);
        let server = launch(&settings).await;
        let (port, user, password) = (server.port(), server.superuser(), server.password());
        Self {
            url: format!("postgres://{user}:{password}@127.0.0.1:{port}/postgres?sslmode=disable"),
            settings: Settings {
                port: Some(port),
                ..settings
            },
            root,
            server: Mutex::new(Some(server)),
        }
    }

    /// Ends it and its children at once (SIGKILL) and returns when it is gone.
    pub async fn kill(&self) {
        self.signal("KILL").await;
        let server = self.server.lock().await.take();
        // It has ended; this waits for it and frees its folder.
        let _ = server.expect("it runs").stop_async().await;
    }

    /// Starts it again, on the same port and the same data. One that runs is asked to end first.
    pub async fn restart(&self) {
        let mut server = self.server.lock().await;
        if let Some(running) = server.take() {
            let _ = running.stop_async().await;
        }
        *server = Some(launch(&self.settings).await);
    }

    /// Stops all its processes (SIGSTOP): it keeps its connections and answers nothing.
    pub async fn pause(&self) {
        self.signal("STOP").await;
    }

    /// Lets it go on.
    pub async fn resume(&self) {
        self.signal("CONT").await;
    }

    /// To the server and to its children, each of which is a process group of its own.
    async fn signal(&self, signal: &str) {
        let server = self.server.lock().await;
        let pid = server.as_ref().expect("it runs").pid().to_string();
        // A child may end by itself meanwhile, as one does whose connection was closed.
        let to_all = "children=$(ps -o pid= --ppid \"$1\"); kill -s \"$0\" \"$1\" || exit
                      for child in $children; do kill -s \"$0\" \"$child\" 2>/dev/null; done; true";
        let sent = Command::new("sh").args(["-c", to_all, signal, &pid]).status();
        assert!(sent.unwrap().success(), "SIG{signal} is sent");
    }
}

async fn launch(settings: &Settings) -> Server {
    let started = Server::start_async(settings.clone(), |_| {}).await;
    started.expect("embedded PostgreSQL starts")
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        *self.server.get_mut() = None;
        let _ = std::fs::remove_dir_all(&self.root);
    }
}
