//! Random sequences of operations, compared with a plain in-memory model of what a cart is. The model is written from the
//! contract, not from the adapters.

use std::collections::BTreeMap;

use emporium_service_kit::Clock;
use emporium_test_kit::{check_sequences, sequences};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Store, at};
use crate::model::{CartKey, CartKind, DroppedLine, Line, Lines, StoredCart};
use crate::store::{Merged, Purchase, SetLine};

const SEQUENCES: u32 = 600;
const MEMORY: Duration = Duration::days(60);

/// Who and what are small numbers, so that operations meet.
#[derive(Debug, Clone)]
enum Operation {
    Set {
        cart: u8,
        product: u8,
        quantity: u16,
    },
    Remove {
        cart: u8,
        product: u8,
    },
    Clear {
        cart: u8,
    },
    Merge {
        user: u8,
        visitor: u8,
    },
    Purchase {
        user: u8,
        saga: u8,
        lines: Vec<(u8, u32)>,
    },
    Find {
        cart: u8,
    },
    Wait {
        seconds: i64,
    },
    Reap,
}

fn operation() -> impl Strategy<Value = Operation> {
    let quantity = prop_oneof![1..=5u16, 990..=999u16];
    let bought = proptest::collection::vec((0..4u8, 1..=6u32), 1..4);
    let seconds =
        prop_oneof![5 => 0..100i64, 1 => Just(29 * 86_400), 1 => Just(31 * 86_400), 1 => Just(70 * 86_400)];
    prop_oneof![
        8 => (0..4u8, 0..4u8, quantity).prop_map(|(cart, product, quantity)| Operation::Set { cart, product, quantity }),
        2 => (0..4u8, 0..4u8).prop_map(|(cart, product)| Operation::Remove { cart, product }),
        1 => (0..4u8).prop_map(|cart| Operation::Clear { cart }),
        3 => (0..2u8, 0..2u8).prop_map(|(user, visitor)| Operation::Merge { user, visitor }),
        3 => (0..2u8, 0..3u8, bought).prop_map(|(user, saga, lines)| Operation::Purchase { user, saga, lines }),
        1 => (0..4u8).prop_map(|cart| Operation::Find { cart }),
        2 => seconds.prop_map(|seconds| Operation::Wait { seconds }),
        1 => Just(Operation::Reap),
    ]
}

/// The model: carts and remembered sagas in maps, and the present.
struct Model {
    namespace: u128,
    now: OffsetDateTime,
    carts: BTreeMap<CartKey, StoredCart>,
    sagas: BTreeMap<(Uuid, Uuid), OffsetDateTime>,
}

impl Model {
    fn new() -> Self {
        Self {
            namespace: Uuid::new_v4().as_u128() & !0xffff,
            now: Clock::System.now(),
            carts: BTreeMap::new(),
            sagas: BTreeMap::new(),
        }
    }

    fn id(&self, what: u16) -> Uuid {
        Uuid::from_u128(self.namespace + u128::from(what))
    }

    fn product(&self, n: u8) -> Uuid {
        self.id(0x100 + u16::from(n))
    }

    /// Carts 0 and 1 are customers', 2 and 3 visitors'.
    fn key(&self, n: u8) -> CartKey {
        let kind = if n < 2 {
            CartKind::User
        } else {
            CartKind::Anonymous
        };
        let id = self.id(0x200 + u16::from(n));
        CartKey { kind, id }
    }

    fn live(&self, key: CartKey) -> Option<StoredCart> {
        self.carts
            .get(&key)
            .filter(|cart| cart.expires_at > self.now)
            .cloned()
    }

    fn fresh(&self) -> StoredCart {
        StoredCart {
            revision: 0,
            lines: Lines::new(),
            updated_at: self.now,
            expires_at: self.now,
        }
    }

    /// Ends a write: counts it if it changed something, moves the expiry, keeps the cart.
    fn keep(&mut self, key: CartKey, mut cart: StoredCart, before: &Lines) -> StoredCart {
        if cart.lines != *before {
            cart.revision += 1;
            cart.updated_at = self.now;
        }
        cart.expires_at = at(self.now).expires_at;
        self.carts.insert(key, cart.clone());
        cart
    }

    fn set(&mut self, key: CartKey, product: Uuid, quantity: u16) -> StoredCart {
        let mut cart = self.live(key).unwrap_or_else(|| self.fresh());
        let before = cart.lines.clone();
        let added_at = before.get(&product).map_or(self.now, |line| line.added_at);
        cart.lines.insert(product, Line { quantity, added_at });
        self.keep(key, cart, &before)
    }

    fn retain(&mut self, key: CartKey, kept: impl Fn(&Uuid) -> bool) -> Option<StoredCart> {
        let mut cart = self.live(key)?;
        let before = cart.lines.clone();
        cart.lines.retain(|product, _| kept(product));
        Some(self.keep(key, cart, &before))
    }

    fn merge(&mut self, user: CartKey, visitor: CartKey) -> Merged {
        let incoming = self.live(visitor).map(|cart| cart.lines).unwrap_or_default();
        self.carts.remove(&visitor);
        let mut dropped = Vec::new();
        if incoming.is_empty() {
            let cart = self.live(user);
            return Merged { cart, dropped };
        }
        let mut cart = self.live(user).unwrap_or_else(|| self.fresh());
        let before = cart.lines.clone();
        for (product_id, line) in incoming {
            let had = before.get(&product_id);
            let sum = had.map_or(0, |line| line.quantity) + line.quantity;
            let added_at = had.map_or(line.added_at, |line| line.added_at);
            let quantity = if sum > 999 { 999 } else { sum };
            cart.lines.insert(product_id, Line { quantity, added_at });
            if sum > 999 {
                let quantity = sum - 999;
                dropped.push(DroppedLine { product_id, quantity });
            }
        }
        let cart = Some(self.keep(user, cart, &before));
        Merged { cart, dropped }
    }

    fn take(&mut self, user: CartKey, saga: Uuid, lines: &BTreeMap<Uuid, u32>) -> Option<StoredCart> {
        if self
            .sagas
            .get(&(user.id, saga))
            .is_some_and(|until| *until > self.now)
        {
            return self.live(user);
        }
        self.sagas.insert((user.id, saga), self.now + MEMORY);
        let mut cart = self.live(user)?;
        let before = cart.lines.clone();
        for (product, bought) in lines {
            if let Some(line) = cart.lines.get_mut(product) {
                let left = u32::from(line.quantity).saturating_sub(*bought);
                line.quantity = u16::try_from(left).unwrap();
            }
        }
        cart.lines.retain(|_, line| line.quantity > 0);
        Some(self.keep(user, cart, &before))
    }
}

/// Does one operation to both and compares what they give.
async fn step(store: &Store, model: &mut Model, operation: &Operation) {
    let moment = at(model.now);
    match operation {
        Operation::Set {
            cart,
            product,
            quantity,
        } => {
            let (key, product) = (model.key(*cart), model.product(*product));
            let given = store.set_line(key, product, *quantity, moment).await.unwrap();
            assert_eq!(given, SetLine::Done(model.set(key, product, *quantity)));
        }
        Operation::Remove { cart, product } => {
            let (key, product) = (model.key(*cart), model.product(*product));
            let given = store.remove_line(key, product, moment).await.unwrap();
            assert_eq!(given, model.retain(key, |id| *id != product));
        }
        Operation::Clear { cart } => {
            let key = model.key(*cart);
            store.clear(key, moment).await.unwrap();
            model.retain(key, |_| false);
        }
        Operation::Merge { user, visitor } => {
            let (user, visitor) = (model.key(*user), model.key(2 + visitor));
            let mut given = store.merge(user.id, visitor.id, moment).await.unwrap();
            given.dropped.sort_by_key(|line| line.product_id);
            assert_eq!(given, model.merge(user, visitor));
        }
        Operation::Purchase { user, saga, lines } => {
            let (user, saga_id) = (model.key(*user), model.id(0x300 + u16::from(*saga)));
            let purchase = Purchase {
                user_id: user.id,
                saga_id,
                quantities: lines
                    .iter()
                    .map(|(n, quantity)| (model.product(*n), *quantity))
                    .collect(),
                remembered_until: model.now + MEMORY,
            };
            let given = store.take_purchase(&purchase, moment).await.unwrap();
            assert_eq!(given, model.take(user, saga_id, &purchase.quantities));
        }
        Operation::Find { cart } => compare(store, model, model.key(*cart)).await,
        Operation::Wait { seconds } => model.now += Duration::seconds(*seconds),
        // Nobody may notice the reaper.
        Operation::Reap => {
            store.reap(model.now, 100).await.unwrap();
        }
    }
}

async fn compare(store: &Store, model: &Model, key: CartKey) {
    assert_eq!(store.find(key, model.now).await.unwrap(), model.live(key));
}

/// Checks many random sequences. `EMPORIUM_TEST_SEED` repeats a run.
pub fn check(store: &Store) {
    let config = sequences(SEQUENCES, emporium_test_kit::seed());
    let operations = proptest::collection::vec(operation(), 1..30);
    check_sequences(config, &operations, async |operations| {
        let mut model = Model::new();
        for operation in &operations {
            step(store, &mut model, operation).await;
        }
        for cart in 0..4 {
            compare(store, &model, model.key(cart)).await;
        }
    });
}
