//! Random sequences of everything against a model in memory.

use emporium_payments::{Error, LATE, NewCharge, Payments, SLOW_NOTICE};
use emporium_service_kit::{Clock, Currency, Money};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::oracle::{Model, Seen, amount, outcome};
use crate::{QUIET, Shop};

pub(crate) const TOKENS: [&str; 8] = [
    "tok_ok",
    "tok_decline",
    "tok_timeout",
    "tok_twice",
    "tok_later",
    "tok_slow",
    "tok_late",
    "tok_other",
];
pub(crate) const SAGAS: usize = 3;
const REFUNDS: usize = 4;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Put(usize, usize, bool),
    Get(usize),
    Void(usize),
    CallBack(usize, bool),
    Refund(usize, usize, i64),
    Advance(i64),
    Notices,
    Reconcile,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..SAGAS, 0..TOKENS.len(), prop::bool::weighted(0.9)).prop_map(|(saga, token, same)| Step::Put(saga, token, same)),
        2 => (0..SAGAS).prop_map(Step::Get),
        2 => (0..SAGAS).prop_map(Step::Void),
        2 => (0..SAGAS, any::<bool>()).prop_map(|(saga, yes)| Step::CallBack(saga, yes)),
        4 => (0..SAGAS, 0..REFUNDS, 1..120_i64).prop_map(|(saga, refund, amount)| Step::Refund(saga, refund, amount)),
        2 => (1..50_i64).prop_map(Step::Advance),
        2 => Just(Step::Notices),
        1 => Just(Step::Reconcile),
    ];
    prop::collection::vec(step, 1..30)
}

/// The real thing, and the ids that the model's numbers stand for.
struct Real {
    payments: Payments,
    clock: Clock,
    sagas: [Uuid; SAGAS],
    refunds: [Uuid; REFUNDS],
}

impl Real {
    /// Lets the late answers of the case before come, so that they are not taken for this one's.
    async fn settle_down(&self) {
        self.clock.advance(SLOW_NOTICE + LATE);
        while self.payments.notices_step().await.unwrap() > 0 {}
    }

    async fn step(&self, step: &Step) -> Seen {
        let gbp = |amount| Money::new(amount, Currency::GBP);
        let result = match *step {
            Step::Put(saga, token, same) => {
                let new = NewCharge {
                    saga_id: self.sagas[saga],
                    order_id: self.sagas[saga],
                    customer_id: None,
                    amount: gbp(amount(saga, same)),
                };
                self.payments.charge(new, TOKENS[token]).await
            }
            Step::Get(saga) => self.payments.find(self.sagas[saga]).await,
            Step::Void(saga) => self.payments.void(self.sagas[saga]).await,
            Step::CallBack(saga, yes) => self.payments.called_back(self.sagas[saga], outcome(yes)).await,
            Step::Refund(saga, refund, amount) => self
                .payments
                .refund(self.sagas[saga], self.refunds[refund], gbp(amount), "came back")
                .await
                .map(|(charge, _)| charge),
            Step::Advance(seconds) => {
                self.clock.advance(Duration::seconds(seconds));
                return Seen::Nothing;
            }
            Step::Notices => {
                while self.payments.notices_step().await.unwrap() > 0 {}
                return Seen::Nothing;
            }
            Step::Reconcile => {
                let start = (OffsetDateTime::UNIX_EPOCH, Uuid::nil());
                self.payments.reconcile_step(start).await.unwrap();
                return Seen::Nothing;
            }
        };
        match result {
            Ok(charge) => Seen::Charge(charge.state, charge.refunded.amount),
            Err(Error::UnknownCharge) => Seen::Unknown,
            Err(Error::ChargeDiffers) => Seen::Differs,
            Err(Error::ChargeVoided) => Seen::Voided,
            Err(Error::RefundDiffers) => Seen::RefundDiffers,
            Err(Error::RefundExceedsCharge(_)) => Seen::Exceeds,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Each case has sagas of its own in one shop; the books have to move as its model does.
#[tokio::test(flavor = "multi_thread")]
async fn random_sequences_do_as_the_model() {
    let clock = Clock::manual(datetime!(2026-01-01 12:00 UTC));
    let config = emporium_payments::config::Config {
        patience_ms: 1,
        ..QUIET
    };
    let shop = Shop::start_with(clock.clone(), config.clone()).await;
    let payments = Payments::open(&shop.payments.environment, &config).await.unwrap();
    let runtime = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    tokio::task::block_in_place(|| {
        runner
            .run(&steps(), |steps| {
                let real = Real {
                    payments: payments.clone(),
                    clock: clock.clone(),
                    sagas: std::array::from_fn(|_| Uuid::now_v7()),
                    refunds: std::array::from_fn(|_| Uuid::now_v7()),
                };
                runtime.block_on(real.settle_down());
                let before = runtime.block_on(shop.books());
                let (captured, refunded) = runtime.block_on(follow(&real, &steps));
                let after = runtime.block_on(shop.books());
                let moved: [i64; 4] = std::array::from_fn(|account| after[account] - before[account]);
                prop_assert_eq!(moved, [captured - refunded, -captured, refunded, 0]);
                Ok(())
            })
            .unwrap();
    });
    let stray: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM payments_charge WHERE refunded > amount
            OR refunded <> coalesce((SELECT sum(amount) FROM payments_refund AS r WHERE r.saga_id = payments_charge.saga_id), 0)",
    )
    .fetch_one(&shop.payments.db())
    .await
    .unwrap();
    assert_eq!(stray, 0);
}

/// Runs a sequence; gives what was captured and refunded.
async fn follow(real: &Real, steps: &[Step]) -> (i64, i64) {
    let mut model = Model::default();
    for (n, step) in steps.iter().enumerate() {
        let expected = model.step(step);
        assert_eq!(real.step(step).await, expected, "step {n}, {step:?} of {steps:?}");
    }
    let captured = model
        .charges
        .values()
        .filter(|charge| charge.captured)
        .map(|charge| charge.amount);
    (
        captured.sum(),
        model.charges.values().map(|charge| charge.refunded).sum(),
    )
}
