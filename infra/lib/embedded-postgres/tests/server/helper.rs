//! The test program as its own child.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use emporium_embedded_postgres::{Progress, Server, Settings};
use tempfile::TempDir;

use crate::support::{PATIENCE, query};

const TASK: &str = "EMBEDDED_PG_TEST_TASK";
const ROOT: &str = "EMBEDDED_PG_TEST_ROOT";

/// A child that works on `root`. Killed with `kill -9` when dropped.
pub struct Helper {
    pub child: Child,
    lines: Receiver<String>,
    heard: RefCell<Vec<String>>,
}

impl Helper {
    /// Tasks: `hold` starts a server, keeps it until its input ends, and stops it; `insert` commits rows without
    /// end; `drain` waits for SIGINT, then uses the server once more and stops it.
    pub fn spawn(task: &str, settings: &Settings) -> Self {
        Self::spawn_with(Self::command(&std::env::current_exe().unwrap(), task, settings))
    }

    /// The command for a child, to be changed before it is spawned.
    pub fn command(program: &Path, task: &str, settings: &Settings) -> Command {
        let mut command = Command::new(program);
        command
            .args(["--exact", "helper::as_a_child", "--ignored", "--nocapture"])
            .current_dir("/");
        command
            .env(TASK, task)
            .env(ROOT, &settings.root)
            .env("EMPORIUM_CACHE", &settings.cache);
        if let Some(archive) = &settings.archive {
            command.env("EMPORIUM_PG_ARCHIVE", archive);
        }
        command
    }

    pub fn spawn_with(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Self {
            child,
            lines,
            heard: RefCell::default(),
        }
    }

    /// What follows `word` in the first line that begins with it.
    pub fn wait_for(&self, word: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("the child never said {word}: {error}"));
            assert!(
                !line.starts_with("@error") || word == "@error",
                "while waiting for {word}: {line}"
            );
            self.heard.borrow_mut().push(line.clone());
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Whether a line that begins with `word` was read while waiting.
    pub fn has_said(&self, word: &str) -> bool {
        self.heard.borrow().iter().any(|line| line.starts_with(word))
    }

    /// The pid of the child's server, once it runs.
    pub fn server_pid(&self) -> u32 {
        self.wait_for("@ready").parse().unwrap()
    }

    /// `kill -9`, and everything it still said that begins with `word`.
    pub fn kill(mut self, word: &str) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines
            .iter()
            .filter_map(|line| Some(line.strip_prefix(word)?.trim().to_owned()))
            .collect()
    }

    /// Ends the child's input and waits until it is gone.
    pub fn finish(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A copy of this program that every user can run, wherever the original lies.
pub fn copy_for_everyone(dir: &TempDir) -> std::path::PathBuf {
    let copy = dir.path().join("helper");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    copy
}

#[test]
#[ignore = "the child of other tests, which run it with a task"]
fn as_a_child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let settings = Settings::new(std::env::var(ROOT).unwrap());
    let started = Server::start(&settings, |step| match step {
        Progress::CreatingCluster { .. } => println!("\n@creating"),
        Progress::Unpacking { .. } => println!("\n@unpacking"),
        _ => {}
    });
    let mut server = match started {
        Ok(server) => server,
        Err(error) => return println!("\n@error {error}"),
    };
    match task.as_str() {
        "insert" => insert_without_end(&server),
        "drain" => drain_on_interrupt(&server),
        _ => {
            println!("\n@ready {}", server.pid());
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        }
    }
    server.stop().unwrap();
    println!("\n@stopped");
}

fn insert_without_end(server: &Server) {
    query(server, "create table ledger (id int primary key)");
    println!("\n@ready {}", server.pid());
    for id in 1.. {
        query(server, &format!("insert into ledger values ({id})"));
        println!("\n@committed {id}");
    }
}

fn drain_on_interrupt(server: &Server) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let kind = tokio::signal::unix::SignalKind::interrupt();
    let mut interrupt = runtime
        .block_on(async { tokio::signal::unix::signal(kind) })
        .unwrap();
    println!("\n@ready {}", server.pid());
    runtime.block_on(interrupt.recv());
    println!(
        "\n@drained {}",
        query(server, "select 'the server still answers'")
    );
}
