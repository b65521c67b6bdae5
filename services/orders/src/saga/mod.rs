//! The checkout saga: its [`state`], its rules ([`machine`]), its calls ([`perform`]), the workers that drive it
//! ([`driver`], [`debts`]) and those who wait for it ([`waiters`]).

mod debts;
pub mod driver;
pub mod machine;
mod measures;
pub mod perform;
pub mod state;
pub mod waiters;

pub use driver::Driver;
