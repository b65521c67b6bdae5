//! The suite that every search index passes. A new adapter joins it with one line.
#![allow(clippy::unwrap_used)]

use std::ops::Deref;

use emporium_catalog::search::{self, SearchIndex, postgres::PostgresSearch};
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Keys, TestService};

emporium_catalog::search_contract!(postgres, crate::postgres_index);

/// An index in a database of its own, which lives as long as the service that migrated it.
struct OwnDatabase {
    index: PostgresSearch,
    _service: TestService,
}

impl Deref for OwnDatabase {
    type Target = dyn SearchIndex;
    fn deref(&self) -> &Self::Target {
        &self.index
    }
}

async fn postgres_index() -> OwnDatabase {
    let service = TestService::start(
        ServiceName::Catalog,
        &Keys::default(),
        &[],
        Clock::System,
        emporium_catalog::build,
    )
    .await;
    OwnDatabase {
        index: search::in_own_database(service.db()),
        _service: service,
    }
}
