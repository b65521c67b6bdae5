//! A consumer group as a part of a service.

use std::sync::Arc;

use emporium_service_kit::{Environment, ServiceName, StartError};
use futures::future::BoxFuture;

use crate::bus::Bus;
use crate::consumer::{Consumer, ConsumerGroup, StartAt};

impl ConsumerGroup {
    /// A service's member of the group `name`, which gets everything that these owners ever say ([`StartAt::Histories`]).
    pub fn of_histories(
        environment: &Environment,
        bus: &Arc<dyn Bus>,
        name: &str,
        consumer: Arc<dyn Consumer>,
        owners: &[ServiceName],
    ) -> Result<Arc<Self>, StartError> {
        let owners: Result<_, _> = owners.iter().map(|owner| environment.client(*owner)).collect();
        let start = StartAt::Histories(owners?);
        let group = Self::new(bus.clone(), name, consumer, start, &environment.metrics);
        Ok(Arc::new(group.with_clock(environment.clock.clone())))
    }

    /// A task for [`emporium_service_kit::Service::task`]: consumes until the service stops.
    pub fn task(
        self: &Arc<Self>,
        environment: &Environment,
    ) -> impl Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync + 'static {
        let (group, stop) = (self.clone(), environment.shutdown.clone());
        move || {
            let (group, stop) = (group.clone(), stop.clone());
            Box::pin(async move { group.run(stop).await })
        }
    }
}
