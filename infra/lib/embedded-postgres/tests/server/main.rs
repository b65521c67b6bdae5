//! Real servers in temporary folders. One program, so that the tests can re-run themselves as their own children
//! (see `helper`): what happens to a process that is killed can only be seen from another one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crash;
mod helper;
mod lifecycle;
mod programs;
mod refusals;
mod support;
