//! Tests that did not run because their store cannot be had: written down where the runner finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::kind::Store;
use super::progress;

/// The environment variable with the file they are written to, a JSON object a line.
pub const NOT_RUN_VARIABLE: &str = "EMPORIUM_TEST_NOT_RUN";

/// One test that did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRun {
    /// What it needs.
    pub store: Store,
    /// Why that is not there.
    pub reason: String,
    /// The test, as the harness names it, after its program.
    pub test: String,
}

/// Notes that the current test does not run. Panics in CI, where every store has to be there.
pub(crate) fn note(store: Store, reason: &str) {
    let not_run = NotRun {
        store,
        reason: one_line(reason),
        test: current_test(),
    };
    if let Some(file) = std::env::var_os(NOT_RUN_VARIABLE) {
        append(Path::new(&file), &not_run);
    }
    let remedy = store.remedy();
    progress::say(&format!(
        "{} not run: no {store}: {reason} ({remedy})",
        not_run.test
    ));
    assert!(!is_ci(), "no {store} in CI: {reason} ({remedy})");
}

/// Whether this is a run that may leave nothing out.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// One write a line, so that processes do not mix theirs.
fn append(file: &Path, not_run: &NotRun) {
    let mut line = serde_json::to_string(not_run).expect("it is plain data");
    line.push('\n');
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(file)
        .expect("EMPORIUM_TEST_NOT_RUN names a file that can be written");
    file.write_all(line.as_bytes()).expect("there is room");
}

/// The harness names its threads after the tests.
fn current_test() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy();
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    let thread = std::thread::current();
    format!("{program}::{}", thread.name().unwrap_or("a test"))
}

/// Reads what the tests of a run wrote. No file: nothing is missing.
pub(crate) fn read(file: &Path) -> std::io::Result<Vec<NotRun>> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The last lines of a run's output: each missing store by name, why, what to do, and the tests that wait for it.
pub(crate) fn list(all: &[NotRun]) -> String {
    let mut stores: BTreeMap<&str, (&NotRun, BTreeSet<&str>)> = BTreeMap::new();
    for one in all {
        let (_, tests) = stores
            .entry(one.store.name())
            .or_insert_with(|| (one, BTreeSet::new()));
        tests.insert(&one.test);
    }
    let mut lines = Vec::new();
    for (name, (first, tests)) in stores {
        lines.push(format!(
            "not run, for want of a store: {name}: {}",
            one_line(&first.reason)
        ));
        lines.push(format!("  to run them: {}", first.store.remedy()));
        lines.extend(tests.into_iter().map(|test| format!("  {test}")));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Reasons quote what programs print.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_store_and_test_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not-run");
        for (store, test) in [
            (Store::Elasticsearch, "search::finds"),
            (Store::Redis, "api::logs_in"),
            (Store::Elasticsearch, "search::finds"),
            (Store::Elasticsearch, "search::counts"),
        ] {
            let reason = "no engine, and\nno JDK".to_owned();
            append(
                &file,
                &NotRun {
                    store,
                    reason,
                    test: test.to_owned(),
                },
            );
        }
        let all = read(&file).unwrap();
        assert_eq!(all.len(), 4);
        let text = list(&all);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("not run, for want of a store: elasticsearch: no engine, and no JDK"),
            "{text}"
        );
        assert_eq!(text.matches("search::finds").count(), 1, "{text}");
        assert!(
            text.contains("  search::counts\n") && text.contains("  api::logs_in\n"),
            "{text}"
        );
        assert_eq!(text.matches("  to run them: ").count(), 2, "{text}");
    }

    #[test]
    fn without_missing_stores_nothing_is_listed() {
        assert_eq!(list(&read(Path::new("/nonexistent")).unwrap()), "");
    }

    #[test]
    fn a_test_is_named_after_its_program_and_itself() {
        let name = current_test();
        assert!(
            name.starts_with("emporium_test_kit::")
                && name.ends_with("a_test_is_named_after_its_program_and_itself"),
            "{name}"
        );
    }
}
