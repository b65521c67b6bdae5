//! `running.json`: what a running shop leaves in its data folder for the other commands, and for people.

use std::collections::BTreeMap;
use std::fmt;

use emporium_service_kit::ServiceName;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::data_dir::DataDir;

/// The file's name.
pub const FILE: &str = "running.json";

/// Where the shop can be reached. It holds passwords: mode 0600, and left out of [`fmt::Debug`].
#[derive(Clone, Serialize, Deserialize)]
pub struct RunningFile {
    /// The process.
    pub pid: u32,
    /// Where each service listens.
    pub urls: BTreeMap<ServiceName, String>,
    /// The database URL of each owner, for looking into it.
    pub databases: BTreeMap<ServiceName, String>,
}

impl fmt::Debug for RunningFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningFile")
            .field("pid", &self.pid)
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

impl RunningFile {
    /// What the file says, if it is there.
    pub fn read(dir: &DataDir) -> Result<Option<Self>, Error> {
        dir.read(FILE)
    }
}

/// The error for a data folder that another process has.
pub fn already_running(dir: &DataDir) -> Error {
    let detail = RunningFile::read(dir).ok().flatten().map_or_else(
        || "(it is starting or stopping)".to_owned(),
        |file| {
            let shop = file.urls.get(&ServiceName::Gateway);
            format!(
                "(process {}, {})",
                file.pid,
                shop.map(String::as_str).unwrap_or_default()
            )
        },
    );
    Error::Running {
        path: dir.path().to_path_buf(),
        detail,
    }
}
