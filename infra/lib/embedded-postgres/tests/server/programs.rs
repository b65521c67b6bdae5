//! Where PostgreSQL's programs come from.

use std::fs;
use std::path::Path;

use emporium_embedded_postgres::{Error, Progress, Settings, archive_in_cache, default_cache};
use tempfile::TempDir;

use crate::helper::Helper;
use crate::support::{
    bin_dir_of, mode_of, not_run, query, refusal, start, start_and_listen, temp_dir, throw_away,
};

/// Settings with a cache of their own that is filled from the archive in the usual one: no download.
fn fresh_cache(dir: &TempDir, name: &str) -> Settings {
    let kept = || archive_in_cache(&default_cache()).filter(|archive| archive.exists());
    let archive = kept().or_else(|| {
        let filler = Settings {
            root: dir.path().join("filler"),
            ..throw_away(dir)
        };
        drop(start(&filler).unwrap());
        kept()
    });
    Settings {
        root: dir.path().join(name),
        cache: dir.path().join("cache"),
        archive,
        ..throw_away(dir)
    }
}

#[test]
fn several_processes_unpack_into_one_cache_at_once() {
    let dir = temp_dir();
    let settings = fresh_cache(&dir, "pg");
    let beside = |name: &str| Settings {
        root: dir.path().join(name),
        ..settings.clone()
    };
    let helpers = ["a", "b", "c"].map(|name| Helper::spawn("hold", &beside(name)));
    for helper in &helpers {
        helper.server_pid();
    }
    let cache = dir.path().join("cache");
    let names: Vec<_> = fs::read_dir(&cache)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    let homes = names.iter().filter(|name| cache.join(name).is_dir()).count();
    assert_eq!(homes, 1, "nothing half-made is left: {names:?}");
    let unpackers = helpers
        .iter()
        .filter(|helper| helper.has_said("@unpacking"))
        .count();
    assert_eq!(unpackers, 1, "the others wait for the first");
}

#[test]
fn a_killed_unpacking_is_started_over() {
    let dir = temp_dir();
    let settings = fresh_cache(&dir, "pg");
    let helper = Helper::spawn("hold", &settings);
    helper.wait_for("@unpacking");
    helper.kill("");
    let server = start(&settings).unwrap();
    assert!(bin_dir_of(&server).starts_with(settings.cache.canonicalize().unwrap()));
    assert_eq!(query(&server, "select 'fine'"), "fine");
}

#[test]
fn what_a_clean_up_took_from_the_cache_is_unpacked_again() {
    let dir = temp_dir();
    let settings = fresh_cache(&dir, "pg");
    let server = start(&settings).unwrap();
    let bin = bin_dir_of(&server);
    drop(server);
    fs::remove_file(bin.join("postgres")).unwrap();
    let server = start(&settings).unwrap();
    assert_eq!(query(&server, "select 'fine'"), "fine");
    drop(server);
    fs::remove_dir_all(bin.with_file_name("share")).unwrap();
    let server = start(&settings).unwrap();
    assert_eq!(query(&server, "select 'fine'"), "fine");
}

#[test]
fn a_wrong_archive_is_never_unpacked() {
    let dir = temp_dir();
    let archive = dir.path().join("wrong.jar");
    fs::write(&archive, "not what was pinned").unwrap();
    let settings = Settings {
        cache: dir.path().join("cache"),
        archive: Some(archive.clone()),
        ..throw_away(&dir)
    };
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::Checksum { .. }), "{text}");
    assert!(text.contains(&archive.display().to_string()), "{text}");
    assert!(!settings.root.join("data").exists());

    let settings = Settings {
        archive: Some(dir.path().join("missing.jar")),
        ..settings
    };
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::Archive { .. }), "{text}");
}

#[test]
fn offline_without_any_postgresql_the_remedies_are_named() {
    let dir = temp_dir();
    let settings = Settings {
        cache: dir.path().join("cache"),
        archive: None,
        download: false,
        system: false,
        ..throw_away(&dir)
    };
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::Download { .. }), "{text}");
    assert!(
        text.contains("EMPORIUM_PG_ARCHIVE") && text.contains("EMPORIUM_PG_BIN_DIR"),
        "{text}"
    );
    assert!(text.contains("embedded-postgres-binaries-"), "{text}");
}

#[test]
fn an_installed_postgresql_stands_in_with_a_notice_and_stays_with_its_data() {
    let dir = temp_dir();
    let offline = Settings {
        cache: dir.path().join("cache"),
        archive: None,
        download: false,
        ..throw_away(&dir)
    };
    let (server, steps) = start_and_listen(&offline);
    let mut server = match server {
        Err(Error::Download { .. }) => return not_run("no installed PostgreSQL with pg_trgm to stand in"),
        server => server.unwrap(),
    };
    let notice = steps
        .iter()
        .find(|step| matches!(step, Progress::UsingInstalled { .. }));
    let notice = notice.expect("never silently").to_string();
    assert!(notice.contains("downloading is switched off"), "{notice}");
    query(&server, "create extension pg_trgm");
    assert_eq!(query(&server, "select upper('ñandú')"), "ÑANDÚ");
    let major = server.major();
    server.stop().unwrap();
    // Online again: the data still needs the version that made it.
    let online = Settings {
        cache: default_cache(),
        download: true,
        ..offline
    };
    let server = start(&online).unwrap();
    assert_eq!(server.major(), major);

    let given = Settings {
        root: dir.path().join("given"),
        bin_dir: Some(bin_dir_of(&server)),
        ..online
    };
    let (server, steps) = start_and_listen(&given);
    assert_eq!(server.unwrap().major(), major);
    assert!(
        !steps
            .iter()
            .any(|step| matches!(step, Progress::UsingInstalled { .. })),
        "it was asked for"
    );
}

#[test]
fn a_bin_dir_without_programs_is_told() {
    let dir = temp_dir();
    let settings = Settings {
        bin_dir: Some(dir.path().to_path_buf()),
        ..throw_away(&dir)
    };
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::BinDir { .. }), "{text}");
    assert!(text.contains("EMPORIUM_PG_BIN_DIR"), "{text}");
}

#[test]
fn the_cache_is_open_to_the_servers_user_whatever_the_umask() {
    let dir = temp_dir();
    let settings = fresh_cache(&dir, "pg");
    let mut shell = std::process::Command::new("sh");
    let helper = Helper::command(&std::env::current_exe().unwrap(), "hold", &settings);
    shell
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(helper.get_program())
        .args(helper.get_args());
    shell.envs(helper.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let helper = Helper::spawn_with(shell);
    helper.server_pid();
    let open = |path: &Path| mode_of(path) & 0o055 == 0o055;
    let home = fs::read_dir(&settings.cache)
        .unwrap()
        .flatten()
        .find(|entry| entry.path().is_dir())
        .unwrap()
        .path();
    assert!(open(&home.join("bin")) && open(&home.join("bin/postgres")));
    helper.finish();
}
