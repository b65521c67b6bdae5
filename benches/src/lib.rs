//! What the measuring programs share: the load generator, what the machine tells, and the comparison of the stores'
//! adapters. `benches/README.md` says how to run them, `benches/rules.md` what their figures mean.

pub mod http;
pub mod load;
pub mod machine;
pub mod stores;
