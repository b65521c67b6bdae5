//! Tables of a projection, compared by content.

use emporium_service_kit::Tx;
use sqlx::AssertSqlSafe;

/// Characters of a row that a difference shows.
const ROW_MAX: i32 = 200;

/// A table with a column `generation smallint`, partitioned by it (`PARTITION BY LIST`) into `<name>_g0` and `<name>_g1`.
/// Both partitions hold the same kind of rows, so they can be compared.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, with the service's prefix.
    pub name: &'static str,
    /// What names a row within a generation, comma-separated: the primary key without `generation`.
    pub key: &'static str,
    /// All other columns that are made from events, comma-separated. No sums of floating-point numbers, which depend on the
    /// order of addition, no random ids and no times of writing.
    pub values: &'static str,
}

/// The content of a table's generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The table.
    pub table: String,
    /// How many rows.
    pub rows: i64,
    /// Equal for equal sets of rows, whatever their order.
    pub digest: String,
}

impl Table {
    /// Empties a generation. Waits for queries that read it and holds up new ones until the transaction ends.
    pub async fn empty(&self, generation: i16, tx: &mut Tx) -> Result<(), sqlx::Error> {
        let sql = format!("TRUNCATE {}_g{generation}", self.name);
        sqlx::query(AssertSqlSafe(sql)).execute(tx).await?;
        Ok(())
    }

    /// The digest: the sums of two 64-bit hashes of each row, which no order changes. Not proof against an adversary who makes
    /// rows, but against accidents.
    pub async fn digest(&self, generation: i16, tx: &mut Tx) -> Result<Digest, sqlx::Error> {
        let (name, row) = (self.name, self.row());
        let sql = format!(
            "SELECT count(*), md5(concat(sum(hashtextextended({row}, 0)::numeric), ' ',
                                         sum(hashtextextended({row}, 1)::numeric)))
             FROM {name} WHERE generation = $1"
        );
        let (rows, digest) = sqlx::query_as(AssertSqlSafe(sql))
            .bind(generation)
            .fetch_one(tx)
            .await?;
        Ok(Digest {
            table: name.to_owned(),
            rows,
            digest,
        })
    }

    /// Rows that differ between two generations, at most `max`, a line each.
    pub async fn differences(
        &self,
        old: i16,
        new: i16,
        max: usize,
        tx: &mut Tx,
    ) -> Result<Vec<String>, sqlx::Error> {
        let (name, key, values) = (self.name, self.key, self.values);
        let side = |n: i16| {
            format!(
                "(SELECT ROW({key})::text AS k, ROW({values})::text AS v FROM {name} WHERE generation = ${n})"
            )
        };
        let sql = format!(
            "SELECT left(k, $4), left(o.v, $4), left(n.v, $4) FROM {} AS o FULL JOIN {} AS n USING (k)
             WHERE o.v IS DISTINCT FROM n.v ORDER BY k LIMIT $3",
            side(1),
            side(2)
        );
        let rows: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(old)
            .bind(new)
            .bind(i64::try_from(max).unwrap_or(i64::MAX))
            .bind(ROW_MAX)
            .fetch_all(tx)
            .await?;
        Ok(rows.into_iter().map(|row| self.line(row)).collect())
    }

    fn row(&self) -> String {
        format!("ROW({}, ROW({}))::text", self.key, self.values)
    }

    fn line(&self, (key, old, new): (String, Option<String>, Option<String>)) -> String {
        let name = self.name;
        match (old, new) {
            (Some(old), Some(new)) => format!("{name} {key}: was {old}, is {new}"),
            (Some(old), None) => format!("{name} {key}: was {old}, is not there any more"),
            (None, new) => format!("{name} {key}: was not there, is {}", new.unwrap_or_default()),
        }
    }
}
