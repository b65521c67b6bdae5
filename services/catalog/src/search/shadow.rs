//! What is compared of the answers of two indexes, while a move waits for the operator's decision.
//!
//! The two order by relevance differently, cut words into stems by different rules, and highlight or not, and all of that is
//! right. What has to agree: without words, which products a list has, in which order, and how many; with words, whether
//! anything is found, and where both fit on a page, which products. Where one has corrected the words, nothing is said.

use std::collections::BTreeSet;
use std::fmt;

use emporium_service_kit::StoreError;
use uuid::Uuid;

use super::choice::Answered;
use super::{SearchError, SearchPage, SearchQuery, Suggestion};

/// The beginning of something that is typed.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// What is typed so far.
    pub text: String,
    /// How many suggestions are wanted.
    pub limit: u32,
}

/// A question whose answers can be compared.
pub trait Compare<T> {
    /// Whether both answers are right if one of them is.
    fn agree(&self, one: &T, other: &T) -> bool;

    /// The question and the answer in words, without what somebody has typed.
    fn shown(&self, answer: &T) -> String;
}

impl Compare<SearchPage> for SearchQuery {
    fn agree(&self, one: &SearchPage, other: &SearchPage) -> bool {
        let both = [one, other];
        if self.text.is_none() {
            let is_counted = both.iter().all(|page| !page.summary.total_is_lower_bound);
            return one.ids == other.ids && (!is_counted || one.summary.total == other.summary.total);
        }
        if both.iter().any(|page| page.corrected_query.is_some()) || self.cursor.is_some() {
            return true;
        }
        if one.ids.is_empty() != other.ids.is_empty() {
            return false;
        }
        let is_whole = both.iter().all(|page| page.next_cursor.is_none());
        let set = |page: &SearchPage| page.ids.iter().copied().collect::<BTreeSet<Uuid>>();
        !is_whole || set(one) == set(other)
    }

    fn shown(&self, page: &SearchPage) -> String {
        let words = self
            .text
            .as_deref()
            .unwrap_or_default()
            .split_whitespace()
            .count();
        format!(
            "a list by {:?} with {words} words, {} products on the page: {:?}; {} in all",
            self.order(),
            page.ids.len(),
            page.ids.iter().take(3).collect::<Vec<_>>(),
            page.summary.total
        )
    }
}

impl Compare<Vec<Suggestion>> for Beginning {
    /// Where there are more than were asked for, each index chooses by its own ideas.
    fn agree(&self, one: &Vec<Suggestion>, other: &Vec<Suggestion>) -> bool {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let set = |all: &Vec<Suggestion>| -> BTreeSet<(String, Option<Uuid>)> {
            all.iter().map(|one| (one.text.clone(), one.product_id)).collect()
        };
        one.len() >= limit || other.len() >= limit || set(one) == set(other)
    }

    fn shown(&self, answer: &Vec<Suggestion>) -> String {
        format!(
            "{} suggestions for {} letters",
            answer.len(),
            self.text.chars().count()
        )
    }
}

/// An answer with its question.
pub struct Shown<'q, Q, T> {
    question: &'q Q,
    /// `None`: the cursor was refused.
    pub answer: Option<Answered<T>>,
}

impl<'q, Q, T> Shown<'q, Q, T> {
    /// Of an index's answer. A refused cursor is an answer as well.
    pub fn of(question: &'q Q, answer: Result<Answered<T>, SearchError>) -> Result<Self, StoreError> {
        let answer = match answer {
            Ok(answer) => Some(answer),
            Err(SearchError::BadCursor) => None,
            Err(SearchError::Store(error)) => return Err(error),
        };
        Ok(Self { question, answer })
    }
}

impl<Q: Compare<T>, T> PartialEq for Shown<'_, Q, T> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.answer, &other.answer) {
            (Some(one), Some(other)) => self.question.agree(&one.answer, &other.answer),
            (None, None) => true,
            _ => false,
        }
    }
}

impl<Q: Compare<T>, T> fmt::Debug for Shown<'_, Q, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            Some(answer) => f.write_str(&self.question.shown(&answer.answer)),
            None => f.write_str("a cursor that is refused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::search::{Sort, Summary};

    fn page(ids: &[u128], total: i64, more: bool) -> SearchPage {
        SearchPage {
            ids: ids.iter().copied().map(Uuid::from_u128).collect(),
            next_cursor: more.then(|| "next".to_owned()),
            summary: Arc::new(Summary {
                total,
                ..Summary::default()
            }),
            ..SearchPage::nothing()
        }
    }

    #[test]
    fn lists_agree_in_order_and_words_in_what_they_find() {
        let list = SearchQuery::everything(Sort::PriceAsc, 3);
        let words = SearchQuery {
            text: Some("red mug".to_owned()),
            ..list.clone()
        };
        let one = page(&[1, 2], 2, false);
        for (other, as_list, as_words) in [
            (page(&[1, 2], 2, false), true, true),
            (page(&[2, 1], 2, false), false, true),
            (page(&[1, 2], 3, false), false, true),
            (page(&[1, 3], 2, false), false, false),
            (page(&[5, 6, 7], 9, true), false, true),
            (page(&[], 0, false), false, false),
        ] {
            assert_eq!(list.agree(&one, &other), as_list, "{other:?}");
            assert_eq!(words.agree(&one, &other), as_words, "{other:?}");
            assert_eq!(words.agree(&other, &one), as_words, "{other:?}");
        }
        let corrected = SearchPage {
            corrected_query: Some("red jug".to_owned()),
            ..page(&[9], 1, false)
        };
        assert!(words.agree(&one, &corrected));
        assert!(!words.shown(&one).contains("mug"), "nobody's words");
    }
}
