//! One customer: who it is, where it lives, and what it likes.

use rand::Rng;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::seasons::{ORDER_DAYS, REFERENCE};
use super::vocabulary::{CATEGORY_COUNT, THEME_COUNT, category};
use super::{DEMO_ACCOUNTS, Generator, Stream};
use crate::ids;
use crate::people;
use crate::records::{AddressRecord, AddressSnapshot, UserRecord};

/// Customers with a second address, out of a hundred.
const SECOND_ADDRESS_PERCENT: u32 = 18;

/// What a customer likes; it steers what is bought, and so what is bought together.
pub(super) struct Taste {
    /// Categories, the favourite first.
    pub categories: [usize; 3],
    /// The main and the second theme.
    pub themes: [usize; 2],
    /// In each category, the brand number `(brand + category) % brands` is the favourite.
    pub brand: usize,
}

/// A customer as an order sees it.
pub(super) struct Customer {
    pub id: Uuid,
    pub address: AddressSnapshot,
    pub registered_at: OffsetDateTime,
}

impl Generator {
    /// The customer number `index` as a record.
    pub(super) fn user(&self, index: u64) -> UserRecord {
        let mut rng = self.rng(Stream::Customer, index);
        let registered_at = registered_at(index, &mut rng);
        let first_address = people::address(&mut rng);
        let (first, last) = people::name(&mut rng);
        let demo = demo(index);
        let (email, name, password) = match demo {
            Some(demo) => (
                demo.email.to_owned(),
                demo.name.to_owned(),
                Some(demo.password.to_owned()),
            ),
            None => (self.email(index, first, last), format!("{first} {last}"), None),
        };
        let mut addresses = vec![first_address];
        if rng.random_ratio(SECOND_ADDRESS_PERCENT, 100) {
            addresses.push(people::address(&mut rng));
        }
        let id = self.customer_id(index, registered_at);
        UserRecord {
            id,
            email,
            name,
            origin: "generated".to_owned(),
            name_invented: true,
            created_at: registered_at,
            preferences: std::collections::BTreeMap::new(),
            points: rng.random_range(0..50) * 10,
            addresses: addresses
                .into_iter()
                .zip(0_u8..)
                .map(|(address, place)| own(address, id, registered_at, place))
                .collect(),
            password,
        }
    }

    /// What an order needs of the customer number `index`.
    pub(super) fn customer(&self, index: u64) -> Customer {
        let mut rng = self.rng(Stream::Customer, index);
        let registered_at = registered_at(index, &mut rng);
        Customer {
            id: self.customer_id(index, registered_at),
            address: people::address(&mut rng),
            registered_at,
        }
    }

    /// What the customer number `index` likes.
    pub(super) fn taste(&self, index: u64) -> Taste {
        let mut rng = self.rng(Stream::Taste, index);
        let favourite = rng.random_range(0..CATEGORY_COUNT);
        let goes_with = category(favourite).goes_with;
        let companion = category_number(goes_with[rng.random_range(0..goes_with.len())]);
        let theme = rng.random_range(0..THEME_COUNT);
        Taste {
            categories: [favourite, companion, rng.random_range(0..CATEGORY_COUNT)],
            themes: [theme, (theme + rng.random_range(1..THEME_COUNT)) % THEME_COUNT],
            brand: rng.random_range(0..64),
        }
    }

    /// Demo accounts are the same people for every seed.
    fn customer_id(&self, index: u64, registered_at: OffsetDateTime) -> Uuid {
        match demo(index) {
            Some(demo) => ids::derive(registered_at, "seed/customer", demo.email.as_bytes()),
            None => ids::derive(registered_at, "seed/customer", &self.key("customer", index)),
        }
    }

    fn email(&self, index: u64, first: &str, last: &str) -> String {
        let word = |name: &str| {
            name.chars()
                .filter(char::is_ascii_alphabetic)
                .collect::<String>()
                .to_lowercase()
        };
        format!(
            "{}.{}.{index}{}@customers.example",
            word(first),
            word(last),
            self.suffix
        )
    }
}

/// The number of the category with this slug.
pub(super) fn category_number(slug: &str) -> usize {
    (0..CATEGORY_COUNT)
        .find(|number| category(*number).slug == slug)
        .unwrap_or(0)
}

fn demo(index: u64) -> Option<&'static super::DemoAccount> {
    usize::try_from(index)
        .ok()
        .and_then(|index| DEMO_ACCOUNTS.get(index))
}

/// Within the three years before the reference, most before the first order; demo accounts on the first day.
fn registered_at(index: u64, rng: &mut impl Rng) -> OffsetDateTime {
    const SECONDS: i64 = (ORDER_DAYS + 365) * 86_400;
    let age_seconds = rng
        .random_range(86_400..SECONDS)
        .max(rng.random_range(86_400..SECONDS));
    REFERENCE
        - Duration::seconds(if demo(index).is_some() {
            SECONDS
        } else {
            age_seconds
        })
}

fn own(address: AddressSnapshot, customer: Uuid, at: OffsetDateTime, place: u8) -> AddressRecord {
    let mut key = customer.as_bytes().to_vec();
    key.push(place);
    AddressRecord {
        id: ids::derive(at, "seed/address", &key),
        street: address.street,
        city: address.city,
        postal_code: address.postal_code,
        country: address.country,
        is_default: place == 0,
    }
}
