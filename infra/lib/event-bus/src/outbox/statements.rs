//! The outbox's statements.

/// The statements, with the service's prefix filled in once.
pub(super) struct Statements {
    pub(super) insert: String,
    pub(super) copy: String,
    pub(super) take_positions: String,
    pub(super) number: String,
    pub(super) unpublished: String,
    pub(super) mark_published: String,
    pub(super) join_bus: String,
    pub(super) head: String,
    pub(super) count_unpublished: String,
    pub(super) page: String,
    pub(super) restore: String,
    pub(super) restore_end: String,
    pub(super) restore_head: String,
    pub(super) truncate: String,
    pub(super) reset_head: String,
}

impl Statements {
    pub(super) fn new(prefix: &str) -> Self {
        let columns = "position, id, type, subject, version, time, traceparent, data";
        Self {
            insert: format!(
                "INSERT INTO {prefix}_outbox (id, type, subject, version, time, traceparent, data)
                 SELECT id, type, subject, version, time, traceparent, data::json
                 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[], $7::text[])
                   WITH ORDINALITY AS e (id, type, subject, version, time, traceparent, data, n)
                 ORDER BY n"
            ),
            copy: format!(
                "COPY {prefix}_outbox (position, id, type, subject, version, time, traceparent, data)
                 FROM STDIN WITH (FORMAT binary)"
            ),
            take_positions: format!(
                "UPDATE {prefix}_outbox_head SET sequenced = sequenced + $1 RETURNING sequenced - $1"
            ),
            // The row lock on the head makes numbering a single file; the rows are read after it is taken, in a statement
            // snapshot of their own, so that everything committed before is seen.
            number: format!("SELECT {prefix}_outbox_number($1)"),
            unpublished: format!(
                "SELECT {columns} FROM (
                   SELECT {columns}, sum(pg_column_size(data)) OVER (ORDER BY position) - pg_column_size(data) AS before
                   FROM {prefix}_outbox WHERE position > (SELECT published FROM {prefix}_outbox_head)
                   ORDER BY position LIMIT $1) AS batch
                 WHERE before < $2 ORDER BY position"
            ),
            // Of two relays, the one that is behind must not overwrite what the other one noted.
            mark_published: format!(
                "UPDATE {prefix}_outbox_head SET published = $1, bus = $2, bus_event = $3, bus_position = $4
                 WHERE published < $1"
            ),
            join_bus: format!(
                "UPDATE {prefix}_outbox_head SET bus = $1, bus_event = NULL, bus_position = NULL"
            ),
            head: format!("SELECT sequenced, published, bus, bus_event, bus_position FROM {prefix}_outbox_head"),
            count_unpublished: format!(
                "SELECT sequenced - published + (SELECT count(*) FROM {prefix}_outbox WHERE position IS NULL)
                 FROM {prefix}_outbox_head"
            ),
            page: format!(
                "SELECT {columns}, recorded_at, (SELECT sequenced FROM {prefix}_outbox_head) AS last
                 FROM {prefix}_outbox WHERE position > $1 ORDER BY position LIMIT $2"
            ),
            restore: format!(
                "INSERT INTO {prefix}_outbox (position, id, type, subject, version, time, traceparent, data, recorded_at)
                 SELECT position, id, type, subject, version, time, traceparent, data::json, recorded_at
                 FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::text[],
                     $8::text[], $9::timestamptz[])
                   AS e (position, id, type, subject, version, time, traceparent, data, recorded_at)
                 ORDER BY position
                 ON CONFLICT (id) DO NOTHING"
            ),
            restore_end: format!("UPDATE {prefix}_outbox_head SET sequenced = greatest(sequenced, $1)"),
            restore_head: format!(
                "UPDATE {prefix}_outbox_head SET published = $1, bus = $2, bus_event = $3, bus_position = $4"
            ),
            truncate: format!("TRUNCATE {prefix}_outbox"),
            reset_head: format!(
                "UPDATE {prefix}_outbox_head
                 SET sequenced = 0, published = 0, bus = NULL, bus_event = NULL, bus_position = NULL"
            ),
        }
    }
}
