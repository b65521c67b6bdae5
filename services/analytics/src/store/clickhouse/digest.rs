//! The content of a build as PostgreSQL's tables have it, whatever the layout here is: so digests are the same in both stores.

use clickhouse::Row;
use emporium_event_bus::projection::{Digest, RowText, differences};
use emporium_service_kit::StoreError;
use serde::Deserialize;

use super::client::ClickHouse;

/// A table of PostgreSQL's.
struct Shape {
    /// Its name there.
    name: &'static str,
    /// How many of the columns name a row.
    key: usize,
    /// Its columns as text, of what `from` gives.
    columns: &'static [&'static str],
    /// Where the rows are, of the build `{build:Int64}`.
    from: &'static str,
}

/// A moment to the microsecond, without zeros at the end.
macro_rules! moment {
    ($at:literal) => {
        concat!("replaceRegexpOne(toString(", $at, "), '\\\\.?0*$', '')")
    };
}

const SHAPES: [Shape; 8] = [
    Shape {
        name: "analytics_order",
        key: 1,
        columns: &[
            "toString(subject)",
            "toString(customer_id)",
            moment!("at"),
            "country",
            "currency",
            "toString(amount)",
            "toString(lines)",
            "toString(units)",
        ],
        from: "analytics_event WHERE build = {build:Int64} AND kind = 'confirmed'",
    },
    Shape {
        name: "analytics_refund",
        key: 1,
        columns: &[
            "toString(subject)",
            "toString(order_id)",
            moment!("at"),
            "currency",
            "toString(amount)",
        ],
        from: "analytics_event WHERE build = {build:Int64} AND kind = 'refunded'",
    },
    Shape {
        name: "analytics_sales_day",
        key: 3,
        columns: &[
            "toString(day)",
            "country",
            "currency",
            "toString(sum(placed))",
            "toString(sum(cancelled))",
            "toString(sum(orders))",
            "toString(sum(lines))",
            "toString(sum(units))",
            "toString(sum(gross))",
        ],
        from: "analytics_figure WHERE build = {build:Int64} AND part = 'sales' GROUP BY day, country, currency",
    },
    Shape {
        name: "analytics_sales_minute",
        key: 2,
        columns: &[
            "formatDateTime(toStartOfMinute(at), '%F %T')",
            "currency",
            "toString(count())",
            "toString(sum(toInt128(units)))",
            "toString(sum(toInt128(amount)))",
        ],
        from: "analytics_event WHERE build = {build:Int64} AND kind = 'confirmed' GROUP BY toStartOfMinute(at), currency",
    },
    Shape {
        name: "analytics_product_day",
        key: 3,
        columns: &[
            "toString(day)",
            "toString(product_id)",
            "currency",
            "toString(sum(orders))",
            "toString(sum(lines))",
            "toString(sum(units))",
            "toString(sum(gross))",
            "toString(sum(refunded_units))",
            "toString(sum(refunded))",
        ],
        from: "analytics_figure WHERE build = {build:Int64} AND part = 'product' GROUP BY day, product_id, currency",
    },
    Shape {
        name: "analytics_customer_month",
        key: 2,
        columns: &[
            "toString(customer_id)",
            "toString(toStartOfMonth(toDate32(at)))",
            "toString(count())",
        ],
        from: "analytics_event WHERE build = {build:Int64} AND kind = 'confirmed' AND customer_id IS NOT NULL
               GROUP BY customer_id, toStartOfMonth(toDate32(at))",
    },
    Shape {
        name: "analytics_payment_day",
        key: 2,
        columns: &[
            "toString(day)",
            "currency",
            "toString(sum(succeeded))",
            "toString(sum(succeeded_amount))",
            "toString(sum(declined))",
            "toString(sum(voided))",
            "toString(sum(refunds))",
            "toString(sum(refunded))",
        ],
        from: "analytics_figure WHERE build = {build:Int64} AND part = 'payment' GROUP BY day, currency",
    },
    Shape {
        name: "analytics_product",
        key: 1,
        columns: &[
            "toString(product_id)",
            "toString(newest.1)",
            "newest.2",
            "newest.3",
            "newest.4",
            "newest.5",
        ],
        // Of a tuple, since argMax passes over values that are null.
        from: "(SELECT product_id, argMax(tuple(version, sku, name, toString(category), toString(brand)), version) AS newest
                FROM analytics_product WHERE build = {build:Int64} GROUP BY product_id)",
    },
];

/// A row's text, as the kit's [`RowText`] writes it.
fn text(columns: &[&str]) -> String {
    let fields: Vec<String> = columns
        .iter()
        .map(|column| format!("ifNull({column}, char(1))"))
        .collect();
    // With something empty, so that one column is enough.
    format!("concat('', {})", fields.join(", char(31), "))
}

#[derive(Row, Deserialize)]
struct Sums {
    rows: u64,
    first: i128,
    second: i128,
}

/// The digests of a build's tables.
pub(super) async fn digests(server: &ClickHouse, build: i64) -> Result<Vec<Digest>, StoreError> {
    let mut digests = Vec::with_capacity(SHAPES.len());
    for shape in &SHAPES {
        let half =
            |from: u8| format!("sum(toInt128(reinterpretAsInt64(reverse(substring(hash, {from}, 8)))))");
        let (text, from) = (text(shape.columns), shape.from);
        let sums: Sums = server
            .ask(format!(
                "SELECT count() AS rows, {} AS first, {} AS second FROM (SELECT MD5({text}) AS hash FROM {from})",
                half(1),
                half(9)
            ))
            .param("build", build)
            .long()
            .one()
            .await?;
        let rows = i64::try_from(sums.rows).unwrap_or(i64::MAX);
        digests.push(Digest::of_sums(shape.name, rows, [sums.first, sums.second]));
    }
    Ok(digests)
}

#[derive(Row, Deserialize)]
struct Pair {
    old: Option<String>,
    new: Option<String>,
}

/// What differs between two builds, a line a row, at most so many.
pub(super) async fn differing(
    server: &ClickHouse,
    old: i64,
    new: i64,
    max: usize,
) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    for shape in &SHAPES {
        let left = max.saturating_sub(lines.len());
        let (key, whole) = (text(&shape.columns[..shape.key]), text(shape.columns));
        let side = |name: &str| shape.from.replace("{build:Int64}", &format!("{{{name}:Int64}}"));
        let pairs: Vec<Pair> = server
            .ask(format!(
                "SELECT anyIf(toNullable(row), is_old) AS old, anyIf(toNullable(row), NOT is_old) AS new FROM (
                     SELECT {key} AS key, {whole} AS row, true AS is_old FROM {}
                     UNION ALL SELECT {key}, {whole}, false FROM {})
                 GROUP BY key HAVING NOT (ifNull(old, '') = ifNull(new, '')) ORDER BY key LIMIT {{max:UInt64}}",
                side("old"),
                side("new")
            ))
            .param("old", old)
            .param("new", new)
            .param("max", u64::try_from(left).unwrap_or(u64::MAX))
            .long()
            .rows()
            .await?;
        let texts = |of: fn(&Pair) -> Option<&String>| -> Vec<RowText> {
            let texts = pairs.iter().filter_map(of);
            texts.map(|text| RowText::new().with(text)).collect()
        };
        lines.extend(differences(
            shape.name,
            shape.key,
            &texts(|pair| pair.old.as_ref()),
            &texts(|pair| pair.new.as_ref()),
            left,
        ));
    }
    Ok(lines)
}
