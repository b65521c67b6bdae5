//! The words the generated products are made of: forty categories in ten departments.
//!
//! Everything here is data. To add a product kind, add a noun; to add a category, add a [`Category`] to its
//! department and raise [`CATEGORY_COUNT`]. Changing anything changes the bytes, so the pinned digests in
//! `tests/generator.rs` change too.

mod books;
mod children;
mod dining;
mod electronics;
mod fashion;
mod gifts;
mod home;
mod kitchen;
mod outdoor;
mod styles;
mod textiles;

pub use styles::{STYLES, Style};

use super::seasons::Season;

/// The number of categories; products are dealt to them in turn.
pub const CATEGORY_COUNT: usize = 40;

/// Themes run through all departments, so that a customer's taste can.
pub const THEME_COUNT: usize = 8;

/// The themes, as the attribute `collection` and the storefront's words for them.
pub const THEMES: [&str; THEME_COUNT] = [
    "Coastal",
    "Woodland",
    "Botanical",
    "Heritage",
    "Nordic",
    "Midnight",
    "Harvest",
    "Meadow",
];

/// The shop's departments.
pub const DEPARTMENTS: [&[Category]; 10] = [
    kitchen::CATEGORIES,
    dining::CATEGORIES,
    home::CATEGORIES,
    textiles::CATEGORIES,
    gifts::CATEGORIES,
    electronics::CATEGORIES,
    outdoor::CATEGORIES,
    books::CATEGORIES,
    children::CATEGORIES,
    fashion::CATEGORIES,
];

/// The category with the number `index` (departments one after another).
pub fn category(index: usize) -> &'static Category {
    let mut index = index % CATEGORY_COUNT;
    for department in DEPARTMENTS {
        match department.get(index) {
            Some(category) => return category,
            None => index -= department.len(),
        }
    }
    &kitchen::CATEGORIES[0]
}

/// The number of the department of the category with the number `index`.
pub fn department_number(index: usize) -> usize {
    let mut left = index % CATEGORY_COUNT;
    for (number, department) in DEPARTMENTS.iter().enumerate() {
        if left < department.len() {
            return number;
        }
        left -= department.len();
    }
    0
}

/// A kind of goods and the words for it.
pub struct Category {
    /// The URL's word for it.
    pub slug: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// Three letters for the SKU.
    pub code: &'static str,
    /// How often it is bought, relative to the others.
    pub demand: u32,
    /// How names and descriptions are composed.
    pub style: &'static Style,
    /// What there is, with price bands.
    pub nouns: &'static [Noun],
    /// Materials, as an attribute and in names and sentences.
    pub materials: &'static [&'static str],
    /// Colours or finishes; empty where colour makes no sense.
    pub colours: &'static [&'static str],
    /// Invented makers. The first three are the well-known ones.
    pub brands: &'static [&'static str],
    /// Further attributes with their sentences.
    pub facts: &'static [Fact],
    /// Sentences about using it; `{noun}`, `{material}` and `{colour}` are filled in.
    pub uses: &'static [&'static str],
    /// When it sells.
    pub season: Season,
    /// Slugs of categories that are bought together with it.
    pub goes_with: &'static [&'static str],
}

/// A thing and what it costs, in pounds.
pub struct Noun {
    /// In lower case, singular; `~` marks where a name has the material when it is not before the whole.
    pub text: &'static str,
    /// The cheapest and the dearest, in pounds.
    pub pounds: (u32, u32),
    /// Its own materials; empty means the category's.
    pub materials: &'static [&'static str],
    /// Facts of the category that make no sense for it.
    pub without: &'static [&'static str],
    /// The smallest and the largest value of the facts whose usual ones do not suit it.
    pub sizes: &'static [(&'static str, i64, i64)],
}

impl Noun {
    /// Made of these instead of the category's materials.
    const fn of(mut self, materials: &'static [&'static str]) -> Self {
        self.materials = materials;
        self
    }

    /// Narrows numbers of the category: key, smallest, largest.
    const fn sized(mut self, sizes: &'static [(&'static str, i64, i64)]) -> Self {
        self.sizes = sizes;
        self
    }

    /// Leaves out these facts of the category.
    const fn without(mut self, facts: &'static [&'static str]) -> Self {
        self.without = facts;
        self
    }
}

/// A further attribute.
pub struct Fact {
    /// The attribute's key.
    pub key: &'static str,
    /// Its values.
    pub values: Values,
    /// A sentence about it; `{}` is the value. A flag's sentence is used only when it is true.
    pub sentence: &'static str,
    /// The value with this unit is part of the name.
    pub in_name: Option<&'static str>,
}

/// What values a [`Fact`] takes.
pub enum Values {
    /// Whole numbers `min`, `min + step`, … up to `max`.
    Number {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
        /// From one to the next.
        step: i64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// True for so many in a hundred.
    Flag(u32),
}

const fn noun(text: &'static str, min_pounds: u32, max_pounds: u32) -> Noun {
    Noun {
        text,
        pounds: (min_pounds, max_pounds),
        materials: &[],
        without: &[],
        sizes: &[],
    }
}

const fn number(key: &'static str, (min, max, step): (i64, i64, i64), sentence: &'static str) -> Fact {
    Fact {
        key,
        values: Values::Number { min, max, step },
        sentence,
        in_name: None,
    }
}

const fn choice(key: &'static str, values: &'static [&'static str], sentence: &'static str) -> Fact {
    Fact {
        key,
        values: Values::Choice(values),
        sentence,
        in_name: None,
    }
}

const fn flag(key: &'static str, percent: u32, sentence: &'static str) -> Fact {
    Fact {
        key,
        values: Values::Flag(percent),
        sentence,
        in_name: None,
    }
}

impl Fact {
    /// Puts the value, followed by `unit`, into the product's name.
    const fn named(mut self, unit: &'static str) -> Self {
        self.in_name = Some(unit);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn all() -> Vec<&'static Category> {
        (0..CATEGORY_COUNT).map(category).collect()
    }

    #[test]
    fn categories_are_complete_distinct_and_refer_to_each_other() {
        assert_eq!(
            DEPARTMENTS
                .iter()
                .map(|department| department.len())
                .sum::<usize>(),
            CATEGORY_COUNT
        );
        let slugs: BTreeSet<_> = all().iter().map(|category| category.slug).collect();
        let codes: BTreeSet<_> = all().iter().map(|category| category.code).collect();
        assert_eq!((slugs.len(), codes.len()), (CATEGORY_COUNT, CATEGORY_COUNT));
        for category in all() {
            assert!(
                category.brands.len() >= 4 && category.nouns.len() >= 4,
                "{}",
                category.slug
            );
            assert!(
                category.uses.len() >= 3 && category.materials.len() >= 2,
                "{}",
                category.slug
            );
            assert!(!category.goes_with.is_empty(), "{}", category.slug);
            for other in category.goes_with {
                assert!(
                    slugs.contains(other),
                    "{} goes with the unknown {other}",
                    category.slug
                );
            }
            for noun in category.nouns {
                assert!(
                    0 < noun.pounds.0 && noun.pounds.0 < noun.pounds.1,
                    "{}",
                    noun.text
                );
                for (key, min, max) in noun.sizes {
                    let fact = category.facts.iter().find(|fact| fact.key == *key);
                    assert!(
                        fact.is_some_and(|fact| matches!(fact.values, Values::Number { .. })),
                        "{key}"
                    );
                    assert!(0 < *min && min < max, "{key}");
                }
                for key in noun.without {
                    assert!(
                        category.facts.iter().any(|fact| fact.key == *key),
                        "{} lacks {key}",
                        noun.text
                    );
                }
            }
        }
    }

    #[test]
    fn attribute_keys_are_distinct_within_a_category() {
        for category in all() {
            let keys: BTreeSet<_> = category.facts.iter().map(|fact| fact.key).collect();
            assert_eq!(keys.len(), category.facts.len(), "{}", category.slug);
            assert!(
                keys.is_disjoint(&BTreeSet::from(["colour", "material", "collection"])),
                "{}",
                category.slug
            );
        }
    }
}
