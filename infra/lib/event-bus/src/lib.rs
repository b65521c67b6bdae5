//! Events between services: transactional outbox, event history, bus, idempotent consumers.
//!
//! - [`outbox`]: a change and its event commit in one transaction; the relay numbers committed events and publishes them;
//!   the numbered outbox is the owner's event history, served in pages.
//! - [`bus`]: transport between services, on PostgreSQL or on Redis Streams; positions become readable in order.
//! - [`consumer`]: consumer groups with stored positions, dead letters, rebuilding projections.
//! - [`inbox`]: which events a consumer has seen, claimed in the effect's transaction.
//! - [`history`]: reading owners' histories, for rebuilding a projection before joining the bus.
//! - [`projection`]: projections with two generations, rebuilt beside the live one, and the routes of every consumer.
//! - [`schema`]: committed event schemas, and the rule that a v1 only gains fields.

pub mod bus;
pub mod consumer;
pub mod event;
pub mod history;
pub mod inbox;
mod member;
pub mod outbox;
mod pace;
pub mod projection;
pub mod schema;

pub use bus::{Bus, BusError, EventsReport, open};
pub use consumer::{ApplyError, Consumer, ConsumerGroup, GroupState, GroupStatus, RebuildError, StartAt};
pub use event::{CloudEvent, EventData, NewEvent};
pub use history::HistoryPage;
pub use outbox::{Outbox, OutboxStore, SharedOutbox};
pub use projection::{GenerationHandler, PostgresProjection, Projections, Table};
