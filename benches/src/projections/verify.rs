//! Nothing lost, nothing counted twice: every row of every projection against what was published, then a rebuild of each
//! projection beside the live one, whose digests have to be equal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use emporium_benches::load::check_interrupted;
use emporium_event_bus::projection::ProjectionStatus;
use emporium_service_kit::ServiceName;
use serde::Deserialize;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::book::Book;
use super::expected::Expected;
use super::results::{Rebuilt, Table};
use super::watch::GROUPS;
use super::world::World;

/// Differences that are shown of a table.
const SHOWN: usize = 5;
/// After publishing, everything is applied by then; a killed member's lease alone takes five seconds.
const DRAIN_MAX: Duration = Duration::from_mins(5);
const REBUILD_MAX: Duration = Duration::from_mins(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until every event is on the bus and every group has passed all of them.
pub async fn drained(world: &World) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut bus = world.connect_to_bus().await?;
    let mut catalog = world.connect_to(ServiceName::Catalog).await?;
    let mut quiet = 0;
    // Twice, since the catalog publishes what its consumer has counted.
    while quiet < 2 {
        check_interrupted()?;
        ensure!(
            started.elapsed() < DRAIN_MAX,
            "LOST: not everything was applied {} s after the last event",
            DRAIN_MAX.as_secs()
        );
        tokio::time::sleep(LOOK_EVERY).await;
        let mut waiting: i64 = sqlx::query_scalar(
            "SELECT sequenced - published + (SELECT count(*) FROM catalog_outbox WHERE position IS NULL)
             FROM catalog_outbox_head",
        )
        .fetch_one(&mut catalog)
        .await?;
        for owner in world.owners.values() {
            waiting += owner.unpublished().await?;
        }
        let behind: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM bus_group WHERE rebuilding OR position < (SELECT position FROM bus_head)",
        )
        .fetch_one(&mut bus)
        .await?;
        quiet = if waiting + behind == 0 { quiet + 1 } else { 0 };
    }
    Ok(())
}

/// Compares all tables; the error names what differs.
pub async fn compare(world: &World, book: &Book) -> anyhow::Result<Vec<Table>> {
    let mut bus = world.connect_to_bus().await?;
    let letters: i64 = sqlx::query_scalar("SELECT count(*) FROM bus_dead_letter")
        .fetch_one(&mut bus)
        .await?;
    ensure!(letters == 0, "there are {letters} dead letters");
    let (mut tables, mut wrong) = (Vec::new(), Vec::new());
    for expected in book.expected() {
        let mut connection = world.connect_to(expected.service).await?;
        let found: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(expected.sql.as_str()))
            .fetch_all(&mut connection)
            .await
            .with_context(|| format!("reading {}", expected.table))?;
        wrong.extend(differences(&expected, &found));
        tables.push(Table {
            table: expected.table.to_owned(),
            rows: expected.rows.len(),
        });
    }
    if wrong.is_empty() {
        return Ok(tables);
    }
    bail!("LOST OR COUNTED TWICE:\n{}", wrong.join("\n"))
}

/// What is missing, what is too much, and what is not as it should be.
fn differences(expected: &Expected, found: &[(String, String)]) -> Vec<String> {
    let table = expected.table;
    let rows: BTreeMap<&str, &str> = found
        .iter()
        .map(|(key, row)| (key.as_str(), row.as_str()))
        .collect();
    let mut lines = Vec::new();
    if rows.len() != found.len() {
        lines.push(format!(
            "{table}: {} rows with a key twice",
            found.len() - rows.len()
        ));
    }
    for (key, wanted) in &expected.rows {
        match rows.get(key.as_str()) {
            None => lines.push(format!("{table} {key}: missing, should be {wanted}")),
            Some(row) if row != wanted => lines.push(format!("{table} {key}: {row}, should be {wanted}")),
            Some(_) => {}
        }
    }
    let unknown = rows.iter().filter(|(key, _)| !expected.rows.contains_key(**key));
    lines.extend(unknown.map(|(key, row)| format!("{table} {key}: {row}, and nothing of it was published")));
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("{table}: {more} more"));
    }
    lines
}

#[derive(Deserialize)]
struct Wanted {
    rebuild: Option<emporium_event_bus::projection::Rebuild>,
}

/// Rebuilds every projection that can be; the error names what differs.
pub async fn rebuild(world: &World) -> anyhow::Result<Vec<Rebuilt>> {
    let mut rebuilt = Vec::new();
    for group in &GROUPS {
        let status = status(world, group.service, group.name).await?;
        if status.rebuildable {
            rebuilt.push(rebuild_one(world, group.service, group.name).await?);
        }
    }
    Ok(rebuilt)
}

async fn status(world: &World, service: ServiceName, name: &str) -> anyhow::Result<ProjectionStatus> {
    Ok(world
        .client(service)?
        .get(format!("/projections/{name}"))
        .send()
        .await?)
}

async fn rebuild_one(world: &World, service: ServiceName, name: &str) -> anyhow::Result<Rebuilt> {
    let started = Instant::now();
    let asked: Wanted = world
        .client(service)?
        .post(format!("/projections/{name}/rebuild"))
        .send()
        .await?;
    let id: Uuid = asked.rebuild.context("no rebuild begins")?.id;
    let outcome = loop {
        check_interrupted()?;
        let status = status(world, service, name).await?;
        if let Some(outcome) = status.outcome.filter(|outcome| outcome.id == id) {
            break outcome;
        }
        ensure!(
            started.elapsed() < REBUILD_MAX,
            "the rebuild of {name} takes too long"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let equal = outcome.equal.context("the rebuild was not compared")?;
    ensure!(
        equal,
        "{name} differs from its histories:\n{}",
        outcome.differences.join("\n")
    );
    Ok(Rebuilt {
        projection: name.to_owned(),
        events: outcome.events,
        seconds: started.elapsed().as_secs_f64(),
        equal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_told() {
        let text = |rows: &[(&str, &str)]| -> Vec<(String, String)> {
            rows.iter()
                .map(|(key, row)| ((*key).to_owned(), (*row).to_owned()))
                .collect()
        };
        let expected = Expected {
            service: ServiceName::Analytics,
            table: "t",
            sql: String::new(),
            rows: text(&[("a", "1"), ("b", "2"), ("c", "3")]).into_iter().collect(),
        };
        assert!(differences(&expected, &text(&[("c", "3"), ("a", "1"), ("b", "2")])).is_empty());
        let told = differences(
            &expected,
            &text(&[("a", "1"), ("b", "3"), ("d", "4"), ("a", "1")]),
        );
        for part in ["twice", "b: 3, should be 2", "c: missing", "d: 4, and nothing"] {
            assert!(told.iter().any(|line| line.contains(part)), "{part} in {told:?}");
        }
    }
}
