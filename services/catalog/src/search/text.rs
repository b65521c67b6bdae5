//! Words: how text is cut into them, and which words are one slip of the finger apart.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Longer words are noise (encoded data, mostly) and left out.
const WORD_CHARS_MAX: usize = 64;
/// Words of a query beyond these are ignored; every word costs a look-up and a pass of ranking.
const QUERY_WORDS_MAX: usize = 16;
/// Words that others are corrected to have so many letters at least; shorter ones are one slip away from everything.
const MEANING_CHARS_MIN: usize = 3;
/// Words that can be corrected are at most one letter short of that.
const CORRECTABLE_CHARS_MIN: usize = MEANING_CHARS_MIN - 1;
/// Both have so many at most, which bounds the deletions of a word.
const CORRECTABLE_CHARS_MAX: usize = 24;

/// The words of a text, in order: lower case, without accents. A word is a run of letters and digits; a point between two
/// digits belongs to the number.
pub fn words(text: &str) -> Vec<String> {
    let folded: Vec<char> = text
        .chars()
        .flat_map(char::to_lowercase)
        .nfd()
        .filter(|c| !is_combining_mark(*c))
        .collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, &c) in folded.iter().enumerate() {
        if c.is_alphanumeric() || (c == '.' && is_decimal_point(&folded, at)) {
            word.push(c);
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty() && word.chars().count() <= WORD_CHARS_MAX);
    words
}

/// True for the point in `15.6`, false in `v1.2` (which is cut) and at the end of a sentence.
fn is_decimal_point(text: &[char], at: usize) -> bool {
    let digits_before = text[..at].iter().rev().take_while(|c| c.is_ascii_digit()).count();
    let digits_after = text[at + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
    let bare = |c: Option<&char>| !c.is_some_and(|c| c.is_alphanumeric() || *c == '.');
    digits_before > 0
        && digits_after > 0
        && bare(at.checked_sub(digits_before + 1).and_then(|i| text.get(i)))
        && bare(text.get(at + 1 + digits_after))
}

/// The words of a query: the first ones of its text, each once.
pub fn query_words(text: &str) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for word in words(text) {
        if distinct.len() < QUERY_WORDS_MAX && !distinct.contains(&word) {
            distinct.push(word);
        }
    }
    distinct
}

/// A word, and without its plural's `s`: a vocabulary may hold the singular only.
pub fn readings(word: &str) -> impl Iterator<Item = &str> {
    let singular = word.strip_suffix('s').filter(|rest| rest.chars().count() > 3);
    [Some(word), singular].into_iter().flatten()
}

/// The words of a text with one space between.
pub fn folded(text: &str) -> String {
    words(text).join(" ")
}

/// True for words in which a typing error can be told: letters only, not a single one and not very many.
pub fn is_correctable(word: &str) -> bool {
    is_word_of(word, CORRECTABLE_CHARS_MIN)
}

/// True for words that a mistyped one may have been meant to be.
pub fn is_meaning(word: &str) -> bool {
    is_word_of(word, MEANING_CHARS_MIN)
}

fn is_word_of(word: &str, chars_min: usize) -> bool {
    let length = word.chars().count();
    (chars_min..=CORRECTABLE_CHARS_MAX).contains(&length) && word.chars().all(char::is_alphabetic)
}

/// True for words with an ending that English inflects with: plurals, tenses, adverbs, degrees.
pub fn may_be_inflected(word: &str) -> bool {
    ["s", "ed", "ing", "ly", "er", "est"]
        .iter()
        .any(|ending| word.ends_with(ending))
}

/// The word itself and every form of it with one letter left out, each once. Two words within one edit of each other have
/// one of these in common.
pub fn deletions(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    let mut forms = vec![word.to_owned()];
    forms.extend((0..letters.len()).map(|gap| {
        let kept = letters.iter().enumerate().filter(|(at, _)| *at != gap);
        kept.map(|(_, letter)| *letter).collect()
    }));
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// True when one wrong, missing, surplus or swapped letter makes one word of the other (Damerau-Levenshtein distance of at
/// most 1).
pub fn within_one_edit(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let same_start = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[same_start..], &other[same_start..]);
    let swapped = match (one, other) {
        ([a, b, rest @ ..], [c, d, other_rest @ ..]) => (a, b) == (d, c) && rest == other_rest,
        _ => false,
    };
    match (one, other) {
        ([], rest) | (rest, []) => rest.len() <= 1,
        // They differ in the first letter: it is wrong, surplus here, surplus there, or swapped with the next.
        ([_, rest @ ..], [_, other_rest @ ..]) => {
            rest == other_rest || rest == other || one == other_rest || swapped
        }
    }
}

/// How much a word says that so many of all products have: inverse document frequency as in BM25, always above 0.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a weight"
)]
pub fn rarity(frequency: i64, products: i64) -> f32 {
    let (n, all) = (frequency.clamp(0, products.max(0)) as f64, products.max(0) as f64);
    ((1.0 + (all - n + 0.5) / (n + 0.5)).ln() as f32).max(1e-6)
}

/// Makes weights add up to 1.
pub fn normalise(weights: &mut [f32]) {
    let sum: f32 = weights.iter().sum();
    for weight in weights {
        *weight /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn words_are_folded_and_numbers_stay_whole() {
        assert_eq!(
            words("Café-Crème, 15.6\" (39,6 cm) Core™2 v1.2 end. 3.5mm x.5"),
            [
                "cafe", "creme", "15.6", "39", "6", "cm", "core", "2", "v1", "2", "end", "3", "5mm", "x", "5"
            ]
        );
        assert!(words(" \t!?<>'\";--%_\\ ").is_empty());
        assert!(words(&"x".repeat(65)).is_empty());
    }

    #[test]
    fn one_slip_is_one_edit() {
        for slip in [
            "laptpo", "lptop", "laptopp", "laptip", "alptop", "laptop", "xlaptop",
        ] {
            assert!(within_one_edit(slip, "laptop"), "{slip}");
            assert!(within_one_edit("laptop", slip), "{slip}");
        }
        for far in ["latpo", "lapt", "tablet", "laptoppp", "potpal", ""] {
            assert!(!within_one_edit(far, "laptop"), "{far}");
        }
    }

    /// Optimal string alignment distance, the textbook way.
    fn distance(a: &[char], b: &[char]) -> usize {
        let start = |i: usize| (0..=b.len()).map(|j| i.max(j)).collect();
        let mut d: Vec<Vec<usize>> = (0..=a.len()).map(start).collect();
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                let cost = usize::from(a[i - 1] != b[j - 1]);
                d[i][j] = (d[i - 1][j] + 1).min(d[i][j - 1] + 1).min(d[i - 1][j - 1] + cost);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    d[i][j] = d[i][j].min(d[i - 2][j - 2] + 1);
                }
            }
        }
        d[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn agrees_with_the_textbook_and_shares_a_deletion(a in "[abc]{0,6}", b in "[abc]{0,6}") {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let near = distance(&x, &y) <= 1;
            prop_assert_eq!(within_one_edit(&a, &b), near);
            let of_a: HashSet<_> = deletions(&a).into_iter().collect();
            if near {
                prop_assert!(deletions(&b).iter().any(|form| of_a.contains(form)));
            }
        }

        #[test]
        fn words_have_only_letters_digits_and_points(text in "\\PC{0,80}") {
            for word in words(&text) {
                prop_assert!(word.chars().all(|c| c.is_alphanumeric() || c == '.'));
            }
        }
    }
}
