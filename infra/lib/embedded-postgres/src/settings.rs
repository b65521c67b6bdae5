//! What a caller can choose.

use std::env;
use std::path::PathBuf;

use etcetera::BaseStrategy;

/// How to start a server. Begin with [`Settings::new`] and change what you need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The cluster's folder, e.g. `<data-dir>/postgres`. Created when missing. It belongs to this crate: do not
    /// keep other files in it.
    pub root: PathBuf,
    /// Where the unpacked programs live, shared between data folders and test runs (about 75 MB).
    /// See [`default_cache`].
    pub cache: PathBuf,
    /// PostgreSQL's `max_connections`: the sum of all pools plus some for people.
    pub max_connections: u16,
    /// Further `-c name=value` settings, stronger than this crate's own. Port, addresses and the socket's
    /// folder cannot be changed here: the server stays on loopback.
    pub extra: Vec<(String, String)>,
    /// Insist on this TCP port. `None`: the last one if it is free, else any free one.
    pub port: Option<u16>,
    /// A copy of the pinned archive on disk, for machines that cannot download (`EMPORIUM_PG_ARCHIVE`). Its
    /// checksum is verified like a download's.
    pub archive: Option<PathBuf>,
    /// The `bin` folder of an installed PostgreSQL to use instead of the archive (`EMPORIUM_PG_BIN_DIR`).
    pub bin_dir: Option<PathBuf>,
    /// Whether the archive may be downloaded.
    pub download: bool,
    /// Whether an installed PostgreSQL may stand in, with a [notice](crate::Progress::UsingInstalled), when the
    /// archive cannot be had.
    pub system: bool,
}

impl Settings {
    /// The usual settings for `root`, with `archive` and `bin_dir` taken from the environment.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            cache: default_cache(),
            max_connections: 120,
            extra: Vec::new(),
            port: None,
            archive: path_from_env("EMPORIUM_PG_ARCHIVE"),
            bin_dir: path_from_env("EMPORIUM_PG_BIN_DIR"),
            download: true,
            system: true,
        }
    }

    /// Adds one `-c name=value` setting.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra.push((name.into(), value.into()));
        self
    }

    /// Whether the caller gave up durability, as throw-away test clusters do; then nothing else is synced.
    pub(crate) fn is_throw_away(&self) -> bool {
        let fsync = self.extra.iter().rfind(|(name, _)| name == "fsync");
        fsync.is_some_and(|(_, value)| matches!(value.as_str(), "off" | "false" | "no" | "0"))
    }
}

/// Where the programs are kept when nobody says otherwise: `$EMPORIUM_CACHE`, else the user's cache folder
/// (`~/.cache/emporium`; without a home `emporium-cache` here), else for root `/var/cache/emporium`, because root's home is closed to the user that
/// the server runs as.
pub fn default_cache() -> PathBuf {
    if let Some(given) = path_from_env("EMPORIUM_CACHE") {
        return given;
    }
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/cache/emporium");
    }
    match etcetera::choose_base_strategy() {
        Ok(folders) => folders.cache_dir().join("emporium"),
        // Not in /tmp: whoever made the folder there first could have us run programs of his.
        Err(_) => PathBuf::from("emporium-cache"),
    }
}

fn path_from_env(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_fsync_counts() {
        assert!(!Settings::new("x").is_throw_away());
        assert!(Settings::new("x").with("fsync", "off").is_throw_away());
        assert!(
            !Settings::new("x")
                .with("fsync", "off")
                .with("fsync", "on")
                .is_throw_away()
        );
    }
}
