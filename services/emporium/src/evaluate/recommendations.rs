//! `emporium evaluate recommendations`: what would have been suggested on a day, against what customers bought next.
//!
//! What is measured, and how, is the service's own module [`emporium_recommendations::evaluation`]. Here its input is read
//! (the data set's file, or the gift shop's orders in the shop), the service gets an empty database, and the figures are
//! printed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use clap::Parser;
use comfy_table::{Table, presets};
use emporium_recommendations::evaluation::{Baselines, Basket, Figures, LENGTH, Method, Split, Test};
use emporium_recommendations::model::Scope;
use emporium_service_kit::StoreUrls;
use serde_json::{Map, Value, json};
use time::Date;
use time::macros::format_description;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::data_dir::DataDir;
use crate::operator::with_shop;
use crate::terminal::{Format, Later, say};

mod file;
mod service;
mod shop;

/// The service's name among the methods.
const SERVICE: &str = "service";
/// The scopes with their names, in the order in which they are printed.
const SCOPES: [(&str, Scope); 2] = [("new", Scope::New), ("all", Scope::All)];

/// Options of `emporium evaluate recommendations`.
#[derive(Debug, Clone, Parser)]
pub struct RecommendationsOptions {
    /// The gift shop's file ("Online Retail II"), CSV, plain or gzipped [default: the gift shop's orders that the shop has]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Orders before this day (UTC) are learnt from; from it on, each known customer's first basket is the test.
    #[arg(long, value_name = "DATE")]
    pub split: String,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// The store on which the service is measured: an *empty* one that `EMPORIUM_RECOMMENDATIONS_STORE` could name, such as
    /// `neo4j://user:password@host?shop=evaluation`; what it learns stays there [default: a PostgreSQL made for this]
    #[arg(
        long,
        value_name = "URL",
        env = "EMPORIUM_EVALUATE_ON",
        hide_env_values = true
    )]
    pub on: Option<String>,
    /// Where the lists go, as CSV: method, scope, customer, rank, code.
    #[arg(long, value_name = "FILE")]
    pub dump: Option<PathBuf>,
}

/// The lists of one method and scope: by customer, in their order; only customers who count.
struct Lists {
    method: &'static str,
    scope: &'static str,
    by_customer: Vec<(String, Vec<String>)>,
    figures: Figures,
}

/// Runs `emporium evaluate recommendations`. The data folder is asked for when the orders are the shop's.
pub async fn recommendations(
    stores: StoreUrls,
    dir: impl FnOnce() -> Result<DataDir, Error>,
    options: &RecommendationsOptions,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let date = read_date(&options.split)?;
    let on = options.on.as_deref().map(service::setting).transpose()?;
    let dump = options.dump.as_deref().map(Dump::begin).transpose()?;
    let baskets = match &options.file {
        Some(file) => file::baskets(file, stop).await?,
        None => {
            with_shop(stores, &dir()?, stop, async |operator| {
                Box::pin(shop::baskets(operator)).await
            })
            .await?
        }
    };
    let split = split(baskets, date)?;
    let lists = measure(split, on, stop).await?;
    if let Some(dump) = dump {
        dump.finish(&lists)?;
    }
    match options.format {
        Format::Json => say(in_json(&lists)),
        Format::Table => say(in_table(&lists)),
    }
    Ok(())
}

fn read_date(text: &str) -> Result<Date, Error> {
    let shape = format_description!("[year]-[month]-[day]");
    Date::parse(text, shape).map_err(|_| {
        Error::Other(format!(
            "--split {text:?} is no date; write one such as 2011-06-09"
        ))
    })
}

fn split(baskets: Vec<Basket>, date: Date) -> Result<Split, Error> {
    let days = baskets.iter().map(|basket| basket.at.date());
    let (Some(first), Some(last)) = (days.clone().min(), days.max()) else {
        return Err(Error::Other(
            "there are no orders of known customers to learn from; load them with `emporium import online-retail FILE`, or name the file"
                .to_owned(),
        ));
    };
    let refused = |why: &str| {
        Error::Other(format!(
            "--split {date}: {why}; the first order is of {first}, the last one of {last}: choose a day after the first, up to the last"
        ))
    };
    if date <= first {
        return Err(refused("there is no order before it to learn from"));
    }
    if date > last {
        return Err(refused("there is no order from it on to test with"));
    }
    let split = Split::at(baskets, date);
    if split.tests.is_empty() {
        return Err(refused("nobody who ordered before it ordered again"));
    }
    Ok(split)
}

async fn measure(split: Split, on: Option<StoreUrls>, stop: &CancellationToken) -> Result<Vec<Lists>, Error> {
    let mut progress = Later::begin();
    progress.tell("the simple methods");
    let (train, tests) = (split.train, split.tests);
    let simple = tokio::task::spawn_blocking({
        let stop = stop.clone();
        move || {
            let lists = simple(&train, &tests, &stop);
            (train, tests, lists)
        }
    });
    let (train, tests, mut lists) = simple
        .await
        .map_err(|error| Error::Other(format!("the simple methods failed: {error}; try again")))?;
    if stop.is_cancelled() {
        return Err(interrupted());
    }
    let served = match on {
        None => service::lists(&train, &tests, &mut progress, stop).await,
        Some(urls) => service::lists_on(urls, &train, &tests, &mut progress, stop).await,
    };
    progress.end();
    lists.extend(served?);
    // By scope, then as the methods are named.
    lists.sort_by_key(|lists| SCOPES.iter().position(|(scope, _)| *scope == lists.scope));
    Ok(lists)
}

fn interrupted() -> Error {
    Error::Left("interrupted; nothing was changed".to_owned())
}

fn simple(train: &[Basket], tests: &[Test], stop: &CancellationToken) -> Vec<Lists> {
    let baselines = Baselines::of(train);
    let mut all = Vec::new();
    for (name, scope) in SCOPES {
        for method in Method::ALL {
            let counted = tests.iter().filter(|test| !test.truth(scope).is_empty());
            let lists = counted
                .take_while(|_| !stop.is_cancelled())
                .map(|test| (test, baselines.list(method, scope, test)))
                .collect();
            all.push(Lists::of(method.name(), (name, scope), lists));
        }
    }
    all
}

impl Lists {
    /// Lists with what they come to.
    fn of(
        method: &'static str,
        (name, scope): (&'static str, Scope),
        lists: Vec<(&Test, Vec<String>)>,
    ) -> Self {
        let results: Vec<_> = lists
            .iter()
            .filter_map(|(test, list)| test.result(scope, list))
            .collect();
        Self {
            method,
            scope: name,
            figures: Figures::of(&results),
            by_customer: lists
                .into_iter()
                .map(|(test, list)| (test.customer.clone(), list))
                .collect(),
        }
    }
}

fn in_json(lists: &[Lists]) -> Value {
    let of = |figures: &Figures| {
        json!({
            "recall_at_10": figures.recall,
            "recall_at_10_se": figures.recall_se,
            "hit_rate_at_10": figures.hit_rate,
            "hit_rate_at_10_se": figures.hit_rate_se,
            "customers": figures.customers,
        })
    };
    let mut scopes: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for one in lists {
        let methods = scopes.entry(one.scope).or_default();
        methods.insert(one.method.to_owned(), of(&one.figures));
    }
    json!(scopes)
}

fn in_table(lists: &[Lists]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "goods",
        "method",
        "recall@10 ± standard error",
        "hit-rate@10 ± standard error",
        "customers",
        "recall / cosine",
    ]);
    table.add_rows(lists.iter().map(|one| {
        let figures = &one.figures;
        let cosine = lists
            .iter()
            .find(|other| other.scope == one.scope && other.method == Method::Cosine.name())
            .map(|cosine| cosine.figures.recall)
            .filter(|recall| *recall > 0.0);
        [
            one.scope.to_owned(),
            one.method.to_owned(),
            format!("{:.4} ± {:.4}", figures.recall, figures.recall_se),
            format!("{:.3} ± {:.3}", figures.hit_rate, figures.hit_rate_se),
            figures.customers.to_string(),
            cosine.map_or_else(
                || "–".to_owned(),
                |cosine| format!("{:.2}", figures.recall / cosine),
            ),
        ]
    }));
    table
}

/// The file of lists. It appears whole or not at all, and whether it can be written is known before the work.
struct Dump {
    path: PathBuf,
    file: tempfile::NamedTempFile,
}

impl Dump {
    fn begin(path: &Path) -> Result<Self, Error> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let made = if path.is_dir() {
            Err(io::Error::from(io::ErrorKind::IsADirectory))
        } else {
            // Readable as any file that a command writes, not for its owner only.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            tempfile::Builder::new()
                .prefix(".lists-")
                .permissions(mode)
                .tempfile_in(folder)
        };
        let file = made.map_err(|error| super::cannot_write(path, &error.into()))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
        })
    }

    fn finish(self, all: &[Lists]) -> Result<(), Error> {
        let failed = |error: csv::Error| super::cannot_write(&self.path, &error);
        let mut writer = csv::Writer::from_writer(io::BufWriter::new(self.file.as_file()));
        write(&mut writer, all).map_err(failed)?;
        drop(writer);
        self.file
            .as_file()
            .sync_all()
            .map_err(|error| failed(error.into()))?;
        let path = self.path.clone();
        let kept = self.file.persist(&self.path).map(|_| ());
        kept.map_err(|error| super::cannot_write(&path, &error.error.into()))
    }
}

fn write(writer: &mut csv::Writer<impl io::Write>, all: &[Lists]) -> Result<(), csv::Error> {
    writer.write_record(["method", "scope", "customer", "rank", "code"])?;
    for lists in all {
        for (customer, list) in &lists.by_customer {
            for (rank, code) in (1_usize..=LENGTH).zip(list) {
                writer.write_record([lists.method, lists.scope, customer, &rank.to_string(), code])?;
            }
        }
    }
    Ok(writer.flush()?)
}
