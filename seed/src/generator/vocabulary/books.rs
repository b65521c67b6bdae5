//! Books: three categories. The brand is the publisher, the material the binding.

use super::styles::BOOK;
use super::{Category, Season, choice, flag, noun, number};

const PUBLISHERS: &[&str] = &[
    "Lantern Press",
    "Fold & Spine",
    "Marram Books",
    "Old Street Editions",
    "Greywater",
    "Tallow House",
    "Ampersand",
];
const BINDINGS: &[&str] = &["paperback", "hardback", "clothbound edition"];

pub const CATEGORIES: &[Category] = &[
    Category {
        slug: "fiction",
        name: "Fiction",
        code: "FIC",
        demand: 8,
        style: &BOOK,
        nouns: &[
            noun("novel", 8, 22),
            noun("crime story", 8, 20),
            noun("short story collection", 9, 20),
            noun("historical novel", 9, 24),
            noun("love story", 8, 20),
            noun("ghost story", 8, 20),
        ],
        materials: BINDINGS,
        colours: &[],
        brands: PUBLISHERS,
        facts: &[
            number("pages", (180, 620, 4), "It runs to {} pages."),
            number("publication_year", (2006, 2021, 1), "It first appeared in {}."),
            flag("signed", 4, "This copy is signed by the author."),
            choice("audience", &["adults", "young adults"], "Written for {}."),
        ],
        uses: &[
            "The ending is one that you will argue about with friends.",
            "Book clubs have taken it to heart.",
            "Read it on a long journey, and bring tissues.",
            "Few writers notice as much, or say it as plainly.",
        ],
        season: Season::Summer,
        goes_with: &["notebooks", "mugs-and-cups", "cookery-books"],
    },
    Category {
        slug: "cookery-books",
        name: "Cookery Books",
        code: "COB",
        demand: 5,
        style: &BOOK,
        nouns: &[
            noun("cookery book", 14, 34),
            noun("baking book", 14, 32),
            noun("vegetarian cookbook", 14, 32),
            noun("preserving guide", 12, 26),
            noun("family cookbook", 14, 30),
        ],
        materials: BINDINGS,
        colours: &[],
        brands: PUBLISHERS,
        facts: &[
            number("pages", (128, 400, 8), "It has {} pages."),
            number("recipes", (50, 220, 5), "There are {} recipes in it."),
            flag("vegetarian", 40, "Every recipe is vegetarian."),
            number("publication_year", (2006, 2021, 1), "First published in {}."),
        ],
        uses: &[
            "The recipes work, and the washing-up is kept in mind.",
            "Every dish is photographed, so you know what to aim for.",
            "Ingredients come from an ordinary supermarket.",
            "Within a year its pages will be pleasantly stained.",
        ],
        season: Season::Christmas,
        goes_with: &["kitchen-utensils", "bakeware", "cookware"],
    },
    Category {
        slug: "childrens-books",
        name: "Children's Books",
        code: "CHB",
        demand: 5,
        style: &BOOK,
        nouns: &[
            noun("picture book", 7, 16).of(&["paperback", "hardback"]),
            noun("bedtime story", 6, 15),
            noun("activity book", 5, 14),
            noun("adventure story", 6, 14),
            noun("board book", 5, 12).of(&["board book"]),
        ],
        materials: &["paperback", "hardback", "board book"],
        colours: &[],
        brands: PUBLISHERS,
        facts: &[
            number("pages", (16, 240, 8), "It has {} pages."),
            choice(
                "reading_age",
                &["0 to 3", "3 to 6", "6 to 9", "9 to 12"],
                "It is right for ages {}.",
            ),
            flag(
                "illustrated_in_colour",
                75,
                "It is illustrated in colour throughout.",
            ),
        ],
        uses: &[
            "Expect to read it aloud more than once.",
            "There is a mouse hidden on every page.",
            "The heroine is braver than she thinks.",
            "It is funny for children and bearable for parents.",
        ],
        season: Season::Christmas,
        goes_with: &["wooden-toys", "puzzles-and-games"],
    },
];
