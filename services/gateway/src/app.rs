//! What every handler works with, API and pages alike.

use std::sync::Arc;

use emporium_service_kit::{Clock, Environment, StartError};

use crate::activity::{self, Outbox};
use crate::clients::Clients;
use crate::config::Config;

/// The gateway's state: it owns no data, only ways to reach those who do. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The services.
    pub clients: Arc<Clients>,
    /// The settings.
    pub config: Arc<Config>,
    /// Where to tell what visitors do.
    pub activity: activity::Sender,
    /// Where time comes from.
    pub clock: Clock,
}

impl App {
    /// Clients for all services, and what sends visitors' activities; fails when an address is missing.
    pub fn new(environment: &Environment, config: Config) -> Result<(Self, Arc<Outbox>), StartError> {
        let clients = Clients::new(environment)?;
        let size = usize::try_from(config.activity_queue).unwrap_or(usize::MAX);
        let (activity, outbox) = activity::outbox(clients.activity.clone(), &environment.metrics, size);
        let app = Self {
            clients: Arc::new(clients),
            config: Arc::new(config),
            activity,
            clock: environment.clock.clone(),
        };
        Ok((app, outbox))
    }
}
