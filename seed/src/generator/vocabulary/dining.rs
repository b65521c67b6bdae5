//! Dining: three categories.

use super::styles::HOMEWARE;
use super::{Category, Season, choice, flag, noun, number};

/// Colours of glazed and enamelled things.
pub(super) const GLAZES: &[&str] = &[
    "Sage",
    "Oatmeal",
    "Slate Blue",
    "Charcoal",
    "Blush",
    "Mustard",
    "Ivory",
    "Sea Green",
    "Terracotta",
    "Indigo",
];
const POTTERS: &[&str] = &[
    "Thornbury",
    "Marlow & Finch",
    "Kiln Lane",
    "Hartley Potts",
    "Penrose",
    "Studio Alder",
    "Wexcombe",
    "Tolland",
];

pub const CATEGORIES: &[Category] = &[
    Category {
        slug: "mugs-and-cups",
        name: "Mugs & Cups",
        code: "MUG",
        demand: 10,
        style: &HOMEWARE,
        nouns: &[
            noun("mug", 6, 18),
            noun("espresso cup", 5, 14).sized(&[("capacity_ml", 60, 120)]),
            noun("teacup and saucer", 9, 26).sized(&[("capacity_ml", 180, 240)]),
            noun("travel mug", 12, 32)
                .sized(&[("capacity_ml", 300, 480)])
                .of(&["stainless steel", "bamboo fibre"])
                .without(&["microwave_safe"]),
            noun("latte cup", 8, 19).sized(&[("capacity_ml", 280, 400)]),
            noun("set of four ~mugs", 24, 58),
        ],
        materials: &["stoneware", "porcelain", "bone china", "enamel", "earthenware"],
        colours: GLAZES,
        brands: POTTERS,
        facts: &[
            number(
                "capacity_ml",
                (180, 480, 20),
                "It holds {} ml, enough for a proper cup.",
            )
            .named("ml"),
            flag("dishwasher_safe", 80, "It is safe in the dishwasher."),
            flag("microwave_safe", 70, "You can warm it up in the microwave."),
        ],
        uses: &[
            "It feels good in cold hands.",
            "It keeps its warmth until the last sip.",
            "The {colour} glaze pools a little at the rim, so no two are alike.",
            "It is as good for soup at a desk as for tea in bed.",
        ],
        season: Season::Winter,
        goes_with: &["tableware", "small-appliances", "cookery-books"],
    },
    Category {
        slug: "tableware",
        name: "Tableware",
        code: "TBL",
        demand: 7,
        style: &HOMEWARE,
        nouns: &[
            noun("dinner plate", 8, 28).sized(&[("diameter_cm", 25, 30)]),
            noun("side plate", 6, 18).sized(&[("diameter_cm", 17, 22)]),
            noun("pasta bowl", 9, 26).sized(&[("diameter_cm", 20, 25)]),
            noun("cereal bowl", 7, 19).sized(&[("diameter_cm", 14, 18)]),
            noun("serving platter", 16, 60).sized(&[("diameter_cm", 30, 42)]),
            noun("butter dish", 12, 32)
                .sized(&[("diameter_cm", 14, 18)])
                .of(&["stoneware", "porcelain", "bone china", "earthenware"]),
            noun("milk jug", 9, 28).sized(&[("diameter_cm", 8, 12)]),
            noun("gravy boat", 12, 34).sized(&[("diameter_cm", 14, 20)]).of(&[
                "stoneware",
                "porcelain",
                "bone china",
            ]),
        ],
        materials: &[
            "stoneware",
            "porcelain",
            "bone china",
            "earthenware",
            "bamboo fibre",
        ],
        colours: GLAZES,
        brands: POTTERS,
        facts: &[
            number("diameter_cm", (12, 34, 1), "It measures {} cm at its widest.").named("cm"),
            flag("dishwasher_safe", 85, "It is happy in the dishwasher."),
            choice(
                "finish",
                &["matt", "gloss", "speckled", "crackle"],
                "The {} finish shows off plain food beautifully.",
            ),
        ],
        uses: &[
            "It stacks neatly and takes up little room in the cupboard.",
            "Everyday meals look a little more like an occasion on it.",
            "Mix {colour} with other shades, or lay the whole table in one.",
            "It is strong enough for a family and handsome enough for guests.",
        ],
        season: Season::Christmas,
        goes_with: &["glassware", "mugs-and-cups", "candles"],
    },
    Category {
        slug: "glassware",
        name: "Glassware",
        code: "GLS",
        demand: 5,
        style: &HOMEWARE,
        nouns: &[
            noun("wine glass", 6, 24).sized(&[("capacity_ml", 250, 600)]),
            noun("tumbler", 4, 16).sized(&[("capacity_ml", 200, 450)]),
            noun("champagne flute", 7, 26).sized(&[("capacity_ml", 150, 250)]),
            noun("carafe", 14, 44).sized(&[("capacity_ml", 500, 1200)]),
            noun("water jug", 12, 40).sized(&[("capacity_ml", 1000, 2000)]),
            noun("whisky glass", 8, 32).sized(&[("capacity_ml", 200, 350)]),
            noun("set of six ~tumblers", 20, 64),
        ],
        materials: &[
            "crystal glass",
            "recycled glass",
            "borosilicate glass",
            "soda-lime glass",
        ],
        colours: &["Clear", "Smoke", "Amber", "Sea Green", "Rose", "Cobalt"],
        brands: &["Lumley Glass", "Clarendon", "Vitrine", "Fallow & Reed", "Corvane"],
        facts: &[
            number("capacity_ml", (150, 1500, 50), "It takes {} ml.").named("ml"),
            flag("hand_blown", 35, "Each one is blown by hand."),
            flag("dishwasher_safe", 60, "It can go in the dishwasher."),
        ],
        uses: &[
            "The weight in the base keeps it steady on an uneven table.",
            "It catches the light on a summer evening.",
            "The fine rim makes even tap water taste better.",
            "Put a few out and the table looks laid.",
        ],
        season: Season::Christmas,
        goes_with: &["tableware", "candles"],
    },
];
