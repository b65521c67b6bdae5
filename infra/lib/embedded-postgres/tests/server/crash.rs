//! Kills of all kinds, and the start after each.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use emporium_embedded_postgres::{Progress, Server, Settings};
use rustix::process::{Pid, Signal};

use crate::helper::Helper;
use crate::support::{
    Killed, bin_dir_of, command_as_owner, data_of, eventually, is_alive, query, start, start_and_listen,
    temp_dir, throw_away,
};

fn kill(pid: u32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

#[test]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "only Linux tells a server that its parent died"
)]
fn kill_9_leaves_no_orphan() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    let helper = Helper::spawn("hold", &settings);
    let pid = helper.server_pid();
    assert!(is_alive(pid));
    helper.kill("");
    eventually("the server ends by itself", || !is_alive(pid));
    let (server, steps) = start_and_listen(&settings);
    let server = server.unwrap();
    assert!(
        matches!(steps[..], [Progress::Starting { .. }]),
        "it had stopped cleanly: {steps:?}"
    );
    assert_eq!(query(&server, "select 'fine'"), "fine");
}

#[test]
fn kill_9_and_an_immediate_restart_lose_no_committed_row() {
    let dir = temp_dir();
    let settings = Settings::new(dir.path().join("pg"));
    let helper = Helper::spawn("insert", &settings);
    let pid = helper.server_pid();
    for _ in 0..20 {
        helper.wait_for("@committed");
    }
    let rest = helper.kill("@committed");
    let last = rest.last().map_or(20, |id| id.parse::<u32>().unwrap());
    let server = start(&settings).unwrap(); // at once: the old server may still be there
    assert!(!is_alive(pid), "two servers on one folder");
    let rows: u32 = query(&server, "select count(*)::text from ledger where id <= 1000000")
        .parse()
        .unwrap();
    assert!(
        rows == last || rows == last + 1,
        "{rows} rows after {last} commits"
    ); // one may not have been told
    assert_eq!(
        query(
            &server,
            &format!("select count(*)::text from ledger where id <= {last}")
        ),
        last.to_string()
    );
}

#[test]
fn a_killed_server_is_noticed_and_recovers() {
    let dir = temp_dir();
    let settings = Settings::new(dir.path().join("pg"));
    let mut server = start(&settings).unwrap();
    query(&server, "create table kept as select 'committed' as word");
    kill(server.pid(), Signal::KILL);
    eventually("the end is noticed", || !server.is_running());
    server.stop().unwrap(); // nothing left to stop
    let server = start(&settings).unwrap(); // at once: its children may still hold the memory
    assert_eq!(query(&server, "select word from kept"), "committed");
}

#[test]
fn a_start_waits_for_the_children_of_a_killed_server() {
    let dir = temp_dir();
    let settings = Settings::new(dir.path().join("pg"));
    let server = start(&settings).unwrap();
    query(&server, "create table kept as select 'committed' as word");
    let child: u32 = query(
        &server,
        "select pid::text from pg_stat_activity where backend_type = 'checkpointer'",
    )
    .parse()
    .unwrap();
    kill(child, Signal::STOP); // it cannot notice that its server dies, and keeps the memory
    kill(server.pid(), Signal::KILL);
    eventually("the server is dead", || !server.is_running());
    let log = server.log_path().to_path_buf();
    drop(server);
    let starter = std::thread::spawn(move || start(&settings));
    let waits = || fs::read_to_string(&log).is_ok_and(|log| log.contains("pre-existing shared memory block"));
    eventually("the start meets the child", || waits() || starter.is_finished());
    kill(child, Signal::CONT);
    let server = starter.join().unwrap().unwrap();
    assert!(waits(), "two servers on one folder");
    assert_eq!(query(&server, "select word from kept"), "committed");
}

#[test]
fn ctrl_c_reaches_only_the_program() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    let mut command = Helper::command(&std::env::current_exe().unwrap(), "drain", &settings);
    command.process_group(0); // as a shell gives to a foreground job
    let helper = Helper::spawn_with(command);
    helper.server_pid();
    let group = Pid::from_raw(helper.child.id().cast_signed()).unwrap();
    rustix::process::kill_process_group(group, Signal::INT).unwrap();
    assert_eq!(helper.wait_for("@drained"), "the server still answers");
    helper.wait_for("@stopped");
}

#[test]
fn an_orphan_is_stopped_and_replaced() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    let mut server = start(&settings).unwrap();
    query(&server, "create table kept as select 'committed' as word");
    let (data, bin) = (data_of(&server), bin_dir_of(&server));
    server.stop().unwrap();
    // A server that nobody ends: by hand, without our supervision.
    let mut by_hand = command_as_owner(&bin.join("postgres"), &data);
    by_hand
        .arg("-D")
        .arg(&data)
        .args(["-c", "unix_socket_directories=", "-p", &server.port().to_string()]);
    let mut orphan = Killed(
        by_hand
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    eventually("the orphan is ready", || {
        Server::running(&settings.root).is_some()
    });
    let (server, steps) = start_and_listen(&settings);
    let server = server.unwrap();
    let pid = orphan.0.id();
    assert!(
        matches!(steps[..], [Progress::StoppingOrphan { pid: stopped }, Progress::Starting { .. }] if stopped == pid)
    );
    assert!(orphan.0.wait().unwrap().success(), "it was not stopped cleanly");
    assert_eq!(server.replaced_orphan(), Some(pid));
    assert!(!is_alive(pid));
    assert_eq!(query(&server, "select word from kept"), "committed");
}

#[test]
fn a_stale_pid_file_with_a_recycled_pid_is_removed_and_the_stranger_lives() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    let mut server = start(&settings).unwrap();
    let data = data_of(&server);
    let pid_file = data.join("postmaster.pid");
    let old = fs::read_to_string(&pid_file).unwrap();
    let old_pid = server.pid().to_string();
    server.stop().unwrap();
    // As the server's own user, else PostgreSQL would see by itself that the process is not its own.
    let stranger = Killed(
        command_as_owner("/bin/sleep".as_ref(), &data)
            .arg("1000")
            .spawn()
            .unwrap(),
    );
    let pid = stranger.0.id();
    fs::write(&pid_file, old.replacen(&old_pid, &pid.to_string(), 1)).unwrap();
    assert_eq!(Server::running(&settings.root), None);
    let (server, steps) = start_and_listen(&settings);
    let mut server = server.unwrap();
    assert!(steps.contains(&Progress::RemovedStalePidFile), "{steps:?}");
    assert!(is_alive(pid), "the stranger is none of our business");
    server.stop().unwrap();

    fs::write(&pid_file, "").unwrap(); // as a full disk leaves it
    assert_eq!(query(&start(&settings).unwrap(), "select 'fine'"), "fine");
}

#[test]
fn a_cluster_half_made_is_not_taken_for_a_real_one() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    let helper = Helper::spawn("hold", &settings);
    helper.wait_for("@creating");
    eventually("initdb is at work", || {
        half_made(&settings).any(|dir| dir.join("data/PG_VERSION").exists())
    });
    helper.kill("");
    assert!(
        !settings.root.join("data").exists(),
        "the kill came too late for this test"
    );
    let server = start(&settings).unwrap();
    assert_eq!(query(&server, "select 'fine'"), "fine");
}

fn half_made(settings: &Settings) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(&settings.root).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".new-"))
        .map(|entry| entry.path())
}
