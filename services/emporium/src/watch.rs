//! Looking on while a service does long work that a command has asked for: how far it is, whether it stands still, and what if
//! the service is silent for a while.

use std::fmt::Display;
use std::time::{Duration, Instant};

use emporium_service_kit::ServiceName;
use emporium_service_kit::client::{Call, CallError, Client};
use indicatif::HumanCount;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::operator::Operator;
use crate::projections::TIMEOUT;
use crate::terminal::Later;

/// How often it is looked.
pub(crate) const LOOK: Duration = Duration::from_millis(200);
/// How long a service may be silent meanwhile: as long as a restart takes.
const SILENCE: Duration = Duration::from_mins(1);
/// How long the work may stand still before the command leaves it.
const STALL: Duration = Duration::from_mins(5);

/// Who looks on.
pub(crate) struct Watch<'a> {
    operator: &'a Operator,
    client: Client,
    url: String,
    /// What is said to fail when looking does.
    looking: &'static str,
    pub progress: Later,
    begun: Instant,
    /// What was seen the last time that something moved.
    moved: (String, Instant),
    answered: Instant,
}

impl<'a> Watch<'a> {
    /// Begins; `looking` names what the service is looked at for.
    pub fn begin(operator: &'a Operator, service: ServiceName, looking: &'static str) -> Result<Self, Error> {
        let begun = Instant::now();
        Ok(Self {
            client: operator.client(ServiceName::Operator, service)?,
            url: operator.url(service),
            operator,
            looking,
            progress: Later::begin(),
            begun,
            moved: (String::new(), begun),
            answered: begun,
        })
    }

    /// The service's client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Since it began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// How it stands; `None` while the service does not answer, as during its restart.
    pub async fn look<T: DeserializeOwned>(&mut self, path: &str) -> Result<Option<T>, Error> {
        match self.client.get(path).timeout(TIMEOUT).once().send().await {
            Ok(answer) => {
                self.answered = Instant::now();
                Ok(Some(answer))
            }
            Err(error) if error.is_unavailable() && self.answered.elapsed() < SILENCE => {
                self.find_again()?;
                Ok(None)
            }
            Err(error) => Err(failed(self.looking, error)),
        }
    }

    /// The shop may have been started again, on other ports.
    fn find_again(&mut self) -> Result<(), Error> {
        let service = self.client.callee();
        let found = self.operator.again();
        if let Some(found) = found.filter(|found| found.url(service) != self.url) {
            self.client = found.client(ServiceName::Operator, service)?;
            self.url = found.url(service);
        }
        Ok(())
    }

    /// Shows how far it is. What stands still for too long is left: it goes on, but nobody has to wait for it.
    pub fn tell(&mut self, text: &str, rate: &str, trouble: &str) -> Result<(), Error> {
        if self.moved.0 != text {
            self.moved = (text.to_owned(), Instant::now());
        }
        let trouble = after(trouble);
        if self.moved.1.elapsed() > STALL {
            return Err(Error::Away(format!(
                "{text}{trouble}: nothing moved for {} minutes; it goes on in the {} service when that can",
                STALL.as_secs() / 60,
                self.client.callee()
            )));
        }
        let seconds = self.begun.elapsed().as_secs();
        self.progress
            .tell(format_args!("{text}{rate} ({seconds} s){trouble}"));
        Ok(())
    }
}

/// Sends what asks for the work.
pub(crate) async fn ask<T: DeserializeOwned>(call: Call<'_>, asking: &'static str) -> Result<T, Error> {
    call.send().await.map_err(|source| failed(asking, source))
}

/// The error of a call that failed.
pub(crate) fn failed(what: &'static str, source: CallError) -> Error {
    if source.is_unavailable() {
        return Error::Away(source.to_string());
    }
    Error::Call { what, source }
}

/// What is wrong, after what is said already.
pub(crate) fn after(trouble: &str) -> String {
    if trouble.is_empty() {
        return String::new();
    }
    format!("; {trouble}")
}

/// A number for people.
pub(crate) fn count(number: impl TryInto<u64> + Display + Copy) -> String {
    number.try_into().map_or_else(
        |_| number.to_string(),
        |number: u64| HumanCount(number).to_string(),
    )
}
