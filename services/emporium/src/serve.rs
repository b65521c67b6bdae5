//! `emporium serve` and `emporium keys`: services on their own.

use std::path::Path;

use emporium_service_kit::ServiceName;
use emporium_service_kit::config;
use emporium_service_kit::telemetry;

use crate::cli::ServeOptions;
use crate::data_dir::DataDir;
use crate::keys::Keys;
use crate::terminal::say;
use crate::{Error, provision, shop};

/// Runs one service until a signal ends it. What is not set about keys comes from the data folder, if one is named.
pub async fn serve(data_dir: Option<&Path>, options: ServeOptions) -> Result<(), Error> {
    let ServeOptions {
        service,
        mut settings,
    } = options;
    telemetry::init(&settings.log, settings.log_format)?;
    if let Some(path) = data_dir
        && let Some(keys) = Keys::existing(&DataDir::look_at(Some(path)))?
    {
        if settings.secret.is_none() {
            settings.secret = Some(keys.secret(service)?.expose().to_owned());
        }
        if settings.callers.is_empty() {
            settings.callers = keys.callers(service)?.to_setting();
        }
    }
    if settings.peers.is_empty() {
        settings.peers = usual_peers();
    }
    config::run(service, &settings, shop::build).await?;
    Ok(())
}

/// Writes `<service>.env` files: from the data folder's keys when there are some, else from new ones.
pub fn write_keys(data_dir: Option<&Path>, out: &Path) -> Result<(), Error> {
    let existing = data_dir
        .map(|path| Keys::existing(&DataDir::look_at(Some(path))))
        .transpose()?;
    let (keys, whose) = match existing.flatten() {
        Some(keys) => (keys, "the data folder's"),
        None => (Keys::generate(provision::roles()), "new"),
    };
    keys.write_env_files(out)?;
    say(format_args!(
        "Wrote <service>.env files with {whose} keys into {}.",
        out.display()
    ));
    Ok(())
}

/// Every service on its usual port of this machine.
fn usual_peers() -> String {
    let pairs: Vec<String> = (8080_u16..)
        .zip(ServiceName::listening())
        .map(|(port, name)| format!("{name}=http://127.0.0.1:{port}"))
        .collect();
    pairs.join(",")
}
