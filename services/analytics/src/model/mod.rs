//! The shapes that the service speaks and keeps.

mod activity;
mod figures;
mod totals;

pub use activity::*;
pub use figures::*;
pub use totals::*;
