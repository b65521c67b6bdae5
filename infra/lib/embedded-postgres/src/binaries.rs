//! Which PostgreSQL to run: the one given, the pinned archive, or an installed one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archive::{self, MAJOR, Missing, VERSION};
use crate::folder::Folder;
use crate::process;
use crate::text::one_line;
use crate::user::ServerUser;
use crate::{Error, Progress, Result, Settings};

/// The oldest major version that this was tried with.
const OLDEST_MAJOR: u32 = 15;

/// PostgreSQL's programs.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    pub(crate) bin: PathBuf,
    pub(crate) major: u32,
}

impl Binaries {
    /// A command for one of the programs; see [`process::command`].
    pub(crate) fn command(&self, name: &str, cwd: &Path, user: Option<&ServerUser>) -> Command {
        process::command(&self.bin, name, cwd, user)
    }
}

/// Finds programs that can run the cluster, whose major version is `need` if it exists already.
pub(crate) fn find(
    settings: &Settings,
    folder: &Folder,
    need: Option<u32>,
    progress: &dyn Fn(Progress),
) -> Result<Binaries> {
    let user = folder.user.as_ref();
    if let Some(dir) = &settings.bin_dir {
        return given(dir, folder, need);
    }
    let why = if need.is_none_or(|need| need == MAJOR) {
        match archive::unpacked(settings, user, progress) {
            Ok(bin) => return Ok(Binaries { bin, major: MAJOR }),
            Err(Missing::Fatal(error)) => return Err(error),
            Err(Missing::Unavailable(why)) => why,
        }
    } else {
        "the cluster was made by this version".to_owned()
    };
    let (found, rejected) = if settings.system {
        installed(user, need)
    } else {
        (None, Vec::new())
    };
    if let Some(binaries) = found {
        let Binaries { bin, major } = binaries.clone();
        progress(Progress::UsingInstalled {
            bin_dir: bin,
            major,
            why,
        });
        return Ok(binaries);
    }
    Err(nothing_fits(folder, need, why, &rejected))
}

/// The folder that the user insists on: it is used or refused, never replaced.
fn given(dir: &Path, folder: &Folder, need: Option<u32>) -> Result<Binaries> {
    let bin = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
    let binaries = inspect(&bin, folder.user.as_ref()).map_err(|why| Error::BinDir {
        dir: bin.clone(),
        why,
    })?;
    match need {
        Some(found) if found != binaries.major => {
            let available = format!("PostgreSQL {} from EMPORIUM_PG_BIN_DIR", binaries.major);
            Err(Error::WrongMajor {
                data: folder.data(),
                found,
                available,
            })
        }
        _ => Ok(binaries),
    }
}

fn nothing_fits(folder: &Folder, need: Option<u32>, why: String, rejected: &[String]) -> Error {
    match need {
        Some(found) if found != MAJOR => {
            let own = format!("PostgreSQL {VERSION}");
            let available = std::iter::once(own)
                .chain(rejected.iter().cloned())
                .collect::<Vec<_>>()
                .join(", ");
            Error::WrongMajor {
                data: folder.data(),
                found,
                available,
            }
        }
        _ => {
            let why = std::iter::once(why)
                .chain(rejected.iter().cloned())
                .collect::<Vec<_>>()
                .join("; ");
            Error::Download {
                version: VERSION,
                archive: archive::archive_name(),
                why,
            }
        }
    }
}

/// The newest installed PostgreSQL that fits, and in words those that do not.
fn installed(user: Option<&ServerUser>, need: Option<u32>) -> (Option<Binaries>, Vec<String>) {
    let mut fitting: Vec<Binaries> = Vec::new();
    let mut rejected = Vec::new();
    for bin in candidates() {
        match inspect(&bin, user) {
            Ok(binaries) if need.is_none_or(|need| need == binaries.major) => fitting.push(binaries),
            Ok(binaries) => rejected.push(format!("PostgreSQL {} in {}", binaries.major, bin.display())),
            Err(why) => rejected.push(format!("not {}: {why}", bin.display())),
        }
    }
    (
        fitting.into_iter().max_by_key(|binaries| binaries.major),
        rejected,
    )
}

/// Where packages put PostgreSQL, and what PATH leads to.
fn candidates() -> Vec<PathBuf> {
    const PARENTS: [&str; 4] = [
        "/usr/lib/postgresql",
        "/usr",
        "/opt/homebrew/opt",
        "/usr/local/opt",
    ];
    let versions = PARENTS
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .flatten();
    let packaged = versions.map(|entry| entry.path().join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut bins: Vec<PathBuf> = packaged
        .chain(on_path)
        .filter_map(|bin| Some(bin.join("postgres").canonicalize().ok()?.parent()?.to_path_buf()))
        .collect();
    bins.sort();
    bins.dedup();
    bins
}

/// What a `bin` folder offers, or what is wrong with it.
fn inspect(bin: &Path, user: Option<&ServerUser>) -> Result<Binaries, String> {
    if !bin.join("initdb").exists() || !bin.join("postgres").exists() {
        return Err("initdb or postgres is missing".into());
    }
    let major = major_of(bin, user)?;
    if major < OLDEST_MAJOR {
        return Err(format!("PostgreSQL {major} is older than {OLDEST_MAJOR}"));
    }
    if !has_trigrams(bin, major) {
        return Err(format!(
            "PostgreSQL {major} lacks pg_trgm, which is in the package postgresql-contrib"
        ));
    }
    Ok(Binaries {
        bin: bin.to_path_buf(),
        major,
    })
}

/// Asks the program itself, as the user that will run it.
fn major_of(bin: &Path, user: Option<&ServerUser>) -> Result<u32, String> {
    let output = process::command(bin, "postgres", Path::new("/"), user)
        .arg("--version")
        .output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", or "16beta1"
    let version = text.split_whitespace().nth(2).unwrap_or_default();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| {
        let complaint = one_line(&String::from_utf8_lossy(&output.stderr));
        format!(
            "postgres --version does not work{}{complaint}",
            if complaint.is_empty() { "" } else { ": " }
        )
    })
}

/// The catalog's search needs it, and some distributions package it apart.
fn has_trigrams(bin: &Path, major: u32) -> bool {
    let told = Command::new(bin.join("pg_config")).arg("--sharedir").output();
    let told = told.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let guesses = [
        bin.join("../share/postgresql"),
        bin.join("../share"),
        PathBuf::from(format!("/usr/share/postgresql/{major}")),
        PathBuf::from("/usr/share/pgsql"),
    ];
    told.into_iter()
        .chain(guesses)
        .any(|share| share.join("extension/pg_trgm.control").exists())
}
