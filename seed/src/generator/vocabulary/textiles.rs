//! Home textiles: four categories.

use super::styles::HOMEWARE;
use super::{Category, Season, choice, flag, noun, number};

const TEXTILES: &[&str] = &[
    "Oatmeal",
    "Sage",
    "Ochre",
    "Dusky Pink",
    "Navy",
    "Charcoal",
    "Cream",
    "Rust",
    "Duck Egg",
    "Moss",
];
const WEAVERS: &[&str] = &[
    "Fairlea",
    "Loom & Lane",
    "Wether Hill",
    "Ottery Mills",
    "Swale",
    "Hemsworth & Daughters",
    "Nettlecombe",
];

pub const CATEGORIES: &[Category] = &[
    Category {
        slug: "cushions-and-throws",
        name: "Cushions & Throws",
        code: "CUS",
        demand: 8,
        style: &HOMEWARE,
        nouns: &[
            noun("cushion", 14, 48).sized(&[("width_cm", 40, 60)]),
            noun("bolster cushion", 18, 52).sized(&[("width_cm", 45, 65)]),
            noun("throw", 28, 110).sized(&[("width_cm", 120, 180)]),
            noun("floor cushion", 30, 85).sized(&[("width_cm", 60, 90)]),
            noun("cushion cover", 10, 32).sized(&[("width_cm", 40, 60)]),
            noun("blanket", 30, 130).sized(&[("width_cm", 120, 180)]),
        ],
        materials: &[
            "lambswool",
            "linen",
            "cotton velvet",
            "recycled cotton",
            "merino wool",
            "bouclé",
        ],
        colours: TEXTILES,
        brands: WEAVERS,
        facts: &[
            number("width_cm", (40, 180, 10), "It is {} cm wide.").named("cm"),
            flag("machine_washable", 55, "It can be washed at 30 degrees."),
            choice(
                "pattern",
                &["plain", "striped", "herringbone", "embroidered", "checked"],
                "The pattern is {}.",
            ),
        ],
        uses: &[
            "It turns a hard chair into a favourite one.",
            "Layer {colour} over neutrals for instant warmth.",
            "It is soft from the first day and softer after a year.",
            "Draped over an arm, it says that someone lives here.",
        ],
        season: Season::Winter,
        goes_with: &["bedding", "candles", "rugs"],
    },
    Category {
        slug: "bedding",
        name: "Bedding",
        code: "BED",
        demand: 6,
        style: &HOMEWARE,
        nouns: &[
            noun("duvet cover set", 32, 140),
            noun("fitted sheet", 16, 60),
            noun("pillowcase pair", 12, 42).without(&["bed_size"]),
            noun("bedspread", 45, 160).without(&["thread_count"]),
            noun("mattress protector", 18, 55).without(&["thread_count"]),
            noun("pillow", 12, 65)
                .of(&["goose down", "British wool", "bamboo lyocell"])
                .without(&["bed_size", "thread_count"]),
        ],
        materials: &[
            "cotton percale",
            "washed linen",
            "brushed cotton",
            "bamboo lyocell",
            "organic cotton",
        ],
        colours: TEXTILES,
        brands: WEAVERS,
        facts: &[
            choice(
                "bed_size",
                &["Single", "Double", "King", "Super King"],
                "This one fits a {} bed.",
            )
            .named(""),
            number("thread_count", (144, 600, 8), "The thread count is {}."),
            flag("organic", 30, "The fibre is certified organic."),
        ],
        uses: &[
            "It feels cool in summer and warm in winter.",
            "Guests will ask where it is from.",
            "It comes out of the dryer needing no iron.",
            "Good sleep starts with bedding like this.",
        ],
        season: Season::Winter,
        goes_with: &["towels", "cushions-and-throws"],
    },
    Category {
        slug: "towels",
        name: "Towels",
        code: "TWL",
        demand: 5,
        style: &HOMEWARE,
        nouns: &[
            noun("bath towel", 12, 38).sized(&[("length_cm", 120, 150)]),
            noun("hand towel", 7, 20).sized(&[("length_cm", 80, 100)]),
            noun("bath mat", 12, 40).sized(&[("length_cm", 70, 90)]).of(&[
                "Egyptian cotton",
                "bamboo",
                "recycled cotton",
            ]),
            noun("hammam towel", 14, 36)
                .sized(&[("length_cm", 150, 180)])
                .of(&["Turkish cotton", "linen"]),
            noun("set of ~towels", 32, 90),
            noun("face cloth pair", 5, 14).sized(&[("length_cm", 30, 40)]),
            noun("tea towel pair", 8, 20)
                .sized(&[("length_cm", 60, 80)])
                .of(&["linen", "recycled cotton"]),
        ],
        materials: &[
            "Egyptian cotton",
            "Turkish cotton",
            "linen",
            "bamboo cotton",
            "recycled cotton",
        ],
        colours: TEXTILES,
        brands: WEAVERS,
        facts: &[
            number(
                "weight_gsm",
                (300, 800, 50),
                "At {} gsm it drinks up water and still dries by evening.",
            )
            .named("gsm"),
            number("length_cm", (30, 160, 10), "It is {} cm long."),
            flag("quick_drying", 45, "It dries quickly on the rail."),
        ],
        uses: &[
            "It keeps its colour wash after wash.",
            "The woven border stops it fraying.",
            "Hang it in {colour} and the bathroom looks new.",
            "It is thick where it matters and light enough to pack.",
        ],
        season: Season::Even,
        goes_with: &["bedding", "storage-baskets"],
    },
    Category {
        slug: "rugs",
        name: "Rugs",
        code: "RUG",
        demand: 3,
        style: &HOMEWARE,
        nouns: &[
            noun("rug", 45, 320),
            noun("runner", 35, 140).sized(&[("length_cm", 180, 300)]),
            noun("doormat", 12, 38)
                .sized(&[("length_cm", 60, 100)])
                .of(&["coir", "jute", "recycled rubber"])
                .without(&["pile_mm", "reversible"]),
            noun("hearth rug", 38, 110)
                .sized(&[("length_cm", 100, 140)])
                .of(&["wool", "sheepskin", "cotton"]),
            noun("kitchen mat", 14, 44).sized(&[("length_cm", 80, 120)]),
        ],
        materials: &["wool", "jute", "cotton", "recycled polyester", "sisal"],
        colours: TEXTILES,
        brands: WEAVERS,
        facts: &[
            number("length_cm", (60, 300, 20), "It is {} cm long.").named("cm"),
            number("pile_mm", (3, 30, 1), "The pile is {} mm deep."),
            flag("non_slip", 50, "The back does not slip."),
            flag("reversible", 25, "Turn it over for a second pattern."),
        ],
        uses: &[
            "It takes the echo out of a bare room.",
            "Crumbs and muddy paws brush out easily.",
            "Bare feet will thank you in the morning.",
            "The weave hides what it has to.",
        ],
        season: Season::Winter,
        goes_with: &["cushions-and-throws", "storage-baskets"],
    },
];
