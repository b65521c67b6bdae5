//! Secrets of the one-process shop: generated once, kept in `keys.json` (mode 0600).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use emporium_service_kit::ServiceName;
use emporium_service_kit::auth::{Callers, Secret, hex};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::data_dir::DataDir;

const FILE: &str = "keys.json";

/// Every party's secret, and every database role's password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Keys {
    secrets: BTreeMap<ServiceName, String>,
    passwords: BTreeMap<String, String>,
}

/// Keys, and whether they were made just now (then the roles' passwords have to be set).
pub struct Opened {
    /// The keys.
    pub keys: Keys,
    /// True when there were none before.
    pub new: bool,
}

impl Keys {
    /// New random keys for every party and these database roles.
    pub fn generate(roles: impl IntoIterator<Item = String>) -> Self {
        Self {
            secrets: ServiceName::ALL.into_iter().map(|name| (name, Secret::generate().expose().to_owned())).collect(),
            passwords: roles.into_iter().map(|role| (role, password())).collect(),
        }
    }

    /// The keys of a data folder. When some are missing (a newer version has more services), those are added.
    pub fn open(dir: &DataDir, roles: &[String]) -> Result<Opened, Error> {
        let found: Option<Self> = dir.read(FILE)?;
        let fresh = Self::generate(roles.iter().cloned());
        let Some(mut keys) = found else {
            dir.write(FILE, &fresh)?;
            return Ok(Opened { keys: fresh, new: true });
        };
        let before = (keys.secrets.len(), keys.passwords.len());
        for (name, secret) in fresh.secrets {
            keys.secrets.entry(name).or_insert(secret);
        }
        for (role, password) in fresh.passwords {
            keys.passwords.entry(role).or_insert(password);
        }
        let new = before != (keys.secrets.len(), keys.passwords.len());
        if new {
            dir.write(FILE, &keys)?;
        }
        Ok(Opened { keys, new })
    }

    /// The keys of a data folder that has some.
    pub fn existing(dir: &DataDir) -> Result<Option<Self>, Error> {
        dir.read(FILE)
    }

    /// A party's secret.
    pub fn secret(&self, name: ServiceName) -> Secret {
        Secret::new(self.secrets.get(&name).map(String::as_str).unwrap_or_default())
    }

    /// Whom `callee` accepts.
    pub fn callers(&self, callee: ServiceName) -> Callers {
        let secrets: Vec<(ServiceName, Secret)> =
            ServiceName::ALL.into_iter().map(|name| (name, self.secret(name))).collect();
        Callers::from_secrets(callee, secrets.iter().map(|(name, secret)| (*name, secret)))
    }

    /// A database role's password.
    pub fn password(&self, role: &str) -> &str {
        self.passwords.get(role).map(String::as_str).unwrap_or_default()
    }

    /// Writes `<service>.env` for every service into `folder`: what `emporium serve <service>` needs to know whom it may
    /// call and who may call it.
    pub fn write_env_files(&self, folder: &Path) -> Result<(), Error> {
        let folder = DataDir::open(Some(folder))?;
        for name in ServiceName::ALL {
            let mut text = String::new();
            let _ = writeln!(text, "EMPORIUM_SERVICE_SECRET={}", self.secret(name).expose());
            if name != ServiceName::Operator {
                let _ = writeln!(text, "EMPORIUM_CALLERS={}", self.callers(name).to_setting());
            }
            let path = folder.file(&format!("{name}.env"));
            write_private(&path, &text).map_err(|source| Error::Folder { path, source })?;
        }
        Ok(())
    }
}

/// 192 random bits in hexadecimal: safe inside SQL and URLs.
pub fn password() -> String {
    hex(&rand::random::<[u8; 24]>())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
