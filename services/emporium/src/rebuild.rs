//! `emporium rebuild`: makes a projection of the running shop anew from its owners' event histories, while the shop is open.
//!
//! The services do the work, and go on with it when this command is interrupted: it asks, looks on and tells what came of it.

use clap::{ArgGroup, Parser};
use comfy_table::Table;
use emporium_event_bus::projection::Compared;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::data_dir::DataDir;
use crate::operator::Operator;
use crate::projections::{self, Found, Method, Projection};
use crate::terminal::{Format, note, say};
use crate::twofold::{self, Twofold};
use crate::watch::count;

mod follow;

/// Options of `emporium rebuild`.
#[derive(Debug, Clone, Parser)]
#[command(group(ArgGroup::new("what").required(true).args(["projection", "all", "list"])))]
pub struct Options {
    /// The projection; `--list` names them.
    #[arg(value_name = "PROJECTION")]
    pub projection: Option<String>,
    /// All of them, one after the other.
    #[arg(long)]
    pub all: bool,
    /// Nothing is rebuilt: the projections there are, how far behind, and how each is rebuilt.
    #[arg(long)]
    pub list: bool,
    /// How the outcome is printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What came of a rebuild.
#[derive(Debug, Clone, Serialize)]
struct Outcome {
    projection: String,
    service: emporium_service_kit::ServiceName,
    method: Method,
    /// Null when there was nothing to compare with.
    equal: Option<bool>,
    /// The position on the bus at which both were compared; null when they were not.
    position: Option<i64>,
    /// Events that were read, or products that were indexed; null where the service does not count.
    items: Option<i64>,
    /// From asking to the end.
    seconds: f64,
    tables: Vec<Compared>,
    differences: Vec<String>,
}

/// Runs `emporium rebuild`.
pub async fn rebuild(dir: &DataDir, options: &Options, stop: &CancellationToken) -> Result<(), Error> {
    let operator = Operator::running(dir)?;
    let found = projections::find(&operator).await?;
    if options.list {
        return list(&found, options.format);
    }
    let wanted = choose(&found, options)?;
    let mut outcomes = Vec::with_capacity(wanted.len());
    let mut broken_off = Ok(());
    for projection in wanted {
        let work = stop.run_until_cancelled(follow::rebuild(&operator, projection));
        match work.await.unwrap_or_else(|| Err(left(projection))) {
            Ok(outcome) => {
                if options.format == Format::Table {
                    print(&outcome);
                }
                outcomes.push(outcome);
            }
            Err(error) => {
                broken_off = Err(error);
                break;
            }
        }
    }
    if options.format == Format::Json {
        say(serde_json::to_string(&outcomes).unwrap_or_default());
    }
    // What differed is known and stays true, whatever went wrong later.
    let verdict = verdict(&outcomes);
    if let (Err(_), Err(error)) = (&verdict, &broken_off) {
        note(error);
    }
    verdict.and(broken_off)
}

fn list(found: &Found, format: Format) -> Result<(), Error> {
    match format {
        Format::Json => say(projections::in_json(&found.projections)),
        Format::Table => say(projections::table(&found.projections)),
    }
    all_answered(found)
}

fn all_answered(found: &Found) -> Result<(), Error> {
    if found.away.is_empty() {
        return Ok(());
    }
    Err(Error::Away(found.away.join("; ")))
}

fn choose<'a>(found: &'a Found, options: &Options) -> Result<Vec<&'a Projection>, Error> {
    let Some(name) = &options.projection else {
        all_answered(found)?;
        let all = found.projections.iter();
        let (wanted, left_out): (Vec<_>, Vec<_>) = all.partition(|projection| projection.method.is_some());
        for projection in left_out {
            note(format_args!(
                "{}: left out, since it cannot be rebuilt.",
                projection.name
            ));
        }
        return Ok(wanted);
    };
    if let Some(projection) = found
        .projections
        .iter()
        .find(|projection| projection.name == *name)
    {
        return Ok(vec![projection]);
    }
    // It may be one of those who did not answer.
    all_answered(found)?;
    let names: Vec<&str> = found
        .projections
        .iter()
        .map(|projection| projection.name.as_str())
        .collect();
    Err(Error::Other(format!(
        "there is no projection {name:?}; there are {}",
        names.join(", ")
    )))
}

fn left(projection: &Projection) -> Error {
    let (name, service) = (&projection.name, projection.service);
    Error::Left(format!(
        "interrupted; the rebuild of {name} goes on in the {service} service, and `emporium rebuild {name}` looks on again"
    ))
}

/// What differed is a failure, though the rebuilt one is right: something had gone wrong before.
fn verdict(outcomes: &[Outcome]) -> Result<(), Error> {
    let different: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.equal == Some(false))
        .map(|outcome| outcome.projection.as_str())
        .collect();
    if different.is_empty() {
        return Ok(());
    }
    Err(Error::Different(format!(
        "the live {} was not what the histories give; the rebuilt one has replaced it",
        different.join(", ")
    )))
}

fn print(outcome: &Outcome) {
    say(headline(outcome));
    if !outcome.tables.is_empty() {
        say(table(&outcome.tables));
    }
    for line in &outcome.differences {
        say(format_args!("  {line}"));
    }
}

fn headline(outcome: &Outcome) -> String {
    let at = outcome.position.map_or_else(String::new, |position| {
        format!(" at position {}", count(position))
    });
    let took = format!("{:.1} s", outcome.seconds);
    let items = outcome.items.map(count).unwrap_or_default();
    let name = &outcome.projection;
    match (outcome.method, outcome.equal) {
        (Method::Beside, Some(true)) => {
            format!("{name}: equal{at}; {items} events read, switched after {took}")
        }
        (Method::Beside, Some(false)) => {
            format!("{name}: DIFFERENT{at}; {items} events read, switched after {took}")
        }
        (Method::Beside, None) => format!(
            "{name}: built for the bus, which had lost events or is new, so there was nothing to compare; {items} events read, {took}"
        ),
        (Method::Index, _) => format!(
            "{name}: {items} products in the new index, switched after {took}; indices are not compared, the products are the truth"
        ),
    }
}

fn table<'a>(tables: &'a [Compared]) -> Table {
    let both = |one: &'a Compared| Twofold {
        name: &one.table,
        rows: [one.rows_live, one.rows_rebuilt],
        digests: [one.digest_live.as_deref(), one.digest_rebuilt.as_deref()],
        equal: one.equal,
    };
    twofold::table(["live", "rebuilt"], tables.iter().map(both))
}
