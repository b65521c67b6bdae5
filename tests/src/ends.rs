//! Runs of the program that should end by themselves, and what they say.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::process::without_settings;

/// Runs the program with these settings where it should end by itself.
pub fn ends_on(
    program: &str,
    settings: &[(&str, &str)],
    arguments: &[&str],
    data_dir: &std::path::Path,
) -> Output {
    let mut child = without_settings(&mut Command::new(program))
        .arg("--data-dir")
        .arg(data_dir)
        .args(arguments)
        .envs(settings.iter().copied())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_mins(1);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("{arguments:?} did not end by itself");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// The error is one line that holds these words.
#[track_caller]
pub fn says(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "one line: {text}");
    for word in words {
        assert!(errors[0].contains(word), "{word:?} is missing in {:?}", errors[0]);
    }
    assert!(!text.contains("panicked"), "{text}");
}

/// A folder that the database server's user may pass.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap()
}
