//! How commands reach the shop: the running one if the data folder has one, else one started for the command.

use std::collections::BTreeMap;

use emporium_service_kit::ServiceName;
use emporium_service_kit::client::Client;

use crate::data_dir::DataDir;
use crate::keys::Keys;
use crate::shop::{self, Shop};
use crate::Error;

/// Access to a shop's services with the operator's token.
pub struct Operator {
    urls: BTreeMap<ServiceName, String>,
    keys: Keys,
}

impl Operator {
    /// Access to a shop in this process.
    pub fn of(shop: &Shop) -> Self {
        Self { urls: shop.urls.clone(), keys: shop.keys().clone() }
    }

    /// Base URL of a service.
    pub fn url(&self, service: ServiceName) -> String {
        self.urls.get(&service).cloned().unwrap_or_default()
    }

    /// The operator's token for a service.
    pub fn token(&self, service: ServiceName) -> String {
        self.keys.secret(ServiceName::Operator).token_for(service)
    }

    /// A client of a service in the name of `caller`. The program holds every key of the shop it runs.
    pub fn client(&self, caller: ServiceName, callee: ServiceName) -> Client {
        shop::client(&self.keys, &self.urls, caller, callee)
    }
}

/// Runs `work` against the shop of a data folder: the running one, or one that is started for it and stopped after.
pub async fn with_shop<T>(
    dir: &DataDir,
    work: impl AsyncFnOnce(&Operator) -> Result<T, Error>,
) -> Result<T, Error> {
    if let Some(operator) = running(dir)? {
        return work(&operator).await;
    }
    eprintln!("The shop does not run; starting it for this command.");
    let shop = Shop::start(dir, 0, |step| eprintln!("{step}")).await?;
    let result = work(&Operator::of(&shop)).await;
    shop.stop().await?;
    result
}

/// The running shop of a data folder. The lock tells whether it runs; the file alone could be a leftover of a crash.
fn running(dir: &DataDir) -> Result<Option<Operator>, Error> {
    if dir.take()?.is_some() {
        return Ok(None);
    }
    let (Some(file), Some(keys)) = (shop::running_file(dir)?, Keys::existing(dir)?) else {
        return Err(Error::Other(format!(
            "the shop with the data folder {} is just starting or stopping; try again in a moment",
            dir.path().display()
        )));
    };
    Ok(Some(Operator { urls: file.urls, keys }))
}
