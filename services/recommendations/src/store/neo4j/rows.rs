//! What the driver reads, and what it is sent.

use std::fmt;

use emporium_service_kit::bulk::micros;
use neo4rs::{BoltMap, BoltType};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::decay::Decayed;
use crate::store::shelf::{Good, Sums, unpacked};

/// An id: 32 hexadecimal digits, whose order as text is that of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub(super) struct Id(pub Uuid);

impl From<Id> for BoltType {
    fn from(id: Id) -> Self {
        id.0.simple().to_string().into()
    }
}

/// The same as a parameter.
pub(super) fn id(id: Uuid) -> BoltType {
    Id(id).into()
}

/// Ids as a parameter.
pub(super) fn ids(ids: impl IntoIterator<Item = Uuid>) -> BoltType {
    ids.into_iter().map(id).collect()
}

/// A row of a parameter.
pub(super) fn map<const N: usize>(fields: [(&str, BoltType); N]) -> BoltType {
    let fields = fields.into_iter().map(|(name, value)| (name.into(), value));
    BoltType::Map(fields.collect::<BoltMap>())
}

/// A moment: microseconds since 1970.
pub(super) fn at(moment: OffsetDateTime) -> i64 {
    let since = micros(moment) - OffsetDateTime::UNIX_EPOCH;
    i64::try_from(since.whole_microseconds()).unwrap_or(i64::MAX)
}

/// The moment that so many microseconds since 1970 are.
pub(super) fn moment(at: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH
        .checked_add(Duration::microseconds(at))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Goods of a basket, 16 bytes each.
#[derive(Debug, Default)]
pub(super) struct Packed(pub Vec<u8>);

impl Packed {
    pub fn goods(&self) -> Vec<Uuid> {
        unpacked(&self.0)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Packed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Packed, E> {
                Ok(Packed(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct IdRow {
    pub id: Id,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtRow {
    pub at: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct SizeRow {
    pub size: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct StepRow {
    pub step: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct CountRow {
    pub count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ValueRow {
    pub value: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ShopRow {
    pub shop: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ProductStampRow {
    pub baskets: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct CustomerStampRow {
    pub orders: i64,
    pub newest: Option<Id>,
}

/// A basket as pairs are counted in it.
#[derive(Debug, Deserialize)]
pub(super) struct BasketRow {
    pub id: Id,
    pub at: i64,
    pub goods: Packed,
}

/// A basket as its customer sees it.
#[derive(Debug, Deserialize)]
pub(super) struct BoughtRow {
    pub at: i64,
    pub goods: Packed,
    pub units: Vec<i64>,
}

/// A basket with all that it has.
#[derive(Debug, Deserialize)]
pub(super) struct WholeBasketRow {
    pub id: Id,
    pub customer: Option<Id>,
    pub at: i64,
    pub size: i64,
    pub goods: Packed,
    pub units: Vec<i64>,
}

/// A relationship, and whether it is between what it says.
#[derive(Debug, Deserialize)]
pub(super) struct PurchaseRow {
    pub good: Id,
    pub at: i64,
    pub id: Id,
    pub whole: bool,
}

/// Units are decimal digits, since nothing bounds what refunds name.
#[derive(Debug, Deserialize)]
pub(super) struct ReturnRow {
    pub customer: Id,
    pub good: Id,
    pub units: String,
}

/// A good as it is kept.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct GoodRow {
    pub id: Id,
    /// 0: the catalog has not told of it.
    pub version: i64,
    pub active: bool,
    baskets: i64,
    season_even_era: i32,
    season_even: i64,
    season_odd_era: i32,
    season_odd: i64,
    week_even_era: i32,
    week_even: i64,
    week_odd_era: i32,
    week_odd: i64,
}

impl GoodRow {
    pub fn new(id: Uuid, version: i64, active: bool, sums: &Sums) -> Self {
        Self {
            id: Id(id),
            version,
            active,
            baskets: sums.baskets,
            season_even_era: sums.season.eras[0],
            season_even: sums.season.sums[0],
            season_odd_era: sums.season.eras[1],
            season_odd: sums.season.sums[1],
            week_even_era: sums.week.eras[0],
            week_even: sums.week.sums[0],
            week_odd_era: sums.week.eras[1],
            week_odd: sums.week.sums[1],
        }
    }

    pub fn sums(&self) -> Sums {
        Sums {
            baskets: self.baskets,
            season: Decayed {
                eras: [self.season_even_era, self.season_odd_era],
                sums: [self.season_even, self.season_odd],
            },
            week: Decayed {
                eras: [self.week_even_era, self.week_odd_era],
                sums: [self.week_even, self.week_odd],
            },
        }
    }

    pub fn good(&self, now: OffsetDateTime) -> (Uuid, Good) {
        (self.id.0, Good::of(&self.sums(), self.active, now))
    }

    /// As a parameter, with the steps that popular goods are found by; null, so without an entry in their index, for what
    /// nobody bought.
    pub fn parameter(&self) -> BoltType {
        map([
            ("id", self.id.into()),
            ("version", self.version.into()),
            ("active", self.active.into()),
            ("baskets", self.baskets.into()),
            ("season_even_era", self.season_even_era.into()),
            ("season_even", self.season_even.into()),
            ("season_odd_era", self.season_odd_era.into()),
            ("season_odd", self.season_odd.into()),
            ("week_even_era", self.week_even_era.into()),
            ("week_even", self.week_even.into()),
            ("week_odd_era", self.week_odd_era.into()),
            ("week_odd", self.week_odd.into()),
            ("week_step", self.week_step().into()),
            ("baskets_step", self.baskets_step().into()),
        ])
    }

    /// The logarithm of how much it sells these days, relative to 1970, in steps of a sixteenth of a doubling; the formula is
    /// that of PostgreSQL's table (`migrations/`), where it is explained.
    #[allow(clippy::cast_precision_loss)] // a step is coarse
    fn week_step(&self) -> Option<i64> {
        let (even, odd) = (f64::from(self.week_even_era), f64::from(self.week_odd_era));
        let weight = |own: f64, other: f64| (16.0 * (own - other).min(0.0)).max(-900.0).exp2();
        let sum = self.week_even as f64 * weight(even, odd) + self.week_odd as f64 * weight(odd, even);
        (sum > 0.0).then(|| stepped(16.0 * even.max(odd) + sum.log2()))
    }

    #[allow(clippy::cast_precision_loss)] // a step is coarse
    fn baskets_step(&self) -> Option<i64> {
        (self.baskets > 0).then(|| stepped((self.baskets as f64).log2()))
    }
}

/// What is added keeps equal sums of different eras in the same step, whatever the logarithm rounds.
#[allow(clippy::cast_possible_truncation)] // some hundred thousand at most
fn stepped(doublings: f64) -> i64 {
    (1e-6 + 16.0 * doublings).floor() as i64
}
