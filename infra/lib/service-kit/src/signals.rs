//! Ctrl-C, SIGTERM and SIGHUP, watched by one task from the beginning of a program to its end: none is lost between its
//! stages.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a shell reports for a program that Ctrl-C ended.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Starts watching. The first signal cancels the token: whoever works stops in order. The second one ends the process at
/// once, after `at_once` had its say.
pub fn watch(at_once: impl FnOnce() + Send + 'static) -> std::io::Result<CancellationToken> {
    let mut signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        hangup: if is_hangup_ignored() {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        },
    };
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        signals.any().await;
        cancelled.cancel();
        signals.any().await;
        at_once();
        std::process::exit(EXIT_INTERRUPTED.into());
    });
    Ok(token)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    async fn any(&mut self) {
        let hung_up = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hung_up => {}
        }
    }
}

/// Whether `nohup` started us: then the end of the terminal must not end the program.
fn is_hangup_ignored() -> bool {
    const HANGUP_BIT: u64 = 1; // signal 1 is the lowest bit
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & HANGUP_BIT != 0)
}
