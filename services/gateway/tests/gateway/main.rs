//! The gateway against stand-ins for the services behind it: what it composes, how many calls that takes, what it says
//! when a service is away. The journeys through the real services are in the workspace's own tests.
#![allow(clippy::unwrap_used)]

mod accounts;
mod admin;
mod blocked;
mod browser;
mod cart;
mod documents;
mod edge;
mod html;
mod input;
mod orders;
mod pages;
mod pages_buying;
mod pages_forms;
mod products;
mod support;
