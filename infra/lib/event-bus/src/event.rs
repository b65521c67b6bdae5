//! CloudEvents 1.0 in JSON: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.

use emporium_service_kit::trace::TraceContext;
use emporium_service_kit::{Clock, ids};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An event as it travels.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: String,
    /// UUIDv7; together with `source` it identifies the event, however often it is delivered.
    pub id: Uuid,
    /// The owner: `/users`, `/orders` …
    pub source: String,
    /// Such as `user.updated.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The aggregate's id.
    pub subject: String,
    /// When it happened, which for imported history is long before it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// Extension: the aggregate's version after the change. Order holds per aggregate, by this number.
    pub aggregateversion: i64,
    /// Extension (distributed tracing): W3C trace context of the request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The payload, as committed in the owner's `schemas/`.
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
}

impl CloudEvent {
    /// Reads the payload; fields that the reader does not know are ignored (tolerant reader).
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.data.get())
    }
}

/// A payload type with the event type it belongs to.
pub trait EventData: Serialize {
    /// Such as `user.updated.v1`.
    const TYPE: &'static str;
}

/// An event about to be written to the outbox.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// [`CloudEvent::id`].
    pub id: Uuid,
    /// [`CloudEvent::kind`].
    pub kind: &'static str,
    /// [`CloudEvent::subject`].
    pub subject: String,
    /// [`CloudEvent::aggregateversion`].
    pub version: i64,
    /// [`CloudEvent::time`].
    pub time: OffsetDateTime,
    /// [`CloudEvent::traceparent`].
    pub traceparent: Option<String>,
    /// [`CloudEvent::data`], as JSON.
    pub data: String,
}

impl NewEvent {
    /// An event that happens now, in the running request's trace.
    pub fn now<E: EventData>(
        clock: &Clock,
        subject: Uuid,
        version: i64,
        data: &E,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: ids::new(clock),
            kind: E::TYPE,
            subject: subject.to_string(),
            version,
            time: clock.now(),
            traceparent: TraceContext::current().map(|context| context.to_string()),
            data: serde_json::to_string(data)?,
        })
    }

    /// An event of the past with an id of its own choosing: for imports, where the same record has to give the same event.
    pub fn at<E: EventData>(
        id: Uuid,
        time: OffsetDateTime,
        subject: Uuid,
        version: i64,
        data: &E,
    ) -> Result<Self, serde_json::Error> {
        let data = serde_json::to_string(data)?;
        Ok(Self {
            id,
            kind: E::TYPE,
            subject: subject.to_string(),
            version,
            time,
            traceparent: None,
            data,
        })
    }
}
