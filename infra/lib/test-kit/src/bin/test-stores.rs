//! Runs a command, mostly `cargo test`, with the real stores that its tests share:
//! `cargo run -p emporium-test-kit --bin test-stores -- cargo test --workspace`.

use std::process::ExitCode;

use emporium_test_kit::stores::runner::{self, Arguments};

const USAGE: &str = "usage: test-stores [--wait] [--] COMMAND [ARGUMENT…]
Starts Redis, a Redis Cluster and Elasticsearch, runs the command, ends them, and lists the tests that could not run.
--wait    start the command only when they are there, with EMPORIUM_TEST_REDIS, EMPORIUM_TEST_REDIS_CLUSTER and
          EMPORIUM_TEST_ELASTICSEARCH in its environment";

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = Arguments::read(std::env::args_os().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match runner::run(arguments).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("test-stores: cannot run the command: {error}");
            ExitCode::from(127)
        }
    }
}
