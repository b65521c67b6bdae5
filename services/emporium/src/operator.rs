//! How commands reach the shop: the running one if the data folder has one, else one started for the command.

use std::collections::BTreeMap;

use emporium_service_kit::client::Client;
use emporium_service_kit::{ServiceName, StoreUrls};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::data_dir::DataDir;
use crate::keys::Keys;
use crate::running::RunningFile;
use crate::shop::{self, Shop};
use crate::terminal::{Steps, note};

/// Access to a shop's services with the operator's token.
pub struct Operator {
    urls: BTreeMap<ServiceName, String>,
    keys: Keys,
    /// Where the process that runs the shop tells of itself; none when that is this one.
    dir: Option<DataDir>,
}

impl Operator {
    /// Access to a shop in this process.
    pub fn of(shop: &Shop) -> Self {
        Self {
            urls: shop.urls.clone(),
            keys: shop.keys().clone(),
            dir: None,
        }
    }

    /// Access to the shop that another process runs.
    pub fn of_running(dir: &DataDir) -> Result<Self, Error> {
        let (Some(file), Some(keys)) = (RunningFile::read(dir)?, Keys::existing(dir)?) else {
            return Err(Error::Unsettled(dir.path().to_path_buf()));
        };
        Ok(Self {
            urls: file.urls,
            keys,
            dir: Some(dir.clone()),
        })
    }

    /// Access to the running shop of a data folder; [`Error::NotRunning`] when there is none.
    pub fn running(dir: &DataDir) -> Result<Self, Error> {
        if !dir.is_taken()? {
            return Err(Error::NotRunning(dir.path().to_path_buf()));
        }
        Self::of_running(dir)
    }

    /// Whether the shop was started for the command, and ends with it.
    pub fn is_own(&self) -> bool {
        self.dir.is_none()
    }

    /// Access to the shop as it is by now: a restart may have given its services other ports. `None` while it does not run.
    pub fn again(&self) -> Option<Self> {
        Self::running(self.dir.as_ref()?).ok()
    }

    /// Base URL of a service.
    pub fn url(&self, service: ServiceName) -> String {
        self.urls.get(&service).cloned().unwrap_or_default()
    }

    /// The operator's token for a service.
    pub fn token(&self, service: ServiceName) -> Result<String, Error> {
        Ok(self.keys.secret(ServiceName::Operator)?.token_for(service))
    }

    /// A client of a service in the name of `caller`. The program holds every key of the shop it runs.
    pub fn client(&self, caller: ServiceName, callee: ServiceName) -> Result<Client, Error> {
        shop::client(&self.keys, &self.urls, caller, callee)
    }
}

/// Runs `work` against the shop of a data folder: the running one, which keeps its stores, or one that is started for it on
/// `stores` and stopped after. When `stop` is cancelled the work is left where it is; what the owners have committed stays.
pub async fn with_shop<T>(
    stores: StoreUrls,
    dir: &DataDir,
    stop: &CancellationToken,
    work: impl AsyncFnOnce(&Operator) -> Result<T, Error>,
) -> Result<T, Error> {
    // The lock tells whether the shop runs; the file alone could be a leftover of a crash.
    let Some(owned) = dir.take().await? else {
        return until(stop, work(&Operator::of_running(dir)?)).await;
    };
    note("The shop does not run; starting it for this command.");
    let steps = Steps::begin();
    let shop = Shop::start(dir, owned, 0, stores, &steps, stop).await;
    steps.end();
    let shop = shop?;
    let result = until(stop, work(&Operator::of(&shop))).await;
    let stopped = shop.stop().await;
    // What went wrong with the work is what counts.
    let value = result?;
    stopped.map(|()| value)
}

async fn until<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    stop.run_until_cancelled(work)
        .await
        .unwrap_or(Err(Error::Interrupted))
}
