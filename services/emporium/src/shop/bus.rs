//! The event bus of the one-process shop: the embedded one, or the one that the settings name.

use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::bus::open_at;
use emporium_event_bus::{Bus, BusError};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::stores::EVENTS;
use emporium_service_kit::{ServiceName, StoreUrls};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::provision::Target;

/// How long events stay on the bus after every group has read them. Histories stay with their owners for good.
const RETENTION: Duration = Duration::from_hours(7 * 24);
const TRIM_INTERVAL: Duration = Duration::from_hours(1);

/// Opens the bus; the embedded one in its owner's role, since nobody else may delete from it.
pub(super) async fn open(target: &Target<'_>, stores: &StoreUrls) -> Result<Arc<dyn Bus>, Error> {
    let metrics = Metrics::new(ServiceName::Operator);
    match stores.get(EVENTS) {
        Some(url) => Ok(open_at(url, metrics).await.map_err(BusError::into_start_error)?),
        None => Ok(open_at(&target.bus_owner_url()?, metrics).await?),
    }
}

/// Trims the bus from time to time.
pub(super) async fn keep_short(bus: Arc<dyn Bus>, stop: CancellationToken) {
    loop {
        match bus.trim(RETENTION).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "trimmed the event bus"),
            Err(error) => tracing::warn!(%error, "the event bus was not trimmed"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TRIM_INTERVAL) => {}
        }
    }
}
