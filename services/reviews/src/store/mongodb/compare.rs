//! Comparing the two generations in one snapshot: their claims, the digests of their rows, and what differs. Rows are written as
//! PostgreSQL's tables have them, under the same names, so a digest does not depend on the store.

use std::collections::{HashMap, HashSet};

use emporium_event_bus::projection::{
    COMPARED, Comparison, Digest, Digester, EventDifferences, PUBLISHED_WITHIN, RowText, differences,
};
use emporium_service_kit::StoreError;
use mongodb::bson::{Document, doc};
use time::OffsetDateTime;
use uuid::Uuid;

use super::client::{Mongo, Try};
use super::codec::{Fields, micros};
use super::error::Fault;
use super::projection::{claimed, seen};
use super::tx::{Find, Tx};
use super::{ratings, schema};

/// Claims that are asked for together.
const ASKED: usize = 500;

/// A table of PostgreSQL's, as it is kept here.
struct Table {
    name: &'static str,
    /// Its collection, by place.
    collection: fn(i16) -> &'static str,
    /// How many of a row's first fields are its key.
    key: usize,
    row: fn(&Document) -> Result<RowText, StoreError>,
}

const TABLES: [Table; 3] = [
    Table {
        name: "reviews_standing",
        collection: schema::standing,
        key: 2,
        row: standing,
    },
    Table {
        name: "reviews_summary",
        collection: schema::summary,
        key: 1,
        row: summary,
    },
    Table {
        name: "reviews_author",
        collection: schema::author,
        key: 1,
        row: author,
    },
];

fn standing(document: &Document) -> Result<RowText, StoreError> {
    let (pair, standing) = ratings::standing(document)?;
    let rated = standing.rated;
    Ok(RowText::new()
        .with(pair.customer_id)
        .with(pair.product_id)
        .with(standing.bought)
        .with(standing.refunded)
        .with_opt(rated.map(|rated| rated.rating))
        .with_opt(rated.map(|rated| rated.visible))
        .with_opt(rated.map(|rated| rated.version)))
}

fn summary(document: &Document) -> Result<RowText, StoreError> {
    let (product, counts) = ratings::counts(document)?;
    let row = RowText::new().with(product);
    let row = counts.histogram.iter().fold(row, RowText::with);
    Ok(row.with(counts.verified))
}

fn author(document: &Document) -> Result<RowText, StoreError> {
    let author = ratings::author(document)?;
    Ok(RowText::new()
        .with(author.id)
        .with(author.name)
        .with(author.active)
        .with(author.version))
}

/// Compares the generations at these places, the live one first; `None` while it lacks events that came a moment ago.
pub async fn compare(
    mongo: &Mongo,
    at: Try,
    [live, built]: [i16; 2],
    refused: &[Uuid],
    now: OffsetDateTime,
) -> Result<Option<Comparison>, Fault> {
    let mut tx = mongo.begin(at).await?;
    let refused: HashSet<Uuid> = refused.iter().copied().collect();
    let old = claims(&mut tx, live, now).await?;
    let new = claims(&mut tx, built, now).await?;
    let live_only = lacking(&mut tx, &old, &new, built).await?;
    let built_only = lacking(&mut tx, &new, &old, live).await?;
    let young = micros(now - PUBLISHED_WITHIN);
    if built_only
        .iter()
        .any(|(event, at)| *at > young && !refused.contains(event))
    {
        tx.abort().await?;
        return Ok(None);
    }
    let lines = EventDifferences {
        live_only: some(&live_only, |_| true),
        built_only: some(&built_only, |event| !refused.contains(event)),
        refused: some(&built_only, |event| refused.contains(event)),
    }
    .lines();
    let old = digests(&mut tx, live).await?;
    let new = digests(&mut tx, built).await?;
    let mut comparison = Comparison::of(old, new, lines);
    if let Some(max) = comparison.lines_wanted() {
        comparison.add_lines(different(&mut tx, [live, built], max).await?);
    }
    tx.abort().await?;
    Ok(Some(comparison))
}

/// Events of a generation and when they were claimed, as far as they are compared.
type Claims = HashMap<Uuid, i64>;

async fn claims(tx: &mut Tx, place: i16, now: OffsetDateTime) -> Result<Claims, Fault> {
    let since = micros(now - COMPARED);
    let find = Find::by(doc! { "g": i32::from(place), "handled_at": { "$gt": since } });
    let mut claims = Claims::new();
    tx.each(schema::INBOX, find, |document| {
        claims.insert(claimed(&document)?, document.long("handled_at")?);
        Ok(())
    })
    .await?;
    Ok(claims)
}

/// Claims of one generation that the other one, at this place, does not have, not even from longer ago.
async fn lacking(tx: &mut Tx, one: &Claims, other: &Claims, place: i16) -> Result<Vec<(Uuid, i64)>, Fault> {
    let asked: Vec<Uuid> = one
        .keys()
        .filter(|event| !other.contains_key(event))
        .copied()
        .collect();
    let mut lacking = Vec::new();
    for piece in asked.chunks(ASKED) {
        let known = seen(tx, place, piece).await?;
        let missing = piece.iter().filter(|event| !known.contains(event));
        lacking.extend(missing.filter_map(|event| Some((*event, *one.get(event)?))));
    }
    lacking.sort_unstable();
    Ok(lacking)
}

/// Some of them, to be told.
fn some(events: &[(Uuid, i64)], wanted: impl Fn(&Uuid) -> bool) -> Vec<Uuid> {
    let shown = usize::try_from(EventDifferences::SHOWN).unwrap_or(usize::MAX);
    let events = events.iter().map(|(event, _)| *event);
    events.filter(wanted).take(shown).collect()
}

/// The digests of all tables of a generation, in this transaction's snapshot.
pub async fn digests(tx: &mut Tx, place: i16) -> Result<Vec<Digest>, Fault> {
    let mut digests = Vec::with_capacity(TABLES.len());
    for table in &TABLES {
        let mut digester = Digester::default();
        tx.each((table.collection)(place), Find::default(), |document| {
            digester.add((table.row)(&document)?.as_str());
            Ok(())
        })
        .await?;
        digests.push(digester.finish(table.name));
    }
    Ok(digests)
}

/// Lines about rows that differ. Rows are matched by the hash of their text first, so only those that differ are held.
async fn different(tx: &mut Tx, [live, built]: [i16; 2], max: usize) -> Result<Vec<String>, Fault> {
    let mut lines = Vec::new();
    for table in &TABLES {
        let left = max - lines.len();
        let old = rows_but(tx, table, live, built).await?;
        let new = rows_but(tx, table, built, live).await?;
        lines.extend(differences(table.name, table.key, &old, &new, left));
    }
    Ok(lines)
}

/// The first rows of one generation that the other one does not have like this.
async fn rows_but(tx: &mut Tx, table: &Table, one: i16, other: i16) -> Result<Vec<RowText>, Fault> {
    let mut there = HashSet::<u64>::new();
    tx.each((table.collection)(other), Find::default(), |document| {
        there.insert(hash((table.row)(&document)?.as_str()));
        Ok(())
    })
    .await?;
    let mut rows = Vec::new();
    tx.each((table.collection)(one), Find::default(), |document| {
        let row = (table.row)(&document)?;
        if !there.contains(&hash(row.as_str())) {
            rows.push(row);
        }
        Ok(())
    })
    .await?;
    Ok(rows)
}

fn hash(row: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    row.hash(&mut hasher);
    hasher.finish()
}
