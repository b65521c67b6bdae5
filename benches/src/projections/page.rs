//! The tables of `docs/src/benchmarks.md` about projections. Everything with a number in it is made from the results' file.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use emporium_benches::stores::page::{Marks, put};

use super::also_bought::{self, GROWTH_AIM, MEDIUM};
use super::figures;
use super::ingest;
use super::lag;
use super::results::{AlsoBoughtPart, AlsoBoughtSize, FiguresPart, IngestPart, LagPart, Results};

const MARKS: Marks = Marks {
    begin: "<!-- projections: made by `emporium-benches projections page`, not by hand -->",
    end: "<!-- /projections -->",
};

/// Puts the results into the page between its marks. What was not measured is said to be missing.
pub fn render(results: &Path, page: &Path) -> anyhow::Result<()> {
    let results = Results::read(results)?;
    let text = std::fs::read_to_string(page).with_context(|| format!("reading {}", page.display()))?;
    let text = put(&text, MARKS, &figures(&results))?;
    std::fs::write(page, text).with_context(|| format!("writing {}", page.display()))
}

fn figures(results: &Results) -> String {
    const MISSING: &str = "Not measured yet.\n";
    let mut text = String::from("### Lag\n\n");
    text += &results.lag.as_ref().map_or(MISSING.to_owned(), lag_table);
    text += "\n### Lag while consumers are killed\n\n";
    text += &results.kills.as_ref().map_or(MISSING.to_owned(), lag_table);
    text += "\n### Customers who bought this also bought\n\n";
    text += &results
        .also_bought
        .as_ref()
        .map_or(MISSING.to_owned(), also_bought_table);
    text += "\n### Answers of analytics\n\n";
    text += &results.figures.as_ref().map_or(MISSING.to_owned(), figures_table);
    text += "\n### Events into ClickHouse\n\n";
    text += &results.ingest.as_ref().map_or(MISSING.to_owned(), ingest_table);
    text
}

/// Events a second into ClickHouse.
pub fn ingest_table(part: &IngestPart) -> String {
    let mut text =
        "| events go in | a batch | events | s | events/s |\n|---|---:|---:|---:|---:|\n".to_owned();
    for row in &part.rows {
        let batch = if row.batch == 0 {
            "the group's".to_owned()
        } else {
            row.batch.to_string()
        };
        let _ = writeln!(
            text,
            "| {} | {batch} | {} | {:.1} | {:.0} |",
            row.way, row.events, row.took_s, row.events_per_s
        );
    }
    let best = part.rows.iter().filter(|row| row.way == "adapter");
    let best = best.map(|row| row.events_per_s).fold(0.0, f64::max);
    let _ = writeln!(
        text,
        "\n- Aim, at least {:.0} events a second with the views in place: {}, with {best:.0}.\n- {}.\n- {} orders, {} products, seed {}; {}.",
        ingest::AIM,
        verdict(ingest::AIM, best),
        part.server,
        part.orders,
        part.products,
        part.seed,
        part.machine
    );
    text
}

/// Met or not, in words.
fn verdict(value: f64, aim: f64) -> &'static str {
    if value <= aim { "met" } else { "not met" }
}

/// One run of `lag`.
pub fn lag_table(part: &LagPart) -> String {
    let mut text = format!(
        "{:.0} orders a second and {:.0} changes of accounts, {:.0} s after a warm-up of {:.0} s, {} products; {} events of orders, \
         payments and users, {} events on the bus with those of the catalog.\n\n",
        part.orders_per_s,
        part.users_per_s,
        part.seconds,
        part.warm_up_s,
        part.products,
        part.published,
        part.on_bus
    );
    text += "| consumer | events | p50 ms | p99 ms | max ms |\n|---|---:|---:|---:|---:|\n";
    for lag in &part.lags {
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.0} | {:.0} |",
            lag.group, lag.events, lag.p50_ms, lag.p99_ms, lag.max_ms
        );
    }
    text.push('\n');
    write_kills(&mut text, part);
    write_proof(&mut text, part);
    let _ = writeln!(
        text,
        "- {} {:.2} cores were busy; the publisher's transactions were at worst {:.0} ms late; {:.1} s after the last event every \
         consumer had everything. Seed {}.\n- {}.",
        part.shared, part.busy_cores, part.publisher_late_max_ms, part.drained_s, part.seed, part.machine
    );
    text
}

/// What was killed, or else whether the aim is met, which is one of undisturbed consumers.
fn write_kills(text: &mut String, part: &LagPart) {
    let Some(killed) = &part.killed else {
        let worst = part.lags.iter().skip(1).map(|lag| lag.p99_ms).fold(0.0, f64::max);
        let aim = lag::AIM_MS;
        let _ = writeln!(
            text,
            "- Aim, p99 of each consumer ≤ {aim:.0} ms: {}.",
            verdict(worst, aim)
        );
        return;
    };
    let by: Vec<String> = killed
        .by_service
        .iter()
        .map(|(service, count)| format!("{service} {count}"))
        .collect();
    let _ = writeln!(
        text,
        "- {} processes killed with SIGKILL, {} of them with events waiting or under way: {}.",
        killed.kills,
        killed.at_work,
        by.join(", ")
    );
}

fn write_proof(text: &mut String, part: &LagPart) {
    let rows: usize = part.compared.iter().map(|table| table.rows).sum();
    let _ = writeln!(
        text,
        "- Nothing lost, nothing counted twice: {rows} rows of {} tables are what was published.",
        part.compared.len()
    );
    for rebuilt in &part.rebuilt {
        let _ = writeln!(
            text,
            "- Rebuild of `{}` from {} events of the histories in {:.1} s: {}.",
            rebuilt.projection,
            rebuilt.events,
            rebuilt.seconds,
            if rebuilt.equal { "equal" } else { "NOT EQUAL" }
        );
    }
}

/// One run of `also-bought`.
pub fn also_bought_table(part: &AlsoBoughtPart) -> String {
    let mut text = "| orders | goods | in baskets | store p50 ms | p99 ms | ÷ bare (rounds) | HTTP p50 ms | p99 ms | cached p50 ms | p99 ms |\n|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|\n".to_owned();
    for size in &part.sizes {
        for it in &size.goods {
            let (store, ratio) = (&it.store.adapter_us, it.store.ratio_p50);
            let _ = writeln!(
                text,
                "| {} | {} | {:.1} | {:.2} | {:.2} | {:.2} ({:.2}–{:.2}) | {:.2} | {:.2} | {:.2} | {:.2} |",
                size.orders,
                it.goods,
                it.baskets_mean,
                store.p50 / 1e3,
                store.p99 / 1e3,
                ratio.median,
                ratio.lowest,
                ratio.highest,
                it.http.p50_ms,
                it.http.p99_ms,
                it.cached.p50_ms,
                it.cached.p99_ms
            );
        }
    }
    text.push('\n');
    write_aims(&mut text, part);
    let filled: Vec<String> = part
        .sizes
        .iter()
        .map(|size| format!("{} in {:.0} s", size.orders, size.filled_s))
        .collect();
    let _ = writeln!(
        text,
        "- {} products; {}; one caller; {} rounds of {} s. Orders up to each size were applied by the projection itself: {}. Seed {}.\n- {}.",
        part.products,
        part.server,
        part.rounds,
        part.turn_s,
        filled.join(", "),
        part.seed,
        part.machine
    );
    text
}

fn write_aims(text: &mut String, part: &AlsoBoughtPart) {
    if let Some(size) = part.sizes.iter().find(|size| size.orders == MEDIUM) {
        let worst = size.goods.iter().map(|it| it.http.p99_ms).fold(0.0, f64::max);
        let aim = also_bought::AIM_MS;
        let _ = writeln!(
            text,
            "- Aim, uncached p99 ≤ {aim:.0} ms through HTTP at {MEDIUM} orders, whatever goods: {worst:.1} ms, {}.",
            verdict(worst, aim)
        );
    }
    let (Some(first), Some(last)) = (part.sizes.first(), part.sizes.last()) else {
        return;
    };
    if first.orders == last.orders {
        return;
    }
    for it in &last.goods {
        if let Some((p50, p99)) = growth(first, &it.goods, last) {
            let _ = writeln!(
                text,
                "- Growth from {} to {} orders, {}: p50 {p50:.2} times, p99 {p99:.2} times; aim ≤ {GROWTH_AIM:.0}: {}.",
                first.orders,
                last.orders,
                it.goods,
                verdict(p50.max(p99), GROWTH_AIM)
            );
        }
    }
}

/// How much longer the store takes for a kind of goods, p50 and p99.
fn growth(first: &AlsoBoughtSize, goods: &str, last: &AlsoBoughtSize) -> Option<(f64, f64)> {
    let of = |size: &AlsoBoughtSize| {
        size.goods
            .iter()
            .find(|it| it.goods == goods)
            .map(|it| it.store.adapter_us)
    };
    let (first, last) = (of(first)?, of(last)?);
    Some((last.p50 / first.p50, last.p99 / first.p99))
}

/// One run of `figures`.
pub fn figures_table(part: &FiguresPart) -> String {
    let mut text = "| question | p50 ms | p99 ms | max ms | calls |\n|---|---:|---:|---:|---:|\n".to_owned();
    for answer in &part.answers {
        let times = answer.times;
        let _ = writeln!(
            text,
            "| `{}` | {:.1} | {:.1} | {:.1} | {} |",
            answer.path, times.p50_ms, times.p99_ms, times.max_ms, times.calls
        );
    }
    let (worst, aim) = (
        part.answers
            .iter()
            .map(|answer| answer.times.p99_ms)
            .fold(0.0, f64::max),
        figures::AIM_MS,
    );
    let _ = writeln!(
        text,
        "\n- Aim, each answer below a second: {worst:.0} ms at worst (p99), {}.\n- {} orders of two years, {} products, {} activities of \
         visitors; through HTTP, one caller, nothing cached by the service. Seed {}.\n- {}.",
        verdict(worst, aim),
        part.orders,
        part.products,
        part.activities,
        part.seed,
        part.machine
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_said_to_be_missing() {
        let text = figures(&Results::default());
        assert_eq!(text.matches("Not measured yet.").count(), 5, "{text}");
        let page = format!("a\n{}\nold\n{}\nb\n", MARKS.begin, MARKS.end);
        let page = put(&page, MARKS, &text).unwrap();
        assert!(
            page.starts_with("a\n") && page.ends_with("\nb\n") && !page.contains("old"),
            "{page}"
        );
    }
}
