//! What a table has to hold, and the statement that tells what it holds.

use std::collections::BTreeMap;

use emporium_service_kit::ServiceName;

/// Rows of one table by their keys, both as text.
pub struct Expected {
    /// Whose table.
    pub service: ServiceName,
    /// Its name.
    pub table: &'static str,
    /// What gives the same two texts of each row.
    pub sql: String,
    /// The rows.
    pub rows: BTreeMap<String, String>,
}

impl Expected {
    /// Only rows for which this holds.
    pub fn only(mut self, condition: &str) -> Self {
        let and = if self.sql.contains(" WHERE ") {
            "AND"
        } else {
            "WHERE"
        };
        self.sql = format!("{} {and} {condition}", self.sql);
        self
    }
}

/// Columns as text with `|` between them, as the book writes them; booleans as `true` and `false`.
fn columns(names: &str) -> String {
    format!("array_to_string(ARRAY[{}], '|')", {
        let parts: Vec<String> = split(names)
            .iter()
            .map(|name| format!("({name})::text"))
            .collect();
        parts.join(", ")
    })
}

/// At commas that are in no parentheses.
fn split(names: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, letter) in names.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(names[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(names[from..].trim());
    parts
}

/// All rows of a table.
pub fn plain(
    service: ServiceName,
    table: &'static str,
    key: &str,
    values: &str,
    rows: BTreeMap<String, String>,
) -> Expected {
    let sql = format!("SELECT {}, {} FROM {table}", columns(key), columns(values));
    Expected {
        service,
        table,
        sql,
        rows,
    }
}

/// The live generation's rows.
pub fn live(
    service: ServiceName,
    projection: &str,
    table: &'static str,
    key: &str,
    values: &str,
    rows: BTreeMap<String, String>,
) -> Expected {
    let live = format!("SELECT live FROM {service}_projections WHERE projection = '{projection}'");
    plain(service, table, key, values, rows).only(&format!("generation = ({live})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_within_parentheses_part_nothing() {
        assert_eq!(split("a, coalesce(b, 'c'), d"), ["a", "coalesce(b, 'c')", "d"]);
        let rows = live(
            ServiceName::Analytics,
            "analytics",
            "t",
            "a, b",
            "c",
            BTreeMap::new(),
        );
        assert_eq!(
            rows.only("c > 0").sql,
            "SELECT array_to_string(ARRAY[(a)::text, (b)::text], '|'), array_to_string(ARRAY[(c)::text], '|') FROM t \
             WHERE generation = (SELECT live FROM analytics_projections WHERE projection = 'analytics') AND c > 0"
        );
    }
}
