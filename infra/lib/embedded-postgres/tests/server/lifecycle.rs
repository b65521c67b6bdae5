//! Starting, using, stopping and starting again.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use emporium_embedded_postgres::{Progress, Server, Settings};

use crate::support::{
    data_of, is_alive, is_root, mode_of, query, query_by_socket, start, start_and_listen, temp_dir,
    throw_away,
};

#[test]
fn a_warm_restart_keeps_data_port_and_password() {
    let dir = temp_dir();
    let settings = Settings::new(dir.path().join("not/there/yet/pg"));
    let first = Instant::now();
    let mut server = start(&settings).unwrap();
    let first = first.elapsed();
    query(&server, "create table kept as select 'still here' as word");
    let (port, password, pid) = (server.port(), server.password().to_owned(), server.pid());
    let stopping = Instant::now();
    server.stop().unwrap();
    let stopping = stopping.elapsed();
    assert!(!is_alive(pid));
    assert!(!server.is_running());
    server.stop().unwrap(); // again: nothing to do

    let again = Instant::now();
    let (server, steps) = start_and_listen(&settings);
    let server = server.unwrap();
    let again = again.elapsed();
    println!("first start {first:.2?}, stop {stopping:.2?}, warm start {again:.2?}");
    assert_eq!(
        steps,
        [Progress::Starting { port }],
        "a warm start has nothing else to do"
    );
    assert_eq!(query(&server, "select word from kept"), "still here");
    assert_eq!((server.port(), server.password()), (port, password.as_str()));
    assert_eq!(server.replaced_orphan(), None);
    assert!(again.as_secs() < 5, "a warm start took {again:?}");
}

#[test]
fn it_is_the_pinned_version_durable_on_loopback_and_has_the_extensions() {
    let dir = temp_dir();
    let settings = Settings::new(dir.path().join("pg"))
        .with("listen_addresses", "*")
        .with("work_mem", "5MB");
    let server = start(&settings).unwrap();
    let show = |name: &str| query(&server, &format!("show {name}"));
    assert_eq!((server.major(), show("server_version").as_str()), (18, "18.4"));
    for durable in [
        "fsync",
        "full_page_writes",
        "data_checksums",
        "synchronous_commit",
    ] {
        assert_eq!(show(durable), "on", "{durable}");
    }
    assert_eq!(
        show("listen_addresses"),
        "127.0.0.1",
        "no setting takes the server off loopback"
    );
    assert_eq!(
        (show("max_connections").as_str(), show("work_mem").as_str()),
        ("120", "5MB")
    );
    assert_eq!(show("server_encoding"), "UTF8");
    query(&server, "create extension pg_trgm");
    assert_eq!(
        query(&server, "select upper('straße, ñandú')"),
        "STRASSE, ÑANDÚ".replace("STRASSE", "STRAßE")
    );
    assert_eq!(
        query_by_socket(&server, "select 'over the socket'"),
        "over the socket"
    );
}

#[test]
fn secrets_and_data_are_closed_to_others() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    let server = start(&settings).unwrap();
    assert_eq!(mode_of(&settings.root.join("superuser.secret")), 0o600);
    assert_eq!(mode_of(server.log_path()), 0o600);
    assert_eq!(mode_of(&data_of(&server)), 0o700);
    assert_eq!(mode_of(server.socket_dir().unwrap()), 0o700);
    let root = mode_of(&settings.root);
    assert_eq!(root, if is_root() { 0o711 } else { 0o700 }, "{root:o}");
    assert!(!format!("{server:?}").contains(server.password()));
    let settings = fs::read_to_string(data_of(&server).join("postmaster.opts")).unwrap();
    assert!(!settings.contains(server.password()));
}

#[test]
fn a_taken_port_is_replaced_unless_it_was_insisted_on() {
    let dir = temp_dir();
    let mut settings = throw_away(&dir);
    let mut server = start(&settings).unwrap();
    let port = server.port();
    server.stop().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut server = start(&settings).unwrap();
    assert_ne!(server.port(), port);
    server.stop().unwrap();
    settings.port = Some(port);
    let error = start(&settings).unwrap_err().to_string();
    assert!(
        error.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{error}"
    );
    drop(taken);
    assert_eq!(start(&settings).unwrap().port(), port);
}

#[test]
fn a_long_path_goes_without_socket() {
    let dir = temp_dir();
    let mut settings = throw_away(&dir);
    settings.root = dir.path().join("long".repeat(25));
    let server = start(&settings).unwrap();
    assert_eq!(server.socket_dir(), None);
    assert_eq!(query(&server, "select 'over TCP'"), "over TCP");
}

#[test]
fn a_folder_may_have_any_name() {
    use std::os::unix::ffi::OsStringExt;
    let dir = temp_dir();
    let named = |name: &[u8]| Settings {
        root: dir.path().join(std::ffi::OsString::from_vec(name.to_vec())),
        ..throw_away(&dir)
    };
    let settings = named(b"two, \"quoted\" 'words' \\");
    let server = start(&settings).unwrap();
    assert_eq!(
        query_by_socket(&server, "select 'over the socket'"),
        "over the socket"
    );
    assert!(Server::running(&settings.root).is_some());
    let server = start(&named(b"not UTF-8 \xff")).unwrap();
    assert_eq!(server.socket_dir(), None);
    assert_eq!(query(&server, "select 'over TCP'"), "over TCP");
}

#[test]
fn a_lost_password_file_is_replaced() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    let mut server = start(&settings).unwrap();
    let old = server.password().to_owned();
    server.stop().unwrap();
    fs::remove_file(settings.root.join("superuser.secret")).unwrap();
    let (server, steps) = start_and_listen(&settings);
    let server = server.unwrap();
    assert!(steps.contains(&Progress::ResettingPassword));
    assert_ne!(server.password(), old);
    assert_eq!(query(&server, "select 'let in'"), "let in");
}

#[test]
fn a_running_server_is_seen_from_outside_and_gone_when_dropped() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    assert_eq!(Server::running(&settings.root), None);
    let server = start(&settings).unwrap();
    let seen = Server::running(&settings.root).unwrap();
    assert_eq!((seen.pid, seen.port), (server.pid(), server.port()));
    assert_eq!(seen.socket_dir.as_deref(), server.socket_dir());
    drop(server);
    assert_eq!(Server::running(&settings.root), None);
    assert!(!is_alive(seen.pid));
}

#[tokio::test]
async fn async_callers_have_their_own_way() {
    let dir = temp_dir();
    let server = Server::start_async(throw_away(&dir), |_| {}).await.unwrap();
    let pid = server.pid();
    assert!(is_alive(pid));
    server.stop_async().await.unwrap();
    assert!(!is_alive(pid));
}
