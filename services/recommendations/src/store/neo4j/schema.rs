//! Constraints and indexes, in versions. Each statement can be repeated, so a migration that was broken off, or that two
//! processes make at once, ends the same.

use std::time::Duration;

use neo4rs::BoltType;
use serde::Deserialize;

use super::check::ConnectError;
use super::client::{Neo4j, Statement};
use super::error::code;

/// How often one is repeated that got into the way of another process's.
const TRIES: usize = 10;
/// The pause before, times the number of the try.
const PAUSE: Duration = Duration::from_millis(50);

const VERSIONS: Statement = Statement {
    name: "migrations",
    text: "MATCH (m:Migration) WHERE m.service = 'recommendations' RETURN coalesce(max(m.version), 0) AS version",
};
const RECORD: Statement = Statement {
    name: "record migration",
    text: "MERGE (m:Migration {service: 'recommendations', version: $version}) ON CREATE SET m.at = timestamp()",
};
const AWAIT: Statement = Statement {
    name: "await indexes",
    text: "CALL db.awaitIndexes(15)",
};
const SHOW: Statement = Statement {
    name: "show indexes",
    text: "SHOW INDEXES YIELD name, state, entityType, labelsOrTypes, properties, owningConstraint
        WHERE name STARTS WITH 'recommendations_'
        RETURN name, state, entityType AS entity, labelsOrTypes[0] AS of, properties, owningConstraint IS NOT NULL AS unique",
};

/// A constraint or an index.
struct Rule {
    name: &'static str,
    /// `NODE` or `RELATIONSHIP`.
    entity: &'static str,
    of: &'static str,
    keys: &'static [&'static str],
    unique: bool,
    make: Statement,
}

macro_rules! unique {
    ($name:literal, $of:literal, $($key:literal),+) => {
        Rule {
            name: $name,
            entity: "NODE",
            of: $of,
            keys: &[$($key),+],
            unique: true,
            make: Statement {
                name: "create constraint",
                text: concat!("CREATE CONSTRAINT ", $name, " IF NOT EXISTS FOR (n:", $of, ") REQUIRE (",
                    unique!(@keys $($key),+), ") IS UNIQUE"),
            },
        }
    };
    (@keys $first:literal $(, $key:literal)*) => { concat!("n.", $first $(, ", n.", $key)*) };
}

macro_rules! index {
    ($name:literal, $entity:literal, $pattern:literal, $of:literal, $($key:literal),+) => {
        Rule {
            name: $name,
            entity: $entity,
            of: $of,
            keys: &[$($key),+],
            unique: false,
            make: Statement {
                name: "create index",
                text: concat!("CREATE INDEX ", $name, " IF NOT EXISTS FOR ", $pattern, " ON (",
                    unique!(@keys $($key),+), ")"),
            },
        }
    };
}

/// The versions, oldest first. A version that was released never changes; what comes later is one more.
///
/// `build` is the first key of all that a generation has: a number that no other generation of any shop in this database has.
const MIGRATIONS: &[&[Rule]] = &[
    &[
        unique!("recommendations_migration", "Migration", "service", "version"),
        unique!("recommendations_counter", "Counter", "name"),
        unique!("recommendations_state", "State", "name"),
        unique!("recommendations_moment", "Moment", "name"),
        unique!("recommendations_claim", "Claim", "build", "event"),
        index!(
            "recommendations_claim_by_time",
            "NODE",
            "(n:Claim)",
            "Claim",
            "build",
            "at"
        ),
        unique!("recommendations_basket", "Basket", "build", "id"),
        index!(
            "recommendations_basket_by_time",
            "NODE",
            "(n:Basket)",
            "Basket",
            "build",
            "at"
        ),
        index!(
            "recommendations_basket_by_customer",
            "NODE",
            "(n:Basket)",
            "Basket",
            "build",
            "customer",
            "at",
            "id"
        ),
        unique!("recommendations_good", "Good", "build", "id"),
        index!(
            "recommendations_good_by_week",
            "NODE",
            "(n:Good)",
            "Good",
            "build",
            "active",
            "week_step"
        ),
        index!(
            "recommendations_good_by_baskets",
            "NODE",
            "(n:Good)",
            "Good",
            "build",
            "active",
            "baskets_step"
        ),
        // The newest baskets of a good are found by these, in their order; nothing is expanded from a good that everybody bought.
        index!(
            "recommendations_has",
            "RELATIONSHIP",
            "()-[n:HAS]-()",
            "HAS",
            "build",
            "good",
            "at",
            "id"
        ),
        unique!("recommendations_return", "Return", "build", "customer", "good"),
    ],
    &[
        // What the graph is to the service: see `standing.rs`.
        unique!("recommendations_standing", "Standing", "name"),
    ],
];

#[derive(Deserialize)]
struct Version {
    version: i64,
}

/// An index as the server has it.
#[derive(Deserialize)]
struct Shown {
    name: String,
    state: String,
    entity: String,
    of: String,
    properties: Vec<String>,
    unique: bool,
}

impl Shown {
    fn is(&self, rule: &Rule) -> bool {
        self.state == "ONLINE"
            && (self.entity.as_str(), self.of.as_str(), self.unique) == (rule.entity, rule.of, rule.unique)
            && self.properties == rule.keys
    }
}

/// Brings the database up to date.
pub(super) async fn migrate(client: &Neo4j) -> Result<(), ConnectError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    // Before the first migration its label is not known, which is no error.
    let made = client
        .first_transaction(|tx| Box::pin(async move { tx.row::<Version>(&VERSIONS, []).await }))
        .await?
        .map_or(0, |row| row.version);
    if made > known {
        return Err(ConnectError::Newer(made));
    }
    for (version, rules) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > made) {
        for rule in *rules {
            run(client, &rule.make, None).await?;
        }
        run(client, &AWAIT, None).await?;
        verify(client, rules).await?;
        run(client, &RECORD, Some(version)).await?;
    }
    Ok(())
}

/// A name that stands for something else already is passed over by `IF NOT EXISTS` without a word.
async fn verify(client: &Neo4j, rules: &[Rule]) -> Result<(), ConnectError> {
    let shown: Vec<Shown> = client
        .first_transaction(|tx| Box::pin(async move { tx.rows(&SHOW, []).await }))
        .await?;
    let is_there = |rule: &&Rule| {
        shown
            .iter()
            .any(|shown| shown.name == rule.name && shown.is(rule))
    };
    match rules.iter().find(|rule| !is_there(rule)) {
        Some(rule) => Err(ConnectError::Taken(rule.name.to_owned())),
        None => Ok(()),
    }
}

/// Runs a statement, and again while another process does the same.
async fn run(
    client: &Neo4j,
    statement: &'static Statement,
    version: Option<i64>,
) -> Result<(), ConnectError> {
    let mut tries = 1;
    loop {
        let parameters = version.map(|version| ("version", BoltType::from(version)));
        let done = client
            .first_transaction(move |tx| Box::pin(async move { tx.run(statement, parameters).await }))
            .await;
        match done {
            Ok(()) => return Ok(()),
            Err(error) if code(&error).ends_with(".EquivalentSchemaRuleAlreadyExists") => return Ok(()),
            Err(error) if code(&error).contains(".TransientError.") && tries < TRIES => {
                let tries_before = u32::try_from(tries).unwrap_or(u32::MAX);
                tokio::time::sleep(PAUSE * tries_before).await;
                tries += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
