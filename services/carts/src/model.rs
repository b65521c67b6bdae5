//! The shapes that the service speaks and keeps, and the rule by which carts are merged.

use std::collections::BTreeMap;

use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Most lines of a cart.
pub const LINES_MAX: usize = 100;
/// Most units of one product in a cart.
pub const QUANTITY_MAX: u16 = 999;

/// Whose cart it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CartKind {
    /// A signed-in customer's; the id is the user's.
    User,
    /// A visitor's; the id is random and known to that visitor only.
    Anonymous,
}

impl CartKind {
    /// As in addresses and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Anonymous => "anonymous",
        }
    }
}

/// What identifies a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CartKey {
    /// Whose.
    pub kind: CartKind,
    /// The user's id, or the visitor's random one.
    pub id: Uuid,
}

impl CartKey {
    /// The cart of a signed-in customer.
    pub fn user(id: Uuid) -> Self {
        let kind = CartKind::User;
        Self { kind, id }
    }
}

/// One product in a cart. The short names are those in the store, where a cart may have a hundred of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Units, 1 to [`QUANTITY_MAX`].
    #[serde(rename = "q")]
    pub quantity: u16,
    /// When the product came into the cart.
    #[serde(rename = "t", with = "time::serde::timestamp::microseconds")]
    pub added_at: OffsetDateTime,
}

/// The lines of a cart by product.
pub type Lines = BTreeMap<Uuid, Line>;

/// A cart as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCart {
    /// How many writes changed it.
    pub revision: i64,
    /// What is in it.
    pub lines: Lines,
    /// The last write that changed it.
    pub updated_at: OffsetDateTime,
    /// When it will be gone unless it is written to.
    pub expires_at: OffsetDateTime,
}

/// Adds `other`'s lines to `own` and gives what did not fit. Quantities of the same product add up, at most
/// [`QUANTITY_MAX`]. All of `own`'s lines stay; when there are more new products than room, the ones added last come in.
/// Nothing is lost silently: units over the maximum and lines without room are in the result, by product.
pub fn merge_lines(own: &mut Lines, other: Lines) -> Vec<DroppedLine> {
    let mut dropped = Vec::new();
    let mut incoming: Vec<(Uuid, Line)> = other.into_iter().collect();
    incoming.sort_by(|(a_id, a), (b_id, b)| b.added_at.cmp(&a.added_at).then(a_id.cmp(b_id)));
    for (product_id, line) in incoming {
        let room = own.len() < LINES_MAX;
        let surplus = match own.get_mut(&product_id) {
            Some(existing) => {
                let sum = existing.quantity.saturating_add(line.quantity);
                existing.quantity = sum.min(QUANTITY_MAX);
                sum - existing.quantity
            }
            None if room => {
                own.insert(product_id, line);
                0
            }
            None => line.quantity,
        };
        if surplus > 0 {
            dropped.push(DroppedLine {
                product_id,
                quantity: surplus,
            });
        }
    }
    dropped
}

/// A shopping cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cart {
    /// The user's id, or the visitor's random one.
    pub id: Uuid,
    /// Whose cart it is.
    pub kind: CartKind,
    /// Grows by one with every write that changes something; 0 for a cart that nobody wrote to, or that expired.
    pub revision: i64,
    /// The lines, in the order in which they came in; at most 100.
    pub items: Vec<CartItem>,
    /// The last change; for a cart that nobody wrote to, the present.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// When it expires unless it is written to; for a cart that nobody wrote to, as if it were written to now.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// Only in the answer of a merge that could not take everything: what was left out, by product.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub dropped: Vec<DroppedLine>,
}

impl Cart {
    /// A stored cart as it is shown.
    pub fn of(key: CartKey, stored: StoredCart) -> Self {
        let mut items: Vec<CartItem> = stored
            .lines
            .into_iter()
            .map(|(product_id, line)| CartItem {
                product_id,
                quantity: line.quantity,
                added_at: line.added_at,
            })
            .collect();
        items.sort_by_key(|item| (item.added_at, item.product_id));
        Self {
            id: key.id,
            kind: key.kind,
            revision: stored.revision,
            items,
            updated_at: stored.updated_at,
            expires_at: stored.expires_at,
            dropped: Vec::new(),
        }
    }
}

/// One product in a cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CartItem {
    /// The product.
    pub product_id: Uuid,
    /// Units, 1 to 999.
    #[schema(minimum = 1, maximum = 999)]
    pub quantity: u16,
    /// When it came into the cart.
    #[serde(with = "time::serde::rfc3339")]
    pub added_at: OffsetDateTime,
}

/// Units that a merge left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedLine {
    /// The product.
    pub product_id: Uuid,
    /// How many units were left out.
    pub quantity: u16,
}

/// Sets the quantity of a product.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct SetQuantity {
    /// Units, 1 to 999; 0 removes the line.
    #[garde(range(min = 0, max = i64::from(QUANTITY_MAX)))]
    #[schema(minimum = 0, maximum = 999)]
    pub quantity: i64,
}

/// Merges a visitor's cart into a customer's.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct MergeRequest {
    /// The visitor's cart; it is gone afterwards.
    #[garde(skip)]
    pub anonymous_id: Uuid,
}

/// What a saga sold.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct PurchaseRequest {
    /// The bought lines, 1 to 100.
    #[garde(length(min = 1, max = LINES_MAX), dive)]
    pub lines: Vec<PurchasedLine>,
}

/// One bought product.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct PurchasedLine {
    /// The product.
    #[garde(skip)]
    pub product_id: Uuid,
    /// Units, 1 to 999.
    #[garde(range(min = 1, max = i64::from(QUANTITY_MAX)))]
    #[schema(minimum = 1, maximum = 999)]
    pub quantity: i64,
}

impl PurchaseRequest {
    /// Bought units by product; a product that is named twice counts with both.
    pub fn quantities(&self) -> BTreeMap<Uuid, u32> {
        let mut quantities = BTreeMap::new();
        for line in &self.lines {
            // Validated to 1..=999, and at most 100 lines: no sum overflows.
            *quantities.entry(line.product_id).or_default() += u32::try_from(line.quantity).unwrap_or(0);
        }
        quantities
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines() -> impl Strategy<Value = Lines> {
        let line = (1..=QUANTITY_MAX, 0..5i64).prop_map(|(quantity, second)| Line {
            quantity,
            added_at: OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(second),
        });
        proptest::collection::btree_map((0..150u128).prop_map(Uuid::from_u128), line, 0..=LINES_MAX)
    }

    fn units(lines: &Lines) -> BTreeMap<Uuid, u32> {
        lines
            .iter()
            .map(|(id, line)| (*id, u32::from(line.quantity)))
            .collect()
    }

    proptest! {
        #[test]
        fn a_merge_loses_nothing_silently(own in lines(), other in lines()) {
            let mut merged = own.clone();
            let dropped = merge_lines(&mut merged, other.clone());
            prop_assert!(merged.len() <= LINES_MAX);
            prop_assert!(merged.values().all(|line| (1..=QUANTITY_MAX).contains(&line.quantity)));
            let mut before = units(&own);
            for (id, quantity) in units(&other) {
                *before.entry(id).or_default() += quantity;
            }
            let mut after = units(&merged);
            for line in &dropped {
                prop_assert!(line.quantity > 0);
                *after.entry(line.product_id).or_default() += u32::from(line.quantity);
            }
            prop_assert_eq!(before, after, "units before = units after + units reported as dropped");
            for (id, line) in &own {
                prop_assert!(merged[id].quantity >= line.quantity, "own lines stay");
                prop_assert_eq!(merged[id].added_at, line.added_at);
            }
        }

        #[test]
        fn without_room_the_newest_come_in(own in lines(), other in lines()) {
            let mut merged = own.clone();
            merge_lines(&mut merged, other.clone());
            let new = |id: &&Uuid| !own.contains_key(*id);
            let taken = other.keys().filter(new).filter(|id| merged.contains_key(*id)).map(|id| other[id].added_at).min();
            let left = other.keys().filter(new).filter(|id| !merged.contains_key(*id)).map(|id| other[id].added_at).max();
            if let (Some(oldest_taken), Some(newest_left)) = (taken, left) {
                prop_assert!(oldest_taken >= newest_left);
            }
            if left.is_some() {
                prop_assert_eq!(merged.len(), LINES_MAX, "nothing is left out while there is room");
            }
        }
    }
}
