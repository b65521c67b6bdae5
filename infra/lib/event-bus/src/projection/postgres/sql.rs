//! The statements about `<service>_projections`. Effects hold the projection's row in share mode; all others change it, so
//! they wait for effects under way, and effects see what they changed.

use emporium_service_kit::ServiceName;
use sqlx::AssertSqlSafe;

type Sql = AssertSqlSafe<String>;

const COLUMNS: &str =
    "live, building, rebuild, cause, cursors, events, started_at, outcome, clock_timestamp() AS now";
/// The rebuild `$2` is held by the member `$3`.
const HELD: &str = "projection = $1 AND rebuild = $2 AND builder = $3";

pub(super) struct Statements {
    table: String,
    inbox: String,
}

impl Statements {
    pub(super) fn new(service: ServiceName) -> Self {
        Self {
            table: format!("{service}_projections"),
            inbox: format!("{service}_inbox"),
        }
    }

    pub(super) fn make(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "INSERT INTO {table} (projection) VALUES ($1) ON CONFLICT DO NOTHING"
        ))
    }

    /// Which generations an effect concerns. That stays so until its transaction ends.
    pub(super) fn share(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "SELECT live, building FROM {table} WHERE projection = $1 FOR SHARE"
        ))
    }

    /// The same, and whether the live generation is older than `$2` seconds.
    pub(super) fn share_age(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "SELECT live, building, coalesce(live_since < now() - make_interval(secs => $2), true)
             FROM {table} WHERE projection = $1 FOR SHARE"
        ))
    }

    pub(super) fn standing(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!("SELECT {COLUMNS} FROM {table} WHERE projection = $1"))
    }

    pub(super) fn want(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "UPDATE {table} SET rebuild = coalesce(rebuild, $2),
               cause = CASE WHEN rebuild IS NULL THEN 'operator' ELSE cause END,
               cursors = CASE WHEN rebuild IS NULL THEN '{{}}' ELSE cursors END,
               events = CASE WHEN rebuild IS NULL THEN 0 ELSE events END,
               started_at = CASE WHEN rebuild IS NULL THEN clock_timestamp() ELSE started_at END
             WHERE projection = $1 RETURNING rebuild"
        ))
    }

    pub(super) fn take(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "UPDATE {table} SET builder = $2, leased_until = clock_timestamp() + make_interval(secs => $3)
             WHERE projection = $1 AND rebuild IS NOT NULL
               AND (builder IS NULL OR builder = $2 OR leased_until < clock_timestamp())
             RETURNING {COLUMNS}"
        ))
    }

    pub(super) fn replace(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "UPDATE {table} SET rebuild = $2, cause = 'bus', building = false, cursors = '{{}}', events = 0, comparison = NULL,
               started_at = clock_timestamp(), builder = $3,
               leased_until = clock_timestamp() + make_interval(secs => $4)
             WHERE projection = $1"
        ))
    }

    pub(super) fn renew(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "UPDATE {table} SET leased_until = clock_timestamp() + make_interval(secs => $4) WHERE {HELD}"
        ))
    }

    pub(super) fn release(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "UPDATE {table} SET builder = NULL, leased_until = NULL WHERE projection = $1 AND builder = $2"
        ))
    }

    pub(super) fn build(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "UPDATE {table} SET building = true, cursors = $4, events = 0, comparison = NULL,
               leased_until = clock_timestamp() + make_interval(secs => $5)
             WHERE {HELD} RETURNING live"
        ))
    }

    pub(super) fn forget(&self) -> Sql {
        let inbox = &self.inbox;
        AssertSqlSafe(format!("DELETE FROM {inbox} WHERE consumer = $1"))
    }

    pub(super) fn note(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "UPDATE {table} SET cursors = cursors || jsonb_build_object($4::text, $5::jsonb), events = events + $6,
               leased_until = clock_timestamp() + make_interval(secs => $7)
             WHERE {HELD} AND building RETURNING live"
        ))
    }

    pub(super) fn held(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!("SELECT live FROM {table} WHERE {HELD} AND building"))
    }

    /// Locks the row as well: no effect is under way until the transaction ends.
    pub(super) fn hold(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "UPDATE {table} SET leased_until = clock_timestamp() + make_interval(secs => $4)
             WHERE {HELD} AND building RETURNING live"
        ))
    }

    pub(super) fn note_comparison(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "UPDATE {table} SET comparison = $4 WHERE {HELD} AND building RETURNING live"
        ))
    }

    pub(super) fn compared(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "SELECT comparison FROM {table} WHERE {HELD} AND building AND comparison IS NOT NULL"
        ))
    }

    pub(super) fn seen(&self) -> Sql {
        let inbox = &self.inbox;
        AssertSqlSafe(format!(
            "SELECT event_id FROM {inbox} WHERE consumer = $1 AND event_id = ANY ($2)"
        ))
    }

    /// Events of the last `$3` seconds that `$1` has and `$2` lacks, at most `$6`; only those in `$4` (`$5`), or all but those.
    pub(super) fn lacking(&self) -> Sql {
        let inbox = &self.inbox;
        AssertSqlSafe(format!(
            "SELECT event_id FROM {inbox} AS a
             WHERE consumer = $1 AND handled_at > now() - make_interval(secs => $3) AND (event_id = ANY ($4)) = $5
               AND NOT EXISTS (SELECT FROM {inbox} AS b WHERE b.consumer = $2 AND b.event_id = a.event_id)
             LIMIT $6"
        ))
    }

    pub(super) fn switch(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM {table} WHERE {HELD} AND building FOR UPDATE"
        ))
    }

    pub(super) fn keep(&self) -> Sql {
        let table = &self.table;
        AssertSqlSafe(format!(
            "UPDATE {table} SET live = 1 - live, live_since = now(), building = false, rebuild = NULL, cause = NULL,
               cursors = '{{}}', comparison = NULL, builder = NULL, leased_until = NULL, outcome = $2
             WHERE projection = $1"
        ))
    }
}
