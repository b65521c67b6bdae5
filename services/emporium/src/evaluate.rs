//! `emporium evaluate`: how good the search is, on human judgments of a real catalogue; how good recommendations are, on what
//! real customers bought next.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use comfy_table::{Table, presets};
use emporium_service_kit::StoreUrls;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::data_dir::DataDir;
use crate::operator::with_shop;
use crate::terminal::{Format, say};

pub mod judgments;
pub mod ndcg;
mod recommendations;
mod search;

use judgments::Judgments;
pub use recommendations::{RecommendationsOptions, recommendations};
use search::Lists;

/// What can be measured.
#[derive(Debug, Clone, Subcommand)]
pub enum Evaluate {
    /// nDCG@10 of each configured search adapter, on the imported Icecat catalogue.
    Search(SearchOptions),
    /// recall@10 and hit-rate@10 of simple methods and of the service, on the gift shop's orders from a date on.
    Recommendations(RecommendationsOptions),
}

/// Options of `emporium evaluate search`.
#[derive(Debug, Clone, Parser)]
pub struct SearchOptions {
    /// CSV with the columns query, docid (Icecat's id) and rating (0: not relevant).
    #[arg(long, value_name = "FILE")]
    pub judgments: PathBuf,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where the lists go that were found, as CSV: adapter, query, rank, id.
    #[arg(long, value_name = "FILE")]
    pub dump: Option<PathBuf>,
}

/// What one adapter's lists come to.
struct Figures {
    adapter: &'static str,
    ndcg: Vec<f64>,
    condensed: Vec<f64>,
}

/// Runs `emporium evaluate search`.
pub async fn search(
    stores: StoreUrls,
    dir: &DataDir,
    options: &SearchOptions,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let mut judgments = judgments::read(&options.judgments)?;
    judgments.retain(|_, ratings| ndcg::score(&[], ratings).is_some());
    if judgments.is_empty() {
        return Err(Error::Other(format!(
            "{}: no query has a relevant document, so there is nothing to measure; give judgments with ratings above 0",
            options.judgments.display()
        )));
    }
    if let Some(path) = &options.dump {
        check_writable(path)?;
    }
    let lists = with_shop(stores, dir, stop, async |operator| {
        Box::pin(search::lists(operator, &judgments)).await
    })
    .await?;
    if let Some(path) = &options.dump {
        dump(path, &lists).map_err(|error| cannot_write(path, &error))?;
    }
    let figures: Vec<Figures> = lists.iter().map(|lists| figures(lists, &judgments)).collect();
    match options.format {
        Format::Json => say(in_json(&figures)),
        Format::Table => say(in_table(&figures)),
    }
    Ok(())
}

fn figures(lists: &Lists, judgments: &Judgments) -> Figures {
    let scored = lists.found.iter();
    let scores: Vec<ndcg::Score> = scored
        .filter_map(|(query, found)| ndcg::score(found, judgments.get(query)?))
        .collect();
    Figures {
        adapter: lists.adapter,
        ndcg: scores.iter().map(|score| score.ndcg).collect(),
        condensed: scores.iter().map(|score| score.condensed).collect(),
    }
}

fn in_json(figures: &[Figures]) -> Value {
    let of = |figures: &Figures| {
        json!({
            "ndcg_at_10": ndcg::mean(&figures.ndcg).0,
            "condensed": ndcg::mean(&figures.condensed).0,
            "queries": figures.ndcg.len(),
        })
    };
    let all: Map<String, Value> = figures
        .iter()
        .map(|one| (one.adapter.to_owned(), of(one)))
        .collect();
    Value::Object(all)
}

fn in_table(figures: &[Figures]) -> Table {
    let with_error = |values: &[f64]| {
        let (mean, error) = ndcg::mean(values);
        format!("{mean:.3} ± {error:.3}")
    };
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["adapter", "nDCG@10 ± standard error", "condensed", "queries"]);
    table.add_rows(figures.iter().map(|one| {
        [
            one.adapter.to_owned(),
            with_error(&one.ndcg),
            with_error(&one.condensed),
            one.ndcg.len().to_string(),
        ]
    }));
    table
}

/// Before the work and not after it.
fn check_writable(path: &Path) -> Result<(), Error> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened
        .map(|_| ())
        .map_err(|error| cannot_write(path, &error.into()))
}

fn dump(path: &Path, all: &[Lists]) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(["adapter", "query", "rank", "id"])?;
    for lists in all {
        for (query, found) in &lists.found {
            for (rank, id) in (1..).zip(found) {
                let rank: u32 = rank;
                writer.write_record([lists.adapter, query, &rank.to_string(), id])?;
            }
        }
    }
    Ok(writer.flush()?)
}

fn cannot_write(path: &Path, error: &csv::Error) -> Error {
    Error::Other(format!(
        "cannot write {}: {error}; give another file with --dump",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_dumps_have_the_promised_form() {
        let text = "a, \"b\"";
        let judgments = Judgments::from([(text.to_owned(), ndcg::Ratings::from([("7".to_owned(), 1.0)]))]);
        let lists = [Lists {
            adapter: "postgres",
            found: vec![(text.to_owned(), vec!["7".to_owned(), "8".to_owned()])],
        }];
        let figures: Vec<Figures> = lists.iter().map(|lists| figures(lists, &judgments)).collect();
        assert_eq!(
            in_json(&figures),
            json!({ "postgres": { "ndcg_at_10": 1.0, "condensed": 1.0, "queries": 1 } })
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        dump(file.path(), &lists).unwrap();
        assert_eq!(
            std::fs::read_to_string(file.path()).unwrap(),
            "adapter,query,rank,id\npostgres,\"a, \"\"b\"\"\",1,7\npostgres,\"a, \"\"b\"\"\",2,8\n"
        );
    }
}
