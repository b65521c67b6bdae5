//! Folders that cannot be used, and what the user is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use emporium_embedded_postgres::{Error, Settings};
use tempfile::TempDir;

use crate::helper::{Helper, copy_for_everyone};
use crate::support::{NOBODY, data_of, is_root, not_run, query, refusal, start, temp_dir, throw_away};

/// A cluster that was used and stopped.
fn used_cluster(dir: &TempDir) -> Settings {
    let settings = throw_away(dir);
    start(&settings).unwrap().stop().unwrap();
    settings
}

#[test]
fn a_second_starter_is_told_who_has_the_folder() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    let helper = Helper::spawn("hold", &settings);
    helper.server_pid();
    let (error, text) = refusal(&settings);
    let holder = helper.child.id();
    assert!(
        matches!(error, Error::InUse { pid: Some(pid), .. } if pid == holder),
        "{text}"
    );
    assert!(
        text.contains(&format!("in use by another process (pid {holder})")),
        "{text}"
    );
    helper.finish();
    assert_eq!(
        query(&start(&settings).unwrap(), "select 'free again'"),
        "free again"
    );
}

#[test]
fn a_second_starter_in_the_same_process_is_refused_too() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    let server = start(&settings).unwrap();
    let (error, text) = refusal(&settings);
    assert!(
        matches!(error, Error::InUse { pid: Some(pid), .. } if pid == std::process::id()),
        "{text}"
    );
    assert!(server.is_running());
}

#[test]
fn files_without_a_version_are_no_cluster() {
    let dir = temp_dir();
    let settings = used_cluster(&dir);
    fs::remove_file(settings.root.join("data/PG_VERSION")).unwrap();
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::Broken { .. }), "{text}");
    assert!(
        text.contains("no PG_VERSION") && text.contains("restore it from a backup"),
        "{text}"
    );
    assert!(settings.root.join("data/base").exists(), "nothing was removed");
}

#[test]
fn a_version_file_with_garbage_is_damage() {
    let dir = temp_dir();
    let settings = used_cluster(&dir);
    fs::write(settings.root.join("data/PG_VERSION"), [0xff, 0, b'x']).unwrap();
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::Broken { .. }), "{text}");
    assert!(text.contains("holds no version"), "{text}");
}

#[test]
fn a_corrupt_or_missing_control_file_is_damage() {
    let dir = temp_dir();
    let settings = used_cluster(&dir);
    let control = settings.root.join("data/global/pg_control");
    fs::write(&control, vec![0x5a; 8192]).unwrap();
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::Broken { .. }), "{text}");
    assert!(text.contains("is damaged"), "{text}");
    fs::remove_file(&control).unwrap();
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::Broken { .. }), "{text}");
}

#[test]
fn a_lost_write_ahead_log_is_damage() {
    let dir = temp_dir();
    let settings = used_cluster(&dir);
    for entry in fs::read_dir(settings.root.join("data/pg_wal")).unwrap().flatten() {
        if entry.path().is_file() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::Broken { .. }), "{text}");
}

#[test]
fn another_major_version_is_told_with_the_way_out() {
    let dir = temp_dir();
    let mut settings = used_cluster(&dir);
    settings.system = false;
    fs::write(settings.root.join("data/PG_VERSION"), "17\n").unwrap();
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::WrongMajor { found: 17, .. }), "{text}");
    assert!(
        text.contains("PostgreSQL 17") && text.contains("EMPORIUM_PG_BIN_DIR"),
        "{text}"
    );
}

#[test]
fn a_wrong_setting_is_told_with_the_logs_line() {
    let dir = temp_dir();
    let settings = throw_away(&dir).with("no_such_setting", "1");
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::NotStarted { .. }), "{text}");
    assert!(
        text.contains("unrecognized configuration parameter \"no_such_setting\""),
        "{text}"
    );
    assert!(
        text.contains(&settings.root.join("server.log").display().to_string()),
        "{text}"
    );
}

#[test]
fn somebody_elses_folder_is_left_alone() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    fs::create_dir(&settings.root).unwrap();
    fs::write(settings.root.join("letters.txt"), "dear").unwrap();
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::Foreign { .. }), "{text}");
    assert!(text.contains("letters.txt"), "{text}");
    let left: Vec<_> = fs::read_dir(&settings.root)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["letters.txt"]);
}

#[test]
fn a_file_in_place_of_the_folder_is_told() {
    let dir = temp_dir();
    let settings = throw_away(&dir);
    fs::write(&settings.root, "").unwrap();
    let (error, text) = refusal(&settings);
    assert!(matches!(error, Error::NotWritable { .. }), "{text}");
    assert!(text.contains(&settings.root.display().to_string()), "{text}");
}

/// What the program says as an ordinary user, whom root becomes for it.
fn as_ordinary_user(dir: &TempDir, settings: &Settings) -> Helper {
    let mut command = Helper::command(&copy_for_everyone(dir), "hold", settings);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    Helper::spawn_with(command)
}

#[test]
fn an_unwritable_folder_is_told() {
    let dir = temp_dir();
    let locked = dir.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, Permissions::from_mode(0o555)).unwrap();
    let settings = Settings::new(locked.join("pg"));
    let text = as_ordinary_user(&dir, &settings).wait_for("@error");
    assert!(
        text.starts_with(&format!(
            "cannot write to the data folder {}",
            settings.root.display()
        )),
        "{text}"
    );
    assert!(text.contains("choose another data folder"), "{text}");
}

#[test]
fn an_ordinary_user_runs_it_as_himself() {
    let dir = temp_dir();
    let shared = throw_away(&dir);
    drop(start(&shared).unwrap()); // fills the cache, which that user may only read
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, Permissions::from_mode(0o777)).unwrap();
    let settings = Settings::new(home.join("pg"));
    let helper = as_ordinary_user(&dir, &settings);
    let pid = helper.server_pid();
    assert_eq!(
        uid_of(&settings.root.join("data")),
        uid_of_process(helper.child.id())
    );
    assert_eq!(uid_of_process(pid), uid_of_process(helper.child.id()));
    helper.finish();
}

#[test]
fn root_runs_it_as_somebody_else() {
    if !is_root() {
        return not_run("root_runs_it_as_somebody_else needs root");
    }
    let dir = temp_dir();
    let server = start(&throw_away(&dir)).unwrap();
    assert_ne!(uid_of_process(server.pid()), 0);
    assert_eq!(uid_of(&data_of(&server)), uid_of_process(server.pid()));
    assert_eq!(uid_of(server.log_path()), 0, "what we write stays ours");
}

#[test]
fn a_folder_below_a_closed_one_is_told_to_root() {
    if !is_root() {
        return not_run("a_folder_below_a_closed_one_is_told_to_root needs root");
    }
    let dir = temp_dir();
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let (error, text) = refusal(&Settings::new(closed.join("a/pg")));
    assert!(
        matches!(&error, Error::NotReachable { what: "data", blocked, .. } if *blocked == closed),
        "{text}"
    );
    assert!(
        text.contains(&format!("cannot enter {}", closed.display())),
        "{text}"
    );
    assert!(
        text.contains(&closed.join("a/pg").display().to_string()),
        "{text}"
    );
    assert!(!closed.join("a").exists(), "nothing was created");

    let mut settings = throw_away(&dir);
    settings.cache = closed.join("cache");
    let (error, text) = refusal(&settings);
    assert!(
        matches!(error, Error::NotReachable { what: "cache", .. }),
        "{text}"
    );
}

fn uid_of(path: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap())
}

fn uid_of_process(pid: u32) -> u32 {
    let listed = std::process::Command::new("ps")
        .args(["-o", "uid=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    String::from_utf8_lossy(&listed.stdout).trim().parse().unwrap()
}
