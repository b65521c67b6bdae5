//! Random sequences against a model.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tokio::runtime::Handle;

/// So many sequences, by this seed ([`seed`](crate::seed)).
pub fn sequences(cases: u32, seed: u64) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    }
}

/// Runs `check` with values of the strategy, one after the other; a failing one is shrunk to its shortest form. Needs a runtime
/// with several threads, since this one is blocked by it.
pub fn check_sequences<S: Strategy>(config: Config, values: &S, check: impl AsyncFn(S::Value)) {
    let outcome = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(values, |value| {
            Handle::current().block_on(check(value));
            Ok(())
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
