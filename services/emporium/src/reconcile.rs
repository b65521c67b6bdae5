//! `emporium reconcile`: analytics' figures, which are made from events, against the tables of record of orders and payments.
//!
//! Day by day, country by country, currency by currency, to the penny. Both sides are read while the shop is open, so a
//! difference counts only when it stays: when the owners have published and analytics has applied everything, and both sides
//! say the same again.

use std::time::{Duration, Instant};

use clap::Parser;
use emporium_service_kit::days::Days;
use serde::Serialize;
use time::{Date, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::data_dir::DataDir;
use crate::operator::Operator;
use crate::terminal::{Format, Later, say};

mod compare;
mod print;
mod totals;
mod wait;

use compare::{Compared, Difference};
use totals::Books;

/// How long differences have to stay before they are believed: longer than relays and consumers take to notice anything.
const SETTLED: Duration = Duration::from_secs(3);
/// The pause between looks at days that differ.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

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
    /// Whether nothing differs.
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
    /// Every row that differs.
    differences: Vec<Difference>,
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
    if report.equal {
        return Ok(());
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
    settle(books, &mut windows, deadline, progress).await?;
    let status = books.projection().await?;
    let compared = compare::summed(&windows);
    let differences = compare::differences(&windows);
    Ok(Report {
        equal: differences.is_empty(),
        from: extent.map(|days| days.from),
        to: extent.map(|days| days.to),
        windows: windows.len(),
        position: status.group.position,
        as_of: status.group.as_of,
        explained: print::Explained::of(books, &compared, &status).await?,
        compared,
        differences,
    })
}

/// Looks again at the days that differ until they agree, or until the same rows differ in the same way though nothing is
/// under way.
async fn settle(
    books: &Books,
    windows: &mut [(Days, compare::Window)],
    deadline: Instant,
    progress: &mut Later,
) -> Result<(), Error> {
    let mut since = Instant::now();
    let mut before = compare::differences(windows);
    let mut quiet = false;
    while !before.is_empty() {
        if quiet && since.elapsed() > SETTLED {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::Away(format!(
                "{} rows differ, but something is still under way, so that nothing can be said: {}; wait longer with --wait",
                before.len(),
                books
                    .under_way()
                    .await?
                    .unwrap_or_else(|| "the figures do not stand still".to_owned())
            )));
        }
        progress.tell(format_args!(
            "{} rows differ; looking whether they stay so",
            before.len()
        ));
        tokio::time::sleep(LOOK_AGAIN).await;
        // Asked first: what is applied by then is in what is read next.
        let idle = books.under_way().await?.is_none();
        for (days, window) in windows.iter_mut().filter(|(_, window)| window.differs()) {
            *window = books.ask(*days).await?;
        }
        let now = compare::differences(windows);
        if now != before || !idle {
            since = Instant::now();
        }
        quiet = idle;
        before = now;
    }
    Ok(())
}
