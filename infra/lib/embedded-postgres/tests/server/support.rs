//! What all tests here need: folders, queries, and looking at processes.

use std::cell::RefCell;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use emporium_embedded_postgres::{Error, Progress, Server, Settings};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

/// The longest wait for anything; only a failing test waits that long.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A user who owns nothing, for tests of rights that root does not feel.
pub const NOBODY: u32 = 65534;

/// A temporary folder that any user may enter, as the server's user has to.
pub fn temp_dir() -> TempDir {
    let dir = tempfile::Builder::new().prefix("emporium-pg-").tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Settings for a cluster that need not outlive a power cut.
pub fn throw_away(dir: &TempDir) -> Settings {
    Settings::new(dir.path().join("pg")).with("fsync", "off")
}

pub fn start(settings: &Settings) -> Result<Server, Error> {
    start_and_listen(settings).0
}

/// Also returns what was reported on the way.
pub fn start_and_listen(settings: &Settings) -> (Result<Server, Error>, Vec<Progress>) {
    let heard = RefCell::new(Vec::new());
    let server = Server::start(settings, |step| heard.borrow_mut().push(step));
    (server, heard.into_inner())
}

/// The error's text, after checking what every one of them promises.
pub fn refusal(settings: &Settings) -> (Error, String) {
    let error = start(settings).expect_err("this start has to fail");
    let text = error.to_string();
    assert!(!text.contains('\n'), "one line: {text}");
    (error, text)
}

/// Runs a statement as the superuser; the first column of the first row as text, or "".
pub fn query(server: &Server, sql: &str) -> String {
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(server.port());
    ask(options, server.password(), sql)
}

/// The same over the Unix socket.
pub fn query_by_socket(server: &Server, sql: &str) -> String {
    let socket = server.socket_dir().expect("a short path has a socket");
    ask(
        PgConnectOptions::new_without_pgpass()
            .socket(socket)
            .port(server.port()),
        server.password(),
        sql,
    )
}

fn ask(options: PgConnectOptions, password: &str, sql: &str) -> String {
    let options = options
        .username("postgres")
        .password(password)
        .database("postgres")
        .ssl_mode(PgSslMode::Disable);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = options.connect().await.unwrap();
        let row = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_optional(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        row.unwrap_or_default()
    })
}

/// Waits for something that is about to happen.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "still not after {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs; a zombie does not.
pub fn is_alive(pid: u32) -> bool {
    let listed = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .expect("ps is needed");
    let state = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// Says on the terminal what was not tested, instead of passing silently.
pub fn not_run(why: &str) {
    use std::io::Write;
    // Not `eprintln`, which the test runner captures.
    let _ = writeln!(std::io::stderr(), "NOT RUN: {why}");
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that runs as the owner of `path`, as the server does.
pub fn command_as_owner(program: &Path, path: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let owner = fs::metadata(path).unwrap();
    let mut command = Command::new(program);
    command.current_dir("/");
    if is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command
}

/// A child that dies with the test.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder of the programs that `server` runs from.
pub fn bin_dir_of(server: &Server) -> PathBuf {
    let options = fs::read_to_string(data_of(server).join("postmaster.opts")).unwrap();
    PathBuf::from(options.split_whitespace().next().unwrap())
        .parent()
        .unwrap()
        .to_path_buf()
}

pub fn data_of(server: &Server) -> PathBuf {
    server.log_path().with_file_name("data")
}

pub fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}
