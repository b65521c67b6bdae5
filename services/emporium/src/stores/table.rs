//! Rows for people.

use comfy_table::{Table, presets};
use indicatif::{BinaryBytes, HumanCount};

use emporium_service_kit::StoreReport;

use super::{NOT_RUNNING, Row};

/// What is not known.
const UNKNOWN: &str = "–";

pub(super) fn of(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "service",
        "role",
        "adapter",
        "version",
        "latency",
        "durability",
        "size",
        "lag",
    ]);
    table.add_rows(rows.iter().map(cells));
    table
}

fn cells(row: &Row) -> [String; 8] {
    let report = &row.report;
    let known = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let (adapter, version) = match report.error.as_deref() {
        Some(NOT_RUNNING) => (
            format!("{} (embedded)", report.adapter),
            Some(NOT_RUNNING.to_owned()),
        ),
        Some(_) => (report.adapter.clone(), Some("cannot be used".to_owned())),
        None => (report.adapter.clone(), version(report)),
    };
    let size = report.size_bytes.and_then(|bytes| u64::try_from(bytes).ok());
    let lag = report.lag.and_then(|lag| u64::try_from(lag).ok());
    [
        row.service.clone(),
        report.role.clone(),
        adapter,
        known(version),
        known(report.latency_ms.map(|latency| format!("{latency:.2} ms"))),
        known(report.durability.clone()),
        known(size.map(|bytes| BinaryBytes(bytes).to_string())),
        known(lag.map(|lag| HumanCount(lag).to_string())),
    ]
}

/// The server's version, and what it is busy with.
fn version(report: &StoreReport) -> Option<String> {
    let version = report.version.clone()?;
    Some(match &report.state {
        Some(state) => format!("{version}, {state}"),
        None => version,
    })
}

/// What the adapters in use lack, a line each; said once where several rows say the same.
pub(super) fn lacks(rows: &[Row]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for row in rows {
        for lack in &row.report.lacks {
            let (role, adapter) = (&row.report.role, &row.report.adapter);
            let line = format!(
                "{} ({role}) on {adapter} lacks {}: {}",
                row.service, lack.capability, lack.consequence
            );
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use emporium_service_kit::{Lack, StoreReport};

    use super::*;

    #[test]
    fn rows_are_shown_with_units_and_lacks_in_words() {
        let mut report = StoreReport::of("store", Some("EMPORIUM_CARTS_STORE"), "redis");
        report.version = Some("Redis 8.2.3".to_owned());
        report.state = Some("being built".to_owned());
        report.latency_ms = Some(0.1234);
        report.size_bytes = Some(3 << 20);
        report.lacks = vec![Lack {
            capability: "isolation".to_owned(),
            consequence: "readers may see half.".to_owned(),
        }];
        let mut silent = StoreReport::of("store", None, "postgresql");
        silent.error = Some(NOT_RUNNING.to_owned());
        let rows = [Row::new("carts", report), Row::new("users", silent)];
        let text = of(&rows).to_string();
        for word in [
            "Redis 8.2.3, being built",
            "0.12 ms",
            "3.00 MiB",
            "postgresql (embedded)",
            "not running",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert_eq!(
            lacks(&rows),
            ["carts (store) on redis lacks isolation: readers may see half."]
        );
        let row = serde_json::to_value(&rows[0]).unwrap();
        let mut names: Vec<&String> = row.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(
            names,
            [
                "adapter",
                "durability",
                "error",
                "lacks",
                "lag",
                "latency_ms",
                "role",
                "service",
                "setting",
                "size_bytes",
                "state",
                "version"
            ]
        );
    }
}
