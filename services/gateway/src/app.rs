//! What every handler works with, API and pages alike.

use std::sync::Arc;

use emporium_service_kit::{Environment, StartError};

use crate::clients::Clients;
use crate::config::Config;

/// The gateway's state: it owns no data, only ways to reach those who do. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The services.
    pub clients: Arc<Clients>,
    /// The settings.
    pub config: Arc<Config>,
}

impl App {
    /// Clients for all services; fails when an address is missing.
    pub fn new(environment: &Environment, config: Config) -> Result<Self, StartError> {
        Ok(Self {
            clients: Arc::new(Clients::new(environment)?),
            config: Arc::new(config),
        })
    }
}
