//! Data for the shop, and how it gets there.
//!
//! Three sources produce the same [`records`], which are the lines of the owners' bulk interfaces:
//!
//! * [`generator`]: made up, deterministic (the same seed gives the same bytes), in four named scales;
//! * [`online_retail`]: two years of a real gift shop's invoices, as dirty as they are;
//! * [`icecat`]: a catalogue of real electronics products with all their attributes.
//!
//! The [`loader`] streams them to the owners. Nothing here knows a service crate or a database: what a service
//! owns is written by that service alone.
//!
//! Ids are derived from natural keys ([`ids`]), so a second run produces the same records and changes nothing.

pub mod error;
pub mod generator;
pub mod icecat;
pub mod ids;
pub mod input;
pub mod limits;
pub mod loader;
pub mod online_retail;
pub mod people;
pub mod records;
pub mod rejects;

pub use error::{ImportError, LoadError};
pub use generator::{DEFAULT_SEED, DEMO_ACCOUNTS, DemoAccount, Generator, Scale};
pub use icecat::Icecat;
pub use loader::{
    BulkTarget, LoadOutcome, Owner, Progress, ProgressEvent, Targets, load_generated, load_icecat,
    load_online_retail,
};
pub use online_retail::OnlineRetail;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// One shop can hold all three sources, so a category's slug must mean the same in each.
    #[test]
    fn a_category_is_called_the_same_by_all_sources() {
        use crate::generator::vocabulary::{CATEGORY_COUNT, category};
        let generated = (0..CATEGORY_COUNT).map(|number| (category(number).slug, category(number).name));
        let mut names = BTreeMap::new();
        for (slug, name) in generated
            .chain(crate::icecat::categories::all())
            .chain(crate::online_retail::words::all())
        {
            assert_eq!(*names.entry(slug).or_insert(name), name, "{slug}");
        }
    }
}
