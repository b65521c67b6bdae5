//! `emporium seed` and `emporium import`: data for the shop, through each owner's own bulk interface.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Parser, Subcommand};
use emporium_seed::{
    BulkTarget, DEFAULT_SEED, LoadOutcome, Scale, Targets, load_generated, load_icecat, load_online_retail,
};
use emporium_service_kit::client::http_builder;
use emporium_service_kit::{ServiceName, StoreUrls};
use indicatif::HumanCount;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::data_dir::DataDir;
use crate::operator::{Operator, with_shop};
use crate::terminal::{Bars, note, say};

/// The file that tells which sample data the database has.
pub const SAMPLE_FILE: &str = "sample.json";

/// Options of `emporium seed`.
#[derive(Debug, Clone, Parser)]
pub struct SeedOptions {
    /// tiny, small, medium or large: about 200, 2,000, 50,000 or 1,000,000 products.
    #[arg(long, default_value = "small")]
    pub scale: Scale,
    /// The same seed gives the same data.
    #[arg(long, default_value_t = DEFAULT_SEED)]
    pub seed: u64,
}

/// The data sets that can be imported.
#[derive(Debug, Clone, Subcommand)]
pub enum Import {
    /// The UK gift shop's invoices ("Online Retail II"), CSV, plain or gzipped.
    OnlineRetail(ImportOptions),
    /// The Icecat catalogue, JSON lines, plain or gzipped.
    Icecat(ImportOptions),
}

/// Options of an import.
#[derive(Debug, Clone, Parser)]
pub struct ImportOptions {
    /// The data set's file.
    pub file: PathBuf,
    /// Where lines go that cannot be loaded, with number and reason [default: <FILE's name>.rejected.csv in this folder]
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
}

impl ImportOptions {
    fn rejects(&self) -> PathBuf {
        self.rejects.clone().unwrap_or_else(|| {
            let name = self
                .file
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let path = PathBuf::from(format!("{name}.rejected.csv"));
            std::path::absolute(&path).unwrap_or(path)
        })
    }
}

/// Runs `emporium seed`.
pub async fn seed(
    stores: StoreUrls,
    dir: &DataDir,
    options: &SeedOptions,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let started = Instant::now();
    let outcome = with_shop(stores, dir, stop, async |operator| {
        Box::pin(generate(operator, options.scale, options.seed)).await
    })
    .await?;
    print_outcome(&outcome, started)
}

/// Runs `emporium import`.
pub async fn import(
    stores: StoreUrls,
    dir: &DataDir,
    import: &Import,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let (Import::OnlineRetail(options) | Import::Icecat(options)) = import;
    check_readable(&options.file)?;
    let started = Instant::now();
    let (outcome, report) = with_shop(stores, dir, stop, async |operator| {
        Box::pin(import_into(operator, import)).await
    })
    .await?;
    say(report);
    let rejects = options.rejects();
    if rejects.exists() {
        say(format_args!("Rejected lines: {}", rejects.display()));
    }
    print_outcome(&outcome, started)
}

async fn import_into(operator: &Operator, import: &Import) -> Result<(LoadOutcome, String), Error> {
    let (Import::OnlineRetail(options) | Import::Icecat(options)) = import;
    let (targets, bars) = (targets(operator)?, Bars::default());
    bars.reading(&options.file);
    let (file, rejects, progress) = (&options.file, options.rejects(), bars.listener());
    let loaded = match import {
        Import::OnlineRetail(_) => load_online_retail(&targets, file, &rejects, &progress)
            .await
            .map(|(report, outcome)| (outcome, report.to_string())),
        Import::Icecat(_) => load_icecat(&targets, file, &rejects, &progress)
            .await
            .map(|(report, outcome)| (outcome, report.to_string())),
    };
    bars.clear();
    Ok(loaded?)
}

/// Which sample data the shop has, so that an interrupted load is completed at the next start.
#[derive(Serialize, Deserialize)]
struct Sample {
    scale: String,
    complete: bool,
}

/// Loads sample data of `scale` into a shop that has no products, and completes a load that was interrupted.
pub async fn sample_if_empty(dir: &DataDir, operator: &Operator, scale: Scale) -> Result<(), Error> {
    let scale = match dir.read::<Sample>(SAMPLE_FILE)? {
        Some(sample) if sample.complete => return Ok(()),
        Some(sample) => sample.scale.parse().unwrap_or(scale),
        None if is_empty(operator).await? => scale,
        None => return Ok(()),
    };
    let mut sample = Sample {
        scale: scale.name().to_owned(),
        complete: false,
    };
    dir.write(SAMPLE_FILE, &sample)?;
    note(format_args!(
        "The shop is empty; loading {scale} sample data ({} products).",
        scale.products()
    ));
    let outcome = generate(operator, scale, DEFAULT_SEED).await?;
    // A demo customer's address that somebody else has, for example: no reason to keep the shop closed.
    if let Some(refused) = outcome.refused() {
        note(format_args!("warning: {refused}"));
    }
    sample.complete = true;
    dir.write(SAMPLE_FILE, &sample)
}

async fn is_empty(operator: &Operator) -> Result<bool, Error> {
    #[derive(Deserialize)]
    struct Listing {
        items: Vec<serde_json::Value>,
    }
    let listing: Listing = operator
        .client(ServiceName::Gateway, ServiceName::Catalog)?
        .get("/products")
        .query(&[("limit", "1")])
        .send()
        .await
        .map_err(|source| Error::Call {
            what: "looking whether the shop is empty",
            source,
        })?;
    Ok(listing.items.is_empty())
}

async fn generate(operator: &Operator, scale: Scale, seed: u64) -> Result<LoadOutcome, Error> {
    let (targets, bars) = (targets(operator)?, Bars::default());
    let outcome = load_generated(&targets, scale, seed, &bars.listener()).await;
    bars.clear();
    Ok(outcome?)
}

fn targets(operator: &Operator) -> Result<Targets, Error> {
    let client = http_builder()
        .build()
        .map_err(|error| Error::Other(format!("cannot call the services: {error}; try again")))?;
    let target = |service| {
        Ok::<_, Error>(BulkTarget {
            url: operator.url(service),
            token: operator.token(service)?,
            extra: Vec::new(),
        })
    };
    Ok(Targets {
        client,
        currency: emporium_seed::records::Currency::GBP,
        users: target(ServiceName::Users)?,
        catalog: target(ServiceName::Catalog)?,
        orders: target(ServiceName::Orders)?,
        payments: target(ServiceName::Payments)?,
        reviews: target(ServiceName::Reviews)?,
    })
}

/// What an owner refuses was never going to be refused by a right importer: it is an error, not a footnote.
fn print_outcome(outcome: &LoadOutcome, started: Instant) -> Result<(), Error> {
    for (what, answer) in &outcome.answers {
        let (new, same) = (HumanCount(answer.loaded), HumanCount(answer.unchanged));
        say(format_args!(
            "{what:12} {new} new, {same} there already, {} refused",
            answer.rejected_count
        ));
    }
    say(format_args!("Took {:.1} s.", started.elapsed().as_secs_f64()));
    outcome.refused().map_or(Ok(()), |refused| Err(refused.into()))
}

fn check_readable(file: &Path) -> Result<(), Error> {
    std::fs::File::open(file).map(|_| ()).map_err(|error| {
        Error::Other(format!(
            "cannot read {}: {error}; give the path of the data set",
            file.display()
        ))
    })
}
