//! Bags and accessories: two categories.

use super::styles::HOMEWARE;
use super::{Category, Season, choice, flag, noun, number};

const SHADES: &[&str] = &[
    "Tan",
    "Black",
    "Navy",
    "Olive",
    "Burgundy",
    "Grey Marl",
    "Camel",
    "Teal",
    "Heather",
];

pub const CATEGORIES: &[Category] = &[
    Category {
        slug: "bags",
        name: "Bags",
        code: "BAG",
        demand: 7,
        style: &HOMEWARE,
        nouns: &[
            noun("tote bag", 9, 60).sized(&[("capacity_l", 10, 25)]),
            noun("satchel", 38, 180).sized(&[("capacity_l", 8, 18)]),
            noun("shopping bag", 4, 16)
                .sized(&[("capacity_l", 12, 30)])
                .of(&["canvas", "jute", "recycled cotton"])
                .without(&["laptop_sleeve", "closure"]),
            noun("wash bag", 12, 44)
                .sized(&[("capacity_l", 2, 6)])
                .without(&["laptop_sleeve"]),
            noun("weekend bag", 48, 220).sized(&[("capacity_l", 28, 45)]),
            noun("purse", 14, 70)
                .of(&["leather", "canvas", "recycled sailcloth"])
                .without(&["capacity_l", "laptop_sleeve"]),
            noun("shoulder bag", 24, 140).sized(&[("capacity_l", 4, 12)]),
        ],
        materials: &["waxed cotton", "leather", "canvas", "recycled sailcloth", "jute"],
        colours: SHADES,
        brands: &[
            "Satchel Row",
            "Tidewrack",
            "Harris & Lund",
            "Wayfarer's",
            "Mabel Grey",
            "Portmanteau",
        ],
        facts: &[
            number("capacity_l", (1, 45, 1), "There is room for {} litres.").named("l"),
            number("pockets", (1, 8, 1), "Number of pockets: {}."),
            flag("laptop_sleeve", 30, "A padded sleeve takes a laptop."),
            choice(
                "closure",
                &["zip", "magnet", "buckle", "drawstring"],
                "It closes with a {}.",
            ),
        ],
        uses: &[
            "It looks better with every year of use.",
            "The straps are wide enough for a heavy load.",
            "It goes from the market to the office without a change.",
            "You can find your keys in it at once.",
        ],
        season: Season::Even,
        goes_with: &["scarves-and-gloves", "notebooks", "walking"],
    },
    Category {
        slug: "scarves-and-gloves",
        name: "Scarves & Gloves",
        code: "SCF",
        demand: 5,
        style: &HOMEWARE,
        nouns: &[
            noun("scarf", 14, 85).without(&["touchscreen_fingertips", "size"]),
            noun("pair of gloves", 12, 70),
            noun("bobble hat", 12, 36).without(&["touchscreen_fingertips"]),
            noun("pair of mittens", 10, 34).without(&["touchscreen_fingertips"]),
            noun("snood", 12, 40).without(&["touchscreen_fingertips", "size"]),
            noun("pair of bed socks", 7, 20).without(&["touchscreen_fingertips"]),
        ],
        materials: &["lambswool", "cashmere", "merino wool", "recycled wool", "alpaca"],
        colours: SHADES,
        brands: &["Wether Hill", "Fairlea", "Mabel Grey", "Swale", "High Tarn"],
        facts: &[
            choice("size", &["small", "medium", "large", "one size"], "Size: {}.").named(""),
            flag(
                "touchscreen_fingertips",
                25,
                "The fingertips work on touchscreens.",
            ),
            flag("knitted_in_scotland", 35, "It is knitted in Scotland."),
            choice(
                "pattern",
                &["plain", "Fair Isle", "striped", "checked", "cable knit"],
                "The pattern is {}.",
            ),
        ],
        uses: &[
            "It is warm without being bulky.",
            "It does not itch, even on bare skin.",
            "{colour} goes with every coat you have.",
            "It washes by hand and dries in its shape.",
        ],
        season: Season::Winter,
        goes_with: &["bags", "walking", "cushions-and-throws"],
    },
];
