//! The customers: numbers in the file, people with invented names in the shop.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use time::OffsetDateTime;
use uuid::Uuid;

use super::countries;
use super::ledger::Ledger;
use super::products::DATA_SET_EPOCH;
use super::table::{NONE, Table};
use crate::ids;
use crate::limits::ADDRESSES_MAX;
use crate::people;
use crate::records::{AddressRecord, AddressSnapshot, UserRecord};

/// A customer of the file.
pub struct Customer {
    /// Derived from the number alone.
    pub id: Uuid,
    /// When the file first mentions it.
    pub first_at: OffsetDateTime,
    /// Its countries, the first one first.
    pub countries: Vec<u32>,
}

impl Customer {
    /// Whether an invoice is theirs. If lines of one invoice name two customers, the first one has it, and the
    /// other may have none.
    pub fn is_known(&self) -> bool {
        !self.countries.is_empty()
    }
}

/// The id of the customer with that number.
pub fn customer_id(number: &str) -> Uuid {
    ids::derive(DATA_SET_EPOCH, "online-retail/customer", number.as_bytes())
}

/// All customers, by their number in the table.
pub fn customers(table: &Table, ledger: &Ledger) -> Vec<Customer> {
    let mut customers: Vec<Customer> = (0..table.customers.len())
        .map(|number| Customer {
            id: customer_id(table.customers.text(number)),
            first_at: OffsetDateTime::UNIX_EPOCH,
            countries: Vec::new(),
        })
        .collect();
    for number in &ledger.sequence {
        let invoice = &table.invoices[*number as usize];
        if ledger.refused.contains_key(number) {
            continue;
        }
        if invoice.customer == NONE {
            continue;
        }
        let customer = &mut customers[invoice.customer as usize];
        if customer.countries.is_empty() {
            customer.first_at = invoice.at;
        }
        if !customer.countries.contains(&invoice.country) {
            customer.countries.push(invoice.country);
        }
    }
    customers
}

/// The address that is known of a country's customer: the country. The rest says so; nothing is made up.
pub fn address(country: &str) -> AddressSnapshot {
    AddressSnapshot {
        street: "Street not recorded".to_owned(),
        city: country.to_owned(),
        postal_code: "not recorded".to_owned(),
        country: countries::code(country).to_owned(),
    }
}

/// The customer as a record, with an invented name that is always the same one. An address book takes the first 50
/// countries; orders keep their own.
pub fn record(table: &Table, number: u32, customer: &Customer) -> UserRecord {
    let text = table.customers.text(number);
    let mut rng = ChaCha8Rng::seed_from_u64(ids::stable_hash("online-retail/name", text.as_bytes()));
    let (first, last) = people::name(&mut rng);
    let known = customer.countries.iter().take(ADDRESSES_MAX);
    let addresses = known.enumerate().map(|(place, country)| {
        let country = table.countries.text(*country);
        let AddressSnapshot {
            street,
            city,
            postal_code,
            country: code,
        } = address(country);
        let id = ids::derive(
            DATA_SET_EPOCH,
            "online-retail/address",
            format!("{text}/{country}").as_bytes(),
        );
        AddressRecord {
            id,
            street,
            city,
            postal_code,
            country: code,
            is_default: place == 0,
        }
    });
    UserRecord {
        id: customer.id,
        email: format!("customer-{}@gift-shop.example", text.to_lowercase()),
        name: format!("{first} {last}"),
        origin: "imported".to_owned(),
        name_invented: true,
        created_at: customer.first_at,
        preferences: BTreeMap::new(),
        points: 0,
        addresses: addresses.collect(),
        password: None,
    }
}
