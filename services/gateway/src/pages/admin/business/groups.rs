//! Revenue by category and by country.

use emporium_service_kit::Money;

use super::views::{BarTable, float};
use crate::clients::analytics::{Revenue, Sales};
use crate::clients::catalog::Category;
use crate::pages::charts::{Bar, bars, grouped, money};
use crate::pages::countries;
use crate::pages::format::words;
use crate::pages::params::link;

/// Categories or countries that have a row each.
const NAMED_MAX: usize = 12;

/// The largest groups, all others put together, and what belongs to none that is known.
struct Groups<'a> {
    named: Vec<(&'a str, &'a Sales)>,
    others: Option<Sales>,
    unknown: Option<&'a Sales>,
}

fn groups(revenue: &Revenue) -> Groups<'_> {
    let items = revenue.items.iter();
    let mut named: Vec<(&str, &Sales)> = items
        .filter_map(|sales| Some((sales.key.as_deref()?, sales)))
        .collect();
    let rest = named.split_off(named.len().min(NAMED_MAX));
    let rest = rest.into_iter().map(|(_, sales)| sales).chain(&revenue.others);
    Groups {
        named,
        others: rest.cloned().reduce(|sum, sales| plus(&sum, &sales)),
        unknown: revenue.items.iter().find(|sales| sales.key.is_none()),
    }
}

/// Sums stay within 64 bits, as the whole range's does.
fn plus(a: &Sales, b: &Sales) -> Sales {
    let money = |a: Money, b: Money| Money::new(a.amount.saturating_add(b.amount), a.currency);
    let count = |a: Option<i64>, b: Option<i64>| Some(a?.saturating_add(b?));
    Sales {
        key: None,
        orders: count(a.orders, b.orders),
        units: a.units.saturating_add(b.units),
        gross: money(a.gross, b.gross),
        refunds: money(a.refunds, b.refunds),
        net: money(a.net, b.net),
    }
}

pub fn categories(revenue: &Revenue, names: &[Category]) -> BarTable {
    let groups = groups(revenue);
    let named = groups.named.iter().map(|(slug, sales)| {
        let known = names.iter().find(|category| category.slug == *slug);
        let name = known.map_or_else(|| words(slug), |category| category.name.clone());
        sales_row(name, Some(link("/search", [("category", *slug)])), sales, false)
    });
    let rest = [
        ("All others", groups.others.as_ref()),
        ("Not known", groups.unknown),
        ("Postage, discounts, fees", revenue.unallocated.as_ref()),
    ];
    BarTable {
        id: "categories",
        title: "Revenue by category",
        head: vec!["Category", "Net", "Refunds", "Units"],
        rows: bars(named.chain(rest_rows(rest, false))),
    }
}

pub fn countries(revenue: &Revenue) -> BarTable {
    let groups = groups(revenue);
    let named = groups
        .named
        .iter()
        .map(|(code, sales)| sales_row(countries::name(code).to_owned(), None, sales, true));
    let rest = [
        ("All others", groups.others.as_ref()),
        ("Not known", groups.unknown),
    ];
    BarTable {
        id: "countries",
        title: "Revenue by country",
        head: vec!["Country", "Net", "Refunds", "Orders"],
        rows: bars(named.chain(rest_rows(rest, true))),
    }
}

fn rest_rows<const N: usize>(rest: [(&str, Option<&Sales>); N], with_orders: bool) -> Vec<(Bar, f64)> {
    let there = rest.into_iter().filter_map(|(name, sales)| Some((name, sales?)));
    there
        .map(|(name, sales)| sales_row(name.to_owned(), None, sales, with_orders))
        .collect()
}

fn sales_row(name: String, href: Option<String>, sales: &Sales, with_orders: bool) -> (Bar, f64) {
    let count = sales.orders.filter(|_| with_orders).unwrap_or(sales.units);
    let cells = vec![money(sales.net), money(sales.refunds), grouped(count)];
    let bar = Bar {
        name,
        href,
        length: String::new(),
        cells,
    };
    (bar, float(sales.net.amount))
}
