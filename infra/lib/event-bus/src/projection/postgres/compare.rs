//! Comparing the two generations in one snapshot.

use std::time::Duration;

use emporium_service_kit::Tx;
use uuid::Uuid;

use super::{GenerationHandler, LONG, PostgresProjection};
use crate::projection::{BuildError, COMPARED, Comparison, EventDifferences, PUBLISHED_WITHIN, Work};

/// Both inboxes are compared as a whole. A generation that was filled a moment ago is not in the statistics yet: the planner
/// takes it for empty, and a nested loop over what is in truth a few hundred thousand rows takes hours.
const JOIN_WHOLE_TABLES: &str = "SET LOCAL enable_nestloop = off";

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
    let lines = events(projection, &mut tx, built, refused).await?;
    let mut comparison = Comparison::of(old, new, lines);
    if let Some(max) = comparison.lines_wanted() {
        comparison.add_lines(projection.handler.differences(live, built, max, &mut tx).await?);
    }
    tx.commit().await?;
    Ok(Some(comparison))
}

/// Events that differ.
async fn events<H: GenerationHandler>(
    projection: &PostgresProjection<H>,
    tx: &mut Tx,
    built: i16,
    refused: &[Uuid],
) -> Result<Vec<String>, BuildError> {
    let live = 1 - built;
    let among = Wanted {
        among: true,
        ..Wanted::but(refused, EventDifferences::SHOWN)
    };
    let all = Wanted::but(&[], EventDifferences::SHOWN);
    let but_refused = Wanted::but(refused, EventDifferences::SHOWN);
    let differences = EventDifferences {
        live_only: lacking(projection, tx, [live, built], all).await?,
        built_only: lacking(projection, tx, [built, live], but_refused).await?,
        refused: lacking(projection, tx, [built, live], among).await?,
    };
    Ok(differences.lines())
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
