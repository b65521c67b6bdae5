//! Where to: the URL on the command line, in a file, or on standard input.

use std::convert::Infallible;
use std::fmt;
use std::io::{IsTerminal, Read};
use std::str::FromStr;

use emporium_service_kit::{StartError, StoreUrls};

use crate::Error;
use crate::terminal::note;

/// The service's own database.
const OWN: &str = "postgres:";
/// More than any URL has.
const BYTES_MAX: u64 = 8_192;

/// What `--to` names.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target(String);

impl fmt::Debug for Target {
    /// A URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target")
    }
}

impl FromStr for Target {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl Target {
    /// Whether standard input is read for it.
    pub fn is_input(&self) -> bool {
        self.0 == "-"
    }

    /// The URL, checked as far as that goes without asking the store. Errors do not show it.
    pub async fn read(&self, setting: &'static str) -> Result<String, Error> {
        let text = match self.0.strip_prefix('@') {
            _ if self.is_input() => from_input().await?,
            Some(path) => from_file(path)?,
            None => self.0.clone(),
        };
        check(text.trim(), setting)
    }
}

/// A line of standard input. Reading it in a thread of its own lets Ctrl-C end the command.
async fn from_input() -> Result<String, Error> {
    let failed = |problem: String| Error::Other(format!("--to -: standard input cannot be read: {problem}"));
    if std::io::stdin().is_terminal() {
        note("The URL of the store:");
    }
    let (told, line) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = std::io::stdin().read_line(&mut text);
        // Whoever waited may have been interrupted.
        let _ = told.send(read.map(|_| text));
    });
    let read = line.await.map_err(|error| failed(error.to_string()))?;
    read.map_err(|error| failed(error.to_string()))
}

fn from_file(path: &str) -> Result<String, Error> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Error::Other(format!(
            "--to: {path} cannot be read: {error}; name a file that holds the store's URL and nothing else"
        ))),
    }
}

fn check(text: &str, setting: &'static str) -> Result<String, Error> {
    if matches!(text.trim_end_matches('/'), "postgres:" | "postgresql:") {
        return Ok(OWN.to_owned());
    }
    if text.is_empty() {
        return Err(Error::Other(format!(
            "--to: there is nothing; write the store's URL, or {OWN} for the service's own database"
        )));
    }
    match StoreUrls::default().set(setting, text.to_owned()) {
        Ok(()) => Ok(text.to_owned()),
        Err(StartError::BadSetting { problem, .. }) => {
            // A setting is unset for that.
            let problem = problem.replace("or unset it for", &format!("or {OWN} for"));
            Err(Error::Other(format!("--to: {problem}")))
        }
        Err(other) => Err(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use emporium_service_kit::stores::CARTS_STORE;

    use super::*;

    async fn read(text: &str) -> Result<String, String> {
        let target = Target(text.to_owned());
        let read = target.read(CARTS_STORE).await;
        read.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_url_is_taken_from_the_command_line_or_a_file_and_never_shown() {
        for own in ["postgres:", "postgresql:", "postgres://", " postgres: "] {
            assert_eq!(read(own).await.as_deref(), Ok("postgres:"), "{own}");
        }
        let url = "redis://:s3cret@127.0.0.1:6379/1";
        assert_eq!(read(url).await.as_deref(), Ok(url));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, format!("{url}\n")).unwrap();
        let at = format!("@{}", file.display());
        assert_eq!(read(&at).await.as_deref(), Ok(url));
        std::fs::write(&file, "\n").unwrap();
        assert!(read(&at).await.unwrap_err().contains("there is nothing"));
        std::fs::write(&file, format!("{url}\n{url}\n")).unwrap();
        assert!(read(&at).await.unwrap_err().contains("white space"));
        std::fs::write(&file, [b'x', 0xFF]).unwrap();
        assert!(read(&at).await.unwrap_err().contains("cannot be read"));
        let none = read("@/none/such").await.unwrap_err();
        assert!(
            none.contains("/none/such cannot be read") && none.contains("name a file"),
            "{none}"
        );
        assert_eq!(format!("{:?}", Target(url.to_owned())), "Target");
    }

    #[tokio::test]
    async fn what_cannot_be_a_store_of_the_service_is_told_before_anything_is_asked() {
        for (text, why) in [
            (
                "mongodb://:s3cret@h/carts",
                "no adapter for the scheme \"mongodb\"; use postgres:// or redis://, or postgres: for",
            ),
            ("redis://:s3cret@", "this is no redis URL"),
            ("s3cret", "no adapter for the scheme \"\""),
            ("redis://h/1 s3cret", "white space"),
        ] {
            let error = read(text).await.unwrap_err();
            assert!(error.starts_with("--to: ") && error.contains(why), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
