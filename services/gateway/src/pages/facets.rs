//! What a search can be narrowed down by: facets with counts, and the filters that are on.

use emporium_service_kit::Currency;

use crate::clients::catalog::Facets;
use crate::pages::format;
use crate::pages::search::Query;

/// Values of a facet that are shown.
const VALUES_MAX: usize = 14;

/// A value to narrow down by, or to drop again.
pub(super) struct FacetLink {
    pub href: String,
    pub label: String,
    pub count: i64,
    pub selected: bool,
}

/// A facet's values.
pub(super) struct FacetGroup {
    pub title: &'static str,
    pub links: Vec<FacetLink>,
}

/// A filter that is on, with the way to drop it.
pub(super) struct Chip {
    pub href: String,
    pub label: String,
}

/// A category's name, as far as the facets know it.
pub(super) fn category_name(slug: &str, facets: &Facets) -> String {
    let known = facets.category.iter().find(|value| value.value == slug);
    known
        .and_then(|value| value.name.clone())
        .unwrap_or_else(|| format::words(slug))
}

/// The facets that have values.
pub(super) fn groups(query: &Query, facets: &Facets, currency: Currency) -> Vec<FacetGroup> {
    let category = facets.category.iter().map(|value| FacetLink {
        href: query.href(|query| toggle(&mut query.category, &value.value)),
        label: value.name.clone().unwrap_or_else(|| value.value.clone()),
        count: value.count,
        selected: query.category == value.value,
    });
    let brand = facets.brand.iter().map(|value| FacetLink {
        href: query.href(|query| toggle(&mut query.brand, &value.value)),
        label: value.name.clone().unwrap_or_else(|| value.value.clone()),
        count: value.count,
        selected: query.brand == value.value,
    });
    let (from, to) = (format::amount(&query.from), format::amount(&query.to));
    let price = facets.price.iter().map(|range| {
        let selected =
            (from, to) == (range.from.filter(|from| *from > 0), range.to) && (from, to) != (None, None);
        let bound = |bound: Option<i64>| {
            bound
                .filter(|bound| !selected && *bound > 0)
                .map(format::typed)
                .unwrap_or_default()
        };
        FacetLink {
            href: query.href(|query| (query.from, query.to) = (bound(range.from), bound(range.to))),
            label: format::range(range.from, range.to, currency),
            count: range.count,
            selected,
        }
    });
    let groups = [
        ("Category", category.take(VALUES_MAX).collect()),
        ("Brand", brand.take(VALUES_MAX).collect()),
        ("Price", price.collect::<Vec<_>>()),
    ];
    let groups = groups
        .into_iter()
        .map(|(title, links)| FacetGroup { title, links });
    groups.filter(|group| !group.links.is_empty()).collect()
}

fn toggle(field: &mut String, value: &str) {
    *field = if field == value {
        String::new()
    } else {
        value.to_owned()
    };
}

/// The filters that are on.
pub(super) fn chips(query: &Query, facets: &Facets, currency: Currency) -> Vec<Chip> {
    let mut chips = Vec::new();
    let mut add = |on: bool, label: String, change: &dyn Fn(&mut Query)| {
        if on {
            chips.push(Chip {
                href: query.href(|query| change(query)),
                label: format::shortened(&label),
            });
        }
    };
    add(
        !query.category.is_empty(),
        category_name(&query.category, facets),
        &|query| query.category.clear(),
    );
    add(!query.brand.is_empty(), query.brand.clone(), &|query| {
        query.brand.clear();
    });
    let (from, to) = (format::amount(&query.from), format::amount(&query.to));
    add(
        (from, to) != (None, None),
        format::range(from, to, currency),
        &|query| {
            query.from.clear();
            query.to.clear();
        },
    );
    add(query.in_stock, "In stock".to_owned(), &|query| {
        query.in_stock = false;
    });
    for attr in &query.attr {
        add(true, attr.replacen(':', ": ", 1), &|query| {
            query.attr.retain(|other| other != attr);
        });
    }
    chips
}
