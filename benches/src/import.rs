//! The import of the gift shop's file against a plain `COPY` of the same file.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use emporium_embedded_postgres::{Server, Settings};
use flate2::read::GzDecoder;
use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{Connection, Executor};
use tokio::runtime::Runtime;

use crate::bench::median;
use crate::machine::{Memory, memory};
use crate::prepare::SERVER_CONNECTIONS;
use crate::process::Shop;

const FILE: &str = "online-retail/online_retail_2009-12_2011-09.csv.gz";
const COPY_CHUNK: usize = 256 * 1024;

/// The file's columns with the types that fit them, without any index.
const TABLE: &str = "CREATE TABLE invoice_line (
    invoice_no text, stock_code text, description text, quantity integer, invoice_date timestamp,
    unit_price numeric(12, 3), customer_id integer, country text)";

/// How import and copy compare.
#[derive(Debug, Clone, Serialize)]
pub struct ImportResult {
    /// Lines of the file, the header left out.
    pub lines: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// `emporium import` into a fresh shop that runs, each round.
    pub import_s: Vec<f64>,
    /// `COPY` into one table of a fresh server, each round.
    pub copy_s: Vec<f64>,
    /// Copy's time to import's, median of the rounds.
    pub ratio: f64,
    /// The lowest and the highest round.
    pub ratio_spread: (f64, f64),
    /// Lines per second of the median import.
    pub lines_per_s: f64,
    /// The same import again, which finds nothing new.
    pub repeated_s: f64,
    /// The shop's memory after the import.
    pub memory: Memory,
}

/// The folder with the real data: `EMPORIUM_DATASETS`, else `../shared/data` beside the project.
fn dataset() -> Option<PathBuf> {
    let given = std::env::var_os("EMPORIUM_DATASETS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let file = folder.join(FILE);
    file.is_file().then_some(file)
}

/// Measures `rounds` times, in turn; `None` (said aloud) when the file is not there. With `lines_max`, only the file's
/// beginning.
pub fn measure(
    runtime: &Runtime,
    dir: &Path,
    rounds: usize,
    lines_max: Option<usize>,
) -> anyhow::Result<Option<ImportResult>> {
    let Some(compressed) = dataset() else {
        eprintln!(
            "LEFT OUT: the import, since {FILE} is not there; set EMPORIUM_DATASETS to the folder that has it"
        );
        return Ok(None);
    };
    let csv = dir.join("online-retail.csv");
    let lines = unpack(&compressed, &csv, lines_max)?;
    let (mut imports, mut copies, mut repeated, mut used) = (Vec::new(), Vec::new(), 0.0, None);
    for round in 0..rounds {
        let copy = copy(runtime, &dir.join(format!("copy-{round}")), &csv)?.as_secs_f64();
        let shop_dir = dir.join(format!("import-{round}"));
        let shop = Shop::start(&shop_dir)?;
        let import = import(&shop, &csv)?.as_secs_f64();
        eprintln!(
            "  import round {}/{rounds}: import {import:.2} s, copy {copy:.2} s, ratio {:.3}",
            round + 1,
            copy / import
        );
        if round + 1 == rounds {
            used = Some(memory(shop.pid())?);
            repeated = self::import(&shop, &csv)?.as_secs_f64();
        }
        shop.stop()?;
        std::fs::remove_dir_all(&shop_dir)?;
        imports.push(import);
        copies.push(copy);
    }
    let bytes = std::fs::metadata(&csv)?.len();
    std::fs::remove_file(&csv)?;
    let memory = used.context("no round was measured")?;
    Ok(Some(result(lines, bytes, imports, copies, (repeated, memory))))
}

#[allow(clippy::cast_precision_loss)] // a rate to look at
fn result(lines: u64, bytes: u64, import_s: Vec<f64>, copy_s: Vec<f64>, last: (f64, Memory)) -> ImportResult {
    let mut ratios: Vec<f64> = copy_s
        .iter()
        .zip(&import_s)
        .map(|(copy, import)| copy / import)
        .collect();
    ratios.sort_by(f64::total_cmp);
    let mut sorted = import_s.clone();
    sorted.sort_by(f64::total_cmp);
    ImportResult {
        lines,
        bytes,
        ratio: median(&ratios),
        ratio_spread: (ratios[0], ratios[ratios.len() - 1]),
        lines_per_s: lines as f64 / median(&sorted),
        import_s,
        copy_s,
        repeated_s: last.0,
        memory: last.1,
    }
}

/// Writes the plain file; gives how many lines of data it has.
fn unpack(compressed: &Path, csv: &Path, lines_max: Option<usize>) -> anyhow::Result<u64> {
    let mut text = Vec::new();
    GzDecoder::new(BufReader::new(File::open(compressed)?)).read_to_end(&mut text)?;
    let newlines = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let ends: Vec<usize> = newlines.map(|(at, _)| at + 1).collect();
    let lines = lines_max.map_or(ends.len(), |max| ends.len().min(max + 1));
    text.truncate(lines.checked_sub(1).map_or(0, |last| ends[last]));
    std::fs::write(csv, &text)?;
    // No descriptions hold line breaks, so lines are records.
    Ok(u64::try_from(lines.saturating_sub(1))?)
}

fn import(shop: &Shop, csv: &Path) -> anyhow::Result<Duration> {
    let file = csv.display().to_string();
    let rejects = csv.with_extension("rejected.csv").display().to_string();
    let (took, _) = shop.command(&["import", "online-retail", &file, "--rejects", &rejects])?;
    Ok(took)
}

/// Copies the file into a table of a fresh server with the shop's settings, which keep durability on.
fn copy(runtime: &Runtime, dir: &Path, csv: &Path) -> anyhow::Result<Duration> {
    let settings = Settings {
        max_connections: SERVER_CONNECTIONS,
        ..Settings::new(dir)
    };
    let server = Server::start(&settings, |_| ())?;
    let mut options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(server.port())
        .username(server.superuser())
        .password(server.password())
        .database("postgres")
        .ssl_mode(PgSslMode::Disable);
    if let Some(folder) = server.socket_dir() {
        options = options.socket(folder);
    }
    let took = runtime.block_on(async {
        let mut connection = PgConnection::connect_with(&options).await?;
        connection.execute("CREATE DATABASE copied").await?;
        let mut connection = PgConnection::connect_with(&options.database("copied")).await?;
        connection.execute(TABLE).await?;
        copy_into(&mut connection, csv).await
    })?;
    runtime.block_on(server.stop_async())?;
    std::fs::remove_dir_all(dir)?;
    Ok(took)
}

async fn copy_into(connection: &mut PgConnection, csv: &Path) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let mut file = File::open(csv)?;
    let mut copy = connection
        .copy_in_raw("COPY invoice_line FROM STDIN WITH (FORMAT csv, HEADER true)")
        .await?;
    let mut chunk = vec![0; COPY_CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        copy.send(&chunk[..read]).await?;
    }
    copy.finish().await?;
    Ok(started.elapsed())
}
