//! Home: six categories.

use super::styles::HOMEWARE;
use super::{Category, Season, choice, flag, noun, number};

const FINISHES: &[&str] = &[
    "Antique Brass",
    "Matt Black",
    "Natural",
    "White",
    "Walnut",
    "Pewter",
];
const MAKERS: &[&str] = &[
    "Elmstead",
    "Fenwood",
    "Hollis & Gray",
    "Tamar",
    "Northlight",
    "Quarter Past",
    "Arden Works",
];

/// What only burns.
const CANDLE_FACTS: &[&str] = &["burn_time_hours", "scent", "vegan"];
/// What only a frame for one picture has.
const FRAME_FACTS: &[&str] = &["photo_size", "orientation", "mount_included"];

pub const CATEGORIES: &[Category] = &[
    Category {
        slug: "candles",
        name: "Candles",
        code: "CAN",
        demand: 10,
        style: &HOMEWARE,
        nouns: &[
            noun("scented candle", 9, 42).of(&["soy wax", "beeswax", "rapeseed wax"]),
            noun("pillar candle", 6, 22).of(&["soy wax", "beeswax", "rapeseed wax"]),
            noun("set of ~dinner candles", 6, 18).of(&["beeswax", "rapeseed wax"]),
            noun("tea light holder", 5, 20)
                .of(&["glass", "ceramic", "brass"])
                .without(CANDLE_FACTS),
            noun("candlestick", 10, 44)
                .of(&["brass", "ceramic", "oak"])
                .without(CANDLE_FACTS),
            noun("reed diffuser", 14, 48)
                .of(&["glass", "ceramic"])
                .without(&["burn_time_hours"]),
            noun("hurricane lantern", 18, 65)
                .of(&["glass", "galvanised steel", "copper"])
                .without(CANDLE_FACTS),
        ],
        materials: &["soy wax", "beeswax", "rapeseed wax", "glass", "ceramic"],
        colours: &[
            "Ivory",
            "Amber",
            "Forest Green",
            "Blush",
            "Charcoal",
            "Sea Salt",
            "Plum",
        ],
        brands: &[
            "Wick & Willow",
            "Ember Lane",
            "Sallow",
            "Apothecary Row",
            "Bee & Barrow",
            "Candlemas",
        ],
        facts: &[
            choice(
                "scent",
                &[
                    "Fig & Cassis",
                    "Sea Salt",
                    "Lavender",
                    "Cedar & Smoke",
                    "Orange & Clove",
                    "Unscented",
                    "Wild Mint",
                ],
                "The scent: {}.",
            )
            .named(""),
            number("burn_time_hours", (8, 80, 4), "It burns for about {} hours."),
            flag("vegan", 70, "No animal products are used."),
        ],
        uses: &[
            "Light it half an hour before guests arrive.",
            "Give it a still evening and a quiet corner.",
            "It looks good on the shelf between times, too.",
            "On a dark evening it does more than a lamp.",
        ],
        season: Season::Christmas,
        goes_with: &["vases", "gift-wrap", "cushions-and-throws", "christmas"],
    },
    Category {
        slug: "lamps",
        name: "Lamps",
        code: "LMP",
        demand: 5,
        style: &HOMEWARE,
        nouns: &[
            noun("table lamp", 28, 140).sized(&[("height_cm", 30, 60)]),
            noun("floor lamp", 60, 260).sized(&[("height_cm", 130, 170)]),
            noun("desk lamp", 25, 110).sized(&[("height_cm", 30, 55)]),
            noun("pendant shade", 20, 95).sized(&[("height_cm", 20, 40)]),
            noun("bedside lamp", 22, 88).sized(&[("height_cm", 25, 45)]),
            noun("string lights", 10, 34)
                .of(&["copper wire", "cotton cord"])
                .without(&["height_cm"]),
        ],
        materials: &["brass", "ceramic", "rattan", "oak", "frosted glass", "linen"],
        colours: FINISHES,
        brands: MAKERS,
        facts: &[
            number("height_cm", (20, 165, 5), "It stands {} cm tall.").named("cm"),
            choice(
                "bulb_fitting",
                &["E27", "E14", "B22", "integrated LED"],
                "The fitting is {}.",
            ),
            flag("dimmable", 55, "It can be dimmed."),
        ],
        uses: &[
            "It throws a warm pool of light where you read.",
            "The switch is where your hand looks for it.",
            "It makes the corner of a room worth sitting in.",
            "The flex is long enough for awkward sockets.",
        ],
        season: Season::Winter,
        goes_with: &["cushions-and-throws", "smart-home", "picture-frames"],
    },
    Category {
        slug: "clocks",
        name: "Clocks",
        code: "CLK",
        demand: 3,
        style: &HOMEWARE,
        nouns: &[
            noun("wall clock", 18, 95).sized(&[("diameter_cm", 26, 60)]),
            noun("mantel clock", 28, 120).sized(&[("diameter_cm", 12, 26)]),
            noun("alarm clock", 12, 48).sized(&[("diameter_cm", 8, 14)]),
            noun("kitchen timer", 6, 22).of(&["steel", "ceramic"]).without(&[
                "diameter_cm",
                "numerals",
                "silent_movement",
            ]),
            noun("carriage clock", 40, 160).sized(&[("diameter_cm", 8, 14)]),
        ],
        materials: &["oak", "steel", "walnut", "brass", "ceramic"],
        colours: FINISHES,
        brands: MAKERS,
        facts: &[
            number("diameter_cm", (8, 60, 2), "The face is {} cm across.").named("cm"),
            flag("silent_movement", 60, "The movement makes no sound."),
            choice("numerals", &["Arabic", "Roman", "none"], "Numerals: {}."),
        ],
        uses: &[
            "You can read it from across the room.",
            "It keeps time to a few seconds a month.",
            "One battery lasts well over a year.",
            "It gives a plain wall something to do.",
        ],
        season: Season::Even,
        goes_with: &["picture-frames", "lamps"],
    },
    Category {
        slug: "picture-frames",
        name: "Picture Frames",
        code: "FRM",
        demand: 6,
        style: &HOMEWARE,
        nouns: &[
            noun("photo frame", 6, 34),
            noun("gallery frame", 12, 58),
            noun("multi-photo frame", 14, 48),
            noun("box frame", 12, 40),
            noun("wall mirror", 28, 180).without(FRAME_FACTS),
            noun("photo album", 12, 38)
                .of(&["linen", "recycled leather", "kraft card"])
                .without(FRAME_FACTS),
        ],
        materials: &["oak", "brass", "beech", "recycled wood", "silver plate"],
        colours: FINISHES,
        brands: MAKERS,
        facts: &[
            choice(
                "photo_size",
                &["10 x 15", "13 x 18", "20 x 25", "21 x 30", "30 x 40"],
                "It takes pictures of {} cm.",
            )
            .named("cm"),
            choice(
                "orientation",
                &["portrait", "landscape", "either way"],
                "It hangs or stands: {}.",
            ),
            flag("mount_included", 60, "A white mount is included."),
        ],
        uses: &[
            "The glass lifts out in seconds when you change the picture.",
            "Group three in {colour} for a small gallery.",
            "It lets the photograph do the talking.",
            "Fixings for the wall are in the box.",
        ],
        season: Season::Christmas,
        goes_with: &["vases", "greeting-cards", "gift-wrap"],
    },
    Category {
        slug: "storage-baskets",
        name: "Storage & Baskets",
        code: "BSK",
        demand: 6,
        style: &HOMEWARE,
        nouns: &[
            noun("laundry basket", 22, 68).sized(&[("height_cm", 50, 70)]),
            noun("log basket", 28, 90),
            noun("storage box", 10, 36).sized(&[("height_cm", 14, 34)]),
            noun("shelf basket", 8, 30).sized(&[("height_cm", 12, 26)]),
            noun("coat hook rail", 14, 52)
                .of(&["oak", "steel", "ash"])
                .without(&["height_cm", "with_lid", "foldable"]),
            noun("shoe rack", 24, 80)
                .of(&["bamboo", "steel", "oak"])
                .without(&["with_lid"]),
            noun("umbrella stand", 26, 75).without(&["with_lid", "foldable"]),
        ],
        materials: &[
            "willow",
            "seagrass",
            "felt",
            "bamboo",
            "galvanised steel",
            "water hyacinth",
        ],
        colours: &["Natural", "Grey Wash", "White", "Black", "Honey"],
        brands: &["Stow", "Fenwood", "Withy & Son", "Nettlecombe", "Tidewrack"],
        facts: &[
            number("height_cm", (12, 70, 2), "It is {} cm high.").named("cm"),
            flag("with_lid", 35, "The lid keeps out dust and cats."),
            flag("foldable", 40, "It folds flat when you do not need it."),
        ],
        uses: &[
            "It makes a hallway look lived in rather than cluttered.",
            "The handles are stitched twice, because they get pulled.",
            "Toys, towels or newspapers: it swallows them all.",
            "It slides neatly under a bench.",
        ],
        season: Season::Spring,
        goes_with: &["towels", "rugs", "food-storage"],
    },
    Category {
        slug: "vases",
        name: "Vases & Ornaments",
        code: "VAS",
        demand: 5,
        style: &HOMEWARE,
        nouns: &[
            noun("vase", 10, 68).of(&["stoneware", "recycled glass", "porcelain", "brass"]),
            noun("bud vase", 5, 22).sized(&[("height_cm", 8, 16)]).of(&[
                "stoneware",
                "recycled glass",
                "porcelain",
                "brass",
            ]),
            noun("decorative bowl", 12, 54).sized(&[("height_cm", 8, 16)]),
            noun("figurine", 9, 40)
                .sized(&[("height_cm", 8, 26)])
                .of(&["porcelain", "brass", "mango wood"])
                .without(&["watertight"]),
            noun("bookend pair", 16, 58)
                .sized(&[("height_cm", 12, 22)])
                .of(&["brass", "mango wood", "marble"])
                .without(&["watertight"]),
            noun("trinket dish", 5, 20).without(&["height_cm", "watertight"]),
        ],
        materials: &["stoneware", "recycled glass", "porcelain", "brass", "mango wood"],
        colours: &["White", "Sage", "Smoke", "Terracotta", "Cobalt", "Blush", "Black"],
        brands: &["Kiln Lane", "Vitrine", "Studio Alder", "Penrose", "Gilly Marsh"],
        facts: &[
            number("height_cm", (8, 45, 1), "It is {} cm tall.").named("cm"),
            flag("handmade", 50, "Made by hand in small batches."),
            flag("watertight", 75, "It holds water without marking the table."),
        ],
        uses: &[
            "A single stem is enough for it.",
            "It looks finished even when it is empty.",
            "It catches the morning light on a windowsill.",
            "The {colour} surface invites you to touch it.",
        ],
        season: Season::Spring,
        goes_with: &["candles", "picture-frames", "planters"],
    },
];
