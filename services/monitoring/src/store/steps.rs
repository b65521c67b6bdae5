//! Which step an answer has when none is asked for.

use crate::question::{Question, steps};

/// Steps to choose from when none is asked for, in seconds.
const STEPS_S: [i64; 18] = [
    5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800,
    345_600,
];
/// At most so many of them are chosen: as many as a chart shows.
const CHOSEN_MAX: i64 = 200;

/// The step that is asked for; else the shortest one that suits and of which not too many cover the span.
pub fn chosen(question: &Question, suits: impl Fn(i64) -> bool) -> i64 {
    let (from, to) = (question.from, question.to);
    let is_right = |step_s: &i64| steps(from, to, *step_s) <= CHOSEN_MAX && suits(*step_s);
    let longest = STEPS_S[STEPS_S.len() - 1];
    let first = || STEPS_S.iter().copied().find(is_right).unwrap_or(longest);
    question.step_s.unwrap_or_else(first)
}
