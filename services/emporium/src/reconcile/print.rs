//! What was compared, for people, and what is in the books and in no comparison.

use comfy_table::{CellAlignment, Table, presets};
use emporium_event_bus::projection::ProjectionStatus;
use indicatif::HumanCount;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::Report;
use super::compare::{Compared, Difference, Figures, What, money};
use super::totals::{Books, COUNTED_MAX};
use crate::Error;
use crate::terminal::say;

/// Differences that are printed; the JSON has all of them.
const LINES_MAX: usize = 100;

/// What no side counts, or one owner counts and the other does not.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    /// Orders that wait for their payment or are under way: no side counts them until they are confirmed.
    pub orders_pending: usize,
    /// Orders that came to nothing: no side counts them; their charges count as taken and as given back.
    pub orders_cancelled: usize,
    /// Only so many of each were counted, if there are that many.
    pub counted_max: usize,
    /// Events that analytics could not apply and that wait for their replay.
    pub dead_letters: i64,
    /// Charges less what was given back, less confirmed orders less refunds: by currency, in minor units. Not zero when a
    /// charge was taken whose order is not confirmed yet, or when a refund needed no payment or was not paid yet.
    pub payments_over_orders: Vec<Over>,
}

/// By how much payments exceed orders.
#[derive(Debug, Serialize)]
pub(super) struct Over {
    pub currency: String,
    pub amount: i64,
}

impl Explained {
    pub(super) async fn of(
        books: &Books,
        compared: &[Compared],
        status: &ProjectionStatus,
    ) -> Result<Self, Error> {
        let mut currencies: Vec<&str> = compared.iter().map(|one| one.currency.as_str()).collect();
        currencies.sort_unstable();
        currencies.dedup();
        let over = |currency: &str| Over {
            currency: currency.to_owned(),
            amount: compared
                .iter()
                .filter(|one| one.currency == currency)
                .map(|one| match one.what {
                    What::Charges | What::Refunds => one.owner.amount,
                    What::Orders | What::ChargesRefunded => -one.owner.amount,
                })
                .fold(0, i64::saturating_add),
        };
        Ok(Self {
            orders_pending: books.count("pending").await?,
            orders_cancelled: books.count("cancelled").await?,
            counted_max: COUNTED_MAX,
            dead_letters: status.group.dead_letters,
            payments_over_orders: currencies.into_iter().map(over).collect(),
        })
    }
}

pub(super) fn print(report: &Report) {
    let (Some(from), Some(to)) = (report.from, report.to) else {
        say("There are no orders, refunds or payments yet, on no side: nothing differs.");
        return;
    };
    say(sums(&report.compared));
    list("differs", &report.differences);
    list("not settled", &report.unsettled);
    let as_of = report
        .as_of
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "–".to_owned());
    let position = report
        .position
        .map_or_else(|| "–".to_owned(), |position| position.to_string());
    say(format_args!(
        "{} rows of {from} to {to} compared; analytics at position {position}, as of {as_of}.",
        counted(report.compared.iter().map(|one| one.rows).sum())
    ));
    say(format_args!("Not compared: {}.", report.not_compared));
    explain(&report.explained);
}

fn list(title: &str, differences: &[Difference]) {
    if differences.is_empty() {
        return;
    }
    say(rows(title, differences));
    let left = differences.len().saturating_sub(LINES_MAX);
    if left > 0 {
        say(format_args!("… and {left} more; --format json has all of them"));
    }
}

fn explain(explained: &Explained) {
    let number = |count: usize| {
        if count >= explained.counted_max {
            format!("{} or more", counted(count))
        } else {
            counted(count)
        }
    };
    say(format_args!(
        "In no comparison: {} pending and {} cancelled orders, which no side counts as sales.",
        number(explained.orders_pending),
        number(explained.orders_cancelled)
    ));
    for over in &explained.payments_over_orders {
        let text = if over.amount == 0 {
            "agree: charges less what was given back are confirmed orders less refunds".to_owned()
        } else {
            format!(
                "differ by {}: charges of orders that are not confirmed yet, refunds that no charge paid for, or orders without a payment; both are what their owner booked",
                money(over.amount, &over.currency)
            )
        };
        say(format_args!("Orders and payments ({}) {text}.", over.currency));
    }
    if explained.dead_letters > 0 {
        say(format_args!(
            "Analytics has put aside {} events (dead letters); what they say is missing until they are replayed.",
            explained.dead_letters
        ));
    }
}

fn sums(compared: &[Compared]) -> Table {
    let mut table = plain([
        "",
        "rows",
        "number",
        "amount",
        "analytics",
        "amount",
        "difference",
    ]);
    table.add_rows(compared.iter().map(|one| {
        [
            format!("{} ({})", one.what.name(), one.what.owner()),
            counted(one.rows),
            signed(one.owner.number),
            money(one.owner.amount, &one.currency),
            signed(one.analytics.number),
            money(one.analytics.amount, &one.currency),
            match one.different {
                0 => "none".to_owned(),
                rows => format!(
                    "{} in {} rows",
                    off(one.owner, one.analytics, &one.currency),
                    counted(rows)
                ),
            },
        ]
    }));
    aligned(table, 1..6)
}

fn rows(title: &str, differences: &[Difference]) -> Table {
    let mut table = plain([
        title,
        "day",
        "country",
        "number",
        "amount",
        "analytics",
        "amount",
        "difference",
    ]);
    table.add_rows(differences.iter().take(LINES_MAX).map(|one| {
        [
            one.what.name().to_owned(),
            one.day.to_string(),
            one.country.clone().unwrap_or_else(|| "–".to_owned()),
            signed(one.owner.number),
            money(one.owner.amount, &one.currency),
            signed(one.analytics.number),
            money(one.analytics.amount, &one.currency),
            off(one.owner, one.analytics, &one.currency),
        ]
    }));
    aligned(table, 3..7)
}

/// By how much analytics is off.
fn off(owner: Figures, analytics: Figures, currency: &str) -> String {
    let number = analytics.number.saturating_sub(owner.number);
    let amount = analytics.amount.saturating_sub(owner.amount);
    format!("{number:+}, {}", money(amount, currency))
}

fn plain<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(header);
    table
}

fn aligned(mut table: Table, columns: std::ops::Range<usize>) -> Table {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn counted(count: usize) -> String {
    HumanCount(count as u64).to_string()
}

fn signed(number: i64) -> String {
    u64::try_from(number).map_or_else(|_| number.to_string(), |number| HumanCount(number).to_string())
}
