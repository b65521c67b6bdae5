//! Comparing the two generations in one snapshot.

use std::time::Duration;

use emporium_service_kit::Tx;
use uuid::Uuid;

use super::{GenerationHandler, LONG, PostgresProjection};
use crate::projection::{
    BuildError, COMPARED, Compared, Comparison, DIFFERENCES_MAX, Digest, PUBLISHED_WITHIN, Work,
};

/// Both inboxes are compared as a whole. A generation that was filled a moment ago is not in the statistics yet: the planner
/// takes it for empty, and a nested loop over what is in truth a few hundred thousand rows takes hours.
const JOIN_WHOLE_TABLES: &str = "SET LOCAL enable_nestloop = off";
/// Ids of events that a line of a difference shows.
const SHOWN: i64 = 10;

pub(super) async fn compare<H: GenerationHandler>(
    projection: &PostgresProjection<H>,
    work: &Work,
    refused: &[Uuid],
) -> Result<Option<Comparison>, BuildError> {
    if let Some(noted) = projection.compared(work).await? {
        return Ok(Some(noted));
    }
    let mut tx = projection.db.begin().await?;
    // One snapshot for all that follows, taken by the first statement after this one.
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(&mut tx)
        .await?;
    tx.allow(LONG).await?;
    sqlx::query(JOIN_WHOLE_TABLES).execute(&mut tx).await?;
    let built = projection.held(work, &mut tx).await?;
    let live = 1 - built;
    let young = Wanted {
        within: PUBLISHED_WITHIN,
        ..Wanted::but(refused, 1)
    };
    if !lacking(projection, &mut tx, [built, live], young)
        .await?
        .is_empty()
    {
        return Ok(None);
    }
    let old = projection.handler.digest(live, &mut tx).await?;
    let new = projection.handler.digest(built, &mut tx).await?;
    let mut comparison = Comparison {
        tables: tables(old, new),
        differences: events(projection, &mut tx, built, refused).await?,
        position: None,
    };
    if comparison.tables.iter().any(|table| !table.equal) {
        let left = DIFFERENCES_MAX - comparison.differences.len();
        // One more than is shown, to tell whether there is more.
        let mut lines = projection.handler.differences(live, built, left, &mut tx).await?;
        if lines.len() >= left {
            lines.truncate(left - 1);
            lines.push("… and perhaps more".to_owned());
        }
        comparison.differences.append(&mut lines);
    }
    tx.commit().await?;
    Ok(Some(comparison))
}

/// Events that differ: those that the live generation has from elsewhere, those that it lost or never got, and those that were
/// put aside and are applied now.
async fn events<H: GenerationHandler>(
    projection: &PostgresProjection<H>,
    tx: &mut Tx,
    built: i16,
    refused: &[Uuid],
) -> Result<Vec<String>, BuildError> {
    let live = 1 - built;
    let of_refused = Wanted {
        among: true,
        ..Wanted::but(refused, SHOWN)
    };
    let mut lines = Vec::new();
    for (has, lacks, wanted, told) in [
        (
            live,
            built,
            Wanted::but(&[], SHOWN),
            "the live one has events that the rebuilt one lacks",
        ),
        (
            built,
            live,
            Wanted::but(refused, SHOWN),
            "the rebuilt one has events that the live one lacks",
        ),
        (
            built,
            live,
            of_refused,
            "events that were put aside before are applied now",
        ),
    ] {
        let found = lacking(projection, tx, [has, lacks], wanted).await?;
        if !found.is_empty() {
            lines.push(format!("{told}, such as {}", listed(&found)));
        }
    }
    Ok(lines)
}

/// Which events are looked for.
struct Wanted<'a> {
    /// Written down so short a time ago.
    within: Duration,
    /// Only these, or all but these.
    among: bool,
    these: &'a [Uuid],
    /// At most so many.
    max: i64,
}

impl<'a> Wanted<'a> {
    /// All that are compared, but these.
    fn but(these: &'a [Uuid], max: i64) -> Self {
        Self {
            within: COMPARED,
            among: false,
            these,
            max,
        }
    }
}

/// Events that the first generation has and the second one lacks.
async fn lacking<H: GenerationHandler>(
    projection: &PostgresProjection<H>,
    tx: &mut Tx,
    [has, lacks]: [i16; 2],
    wanted: Wanted<'_>,
) -> Result<Vec<Uuid>, BuildError> {
    let found = sqlx::query_scalar(projection.sql.lacking())
        .bind(projection.inbox(has))
        .bind(projection.inbox(lacks))
        .bind(wanted.within.as_secs_f64())
        .bind(wanted.these)
        .bind(wanted.among)
        .bind(wanted.max)
        .fetch_all(tx)
        .await?;
    Ok(found)
}

fn listed(events: &[Uuid]) -> String {
    events.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", ")
}

fn tables(old: Vec<Digest>, new: Vec<Digest>) -> Vec<Compared> {
    old.into_iter()
        .zip(new)
        .map(|(old, new)| Compared {
            equal: old == new,
            rows_live: old.rows,
            rows_rebuilt: new.rows,
            table: old.table,
            digest_live: Some(old.digest),
            digest_rebuilt: Some(new.digest),
        })
        .collect()
}
