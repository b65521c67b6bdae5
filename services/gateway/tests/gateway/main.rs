//! The gateway against stand-ins for the services behind it: what it composes, how many calls that takes, what it says
//! when a service is away. The journeys through the real services are in the workspace's own tests.
#![allow(clippy::unwrap_used)]

mod accounts;
mod activity;
mod admin;
mod admin_events;
mod admin_pages;
mod admin_reports;
mod blocked;
mod browser;
mod cart;
mod consumers;
mod documents;
mod edge;
mod html;
mod input;
mod orders;
mod pages;
mod pages_away;
mod pages_buying;
mod pages_forms;
mod pages_product;
mod pages_reviews;
mod products;
mod recommendations;
mod review_sizes;
mod reviews;
mod support;
