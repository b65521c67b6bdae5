//! `emporium reconcile`: analytics' figures, which are made from events, against the tables of record of orders and payments.
//!
//! Day by day, country by country, currency by currency, to the penny. Both sides are read while the shop is open, so a
//! difference of a row counts only when it stays though the owners have published and analytics has applied everything.

use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use time::{Date, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::data_dir::DataDir;
use crate::operator::Operator;
use crate::terminal::{Format, Later, say};

mod compare;
mod print;
mod settle;
mod totals;
mod wait;

use compare::{Compared, Difference};
use totals::Books;

/// What no owner sums up, so that there is nothing to compare it with.
const NOT_COMPARED: &str = "figures of products, of categories and of units sold, which no owner sums up";

/// Options of `emporium reconcile`.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// How long analytics may take to apply what was published when this command began, and differences to settle.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub wait: u64,
    /// How the outcome is printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether nothing differs, for good or for now.
    equal: bool,
    /// The first day there is anything of; null in an empty shop.
    #[serde(with = "emporium_service_kit::days::day::option")]
    from: Option<Date>,
    /// The last one.
    #[serde(with = "emporium_service_kit::days::day::option")]
    to: Option<Date>,
    /// Questions into which the days were parted.
    windows: usize,
    /// Where analytics' projection was on the bus after the comparison.
    position: Option<i64>,
    /// Everything that was published before this moment was in it.
    #[serde(with = "time::serde::rfc3339::option")]
    as_of: Option<OffsetDateTime>,
    /// What was compared, by kind and currency.
    compared: Vec<Compared>,
    /// Every row that differs, and stayed so though nothing that could mend it was under way.
    differences: Vec<Difference>,
    /// Rows that differed at every look, but moved, or waited for events on their way, until `--wait` was over.
    unsettled: Vec<Difference>,
    /// What was on its way at the last look, if any was needed.
    under_way: Option<String>,
    /// What of analytics' figures is not compared.
    not_compared: &'static str,
    /// What is in the books and in no comparison, and why.
    explained: print::Explained,
}

/// Runs `emporium reconcile`.
pub async fn reconcile(dir: &DataDir, options: &Options, stop: &CancellationToken) -> Result<(), Error> {
    let books = Books::of(&Operator::running(dir)?)?;
    let deadline = Instant::now() + Duration::from_secs(options.wait);
    let mut progress = Later::begin();
    let work = report(&books, deadline, &mut progress);
    let report = stop.run_until_cancelled(work).await;
    progress.end();
    let interrupted = || Error::Left("interrupted; nothing was changed".to_owned());
    let report = report.unwrap_or_else(|| Err(interrupted()))?;
    match options.format {
        Format::Json => say(serde_json::to_string(&report).unwrap_or_default()),
        Format::Table => print::print(&report),
    }
    verdict(&report)
}

fn verdict(report: &Report) -> Result<(), Error> {
    if report.equal {
        return Ok(());
    }
    if report.differences.is_empty() {
        return Err(Error::Away(format!(
            "{} rows differ, but something is still under way, so that nothing can be said: {}; wait longer with --wait",
            report.unsettled.len(),
            report
                .under_way
                .as_deref()
                .unwrap_or("the figures do not stand still")
        )));
    }
    Err(Error::Different(format!(
        "{} of the rows compared differ; `emporium rebuild analytics` makes analytics anew from the histories and tells what was wrong",
        report.differences.len()
    )))
}

async fn report(books: &Books, deadline: Instant, progress: &mut Later) -> Result<Report, Error> {
    wait::caught_up(books, deadline, progress).await?;
    let mut windows = Vec::new();
    let extent = books.extent().await?;
    for days in extent.map(totals::windows).unwrap_or_default() {
        books.compare(days, &mut windows, progress).await?;
    }
    let settled = settle::settle(books, &mut windows, deadline, progress).await?;
    let status = books.projection().await?;
    let compared = compare::summed(&windows);
    Ok(Report {
        equal: settled.differences.is_empty() && settled.unsettled.is_empty(),
        from: extent.map(|days| days.from),
        to: extent.map(|days| days.to),
        windows: windows.len(),
        position: status.group.position,
        as_of: status.group.as_of,
        explained: print::Explained::of(books, &compared, &status).await?,
        compared,
        differences: settled.differences,
        unsettled: settled.unsettled,
        under_way: settled.under_way,
        not_compared: NOT_COMPARED,
    })
}
