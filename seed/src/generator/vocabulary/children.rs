//! Children: two categories.

use super::styles::EQUIPMENT;
use super::{Category, Season, choice, flag, noun, number};

const BRIGHTS: &[&str] = &["Rainbow", "Sky", "Sunshine", "Natural", "Berry", "Mint", "Coral"];
const TOYMAKERS: &[&str] = &[
    "Tumbledown Toys",
    "Hopscotch",
    "Little Bramble",
    "Puddle Lane",
    "Acorn & Ivy",
    "Magpie Play",
];

pub const CATEGORIES: &[Category] = &[
    Category {
        slug: "wooden-toys",
        name: "Wooden & Soft Toys",
        code: "TOY",
        demand: 6,
        style: &EQUIPMENT,
        nouns: &[
            noun("toy train", 14, 48)
                .sized(&[("height_cm", 8, 14)])
                .of(&["beech", "rubberwood", "maple"]),
            noun("building block set", 12, 55)
                .sized(&[("height_cm", 16, 32)])
                .of(&["beech", "rubberwood", "maple"]),
            noun("stacking rings set", 8, 24)
                .sized(&[("height_cm", 16, 26)])
                .of(&["beech", "rubberwood"]),
            noun("soft toy rabbit", 10, 32)
                .sized(&[("height_cm", 20, 46)])
                .of(&["organic cotton", "recycled plush"])
                .without(&["pieces", "water_based_paint"]),
            noun("soft toy bear", 12, 40)
                .sized(&[("height_cm", 20, 60)])
                .of(&["organic cotton", "recycled plush"])
                .without(&["pieces", "water_based_paint"]),
            noun("pull-along dog", 12, 30)
                .sized(&[("height_cm", 12, 22)])
                .of(&["beech", "maple"])
                .without(&["pieces"]),
            noun("toy kitchen set", 24, 120)
                .sized(&[("height_cm", 40, 90)])
                .of(&["beech", "birch plywood"]),
            noun("doll's house", 48, 190)
                .sized(&[("height_cm", 50, 90)])
                .of(&["birch plywood", "beech"]),
        ],
        materials: &["beech", "rubberwood", "organic cotton", "maple", "recycled plush"],
        colours: BRIGHTS,
        brands: TOYMAKERS,
        facts: &[
            choice(
                "age_from",
                &["birth", "12 months", "18 months", "3 years", "5 years"],
                "It is suitable from {}.",
            ),
            number("pieces", (1, 80, 1), "Pieces in the set: {}."),
            flag("water_based_paint", 80, "All paints are water-based."),
            number("height_cm", (8, 70, 2), "It is {} cm high.").named("cm"),
        ],
        uses: &[
            "Corners are round and paints are safe to chew.",
            "It can be handed down, and usually is.",
            "No batteries, no noise, hours of play.",
            "It fits small hands and big stories.",
        ],
        season: Season::Christmas,
        goes_with: &["puzzles-and-games", "childrens-books"],
    },
    Category {
        slug: "puzzles-and-games",
        name: "Puzzles & Games",
        code: "PUZ",
        demand: 6,
        style: &EQUIPMENT,
        nouns: &[
            noun("jigsaw puzzle", 8, 28)
                .of(&["recycled card", "linen-finish card", "birch plywood"])
                .without(&["players_max", "minutes"]),
            noun("board game", 14, 55).without(&["pieces"]),
            noun("card game", 6, 22)
                .sized(&[("minutes", 10, 40)])
                .of(&["recycled card", "linen-finish card"])
                .without(&["pieces"]),
            noun("memory game", 7, 20).sized(&[("minutes", 10, 30)]),
            noun("chess set", 18, 90)
                .of(&["beech", "maple", "walnut"])
                .without(&["pieces", "players_max", "minutes"]),
            noun("wooden puzzle", 7, 26)
                .of(&["beech", "birch plywood"])
                .without(&["players_max", "minutes"]),
            noun("quiz game", 10, 30)
                .of(&["recycled card", "linen-finish card"])
                .without(&["pieces"]),
        ],
        materials: &["recycled card", "beech", "linen-finish card", "birch plywood"],
        colours: BRIGHTS,
        brands: TOYMAKERS,
        facts: &[
            choice(
                "pieces",
                &["24", "48", "100", "250", "500", "1000"],
                "It has {} pieces.",
            )
            .named("pieces"),
            number("players_max", (1, 8, 1), "Players, at most: {}."),
            number("minutes", (10, 120, 5), "A round takes about {} minutes."),
            choice(
                "age_from",
                &["3 years", "5 years", "8 years", "12 years"],
                "For ages from {}.",
            ),
        ],
        uses: &[
            "The rules fit on one page.",
            "It has settled a good many rainy Sundays.",
            "Grandparents win as often as children do.",
            "The box closes properly, so nothing gets lost.",
        ],
        season: Season::Christmas,
        goes_with: &["wooden-toys", "childrens-books"],
    },
];
