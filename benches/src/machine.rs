//! What the machine says: processor time and memory of processes, and what kind of machine it is.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use serde::Serialize;

use crate::load::check_interrupted;

/// Background work that has not ended by then is taken for part of the machine.
const SETTLE_MAX: Duration = Duration::from_mins(2);
const SETTLE_SAMPLE: Duration = Duration::from_millis(400);
/// Quiet: less than this share of one core.
const QUIET_SHARE: f64 = 0.06;

/// Processor seconds used by a process so far, without its children.
pub fn cpu_s(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    // utime and stime.
    ticks(&stat, 11..13)
}

/// Processor seconds used by a process, its children and its former children.
pub fn cpu_tree_s(pid: u32) -> anyhow::Result<f64> {
    let own = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    // utime, stime, and the same of the children that were waited for.
    let mut sum = ticks(&own, 11..15)?;
    for entry in fs::read_dir("/proc")?.flatten() {
        // Processes may end while one looks.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if field(&stat, 1).is_some_and(|parent| parent == u64::from(pid)) {
            sum += ticks(&stat, 11..13)?;
        }
    }
    Ok(sum)
}

/// Processor seconds that the whole machine was busy so far, the time that a hypervisor took from it included.
#[allow(clippy::cast_precision_loss)] // seconds to look at
pub fn busy_s() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|number| number.parse().ok())
        .collect();
    // user, nice, system; then idle and waiting; then interrupts and stolen time.
    let busy: u64 = ticks
        .iter()
        .enumerate()
        .filter(|(at, _)| matches!(at, 0..=2 | 5..=7))
        .map(|(_, n)| n)
        .sum();
    Ok(busy as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// A number of `/proc/<pid>/stat`, counted from the state, which follows the name in parentheses.
fn field(stat: &str, number: usize) -> Option<u64> {
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(number)?
        .parse()
        .ok()
}

#[allow(clippy::cast_precision_loss)] // seconds to look at
fn ticks(stat: &str, fields: std::ops::Range<usize>) -> anyhow::Result<f64> {
    let numbers: Option<Vec<u64>> = fields.map(|number| field(stat, number)).collect();
    let sum: u64 = numbers
        .ok_or_else(|| anyhow!("unreadable process statistics"))?
        .iter()
        .sum();
    Ok(sum as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Memory of a process.
#[derive(Debug, Clone, Copy, Serialize)]
#[allow(clippy::struct_field_names)] // the unit comes last
pub struct Memory {
    /// Resident, in MB (10^6 bytes).
    pub rss_mb: f64,
    /// Resident, shared pages counted in part.
    pub pss_mb: f64,
    /// The most that was ever resident.
    pub rss_peak_mb: f64,
}

/// Memory of a process as it is now.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(Memory {
        rss_mb: megabytes(&rollup, "Rss:")?,
        pss_mb: megabytes(&rollup, "Pss:")?,
        rss_peak_mb: megabytes(&status, "VmHWM:")?,
    })
}

#[allow(clippy::cast_precision_loss)]
fn megabytes(text: &str, name: &str) -> anyhow::Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.ok_or_else(|| anyhow!("no {name} in the process's memory"))? as f64 * 1024.0 / 1e6)
}

/// Waits until the shop and its database server do next to nothing, so that what one measurement left behind (events to
/// publish, pages to write) is not paid for by the next. Gives how long that took.
pub fn settle(shop: u32, postgres: u32) -> anyhow::Result<Duration> {
    let used = || Ok::<_, anyhow::Error>(cpu_s(shop)? + cpu_tree_s(postgres)?);
    let started = Instant::now();
    let mut quiet = 0;
    loop {
        let before = (used()?, Instant::now());
        thread::sleep(SETTLE_SAMPLE);
        let share = (used()? - before.0) / before.1.elapsed().as_secs_f64();
        quiet = if share < QUIET_SHARE { quiet + 1 } else { 0 };
        if quiet == 2 {
            return Ok(started.elapsed().saturating_sub(SETTLE_SAMPLE * 2));
        }
        if started.elapsed() > SETTLE_MAX {
            eprintln!("  still busy after {} s, going on", SETTLE_MAX.as_secs());
            return Ok(started.elapsed());
        }
        check_interrupted()?;
    }
}

/// The machine and the programs on it.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Model name of the processor.
    pub processor: String,
    /// Processors that may be used.
    pub cores: usize,
    /// In GB (10^9 bytes).
    pub memory_gb: f64,
    /// Kernel release.
    pub kernel: String,
    /// Median time to make 8 KiB durable in the data folder, in microseconds: what a commit costs at least.
    pub fdatasync_us: u64,
    /// The compiler.
    pub rustc: String,
    /// The project's commit, `+` when there were changes since.
    pub commit: String,
    /// `release`, or `debug`, whose figures mean nothing.
    pub build: &'static str,
}

impl Machine {
    /// Looks at this machine; `dir` is where the data will be.
    pub fn look(dir: &Path) -> anyhow::Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown");
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let changed = !output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        let commit = output("git", &["rev-parse", "--short", "HEAD"]);
        Ok(Self {
            processor: model.trim().to_owned(),
            cores: thread::available_parallelism()?.get(),
            memory_gb: megabytes(&meminfo, "MemTotal:")? / 1e3,
            kernel: release.trim().to_owned(),
            fdatasync_us: fdatasync_us(dir)?,
            rustc: output("rustc", &["--version"]),
            commit: format!("{commit}{}", if changed { "+" } else { "" }),
            build: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
        })
    }
}

impl Machine {
    /// In one line, for people.
    pub fn line(&self) -> String {
        format!(
            "{} cores ({}), {:.0} GB, Linux {}, {}, fdatasync {} µs, {} build, commit {}",
            self.cores,
            self.processor,
            self.memory_gb,
            self.kernel,
            self.rustc,
            self.fdatasync_us,
            self.build,
            self.commit
        )
    }
}

/// What a program prints, empty when it cannot be had.
fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

fn fdatasync_us(dir: &Path) -> anyhow::Result<u64> {
    let mut file = tempfile::tempfile_in(dir)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        file.write_all(&[1; 8192])?;
        file.sync_data()?;
        times.push(started.elapsed().as_micros());
    }
    times.sort_unstable();
    Ok(u64::try_from(times[times.len() / 2])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_statistics_are_read_behind_the_name() {
        let stat = "12 (a) b (c) S 7 12 12 0 -1 0 0 0 0 0 100 50 3 4 20";
        assert_eq!(field(stat, 1), Some(7));
        assert_eq!(field(stat, 11), Some(100));
        assert_eq!(field(stat, 14), Some(4));
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(
            memory.pss_mb <= memory.rss_mb && memory.rss_mb > 0.1,
            "{memory:?}"
        );
        // In this order: time goes on between the two.
        let own = cpu_s(pid).unwrap();
        assert!(cpu_tree_s(pid).unwrap() >= own);
    }
}
