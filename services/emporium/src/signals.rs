//! Ctrl-C, SIGTERM and SIGHUP, watched by one task from the beginning to the end of a command: none is lost between its
//! stages.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::terminal::note;

/// What a shell reports for a program that Ctrl-C ended.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Starts watching. The first signal cancels the token: whoever works stops in order. The second one ends the process at
/// once; the database server follows it, and the next start recovers.
pub fn watch() -> Result<CancellationToken, Error> {
    let failed =
        |error: std::io::Error| Error::Other(format!("signals cannot be watched: {error}; start again"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hangup = if is_hangup_ignored() {
        None
    } else {
        Some(signal(SignalKind::hangup()).map_err(failed)?)
    };
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        any(&mut interrupt, &mut terminate, &mut hangup).await;
        cancelled.cancel();
        any(&mut interrupt, &mut terminate, &mut hangup).await;
        note("Ended at once; the next start recovers.");
        std::process::exit(EXIT_INTERRUPTED.into());
    });
    Ok(token)
}

async fn any(interrupt: &mut Signal, terminate: &mut Signal, hangup: &mut Option<Signal>) {
    let hung_up = async {
        match hangup {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hung_up => {}
    }
}

/// Whether `nohup` started us: then the end of the terminal must not end the shop.
fn is_hangup_ignored() -> bool {
    const HANGUP_BIT: u64 = 1; // signal 1 is the lowest bit
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & HANGUP_BIT != 0)
}
