//! The measuring harness: the shop against a bare floor. `benches/README.md` says how to run it, `benches/rules.md` what its
//! figures mean.

use std::process::ExitCode;

use emporium_benches::{http, load, machine};

mod audit;
mod bench;
mod counters;
mod floor;
mod flows;
mod harness;
mod import;
mod open_loop;
mod prepare;
mod process;
mod profile;
mod projections;
mod report;

fn main() -> ExitCode {
    // One file is all the programs of a run: the harness starts itself again under other names.
    match std::env::args_os()
        .next()
        .as_deref()
        .and_then(std::ffi::OsStr::to_str)
    {
        Some(process::SHOP) => process::shop_main(),
        Some(process::FLOOR) => floor::main(),
        Some(open_loop::SERVICE) => open_loop::service_main(),
        Some(open_loop::NOTHING) => open_loop::nothing_main(),
        Some(projections::SERVICE) => projections::service_main(),
        _ => harness::main(),
    }
}
