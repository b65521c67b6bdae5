//! Ready-made boards: the questions about a shop that are asked most. They are asked of any store, as everybody else's are.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::error::Error;
use crate::model::{Kind, Labels};
use crate::question::{As, History, Line, Question};
use crate::routes::{RangeLine, Span};
use crate::store::MonitoringStore;

mod catalogue;

pub use catalogue::ALL;

/// A board as it is planned.
pub struct BoardPlan {
    /// As in its address.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    panels: &'static [PanelPlan],
}

/// A panel as it is planned.
struct PanelPlan {
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    ask: Ask,
}

/// What a panel asks.
enum Ask {
    /// One question.
    History(Source),
    /// What part of the second one the first one is, line by line.
    Share(Source, Source),
}

/// A question without its span.
struct Source {
    metric: &'static str,
    how: As,
    labels: &'static [(&'static str, &'static str)],
    without: &'static [(&'static str, &'static str)],
    by: &'static [&'static str],
}

/// A board with its answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Board {
    /// As in its address.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// Where the first step begins.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Where the last step ends.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// Length of a step, in seconds. Step n begins at `from` + n · `step_s`.
    pub step_s: i64,
    /// The panels; all have the same steps.
    pub panels: Vec<Panel>,
}

/// A panel with its answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Panel {
    /// For programs.
    pub name: String,
    /// For people.
    pub title: String,
    /// `per second`, `seconds`, `share`, `events`, `connections`, `orders`, …
    pub unit: String,
    /// False while no service exports what it asks for.
    pub known: bool,
    /// The lines; empty where there is nothing.
    pub items: Vec<RangeLine>,
}

/// The board of this name.
pub fn find(name: &str) -> Result<&'static BoardPlan, Error> {
    let names = || ALL.iter().map(|board| board.name).collect::<Vec<_>>().join(", ");
    ALL.iter()
        .find(|board| board.name == name)
        .ok_or_else(|| Error::UnknownBoard(names()))
}

/// How a metric is read when nobody says.
pub async fn usual_way(store: &dyn MonitoringStore, metric: &str) -> Result<As, Error> {
    match store.kind(metric).await?.ok_or(Error::UnknownMetric)? {
        Kind::Gauge => Ok(As::Avg),
        Kind::Counter | Kind::Histogram => Ok(As::Rate),
    }
}

/// Asks all questions of a board.
pub async fn show(
    store: &dyn MonitoringStore,
    plan: &BoardPlan,
    span: &Span,
    now: OffsetDateTime,
) -> Result<Board, Error> {
    let mut panels = Vec::with_capacity(plan.panels.len());
    let mut steps = None;
    for panel in plan.panels {
        let answered = match &panel.ask {
            Ask::History(source) => ask(store, source, span, now).await?,
            Ask::Share(part, whole) => {
                let (part, whole) = (
                    ask(store, part, span, now).await?,
                    ask(store, whole, span, now).await?,
                );
                whole.map(|whole| share(part, &whole))
            }
        };
        if let Some(history) = &answered {
            steps = Some(history.windows);
        }
        panels.push(Panel {
            name: panel.name.to_owned(),
            title: panel.title.to_owned(),
            unit: panel.unit.to_owned(),
            known: answered.is_some(),
            items: answered
                .into_iter()
                .flat_map(|history| history.lines)
                .map(RangeLine::from)
                .collect(),
        });
    }
    Ok(Board {
        name: plan.name.to_owned(),
        title: plan.title.to_owned(),
        from: steps.map_or(span.from, |steps| steps.from),
        to: steps.map_or(span.to, |steps| steps.to()),
        step_s: steps.map_or(span.step_s.unwrap_or(60), |steps| steps.step_s),
        panels,
    })
}

/// `None` when nobody exports the metric (yet).
async fn ask(
    store: &dyn MonitoringStore,
    source: &Source,
    span: &Span,
    now: OffsetDateTime,
) -> Result<Option<History>, Error> {
    let owned = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect::<Vec<_>>()
    };
    let question = Question {
        metric: source.metric.to_owned(),
        labels: owned(source.labels).into_iter().collect::<Labels>(),
        without: owned(source.without),
        by: Some(source.by.iter().map(|name| (*name).to_owned()).collect()),
        from: span.from,
        to: span.to,
        step_s: span.step_s,
        how: source.how,
    };
    match store.history(&question, now).await {
        Ok(history) => Ok(Some(history)),
        Err(Error::UnknownMetric) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Line by line, part ÷ whole. Where the whole is known and the part is not, nothing of it happened: 0.
fn share(part: Option<History>, whole: &History) -> History {
    let parts = part.map(|history| history.lines).unwrap_or_default();
    let lines = whole.lines.iter().map(|line| {
        let part = parts.iter().find(|part| part.labels == line.labels);
        let values = line.values.iter().enumerate().map(|(step, whole)| {
            let part = part.and_then(|part| part.values.get(step).copied().flatten());
            whole
                .filter(|whole| *whole > 0.0)
                .map(|whole| part.unwrap_or(0.0) / whole)
        });
        Line {
            labels: line.labels.clone(),
            values: values.collect(),
        }
    });
    History {
        lines: lines.collect(),
        kind: whole.kind,
        windows: whole.windows,
        resolution: whole.resolution,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    /// Panels of a board stand beside each other: their names and titles tell which is which.
    #[test]
    fn names_and_titles_of_a_board_are_distinct() {
        for board in ALL {
            let panels = board.panels.iter();
            let names: BTreeSet<&str> = panels.clone().map(|panel| panel.name).collect();
            let titles: BTreeSet<&str> = panels.map(|panel| panel.title).collect();
            assert_eq!(
                (names.len(), titles.len()),
                (board.panels.len(), board.panels.len()),
                "{}",
                board.name
            );
        }
    }
}
