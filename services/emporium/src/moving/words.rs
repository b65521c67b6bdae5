//! A move in words.

use comfy_table::Table;
use emporium_moving::record::{Ending, Outcome, Phase, Shadow, Verified};
use emporium_moving::{MoveStatus, MoveView};
use emporium_service_kit::stores::CARTS_STORE;
use emporium_service_kit::{Clock, ServiceName, StoreUrls};
use indicatif::HumanDuration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::twofold::{self, Twofold};
use crate::watch::count;

/// What a move that is under way is at.
pub(super) fn doing(service: ServiceName, view: &MoveView) -> String {
    match view.phase {
        Phase::Announced => "waiting until every instance of the service knows of the move".to_owned(),
        Phase::Copying => {
            let again = if view.passes > 0 {
                "once more, since the stores differed: "
            } else {
                ""
            };
            format!("{again}{}", filling(service, view))
        }
        Phase::Following if view.undecided => {
            format!(
                "all is there; {}{}",
                compared(&view.shadow),
                marked(view, " to be copied again")
            )
        }
        Phase::Following => format!("all is there{}", marked(view, " to be copied again")),
        Phase::Closing => "writes wait while both stores are compared".to_owned(),
    }
}

fn filling(service: ServiceName, view: &MoveView) -> String {
    let mut parts = Vec::new();
    if view.copied > 0 || view.built.is_none() {
        parts.push(format!("{} records copied", count(view.copied)));
    }
    if let Some(built) = view.built {
        let of = view
            .built_total
            .map_or_else(String::new, |total| format!(" of {}", count(total)));
        let things = match service {
            ServiceName::Catalog => "products",
            _ => "events",
        };
        parts.push(format!("building, {}{of} {things} read", count(built)));
    }
    parts.join("; ") + &marked(view, " written to since")
}

fn marked(view: &MoveView, what: &str) -> String {
    if view.marked == 0 {
        return String::new();
    }
    format!("; {}{what}", count(view.marked))
}

fn compared(shadow: &Shadow) -> String {
    format!(
        "{} answers compared, {} different, {} not given by the other store",
        count(shadow.compared),
        count(shadow.different),
        count(shadow.failed)
    )
}

/// What somebody at a terminal is asked.
pub(super) fn question(service: ServiceName, view: &MoveView) -> String {
    let trouble = crate::watch::after(&view.trouble.join("; "));
    format!(
        "{service}: {}{trouble}. Switch to {}? [y/N] ",
        doing(service, view),
        view.to
    )
}

/// What the interrupted command leaves; `own` says whether the shop was started for it, and nothing that nobody was asked.
pub(super) fn left(service: ServiceName, own: Option<bool>) -> String {
    let same = "the same command joins it";
    match own {
        None => "interrupted before anything was asked of the service".to_owned(),
        Some(true) => format!(
            "interrupted; a move that has begun waits for the next start of the shop, where {same} and `emporium move \
             {service} --cancel` ends it"
        ),
        Some(false) => format!(
            "interrupted; the move goes on in the {service} service: `emporium move {service}` looks on, {same}, and `emporium \
             move {service} --cancel` ends it"
        ),
    }
}

/// Where the data is, the move that is under way, and what became of the last one.
pub(super) fn status(status: &MoveStatus) -> Vec<String> {
    let service = &status.service;
    let mut lines = vec![format!(
        "{service}: the data is in {} ({})",
        status.serving, status.setting
    )];
    if let Some(view) = &status.under_way {
        lines.extend(under_way(service, view));
    }
    if let Some(outcome) = &status.last {
        lines.extend(outcome_lines(service, outcome));
    }
    lines.extend(next_start(status));
    lines
}

fn under_way(service: &str, view: &MoveView) -> Vec<String> {
    let age = Clock::System.now() - view.began_at;
    let age = HumanDuration(age.try_into().unwrap_or_default());
    let known: Option<ServiceName> = service.parse().ok();
    let doing = doing(known.unwrap_or(ServiceName::Operator), view);
    let mut lines = vec![format!("A move to {} began {age} ago: {doing}", view.to)];
    lines.extend(indented(&view.trouble));
    lines.extend(indented(&view.differences));
    lines.extend(indented(&view.shadow.differences));
    if view.undecided {
        lines.push(format!(
            "Decide: `emporium move {service} --switch`, or `emporium move {service} --cancel`"
        ));
    }
    lines
}

/// What became of the move that the command has looked at.
pub(super) fn ended(status: &MoveStatus) -> Vec<String> {
    let Some(outcome) = &status.last else {
        return Vec::new();
    };
    let mut lines = outcome_lines(&status.service, outcome);
    lines.extend(next_start(status));
    lines
}

fn outcome_lines(service: &str, outcome: &Outcome) -> Vec<String> {
    let mut lines = vec![headline(service, outcome)];
    if !outcome.verified.is_empty() {
        lines.push(table(&outcome.verified).to_string());
    }
    lines.extend(indented(&outcome.reasons));
    if outcome.shadow.compared > 0 {
        lines.push(format!("  {}", compared(&outcome.shadow)));
        lines.extend(indented(&outcome.shadow.differences));
    }
    lines
}

fn headline(service: &str, outcome: &Outcome) -> String {
    let Outcome { from, to, .. } = outcome;
    let took = seconds(outcome.ended_at - outcome.began_at);
    let at = moment(outcome.ended_at);
    match outcome.ending {
        Ending::Switched => {
            let copied = match outcome.copied {
                0 => String::new(),
                records => format!("{} records copied, ", count(records)),
            };
            let paused = seconds(time::Duration::milliseconds(outcome.paused_ms));
            format!(
                "{service}: moved from {from} to {to} on {at}, {took} after it was asked for; {copied}writes waited {paused}"
            )
        }
        Ending::Cancelled => format!("{service}: the move from {from} to {to} was cancelled on {at}"),
        Ending::Different => {
            format!(
                "{service}: the move from {from} to {to} was given up on {at}: the stores DIFFERED again and again"
            )
        }
        Ending::Refused => format!("{service}: the move from {from} to {to} was refused on {at}"),
    }
}

fn table<'a>(verified: &'a [Verified]) -> Table {
    let both = |one: &'a Verified| Twofold {
        name: &one.name,
        rows: [one.rows, one.rows_there],
        digests: [Some(&one.digest), Some(&one.digest_there)],
        equal: one.equal,
    };
    twofold::table(["here", "there"], verified.iter().map(both))
}

/// A start on the store that was left is refused, so that whoever has moved has to change the setting.
fn next_start(status: &MoveStatus) -> Option<String> {
    let (setting, serving) = (&status.setting, &status.serving);
    let moved = status
        .last
        .as_ref()
        .filter(|last| last.ending == Ending::Switched);
    moved?;
    Some(if *serving == own_database() {
        format!("Before the next start, unset {setting} (the variable, and the entry of a --stores file).")
    } else {
        format!(
            "Before the next start, set {setting} to that URL ({serving}; the variable, or the entry of a --stores file)."
        )
    })
}

/// How the service's own database is called.
fn own_database() -> String {
    StoreUrls::default().setting(CARTS_STORE).address()
}

fn indented(lines: &[String]) -> impl Iterator<Item = String> {
    lines.iter().map(|line| format!("  {line}"))
}

fn seconds(duration: time::Duration) -> String {
    format!("{:.2} s", duration.as_seconds_f64())
}

fn moment(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests;
