//! The cluster: what state it is in, how it is created, and its superuser's password.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::binaries::Binaries;
use crate::folder::{self, Folder, write_private};
use crate::log::telling_line;
use crate::text::{hex, one_line};
use crate::{Error, Progress, Result};

/// The superuser's name.
pub(crate) const SUPERUSER: &str = "postgres";

/// The major version of the existing cluster; `None` when there is none yet.
pub(crate) fn existing_major(folder: &Folder) -> Result<Option<u32>> {
    let data = folder.data();
    let broken = |why: &str| {
        Err(Error::Broken {
            data: data.clone(),
            why: why.into(),
        })
    };
    match fs::symlink_metadata(&data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::not_writable(&data)(error)),
        Ok(metadata) if !metadata.is_dir() => return broken("it is not a folder"),
        Ok(_) => {}
    }
    match fs::read(data.join("PG_VERSION")) {
        Ok(text) => match String::from_utf8_lossy(&text).trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => broken("its PG_VERSION file holds no version"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => without_version(&data),
        Err(error) => Err(Error::not_writable(&data)(error)),
    }
}

/// An empty folder is as good as none: somebody made it beforehand, or emptied it.
fn without_version(data: &Path) -> Result<Option<u32>> {
    fs::remove_dir(data).map(|()| None).map_err(|_| Error::Broken {
        data: data.to_path_buf(),
        why: "it has files but no PG_VERSION, so it is not a PostgreSQL cluster or only a part of one".into(),
    })
}

/// Creates the cluster if there is none, and returns the superuser's password.
pub(crate) fn prepare(
    folder: &Folder,
    binaries: &Binaries,
    exists: bool,
    sync: bool,
    progress: &dyn Fn(Progress),
) -> Result<String> {
    let known = fs::read_to_string(folder.secret())
        .ok()
        .filter(|secret| !secret.is_empty());
    let password = known.clone().unwrap_or_else(random_password);
    if !exists {
        progress(Progress::CreatingCluster { data: folder.data() });
        write_private(&folder.secret(), &password).map_err(Error::not_writable(folder.secret()))?;
        create(folder, binaries, &password, sync)?;
    } else if known.is_some() {
        // A copy from a backup may have lost its mode.
        let _ = fs::set_permissions(folder.secret(), Permissions::from_mode(0o600));
    } else {
        progress(Progress::ResettingPassword);
        reset_password(folder, binaries, &password)?;
        write_private(&folder.secret(), &password).map_err(Error::not_writable(folder.secret()))?;
    }
    Ok(password)
}

/// Runs initdb aside and renames the result: a half-made cluster is never taken for a real one.
fn create(folder: &Folder, binaries: &Binaries, password: &str, sync: bool) -> Result<()> {
    let aside = folder.aside()?;
    let made = run_initdb(folder, binaries, &aside, password, sync);
    let data = folder.data();
    let place = || fs::rename(aside.join("data"), &data).and_then(|()| folder::sync(&folder.root));
    let renamed = made.and_then(|()| place().map_err(|error| failed(folder, &error.to_string())));
    let _ = fs::remove_dir_all(&aside); // else the next start does
    renamed
}

fn run_initdb(folder: &Folder, binaries: &Binaries, aside: &Path, password: &str, sync: bool) -> Result<()> {
    let secret = aside.join("password");
    let given =
        write_private(&secret, password).and_then(|()| crate::user::give(&secret, folder.user.as_ref()));
    given.map_err(Error::not_writable(&secret))?;
    let mut command = binaries.command("initdb", aside, folder.user.as_ref());
    command
        .arg("--pgdata")
        .arg(aside.join("data"))
        .arg("--pwfile")
        .arg(&secret);
    command.args([
        "--username",
        SUPERUSER,
        "--encoding",
        "UTF8",
        "--auth",
        "scram-sha-256",
        "--data-checksums",
    ]);
    command.args(locale(binaries.major));
    command.args(sync_options(binaries.major, sync));
    run(folder, &mut command, "").map(drop)
}

/// Text sorts by code point and knows Unicode's letters, the same on every machine.
fn locale(major: u32) -> &'static [&'static str] {
    if major >= 17 {
        &[
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]
    } else if cfg!(target_os = "linux") {
        &["--locale=C", "--lc-collate=C.UTF-8", "--lc-ctype=C.UTF-8"]
    } else {
        &["--locale=C"]
    }
}

fn sync_options(major: u32, sync: bool) -> &'static [&'static str] {
    if !sync {
        &["--no-sync"]
    } else if major >= 17 && cfg!(target_os = "linux") {
        &["--sync-method=syncfs"]
    } else {
        &[]
    }
}

/// With nobody able to log in, a single-user server sets the new password.
fn reset_password(folder: &Folder, binaries: &Binaries, password: &str) -> Result<()> {
    let mut command = binaries.command("postgres", &folder.data(), folder.user.as_ref());
    command
        .arg("--single")
        .arg("-D")
        .arg(folder.data())
        .args(["-c", "exit_on_error=on", "template1"]);
    // The password is hexadecimal: there is nothing to quote.
    run(
        folder,
        &mut command,
        &format!("ALTER USER {SUPERUSER} PASSWORD '{password}'\n"),
    )
    .map(drop)
}

/// Runs one of PostgreSQL's programs to its end, `input` on its standard input.
fn run(folder: &Folder, command: &mut Command, input: &str) -> Result<String> {
    let mut went = || -> io::Result<_> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes()); // if it ended already, its own words say why
        }
        child.wait_with_output()
    };
    let output = went().map_err(|error| failed(folder, &error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stderr, output.stdout].concat();
    Err(failed(folder, &telling_line(&String::from_utf8_lossy(&said))))
}

fn failed(folder: &Folder, why: &str) -> Error {
    Error::Create {
        data: folder.data(),
        why: one_line(why),
    }
}

/// 256 random bits in hexadecimal.
fn random_password() -> String {
    let bytes: [u8; 32] = rand::random();
    hex(&bytes)
}
