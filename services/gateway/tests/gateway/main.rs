//! The gateway against stand-ins for the services behind it: what it composes, how many calls that takes, what it says
//! when a service is away. The journeys through the real services are in the workspace's own tests.
#![allow(clippy::unwrap_used)]

mod accounts;
mod admin;
mod cart;
mod documents;
mod edge;
mod input;
mod orders;
mod products;
mod support;
