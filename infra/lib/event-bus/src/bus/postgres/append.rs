//! Appending to the log.

use emporium_service_kit::Tx;
use uuid::Uuid;

use crate::bus::Mark;
use crate::event::CloudEvent;

/// Appends what is not there yet, in this order, unless the bus has lost what its publisher marked. (One statement with
/// arrays and not COPY, which PostgreSQL refuses on tables with row-level security.)
pub(super) async fn publish(
    tx: &mut Tx,
    events: &[CloudEvent],
    after: Option<&Mark>,
) -> Result<Option<Mark>, sqlx::Error> {
    let Some((bus, end)) = take_positions(tx, events.len(), after).await? else {
        return Ok(None);
    };
    let Some(last) = events.last() else {
        let nothing = Mark {
            bus,
            event: Uuid::nil(),
            position: 0,
        };
        return Ok(Some(after.copied().unwrap_or(nothing)));
    };
    let inserted = insert(tx, events, end).await?;
    let all = usize::try_from(inserted).is_ok_and(|inserted| inserted == events.len());
    let position = if all {
        end
    } else {
        sqlx::query_scalar("SELECT bus_position($1)")
            .bind(last.id)
            .fetch_one(tx)
            .await?
    };
    Ok(Some(Mark {
        bus,
        event: last.id,
        position,
    }))
}

/// The bus's id, and the last of `count` new positions.
async fn take_positions(
    tx: &mut Tx,
    count: usize,
    after: Option<&Mark>,
) -> Result<Option<(Uuid, i64)>, sqlx::Error> {
    // The row lock is held until the commit, so nobody can take later positions and show them earlier.
    let sql = if count > 0 {
        "UPDATE bus_head SET position = position + $1
         WHERE $2::uuid IS NULL OR (id = $2 AND bus_holds($3, $4)) RETURNING id, position"
    } else {
        "SELECT id, position FROM bus_head
         WHERE $1 = 0 AND ($2::uuid IS NULL OR (id = $2 AND bus_holds($3, $4)))"
    };
    sqlx::query_as(sql)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .bind(after.map(|mark| mark.bus))
        .bind(after.map(|mark| mark.event))
        .bind(after.map(|mark| mark.position))
        .fetch_optional(tx)
        .await
}

/// Inserts those that are not there; gives how many.
async fn insert(tx: &mut Tx, events: &[CloudEvent], end: i64) -> Result<u64, sqlx::Error> {
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let done = sqlx::query(
        "INSERT INTO bus_log (position, id, source, type, subject, version, time, traceparent, data)
         SELECT $1 + n, id, source, type, subject, version, time, traceparent, data::json
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::text[],
                     $9::text[]) WITH ORDINALITY AS e (id, source, type, subject, version, time, traceparent, data, n)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(end - count)
    .bind(events.iter().map(|e| e.id).collect::<Vec<_>>())
    .bind(events.iter().map(|e| e.source.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|e| e.subject.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|e| e.aggregateversion).collect::<Vec<_>>())
    .bind(events.iter().map(|e| e.time).collect::<Vec<_>>())
    .bind(
        events
            .iter()
            .map(|e| e.traceparent.as_deref())
            .collect::<Vec<_>>(),
    )
    .bind(events.iter().map(|e| e.data.get()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}
