//! Does the floor send what the shop sends? One request of each flow is made of each side while the database server logs all
//! statements; what each side's databases were sent is compared, transaction by transaction.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::bench::Sides;
use crate::flows::{Flow, fillers};
use crate::http::{Connection, address_of};
use crate::load;
use crate::machine::settle;
use crate::prepare::{Material, copy_of, execute, superuser_of};
use crate::process::{Shop, cluster};

/// What the shop does by itself, or after a request was answered, is no part of the request: events are numbered, published
/// and consumed, what is due or old is looked for, and every second where a store's data is.
const BACKGROUND: [&str; 18] = [
    "_outbox_number(",
    "_outbox_head",
    "_outbox WHERE position",
    "_inbox",
    "_projections WHERE projection = $1",
    "SELECT note FROM sessions_rebuild",
    "SELECT order_id FROM orders_saga WHERE step <> 'done'",
    "FROM orders_saga WHERE step IN",
    "UPDATE orders_saga SET due_at = $1, deadline = least(",
    "FOR UPDATE SKIP LOCKED",
    "FROM payments_charge WHERE state = 'pending'",
    "FROM payments_provider_request WHERE notify_at",
    "FROM catalog_search_count",
    "FROM catalog_recount",
    "DELETE FROM orders_idempotency",
    "_move_standing",
    "FROM catalog_places",
    "SELECT 1",
];
/// No answer to a customer waits for these: one counts what others tell it, the other one measures them, each in its own time.
const BACKGROUND_OWNERS: [&str; 2] = ["analytics", "monitoring"];
/// The driver asks for types by their names, once a connection.
const OF_DRIVER: &str = "to_regtype(";
const LOGGED_AFTER: Duration = Duration::from_millis(500);
/// Requests before the one that is looked at, so that statements are prepared and summaries remembered.
const WARM_UP: usize = 12;

/// What one request of a flow makes of the databases.
#[derive(Debug, Clone, Serialize)]
pub struct Audited {
    /// Statements, transaction control left out.
    pub statements: usize,
    /// Transactions; a statement outside of one counts as one.
    pub transactions: usize,
    /// Those of them that write, so each waits for the disk.
    pub commits: usize,
}

/// Compares all flows that the floor answers; an error tells every difference.
pub fn audit(runtime: &Runtime, sides: &Sides<'_>) -> anyhow::Result<BTreeMap<&'static str, Audited>> {
    let log = ServerLog::open(sides.shop);
    configure(
        runtime,
        sides.shop,
        &["SET log_statement = 'all'", "SET log_line_prefix = '%d|%p|'"],
    )?;
    let result = compare_all(&log, sides);
    configure(
        runtime,
        sides.shop,
        &["RESET log_statement", "RESET log_line_prefix"],
    )?;
    result
}

fn configure(runtime: &Runtime, shop: &Shop, settings: &[&str]) -> anyhow::Result<()> {
    let superuser = superuser_of(shop)?;
    runtime.block_on(async {
        let mut admin = superuser.connect("postgres").await?;
        for setting in settings {
            execute(&mut admin, format!("ALTER SYSTEM {setting}")).await?;
        }
        execute(&mut admin, "SELECT pg_reload_conf()".to_owned()).await
    })
}

fn compare_all(log: &ServerLog, sides: &Sides<'_>) -> anyhow::Result<BTreeMap<&'static str, Audited>> {
    let shop_address = address_of(sides.shop.gateway()?)?;
    let mut audited = BTreeMap::new();
    let mut differences = Vec::new();
    for flow in Flow::ALL.into_iter().filter(|flow| flow.has_floor()) {
        let of_shop = log.units_of(flow, shop_address, sides, &|owner| format!("emporium_{owner}"))?;
        let of_floor = log.units_of(flow, sides.floor_address, sides, &copy_of)?;
        differences.extend(differ(flow, &of_shop, &of_floor));
        audited.insert(flow.name(), count(&of_floor));
    }
    if differences.is_empty() {
        return Ok(audited);
    }
    bail!(
        "the floor does not send what the shop sends:\n{}",
        differences.join("\n")
    )
}

/// One transaction of one database: its statements, with spaces made alike.
type Unit = (String, Vec<String>);

struct ServerLog {
    path: PathBuf,
}

impl ServerLog {
    fn open(shop: &Shop) -> Self {
        Self {
            path: cluster(shop.dir()).join("server.log"),
        }
    }

    fn end(&self) -> anyhow::Result<u64> {
        Ok(std::fs::metadata(&self.path)?.len())
    }

    /// The transactions that one request leads to.
    fn units_of(
        &self,
        flow: Flow,
        address: SocketAddr,
        sides: &Sides<'_>,
        database: &dyn Fn(&str) -> String,
    ) -> anyhow::Result<Vec<Unit>> {
        let material = prepared(flow, address, &sides.material)?;
        let mut worker = flow.workers(address, &material, 1).pop().context("no worker")?;
        let mut connection = Connection::open(address)?;
        let mut request = Vec::new();
        let mut from = 0;
        for number in 0..=WARM_UP {
            if number == WARM_UP {
                settle(sides.shop.pid(), sides.shop.postgres_pid()?)?;
                from = self.end()?;
            }
            worker.next(&mut request);
            let answer = connection.exchange(&request)?;
            if !worker.accepts(&answer) {
                bail!("{} answered {}", flow.name(), answer.excerpt());
            }
        }
        thread::sleep(LOGGED_AFTER);
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let mut units = units(&String::from_utf8_lossy(&text));
        units.retain(|(name, statements)| {
            !statements.iter().any(|sql| is_background(sql)) && !name.is_empty()
        });
        // Databases are told by their owners, so that both sides have the same names.
        let asked = |owner: &&String| !BACKGROUND_OWNERS.contains(&owner.as_str());
        let owners = sides.shop.databases.keys().filter(asked);
        let names: BTreeMap<String, &String> = owners.map(|owner| (database(owner), owner)).collect();
        let units = units
            .into_iter()
            .filter_map(|(name, statements)| names.get(&name).map(|owner| ((*owner).clone(), statements)));
        Ok(units.collect())
    }
}

/// Carts for the checkouts of an audit.
fn prepared(flow: Flow, address: SocketAddr, material: &Arc<Material>) -> anyhow::Result<Arc<Material>> {
    if flow != Flow::Checkout {
        return Ok(material.clone());
    }
    let few = material.customers.iter().take(WARM_UP + 1).cloned().collect();
    let material = Arc::new(Material {
        products: Vec::new(),
        ordered: material.ordered.clone(),
        queries: Vec::new(),
        cart_customers: Vec::new(),
        customers: few,
    });
    load::closed(
        address,
        fillers(address, &material, 1, usize::MAX),
        Duration::from_mins(1),
    )?;
    Ok(material)
}

fn is_background(sql: &str) -> bool {
    BACKGROUND.iter().any(|part| sql.contains(part))
}

/// The transactions in a server's log, each when it ended. Lines look like `database|process|LOG:  execute name: SELECT …`,
/// and go on behind tabs.
fn units(log: &str) -> Vec<Unit> {
    let mut open: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut units = Vec::new();
    for (database, process, sql) in statements(log) {
        let key = (database.clone(), process);
        match sql.as_str() {
            "BEGIN" => {
                open.insert(key, Vec::new());
            }
            "COMMIT" | "ROLLBACK" => {
                let mut statements = open.remove(&key).unwrap_or_default();
                // All it did was before the log is looked at: the request's own transactions begin in it.
                if statements.is_empty() {
                    continue;
                }
                statements.push(sql);
                units.push((database, statements));
            }
            _ => match open.get_mut(&key) {
                Some(statements) => statements.push(sql),
                None => units.push((database, vec![sql])),
            },
        }
    }
    units
}

fn statements(log: &str) -> Vec<(String, String, String)> {
    let mut found: Vec<(String, String, String)> = Vec::new();
    let mut goes_on = false;
    for line in log.lines() {
        if let (Some(more), true) = (line.strip_prefix('\t'), goes_on) {
            if let Some((_, _, sql)) = found.last_mut() {
                sql.push(' ');
                sql.push_str(more);
            }
            continue;
        }
        let mut parts = line.splitn(3, '|');
        let (database, process, rest) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
        let sql = rest.strip_prefix("LOG:  statement: ").or_else(|| {
            rest.strip_prefix("LOG:  execute ")
                .and_then(|rest| Some(rest.split_once(": ")?.1))
        });
        goes_on = sql.is_some();
        if let (Some(database), Some(process), Some(sql)) = (database, process, sql) {
            found.push((database.to_owned(), process.to_owned(), sql.to_owned()));
        }
    }
    found.retain(|(_, _, sql)| !sql.contains(OF_DRIVER));
    for (_, _, sql) in &mut found {
        *sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    found
}

fn differ(flow: Flow, of_shop: &[Unit], of_floor: &[Unit]) -> Vec<String> {
    let mut balance: BTreeMap<&Unit, i32> = BTreeMap::new();
    for unit in of_shop {
        *balance.entry(unit).or_default() += 1;
    }
    for unit in of_floor {
        *balance.entry(unit).or_default() -= 1;
    }
    balance.retain(|_, count| *count != 0);
    let tell = |((owner, statements), count): (&Unit, i32)| {
        let side = if count > 0 { "shop" } else { "floor" };
        let times = count.abs();
        format!(
            "{}: {times} × only the {side} sends to {owner}:\n    {}",
            flow.name(),
            statements.join("\n    ")
        )
    };
    balance.into_iter().map(tell).collect()
}

fn count(units: &[Unit]) -> Audited {
    let control = |sql: &&String| !matches!(sql.as_str(), "COMMIT" | "ROLLBACK");
    let writes = |sql: &String| {
        ["INSERT ", "UPDATE ", "DELETE "]
            .iter()
            .any(|verb| sql.contains(verb))
    };
    Audited {
        statements: units
            .iter()
            .flat_map(|(_, statements)| statements)
            .filter(control)
            .count(),
        transactions: units.len(),
        commits: units
            .iter()
            .filter(|(_, statements)| statements.iter().any(writes))
            .count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_read_from_a_log() {
        let log = "a|1|LOG:  statement: BEGIN\n\
            b|2|LOG:  execute sqlx_s_1: SELECT x\n\t  FROM y: z\n\
            b|2|DETAIL:  Parameters: $1 = 'BEGIN'\n\
            a|1|LOG:  execute <unnamed>: INSERT INTO  t\n\
            a|1|LOG:  statement: COMMIT\n\
            a|4|LOG:  statement: ROLLBACK\n\
            a|3|LOG:  duration: 1 ms\n";
        let expected: Vec<Unit> = vec![
            ("b".into(), vec!["SELECT x FROM y: z".into()]),
            ("a".into(), vec!["INSERT INTO t".into(), "COMMIT".into()]),
        ];
        assert_eq!(units(log), expected);
        let counted = count(&expected);
        assert_eq!(
            (counted.statements, counted.transactions, counted.commits),
            (2, 2, 1)
        );
    }

    #[test]
    fn differences_name_the_side() {
        let unit = |sql: &str| ("carts".to_owned(), vec![sql.to_owned()]);
        let told = differ(
            Flow::Cart,
            &[unit("SELECT a"), unit("SELECT b")],
            &[unit("SELECT b"), unit("SELECT c")],
        );
        assert_eq!(told.len(), 2);
        assert!(
            told[0].contains("only the shop") && told[0].contains("SELECT a"),
            "{told:?}"
        );
        assert!(
            told[1].contains("only the floor") && told[1].contains("SELECT c"),
            "{told:?}"
        );
        assert!(differ(Flow::Cart, &[unit("SELECT a")], &[unit("SELECT a")]).is_empty());
    }
}
