//! `emporium` and `emporium run`: the whole shop until Ctrl-C or SIGTERM.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use clap::Parser;
use comfy_table::{Table, presets};
use emporium_seed::Scale;
use emporium_service_kit::telemetry::{self, LogFormat};
use emporium_service_kit::{ServiceName, config};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::data_dir::DataDir;
use crate::operator::Operator;
use crate::shop::Shop;
use crate::{Error, keys, load};

const ADMIN_FILE: &str = "admin.json";
const ADMIN_EMAIL: &str = "admin@emporium.example";

/// Options of the whole shop.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// The gateway's port; the services take the ones after it. 0: any free ports.
    #[arg(long, env = "EMPORIUM_PORT", default_value_t = 8080)]
    pub port: u16,
    /// Sample data for an empty shop: tiny, small, medium, large or none.
    #[arg(long, env = "EMPORIUM_SAMPLE", default_value = "small", value_name = "SCALE")]
    pub sample: Sample,
    /// What to log, in `EnvFilter` syntax.
    #[arg(long, env = "EMPORIUM_LOG", default_value = "warn")]
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
            other => other.parse().map(Self::Scale).map_err(|_| "choose tiny, small, medium, large or none".to_owned()),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Admin {
    email: String,
    password: String,
}

/// Starts the shop, fills it if it is empty, says where everything is, and stops on a signal.
pub async fn run(dir: &DataDir, options: &Options) -> Result<(), Error> {
    telemetry::init(&options.log, options.log_format);
    let started = Instant::now();
    // The signals are watched from the beginning: the default action would end the process without draining.
    let signal = tokio::spawn(config::until_signal());
    let shop = {
        let spinner = spinner("starting");
        let steps = spinner.clone();
        let shop = Shop::start(dir, options.port, move |step| tell(&steps, &step)).await;
        spinner.finish_and_clear();
        shop?
    };
    let filled = tokio::select! {
        filled = fill(dir, &shop, options.sample) => Some(filled),
        () = ended(signal) => None,
    };
    match filled {
        None => {}
        Some(Err(error)) => {
            shop.stop().await?;
            return Err(error);
        }
        Some(Ok(())) => {
            print_table(dir, &shop, started.elapsed());
            config::until_signal().await;
        }
    }
    println!("Stopping …");
    shop.stop().await?;
    println!("Stopped; everything is kept in {}.", dir.path().display());
    Ok(())
}

async fn ended(signal: tokio::task::JoinHandle<()>) {
    let _ = signal.await;
}

async fn fill(dir: &DataDir, shop: &Shop, sample: Sample) -> Result<(), Error> {
    ensure_administrator(dir, shop).await?;
    if let Sample::Scale(scale) = sample {
        load::sample_if_empty(dir, &Operator::of(shop), scale).await?;
    }
    Ok(())
}

/// The file is written before the account is made: a crash in between leaves a file whose account the next start makes.
async fn ensure_administrator(dir: &DataDir, shop: &Shop) -> Result<(), Error> {
    let admin = match dir.read::<Admin>(ADMIN_FILE)? {
        Some(admin) => admin,
        None => {
            let admin = Admin { email: ADMIN_EMAIL.to_owned(), password: keys::password() };
            dir.write(ADMIN_FILE, &admin)?;
            admin
        }
    };
    let body = serde_json::json!({ "email": admin.email, "password": admin.password, "name": "Administrator" });
    shop.client(ServiceName::Operator, ServiceName::Users)
        .put("/administrator")
        .json(&body)
        .timeout(Duration::from_secs(20))
        .done()
        .await
        .map_err(|source| Error::Call { what: "the administrator's account", source })
}

fn spinner(message: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message);
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} ({elapsed})").unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn tell(bar: &ProgressBar, step: &emporium_embedded_postgres::Progress) {
    if std::io::stderr().is_terminal() {
        bar.set_message(step.to_string());
    } else {
        eprintln!("{step}");
    }
}

fn print_table(dir: &DataDir, shop: &Shop, took: Duration) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY.parse().unwrap_or_default());
    table.set_header(["", "address", "API document"]);
    for (name, url) in ordered(shop) {
        let title = if name == ServiceName::Gateway { "the shop".to_owned() } else { name.to_string() };
        table.add_row([title, url.clone(), format!("{url}/openapi.json")]);
    }
    println!("{table}");
    let shop_url = shop.urls.get(&ServiceName::Gateway).cloned().unwrap_or_default();
    println!("Shop           {shop_url}");
    println!("API            {shop_url}/api/docs");
    println!("Administrator  {}", dir.file(ADMIN_FILE).display());
    println!("Data           {}", dir.path().display());
    println!("PostgreSQL     process {}, port {}", shop.postgres().0, shop.postgres().1);
    println!("Ready after {:.1} s. Ctrl-C stops.", took.as_secs_f64());
}

fn ordered(shop: &Shop) -> impl Iterator<Item = (ServiceName, &String)> {
    ServiceName::listening().filter_map(|name| shop.urls.get(&name).map(|url| (name, url)))
}
