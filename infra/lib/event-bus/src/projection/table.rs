//! Tables of a projection, compared by content.

use emporium_service_kit::Tx;
use sqlx::AssertSqlSafe;

use super::content::{NULL, SEPARATOR};

/// Characters of a row that a difference shows.
const ROW_MAX: usize = 200;

/// A table with a column `generation smallint`, partitioned by it (`PARTITION BY LIST`) into `<name>_g0` and `<name>_g1`.
/// Both partitions hold the same kind of rows, so they can be compared.
///
/// Columns are expressions whose casts to `text` are the same whatever the session's settings and whatever the store: moments
/// as `… AT TIME ZONE 'UTC'`. [`RowText`](super::RowText) writes them for other stores.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, with the service's prefix.
    pub name: &'static str,
    /// What names a row within a generation: the primary key without `generation`.
    pub key: &'static [&'static str],
    /// All other columns that are made from events. No sums of floating-point numbers, which depend on the order of addition,
    /// no random ids and no times of writing.
    pub values: &'static [&'static str],
}

/// The content of a table's generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The table.
    pub table: String,
    /// How many rows.
    pub rows: i64,
    /// Equal for equal sets of rows, whatever their order and the store they are in.
    pub digest: String,
}

impl Digest {
    /// The digest of a query's rows, whose columns are `columns`.
    pub async fn of_rows(
        table: &str,
        columns: &[&str],
        from: &str,
        tx: &mut Tx,
    ) -> Result<Self, sqlx::Error> {
        let row = row_text(columns);
        // OFFSET keeps the hash from being computed twice.
        let sql = format!(
            "SELECT count(*), md5(concat(sum(('x' || left(hash, 16))::bit(64)::bigint::numeric), ' ',
                                         sum(('x' || right(hash, 16))::bit(64)::bigint::numeric)))
             FROM (SELECT md5({row}) AS hash FROM {from} OFFSET 0) AS hashes"
        );
        let (rows, digest) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(tx).await?;
        Ok(Self {
            table: table.to_owned(),
            rows,
            digest,
        })
    }
}

impl Table {
    /// Empties a generation. Waits for queries that read it and holds up new ones until the transaction ends.
    pub async fn empty(&self, generation: i16, tx: &mut Tx) -> Result<(), sqlx::Error> {
        let sql = format!("TRUNCATE {}_g{generation}", self.name);
        sqlx::query(AssertSqlSafe(sql)).execute(tx).await?;
        Ok(())
    }

    /// The digest: the sums of two 64-bit hashes of each row, which no order changes ([`Digester`](super::Digester) is the same
    /// for other stores).
    pub async fn digest(&self, generation: i16, tx: &mut Tx) -> Result<Digest, sqlx::Error> {
        let columns = [self.key, self.values].concat();
        let from = format!("{} WHERE generation = {generation}", self.name);
        Digest::of_rows(self.name, &columns, &from, tx).await
    }

    /// Rows that differ between two generations, at most `max`, a line each.
    pub async fn differences(
        &self,
        old: i16,
        new: i16,
        max: usize,
        tx: &mut Tx,
    ) -> Result<Vec<String>, sqlx::Error> {
        let (name, key, values) = (self.name, row_text(self.key), row_text(self.values));
        let side = |n: i16| format!("(SELECT {key} AS k, {values} AS v FROM {name} WHERE generation = ${n})");
        let sql = format!(
            "SELECT k, o.v, n.v FROM {} AS o FULL JOIN {} AS n USING (k)
             WHERE o.v IS DISTINCT FROM n.v ORDER BY k LIMIT $3",
            side(1),
            side(2)
        );
        let rows: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(old)
            .bind(new)
            .bind(i64::try_from(max).unwrap_or(i64::MAX))
            .fetch_all(tx)
            .await?;
        Ok(rows
            .iter()
            .map(|(key, old, new)| difference(name, key, old.as_deref(), new.as_deref()))
            .collect())
    }
}

/// The SQL of a row's text: its columns, the key's first.
fn row_text(columns: &[&str]) -> String {
    let fields: Vec<String> = columns
        .iter()
        .map(|column| format!("coalesce(({column})::text, chr({}))", u32::from(NULL)))
        .collect();
    format!("concat_ws(chr({}), {})", u32::from(SEPARATOR), fields.join(", "))
}

/// What differs, for people: a row's key, and its other columns in the old generation and in the new one.
pub(super) fn difference(table: &str, key: &str, old: Option<&str>, new: Option<&str>) -> String {
    let key = shown(key);
    match (old.map(shown), new.map(shown)) {
        (Some(old), Some(new)) => format!("{table} {key}: was {old}, is {new}"),
        (Some(old), None) => format!("{table} {key}: was {old}, is not there any more"),
        (None, new) => format!("{table} {key}: was not there, is {}", new.unwrap_or_default()),
    }
}

/// A row's text for people, cut.
fn shown(fields: &str) -> String {
    let text: String = fields.chars().take(ROW_MAX).collect();
    let text = text.replace(NULL, "").replace(SEPARATOR, ",");
    format!("({text})")
}
