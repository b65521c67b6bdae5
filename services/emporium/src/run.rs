//! `emporium` and `emporium run`: the whole shop until Ctrl-C or SIGTERM.

use std::time::{Duration, Instant};

use clap::Parser;
use comfy_table::{Table, presets};
use emporium_seed::Scale;
use emporium_service_kit::telemetry::{self, LogFormat};
use emporium_service_kit::{ServiceName, StoreUrls};
use tokio_util::sync::CancellationToken;

use crate::data_dir::DataDir;
use crate::operator::Operator;
use crate::running::already_running;
use crate::shop::Shop;
use crate::terminal::{Steps, say};
use crate::{Error, admin, load, stores};

/// Options of the whole shop.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// The gateway's port; the services take the ones after it. 0: any free ports.
    #[arg(long, env = "EMPORIUM_PORT", default_value_t = 8080)]
    pub port: u16,
    /// Sample data for an empty shop: tiny, small, medium, large or none.
    #[arg(long, env = "EMPORIUM_SAMPLE", default_value = "small", value_name = "SCALE")]
    pub sample: Sample,
    /// What to log, in `EnvFilter` syntax. The driver's pool warns of each connection that the server closes first, which
    /// is what happens at every stop.
    #[arg(long, env = "EMPORIUM_LOG", default_value = "warn,sqlx_core::pool=error")]
    pub log: String,
    /// How log lines look.
    #[arg(long, env = "EMPORIUM_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// Sample data for an empty shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// None at all.
    None,
    /// Generated at this scale.
    Scale(Scale),
}

impl std::str::FromStr for Sample {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            other => other
                .parse()
                .map(Self::Scale)
                .map_err(|_| "choose tiny, small, medium, large or none".to_owned()),
        }
    }
}

impl Options {
    /// Takes those options of `from` that `given` names.
    pub fn take_given(&mut self, from: &Self, given: impl Fn(&str) -> bool) {
        if given("port") {
            self.port = from.port;
        }
        if given("sample") {
            self.sample = from.sample;
        }
        if given("log") {
            self.log.clone_from(&from.log);
        }
        if given("log_format") {
            self.log_format = from.log_format;
        }
    }
}

/// Starts the shop, fills it if it is empty, says where everything is, and stops on a signal.
pub async fn run(
    stores: StoreUrls,
    dir: &DataDir,
    options: &Options,
    stop: &CancellationToken,
) -> Result<(), Error> {
    telemetry::init(&options.log, options.log_format)?;
    let started = Instant::now();
    let owned = dir.take().await?.ok_or_else(|| already_running(dir))?;
    let steps = Steps::begin();
    let shop = Shop::start(dir, owned, options.port, stores, &steps, stop).await;
    steps.end();
    let mut shop = match shop {
        // Whoever sends the signal wants the shop to be stopped, and it is.
        Err(Error::Interrupted) => {
            say("Stopped before the shop was open.");
            return Ok(());
        }
        shop => shop?,
    };
    let filled = stop.run_until_cancelled(fill(dir, &shop, options.sample)).await;
    if let Some(Ok(())) = filled {
        let specialised = stores::specialised(&shop).await;
        print_table(dir, &shop, &specialised, started.elapsed());
    }
    let kept = match filled {
        Some(Ok(())) => shop.keep_server(&steps, stop).await,
        _ => Ok(()),
    };
    say("Stopping …");
    let stopped = shop.stop().await;
    // Why the shop could not stay open is what counts.
    filled.unwrap_or(Ok(()))?;
    kept?;
    stopped?;
    say(format_args!(
        "Stopped; everything is kept in {}.",
        dir.path().display()
    ));
    Ok(())
}

async fn fill(dir: &DataDir, shop: &Shop, sample: Sample) -> Result<(), Error> {
    let Sample::Scale(scale) = sample else {
        return Ok(());
    };
    load::sample_if_empty(dir, &Operator::of(shop), scale).await
}

fn print_table(dir: &DataDir, shop: &Shop, specialised: &[String], took: Duration) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["", "address", "API document"]);
    for (name, url) in ordered(shop) {
        let title = if name == ServiceName::Gateway {
            "the shop".to_owned()
        } else {
            name.to_string()
        };
        table.add_row([title, url.clone(), format!("{url}/openapi.json")]);
    }
    let shop_url = shop.urls.get(&ServiceName::Gateway).cloned().unwrap_or_default();
    let (pid, port) = shop.postgres();
    say(table);
    say(format_args!("Shop           {shop_url}"));
    say(format_args!("API            {shop_url}/api/docs"));
    say(format_args!("Administrator  {}", dir.file(admin::FILE).display()));
    say(format_args!("Data           {}", dir.path().display()));
    say(format_args!("PostgreSQL     process {pid}, port {port}"));
    for line in specialised {
        say(line);
    }
    say(format_args!(
        "Ready after {:.1} s. Ctrl-C stops.",
        took.as_secs_f64()
    ));
}

fn ordered(shop: &Shop) -> impl Iterator<Item = (ServiceName, &String)> {
    ServiceName::listening().filter_map(|name| shop.urls.get(&name).map(|url| (name, url)))
}
