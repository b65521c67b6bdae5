//! Gifts and stationery: five categories.

use super::styles::HOMEWARE;
use super::{Category, Season, choice, flag, noun, number};

const PAPERS: &[&str] = &[
    "Sky", "Poppy", "Sage", "Navy", "Lemon", "Kraft", "Blush", "Emerald", "Plum",
];
const STATIONERS: &[&str] = &[
    "Paperfold",
    "Quill & Post",
    "Inkberry",
    "Folio Lane",
    "Dear Margot",
    "Penny Plain",
];

pub const CATEGORIES: &[Category] = &[
    Category {
        slug: "greeting-cards",
        name: "Greeting Cards",
        code: "CRD",
        demand: 12,
        style: &HOMEWARE,
        nouns: &[
            noun("birthday card", 2, 5),
            noun("thank-you card set", 4, 12),
            noun("wedding card", 2, 6),
            noun("new baby card", 2, 5),
            noun("anniversary card", 2, 6),
            noun("set of ten ~notecards", 6, 16),
            noun("get-well card", 2, 5),
        ],
        materials: &[
            "recycled card",
            "cotton paper",
            "seeded paper",
            "letterpress card",
        ],
        colours: PAPERS,
        brands: STATIONERS,
        facts: &[
            choice("card_size", &["A6", "A5", "square", "DL"], "The format is {}.").named(""),
            flag("blank_inside", 75, "It is left blank inside for your own words."),
            flag("plastic_free", 85, "It comes without cellophane."),
        ],
        uses: &[
            "The envelope is heavy enough to survive the post.",
            "It is printed in small runs with vegetable inks.",
            "It will stand on a mantelpiece without curling.",
            "It says enough, so that you do not have to.",
        ],
        season: Season::Even,
        goes_with: &["gift-wrap", "pens-and-pencils"],
    },
    Category {
        slug: "notebooks",
        name: "Notebooks & Diaries",
        code: "NTB",
        demand: 6,
        style: &HOMEWARE,
        nouns: &[
            noun("notebook", 5, 22),
            noun("diary", 8, 28),
            noun("sketchbook", 7, 26),
            noun("weekly planner", 9, 26),
            noun("recipe journal", 12, 30),
            noun("travel journal", 10, 32),
        ],
        materials: &["recycled leather", "linen", "kraft card", "cloth", "cork"],
        colours: PAPERS,
        brands: STATIONERS,
        facts: &[
            choice("page_size", &["A6", "A5", "B5", "A4"], "The pages are {}.").named(""),
            number("pages", (64, 320, 16), "There are {} pages."),
            choice("ruling", &["lined", "dotted", "plain", "squared"], "Ruling: {}."),
            flag("lies_flat", 70, "It lies flat when it is open."),
        ],
        uses: &[
            "The paper takes a fountain pen without bleeding.",
            "A ribbon keeps your place.",
            "It fits a coat pocket and a long train journey.",
            "The pocket at the back keeps tickets and stamps.",
        ],
        season: Season::BackToSchool,
        goes_with: &["pens-and-pencils", "fiction", "bags"],
    },
    Category {
        slug: "pens-and-pencils",
        name: "Pens & Pencils",
        code: "PEN",
        demand: 5,
        style: &HOMEWARE,
        nouns: &[
            noun("fountain pen", 18, 120),
            noun("ballpoint pen", 5, 38),
            noun("set of twelve ~pencils", 6, 24)
                .of(&["cedar", "recycled newspaper"])
                .without(&["line_width", "refillable"]),
            noun("pencil case", 7, 26)
                .of(&["canvas", "recycled leather", "cork"])
                .without(&["line_width", "refillable"]),
            noun("brush pen set", 9, 30)
                .of(&["recycled plastic", "bamboo"])
                .without(&["line_width"]),
            noun("mechanical pencil", 6, 34),
        ],
        materials: &["brass", "cedar", "aluminium", "recycled plastic", "walnut"],
        colours: PAPERS,
        brands: STATIONERS,
        facts: &[
            choice("line_width", &["fine", "medium", "broad"], "It writes a {} line.").named("tip"),
            flag("refillable", 65, "It can be refilled."),
            number("weight_g", (6, 60, 2), "It weighs {} g."),
        ],
        uses: &[
            "It is made for people who still write letters.",
            "It is a pleasure to have on a desk.",
            "In {colour} it is easy to find in a bag.",
            "It makes writing lists feel like work worth doing.",
        ],
        season: Season::BackToSchool,
        goes_with: &["notebooks", "greeting-cards"],
    },
    Category {
        slug: "gift-wrap",
        name: "Gift Wrap",
        code: "WRP",
        demand: 8,
        style: &HOMEWARE,
        nouns: &[
            noun("roll of ~gift wrap", 3, 9)
                .sized(&[("length_m", 2, 10)])
                .of(&["recycled paper", "kraft paper", "seeded paper"]),
            noun("gift bag", 2, 7)
                .of(&["recycled paper", "kraft paper", "cotton"])
                .without(&["length_m"]),
            noun("set of ~gift tags", 2, 6)
                .of(&["recycled card", "kraft card", "seeded card"])
                .without(&["length_m"]),
            noun("reel of ~ribbon", 3, 10)
                .sized(&[("length_m", 5, 25)])
                .of(&["cotton", "velvet", "satin"])
                .without(&["recyclable"]),
            noun("gift box", 4, 14)
                .of(&["recycled card", "kraft card"])
                .without(&["length_m"]),
            noun("pack of tissue paper", 2, 6)
                .of(&["recycled paper", "cotton paper"])
                .without(&["length_m", "foil_free"]),
        ],
        materials: &["recycled paper", "kraft paper", "cotton", "seeded paper"],
        colours: PAPERS,
        brands: STATIONERS,
        facts: &[
            number("length_m", (2, 25, 1), "There are {} m of it.").named("m"),
            flag("recyclable", 90, "It can go straight into the recycling."),
            flag("foil_free", 70, "There is no foil or glitter in it."),
        ],
        uses: &[
            "It turns a small present into a large one.",
            "It is strong enough to survive the post.",
            "It comes from a small mill in Cumbria.",
            "Save it and use it again next year.",
        ],
        season: Season::Christmas,
        goes_with: &["greeting-cards", "christmas", "candles"],
    },
    Category {
        slug: "christmas",
        name: "Christmas",
        code: "XMS",
        demand: 9,
        style: &HOMEWARE,
        nouns: &[
            noun("bauble", 3, 14).sized(&[("height_cm", 6, 12)]).of(&[
                "glass",
                "felt",
                "paper",
                "birch wood",
            ]),
            noun("set of six ~baubles", 10, 34)
                .sized(&[("height_cm", 6, 10)])
                .of(&["glass", "felt", "birch wood"]),
            noun("wreath", 18, 75)
                .sized(&[("height_cm", 28, 60)])
                .of(&["willow", "felt", "eucalyptus"]),
            noun("advent calendar", 9, 40)
                .of(&["birch wood", "paper", "felt"])
                .without(&["battery_lights"]),
            noun("stocking", 9, 32)
                .sized(&[("height_cm", 36, 60)])
                .of(&["felt", "wool", "cotton velvet"])
                .without(&["battery_lights"]),
            noun("tree topper", 8, 28)
                .sized(&[("height_cm", 15, 32)])
                .of(&["glass", "brass", "paper", "felt"]),
            noun("garland", 9, 36)
                .of(&["felt", "paper", "birch wood", "eucalyptus"])
                .without(&["height_cm"]),
            noun("box of ~crackers", 10, 38)
                .of(&["recycled paper", "kraft paper"])
                .without(&["height_cm", "battery_lights"]),
            noun("nativity set", 24, 90).sized(&[("height_cm", 8, 24)]).of(&[
                "birch wood",
                "felt",
                "olive wood",
            ]),
            noun("set of ~Christmas cards", 4, 12)
                .of(&["recycled card", "letterpress card"])
                .without(&["height_cm", "battery_lights"]),
        ],
        materials: &["glass", "felt", "wood", "paper", "wool", "brass"],
        colours: &[
            "Red",
            "Gold",
            "Silver",
            "Forest Green",
            "White",
            "Midnight Blue",
            "Natural",
        ],
        brands: &[
            "Yule & Co",
            "Candlemas",
            "Penny Plain",
            "Northlight",
            "Holly Yard",
        ],
        facts: &[
            number("height_cm", (5, 60, 1), "It is {} cm high.").named("cm"),
            flag("handmade", 40, "It is made by hand."),
            flag(
                "battery_lights",
                20,
                "Small lights are built in; batteries are included.",
            ),
        ],
        uses: &[
            "It will come out of its box every December for years.",
            "It looks best where the lights can reach it.",
            "In {colour} it goes with whatever is on the tree already.",
            "Hang it high if there is a cat in the house.",
        ],
        season: Season::OnlyChristmas,
        goes_with: &["gift-wrap", "candles", "greeting-cards"],
    },
];
