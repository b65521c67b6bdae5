//! What events, of other services and of this one, change in the `ratings` projection: which purchases are verified, how
//! products are rated, how authors are called. Pure; stores apply it.
//!
//! Every change may come late, twice or in any order: reviews and names are states with a version, of which only a newer one
//! counts; units bought and refunded are sums. (That an event counts once is the inbox's matter, or that of a store that keeps
//! sums by event.)

use std::collections::BTreeMap;

use emporium_event_bus::{CloudEvent, EventData};
use serde::Deserialize;
use uuid::Uuid;

use crate::events::{ReviewChanged, ReviewHidden, ReviewPosted, ReviewShown};
use crate::model::{Review, State};
use crate::rules;

const ORDER_CONFIRMED: &str = "order.confirmed.v1";
const ORDER_REFUNDED: &str = "order.refunded.v1";
const USER_REGISTERED: &str = "user.registered.v1";
const USER_UPDATED: &str = "user.updated.v1";

/// The event types that change something.
pub const KINDS: &[&str] = &[
    ORDER_CONFIRMED,
    ORDER_REFUNDED,
    USER_REGISTERED,
    USER_UPDATED,
    ReviewPosted::TYPE,
    ReviewChanged::TYPE,
    ReviewHidden::TYPE,
    ReviewShown::TYPE,
];

/// A quantity beyond this in one line is not believed.
const QUANTITY_MAX: i64 = 1_000_000;

/// Who has, or has reviewed, what. There is one review for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// The customer.
    pub customer_id: Uuid,
    /// The product.
    pub product_id: Uuid,
}

/// How a review counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rated {
    /// 1 to 5.
    pub rating: i16,
    /// Hidden ones do not count.
    pub visible: bool,
    /// The review's version; only a newer one counts.
    pub version: i64,
}

/// What changes for a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairChange {
    /// Units more in confirmed orders.
    pub bought: i64,
    /// Units more that were given back.
    pub refunded: i64,
    /// The review's newest state.
    pub rated: Option<Rated>,
}

/// What is known of an author.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Author {
    /// The account.
    pub id: Uuid,
    /// As the user wants to be called.
    pub name: String,
    /// False when blocked: then the name is not shown.
    pub active: bool,
    /// The account's version; only a newer one counts.
    pub version: i64,
}

/// What a batch of events changes: each pair and each author once, in the order in which stores lock them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// By pair.
    pub pairs: BTreeMap<Pair, PairChange>,
    /// By account.
    pub authors: BTreeMap<Uuid, Author>,
}

/// What is read of an order's events. A guest's order marks nobody's review, and a refund that is for no known order (history
/// has such) takes no mark.
#[derive(Deserialize)]
struct OrderData {
    order_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    lines: Vec<OrderLine>,
}

#[derive(Deserialize)]
struct OrderLine {
    product_id: Uuid,
    quantity: i64,
}

#[derive(Deserialize)]
struct ReviewData {
    product_id: Uuid,
    author_id: Uuid,
    rating: i16,
    state: State,
    version: i64,
}

impl Changes {
    /// Reads a batch; other types of events change nothing.
    pub fn read<'a>(events: impl IntoIterator<Item = &'a CloudEvent>) -> Result<Self, serde_json::Error> {
        let mut changes = Self::default();
        for event in events {
            match event.kind.as_str() {
                ORDER_CONFIRMED => changes.order(&event.data()?, |change| &mut change.bought),
                ORDER_REFUNDED => changes.order(&event.data()?, |change| &mut change.refunded),
                USER_REGISTERED | USER_UPDATED => changes.author(event.data()?),
                kind if kind.starts_with("review.") && KINDS.contains(&kind) => {
                    let data: ReviewData = event.data()?;
                    let pair = Pair {
                        customer_id: data.author_id,
                        product_id: data.product_id,
                    };
                    let visible = data.state == State::Visible;
                    changes.rated(
                        pair,
                        Rated {
                            rating: data.rating,
                            visible,
                            version: data.version,
                        },
                    );
                }
                _ => {}
            }
        }
        Ok(changes)
    }

    /// Of a review as it is now.
    pub fn of(review: &Review) -> Self {
        let mut changes = Self::default();
        let pair = Pair {
            customer_id: review.author_id,
            product_id: review.product_id,
        };
        let rated = Rated {
            rating: review.rating,
            visible: review.state == State::Visible,
            version: review.version,
        };
        changes.rated(pair, rated);
        changes
    }

    fn order(&mut self, order: &OrderData, sum: impl Fn(&mut PairChange) -> &mut i64) {
        let (Some(_), Some(customer_id)) = (order.order_id, order.customer_id) else {
            return;
        };
        for line in order.lines.iter().filter(|line| line.quantity > 0) {
            let pair = Pair {
                customer_id,
                product_id: line.product_id,
            };
            let units = sum(self.pairs.entry(pair).or_default());
            *units = units.saturating_add(line.quantity.min(QUANTITY_MAX));
        }
    }

    fn author(&mut self, mut author: Author) {
        author.name = rules::harmless(&author.name);
        let known = self.authors.get(&author.id);
        if known.is_none_or(|known| known.version < author.version) {
            self.authors.insert(author.id, author);
        }
    }

    /// Of a review that counts like this; the newest version stays.
    pub fn rated(&mut self, pair: Pair, rated: Rated) {
        let newest = &mut self.pairs.entry(pair).or_default().rated;
        if newest.is_none_or(|known| known.version < rated.version) {
            *newest = Some(rated);
        }
    }
}

/// What is kept for a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Units in confirmed orders.
    pub bought: i64,
    /// Units given back.
    pub refunded: i64,
    /// The review, if there is one.
    pub rated: Option<Rated>,
}

impl Standing {
    /// Whether the purchase is verified: some unit was bought and kept.
    pub fn verified(&self) -> bool {
        self.bought > self.refunded
    }

    /// After a change.
    #[must_use]
    pub fn with(self, change: &PairChange) -> Self {
        let newer = |rated: &Rated| self.rated.is_none_or(|known| known.version < rated.version);
        Self {
            bought: self.bought.saturating_add(change.bought),
            refunded: self.refunded.saturating_add(change.refunded),
            rated: change.rated.filter(newer).or(self.rated),
        }
    }

    /// What this adds to its product's summary.
    pub fn counted(&self) -> Counts {
        let mut counts = Counts::default();
        let Some(rated) = self.rated.filter(|rated| rated.visible) else {
            return counts;
        };
        let place = usize::from(rated.rating.clamp(1, 5).unsigned_abs()) - 1;
        counts.histogram[place] = 1;
        counts.verified = i64::from(self.verified());
        counts
    }
}

/// How often what was rated, or by how much that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Ratings of 1, 2, 3, 4 and 5.
    pub histogram: [i64; 5],
    /// Those with the mark of a verified purchase.
    pub verified: i64,
}

impl Counts {
    /// Adds what a pair adds after a change, and takes off what it added before.
    pub fn move_on(&mut self, before: &Standing, after: &Standing) {
        let (before, after) = (before.counted(), after.counted());
        for (place, sum) in self.histogram.iter_mut().enumerate() {
            *sum += after.histogram[place] - before.histogram[place];
        }
        self.verified += after.verified - before.verified;
    }

    /// Whether nothing changed.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(kind: &str, data: &Value) -> CloudEvent {
        serde_json::from_value(json!({
            "specversion": "1.0", "id": Uuid::new_v4(), "source": "/x", "type": kind, "subject": "x",
            "time": "2025-01-01T00:00:00Z", "datacontenttype": "application/json", "aggregateversion": 1, "data": data
        }))
        .unwrap()
    }

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    #[test]
    fn a_batch_changes_each_pair_once() {
        let order = |customer: Option<u128>, order: Option<u128>, lines: Value| json!({"order_id": order.map(id), "customer_id": customer.map(id), "lines": lines, "more": "fields"});
        let line = |product: u128, quantity: i64| json!({"product_id": id(product), "quantity": quantity, "unit_price": 5});
        let review = |version: i64, state: &str| json!({"review_id": id(9), "product_id": id(2), "author_id": id(1), "rating": 4, "state": state, "version": version});
        let events = [
            event(ORDER_REFUNDED, &order(Some(1), Some(7), json!([line(2, 1)]))),
            event(
                ORDER_CONFIRMED,
                &order(
                    Some(1),
                    Some(7),
                    json!([line(2, 1), line(2, 2), line(3, i64::MAX), line(4, -1)]),
                ),
            ),
            event(ORDER_CONFIRMED, &order(None, Some(8), json!([line(2, 1)]))),
            event(ORDER_REFUNDED, &order(Some(1), None, json!([line(2, 5)]))),
            event("order.placed.v1", &json!(null)),
            event("review.hidden.v1", &review(3, "hidden")),
            event("review.posted.v1", &review(1, "visible")),
            event("review.answered.v1", &json!(null)),
        ];
        let changes = Changes::read(&events).unwrap();
        let pair = |product| Pair {
            customer_id: id(1),
            product_id: id(product),
        };
        assert_eq!(changes.pairs.len(), 2);
        let change = changes.pairs[&pair(2)];
        assert_eq!((change.bought, change.refunded), (3, 1));
        assert_eq!(
            change.rated.map(|rated| (rated.version, rated.visible)),
            Some((3, false))
        );
        assert_eq!(changes.pairs[&pair(3)].bought, QUANTITY_MAX);
        assert!(Changes::read(&[event(ORDER_CONFIRMED, &json!({"lines": 5}))]).is_err());
    }

    #[test]
    fn of_an_author_the_newest_version_counts() {
        let user = |version: i64| {
            event(
                USER_UPDATED,
                &json!({"id": id(1), "name": format!("v{version}"), "active": true, "version": version}),
            )
        };
        for order in [[1, 2, 3], [3, 1, 2], [2, 3, 1]] {
            let changes = Changes::read(&order.map(user)).unwrap();
            assert_eq!(changes.authors[&id(1)].name, "v3");
        }
        let turned = json!({"id": id(1), "name": "\u{202E}Eve\n \u{200F}שלום", "active": true, "version": 1});
        let changes = Changes::read(&[event(USER_UPDATED, &turned)]).unwrap();
        assert_eq!(changes.authors[&id(1)].name, "Eve \u{200F}שלום");
    }

    #[test]
    fn counts_follow_marks_and_moderation() {
        let rated = |rating, visible, version| PairChange {
            rated: Some(Rated {
                rating,
                visible,
                version,
            }),
            ..PairChange::default()
        };
        let bought = |bought, refunded| PairChange {
            bought,
            refunded,
            rated: None,
        };
        let steps = [
            (rated(4, true, 1), [0, 0, 0, 1, 0], 0),
            (bought(2, 0), [0, 0, 0, 1, 0], 1),
            (bought(0, 1), [0, 0, 0, 1, 0], 1),
            (bought(0, 1), [0, 0, 0, 1, 0], 0),
            (bought(1, 0), [0, 0, 0, 1, 0], 1),
            (rated(1, true, 3), [1, 0, 0, 0, 0], 1),
            (rated(5, true, 2), [1, 0, 0, 0, 0], 1),
            (rated(1, false, 4), [0; 5], 0),
        ];
        let (mut standing, mut counts) = (Standing::default(), Counts::default());
        for (change, histogram, verified) in steps {
            let after = standing.with(&change);
            counts.move_on(&standing, &after);
            standing = after;
            assert_eq!(counts, Counts { histogram, verified }, "{change:?}");
        }
    }
}
