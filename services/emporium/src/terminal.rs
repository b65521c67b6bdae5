//! What people see. A terminal that has gone away (SIGHUP, `| head`) is no reason to fail: a stop must still be in order.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use emporium_seed::{Progress, ProgressEvent};
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(120);

/// How a command prints what it has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON document, and nothing else on standard output.
    Json,
}

/// A line on standard output.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line on standard error.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The steps of a start: a spinner with the time on a terminal, a line each elsewhere.
#[derive(Clone)]
pub struct Steps {
    bar: ProgressBar,
    terminal: bool,
}

impl Steps {
    /// Shows that something begins.
    pub fn begin() -> Self {
        let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg} ({elapsed})"));
        bar.set_message("starting");
        bar.enable_steady_tick(TICK);
        let terminal = std::io::stderr().is_terminal();
        Self { bar, terminal }
    }

    /// The next step.
    pub fn tell(&self, step: impl Display) {
        if self.terminal {
            self.bar.set_message(step.to_string());
        } else {
            note(step);
        }
    }

    /// A line that stays.
    pub fn note(&self, text: impl Display) {
        self.bar.suspend(|| note(text));
    }

    /// Takes the spinner away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Progress of something that is usually quick: nothing for the first two seconds, then a line that is drawn again on a
/// terminal, and one now and then elsewhere.
pub struct Later {
    bar: ProgressBar,
    terminal: bool,
    due: Instant,
}

impl Later {
    const QUIET: Duration = Duration::from_secs(2);
    const BETWEEN_LINES: Duration = Duration::from_secs(10);

    /// Something begins.
    pub fn begin() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            terminal: std::io::stderr().is_terminal(),
            due: Instant::now() + Self::QUIET,
        }
    }

    /// How far it is.
    pub fn tell(&mut self, text: impl Display) {
        if Instant::now() < self.due {
            return;
        }
        if !self.terminal {
            self.due = Instant::now() + Self::BETWEEN_LINES;
            return note(text);
        }
        if self.bar.is_hidden() {
            self.bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg}"));
            self.bar.enable_steady_tick(TICK);
        }
        self.bar.set_message(text.to_string());
    }

    /// Something else begins, or there is something to answer: shown at once.
    pub fn turn(&mut self, text: impl Display) {
        self.due = self.due.min(Instant::now());
        self.tell(text);
    }

    /// A line that stays.
    pub fn note(&self, text: impl Display) {
        self.bar.suspend(|| note(text));
    }

    /// The line, which is drawn only when it changes: what somebody types after it stays. On a terminal.
    pub fn ask(&mut self, text: impl Display) {
        if self.bar.is_hidden() {
            self.bar = ProgressBar::new_spinner();
        }
        self.bar.disable_steady_tick();
        self.bar.set_style(style("{msg}"));
        let text = text.to_string();
        if self.bar.message() != text {
            self.bar.set_message(text);
        }
    }

    /// Takes the line away; it begins anew when something is told again.
    pub fn end(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }
}

/// The bars of a load: one for each kind of record, with rows and rows per second; plain lines where there is no terminal.
#[derive(Default)]
pub struct Bars {
    all: MultiProgress,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Default)]
struct Shown {
    reading: Option<ProgressBar>,
    kinds: HashMap<&'static str, ProgressBar>,
}

impl Bars {
    /// Shows that `file` is being read, until the first records of it are loaded.
    pub fn reading(&self, file: &Path) {
        let text = format!("reading {}", file.display());
        if !std::io::stderr().is_terminal() {
            return note(text);
        }
        let bar = ProgressBar::new_spinner().with_style(style("  {spinner} {msg} ({elapsed})"));
        let bar = self.all.add(bar.with_message(text));
        bar.enable_steady_tick(TICK);
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).reading = Some(bar);
    }

    /// What the loader tells its progress to.
    pub fn listener(&self) -> Progress {
        let (all, shown) = (self.all.clone(), self.shown.clone());
        let terminal = std::io::stderr().is_terminal();
        Progress::new(move |event: ProgressEvent| {
            if terminal {
                show(
                    &all,
                    &mut shown.lock().unwrap_or_else(PoisonError::into_inner),
                    &event,
                );
            } else if event.finished {
                note(format_args!("  {:12} {}", event.what, describe(&event)));
            }
        })
    }

    /// Takes the bars away.
    pub fn clear(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for bar in shown.reading.take().iter().chain(shown.kinds.values()) {
            bar.finish_and_clear();
        }
        self.all.clear().ok();
    }
}

fn show(all: &MultiProgress, shown: &mut Shown, event: &ProgressEvent) {
    if let Some(reading) = shown.reading.take() {
        reading.finish_and_clear();
    }
    let bar = shown.kinds.entry(event.what).or_insert_with(|| {
        let bar = ProgressBar::new_spinner().with_style(style("  {prefix:12} {spinner} {msg}"));
        let bar = all.add(bar.with_prefix(event.what));
        // It turns while the owner still works on what it was given.
        bar.enable_steady_tick(TICK);
        bar
    });
    bar.set_message(describe(event));
    if event.finished {
        bar.finish();
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate to look at
fn describe(event: &ProgressEvent) -> String {
    format!(
        "{} rows, {} rows/s",
        HumanCount(event.rows),
        HumanCount(event.rows_per_s as u64)
    )
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
