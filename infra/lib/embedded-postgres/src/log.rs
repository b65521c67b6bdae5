//! Reading the server's log for what a person needs to know.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::text::one_line;

/// The log starts anew beyond this size; one older log is kept.
const ROTATE_BYTES: u64 = 10 << 20;
/// No more than this is read of one start's messages.
const READ_BYTES: u64 = 256 << 10;

/// What a failed start means for the next step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Somebody took the port between our look and the server's.
    PortTaken,
    /// Backends of a server that was killed are still letting go of its shared memory.
    StillLettingGo,
    /// The cluster itself is damaged.
    Broken(String),
    /// Anything else.
    Other(String),
}

/// Opens the log for appending, closed to others since it can quote statements with personal data, and tells where this start's messages begin.
pub(crate) fn open(path: &Path) -> io::Result<(File, u64)> {
    if fs::metadata(path).is_ok_and(|log| log.len() > ROTATE_BYTES) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    let start = file.metadata()?.len();
    Ok((file, start))
}

/// Judges the messages since `start`.
pub(crate) fn verdict(path: &Path, start: u64) -> Verdict {
    judge(&read_from(path, start).unwrap_or_else(|error| format!("cannot read the log: {error}")))
}

fn read_from(path: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn judge(text: &str) -> Verdict {
    let line = telling_line(text);
    if text.contains("Address already in use") {
        Verdict::PortTaken
    } else if text.contains("pre-existing shared memory block") {
        Verdict::StillLettingGo
    } else if tells_of_damage(&line) {
        Verdict::Broken(line)
    } else {
        Verdict::Other(line)
    }
}

/// Words of the server that mean damage, as opposed to a setting, a right or a resource that is missing.
fn tells_of_damage(line: &str) -> bool {
    const SIGNS: [&str; 12] = [
        "control file",
        "pg_control",
        "could not find the database system",
        "checkpoint record",
        "required WAL directory",
        "not a valid data directory",
        "database files are incompatible",
        "invalid page",
        "could not access status of transaction",
        // paths relative to the data folder, so not those of the installation
        "could not open file \"global/",
        "could not open file \"pg_",
        "could not open file \"base/",
    ];
    SIGNS.iter().any(|sign| line.contains(sign))
}

/// The one line that says why: the first fatal one. Where that only says that the configuration has errors, the
/// line before it has the error.
pub(crate) fn telling_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let fatal = lines.iter().position(|line| {
        ["FATAL:", "PANIC:", "error:"]
            .iter()
            .any(|mark| line.contains(mark))
    });
    let Some(at) = fatal else {
        let known = lines.iter().find(|line| line.contains("could not"));
        return known
            .or(lines.last())
            .map_or_else(|| "it said nothing".to_owned(), |line| strip(line));
    };
    let vague = lines[at].contains("configuration file") && at > 0;
    strip(lines[if vague { at - 1 } else { at }])
}

/// Drops the time, the process id and the level, and makes tabs blanks.
fn strip(line: &str) -> String {
    const LEVELS: [&str; 5] = ["FATAL:", "PANIC:", "ERROR:", "LOG:", "error:"];
    let message = LEVELS
        .iter()
        .find_map(|level| line.split_once(level).map(|(_, rest)| rest));
    one_line(message.unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fatal_line_is_the_telling_one() {
        let log = "2026-01-01 00:00:00.000 UTC [7] LOG:  starting\n2026-01-01 00:00:00.001 UTC [7] FATAL:  out of luck\n\
                   2026-01-01 00:00:00.002 UTC [7] LOG:  database system is shut down\n";
        assert_eq!(judge(log), Verdict::Other("out of luck".into()));
    }

    #[test]
    fn a_configuration_error_is_told_by_the_line_before() {
        let log = "x [7] LOG:  unrecognized configuration parameter \"a\" in file \"f\" line 1\n\
                   x [7] FATAL:  configuration file \"f\" contains errors\n";
        assert_eq!(
            telling_line(log),
            "unrecognized configuration parameter \"a\" in file \"f\" line 1"
        );
    }

    #[test]
    fn damage_the_port_and_leftovers_are_told_apart() {
        let fatal = |text: &str| judge(&format!("x [7] FATAL:  {text}\n"));
        assert_eq!(
            fatal("incorrect checksum in control file"),
            Verdict::Broken("incorrect checksum in control file".into())
        );
        assert_eq!(
            fatal("could not bind: Address already in use"),
            Verdict::PortTaken
        );
        assert_eq!(
            fatal("pre-existing shared memory block is still in use"),
            Verdict::StillLettingGo
        );
        assert_eq!(judge(""), Verdict::Other("it said nothing".into()));
    }
}
