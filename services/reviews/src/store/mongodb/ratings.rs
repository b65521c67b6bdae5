//! Changes of the projection, applied to one generation in a transaction of the caller's.

use std::collections::{BTreeMap, HashMap, HashSet};

use emporium_service_kit::StoreError;
use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use super::codec::{self, Fields};
use super::error::Fault;
use super::schema;
use super::tx::Tx;
use crate::changes::{Author, Changes, Counts, Pair, Rated, Standing};

/// Applies changes to the generation at this place.
pub async fn apply(tx: &mut Tx, changes: &Changes, place: i16) -> Result<(), Fault> {
    if !changes.authors.is_empty() {
        authors(tx, &changes.authors, place).await?;
    }
    if changes.pairs.is_empty() {
        return Ok(());
    }
    let before = standings(tx, changes.pairs.keys().copied(), place).await?;
    let (mut new_ones, mut written, mut rated_products) = (Vec::new(), Vec::new(), HashSet::new());
    let mut counts = BTreeMap::<Uuid, Counts>::new();
    for (pair, change) in &changes.pairs {
        let known = before.get(pair).copied();
        let old = known.unwrap_or_default();
        let new = old.with(change);
        if known == Some(new) {
            continue;
        }
        // Inserting is three times as fast as replacing what may not be there. Whoever else inserts it meets its key.
        let document = standing_document(pair, &new);
        match known {
            Some(_) => written.push((doc! { "_id": pair_key(pair) }, document)),
            None => new_ones.push(document),
        }
        counts.entry(pair.product_id).or_default().move_on(&old, &new);
        if new.rated != old.rated {
            rated_products.insert(pair.product_id);
        }
    }
    tx.insert(schema::standing(place), new_ones).await?;
    tx.update(schema::standing(place), written, false).await?;
    // A product with a review that was ever rated has a summary, be it all zeros: so which there are does not depend on how
    // events fell into batches, and generations can be compared.
    counts.retain(|product, sums| !sums.is_nothing() || rated_products.contains(product));
    let summaries = counts.iter().map(summary_change).collect();
    tx.update(schema::summary(place), summaries, true).await?;
    Ok(())
}

fn pair_key(pair: &Pair) -> Bson {
    codec::pair(pair.customer_id, pair.product_id)
}

fn standing_document(pair: &Pair, standing: &Standing) -> Document {
    let mut document = doc! { "_id": pair_key(pair), "customer_id": codec::id(pair.customer_id),
    "product_id": codec::id(pair.product_id), "bought": standing.bought, "refunded": standing.refunded };
    if let Some(rated) = standing.rated {
        let of_review =
            doc! { "rating": i32::from(rated.rating), "visible": rated.visible, "version": rated.version };
        document.extend(of_review);
    }
    document
}

/// A standing of a document.
pub fn standing(document: &Document) -> Result<(Pair, Standing), StoreError> {
    let pair = Pair {
        customer_id: document.uuid("customer_id")?,
        product_id: document.uuid("product_id")?,
    };
    let rated = if document.has("rating") {
        Some(Rated {
            rating: i16::try_from(document.int("rating")?).unwrap_or(1),
            visible: document.truth("visible")?,
            version: document.long("version")?,
        })
    } else {
        None
    };
    let standing = Standing {
        bought: document.long("bought")?,
        refunded: document.long("refunded")?,
        rated,
    };
    Ok((pair, standing))
}

/// What is known of these pairs.
pub async fn standings(
    tx: &mut Tx,
    pairs: impl Iterator<Item = Pair>,
    place: i16,
) -> Result<HashMap<Pair, Standing>, Fault> {
    let keys = pairs.map(|pair| pair_key(&pair));
    let found = tx.by_ids(schema::standing(place), keys, None).await?;
    let found = found.iter().map(standing).collect::<Result<_, _>>()?;
    Ok(found)
}

fn summary_change((product, counts): (&Uuid, &Counts)) -> (Document, Document) {
    let mut sums = doc! { "verified": counts.verified };
    for (place, sum) in (1..).zip(counts.histogram) {
        sums.insert(format!("ratings_{place}"), sum);
    }
    (doc! { "_id": codec::id(*product) }, doc! { "$inc": sums })
}

/// The counts of a summary.
pub fn counts(document: &Document) -> Result<(Uuid, Counts), StoreError> {
    let mut counts = Counts::default();
    for (place, sum) in (1..).zip(&mut counts.histogram) {
        *sum = document.long(&format!("ratings_{place}"))?;
    }
    counts.verified = document.long("verified")?;
    Ok((document.uuid("_id")?, counts))
}

async fn authors(tx: &mut Tx, authors: &BTreeMap<Uuid, Author>, place: i16) -> Result<(), Fault> {
    let known = names(tx, authors.keys().copied(), place).await?;
    let newer = |author: &&Author| {
        let known = known.get(&author.id);
        known.is_none_or(|known| known.version < author.version)
    };
    let change = |author: &Author| {
        let key = codec::id(author.id);
        let document = doc! { "_id": key.clone(), "name": &author.name, "active": author.active, "version": author.version };
        (doc! { "_id": key }, document)
    };
    let changes = authors.values().filter(newer).map(change).collect();
    tx.update(schema::author(place), changes, true).await?;
    Ok(())
}

/// What is known of these authors.
pub async fn names(
    tx: &mut Tx,
    authors: impl Iterator<Item = Uuid>,
    place: i16,
) -> Result<HashMap<Uuid, Author>, Fault> {
    let keys = authors.map(codec::id);
    let found = tx.by_ids(schema::author(place), keys, None).await?;
    let mut names = HashMap::with_capacity(found.len());
    for document in &found {
        let author = author(document)?;
        names.insert(author.id, author);
    }
    Ok(names)
}

/// An author of a document.
pub fn author(document: &Document) -> Result<Author, StoreError> {
    Ok(Author {
        id: document.uuid("_id")?,
        name: document.text("name")?,
        active: document.truth("active")?,
        version: document.long("version")?,
    })
}
