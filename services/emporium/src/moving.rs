//! `emporium move`: what a service keeps goes to another store while the shop is open, or comes back.
//!
//! The service does the work, and goes on with it when this command is interrupted: it asks, looks on and tells what came of
//! it. A shop that does not run is started for the command.

use std::cell::Cell;

use clap::Parser;
use emporium_moving::record::{Ending, Shadow};
use emporium_moving::{MoveRequest, MoveStatus};
use emporium_service_kit::stores::{KNOWN, Known, RECOMMENDATIONS_CACHE};
use emporium_service_kit::{ServiceName, StoreUrls};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::data_dir::DataDir;
use crate::operator::{Operator, with_shop};
use crate::provision::OWNERS;
use crate::terminal::{Format, note, say};

mod follow;
mod target;
mod words;

use follow::{End, Following};
use target::Target;

/// Options of `emporium move`.
#[derive(Debug, Clone, Parser)]
#[allow(clippy::struct_excessive_bools)] // switches of a command line
pub struct Options {
    /// sessions, carts, catalog (its search index), recommendations, reviews, analytics or monitoring.
    pub service: ServiceName,
    /// Where to: a URL that the service's setting takes, or `postgres:` for the service's own database. As `@FILE` it is read
    /// from a file and as `-` from standard input, since everybody on this machine can see a command's arguments. Without any
    /// option the command only tells where the data is.
    #[arg(long, value_name = "URL")]
    to: Option<Target>,
    /// When all is there, reads are answered by both stores and compared, until you decide.
    #[arg(long, requires = "to")]
    shadow: bool,
    /// What the other store holds may be thrown away.
    #[arg(long, requires = "to")]
    overwrite: bool,
    /// Decide for the switch, after `--shadow`.
    #[arg(long, conflicts_with_all = ["to", "shadow", "overwrite", "cancel"])]
    switch: bool,
    /// End the move that is under way: everything stays where it was, and the other store is emptied.
    #[arg(long, conflicts_with_all = ["to", "shadow", "overwrite"])]
    cancel: bool,
    /// How the outcome is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What is asked of the service.
enum Wish {
    To(MoveRequest),
    Switch,
    Cancel,
}

/// Runs `emporium move`.
pub async fn run(
    stores: impl FnOnce() -> Result<StoreUrls, Error>,
    dir: Option<&std::path::Path>,
    options: &Options,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let service = options.service;
    let setting = setting(service)?;
    let Some(wish) = wish(options, setting, stop).await? else {
        return show(&Operator::running(&DataDir::look_at(dir))?, options).await;
    };
    let stores = stores()?;
    let dir = DataDir::open(dir)?;
    let shop: Cell<Option<bool>> = Cell::new(None);
    let work = async |operator: &Operator| {
        shop.set(Some(operator.is_own()));
        Box::pin(move_it(operator, options, &wish)).await
    };
    match with_shop(stores, &dir, stop, work).await {
        Err(Error::Interrupted) => Err(Error::Left(words::left(service, shop.get()))),
        ended => ended,
    }
}

/// The setting that names the service's store.
fn setting(service: ServiceName) -> Result<&'static str, Error> {
    let is_moved = |known: &&Known| known.name != RECOMMENDATIONS_CACHE;
    let of = |wanted| {
        KNOWN
            .iter()
            .filter(is_moved)
            .find(move |known| known.service == Some(wanted))
    };
    if let Some(known) = of(service) {
        return Ok(known.name);
    }
    let moved: Vec<&str> = ServiceName::listening()
        .filter(|service| of(*service).is_some())
        .map(ServiceName::as_str)
        .collect();
    Err(Error::Other(format!(
        "there is nowhere to move {service} to: the service {}; choose one of {}",
        if OWNERS.contains(&service) {
            "has one store, its own PostgreSQL"
        } else {
            "keeps nothing"
        },
        moved.join(", ")
    )))
}

/// `None` for a mere look.
async fn wish(
    options: &Options,
    setting: &'static str,
    stop: &CancellationToken,
) -> Result<Option<Wish>, Error> {
    if let Some(target) = &options.to {
        let read = stop.run_until_cancelled(target.read(setting)).await;
        return Ok(Some(Wish::To(MoveRequest {
            to: read.unwrap_or_else(|| Err(Error::Left(words::left(options.service, None))))?,
            shadow: options.shadow,
            overwrite: options.overwrite,
        })));
    }
    Ok(match (options.switch, options.cancel) {
        (true, _) => Some(Wish::Switch),
        (_, true) => Some(Wish::Cancel),
        _ => None,
    })
}

/// Tells where the data is.
async fn show(operator: &Operator, options: &Options) -> Result<(), Error> {
    let status = follow::status(operator, options.service).await?;
    match options.format {
        Format::Json => say(serde_json::to_string(&status).unwrap_or_default()),
        Format::Table => words::status(&status).iter().for_each(say),
    }
    match &status.under_way {
        Some(view) => same_answers(&status, &view.shadow),
        None => Ok(()),
    }
}

async fn move_it(operator: &Operator, options: &Options, wish: &Wish) -> Result<(), Error> {
    let mut following = Following::begin(operator, options.service)?;
    let asks = options.format == Format::Table && !options.to.as_ref().is_some_and(Target::is_input);
    let ended = following.until_ended(wish, asks).await;
    following.end();
    let ended = ended?;
    let (End::Ended(status) | End::Undecided(status)) = &ended;
    if options.format == Format::Json {
        say(serde_json::to_string(status).unwrap_or_default());
    }
    match &ended {
        End::Ended(status) => {
            if options.format == Format::Table {
                words::ended(status).iter().for_each(say);
            }
            verdict(status, matches!(wish, Wish::Cancel))
        }
        End::Undecided(status) => {
            if options.format == Format::Table {
                words::status(status).iter().for_each(say);
            }
            if operator.is_own() {
                note("The shop stops now; the move waits for its next start.");
            }
            let view = status.under_way.as_ref();
            view.map_or(Ok(()), |view| same_answers(status, &view.shadow))
        }
    }
}

/// Whatever is not as it was asked for is an error; so is a difference.
fn verdict(status: &MoveStatus, cancelling: bool) -> Result<(), Error> {
    let Some(outcome) = &status.last else {
        return Ok(());
    };
    let (service, to) = (&status.service, &outcome.to);
    match outcome.ending {
        Ending::Switched if !cancelling => Ok(()),
        Ending::Switched => Err(Error::Other(format!(
            "too late to cancel, {service} is in {to} already; `emporium move {service} --to URL` moves it back"
        ))),
        Ending::Cancelled if cancelling => Ok(()),
        Ending::Cancelled => Err(Error::Other(format!(
            "somebody cancelled the move, and nothing was moved; `emporium move {service} --to URL` begins it anew"
        ))),
        Ending::Different => Err(Error::Different(format!(
            "{service} and its copy differed again and again, and nothing was moved; the same command tries it anew"
        ))),
        Ending::Refused => Err(Error::Other(format!(
            "nothing was moved: {to}: {}",
            outcome.reasons.join("; ")
        ))),
    }
}

fn same_answers(status: &MoveStatus, shadow: &Shadow) -> Result<(), Error> {
    if shadow.different + shadow.failed == 0 {
        return Ok(());
    }
    let service = &status.service;
    Err(Error::Different(format!(
        "the other store did not answer as this one; if that must not be, `emporium move {service} --cancel`"
    )))
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, ErrorKind> {
        Options::try_parse_from(["move"].iter().chain(arguments)).map_err(|error| error.kind())
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let asked = read(&["carts", "--to", "redis://:s3cret@h", "--shadow", "--overwrite"]).unwrap();
        assert!(asked.shadow && asked.overwrite && asked.to.is_some());
        assert!(!format!("{asked:?}").contains("s3cret"), "{asked:?}");
        for looks in [
            &["carts"][..],
            &["carts", "--format", "json"],
            &["carts", "--switch"],
            &["carts", "--cancel"],
        ] {
            assert!(read(looks).is_ok(), "{looks:?}");
        }
        for wrong in [&["carts", "--shadow"][..], &["carts", "--overwrite"]] {
            assert_eq!(
                read(wrong).err(),
                Some(ErrorKind::MissingRequiredArgument),
                "{wrong:?}"
            );
        }
        for wrong in [
            &["carts", "--switch", "--cancel"][..],
            &["carts", "--switch", "--overwrite"],
            &["carts", "--cancel", "--shadow"],
            &["carts", "--to", "postgres:", "--switch"],
            &["carts", "--cancel", "--to", "postgres:"],
        ] {
            assert_eq!(read(wrong).err(), Some(ErrorKind::ArgumentConflict), "{wrong:?}");
        }
        assert_eq!(read(&["nobody"]).err(), Some(ErrorKind::ValueValidation));
        assert_eq!(read(&[]).err(), Some(ErrorKind::MissingRequiredArgument));
    }

    #[test]
    fn services_with_one_store_have_nowhere_to_go() {
        assert_eq!(
            setting(ServiceName::Recommendations).unwrap(),
            "EMPORIUM_RECOMMENDATIONS_STORE"
        );
        assert_eq!(setting(ServiceName::Catalog).unwrap(), "EMPORIUM_CATALOG_SEARCH");
        for (service, why) in [
            (ServiceName::Users, "has one store"),
            (ServiceName::Orders, "has one store"),
            (ServiceName::Payments, "has one store"),
            (ServiceName::Gateway, "keeps nothing"),
            (ServiceName::Operator, "keeps nothing"),
        ] {
            let text = setting(service).unwrap_err().to_string();
            assert!(
                text.contains(why)
                    && text.ends_with(
                        "one of sessions, catalog, carts, recommendations, reviews, analytics, monitoring"
                    ),
                "{text}"
            );
        }
    }
}
