//! Events that the service owns. The aggregate of all of them is the user, and `version` is the user's.

use emporium_event_bus::{EventData, NewEvent};
use emporium_service_kit::{Clock, ids};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::{Origin, Points, PointsState, Role, User};

/// Two events tell of an account's whole state; each is a type of its own, because a schema belongs to one event.
macro_rules! user_event {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, ToSchema)]
        pub struct $name {
            /// The account's id.
            pub id: Uuid,
            /// Lower case; unique.
            pub email: String,
            /// As the user wants to be called.
            pub name: String,
            /// What the account may do.
            pub role: Role,
            /// False when blocked.
            pub active: bool,
            /// Where the account comes from.
            pub origin: Origin,
            /// The account's version.
            pub version: i64,
        }

        impl EventData for $name {
            const TYPE: &'static str = $kind;
        }

        impl From<&User> for $name {
            fn from(user: &User) -> Self {
                Self {
                    id: user.id,
                    email: user.email.clone(),
                    name: user.name.clone(),
                    role: user.role,
                    active: user.active,
                    origin: user.origin,
                    version: user.version,
                }
            }
        }
    };
}

user_event!(
    /// An account was made.
    UserRegistered,
    "user.registered.v1"
);
user_event!(
    /// Name, preferences, password or status changed.
    UserUpdated,
    "user.updated.v1"
);

/// What happened to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AddressChange {
    /// It is new.
    Added,
    /// Its text changed.
    Changed,
    /// It is gone.
    Deleted,
    /// It became the default.
    Default,
}

/// `user.address_changed.v1`: the address book changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AddressChanged {
    /// Whose address book.
    pub user_id: Uuid,
    /// Which address.
    pub address_id: Uuid,
    /// What happened to it.
    pub change: AddressChange,
    /// The account's version.
    pub version: i64,
}

/// Three events tell how far the points of a checkout have come.
macro_rules! points_event {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, ToSchema)]
        pub struct $name {
            /// Whose points.
            pub user_id: Uuid,
            /// The checkout they belong to.
            pub saga_id: Uuid,
            /// How many.
            pub points: i64,
            /// The account's version.
            pub version: i64,
        }

        impl EventData for $name {
            const TYPE: &'static str = $kind;
        }
    };
}

points_event!(
    /// A checkout set points aside.
    PointsPending,
    "points.pending.v1"
);
points_event!(
    /// They count.
    PointsConfirmed,
    "points.confirmed.v1"
);
points_event!(
    /// They do not count.
    PointsCancelled,
    "points.cancelled.v1"
);

impl EventData for AddressChanged {
    const TYPE: &'static str = "user.address_changed.v1";
}
/// The event of a new account.
pub fn registered(clock: &Clock, user: &User) -> Result<NewEvent, serde_json::Error> {
    NewEvent::now(clock, user.id, user.version, &UserRegistered::from(user))
}

/// The event of a bulk record's account: its time is the record's, and its id follows from the account's, so that one
/// account never gives two of them.
pub fn registered_then(user: &UserRegistered, at: OffsetDateTime) -> Result<NewEvent, serde_json::Error> {
    let event_id = ids::derived(at, UserRegistered::TYPE, user.id.as_bytes());
    NewEvent::at(event_id, at, user.id, user.version, user)
}

/// The event of a changed account.
pub fn updated(clock: &Clock, user: &User) -> Result<NewEvent, serde_json::Error> {
    NewEvent::now(clock, user.id, user.version, &UserUpdated::from(user))
}

/// The event of a changed address.
pub fn address(
    clock: &Clock,
    user_id: Uuid,
    address_id: Uuid,
    change: AddressChange,
    version: i64,
) -> Result<NewEvent, serde_json::Error> {
    NewEvent::now(
        clock,
        user_id,
        version,
        &AddressChanged {
            user_id,
            address_id,
            change,
            version,
        },
    )
}

/// The event that tells of the points' present state.
pub fn points(
    clock: &Clock,
    user_id: Uuid,
    points: &Points,
    version: i64,
) -> Result<NewEvent, serde_json::Error> {
    let (saga_id, state, points) = (points.saga_id, points.state, points.points);
    macro_rules! event {
        ($name:ident) => {
            NewEvent::now(
                clock,
                user_id,
                version,
                &$name {
                    user_id,
                    saga_id,
                    points,
                    version,
                },
            )
        };
    }
    match state {
        PointsState::Pending => event!(PointsPending),
        PointsState::Confirmed => event!(PointsConfirmed),
        PointsState::Cancelled => event!(PointsCancelled),
    }
}
