//! Any sequence of stock changes, reservations and waiting against the rules written down in memory.

use std::collections::BTreeMap;

use emporium_service_kit::Clock;
use emporium_test_kit::seed;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use time::Duration;
use uuid::Uuid;

use super::{events_tell_the_story, manual, product, request, stock, store};
use crate::model::StockChange;
use crate::store::Store;

/// One step of the model test; small numbers, so that steps meet each other.
#[derive(Debug, Clone)]
enum Step {
    Adjust {
        product: usize,
        delta: i64,
    },
    Hold {
        saga: usize,
        lines: Vec<(usize, i64)>,
        minutes: i64,
    },
    Commit {
        saga: usize,
    },
    Release {
        saga: usize,
        returns: bool,
    },
    Extend {
        saga: usize,
        minutes: i64,
    },
    Wait {
        minutes: i64,
    },
    Reap,
    Archive {
        product: usize,
    },
}

const PRODUCTS: usize = 3;
const SAGAS: usize = 5;

fn step() -> impl Strategy<Value = Step> {
    let lines = proptest::collection::btree_map(0..PRODUCTS, 1_i64..6, 1..=PRODUCTS);
    prop_oneof![
        3 => (0..PRODUCTS, -8_i64..12).prop_filter("not zero", |(_, delta)| *delta != 0)
            .prop_map(|(product, delta)| Step::Adjust { product, delta }),
        6 => (0..SAGAS, lines, 1_i64..12).prop_map(|(saga, lines, minutes)| Step::Hold { saga, lines: lines.into_iter().collect(), minutes }),
        5 => (0..SAGAS).prop_map(|saga| Step::Commit { saga }),
        3 => (0..SAGAS, any::<bool>()).prop_map(|(saga, returns)| Step::Release { saga, returns }),
        1 => (0..SAGAS, 1_i64..20).prop_map(|(saga, minutes)| Step::Extend { saga, minutes }),
        4 => (1_i64..10).prop_map(|minutes| Step::Wait { minutes }),
        2 => Just(Step::Reap),
        1 => (0..PRODUCTS * 6).prop_map(|product| Step::Archive { product }),
    ]
}

#[derive(Debug, Clone, PartialEq)]
enum Saga {
    Held { lines: Vec<(usize, i64)>, until: i64 },
    Committed(Vec<(usize, i64)>),
    Released,
    Expired,
}

/// The rules in memory, as plainly as can be.
#[derive(Debug, Default)]
struct Model {
    now: i64,
    on_hand: [i64; PRODUCTS],
    reserved: [i64; PRODUCTS],
    archived: [bool; PRODUCTS],
    sagas: BTreeMap<usize, Saga>,
}

impl Model {
    fn end(&mut self, saga: usize, lines: &[(usize, i64)], end: Saga) {
        for &(product, quantity) in lines {
            self.reserved[product] -= quantity;
            if matches!(end, Saga::Committed(_)) {
                self.on_hand[product] -= quantity;
            }
        }
        self.sagas.insert(saga, end);
    }

    /// Gives the code of the expected answer; `ok` when it works.
    fn run(&mut self, step: &Step) -> &'static str {
        match step {
            Step::Adjust { product, delta } => {
                if self.on_hand[*product] - self.reserved[*product] + delta < 0 {
                    return "stock-negative";
                }
                self.on_hand[*product] += delta;
            }
            Step::Hold { saga, lines, minutes } => return self.hold(*saga, lines, *minutes),
            Step::Commit { saga } => match self.sagas.get(saga).cloned() {
                None => return "not-found",
                Some(Saga::Committed(_)) => {}
                Some(Saga::Held { lines, until }) if until > self.now => {
                    self.end(*saga, &lines, Saga::Committed(lines.clone()));
                }
                Some(Saga::Held { lines, .. }) => {
                    self.end(*saga, &lines, Saga::Expired);
                    return "reservation-gone";
                }
                Some(_) => return "reservation-gone",
            },
            Step::Release { saga, returns } => match self.sagas.get(saga).cloned() {
                Some(Saga::Committed(lines)) if *returns => {
                    for (product, quantity) in lines {
                        self.on_hand[product] += quantity;
                    }
                    self.sagas.insert(*saga, Saga::Released);
                }
                Some(Saga::Committed(_)) => return "reservation-committed",
                Some(Saga::Held { lines, .. }) => self.end(*saga, &lines, Saga::Released),
                None => drop(self.sagas.insert(*saga, Saga::Released)),
                Some(_) => {}
            },
            Step::Extend { saga, minutes } => match self.sagas.get(saga).cloned() {
                None => return "not-found",
                Some(Saga::Held { lines, until }) if until > self.now => {
                    let until = until.max(self.now + minutes);
                    self.sagas.insert(*saga, Saga::Held { lines, until });
                }
                Some(Saga::Held { lines, .. }) => {
                    self.end(*saga, &lines, Saga::Expired);
                    return "reservation-gone";
                }
                Some(_) => return "reservation-gone",
            },
            Step::Wait { minutes } => self.now += minutes,
            Step::Reap => {
                for (saga, state) in self.sagas.clone() {
                    if let Saga::Held { lines, until } = state
                        && until <= self.now
                    {
                        self.end(saga, &lines, Saga::Expired);
                    }
                }
            }
            Step::Archive { product } => {
                if let Some(archived) = self.archived.get_mut(*product) {
                    *archived = true;
                }
            }
        }
        "ok"
    }

    fn hold(&mut self, saga: usize, lines: &[(usize, i64)], minutes: i64) -> &'static str {
        match self.sagas.get(&saga) {
            Some(Saga::Released) => "reservation-released",
            Some(Saga::Expired) => "reservation-gone",
            Some(Saga::Held { until, .. }) if *until <= self.now => "reservation-gone",
            Some(Saga::Held { lines: before, .. } | Saga::Committed(before)) if before != lines => {
                "reservation-differs"
            }
            Some(_) => "ok",
            None if lines.iter().any(|&(product, quantity)| {
                self.archived[product] || self.on_hand[product] - self.reserved[product] < quantity
            }) =>
            {
                "out-of-stock"
            }
            None => {
                for &(product, quantity) in lines {
                    self.reserved[product] += quantity;
                }
                let until = self.now + minutes;
                self.sagas.insert(
                    saga,
                    Saga::Held {
                        lines: lines.to_vec(),
                        until,
                    },
                );
                "ok"
            }
        }
    }
}

async fn carry_out(store: &Store, clock: &Clock, products: &[Uuid], sagas: &[Uuid], step: &Step) -> String {
    let answer = match step {
        Step::Adjust { product, delta } => {
            let change = StockChange {
                delta: *delta,
                reason: None,
            };
            store
                .change_stock(products[*product], &change, None)
                .await
                .map(drop)
        }
        Step::Hold { saga, lines, minutes } => {
            let lines: Vec<(Uuid, i64)> = lines
                .iter()
                .map(|&(p, quantity)| (products[p], quantity))
                .collect();
            store
                .hold(sagas[*saga], &request(store, &lines, *minutes))
                .await
                .map(drop)
        }
        Step::Commit { saga } => store.commit(sagas[*saga]).await.map(drop),
        Step::Release { saga, returns } => store.release(sagas[*saga], *returns).await,
        Step::Extend { saga, minutes } => store
            .extend(sagas[*saga], clock.now() + Duration::minutes(*minutes))
            .await
            .map(drop),
        Step::Wait { minutes } => {
            clock.advance(Duration::minutes(*minutes));
            Ok(())
        }
        Step::Reap => store.expire_step().await.map(drop),
        Step::Archive { product } => match products.get(*product) {
            Some(id) => store.archive(*id).await.map(drop),
            None => Ok(()),
        },
    };
    match answer {
        Ok(()) => "ok".to_owned(),
        Err(error) => emporium_service_kit::Problem::from(error).code.into_owned(),
    }
}

async fn follow_the_model(store: &Store, clock: &Clock, steps: &[Step]) {
    let mut model = Model::default();
    let mut products = Vec::new();
    for _ in 0..PRODUCTS {
        products.push(product(store, &Uuid::new_v4().to_string(), 0).await);
    }
    let sagas: Vec<Uuid> = (0..SAGAS).map(|_| Uuid::new_v4()).collect();
    for step in steps {
        let expected = model.run(step);
        assert_eq!(
            carry_out(store, clock, &products, &sagas, step).await,
            expected,
            "{step:?}"
        );
        for (n, id) in products.iter().enumerate() {
            assert_eq!(
                stock(store, *id).await,
                (model.on_hand[n], model.reserved[n]),
                "{step:?}"
            );
        }
    }
    for id in products {
        events_tell_the_story(store, id).await;
    }
    // Leave nothing behind that the next case's reaper would find.
    clock.advance(Duration::days(1));
    while store.expire_step().await.unwrap() > 0 {}
}

#[test]
fn reservations_follow_the_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let clock = manual();
    let store = runtime.block_on(store(&clock));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases: 40,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, rng)
        .run(&proptest::collection::vec(step(), 1..40), |steps| {
            runtime.block_on(follow_the_model(&store, &clock, &steps));
            Ok(())
        })
        .unwrap();
}
