//! Session look-ups through the service's HTTP, at a rate that does not wait for answers: from Redis, from PostgreSQL, and
//! from a handler that does nothing, in turn.
//!
//! The service is a process of its own, as `cargo run -p emporium-sessions` would start it; so are the stores' servers; the
//! generator is this process. All of them share two cores: on a larger machine everything that this program starts is
//! bound to its first two.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::routing::post;
use axum::serve::ListenerExt;
use clap::Args;
use emporium_benches::stores::places::{self, By, Place, Postgres, RedisServer};
use emporium_benches::stores::results::{OpenLoopPart, Results, Target, file};
use emporium_benches::stores::sessions::{fill_with_sessions, open, present, token};
use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::stores::{EVENTS, SESSIONS_STORE};
use emporium_service_kit::{ServiceName, config};
use emporium_test_kit::stores::Durability;
use hdrhistogram::Histogram;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::Runtime;

use crate::http::{Answer, write_request};
use crate::load::{self, OPEN_CONNECTIONS, Worker};
use crate::machine::{Machine, cpu_s};
use crate::process::{Program, wait_for_parent};

/// The name under which this program is the sessions service.
pub const SERVICE: &str = "emporium-bench-sessions";
/// The name under which this program is a server that does nothing.
pub const NOTHING: &str = "emporium-bench-nothing";
const NOTHING_LISTENS: &str = "EMPORIUM_BENCH_LISTEN";
const CORES: usize = 2;
/// Different sessions that are looked up.
const LOOKED_UP: usize = 10_000;
const ANSWER: &str = r#"{"user_id":"00000000-0000-0000-0000-000000000000","role":"customer","expires_at":"2030-01-01T00:00:00Z","blocked":false}"#;

/// How much and how long.
#[derive(Debug, Clone, Copy, Args)]
pub struct OpenLoop {
    /// Requests that are due each second.
    #[arg(long, default_value_t = 2_000.0)]
    rate: f64,
    /// Sessions that are there.
    #[arg(long, default_value_t = 100_000)]
    sessions: usize,
    /// Turns of each target.
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Seconds of a turn.
    #[arg(long, default_value_t = 8.0)]
    turn_seconds: f64,
}

/// The sessions service, until the harness goes.
pub fn service_main() -> ExitCode {
    thread::spawn(|| {
        wait_for_parent();
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
    });
    config::main(ServiceName::Sessions, emporium_sessions::build)
}

/// The server that does nothing, until the harness goes.
pub fn nothing_main() -> ExitCode {
    thread::spawn(|| {
        wait_for_parent();
        std::process::exit(0);
    });
    let serve = async {
        let address = std::env::var(NOTHING_LISTENS).context("this is started by the harness")?;
        let listener = tokio::net::TcpListener::bind(address).await?;
        let app = Router::new().route(
            "/sessions/lookup",
            post(async |_: String| ([("content-type", "application/json")], ANSWER)),
        );
        println!("ready");
        let listener = listener.tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
        anyhow::Ok(axum::serve(listener, app).await?)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(serve))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Something that answers look-ups.
struct Answerer {
    name: &'static str,
    store: String,
    program: Program,
    address: SocketAddr,
    /// What the generator shows it.
    bearer: String,
    seen: Seen,
}

/// What was measured of one.
struct Seen {
    us: Histogram<u64>,
    p99_ms: Vec<f64>,
    late: u64,
    cpu_s: f64,
}

/// Measures, and puts the result into the results' file.
pub fn run(plan: OpenLoop) -> anyhow::Result<()> {
    let bound = bind_to_cores()?;
    ensure!(plan.sessions > 0 && plan.turns > 0, "there is nothing to measure");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let machine = Machine::look(&std::env::temp_dir())?;
    println!("{}", machine.line());
    let postgres = Postgres::start()?;
    let redis = runtime.block_on(RedisServer::get(Durability::Everysec))?;
    let mut not_run = Vec::new();
    let mut targets = vec![nothing()?];
    targets.push(runtime.block_on(on_postgres(&postgres, plan.sessions))?);
    match &redis {
        Some(redis) => targets.push(runtime.block_on(on_redis(redis, &postgres, plan.sessions))?),
        None => not_run.push("redis: there is no server to be had".to_owned()),
    }
    for turn in 0..=plan.turns {
        for target in &mut targets {
            // The first turn warms up.
            let seconds = if turn == 0 {
                plan.turn_seconds.min(2.0)
            } else {
                plan.turn_seconds
            };
            target.turn(plan, seconds, turn > 0)?;
        }
    }
    let part = OpenLoopPart {
        machine: machine.line(),
        rate_per_s: plan.rate,
        turn_s: plan.turn_seconds,
        rounds: plan.turns,
        sessions: plan.sessions,
        shared: shared(bound),
        targets: targets.iter().map(Answerer::result).collect(),
        not_run,
    };
    for target in &part.targets {
        println!(
            "{}: p50 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, max {:.1} ms, {:.2} % left late",
            target.name,
            target.p50_ms,
            target.p99_ms,
            target.p999_ms,
            target.max_ms,
            target.late_share * 100.0
        );
    }
    for line in &part.not_run {
        println!("NOT RUN: {line}");
    }
    let path = file();
    let mut results = Results::read(&path)?;
    results.open_loop = Some(part);
    results.write(&path)?;
    println!("results in {}", path.display());
    end(&runtime, targets, redis);
    Ok(())
}

/// Services first, then the stores' servers.
fn end(runtime: &Runtime, targets: Vec<Answerer>, redis: Option<RedisServer>) {
    drop(targets);
    runtime.block_on(async { drop(redis) });
}

/// Binds this process, and with it every one that it starts, to two cores; false when there are no more anyway.
pub fn bind_to_cores() -> anyhow::Result<bool> {
    let allowed = sched_getaffinity(None)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect();
    if cores.len() <= CORES {
        return Ok(false);
    }
    let mut set = CpuSet::new();
    cores.iter().take(CORES).for_each(|core| set.set(*core));
    sched_setaffinity(None, &set)?;
    Ok(true)
}

fn shared(bound: bool) -> String {
    shared_by(
        &format!("Generator ({OPEN_CONNECTIONS} connections), service and the stores' servers"),
        bound,
    )
}

/// How processes share the processors.
pub fn shared_by(who: &str, bound: bool) -> String {
    let how = if bound {
        "all of them bound to the same two cores"
    } else {
        "on a machine that has no more cores"
    };
    format!("{who} are processes of their own, {how}.")
}

fn nothing() -> anyhow::Result<Answerer> {
    let address = free_address()?;
    let mut program = Program::spawn(NOTHING, &[], &[(NOTHING_LISTENS, address.to_string())])?;
    program.wait_for("ready")?;
    Answerer::new(
        "nothing",
        "a bare axum handler that answers a constant".to_owned(),
        program,
        address,
        "",
    )
}

async fn on_postgres(postgres: &Postgres, sessions: usize) -> anyhow::Result<Answerer> {
    let place = places::on_postgres(postgres, ServiceName::Sessions, "sessions").await?;
    fill(&place, sessions).await?;
    postgres.settle("sessions").await?;
    postgres.create("events").await?;
    service("postgres", &place, postgres, None)
}

async fn on_redis(redis: &RedisServer, postgres: &Postgres, sessions: usize) -> anyhow::Result<Answerer> {
    let place = places::on_redis(redis, ServiceName::Sessions, SESSIONS_STORE, 0).await?;
    fill(&place, sessions).await?;
    places::settle_redis(redis).await?;
    service("redis", &place, postgres, Some(redis.database(0, None)?))
}

async fn fill(place: &Place, sessions: usize) -> anyhow::Result<()> {
    fill_with_sessions(open(&place.filling).await?, sessions, present()).await
}

/// The sessions service, as it runs alone.
fn service(
    name: &'static str,
    place: &Place,
    postgres: &Postgres,
    store: Option<String>,
) -> anyhow::Result<Answerer> {
    let (address, gateway) = (free_address()?, Secret::generate());
    let callers = Callers::from_secrets(ServiceName::Sessions, [(ServiceName::Gateway, &gateway)]);
    let mut settings = vec![
        ("EMPORIUM_LISTEN", address.to_string()),
        ("EMPORIUM_DATABASE_URL", postgres.url("sessions", By::Socket)),
        (EVENTS, postgres.url("events", By::Tcp(postgres.port()))),
        ("EMPORIUM_PEERS", "users=http://127.0.0.1:9".to_owned()),
        ("EMPORIUM_SERVICE_SECRET", Secret::generate().expose().to_owned()),
        ("EMPORIUM_CALLERS", callers.to_setting()),
    ];
    settings.extend(store.map(|url| (SESSIONS_STORE, url)));
    let mut program = Program::spawn(SERVICE, &[], &settings)?;
    program.wait_for("ready")?;
    let bearer = format!("Bearer {}", gateway.token_for(ServiceName::Sessions));
    let store = format!("{}; durability: {}", place.server, place.durability);
    Answerer::new(name, store, program, address, &bearer)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Answerer {
    fn new(
        name: &'static str,
        store: String,
        program: Program,
        address: SocketAddr,
        bearer: &str,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            name,
            store,
            program,
            address,
            bearer: bearer.to_owned(),
            seen: Seen {
                us: histogram()?,
                p99_ms: Vec::new(),
                late: 0,
                cpu_s: 0.0,
            },
        })
    }

    fn turn(&mut self, plan: OpenLoop, seconds: f64, counts: bool) -> anyhow::Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let workers = (0..OPEN_CONNECTIONS)
            .map(|_| self.worker(plan.sessions, &next))
            .collect();
        let before = cpu_s(self.program.pid())?;
        let measured = load::open(self.address, workers, plan.rate, Duration::from_secs_f64(seconds))
            .with_context(|| format!("look-ups from {}: {}", self.name, self.program.output()))?;
        if counts {
            self.seen.cpu_s += cpu_s(self.program.pid())? - before;
            self.seen.late += measured.late;
            self.seen
                .p99_ms
                .push(ms(measured.latency_us.value_at_quantile(0.99)));
            self.seen.us.add(&measured.latency_us)?;
        }
        Ok(())
    }

    fn worker(&self, sessions: usize, next: &Arc<AtomicUsize>) -> Box<dyn Worker> {
        Box::new(LookUp {
            to: self.address,
            bearer: self.bearer.clone(),
            sessions,
            next: next.clone(),
        })
    }

    fn result(&self) -> Target {
        let (us, requests) = (&self.seen.us, self.seen.us.len());
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        let count = requests.max(1) as f64;
        #[allow(clippy::cast_precision_loss)]
        let late = self.seen.late as f64;
        Target {
            name: self.name.to_owned(),
            store: self.store.clone(),
            p50_ms: ms(us.value_at_quantile(0.5)),
            p99_ms: ms(us.value_at_quantile(0.99)),
            p999_ms: ms(us.value_at_quantile(0.999)),
            max_ms: ms(us.max()),
            p99_ms_rounds: self.seen.p99_ms.clone(),
            requests,
            late_share: late / count,
            service_cpu_us: self.seen.cpu_s * 1e6 / count,
        }
    }
}

fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 120_000_000, 3)?)
}

#[allow(clippy::cast_precision_loss)] // microseconds of a run
fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

struct LookUp {
    to: SocketAddr,
    bearer: String,
    sessions: usize,
    next: Arc<AtomicUsize>,
}

impl Worker for LookUp {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let count = self.sessions.min(LOOKED_UP);
        let number = self.next.fetch_add(1, Ordering::Relaxed) % count * (self.sessions / count);
        let body = format!(r#"{{"token":"{}"}}"#, token(number, self.sessions));
        let headers = [("authorization", self.bearer.as_str())];
        write_request(request, self.to, "POST /sessions/lookup", &headers, &body);
        true
    }

    /// A session that was not found is not what is measured.
    fn accepts(&mut self, answer: &Answer<'_>) -> bool {
        const ACTIVE: &[u8] = br#""blocked":false"#;
        answer.status == 200 && answer.body.windows(ACTIVE.len()).any(|part| part == ACTIVE)
    }
}
