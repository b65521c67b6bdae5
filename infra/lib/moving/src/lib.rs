//! Moving what a service keeps from one store to another, while it works: `emporium move`.
//!
//! Both stores keep a [record](record::Standing) of what they are to the service, and an instance starts only on the one that
//! serves. The service asks its store through a [`Gate`], whose module says why nothing that was acknowledged is lost. What is
//! the truth is [copied](side::Copied) record by record, with a [journal](register::Journal) of what is written to meanwhile;
//! what is made from events is [built](side::Built) in the other store from the histories, and gets every event from then on.
//! Then writes wait, both stores are compared by count and digest, and the record is switched. [`mover`] does that work in one
//! instance of the service; when that one dies, another one goes on, or the same one after its restart.
//!
//! A service does four things for it: it [opens](Moving::open) its store as a [`Side`], implements its store's trait once more
//! over the gate, mounts [`Moving::api`], and runs [`Moving::task`].

mod check;
pub mod gate;
mod lease;
mod mover;
pub mod places;
pub mod postgres;
pub mod projection;
pub mod record;
pub mod redis;
pub mod register;
mod routes;
pub mod seal;
mod shadow;
pub mod side;
mod watcher;

pub use gate::{Gate, Timing};
pub use mover::{Moving, Step};
pub use projection::{Group, MovedProjection};
pub use routes::{Decision, MoveRequest, MoveStatus, MoveView};
pub use side::{Built, Copied, CopiedSide, Keys, Record, Side};
