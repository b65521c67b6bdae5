//! Baskets of the data set's file.

use std::collections::HashMap;
use std::path::Path;

use emporium_recommendations::evaluation::{Basket, code};
use emporium_seed::OnlineRetail;
use emporium_seed::rejects::RejectFile;
use tokio_util::sync::CancellationToken;

use super::interrupted;
use crate::Error;
use crate::terminal::{Steps, note};

/// Reads the invoices of known customers.
pub(super) async fn baskets(file: &Path, stop: &CancellationToken) -> Result<Vec<Basket>, Error> {
    let steps = Steps::begin();
    steps.tell(format_args!("reading {}", file.display()));
    // The reasons are for those who import; the file that holds them goes with this function, also when it is interrupted.
    let folder = tempfile::tempdir().map_err(|error| {
        Error::Other(format!(
            "cannot make a temporary folder: {error}; make room, or set TMPDIR"
        ))
    })?;
    let (path, rejects) = (file.to_path_buf(), folder.path().join("rejected.csv"));
    let reading = tokio::task::spawn_blocking(move || read(&path, &rejects));
    let read = stop.run_until_cancelled(reading).await;
    steps.end();
    let read = read.ok_or_else(interrupted)?;
    let (baskets, rejected) =
        read.map_err(|error| Error::Other(format!("the file cannot be read: {error}; try again")))??;
    if rejected > 0 {
        note(format_args!(
            "{rejected} lines cannot be read and are left out; `emporium import online-retail` lists them with reasons."
        ));
    }
    Ok(baskets)
}

/// Baskets, and how many lines could not be read.
fn read(path: &Path, rejects: &Path) -> Result<(Vec<Basket>, u64), Error> {
    let failed = |error: emporium_seed::ImportError| Error::Load(error.into());
    let mut rejects = RejectFile::new(rejects).map_err(failed)?;
    let shop = OnlineRetail::read(path, &mut rejects).map_err(failed)?;
    let mut baskets: HashMap<&str, Basket> = HashMap::new();
    let mut unreadable = shop.report().lines_read;
    for line in shop.lines() {
        unreadable = unreadable.saturating_sub(1);
        let Some(customer) = line.customer.filter(|_| !line.is_cancellation) else {
            continue;
        };
        let (true, Some(good)) = (line.quantity > 0 && line.price_micros > 0, code(line.code)) else {
            continue;
        };
        let basket = baskets.entry(line.invoice).or_insert_with(|| Basket {
            customer: customer.to_owned(),
            invoice: line.invoice.to_owned(),
            at: line.at,
            goods: std::collections::BTreeSet::new(),
        });
        basket.goods.insert(good);
    }
    Ok((baskets.into_values().collect(), unreadable))
}
