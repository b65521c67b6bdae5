//! Keeping the index: entries, words, vocabulary and counters move together in one transaction.

use std::collections::{BTreeMap, HashMap};

use emporium_service_kit::Tx;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::PostgresSearch;
use super::texts::{self, Texts};
use crate::search::{Document, IndexChange, facts, price_range, text};

/// What the index holds of a product.
#[derive(FromRow)]
struct Held {
    product_id: Uuid,
    version: i64,
    category: String,
    brand: Option<String>,
    price: i64,
    terms: Vec<String>,
}

/// What trade changes of a listed product, and only that: cheaper than the whole document, since no word moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// The product.
    pub id: Uuid,
    /// Its version.
    pub version: i64,
    /// Whether any is available.
    pub in_stock: bool,
    /// Units sold.
    pub popularity: i64,
}

/// A counter to move: its kind and value, with what it is called, and by how much.
type Counters = BTreeMap<(&'static str, String), (String, i64)>;

impl PostgresSearch {
    /// Writes changes in the caller's transaction, which holds the products' locks, so that versions come in order and
    /// nothing comes after a removal.
    pub async fn write(&self, tx: &mut Tx, changes: &[IndexChange]) -> Result<(), sqlx::Error> {
        let ids: Vec<Uuid> = changes.iter().map(IndexChange::id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let held = held(tx, &ids).await?;
        let puts: Vec<&Document> = changes
            .iter()
            .filter_map(|change| match change {
                IndexChange::Put(document) => Some(document.as_ref()),
                IndexChange::Remove { .. } => None,
            })
            .filter(|document| {
                held.get(&document.id)
                    .is_none_or(|held| held.version < document.version)
            })
            .collect();
        let removed: Vec<Uuid> = changes
            .iter()
            .filter_map(|change| match change {
                IndexChange::Remove { id, version } => {
                    held.get(id).filter(|held| held.version < *version).map(|_| *id)
                }
                IndexChange::Put(_) => None,
            })
            .collect();
        let texts: Vec<Texts> = puts.iter().map(|document| Texts::of(document)).collect();
        remove(tx, &removed).await?;
        put_entries(tx, &puts).await?;
        put_texts(tx, &puts, &texts).await?;
        let gone = removed
            .iter()
            .chain(puts.iter().map(|document| &document.id))
            .filter_map(|id| held.get(id));
        let gone: Vec<&Held> = gone.collect();
        move_vocabulary(tx, &texts, &gone).await?;
        move_counters(tx, &puts, &gone).await
    }

    /// Writes changes that come from somewhere else, at least once and possibly late: nobody holds the products' locks, so
    /// writers queue, and what was removed leaves its version behind.
    pub(super) async fn write_late(&self, tx: &mut Tx, changes: &[IndexChange]) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('catalog search index', 0))")
            .execute(&mut *tx)
            .await?;
        let ids: Vec<Uuid> = changes.iter().map(IndexChange::id).collect();
        let removed: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT product_id, version FROM catalog_search_removed WHERE product_id = ANY ($1)",
        )
        .bind(ids)
        .fetch_all(&mut *tx)
        .await?;
        let removed: HashMap<Uuid, i64> = removed.into_iter().collect();
        let newer = |change: &&IndexChange| removed.get(&change.id()).is_none_or(|at| *at < change.version());
        let changes: Vec<IndexChange> = changes.iter().filter(newer).cloned().collect();
        self.write(tx, &changes).await?;
        remember_removals(tx, &changes).await
    }

    /// Writes what trade changed of products, in the caller's transaction, which holds their locks.
    pub async fn write_trades(&self, tx: &mut Tx, trades: &[Trade]) -> Result<(), sqlx::Error> {
        if trades.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE catalog_search_entry AS e
             SET version = t.version, in_stock = t.in_stock, popularity = t.popularity
             FROM unnest($1::uuid[], $2::bigint[], $3::boolean[], $4::bigint[]) AS t (id, version, in_stock, popularity)
             WHERE e.product_id = t.id AND e.version < t.version",
        )
        .bind(trades.iter().map(|trade| trade.id).collect::<Vec<_>>())
        .bind(trades.iter().map(|trade| trade.version).collect::<Vec<_>>())
        .bind(trades.iter().map(|trade| trade.in_stock).collect::<Vec<_>>())
        .bind(trades.iter().map(|trade| trade.popularity).collect::<Vec<_>>())
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// A removal that is not newer than what is there changes nothing, here neither.
async fn remember_removals(tx: &mut Tx, changes: &[IndexChange]) -> Result<(), sqlx::Error> {
    let removals = changes.iter().filter_map(|change| match change {
        IndexChange::Remove { id, version } => Some((*id, *version)),
        IndexChange::Put(_) => None,
    });
    let (ids, versions): (Vec<Uuid>, Vec<i64>) = removals.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO catalog_search_removed AS r (product_id, version)
         SELECT n.id, n.version FROM unnest($1::uuid[], $2::bigint[]) AS n (id, version)
         WHERE NOT EXISTS (SELECT FROM catalog_search_entry WHERE product_id = n.id)
         ON CONFLICT (product_id) DO UPDATE SET version = greatest(r.version, excluded.version)",
    )
    .bind(ids)
    .bind(versions)
    .execute(tx)
    .await?;
    Ok(())
}

async fn held(tx: &mut Tx, ids: &[Uuid]) -> Result<HashMap<Uuid, Held>, sqlx::Error> {
    let held: Vec<Held> = sqlx::query_as(
        "SELECT e.product_id, e.version, e.category, e.brand, e.price, t.terms
         FROM catalog_search_entry AS e JOIN catalog_search_text AS t USING (product_id)
         WHERE e.product_id = ANY ($1) ORDER BY e.product_id FOR UPDATE OF e",
    )
    .bind(ids)
    .fetch_all(tx)
    .await?;
    Ok(held.into_iter().map(|held| (held.product_id, held)).collect())
}

async fn remove(tx: &mut Tx, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH entry AS (DELETE FROM catalog_search_entry WHERE product_id = ANY ($1))
         DELETE FROM catalog_search_text WHERE product_id = ANY ($1)",
    )
    .bind(ids)
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_entries(tx: &mut Tx, puts: &[&Document]) -> Result<(), sqlx::Error> {
    if puts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO catalog_search_entry
           (product_id, version, name, sort_name, category, brand, price, in_stock, popularity, created_at)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                              $8::boolean[], $9::bigint[], $10::timestamptz[])
         ON CONFLICT (product_id) DO UPDATE SET
           version = excluded.version, name = excluded.name, sort_name = excluded.sort_name,
           category = excluded.category, brand = excluded.brand, price = excluded.price,
           in_stock = excluded.in_stock, popularity = excluded.popularity, created_at = excluded.created_at",
    )
    .bind(column(puts, |d| d.id))
    .bind(column(puts, |d| d.version))
    .bind(column(puts, |d| d.name.as_str()))
    .bind(column(puts, facts::sort_name))
    .bind(column(puts, |d| d.category.as_str()))
    .bind(column(puts, |d| d.brand.as_deref()))
    .bind(column(puts, |d| d.price))
    .bind(column(puts, |d| d.in_stock))
    .bind(column(puts, |d| d.popularity))
    .bind(column::<OffsetDateTime>(puts, |d| d.created_at))
    .execute(tx)
    .await?;
    Ok(())
}

fn column<'a, T>(documents: &[&'a Document], field: impl Fn(&'a Document) -> T) -> Vec<T> {
    documents.iter().map(|document| field(document)).collect()
}

async fn put_texts(tx: &mut Tx, puts: &[&Document], texts: &[Texts]) -> Result<(), sqlx::Error> {
    if puts.is_empty() {
        return Ok(());
    }
    let part = |part: fn(&Texts) -> &str| texts.iter().map(part).collect::<Vec<_>>();
    let terms = |texts: &Texts| {
        texts
            .terms
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    };
    sqlx::query(
        "INSERT INTO catalog_search_text (product_id, words, facts, terms)
         SELECT p.id, setweight(to_tsvector('english', p.name), 'A') || setweight(to_tsvector('english', p.labels), 'B')
             || setweight(to_tsvector('english', p.attributes), 'C')
             || setweight(to_tsvector('english', p.description), 'D'),
           string_to_array(p.facts, E'\\x1F'), string_to_array(p.terms, ' ')
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
           AS p (id, name, labels, attributes, description, facts, terms)
         ON CONFLICT (product_id) DO UPDATE SET
           words = excluded.words, facts = excluded.facts, terms = excluded.terms",
    )
    .bind(column(puts, |d| d.id))
    .bind(part(|t| &t.name))
    .bind(part(|t| &t.labels))
    .bind(part(|t| &t.attributes))
    .bind(part(|t| &t.description))
    .bind(column(puts, texts::facts))
    .bind(texts.iter().map(terms).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Adds the new texts' words to the vocabulary and takes the old ones' off. In the order of words, so that transactions
/// never wait for each other in a circle.
async fn move_vocabulary(tx: &mut Tx, new: &[Texts], gone: &[&Held]) -> Result<(), sqlx::Error> {
    let mut moves: BTreeMap<&str, i64> = BTreeMap::new();
    for term in new.iter().flat_map(|texts| &texts.terms) {
        *moves.entry(term).or_default() += 1;
    }
    for term in gone.iter().flat_map(|held| &held.terms) {
        *moves.entry(term).or_default() -= 1;
    }
    moves.retain(|_, by| *by != 0);
    if moves.is_empty() {
        return Ok(());
    }
    let (terms, by): (Vec<&str>, Vec<i64>) = moves.into_iter().unzip();
    let fresh: Vec<String> = sqlx::query_scalar(
        "WITH moved AS (
           INSERT INTO catalog_search_term AS t (term, stem, frequency)
           SELECT m.term, s.stem, m.by
           FROM unnest($1::text[], $2::bigint[]) AS m (term, by)
           CROSS JOIN LATERAL (SELECT (tsvector_to_array(to_tsvector('english', m.term)))[1] AS stem) AS s
           WHERE s.stem IS NOT NULL
           ORDER BY m.term COLLATE \"C\"
           ON CONFLICT (term) DO UPDATE SET frequency = t.frequency + excluded.frequency
           RETURNING t.term, t.xmax = 0 AS fresh
         ) SELECT term FROM moved WHERE fresh",
    )
    .bind(terms)
    .bind(by)
    .fetch_all(&mut *tx)
    .await?;
    add_deletions(tx, &fresh).await
}

async fn add_deletions(tx: &mut Tx, fresh: &[String]) -> Result<(), sqlx::Error> {
    let (mut deletions, mut terms) = (Vec::new(), Vec::new());
    for term in fresh.iter().filter(|term| text::is_meaning(term)) {
        for deletion in text::deletions(term) {
            deletions.push(deletion);
            terms.push(term.as_str());
        }
    }
    if terms.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO catalog_search_deletion (deletion, term) SELECT * FROM unnest($1::text[], $2::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind(deletions)
    .bind(terms)
    .execute(tx)
    .await?;
    Ok(())
}

async fn move_counters(tx: &mut Tx, puts: &[&Document], gone: &[&Held]) -> Result<(), sqlx::Error> {
    let mut counters = Counters::new();
    for document in puts {
        let category = (document.category.as_str(), document.category_name.as_str());
        count(
            &mut counters,
            category,
            document.brand.as_deref(),
            document.price,
            1,
        );
    }
    for held in gone {
        let category = (held.category.as_str(), held.category.as_str());
        count(&mut counters, category, held.brand.as_deref(), held.price, -1);
    }
    counters.retain(|_, (_, by)| *by != 0);
    if counters.is_empty() {
        return Ok(());
    }
    let (mut kinds, mut values, mut labels, mut folded, mut by) = (vec![], vec![], vec![], vec![], vec![]);
    for ((kind, value), (label, moved)) in counters {
        folded.push(text::folded(&label));
        kinds.push(kind);
        values.push(value);
        labels.push(label);
        by.push(moved);
    }
    sqlx::query(
        "INSERT INTO catalog_search_count AS c (kind, value, label, folded, count)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
         ON CONFLICT (kind, value) DO UPDATE SET count = c.count + excluded.count",
    )
    .bind(kinds)
    .bind(values)
    .bind(labels)
    .bind(folded)
    .bind(by)
    .execute(tx)
    .await?;
    Ok(())
}

fn count(counters: &mut Counters, category: (&str, &str), brand: Option<&str>, price: i64, by: i64) {
    let mut add = |kind, value: &str, label: &str| {
        let counter = counters.entry((kind, value.to_owned()));
        counter.or_insert_with(|| (label.to_owned(), 0)).1 += by;
    };
    add("total", "", "");
    add("category", category.0, category.1);
    if let Some(brand) = brand {
        add("brand", brand, brand);
    }
    add("price", &price_range(price).to_string(), "");
}
