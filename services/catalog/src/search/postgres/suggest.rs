//! Suggestions while typing.

use emporium_service_kit::Db;
use sqlx::FromRow;
use uuid::Uuid;

use super::words;
use crate::search::text;
use crate::search::{Suggestion, SuggestionKind};

/// Categories, and brands, in an answer.
const LABELS_MAX: i64 = 3;
/// Products looked at, of which the popular are suggested.
const LOOKED_AT_MAX: i64 = 200;
/// The beginning of a word must have so many letters to be looked for inside names: shorter ones begin half the index.
const INSIDE_CHARS_MIN: usize = 3;
/// Sorts after every text that begins with the same letters.
const LAST_CHAR: char = '\u{10FFFF}';

#[derive(FromRow)]
struct Label {
    kind: String,
    label: String,
}

#[derive(FromRow)]
struct Name {
    product_id: Uuid,
    name: String,
}

pub async fn suggest(db: &Db, text: &str, limit: u32) -> Result<Vec<Suggestion>, sqlx::Error> {
    let beginning: String = text::folded(text).chars().take(100).collect();
    if beginning.is_empty() {
        return Ok(Vec::new());
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut suggestions: Vec<Suggestion> = labels(db, &beginning)
        .await?
        .into_iter()
        .map(|label| Suggestion {
            kind: if label.kind == "brand" {
                SuggestionKind::Brand
            } else {
                SuggestionKind::Category
            },
            text: label.label,
            product_id: None,
        })
        .collect();
    let inside = inside_names(db, text).await?;
    for product in names(db, &beginning, inside).await? {
        if suggestions.len() < limit && !suggestions.iter().any(|s| s.text == product.name) {
            suggestions.push(Suggestion {
                text: product.name,
                kind: SuggestionKind::Product,
                product_id: Some(product.product_id),
            });
        }
    }
    suggestions.truncate(limit);
    Ok(suggestions)
}

/// Categories and brands that begin like that, those with most products first.
async fn labels(db: &Db, beginning: &str) -> Result<Vec<Label>, sqlx::Error> {
    let of = |kind| {
        format!(
            "(SELECT kind, label FROM catalog_search_count
              WHERE kind = '{kind}' AND folded >= $1 AND folded < $2 AND count > 0
              ORDER BY count DESC, value LIMIT $3)"
        )
    };
    let sql = format!("{} UNION ALL {}", of("category"), of("brand"));
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(beginning)
        .bind(format!("{beginning}{LAST_CHAR}"))
        .bind(LABELS_MAX)
        .fetch_all(db)
        .await
}

/// An expression for names with all the words, the last one being the beginning of a word; mistyped words as corrected.
async fn inside_names(db: &Db, text: &str) -> Result<Option<String>, sqlx::Error> {
    let known = words::known(db, text::query_words(text)).await?;
    let near = words::near(db, &known).await?;
    let mut parts = Vec::new();
    for (n, word) in known.iter().enumerate() {
        let mut forms = vec![&word.query];
        if word.is_mistyped() {
            forms.extend(
                words::meanings(&word.word, &near)
                    .iter()
                    .map(|meaning| &meaning.query),
            );
        }
        if n + 1 == known.len() && word.word.chars().count() >= INSIDE_CHARS_MIN {
            forms.push(&word.prefix);
        }
        forms.retain(|form| !form.is_empty());
        if !forms.is_empty() {
            let forms: Vec<String> = forms.iter().map(|form| in_name(form)).collect();
            parts.push(format!("({})", forms.join(" | ")));
        }
    }
    Ok((!parts.is_empty()).then(|| parts.join(" & ")))
}

/// A single word's expression, for the name only: `'mous'` becomes `'mous':A`. What is more than a word stays as it is.
fn in_name(form: &str) -> String {
    match (form.matches('\'').count(), form.strip_suffix("':*")) {
        (2, Some(_)) => format!("{form}A"),
        (2, None) => format!("{form}:A"),
        _ => form.to_owned(),
    }
}

/// Products whose name begins like that, then those that have the words, each the popular first.
async fn names(db: &Db, beginning: &str, inside: Option<String>) -> Result<Vec<Name>, sqlx::Error> {
    sqlx::query_as(
        "WITH beginning AS (
           SELECT product_id, name, in_stock, popularity FROM catalog_search_entry
           WHERE sort_name >= $1 AND sort_name < $2 ORDER BY sort_name, product_id LIMIT $4
         ), inside AS (
           SELECT e.product_id, e.name, e.in_stock, e.popularity
           FROM catalog_search_text AS t JOIN catalog_search_entry AS e USING (product_id)
           WHERE t.words @@ $3::tsquery LIMIT $4
         )
         SELECT product_id, name FROM (
           SELECT 1 AS place, * FROM beginning UNION ALL SELECT 2, * FROM inside
         ) AS found ORDER BY place, in_stock DESC, popularity DESC, product_id LIMIT 100",
    )
    .bind(beginning)
    .bind(format!("{beginning}{LAST_CHAR}"))
    .bind(inside)
    .bind(LOOKED_AT_MAX)
    .persistent(false)
    .fetch_all(db)
    .await
}
