//! The TOML file of settings.
//!
//! A setting may be written as the variable (`EMPORIUM_CARTS_STORE`), in short (`carts_store`), or in a table (`[carts]`
//! `store`); in one of these ways, not in two.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::bad;
use crate::StartError;

/// The largest file, in bytes: nine URLs and a lot of comments.
const BYTES_MAX: u64 = 256 * 1024;

/// The settings in a file, by variable.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, StartError> {
    let shown = format!("--stores {}", path.display());
    let text = text(path).map_err(|problem| bad(&shown, problem))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // Its own text shows the line, and with it perhaps a password.
        let place = error.span().map_or(0, |span| span.start);
        let line = text.get(..place).map_or(0, |before| before.matches('\n').count()) + 1;
        bad(&shown, format!("line {line} is no TOML: {}", error.message()))
    })?;
    let mut settings = BTreeMap::new();
    flatten("", &table, &mut settings).map_err(|problem| bad(&shown, problem))?;
    Ok(settings)
}

fn text(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}; give the path of a TOML file");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!(
            "is larger than {} KiB; give the path of a TOML file",
            BYTES_MAX / 1024
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| "is no text in UTF-8; give the path of a TOML file")?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn flatten(prefix: &str, table: &toml::Table, settings: &mut BTreeMap<String, String>) -> Result<(), String> {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.to_ascii_uppercase());
        match value {
            toml::Value::String(url) => {
                let name = if name.starts_with("EMPORIUM_") {
                    name
                } else {
                    format!("EMPORIUM_{name}")
                };
                if settings.insert(name.clone(), url.clone()).is_some() {
                    return Err(format!("sets {name} twice; write it once"));
                }
            }
            toml::Value::Table(inner) if prefix.is_empty() => {
                flatten(&format!("{name}_"), inner, settings)?;
            }
            _ => {
                return Err(
                    "has an entry that is no text; write URLs, as in carts_store = \"redis://host:6379\""
                        .to_owned(),
                );
            }
        }
    }
    Ok(())
}
