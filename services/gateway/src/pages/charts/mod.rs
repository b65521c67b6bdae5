//! Charts, drawn here as SVG: no script draws them, the content security policy allows them (no inline style), and their
//! colours are classes of the stylesheet, so that they follow the shop's look by day and by night.
//!
//! - [`Plot`]: something over time, as lines, areas, bars or stacked bars, with a table of its figures below.
//! - [`bars`]: rows of a table with a bar each, for what has names: categories, countries, products, stages of a funnel.
//! - [`Heat`]: a table whose cells are shaded, for cohorts.
//! - [`sparkline`]: a line the size of a word.
//!
//! A plot stretches with its page: places are percentages, so that letters and lines keep their size on a telephone. What has
//! names is a table, which can be read aloud, copied and wrapped, where letters in a drawing can not.
//!
//! Own drawing rather than a library: those there are write colours and letters' sizes into the drawing (no night colours, tiny
//! letters on telephones) and give no names to what they draw.

mod heat;
mod plot;
mod scale;
mod spark;
mod table;
mod ticks;
mod unit;

pub use heat::{Heat, HeatRow};
pub use plot::{Figures, Plot, Series, Shape, Sheet};
pub use spark::sparkline;
pub use table::{Bar, bars};
pub use unit::{Unit, grouped, money};

/// A place within a drawing: a share of its width or height, as SVG writes it.
fn percent(share: f64) -> String {
    let share = if share.is_finite() { share } else { 0.0 };
    format!("{:.2}%", share.clamp(-1.0, 2.0) * 100.0)
}
