//! Events that the service owns.
