//! The reject file: what could not be parsed or represented, with its line number and the reason.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::ImportError;

/// Collects rejected lines in a CSV file with the columns `line,key,reason`.
///
/// The file appears with the first rejected line; a clean import leaves none (and removes an older one, so that
/// the file never speaks of another run).
pub struct RejectFile {
    path: PathBuf,
    writer: Option<csv::Writer<BufWriter<File>>>,
    count: u64,
}

impl RejectFile {
    /// A reject file at `path`, in place of an older one.
    pub fn new(path: &Path) -> Result<Self, ImportError> {
        match std::fs::remove_file(path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(ImportError::Rejects {
                path: path.to_owned(),
                source,
            }),
            _ => Ok(Self {
                path: path.to_owned(),
                writer: None,
                count: 0,
            }),
        }
    }

    /// The usual place: `<file name>.rejected.csv` in `folder`.
    pub fn usual_path(file: &Path, folder: &Path) -> PathBuf {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".rejected.csv");
        folder.join(name)
    }

    /// How many lines were rejected so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds the line `line` of the input; `key` is what names it there, such as `489434 85048`. Control characters in it
    /// are shown as `\u{FFFD}`, so that the file stays text.
    pub fn reject(&mut self, line: u64, key: &str, reason: &str) -> Result<(), ImportError> {
        self.count += 1;
        let key = key.replace(char::is_control, "\u{fffd}");
        let reason = reason.replace(char::is_control, "\u{fffd}");
        self.write(&[&line.to_string(), &key, &reason])
    }

    /// Writes out what is buffered; a reject file that cannot be completed is an error.
    pub fn finish(&mut self) -> Result<(), ImportError> {
        let path = self.path.clone();
        match &mut self.writer {
            Some(writer) => writer
                .flush()
                .map_err(|source| ImportError::Rejects { path, source }),
            None => Ok(()),
        }
    }

    fn write(&mut self, fields: &[&str; 3]) -> Result<(), ImportError> {
        let failed = |source| ImportError::Rejects {
            path: self.path.clone(),
            source,
        };
        if self.writer.is_none() {
            let file = File::create(&self.path).map_err(failed)?;
            let mut buffered = BufWriter::new(file);
            buffered.write_all(b"line,key,reason\n").map_err(failed)?;
            self.writer = Some(csv::Writer::from_writer(buffered));
        }
        match &mut self.writer {
            Some(writer) => writer.write_record(fields).map_err(|error| failed(error.into())),
            None => Ok(()),
        }
    }
}
