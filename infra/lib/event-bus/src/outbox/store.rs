//! What a store gives, for an outbox to be kept there.

use async_trait::async_trait;
use emporium_service_kit::StoreError;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::bus::Mark;
use crate::event::CloudEvent;
use crate::history::HistoryItem;

/// An outbox in some store: the relay, pages and checks of [`Outbox`](super::Outbox) are written once over these verbs. Writing
/// an event is each store's own, since it belongs to a transaction of its type.
///
/// What every store keeps: positions are given to committed events only, by one numbering at a time; they are dense, from 1 on,
/// and become readable in their order; of one subject, versions have the order of positions.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Gives positions to at most `max` committed events, in the order of writing, and says to how many. Fewer than `max` means
    /// that every event committed before the call has its position.
    async fn number(&self, max: i64) -> Result<i64, StoreError>;

    /// Numbered events after `after`, at most `max`, in the order of positions.
    async fn read(&self, after: i64, max: i64) -> Result<Stretch, StoreError>;

    /// Numbered events that are not noted as published, at most `max`, ending before their data come to more than about
    /// `bytes`, but with one event at least where there is any.
    async fn unpublished(&self, max: i64, bytes: i64) -> Result<Vec<Recorded>, StoreError>;

    /// How far numbering and publishing are.
    async fn head(&self) -> Result<Head, StoreError>;

    /// Notes that everything up to `position` is published, and where; nothing when that or more is noted already, since two
    /// relays may run.
    async fn published(&self, position: i64, mark: &Mark) -> Result<(), StoreError>;

    /// Notes that publishing goes on on this bus, of which nothing is known yet.
    async fn join_bus(&self, bus: Uuid) -> Result<(), StoreError>;

    /// How many committed events are not published.
    async fn waiting(&self) -> Result<i64, StoreError>;
}

/// An event as it is kept.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its position, from 1.
    pub position: i64,
    /// When it was written down; `None` where that was not noted.
    pub recorded_at: Option<OffsetDateTime>,
    /// [`CloudEvent::id`].
    pub id: Uuid,
    /// [`CloudEvent::kind`].
    pub kind: String,
    /// [`CloudEvent::subject`].
    pub subject: String,
    /// [`CloudEvent::aggregateversion`].
    pub version: i64,
    /// [`CloudEvent::time`].
    pub time: OffsetDateTime,
    /// [`CloudEvent::traceparent`].
    pub traceparent: Option<String>,
    /// [`CloudEvent::data`].
    pub data: Box<RawValue>,
}

impl Recorded {
    /// As it travels from its owner, whose events name `source`.
    pub fn event(self, source: &str) -> CloudEvent {
        CloudEvent {
            specversion: "1.0".to_owned(),
            id: self.id,
            source: source.to_owned(),
            kind: self.kind,
            subject: self.subject,
            time: self.time,
            datacontenttype: "application/json".to_owned(),
            aggregateversion: self.version,
            traceparent: self.traceparent,
            data: self.data,
        }
    }

    /// In a page of the history.
    pub(super) fn item(self, source: &str) -> HistoryItem {
        HistoryItem {
            position: self.position,
            recorded_at: self.recorded_at,
            event: self.event(source),
        }
    }
}

/// A piece of the history.
#[derive(Debug, Clone, Default)]
pub struct Stretch {
    /// Its events.
    pub items: Vec<Recorded>,
    /// The last position that was given at the time of reading, or one that the events end with or before.
    pub end: i64,
}

/// How far an outbox is.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The last position that was given.
    pub sequenced: i64,
    /// Everything up to this position is published.
    pub published: i64,
    /// On which bus, and the last event there; `None` when that was never noted.
    pub mark: Option<Mark>,
}
