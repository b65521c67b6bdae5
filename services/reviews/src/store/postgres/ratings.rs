//! The projection `ratings` in PostgreSQL: applied to one generation at a time, in sets.
//!
//! Rows are locked in one order everywhere, so that a customer who posts and members of the consumer group never wait for each
//! other in a circle: the projection's row (shared), the review, and then for each generation standings in the order of their
//! keys, and summaries in the order of theirs.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use emporium_event_bus::projection::{self, GenerationHandler, Table};
use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::{ServiceName, Tx};
use sqlx::FromRow;
use uuid::Uuid;

use crate::changes::{Author, Changes, Counts, KINDS, Pair, PairChange, Rated, Standing};
use crate::store::PROJECTION;

const TABLES: &[Table] = &[
    Table {
        name: "reviews_standing",
        key: &["customer_id", "product_id"],
        values: &["bought", "refunded", "rating", "visible", "version"],
    },
    Table {
        name: "reviews_summary",
        key: &["product_id"],
        values: &[
            "ratings_1",
            "ratings_2",
            "ratings_3",
            "ratings_4",
            "ratings_5",
            "verified",
        ],
    },
    Table {
        name: "reviews_author",
        key: &["user_id"],
        values: &["name", "active", "version"],
    },
];

const AUTHORS: &str = "
    INSERT INTO reviews_author AS a (generation, user_id, name, active, version)
    SELECT $1, user_id, name, active, version
    FROM unnest($2::uuid[], $3::text[], $4::boolean[], $5::bigint[]) AS n (user_id, name, active, version)
    ORDER BY user_id
    ON CONFLICT (generation, user_id) DO UPDATE SET
        name = excluded.name, active = excluded.active, version = excluded.version
    WHERE a.version < excluded.version";

/// Adds units and locks every pair of the batch, those that only a review is about included. Gives those whose product's
/// summary may change, as they are now.
const PAIRS: &str = "
    WITH change AS (
        SELECT customer_id, product_id, bought, refunded, rated
        FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::boolean[])
            AS n (customer_id, product_id, bought, refunded, rated)
    ), written AS (
        INSERT INTO reviews_standing AS s (generation, customer_id, product_id, bought, refunded)
        SELECT $1, customer_id, product_id, bought, refunded FROM change ORDER BY customer_id, product_id
        ON CONFLICT (generation, customer_id, product_id) DO UPDATE SET
            bought = s.bought + excluded.bought, refunded = s.refunded + excluded.refunded
        RETURNING s.customer_id, s.product_id, s.bought, s.refunded, s.rating, s.visible, s.version
    )
    SELECT customer_id, product_id, written.bought, written.refunded, rating, visible, version
    FROM written JOIN change USING (customer_id, product_id)
    WHERE change.rated OR rating IS NOT NULL";

const RATED: &str = "
    UPDATE reviews_standing AS s SET rating = n.rating, visible = n.visible, version = n.version
    FROM unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::boolean[], $6::bigint[])
        AS n (customer_id, product_id, rating, visible, version)
    WHERE s.generation = $1 AND s.customer_id = n.customer_id AND s.product_id = n.product_id";

const SUMMARIES: &str = "
    INSERT INTO reviews_summary AS s
        (generation, product_id, ratings_1, ratings_2, ratings_3, ratings_4, ratings_5, verified)
    SELECT $1, product_id, r1, r2, r3, r4, r5, verified
    FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
        AS n (product_id, r1, r2, r3, r4, r5, verified)
    ORDER BY product_id
    ON CONFLICT (generation, product_id) DO UPDATE SET
        ratings_1 = s.ratings_1 + excluded.ratings_1, ratings_2 = s.ratings_2 + excluded.ratings_2,
        ratings_3 = s.ratings_3 + excluded.ratings_3, ratings_4 = s.ratings_4 + excluded.ratings_4,
        ratings_5 = s.ratings_5 + excluded.ratings_5, verified = s.verified + excluded.verified";

/// The generations that an effect is to be applied to.
pub async fn generations(tx: &mut Tx) -> Result<Vec<i16>, sqlx::Error> {
    projection::generations(tx, ServiceName::Reviews, PROJECTION).await
}

/// The projection's handler.
pub struct Ratings;

#[async_trait]
impl GenerationHandler for Ratings {
    fn kinds(&self) -> &'static [&'static str] {
        KINDS
    }

    fn tables(&self) -> &'static [Table] {
        TABLES
    }

    async fn handle(&self, events: &[&CloudEvent], generation: i16, tx: &mut Tx) -> Result<(), ApplyError> {
        let changes = Changes::read(events.iter().copied())?;
        Ok(apply(&changes, generation, tx).await?)
    }
}

/// Applies changes to a generation.
pub async fn apply(changes: &Changes, generation: i16, tx: &mut Tx) -> Result<(), sqlx::Error> {
    if !changes.authors.is_empty() {
        write_authors(&changes.authors, generation, tx).await?;
    }
    if changes.pairs.is_empty() {
        return Ok(());
    }
    let standings = write_pairs(&changes.pairs, generation, tx).await?;
    let (mut rated, mut rated_products) = (Vec::new(), HashSet::new());
    let mut counts = BTreeMap::<Uuid, Counts>::new();
    for (pair, now) in standings {
        let change = changes.pairs.get(&pair).copied().unwrap_or_default();
        let before = Standing {
            bought: now.bought - change.bought,
            refunded: now.refunded - change.refunded,
            ..now
        };
        let after = before.with(&change);
        let sums = counts.entry(pair.product_id).or_default();
        sums.move_on(&before, &after);
        if let Some(newest) = after.rated.filter(|newest| before.rated != Some(*newest)) {
            rated.push((pair, newest));
            rated_products.insert(pair.product_id);
        }
    }
    // A product with a review that was ever rated has a row, be it all zeros: so which rows there are does not depend on how
    // events fell into batches, and generations can be compared.
    counts.retain(|product, sums| !sums.is_nothing() || rated_products.contains(product));
    if !rated.is_empty() {
        write_rated(&rated, generation, tx).await?;
    }
    if !counts.is_empty() {
        write_counts(&counts, generation, tx).await?;
    }
    Ok(())
}

async fn write_authors(
    authors: &BTreeMap<Uuid, Author>,
    generation: i16,
    tx: &mut Tx,
) -> Result<(), sqlx::Error> {
    sqlx::query(AUTHORS)
        .bind(generation)
        .bind(authors.keys().copied().collect::<Vec<_>>())
        .bind(
            authors
                .values()
                .map(|author| author.name.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(authors.values().map(|author| author.active).collect::<Vec<_>>())
        .bind(authors.values().map(|author| author.version).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

#[derive(FromRow)]
struct StandingRow {
    customer_id: Uuid,
    product_id: Uuid,
    bought: i64,
    refunded: i64,
    rating: Option<i16>,
    visible: Option<bool>,
    version: Option<i64>,
}

impl StandingRow {
    fn rated(&self) -> Option<Rated> {
        Some(Rated {
            rating: self.rating?,
            visible: self.visible?,
            version: self.version?,
        })
    }
}

async fn write_pairs(
    pairs: &BTreeMap<Pair, PairChange>,
    generation: i16,
    tx: &mut Tx,
) -> Result<Vec<(Pair, Standing)>, sqlx::Error> {
    let rows: Vec<StandingRow> = sqlx::query_as(PAIRS)
        .bind(generation)
        .bind(pairs.keys().map(|pair| pair.customer_id).collect::<Vec<_>>())
        .bind(pairs.keys().map(|pair| pair.product_id).collect::<Vec<_>>())
        .bind(pairs.values().map(|change| change.bought).collect::<Vec<_>>())
        .bind(pairs.values().map(|change| change.refunded).collect::<Vec<_>>())
        .bind(
            pairs
                .values()
                .map(|change| change.rated.is_some())
                .collect::<Vec<_>>(),
        )
        .fetch_all(tx)
        .await?;
    let standing = |row: StandingRow| {
        let pair = Pair {
            customer_id: row.customer_id,
            product_id: row.product_id,
        };
        let standing = Standing {
            bought: row.bought,
            refunded: row.refunded,
            rated: row.rated(),
        };
        (pair, standing)
    };
    Ok(rows.into_iter().map(standing).collect())
}

async fn write_rated(rated: &[(Pair, Rated)], generation: i16, tx: &mut Tx) -> Result<(), sqlx::Error> {
    sqlx::query(RATED)
        .bind(generation)
        .bind(rated.iter().map(|(pair, _)| pair.customer_id).collect::<Vec<_>>())
        .bind(rated.iter().map(|(pair, _)| pair.product_id).collect::<Vec<_>>())
        .bind(rated.iter().map(|(_, rated)| rated.rating).collect::<Vec<_>>())
        .bind(rated.iter().map(|(_, rated)| rated.visible).collect::<Vec<_>>())
        .bind(rated.iter().map(|(_, rated)| rated.version).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

async fn write_counts(
    counts: &BTreeMap<Uuid, Counts>,
    generation: i16,
    tx: &mut Tx,
) -> Result<(), sqlx::Error> {
    let mut statement = sqlx::query(SUMMARIES)
        .bind(generation)
        .bind(counts.keys().copied().collect::<Vec<_>>());
    for place in 0..5 {
        let column: Vec<i64> = counts.values().map(|counts| counts.histogram[place]).collect();
        statement = statement.bind(column);
    }
    statement
        .bind(counts.values().map(|counts| counts.verified).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
