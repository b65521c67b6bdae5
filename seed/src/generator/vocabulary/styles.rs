//! How a department talks: the names of its ranges and the sentences that open and close a description.

use super::THEME_COUNT;

/// How names and descriptions are composed.
///
/// In sentences `{brand}`, `{range}`, `{noun}`, `{a noun}`, `{material}`, `{colour}` and `{theme}` are filled in.
pub struct Style {
    /// The name: `{brand} {range} {Material} {Noun}` and such; `{Material}` and `{Noun}` get capitals.
    pub name: &'static str,
    /// A maker's ranges, four for each theme.
    pub ranges: [&'static [&'static str]; THEME_COUNT],
    /// First sentences.
    pub openers: &'static [&'static str],
    /// Last sentences, which not every description has.
    pub closers: &'static [&'static str],
    /// Whether the theme is shown as the attribute `collection`.
    pub shows_theme: bool,
}

/// All styles, for tests.
pub const STYLES: [&Style; 4] = [&HOMEWARE, &TECHNOLOGY, &BOOK, &EQUIPMENT];

const HOME_RANGES: [&[&str]; THEME_COUNT] = [
    &["Saltmarsh", "Harbour", "Driftwood", "Pebble Cove"],
    &["Fernhollow", "Oakleaf", "Bracken", "Badger Wood"],
    &["Glasshouse", "Eucalyptus", "Orangery", "Wild Rose"],
    &["Ashdown", "Chatsbury", "Old Mill", "Regency"],
    &["Fjord", "Hygge", "Birch Lake", "Sorrel"],
    &["Nocturne", "Starfield", "Eclipse", "Ink"],
    &["Orchard", "Barley", "Pumpkin Lane", "Russet"],
    &["Cowslip", "Bluebell", "Skylark", "Clover"],
];

/// For what makes a home.
pub const HOMEWARE: Style = Style {
    name: "{brand} {range} {Material} {Noun}",
    ranges: HOME_RANGES,
    openers: &[
        "This {noun} from {brand} brings a quiet, {theme} feel to everyday life.",
        "Part of the {range} collection, this {noun} is made from {material} and built to be used every day.",
        "{brand} has worked with {material} for years, and it shows in this {noun}.",
        "A simple, well-made {noun} in {material}, designed to sit happily alongside the rest of the {range} range.",
        "The {range} {noun} takes its cue from {theme} colours and shapes.",
        "Made from {material}, this {noun} is one of those things you reach for without thinking.",
        "Here is {a noun} with character: {material}, carefully finished, and never quite like the one next to it.",
    ],
    closers: &[
        "It arrives in a recyclable box, ready to give.",
        "Pair it with other pieces from the {range} collection.",
        "It makes a thoughtful present for a new home.",
        "Small variations in finish are part of its charm.",
        "Designed in Britain by {brand}.",
    ],
    shows_theme: true,
};

/// For what has a plug or a battery.
pub const TECHNOLOGY: Style = Style {
    name: "{brand} {range} {Noun}",
    ranges: [
        &["Wave 2", "Wave 3", "Tide 100", "Tide 300"],
        &["Trail 5", "Trail 7", "Grove S", "Grove X"],
        &["Leaf One", "Leaf Two", "Stem 40", "Stem 60"],
        &["Classic 50", "Classic 70", "Regent II", "Regent III"],
        &["Nord Mini", "Nord Plus", "Lumi 1", "Lumi 4"],
        &["Nova 10", "Nova 20", "Onyx Pro", "Onyx Studio"],
        &["Ember 6", "Ember 8", "Amber Go", "Amber Max"],
        &["Lark Lite", "Lark Air", "Breeze 2", "Breeze 4"],
    ],
    openers: &[
        "The {brand} {range} is {a noun} that works the moment it comes out of the box.",
        "{brand} designed the {range} {noun} for people who would rather not read a manual.",
        "Well thought out and solidly made, this {noun} has a {material} body that feels good in the hand.",
        "With the {range}, {brand} has made {a noun} that does its job and stays out of the way.",
        "If you want {a noun} that simply works, the {range} is a safe choice.",
        "The {range} is the {noun} we would buy ourselves: sensible features in a neat {material} case.",
    ],
    closers: &[
        "It comes with a two-year guarantee from {brand}.",
        "All cables you need are in the box.",
        "The packaging is free of plastic.",
        "Spare parts are available from {brand} for five years.",
    ],
    shows_theme: false,
};

/// For books: the range is a word of the title and the material is the binding.
pub const BOOK: Style = Style {
    name: "{title} by {author} ({material})",
    ranges: [
        &["Salt", "Tide", "Harbour", "Lighthouse"],
        &["Forest", "Hollow", "Fern", "Owl"],
        &["Garden", "Orchid", "Glasshouse", "Rose"],
        &["Manor", "Abbey", "Clockmaker", "Mill"],
        &["Winter", "Fjord", "Snow", "North"],
        &["Midnight", "Shadow", "Star", "Moon"],
        &["Harvest", "Orchard", "Hearth", "Autumn"],
        &["Meadow", "Summer", "Skylark", "Honey"],
    ],
    openers: &[
        "{title} is {author}'s most generous book yet.",
        "Readers who know {author} will feel at home from the first page of {title}.",
        "In {title}, {author} returns with {a noun} that is hard to put down.",
        "A warm and clever {noun} from {author}, published by {brand}.",
        "{author} took four years to finish {title}, and every page was worth the wait.",
    ],
    closers: &[
        "This edition is published by {brand}.",
        "It makes a fine present, for others or for yourself.",
        "Printed on paper from responsibly managed forests.",
    ],
    shows_theme: true,
};

/// For tools, outdoor gear and toys: sturdy things with a purpose.
pub const EQUIPMENT: Style = Style {
    name: "{brand} {range} {Noun}",
    ranges: HOME_RANGES,
    openers: &[
        "The {brand} {range} {noun} is made from {material} and meant to last for years.",
        "Sturdy and easy to live with, this {noun} from {brand} is a firm favourite with our customers.",
        "{brand} tests everything it makes for months, and this {material} {noun} came through with ease.",
        "A dependable {noun} in {material}, with the small details that make the difference.",
        "Take the {range} {noun} with you, use it hard, and it will come back for more.",
        "This {noun} does one thing and does it well.",
    ],
    closers: &[
        "Replacement parts are available from {brand}.",
        "It comes with a three-year guarantee.",
        "Supplied with care instructions.",
        "A good present for anyone who would rather be outside.",
    ],
    shows_theme: true,
};
