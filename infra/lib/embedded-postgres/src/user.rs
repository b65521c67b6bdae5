//! Whom the server runs as. PostgreSQL refuses root, so root has to hand over to somebody else.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Users to run as, best first. macOS has `_postgres`.
const CANDIDATES: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// The unprivileged user that the server runs as when we are root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    name: String,
}

impl ServerUser {
    /// `None` when we are an ordinary user, who runs the server as himself. As root: the owner of an existing
    /// cluster, else the first of [`CANDIDATES`] that exists.
    pub(crate) fn choose(data: &Path) -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let owner = fs::metadata(data).ok().filter(|data| data.uid() != 0);
        let owner = owner.map(|data| named(&passwd, data.uid(), data.gid()));
        owner
            .or_else(|| CANDIDATES.iter().find_map(|name| find(&passwd, name)))
            .map(Some)
            .ok_or(Error::NoUnprivilegedUser)
    }

    /// Fails when this user cannot pass one of the existing folders down to `last`, itself included. The error
    /// names `wanted`, the folder that the caller chose.
    pub(crate) fn check_reach(&self, what: &'static str, wanted: &Path, last: &Path) -> Result<()> {
        let mut chain: Vec<&Path> = last.ancestors().collect();
        chain.reverse();
        for dir in chain {
            let Ok(metadata) = fs::metadata(dir) else {
                return Ok(());
            };
            if !self.can_enter(&metadata) {
                let (folder, blocked) = (wanted.to_path_buf(), dir.to_path_buf());
                return Err(Error::NotReachable {
                    what,
                    folder,
                    blocked,
                    user: self.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// The kernel's rule: the first class that fits decides. The server has no supplementary groups.
    pub(crate) fn can_enter(&self, dir: &Metadata) -> bool {
        let bit = if dir.uid() == self.uid {
            0o100
        } else if dir.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        dir.mode() & bit != 0
    }
}

fn find(passwd: &str, name: &str) -> Option<ServerUser> {
    let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let fields = users.find(|fields| fields.len() > 3 && fields[0] == name)?;
    Some(ServerUser {
        uid: fields[2].parse().ok()?,
        gid: fields[3].parse().ok()?,
        name: name.to_owned(),
    })
}

fn named(passwd: &str, uid: u32, gid: u32) -> ServerUser {
    let wanted = uid.to_string();
    let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let name = users
        .find(|fields| fields.len() > 3 && fields[2] == wanted)
        .map(|fields| fields[0].to_owned());
    ServerUser {
        uid,
        gid,
        name: name.unwrap_or(wanted),
    }
}

/// Gives `path` to the server's user; nothing to do when that is us.
pub(crate) fn give(path: &Path, user: Option<&ServerUser>) -> io::Result<()> {
    user.map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
}

/// Creates `dir` and whatever is missing above it. As root the new ones are opened to the server's user
/// whatever the umask says; an ordinary user's umask is respected. Existing folders are left as they are.
pub(crate) fn create_folders(dir: &Path, user: Option<&ServerUser>) -> io::Result<()> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut at = Some(dir);
    while let Some(path) = at.filter(|path| !path.as_os_str().is_empty() && !path.exists()) {
        missing.push(path.to_path_buf());
        at = path.parent();
    }
    for path in missing.iter().rev() {
        match DirBuilder::new().mode(0o755).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) if user.is_some() => fs::set_permissions(path, Permissions::from_mode(0o755))?,
            _ => {}
        }
    }
    if dir.is_dir() {
        Ok(())
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\nbroken\n";

    #[test]
    fn users_are_found_by_name_and_by_id() {
        let nobody = find(PASSWD, "nobody");
        assert_eq!(
            nobody,
            Some(ServerUser {
                uid: 65534,
                gid: 65534,
                name: "nobody".into()
            })
        );
        assert_eq!(find(PASSWD, "postgres"), None);
        assert_eq!(named(PASSWD, 65534, 1).name, "nobody");
        assert_eq!(named(PASSWD, 4711, 1).name, "4711");
    }
}
