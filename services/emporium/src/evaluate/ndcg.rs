//! Normalised discounted cumulated gain, as in Järvelin and Kekäläinen, *Cumulated gain-based evaluation of IR techniques*
//! (ACM TOIS 20(4), 2002), with the exponential gain of Burges et al. (ICML 2005): gain 2^rating − 1, discount
//! 1 / log2(rank + 1), ideal over all judged documents of the query, documents without a judgment count 0.
//!
//! The condensed form (Sakai, *Alternatives to Bpref*, SIGIR 2007) leaves documents without a judgment out of the list: it
//! does not punish a system for finding what nobody has looked at. What is left out makes room for what comes after it, so
//! the list has to be longer than the ten that count.

use std::collections::HashMap;

/// How much of a list counts.
pub const DEPTH: usize = 10;

/// Ratings of one query's judged documents, by document.
pub type Ratings = HashMap<String, f64>;

/// Both forms for one query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Over the list as it is.
    pub ndcg: f64,
    /// Over the list without documents that nobody has judged.
    pub condensed: f64,
}

/// Scores the first [`DEPTH`] documents of a list, and the first [`DEPTH`] of it that are judged; `None` when no judged document is relevant, since then no list is better
/// than another.
pub fn score(found: &[String], ratings: &Ratings) -> Option<Score> {
    let mut best: Vec<f64> = ratings.values().copied().collect();
    best.sort_unstable_by(|one, other| other.total_cmp(one));
    let ideal = dcg(best.into_iter());
    if ideal <= 0.0 {
        return None;
    }
    let judged = || found.iter().map(|document| ratings.get(document).copied());
    Some(Score {
        ndcg: dcg(judged().map(Option::unwrap_or_default)) / ideal,
        condensed: dcg(judged().flatten()) / ideal,
    })
}

/// Discounted cumulated gain of the first [`DEPTH`] ratings.
fn dcg(ratings: impl Iterator<Item = f64>) -> f64 {
    let ranks = (1_u32..).map(f64::from);
    let gains = ratings
        .take(DEPTH)
        .zip(ranks)
        .map(|(rating, rank)| (rating.exp2() - 1.0) / (rank + 1.0).log2());
    // The sum of nothing is -0.
    gains.sum::<f64>() + 0.0
}

/// The mean over queries and its standard error (sample standard deviation over the root of the number); without queries
/// both are 0, and with one the error is.
#[allow(clippy::cast_precision_loss)] // far fewer than 2^52 queries
pub fn mean(values: &[f64]) -> (f64, f64) {
    let number = values.len() as f64;
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let mean = values.iter().sum::<f64>() / number;
    if values.len() == 1 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (number - 1.0) / number).sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ratings(pairs: &[(&str, f64)]) -> Ratings {
        pairs
            .iter()
            .map(|(document, rating)| ((*document).to_owned(), *rating))
            .collect()
    }

    fn list(documents: &[&str]) -> Vec<String> {
        documents.iter().map(|document| (*document).to_owned()).collect()
    }

    #[track_caller]
    fn close(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-6, "{one} is not {other}");
    }

    /// By hand: gains are 3 → 7, 2 → 3, 1 → 1; discounts 1, 1/log2 3 = 0.630930, 1/2, 1/log2 5 = 0.430677.
    /// Ideal (3, 2, 1, 0): 7 + 3·0.630930 + 1·0.5 = 9.392789.
    /// As found (2, unjudged, 3, 0): 3 + 0 + 7·0.5 = 6.5. Condensed (2, 3, 0): 3 + 7·0.630930 = 7.416508.
    #[test]
    fn a_small_example_comes_out_as_by_hand() {
        let judged = ratings(&[("a", 3.0), ("b", 2.0), ("c", 1.0), ("d", 0.0)]);
        let score = score(&list(&["b", "new", "a", "d"]), &judged).unwrap();
        close(score.ndcg, 6.5 / 9.392_789);
        close(score.condensed, 7.416_508 / 9.392_789);
    }

    #[test]
    fn only_the_first_ten_count_for_the_list_and_for_the_ideal() {
        let names: Vec<String> = (0..12).map(|n| format!("d{n}")).collect();
        let judged: Ratings = names.iter().map(|name| (name.clone(), 1.0)).collect();
        close(score(&names, &judged).unwrap().ndcg, 1.0);
        let mut late = vec!["x".to_owned(); 10];
        late.extend(names);
        let score = score(&late, &judged).unwrap();
        close(score.ndcg, 0.0);
        close(score.condensed, 1.0);
    }

    #[test]
    fn a_query_without_a_relevant_document_has_no_score() {
        assert_eq!(score(&list(&["a"]), &ratings(&[("a", 0.0)])), None);
        assert_eq!(score(&list(&["a"]), &ratings(&[])), None);
        let nothing = score(&[], &ratings(&[("a", 1.0)])).unwrap();
        assert_eq!((nothing.ndcg, nothing.condensed), (0.0, 0.0));
    }

    #[test]
    fn mean_and_standard_error() {
        let (mean_of, error) = mean(&[0.2, 0.4, 0.6, 0.8]);
        close(mean_of, 0.5);
        // Variance (0.09 + 0.01 + 0.01 + 0.09) / 3 = 0.066667; over 4, and its root.
        close(error, 0.129_099);
        assert_eq!(mean(&[0.5]), (0.5, 0.0));
        assert_eq!(mean(&[]), (0.0, 0.0));
    }

    proptest! {
        #[test]
        fn scores_lie_between_nothing_and_the_best_order(
            judged in proptest::collection::hash_map("[a-z]{1,2}", 0_u8..4, 1..30),
            found in proptest::collection::hash_set("[a-z]{1,2}", 0..30),
        ) {
            let judged: Ratings = judged.into_iter().map(|(document, rating)| (document, f64::from(rating))).collect();
            let found: Vec<String> = found.into_iter().collect();
            let Some(any) = score(&found, &judged) else {
                prop_assert!(judged.values().all(|rating| *rating == 0.0));
                return Ok(());
            };
            prop_assert!((0.0..=1.0 + 1e-9).contains(&any.ndcg), "{any:?}");
            prop_assert!((0.0..=1.0 + 1e-9).contains(&any.condensed), "{any:?}");
            prop_assert!(any.condensed >= any.ndcg - 1e-9, "leaving out moves the others up: {any:?}");
            let mut best: Vec<String> = judged.keys().cloned().collect();
            best.sort_by(|one, other| judged[other].total_cmp(&judged[one]));
            let best = score(&best, &judged).unwrap();
            prop_assert!((best.ndcg - 1.0).abs() < 1e-9 && (best.condensed - 1.0).abs() < 1e-9, "{best:?}");
        }
    }
}
