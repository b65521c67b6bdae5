//! Results as JSON, and as Markdown for the README.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::audit::Audited;
use crate::bench::{FlowResult, Flows, Generator, Plan, Side};
use crate::flows::Flow;
use crate::import::ImportResult;
use crate::machine::{Machine, Memory};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Said by whoever ran it, such as the date.
    pub label: Option<String>,
    /// Where.
    pub machine: Machine,
    /// The shop under load, if it was measured.
    pub shop: Option<ShopResults>,
    /// The import, if it was measured.
    pub import: Option<ImportResult>,
}

/// The shop under load.
#[derive(Debug, Serialize)]
pub struct ShopResults {
    /// The sample data's scale.
    pub scale: String,
    /// Products in the shop.
    pub products: usize,
    /// PostgreSQL's version.
    pub postgres: String,
    /// How long and how often.
    pub plan: Plan,
    /// Seconds until a new shop without data is ready.
    pub start_new_s: f64,
    /// Seconds until the filled shop is ready again.
    pub start_again_s: f64,
    /// Loading the sample data.
    pub seed: SeedResult,
    /// What the load generator can do and costs.
    pub generator: Generator,
    /// What a request sends to the databases, the same on both sides.
    pub statements: BTreeMap<&'static str, Audited>,
    /// The flows.
    pub flows: Flows,
    /// The shop's memory after all flows, without the database server.
    pub memory: Memory,
    /// Processor seconds of the whole run.
    pub cpu: Cpu,
    /// Mean time of calls between services over the run, in milliseconds, with their number.
    pub calls: BTreeMap<String, Call>,
}

/// Loading the sample data.
#[derive(Debug, Serialize)]
pub struct SeedResult {
    /// Seconds of `emporium seed`.
    pub seconds: f64,
    /// Records of all kinds.
    pub rows: u64,
    /// Rows per second.
    pub rows_per_s: f64,
}

/// Processor seconds.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names)] // the unit comes last
pub struct Cpu {
    pub shop_s: f64,
    pub postgres_s: f64,
    pub floor_s: f64,
    pub generator_s: f64,
}

/// Calls of one kind.
#[derive(Debug, Serialize)]
pub struct Call {
    /// How many.
    pub count: f64,
    /// How long each took on average.
    pub mean_ms: f64,
}

/// All tables.
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    let machine = &results.machine;
    let label = results
        .label
        .as_deref()
        .map(|label| format!(" {label}."))
        .unwrap_or_default();
    let _ = writeln!(text, "{}.{label}\n", machine.line());
    if let Some(shop) = &results.shop {
        write_shop(&mut text, shop);
    }
    if let Some(import) = &results.import {
        write_import(&mut text, import);
    }
    text
}

fn write_shop(text: &mut String, shop: &ShopResults) {
    let _ = writeln!(
        text,
        "{} products ({}), PostgreSQL {}; {} rounds of {} s; closed loop with 8 connections, open loop at half its rate.\n",
        shop.products, shop.scale, shop.postgres, shop.plan.rounds, shop.plan.seconds
    );
    text.push_str("| flow | shop /s | floor /s | ratio (spread) | shop p50 / p95 / p99 / max ms | floor p50 / p95 / p99 / max ms |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|\n");
    for flow in Flow::ALL {
        if let Some(result) = shop.flows.get(flow.name()) {
            write_flow(text, result);
        }
    }
    text.push_str("\n| flow | statements | commits | calls between services | CPU µs a request: shop + PostgreSQL | floor + PostgreSQL | generator | background after | others busy |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for flow in Flow::ALL {
        if let Some(result) = shop.flows.get(flow.name()) {
            write_cost(text, result, shop.statements.get(flow.name()));
        }
    }
    let (memory, seed, generator) = (shop.memory, &shop.seed, &shop.generator);
    let _ = writeln!(
        text,
        "\nMemory of the program after the run: {:.0} MB resident ({:.0} MB proportional, {:.0} MB at most). \
         Start: {:.1} s new, {:.1} s again. Seeding: {} rows in {:.1} s, {:.0}/s. \
         Generator: {:.0}/s against a handler that does nothing, {:.0} µs a request, own latency p50 {:.2} ms, p99 {:.2} ms.\n",
        memory.rss_mb,
        memory.pss_mb,
        memory.rss_peak_mb,
        shop.start_new_s,
        shop.start_again_s,
        seed.rows,
        seed.seconds,
        seed.rows_per_s,
        generator.null_per_s,
        generator.cpu_us_per_request,
        generator.null_latency_ms.p50,
        generator.null_latency_ms.p99
    );
}

fn write_flow(text: &mut String, result: &FlowResult) {
    let latency = |side: &Side| {
        let ms = side.latency_ms;
        format!("{:.2} / {:.2} / {:.2} / {:.1}", ms.p50, ms.p95, ms.p99, ms.max)
    };
    let floor = result.floor.as_ref();
    let ratio = result.ratio.zip(result.ratio_spread);
    let ratio = ratio.map(|(ratio, (low, high))| format!("{ratio:.2} ({low:.2}–{high:.2})"));
    let _ = writeln!(
        text,
        "| `{}` | {:.0} | {} | {} | {} | {} |",
        result.request,
        result.shop.throughput_per_s,
        floor.map_or("–".to_owned(), |floor| format!("{:.0}", floor.throughput_per_s)),
        ratio.unwrap_or("–".to_owned()),
        latency(&result.shop),
        floor.map_or("–".to_owned(), latency)
    );
}

fn write_cost(text: &mut String, result: &FlowResult, audited: Option<&Audited>) {
    let cpu = |side: &Side| format!("{:.0} + {:.0}", side.program_cpu_us, side.postgres_cpu_us);
    let _ = writeln!(
        text,
        "| `{}` | {} | {} | {:.1} | {} | {} | {:.0} | {:.1} s | {:.2} |",
        result.request,
        audited.map_or(format!("{:.1}", result.shop_store_calls), |audited| audited
            .statements
            .to_string()),
        audited.map_or("–".to_owned(), |audited| audited.commits.to_string()),
        result.shop_service_calls,
        cpu(&result.shop),
        result.floor.as_ref().map_or("–".to_owned(), cpu),
        result.shop.generator_cpu_us,
        result.shop.settled_after_s,
        result
            .floor
            .as_ref()
            .map_or(0.0, |floor| floor.others_cores)
            .max(result.shop.others_cores)
    );
}

fn write_import(text: &mut String, import: &ImportResult) {
    let seconds = |values: &[f64]| {
        values
            .iter()
            .map(|value| format!("{value:.2}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (low, high) = import.ratio_spread;
    let _ = writeln!(
        text,
        "| import of {} lines | seconds, each round |\n|---|---|\n\
         | `emporium import online-retail` into a fresh shop | {} ({:.0} lines/s) |\n\
         | plain `COPY` of the same file | {} |\n\
         | ratio copy / import (spread) | {:.2} ({low:.2}–{high:.2}) |\n\
         | the same import again, nothing new | {:.2} |\n\
         | memory of the program after it | {:.0} MB resident |\n",
        import.lines,
        seconds(&import.import_s),
        import.lines_per_s,
        seconds(&import.copy_s),
        import.ratio,
        import.repeated_s,
        import.memory.rss_mb
    );
}
