//! What a query's words mean to the index: their stems, their weight, and what was meant by the mistyped ones.

use emporium_service_kit::Db;
use sqlx::FromRow;

use crate::search::text;

/// How many meanings of a mistyped word are searched.
const MEANINGS_MAX: usize = 3;
/// How many words near a mistyped one are looked at, the frequent ones first.
const NEAR_MAX: i64 = 1_000;

/// A query's words, ready to search with.
#[derive(Debug, Clone)]
pub struct Words {
    /// One expression a word (its stem, or the meanings of a mistyped word), in `tsquery` syntax.
    pub queries: Vec<String>,
    /// How much each word says, adding up to 1: rare words say more (inverse document frequency, as in BM25).
    pub weights: Vec<f32>,
    all: String,
    any: String,
    /// The words with corrections, when there are any.
    pub corrected: Option<String>,
}

impl Words {
    /// Matches products with all of the words, or with any.
    pub fn expression(&self, any_word: bool) -> &str {
        if any_word { &self.any } else { &self.all }
    }

    /// Matches products with all of the words.
    pub fn all(&self) -> &str {
        &self.all
    }

    /// True when there is more than one word.
    pub fn are_several(&self) -> bool {
        self.queries.len() > 1
    }
}

/// A word in the vocabulary's eyes.
#[derive(Debug, FromRow)]
pub(super) struct Known {
    pub(super) word: String,
    /// In `tsquery` syntax; empty for words that say nothing ("the").
    pub(super) query: String,
    /// As the beginning of a word, in `tsquery` syntax; empty unless asked for.
    pub(super) prefix: String,
    /// In how many products its stem is.
    pub(super) frequency: i64,
    /// Whether a product has the word itself, and not only another one with its stem.
    pub(super) is_listed: bool,
    /// How many products there are.
    pub(super) products: i64,
}

impl Known {
    /// True for words that no product has. A stem in common excuses only what looks like an inflection: `blankets` is
    /// `blanket`, but `blanke` has the stem of `blank` by accident.
    pub(super) fn is_mistyped(&self) -> bool {
        let is_unknown = self.frequency == 0 || (!self.is_listed && !text::may_be_inflected(&self.word));
        is_unknown && !self.query.is_empty() && text::is_correctable(&self.word)
    }
}

/// A word of the vocabulary that a mistyped one may stand for.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Near {
    pub(super) term: String,
    stem: String,
    frequency: i64,
    pub(super) query: String,
}

/// Looks up the words of a text; nothing when it has none that could be searched.
pub async fn look_up(db: &Db, text: &str) -> Result<Option<Words>, sqlx::Error> {
    let known = known(db, text::query_words(text)).await?;
    let near = near(db, &known).await?;
    Ok(understand(&known, &near))
}

/// Asks the vocabulary about words; the last one also as the beginning of a word.
pub(super) async fn known(db: &Db, words: Vec<String>) -> Result<Vec<Known>, sqlx::Error> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let last = i64::try_from(words.len()).unwrap_or(i64::MAX);
    sqlx::query_as(
        "SELECT w.word, plainto_tsquery('english', w.word)::text AS query,
                CASE WHEN w.n = $2 AND length(w.word) > 1
                     THEN to_tsquery('english', w.word || ':*')::text ELSE '' END AS prefix,
                coalesce((SELECT sum(t.frequency)::bigint FROM catalog_search_term AS t
                          WHERE t.stem = (tsvector_to_array(to_tsvector('english', w.word)))[1]), 0) AS frequency,
                EXISTS (SELECT FROM catalog_search_term AS t WHERE t.term = w.word AND t.frequency > 0) AS is_listed,
                coalesce((SELECT c.count FROM catalog_search_count AS c
                          WHERE c.kind = 'total' AND c.value = ''), 0) AS products
         FROM unnest($1::text[]) WITH ORDINALITY AS w (word, n) ORDER BY w.n",
    )
    .bind(words)
    .bind(last)
    .fetch_all(db)
    .await
}

/// The vocabulary's words that are one slip away from the mistyped ones, the frequent first.
pub(super) async fn near(db: &Db, known: &[Known]) -> Result<Vec<Near>, sqlx::Error> {
    let mistyped = known.iter().filter(|word| word.is_mistyped());
    let forms: Vec<String> = mistyped
        .flat_map(|known| text::readings(&known.word))
        .flat_map(text::deletions)
        .collect();
    if forms.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(
        "SELECT t.term, t.stem, t.frequency, plainto_tsquery('english', t.term)::text AS query
         FROM (SELECT DISTINCT term FROM catalog_search_deletion WHERE deletion = ANY ($1)) AS d
         JOIN catalog_search_term AS t USING (term)
         WHERE t.frequency > 0 ORDER BY t.frequency DESC, t.term LIMIT $2",
    )
    .bind(forms)
    .bind(NEAR_MAX)
    .fetch_all(db)
    .await
}

/// What a mistyped word may mean: at most three stems, the frequent first.
pub(super) fn meanings<'a>(word: &str, near: &'a [Near]) -> Vec<&'a Near> {
    let mut meanings: Vec<&Near> = Vec::new();
    for candidate in near {
        let fits = text::readings(word).any(|reading| text::within_one_edit(reading, &candidate.term));
        if fits && !meanings.iter().any(|meaning| meaning.stem == candidate.stem) {
            meanings.push(candidate);
        }
    }
    meanings.truncate(MEANINGS_MAX);
    meanings
}

fn understand(known: &[Known], near: &[Near]) -> Option<Words> {
    let (mut queries, mut weights) = (Vec::new(), Vec::new());
    let mut shown: Vec<&str> = Vec::new();
    let mut corrected = false;
    for word in known {
        let mut meanings = if word.is_mistyped() {
            meanings(&word.word, near)
        } else {
            Vec::new()
        };
        // Words with its own stem are found anyway.
        meanings.retain(|meaning| meaning.query != word.query);
        shown.push(meanings.first().map_or(&word.word, |best| &best.term));
        corrected |= !meanings.is_empty();
        if word.query.is_empty() {
            continue;
        }
        let frequency = meanings.iter().map(|meaning| meaning.frequency).sum::<i64>();
        weights.push(text::rarity(word.frequency.max(frequency), word.products));
        queries.push(alternatives(word, &meanings));
    }
    text::normalise(&mut weights);
    (!queries.is_empty()).then(|| Words {
        all: queries.join(" & "),
        any: queries.join(" | "),
        corrected: corrected.then(|| shown.join(" ")),
        queries,
        weights,
    })
}

/// A word's expression: itself, if anything has it; the meanings of a mistyped one; and for an unknown last word what
/// begins like it.
fn alternatives(word: &Known, meanings: &[&Near]) -> String {
    let mut parts: Vec<&str> = meanings.iter().map(|meaning| meaning.query.as_str()).collect();
    if parts.is_empty() || word.frequency > 0 {
        parts.push(&word.query);
    }
    if word.frequency == 0 && !word.prefix.is_empty() && text::is_correctable(&word.word) {
        parts.push(&word.prefix);
    }
    format!("({})", parts.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near_word(term: &str, frequency: i64) -> Near {
        Near {
            term: term.into(),
            stem: term.into(),
            frequency,
            query: format!("'{term}'"),
        }
    }

    #[test]
    fn a_mistyped_word_means_its_neighbours_and_no_others() {
        let near = [
            near_word("table", 9),
            near_word("cable", 5),
            near_word("laptop", 3),
        ];
        let terms = |word| {
            meanings(word, &near)
                .iter()
                .map(|m| m.term.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(terms("xable"), ["table", "cable"]);
        assert_eq!(terms("laptpos"), ["laptop"], "a plural whose singular is known");
        assert!(terms("chair").is_empty());
    }

    #[test]
    fn rare_words_weigh_more_and_weights_are_finite() {
        assert!(text::rarity(1, 1_000) > text::rarity(900, 1_000));
        for (frequency, products) in [(0, 0), (5, 0), (5, 3), (i64::MAX, i64::MAX)] {
            assert!(text::rarity(frequency, products).is_finite() && text::rarity(frequency, products) > 0.0);
        }
    }
}
