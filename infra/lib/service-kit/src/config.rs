//! Settings of a service that runs alone, from flags and environment variables, and its `main`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::{OsStringValueParser, TypedValueParser};
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

use crate::auth::Secret;
use crate::environment::{Environment, Service, StartError};
use crate::metrics::Metrics;
use crate::stores::{EVENTS, StoreUrls};
use crate::telemetry::{self, LogFormat};
use crate::{Clock, Db, ServiceName, serve, signals};

/// Shorter texts are no secrets: everybody can compute the token of an empty one.
const SECRET_LENGTH_MIN: usize = 32;

/// Settings that every service has when it runs alone.
#[derive(Clone, Parser)]
pub struct Settings {
    /// Address to listen on.
    #[arg(long, env = "EMPORIUM_LISTEN")]
    pub listen: Option<String>,
    /// PostgreSQL URL of the service's private database.
    #[arg(long, env = "EMPORIUM_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Most connections to that database.
    #[arg(long, env = "EMPORIUM_POOL_SIZE", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub pool_size: u32,
    /// URL of the event bus, before `EMPORIUM_EVENTS`.
    #[arg(long, value_name = "URL")]
    pub events: Option<String>,
    /// TOML file that says which stores are used, where no variable says so.
    #[arg(long, env = "EMPORIUM_STORES", value_name = "FILE", value_parser = stores_file())]
    pub stores: Option<PathBuf>,
    /// The services it calls: `users=http://127.0.0.1:8081,catalog=…`.
    #[arg(long, env = "EMPORIUM_PEERS", default_value = "")]
    pub peers: String,
    /// Its own secret; `emporium keys` writes one for each service.
    #[arg(long, env = "EMPORIUM_SERVICE_SECRET", hide_env_values = true)]
    pub secret: Option<String>,
    /// Who may call it: `gateway=<fingerprint>,…`; `emporium keys` writes this too.
    #[arg(long, env = "EMPORIUM_CALLERS", default_value = "")]
    pub callers: String,
    /// What to log, in `EnvFilter` syntax.
    #[arg(long, env = "EMPORIUM_LOG", default_value = "info,sqlx_core::pool=error")]
    pub log: String,
    /// How log lines look.
    #[arg(long, env = "EMPORIUM_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// Reads `--stores`. Unlike clap's own reader of paths it takes an empty one, which is none: containers' settings cannot be
/// unset otherwise.
pub fn stores_file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

impl std::fmt::Debug for Settings {
    /// Nothing of it: the secret and the passwords in URLs do not belong into a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Settings(…)")
    }
}

impl Settings {
    /// The environment of `service` under these settings.
    pub fn environment(&self, service: ServiceName) -> Result<Environment, StartError> {
        let mut stores = StoreUrls::read(self.stores.as_deref())?;
        if let Some(url) = &self.events {
            stores.set(EVENTS, url.clone())?;
        }
        let metrics = Metrics::new(service);
        let db = self
            .database_url
            .as_deref()
            .map(|url| {
                Ok(Db::connect(
                    database_options(url)?,
                    self.pool_size,
                    metrics.clone(),
                ))
            })
            .transpose()?;
        let secret = self.secret.clone().ok_or(StartError::Missing {
            service,
            what: "a secret",
            remedy: "run `emporium keys` and set EMPORIUM_SERVICE_SECRET",
        })?;
        if secret.len() < SECRET_LENGTH_MIN {
            return Err(bad(
                "EMPORIUM_SERVICE_SECRET",
                &"too short to be a secret; run `emporium keys`",
            ));
        }
        Ok(Environment {
            service,
            db,
            events_url: stores.get(EVENTS).map(str::to_owned),
            stores,
            peers: parse_peers(&self.peers)?,
            secret: Secret::new(secret),
            callers: self
                .callers
                .parse()
                .map_err(|error| bad("EMPORIUM_CALLERS", &error))?,
            clock: Clock::System,
            metrics,
            shutdown: CancellationToken::new(),
        })
    }

    /// Where to listen: as set, else the service's usual port on loopback.
    pub fn listen_address(&self, service: ServiceName) -> String {
        let offset = ServiceName::listening()
            .position(|name| name == service)
            .unwrap_or(0);
        self.listen
            .clone()
            .unwrap_or_else(|| format!("127.0.0.1:{}", 8080 + offset))
    }
}

/// What may follow the `?` of a PostgreSQL URL: what the driver knows. It passes over anything else, and logs it, although
/// a value in the wrong place may be a password.
const PARAMETERS: [&str; 17] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

/// What is wrong with what follows the `?` or `#` of a PostgreSQL URL.
pub(crate) fn parameters_problem(url: &str) -> Option<&'static str> {
    let url = reqwest::Url::parse(url).ok()?;
    let is_known = |name: &str| {
        PARAMETERS.contains(&name)
            || name == "options"
            || (name.starts_with("options[") && name.ends_with(']'))
    };
    if url.fragment().is_some() {
        return Some("nothing may follow a # in a PostgreSQL URL; in a password, write %23 for it");
    }
    (!url.query_pairs().all(|(name, _)| is_known(&name))).then_some(
        "there is an unknown parameter after the ?; PostgreSQL URLs take sslmode, host, port, user, password, dbname, application_name, options and the like; in a password, write %3F for ? and %26 for &",
    )
}

/// A PostgreSQL URL as connection options; never shows the URL, since it holds a password.
pub fn database_options(url: &str) -> Result<PgConnectOptions, StartError> {
    if let Some(problem) = parameters_problem(url) {
        return Err(bad("EMPORIUM_DATABASE_URL", &problem));
    }
    url.parse()
        .map_err(|error: sqlx::Error| bad("EMPORIUM_DATABASE_URL", &error))
}

/// A service's own settings, from environment variables only.
pub fn from_env<T: Parser>() -> Result<T, StartError> {
    T::try_parse_from(["service"]).map_err(|error| {
        // The settings have flags only inside clap; people set environment variables.
        let text = error.to_string();
        let flag = text
            .split("--")
            .nth(1)
            .and_then(|rest| rest.split([' ', '\'', '=']).next())
            .unwrap_or_default();
        let variable = T::command()
            .get_arguments()
            .find(|argument| argument.get_long() == Some(flag))
            .and_then(|argument| argument.get_env().map(|name| name.to_string_lossy().into_owned()));
        StartError::BadSetting {
            setting: variable.unwrap_or_else(|| "settings".to_owned()),
            problem: text
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
        }
    })
}

fn parse_peers(text: &str) -> Result<HashMap<ServiceName, String>, StartError> {
    let mut peers = HashMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, url) = pair
            .split_once('=')
            .ok_or_else(|| bad("EMPORIUM_PEERS", &"write name=url pairs"))?;
        let name = name.parse().map_err(|error| bad("EMPORIUM_PEERS", &error))?;
        let usable = reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !usable {
            let problem = format!("{name} needs a URL such as http://127.0.0.1:8081");
            return Err(bad("EMPORIUM_PEERS", &problem));
        }
        peers.insert(name, url.to_owned());
    }
    Ok(peers)
}

fn bad(setting: &str, problem: &dyn std::fmt::Display) -> StartError {
    StartError::BadSetting {
        setting: setting.to_owned(),
        problem: problem.to_string(),
    }
}

/// The `main` of a service that runs alone: reads settings, builds, serves until a signal ends it, drains.
pub fn main<F>(service: ServiceName, build: F) -> ExitCode
where
    F: AsyncFnOnce(&Environment) -> Result<Service, StartError>,
{
    let settings = Settings::parse();
    if let Err(error) = telemetry::init(&settings.log, settings.log_format) {
        return fail(&error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(run(service, &settings, build)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Runs one service until a signal ends it: Ctrl-C, SIGTERM or SIGHUP. It then drains; a second signal ends it at once.
pub async fn run<F>(service: ServiceName, settings: &Settings, build: F) -> Result<(), StartError>
where
    F: AsyncFnOnce(&Environment) -> Result<Service, StartError>,
{
    let stop = signals::watch(move || tracing::warn!(%service, "ended at once by a second signal"))
        .map_err(|error| bad("signals", &format_args!("cannot be watched: {error}")))?;
    let environment = settings.environment(service)?;
    let listener = serve::listen(&settings.listen_address(service)).await?;
    let built = tokio::select! {
        built = build(&environment) => built?,
        () = stop.cancelled() => return Ok(()),
    };
    let running = serve::start(&environment, built, listener).map_err(|source| StartError::Listen {
        address: settings.listen_address(service),
        source,
    })?;
    tracing::info!(%service, address = %running.address, "ready");
    stop.cancelled().await;
    tracing::info!(%service, "stopping");
    running.stop().await;
    Ok(())
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
