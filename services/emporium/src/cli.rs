//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use emporium_service_kit::ServiceName;
use emporium_service_kit::config::{Settings, stores_file};
use emporium_service_kit::signals;
use emporium_service_kit::telemetry::{self, LogFormat};
use tokio_util::sync::CancellationToken;

use crate::data_dir::DataDir;
use crate::terminal::note;
use crate::{Error, evaluate, load, moving, rebuild, reconcile, run, serve, status, stores};

/// A shop in which every service keeps its own data. Without a command it starts the whole shop.
#[derive(Debug, Parser)]
#[command(name = "emporium", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Options,
    /// The data folder [default: ~/.local/share/emporium, for root /var/lib/emporium]
    #[arg(long, global = true, env = "EMPORIUM_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// TOML file that says which stores are used, where no variable (`EMPORIUM_CARTS_STORE`, …) says so
    #[arg(long, global = true, env = "EMPORIUM_STORES", value_name = "FILE", value_parser = stores_file())]
    stores: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the whole shop in this process (the default).
    Run(run::Options),
    /// Run one service alone, against any PostgreSQL.
    Serve(ServeOptions),
    /// Load generated sample data, into the running shop or into a data folder.
    Seed(load::SeedOptions),
    /// Load a real data set, into the running shop or into a data folder.
    #[command(subcommand)]
    Import(load::Import),
    /// Tell whether the shop of a data folder runs, and how its services are; exit code 3 when it does not run.
    Status,
    /// Show which store each service uses, and how it is; exit code 1 when one cannot be used.
    Stores(stores::Options),
    /// Rebuild a projection of the running shop from its owners' event histories, and compare; exit code 1 when it differed.
    Rebuild(rebuild::Options),
    /// Move what a service keeps to another store while the shop is open, or tell where it is; exit code 1 when the stores differ.
    Move(moving::Options),
    /// Compare analytics' figures with orders' and payments' tables, to the penny; exit code 1 on a difference.
    Reconcile(reconcile::Options),
    /// Measure how good something is: the search, on human judgments; recommendations, on what customers bought next.
    #[command(subcommand)]
    Evaluate(evaluate::Evaluate),
    /// Write the settings by which services know each other, for running them apart.
    Keys(KeysOptions),
}

/// Options of `emporium serve`.
#[derive(Debug, Parser)]
pub struct ServeOptions {
    /// gateway, users, sessions, catalog, carts, orders, payments, recommendations, reviews, analytics or monitoring.
    pub service: ServiceName,
    /// The service's settings.
    #[command(flatten)]
    pub settings: Settings,
}

/// Options of `emporium keys`.
#[derive(Debug, Parser)]
pub struct KeysOptions {
    /// Folder for the files `<service>.env`.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl Cli {
    /// Reads arguments. The options of `run` may stand before that word as well, since it can be left out.
    fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        match (&mut cli.command, matches.subcommand()) {
            (Some(Command::Run(options)), Some((_, after))) => {
                options.take_given(&cli.run, |id| is_given(&matches, id) && !is_given(after, id));
            }
            (Some(_), Some((name, _))) => {
                let ids = run::Options::command();
                let stray = ids
                    .get_arguments()
                    .find(|option| is_given(&matches, option.get_id().as_str()));
                if let Some(option) = stray {
                    let option = option.get_long().unwrap_or_default();
                    let text = format!(
                        "--{option} is an option of `run`; `{name}` takes it after its own name, or not at all"
                    );
                    return Err(command.error(ErrorKind::ArgumentConflict, text));
                }
            }
            _ => {}
        }
        Ok(cli)
    }
}

fn is_given(matches: &ArgMatches, id: &str) -> bool {
    // Asking for an id that is not defined would be a fault of the program; the two sets of options are the same.
    matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// The program.
pub fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let text = format!("cannot start threads: {error}; raise the limit on processes");
            return fail(&Error::Other(text));
        }
    };
    let code = match runtime.block_on(dispatch(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    };
    // Nothing may hold up the end: what had to be drained has been.
    runtime.shutdown_background();
    code
}

async fn dispatch(cli: Cli) -> Result<(), Error> {
    let dir = || DataDir::open(cli.data_dir.as_deref());
    // Always before the data folder is touched: a wrong setting is told at once, and nothing has been started.
    let stores = || stores::read(cli.stores.as_deref());
    match cli.command {
        None => run::run(stores()?, &dir()?, &cli.run, &watch_signals()?).await,
        Some(Command::Run(options)) => run::run(stores()?, &dir()?, &options, &watch_signals()?).await,
        Some(Command::Serve(options)) => serve::serve(cli.data_dir.as_deref(), options).await,
        Some(Command::Seed(options)) => {
            quiet_log()?;
            load::seed(stores()?, &dir()?, &options, &watch_signals()?).await
        }
        Some(Command::Import(import)) => {
            quiet_log()?;
            load::import(stores()?, &dir()?, &import, &watch_signals()?).await
        }
        Some(Command::Stores(options)) => {
            // What an adapter would warn of at a start is in the answer.
            telemetry::init("error", LogFormat::Text)?;
            stores::stores(&stores()?, &DataDir::look_at(cli.data_dir.as_deref()), &options).await
        }
        Some(Command::Evaluate(evaluate::Evaluate::Search(options))) => {
            quiet_log()?;
            evaluate::search(stores()?, &dir()?, &options, &watch_signals()?).await
        }
        Some(Command::Evaluate(evaluate::Evaluate::Recommendations(options))) => {
            quiet_log()?;
            evaluate::recommendations(stores()?, dir, &options, &watch_signals()?).await
        }
        Some(Command::Rebuild(options)) => {
            quiet_log()?;
            let dir = DataDir::look_at(cli.data_dir.as_deref());
            rebuild::rebuild(&dir, &options, &watch_signals()?).await
        }
        Some(Command::Move(options)) => {
            quiet_log()?;
            let stores = || Ok(stores()?);
            moving::run(stores, cli.data_dir.as_deref(), &options, &watch_signals()?).await
        }
        Some(Command::Reconcile(options)) => {
            quiet_log()?;
            let dir = DataDir::look_at(cli.data_dir.as_deref());
            reconcile::reconcile(&dir, &options, &watch_signals()?).await
        }
        Some(Command::Status) => status::status(&DataDir::look_at(cli.data_dir.as_deref())).await,
        Some(Command::Keys(options)) => serve::write_keys(cli.data_dir.as_deref(), &options.out),
    }
}

/// Commands with progress bars show warnings only.
fn quiet_log() -> Result<(), Error> {
    Ok(telemetry::init("warn", LogFormat::Text)?)
}

/// One line, also when a cause has more.
fn fail(error: &Error) -> ExitCode {
    let text = error.to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    note(format_args!("error: {}", lines.join(" ")));
    error.exit_code()
}

/// The first signal stops a command in order, the second one at once.
fn watch_signals() -> Result<CancellationToken, Error> {
    signals::watch(|| note("Ended at once; the next start recovers."))
        .map_err(|error| Error::Other(format!("signals cannot be watched: {error}; start again")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(arguments: &[&str]) -> Result<u16, ErrorKind> {
        let all = ["emporium"].iter().chain(arguments).map(OsString::from);
        let cli = Cli::read(all).map_err(|error| error.kind())?;
        Ok(match cli.command {
            Some(Command::Run(options)) => options.port,
            _ => cli.run.port,
        })
    }

    #[test]
    fn run_takes_its_options_before_and_after_its_name() {
        assert_eq!(port(&[]), Ok(8080));
        assert_eq!(port(&["run"]), Ok(8080));
        assert_eq!(port(&["--port", "18500"]), Ok(18500));
        assert_eq!(port(&["--port", "18500", "run"]), Ok(18500));
        assert_eq!(port(&["run", "--port", "18500"]), Ok(18500));
        assert_eq!(
            port(&["--port", "1", "run", "--port", "18500"]),
            Ok(18500),
            "the nearer one counts"
        );
        assert_eq!(port(&["--log", "info", "run", "--port", "18500"]), Ok(18500));
        assert_eq!(
            port(&["--data-dir", "/x", "--port", "18500", "run", "--sample", "none"]),
            Ok(18500)
        );
    }

    #[test]
    fn options_of_run_do_not_get_lost_with_other_commands() {
        assert_eq!(
            port(&["--port", "18500", "seed"]),
            Err(ErrorKind::ArgumentConflict)
        );
        assert_eq!(port(&["--data-dir", "/x", "seed"]), Ok(8080));
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
