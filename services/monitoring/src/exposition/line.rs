//! One line of the text format.

use std::collections::HashSet;

use super::{is_label_name, is_metric_name};
use crate::model::Labels;

/// A sample as it stands in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    pub name: &'a str,
    pub labels: Labels,
    pub value: f64,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Line<'a> {
    /// Empty, or a comment.
    Nothing,
    /// What a metric measures, in the text's word for it.
    Type { metric: &'a str, kind: &'a str },
    /// A value.
    Sample(Sample<'a>),
}

type Problem = &'static str;

const BLANKS: [char; 2] = [' ', '\t'];

/// Reads a line without its line break.
pub fn read(line: &str) -> Result<Line<'_>, Problem> {
    let line = line.strip_suffix('\r').unwrap_or(line).trim_matches(BLANKS);
    if line.is_empty() {
        return Ok(Line::Nothing);
    }
    if let Some(comment) = line.strip_prefix('#') {
        return of_comment(comment);
    }
    let end = line.find(['{', ' ', '\t']).ok_or("there is no value")?;
    let (name, rest) = line.split_at(end);
    if !is_metric_name(name) {
        return Err("this is no metric's name");
    }
    let rest = rest.trim_start_matches(BLANKS);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => of_labels(inside)?,
        None => (Labels::new(), rest),
    };
    let value = of_value(rest)?;
    Ok(Line::Sample(Sample { name, labels, value }))
}

fn of_comment(comment: &str) -> Result<Line<'_>, Problem> {
    let mut words = comment.split(BLANKS).filter(|word| !word.is_empty());
    if words.next() != Some("TYPE") {
        return Ok(Line::Nothing);
    }
    let (Some(metric), Some(kind), None) = (words.next(), words.next(), words.next()) else {
        return Err("TYPE takes a metric's name and what it is");
    };
    if !is_metric_name(metric) {
        return Err("this is no metric's name");
    }
    if !matches!(kind, "counter" | "gauge" | "histogram" | "summary" | "untyped") {
        return Err("this is no metric's type");
    }
    Ok(Line::Type { metric, kind })
}

/// The labels up to the closing brace, and what comes after it. A label whose value is empty is the same as none.
fn of_labels(mut rest: &str) -> Result<(Labels, &str), Problem> {
    let mut labels = Labels::new();
    let mut names: HashSet<&str> = HashSet::new();
    loop {
        rest = rest.trim_start_matches(BLANKS);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once('=').ok_or("a label has no value")?;
        let name = name.trim_end_matches(BLANKS);
        if !is_label_name(name) {
            return Err("this is no label's name");
        }
        if !names.insert(name) {
            return Err("a label is there twice");
        }
        let quoted = after.trim_start_matches(BLANKS);
        let (value, after) = of_quoted(
            quoted
                .strip_prefix('"')
                .ok_or("a label's value is not in quotes")?,
        )?;
        if !value.is_empty() {
            labels.insert(name.to_owned(), value);
        }
        rest = after.trim_start_matches(BLANKS);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("between labels there is no comma"),
        }
    }
}

/// A label's value up to its closing quote, and what comes after it. `\\`, `\"` and `\n` are all the escapes there are.
fn of_quoted(text: &str) -> Result<(String, &str), Problem> {
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match signs.next() {
                Some((_, '\\')) => '\\',
                Some((_, '"')) => '"',
                Some((_, 'n')) => '\n',
                _ => return Err("there is no such escape"),
            }),
            other => value.push(other),
        }
    }
    Err("a label's value has no end")
}

/// A value, and perhaps a time stamp, which is read over.
fn of_value(rest: &str) -> Result<f64, Problem> {
    let mut words = rest.split(BLANKS).filter(|word| !word.is_empty());
    let (Some(value), stamp, None) = (words.next(), words.next(), words.next()) else {
        return Err("after the series come a value and at most a time stamp");
    };
    if stamp.is_some_and(|stamp| stamp.parse::<i64>().is_err()) {
        return Err("this is no time stamp");
    }
    value.parse().map_err(|_| "this is no number")
}
