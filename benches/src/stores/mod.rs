//! The adapters of each trait on the same work, each against a bare client of its own store.
//!
//! A bench is one trait ([`sessions`], [`carts`], [`search`], [`events`], [`recommendations`], [`analytics`], [`reviews`],
//! [`monitoring`]): it fills every store that can be had, records
//! what the adapter says to its server ([`record`]), checks that the answers agree and that the bare client ([`bare`]) says
//! the same, then measures both in turn ([`compare`]) and keeps the results ([`results`]); [`page`] makes the page of
//! them. `emporium-benches open-loop` measures session look-ups through the service's HTTP.

pub mod analytics;
pub mod bare;
pub mod carts;
pub mod compare;
pub mod events;
pub mod monitoring;
pub mod page;
pub mod places;
pub mod plan;
mod plot;
pub mod prepare;
pub mod products;
pub mod reading;
pub mod recommendations;
pub mod record;
pub mod results;
pub mod reviews;
pub mod search;
pub mod servers;
pub mod sessions;
pub mod stage;
mod steps;
pub mod trade;
