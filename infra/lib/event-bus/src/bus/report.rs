//! What a service tells of the bus it uses.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_service_kit::stores::EVENTS;
use emporium_service_kit::{Inspect, StoreReport};

use super::{Bus, Capability};
use crate::consumer::ConsumerGroup;
use crate::outbox::SharedOutbox;

/// The bus for `GET /stores`, with what waits there for this service's group and what this service has still to publish.
///
/// ```text
/// service.store(EventsReport::of(&bus).group(&group).outbox(&outbox).shared())
/// ```
pub struct EventsReport {
    bus: Arc<dyn Bus>,
    group: Option<Arc<ConsumerGroup>>,
    outbox: Option<SharedOutbox>,
}

impl EventsReport {
    /// Of this bus.
    pub fn of(bus: &Arc<dyn Bus>) -> Self {
        Self {
            bus: bus.clone(),
            group: None,
            outbox: None,
        }
    }

    /// The lag counts what this group has not acknowledged.
    #[must_use]
    pub fn group(mut self, group: &Arc<ConsumerGroup>) -> Self {
        self.group = Some(group.clone());
        self
    }

    /// The lag counts what this outbox has not published.
    #[must_use]
    pub fn outbox(mut self, outbox: impl Into<SharedOutbox>) -> Self {
        self.outbox = Some(outbox.into());
        self
    }

    /// For [`emporium_service_kit::Service::store`].
    pub fn shared(self) -> Arc<dyn Inspect> {
        Arc::new(self)
    }

    /// Events between this service's outbox and the bus, and between the bus and its group; not known while the group is
    /// being built.
    async fn lag(&self) -> anyhow::Result<Option<i64>> {
        let mut lag = 0;
        if let Some(outbox) = &self.outbox {
            lag += outbox.unpublished().await?;
        }
        if let Some(group) = &self.group {
            let Some(progress) = self.bus.progress(group.name()).await? else {
                return Ok(None);
            };
            lag += progress.lag;
        }
        Ok(Some(lag))
    }
}

#[async_trait]
impl Inspect for EventsReport {
    fn outline(&self) -> StoreReport {
        let mut report = StoreReport::of("events", Some(EVENTS), self.bus.adapter());
        report.lacks = self.bus.lacks().iter().copied().map(Capability::lack).collect();
        report
    }

    async fn inspect(&self) -> StoreReport {
        let mut report = self.outline().with(self.bus.facts().await);
        if report.error.is_none() {
            match self.lag().await {
                Ok(lag) => report.lag = lag,
                Err(error) => report.error = Some(error.to_string()),
            }
        }
        report
    }
}
