//! The tables of `docs/src/benchmarks.md`. Everything with a number in it is made from the results' file; the prose around
//! it is written by hand.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::plot;
use super::results::{Comparison, Figures, OpenLoopPart, Part, Ratio, Results, Target};

/// Lines between which figures stand in a page.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    /// Before them.
    pub begin: &'static str,
    /// After them.
    pub end: &'static str,
}

const MARKS: Marks = Marks {
    begin: "<!-- figures: made by `emporium-benches stores-page`, not by hand -->",
    end: "<!-- /figures -->",
};
/// What an adapter may cost over the bare client.
const RATIO_AIM: f64 = 1.2;
/// What 99 of 100 look-ups through HTTP should stay below.
const P99_AIM_MS: f64 = 1.0;

/// Which results go where.
#[derive(Debug, Clone, Args)]
pub struct Files {
    /// The results.
    #[arg(long, default_value = "benches/results/stores-two-cores.json")]
    results: PathBuf,
    /// The page whose figures are replaced.
    #[arg(long, default_value = "docs/src/benchmarks.md")]
    page: PathBuf,
    /// The plot.
    #[arg(long, default_value = "docs/src/images/stores.svg")]
    image: PathBuf,
}

/// Puts the results into the page between its marks, and draws the plot.
pub fn render(Files { results, page, image }: &Files) -> anyhow::Result<()> {
    let results = Results::read(results)?;
    anyhow::ensure!(
        !results.traits.is_empty(),
        "there are no results; run cargo bench -p emporium-benches"
    );
    let text = std::fs::read_to_string(page).with_context(|| format!("reading {}", page.display()))?;
    let text = put(&text, MARKS, &figures(&results))?;
    std::fs::write(page, text).with_context(|| format!("writing {}", page.display()))?;
    if let Some(folder) = image.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(image, plot::svg(&results)).with_context(|| format!("writing {}", image.display()))
}

/// A page with these figures between its marks.
pub fn put(page: &str, Marks { begin, end }: Marks, figures: &str) -> anyhow::Result<String> {
    let (before, rest) = page
        .split_once(begin)
        .context("the page has no mark where the figures begin")?;
    let (_, after) = rest
        .split_once(end)
        .context("the page has no mark where the figures end")?;
    Ok(format!("{before}{begin}\n\n{}\n{end}{after}", figures.trim_end()))
}

fn figures(results: &Results) -> String {
    let mut text = String::new();
    for (name, part) in &results.traits {
        write_part(&mut text, name, part);
    }
    if let Some(part) = &results.open_loop {
        write_open_loop(&mut text, part);
    }
    text.push_str(&summary(results));
    text
}

fn write_part(text: &mut String, name: &str, part: &Part) {
    let _ = writeln!(text, "### {name}\n\n{}", table(&part.comparisons));
    for server in servers(&part.comparisons) {
        let _ = writeln!(text, "- {server}");
    }
    for line in &part.not_run {
        let _ = writeln!(text, "- Not run: {line}");
    }
    let _ = writeln!(
        text,
        "- {} rounds of {} s a side; {}.\n",
        part.plan.rounds, part.plan.turn_s, part.machine
    );
}

/// Each adapter with its server and what that keeps.
fn servers(comparisons: &[Comparison]) -> Vec<String> {
    let mut servers: Vec<String> = comparisons
        .iter()
        .map(|it| format!("`{}`: {}; durability: {}.", it.adapter, it.server, it.durability))
        .collect();
    servers.sort();
    servers.dedup();
    servers
}

/// A line a workload, size, number of callers and adapter.
pub fn table(comparisons: &[Comparison]) -> String {
    let mut text = "| work | there | callers | adapter | p50 µs (rounds) | p99 µs | mean µs | calls/s | p50 ÷ PostgreSQL's | bare p50 µs | adapter ÷ bare (rounds) |\n|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|\n".to_owned();
    let mut sorted: Vec<&Comparison> = comparisons.iter().collect();
    sorted.sort_by_key(|it| (&it.work, it.size, it.callers, &it.adapter));
    for it in sorted {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            it.work,
            grouped(it.size as u64),
            it.callers,
            it.adapter,
            with_rounds(&it.adapter_us),
            number(it.adapter_us.p99),
            number(it.adapter_us.mean),
            number(it.adapter_us.calls_per_s),
            to_postgres(it, comparisons),
            number(it.bare_us.p50),
            ratio(it.ratio_p50)
        );
    }
    text
}

/// A p50 to PostgreSQL's in the same case.
fn to_postgres(it: &Comparison, all: &[Comparison]) -> String {
    let is_same = |other: &&Comparison| {
        other.adapter == "postgres"
            && it.adapter != other.adapter
            && (&it.work, it.size, it.callers) == (&other.work, other.size, other.callers)
    };
    let own = all.iter().find(is_same);
    own.map_or("–".to_owned(), |own| {
        format!("{:.2}", it.adapter_us.p50 / own.adapter_us.p50)
    })
}

fn with_rounds(figures: &Figures) -> String {
    format!(
        "{} ({}–{})",
        number(figures.p50),
        number(figures.p50_lowest),
        number(figures.p50_highest)
    )
}

fn ratio(ratio: Ratio) -> String {
    format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.lowest, ratio.highest)
}

/// Three digits are as many as are measured.
fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a positive figure to look at
    let whole = value.round() as u64;
    grouped(whole)
}

fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn write_open_loop(text: &mut String, part: &OpenLoopPart) {
    let _ = writeln!(
        text,
        "### Session look-ups through HTTP\n\nOpen loop, {} requests a second, {} rounds of {} s each, {} sessions. {}\n",
        grouped_f64(part.rate_per_s),
        part.rounds,
        part.turn_s,
        grouped(part.sessions as u64),
        part.shared
    );
    text.push_str("| answered from | p50 ms | p99 ms (rounds) | p99.9 ms | max ms | left late | service's CPU µs a request |\n|---|---:|---:|---:|---:|---:|---:|\n");
    for target in &part.targets {
        write_target(text, target);
    }
    text.push('\n');
    for target in &part.targets {
        let _ = writeln!(text, "- `{}`: {}.", target.name, target.store);
    }
    for line in &part.not_run {
        let _ = writeln!(text, "- Not run: {line}");
    }
    let _ = writeln!(text, "- {}.\n", part.machine);
}

fn write_target(text: &mut String, target: &Target) {
    let rounds = target.p99_ms_rounds.iter().copied();
    let (lowest, highest) = (
        rounds.clone().fold(f64::MAX, f64::min),
        rounds.fold(0.0, f64::max),
    );
    let _ = writeln!(
        text,
        "| {} | {:.3} | {:.3} ({lowest:.3}–{highest:.3}) | {:.3} | {:.1} | {:.2} % | {:.0} |",
        target.name,
        target.p50_ms,
        target.p99_ms,
        target.p999_ms,
        target.max_ms,
        target.late_share * 100.0,
        target.service_cpu_us
    );
}

fn grouped_f64(value: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate
    grouped(value.round() as u64)
}

/// The aims, met or not, and where PostgreSQL is the faster one.
fn summary(results: &Results) -> String {
    let mut text = String::from("### In short\n\n");
    let all = || results.traits.values().flat_map(|part| &part.comparisons);
    let within = all().filter(|it| it.ratio_p50.median <= RATIO_AIM).count();
    let _ = writeln!(
        text,
        "- An adapter's p50 is at most {RATIO_AIM} times the bare client's in {within} of {} comparisons.",
        all().count()
    );
    for (name, part) in &results.traits {
        for it in part
            .comparisons
            .iter()
            .filter(|it| it.ratio_p50.median > RATIO_AIM)
        {
            let _ = writeln!(text, "  - Not in {name}, {}: {}", case(it), ratio(it.ratio_p50));
        }
    }
    if let Some(part) = &results.open_loop {
        for target in &part.targets {
            let verdict = if target.p99_ms < P99_AIM_MS {
                "below"
            } else {
                "not below"
            };
            let _ = writeln!(
                text,
                "- p99 of look-ups through HTTP, `{}`: {:.3} ms, {verdict} the {P99_AIM_MS} ms aimed at.",
                target.name, target.p99_ms
            );
        }
    }
    text.push_str("\n### Where PostgreSQL wins\n\n");
    let wins = wins(results);
    if wins.is_empty() {
        text.push_str("In none of the comparisons above.\n");
    }
    for win in wins {
        let _ = writeln!(text, "- {win}");
    }
    text
}

/// Of smaller differences than this nothing can be said: rounds differ by more.
const SAID_FROM: f64 = 1.05;

fn case(it: &Comparison) -> String {
    format!(
        "{} {} at {}, {}",
        it.adapter,
        it.work,
        grouped(it.size as u64),
        callers(it.callers)
    )
}

fn callers(number: usize) -> String {
    match number {
        1 => "1 caller".to_owned(),
        many => format!("{many} callers"),
    }
}

/// Cases in which PostgreSQL's p50 is clearly the lower one, with both figures.
fn wins(results: &Results) -> Vec<String> {
    let mut wins = Vec::new();
    for (name, part) in &results.traits {
        for own in part.comparisons.iter().filter(|it| it.adapter == "postgres") {
            let is_rival = |it: &&Comparison| {
                it.adapter != own.adapter
                    && (&it.work, it.size, it.callers) == (&own.work, own.size, own.callers)
                    && it.adapter_us.p50 > own.adapter_us.p50 * SAID_FROM
            };
            for rival in part.comparisons.iter().filter(is_rival) {
                wins.push(format!(
                    "{name}, {} at {}, {}: {} µs against {} µs on {} (p50)",
                    own.work,
                    grouped(own.size as u64),
                    callers(own.callers),
                    number(own.adapter_us.p50),
                    number(rival.adapter_us.p50),
                    rival.adapter
                ));
            }
        }
    }
    wins
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two adapters, of which PostgreSQL is the faster one.
    pub fn known() -> Results {
        serde_json::from_str(include_str!("known.json")).unwrap()
    }

    #[test]
    fn known_results_give_a_known_table() {
        let results = known();
        let rows: Vec<String> = table(&results.traits["sessions"].comparisons)
            .lines()
            .skip(2)
            .map(str::to_owned)
            .collect();
        assert_eq!(
            rows,
            [
                "| look-up | 1,000 | 1 | postgres | 81.5 (80.0–90.3) | 201 | 85.0 | 11,700 | – | 77.0 | 1.06 (1.01–1.30) |",
                "| look-up | 1,000 | 1 | redis | 123 (120–130) | 1,235 | 130 | 7,654 | 1.51 | 99.0 | 1.25 (1.20–1.31) |",
            ]
        );
    }

    #[test]
    fn missed_aims_and_wins_are_told() {
        let text = figures(&known());
        for line in [
            "- An adapter's p50 is at most 1.2 times the bare client's in 1 of 2 comparisons.",
            "  - Not in sessions, redis look-up at 1,000, 1 caller: 1.25 (1.20–1.31)",
            "- sessions, look-up at 1,000, 1 caller: 81.5 µs against 123 µs on redis (p50)",
            "- p99 of look-ups through HTTP, `redis`: 1.200 ms, not below the 1 ms aimed at.",
            "- Not run: elasticsearch: not here",
            "- `redis`: Redis 8.2.3; durability: appendfsync everysec.",
            "| redis | 0.210 | 1.200 (1.100–1.300) | 2.500 | 9.0 | 0.50 % | 55 |",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "no line {line:?} in\n{text}"
            );
        }
    }

    #[test]
    fn the_prose_around_the_figures_stays() {
        let Marks { begin, end } = MARKS;
        let page = format!("# A\n{begin}\nold\n{end}\nlast\n");
        let made = put(&page, MARKS, "new\n").unwrap();
        assert_eq!(made, format!("# A\n{begin}\n\nnew\n{end}\nlast\n"));
        assert_eq!(put(&made, MARKS, "new\n").unwrap(), made);
        assert!(put("# A\n", MARKS, "new").is_err());
    }
}
