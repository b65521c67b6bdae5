//! Appending to the log.

use emporium_service_kit::Tx;

use crate::event::CloudEvent;

/// Appends what is not there yet, in this order. (One statement with arrays and not COPY, which PostgreSQL refuses on tables
/// with row-level security.)
pub(super) async fn append(tx: &mut Tx, events: &[CloudEvent]) -> Result<(), sqlx::Error> {
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    // The row lock is held until the commit, so nobody can take later positions and show them earlier.
    let end: i64 = sqlx::query_scalar("UPDATE bus_head SET position = position + $1 RETURNING position")
        .bind(count)
        .fetch_one(&mut *tx)
        .await?;
    sqlx::query(
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
    .bind(events.iter().map(|e| e.traceparent.as_deref()).collect::<Vec<_>>())
    .bind(events.iter().map(|e| e.data.get()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
