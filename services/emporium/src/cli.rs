//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use emporium_service_kit::ServiceName;
use emporium_service_kit::config::Settings;
use emporium_service_kit::telemetry::{self, LogFormat};

use crate::data_dir::DataDir;
use crate::{Error, load, run, serve};

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
    /// Write the settings by which services know each other, for running them apart.
    Keys(KeysOptions),
}

/// Options of `emporium serve`.
#[derive(Debug, Parser)]
pub struct ServeOptions {
    /// gateway, users, sessions, catalog, carts, orders or payments.
    pub service: ServiceName,
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

/// The program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
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
    match cli.command {
        None => run::run(&dir()?, &cli.run).await,
        Some(Command::Run(options)) => run::run(&dir()?, &options).await,
        Some(Command::Serve(options)) => serve::serve(cli.data_dir.as_deref(), options).await,
        Some(Command::Seed(options)) => {
            quiet_log();
            load::seed(&dir()?, &options).await
        }
        Some(Command::Import(import)) => {
            quiet_log();
            load::import(&dir()?, &import).await
        }
        Some(Command::Keys(options)) => serve::write_keys(cli.data_dir.as_deref(), &options.out),
    }
}

/// Commands with progress bars show warnings only.
fn quiet_log() {
    telemetry::init("warn", LogFormat::Text);
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
