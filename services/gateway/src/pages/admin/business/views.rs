//! Analytics' answers as charts and tables.

use emporium_service_kit::Money;
use time::OffsetDateTime;

use super::range::{Period, read_day};
use crate::administration::BestSeller;
use crate::clients::analytics::{Baskets, Bucket, Cohort, Cohorts, Live, Repeat, Revenue, Sales, Stages};
use crate::pages::charts::{Bar, Figures, Heat, Plot, Series, Shape, Sheet, Unit, bars, grouped, money};
use crate::pages::format::clock_minute;

/// Rows with bars, as the template shows them.
pub struct BarTable {
    pub id: &'static str,
    pub title: &'static str,
    pub head: Vec<&'static str>,
    pub rows: Vec<Bar>,
}

/// A figure with words.
pub struct Fact {
    pub name: &'static str,
    pub value: String,
    pub hint: String,
}

fn fact(name: &'static str, value: String) -> Fact {
    Fact {
        name,
        value,
        hint: String::new(),
    }
}

/// Exact up to 2⁵³ minor units, which is beyond what is drawn.
#[allow(clippy::cast_precision_loss)]
pub fn float(value: i64) -> f64 {
    value as f64
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| Unit::Share.exact(share))
}

/// A part of a whole.
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| float(part) / float(whole))
}

pub fn facts(total: &Sales) -> Vec<Fact> {
    let orders = total.orders.unwrap_or_default();
    // Rounded as analytics rounds the same figure among baskets.
    let mean = (orders > 0).then(|| (total.gross.amount + orders / 2).div_euclid(orders));
    let refunded = share(total.refunds.amount, total.gross.amount);
    vec![
        fact("Net revenue", money(total.net)),
        fact("Gross", money(total.gross)),
        Fact {
            hint: refunded
                .map(|share| format!("{} of gross", Unit::Share.exact(share)))
                .unwrap_or_default(),
            ..fact("Refunds", money(total.refunds))
        },
        fact("Orders", grouped(orders)),
        fact("Units", grouped(total.units)),
        fact(
            "An order, on average",
            mean.map_or_else(
                || "–".to_owned(),
                |mean| money(Money::new(mean, total.gross.currency)),
            ),
        ),
    ]
}

/// What stays and what was given back, period by period.
pub fn revenue(revenue: &Revenue, period: Period) -> Plot {
    let days: Vec<_> = revenue
        .items
        .iter()
        .map(|sales| sales.key.as_deref().and_then(read_day))
        .collect();
    let series = |name: &str, of: fn(&Sales) -> i64| Series {
        name: name.to_owned(),
        values: revenue.items.iter().map(|sales| Some(float(of(sales)))).collect(),
    };
    Plot::new(Sheet {
        id: "revenue",
        title: match period {
            Period::Day => "Revenue by day",
            Period::Week => "Revenue by week",
            Period::Month => "Revenue by month",
        },
        unit: Unit::Money(revenue.total.net.currency),
        shape: Shape::Stacked,
        figures: Figures::Each,
        moments: days
            .iter()
            .map(|day| day.map_or(OffsetDateTime::UNIX_EPOCH, |day| day.midnight().assume_utc()))
            .collect(),
        names: days
            .iter()
            .map(|day| day.map(|day| period.name(day)).unwrap_or_default())
            .collect(),
        series: vec![
            series("Gross", |sales| sales.gross.amount),
            series("Refunds", |sales| sales.refunds.amount.saturating_neg()),
        ],
    })
}

pub fn products(items: Vec<BestSeller>) -> BarTable {
    let rows = items.into_iter().map(|best| {
        let sales = best.sales;
        let name = sales
            .name
            .or(sales.sku)
            .unwrap_or_else(|| "not known just now".to_owned());
        let bar = Bar {
            name,
            href: Some(format!("/products/{}", sales.product_id)),
            length: String::new(),
            cells: vec![money(sales.gross), grouped(sales.units), grouped(sales.orders)],
        };
        (bar, float(sales.gross.amount))
    });
    BarTable {
        id: "products",
        title: "Products that sold most",
        head: vec!["Product", "Gross", "Units", "Orders"],
        rows: bars(rows),
    }
}

pub fn funnel(total: &Stages) -> BarTable {
    let stages = [
        ("Visitors who did something", total.visitors),
        ("Looked at a product", total.viewed),
        ("Put something into the basket", total.carted),
        ("Began a checkout", total.began_checkout),
        ("Paid", total.paid),
    ];
    let before = std::iter::once(None).chain(stages.iter().map(|stage| Some(stage.1)));
    let rows = stages.iter().zip(before).map(|((name, count), before)| {
        let bar = Bar {
            name: (*name).to_owned(),
            href: None,
            length: String::new(),
            cells: vec![
                grouped(*count),
                percent(before.and_then(|before| share(*count, before))),
                percent(share(*count, total.visitors)),
            ],
        };
        (bar, float(*count))
    });
    BarTable {
        id: "funnel",
        title: "From visit to payment",
        head: vec!["Stage", "Visitors a day, summed", "Of the stage before", "Of all"],
        rows: bars(rows),
    }
}

/// Months since the first purchase that have a column, its own not among them.
const COHORT_MONTHS_MAX: i32 = 24;

pub fn cohorts(cohorts: &Cohorts) -> Heat {
    let later = cohorts.items.iter().flat_map(|cohort| &cohort.retained);
    let last = later
        .map(|part| part.months)
        .max()
        .unwrap_or(0)
        .clamp(0, COHORT_MONTHS_MAX);
    let later = cohorts.items.iter().flat_map(|cohort| &cohort.retained);
    let darkest = later
        .filter(|part| part.months > 0)
        .fold(0.1, |max, part| part.share.max(max));
    let head = ["First purchase", "Customers", "Again"]
        .map(str::to_owned)
        .into_iter();
    Heat {
        head: head.chain((1..=last).map(|month| format!("+{month}"))).collect(),
        rows: cohorts
            .items
            .iter()
            .map(|cohort| cohort_row(cohort, &cohorts.items, last, darkest))
            .collect(),
    }
}

fn cohort_row(cohort: &Cohort, all: &[Cohort], last: i32, darkest: f64) -> crate::pages::charts::HeatRow {
    let month = read_day(&cohort.month);
    // A month that no cohort reached has not come yet (or nobody bought in it at all).
    let reached = all.iter().filter_map(|other| {
        let apart = months_between(month?, read_day(&other.month)?);
        other.retained.iter().map(|part| part.months + apart).max()
    });
    let reached = reached.max().unwrap_or(0);
    let of = |months: i32| {
        let part = cohort.retained.iter().find(|part| part.months == months);
        (months <= reached).then(|| part.map_or(0.0, |part| part.share))
    };
    let shares: Vec<Option<f64>> = std::iter::once(Some(cohort.share_again))
        .chain((1..=last).map(of))
        .collect();
    let name = month.map_or_else(|| cohort.month.clone(), |month| Period::Month.name(month));
    let mut row = Heat::row(name, grouped(cohort.customers), &shares, darkest);
    if let Some(again) = row.cells.first_mut() {
        again.0 = "again";
    }
    row
}

fn months_between(from: time::Date, to: time::Date) -> i32 {
    let number = |day: time::Date| day.year() * 12 + i32::from(u8::from(day.month()));
    number(to) - number(from)
}

pub fn baskets(baskets: &Baskets) -> BarTable {
    let row = |bucket: &Bucket| {
        let name = match (bucket.from, bucket.to) {
            (0, Some(0)) => "Charges only".to_owned(),
            (1, Some(1)) => "1 line".to_owned(),
            (from, Some(to)) if from == to => format!("{from} lines"),
            (from, Some(to)) => format!("{from} to {to} lines"),
            (from, None) => format!("{from} lines and more"),
        };
        let bar = Bar {
            name,
            href: None,
            length: String::new(),
            cells: vec![
                grouped(bucket.orders),
                percent(share(bucket.orders, baskets.orders)),
            ],
        };
        (bar, float(bucket.orders))
    };
    BarTable {
        id: "baskets",
        title: "Orders by their size",
        head: vec!["Lines of an order", "Orders", "Share"],
        rows: bars(
            baskets
                .by_lines
                .iter()
                .filter(|bucket| bucket.orders > 0)
                .map(row),
        ),
    }
}

pub fn basket_facts(baskets: &Baskets) -> Vec<Fact> {
    let mean =
        |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| Unit::Number("").exact(value));
    vec![
        fact("Lines, on average", mean(baskets.mean_lines)),
        fact("Units, on average", mean(baskets.mean_units)),
        fact(
            "Value, on average",
            baskets.mean_value.map_or_else(|| "–".to_owned(), money),
        ),
    ]
}

pub fn repeat(repeat: &Repeat) -> Vec<Fact> {
    vec![
        Fact {
            hint: format!(
                "{} of {} customers",
                grouped(repeat.repeat_customers),
                grouped(repeat.customers)
            ),
            ..fact("Bought more than once", percent(repeat.repeat_rate))
        },
        Fact {
            hint: format!("{} customers", grouped(repeat.returning_customers)),
            ..fact("Had bought before", percent(repeat.returning_rate))
        },
        Fact {
            hint: "nobody can tell them from each other".to_owned(),
            ..fact("Orders of guests", grouped(repeat.guest_orders))
        },
    ]
}

pub fn live(live: &Live) -> Option<Plot> {
    if live.orders == 0 {
        return None;
    }
    let moments: Vec<OffsetDateTime> = live.items.iter().map(|minute| minute.minute).collect();
    let plot = Plot::new(Sheet {
        id: "live-sales",
        title: "Sales of the last hour",
        unit: Unit::Money(live.gross.currency),
        shape: Shape::Stacked,
        figures: Figures::Each,
        names: moments.iter().map(|moment| clock_minute(*moment)).collect(),
        moments,
        series: vec![Series {
            name: "Gross".to_owned(),
            values: live
                .items
                .iter()
                .map(|minute| Some(float(minute.gross.amount)))
                .collect(),
        }],
    });
    Some(plot)
}

pub fn live_facts(live: &Live) -> Vec<Fact> {
    vec![
        fact("Orders", grouped(live.orders)),
        fact("Units", grouped(live.units)),
        fact("Gross", money(live.gross)),
    ]
}
