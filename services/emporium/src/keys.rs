//! Secrets of the one-process shop: generated once, kept in `keys.json` (mode 0600).

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

use emporium_service_kit::ServiceName;
use emporium_service_kit::auth::{Callers, Secret, hex};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::data_dir::{DataDir, write_private};

/// The file with all of them.
pub const FILE: &str = "keys.json";
/// The file with the token by which a Prometheus is told what to scrape.
pub const SCRAPE_TOKEN_FILE: &str = "prometheus.token";
/// Whatever is shorter was not made by this program; of an empty secret everybody knows the tokens.
const LENGTH_MIN: usize = 32;

/// Every party's secret, and every database role's password. [`fmt::Debug`] shows none of them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    secrets: BTreeMap<ServiceName, String>,
    passwords: BTreeMap<String, String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    /// New random keys for every party and these database roles.
    pub fn generate(roles: impl IntoIterator<Item = String>) -> Self {
        Self {
            secrets: ServiceName::ALL
                .into_iter()
                .map(|name| (name, Secret::generate().expose().to_owned()))
                .collect(),
            passwords: roles.into_iter().map(|role| (role, password())).collect(),
        }
    }

    /// The keys of a data folder. When some are missing (a newer version has more services), those are added.
    pub fn open(dir: &DataDir, roles: &[String]) -> Result<Self, Error> {
        let fresh = Self::generate(roles.iter().cloned());
        let Some(mut keys) = Self::existing(dir)? else {
            dir.write(FILE, &fresh)?;
            return Ok(fresh);
        };
        let before = (keys.secrets.len(), keys.passwords.len());
        for (name, secret) in fresh.secrets {
            keys.secrets.entry(name).or_insert(secret);
        }
        for (role, password) in fresh.passwords {
            keys.passwords.entry(role).or_insert(password);
        }
        if before != (keys.secrets.len(), keys.passwords.len()) {
            dir.write(FILE, &keys)?;
        }
        Ok(keys)
    }

    /// The keys of a data folder that has some.
    pub fn existing(dir: &DataDir) -> Result<Option<Self>, Error> {
        let keys: Option<Self> = dir.read(FILE)?;
        let damage = keys.as_ref().and_then(Self::damage);
        damage.map_or(Ok(keys), |problem| {
            Err(Error::Damaged {
                path: dir.file(FILE),
                problem,
            })
        })
    }

    fn damage(&self) -> Option<String> {
        let secret = self.secrets.iter().find(|(_, text)| text.len() < LENGTH_MIN);
        if let Some((name, _)) = secret {
            return Some(format!("the secret of {name} is too short"));
        }
        // Hexadecimal, so that it needs no quoting inside SQL and URLs.
        let bad = |text: &str| text.len() < LENGTH_MIN || !text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (role, _) = self.passwords.iter().find(|(_, text)| bad(text))?;
        Some(format!("the password of {role} is not hexadecimal or too short"))
    }

    /// A party's secret.
    pub fn secret(&self, name: ServiceName) -> Result<Secret, Error> {
        let secret = self.secrets.get(&name).map(|text| Secret::new(text.as_str()));
        secret.ok_or_else(|| missing(&format!("secret of {name}")))
    }

    /// Whom `callee` accepts.
    pub fn callers(&self, callee: ServiceName) -> Result<Callers, Error> {
        let secrets = ServiceName::ALL
            .into_iter()
            .map(|name| Ok((name, self.secret(name)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        let secrets = secrets.iter().map(|(name, secret)| (*name, secret));
        Ok(Callers::from_secrets(callee, secrets))
    }

    /// A database role's password.
    pub fn password(&self, role: &str) -> Result<&str, Error> {
        let password = self.passwords.get(role).map(String::as_str);
        password.ok_or_else(|| missing(&format!("password of {role}")))
    }

    /// Writes `<service>.env` for every service into `folder`: what `emporium serve <service>` needs to know whom it may
    /// call and who may call it; and the token for a Prometheus.
    pub fn write_env_files(&self, folder: &Path) -> Result<(), Error> {
        let folder = DataDir::open(Some(folder))?;
        for name in ServiceName::ALL {
            let mut text = String::new();
            let _ = writeln!(text, "EMPORIUM_SERVICE_SECRET={}", self.secret(name)?.expose());
            if name != ServiceName::Operator {
                let _ = writeln!(text, "EMPORIUM_CALLERS={}", self.callers(name)?.to_setting());
            }
            let path = folder.file(&format!("{name}.env"));
            write_private(&path, text.as_bytes()).map_err(|source| Error::Folder { path, source })?;
        }
        self.write_scrape_token(&folder)
    }

    /// Writes the token by which a Prometheus is told what to scrape, for its `credentials_file`.
    pub fn write_scrape_token(&self, folder: &DataDir) -> Result<(), Error> {
        let token = emporium_monitoring::scrape_token(&self.secret(ServiceName::Monitoring)?);
        let path = folder.file(SCRAPE_TOKEN_FILE);
        write_private(&path, token.as_bytes()).map_err(|source| Error::Folder { path, source })
    }
}

/// 192 random bits in hexadecimal: safe inside SQL and URLs.
pub fn password() -> String {
    hex(&rand::random::<[u8; 24]>())
}

fn missing(what: &str) -> Error {
    Error::Damaged {
        path: FILE.into(),
        problem: format!("the {what} is missing; a start of the whole shop adds it"),
    }
}
