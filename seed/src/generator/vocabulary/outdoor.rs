//! Outdoor and garden: five categories.

use super::styles::{EQUIPMENT, HOMEWARE};
use super::{Category, Season, choice, flag, noun, number};

const FIELD: &[&str] = &["Moss", "Slate", "Ochre", "Navy", "Stone", "Rust", "Pine"];
const GARDENERS: &[&str] = &[
    "Hoe & Harrow",
    "Kitchen Garden Co",
    "Spadewell",
    "Greenfinch",
    "Allotment & Sons",
    "Rudge",
];
const WALKERS: &[&str] = &[
    "Cairn",
    "Fellside",
    "Torrin",
    "Wayfarer's",
    "Longstride",
    "High Tarn",
];

pub const CATEGORIES: &[Category] = &[
    Category {
        slug: "garden-tools",
        name: "Garden Tools",
        code: "GRD",
        demand: 6,
        style: &EQUIPMENT,
        nouns: &[
            noun("hand trowel", 8, 30)
                .sized(&[("length_cm", 26, 34)])
                .of(&["ash and stainless steel", "carbon steel"]),
            noun("pair of secateurs", 14, 65)
                .sized(&[("length_cm", 18, 24)])
                .of(&["carbon steel", "stainless steel"]),
            noun("border spade", 24, 78)
                .sized(&[("length_cm", 90, 110)])
                .of(&["ash and stainless steel", "carbon steel"]),
            noun("watering can", 12, 48)
                .of(&["galvanised steel", "recycled plastic", "copper"])
                .without(&["left_handed", "length_cm"]),
            noun("digging fork", 26, 82)
                .sized(&[("length_cm", 90, 110)])
                .of(&["ash and stainless steel", "carbon steel"]),
            noun("pair of gardening gloves", 6, 24)
                .of(&["leather", "cotton canvas", "bamboo yarn"])
                .without(&["rust_resistant", "length_cm", "left_handed"]),
            noun("kneeling pad", 9, 26)
                .sized(&[("length_cm", 38, 48)])
                .of(&["recycled foam", "waxed canvas"])
                .without(&["rust_resistant", "left_handed"]),
            noun("dibber", 6, 18)
                .sized(&[("length_cm", 18, 30)])
                .of(&["ash", "beech"])
                .without(&["left_handed"]),
        ],
        materials: &[
            "ash and stainless steel",
            "carbon steel",
            "galvanised steel",
            "recycled plastic",
            "leather",
        ],
        colours: FIELD,
        brands: GARDENERS,
        facts: &[
            number("length_cm", (18, 110, 2), "It is {} cm long.").named("cm"),
            flag("rust_resistant", 65, "It shrugs off a night in the rain."),
            flag("left_handed", 10, "It is made for left-handed gardeners."),
            number("weight_g", (120, 2400, 40), "It weighs {} g."),
        ],
        uses: &[
            "It goes through heavy clay without complaint.",
            "The edge holds well and is easily sharpened.",
            "It is the right size for borders, pots and raised beds.",
            "Hang it in the shed by its leather loop.",
        ],
        season: Season::Spring,
        goes_with: &["planters", "bird-care"],
    },
    Category {
        slug: "planters",
        name: "Planters & Pots",
        code: "PLT",
        demand: 6,
        style: &HOMEWARE,
        nouns: &[
            noun("plant pot", 7, 42),
            noun("hanging planter", 10, 38),
            noun("window box", 16, 58),
            noun("herb trough", 12, 44),
            noun("pot stand", 12, 40)
                .of(&["galvanised zinc", "rattan", "oak"])
                .without(&["drainage_hole"]),
            noun("self-watering pot", 14, 48),
        ],
        materials: &[
            "terracotta",
            "glazed stoneware",
            "galvanised zinc",
            "rattan",
            "recycled plastic",
        ],
        colours: &["Terracotta", "Sage", "White", "Charcoal", "Sea Green", "Mustard"],
        brands: GARDENERS,
        facts: &[
            number("diameter_cm", (8, 50, 2), "It is {} cm across.").named("cm"),
            flag("frost_proof", 60, "It can stay out all winter."),
            flag("drainage_hole", 75, "There is a drainage hole and a saucer."),
        ],
        uses: &[
            "Basil, pelargoniums or a small olive tree: all look well in it.",
            "It brings a windowsill to life.",
            "Three of different heights look better than one.",
            "The {colour} finish weathers gently.",
        ],
        season: Season::Spring,
        goes_with: &["garden-tools", "vases", "bird-care"],
    },
    Category {
        slug: "camping",
        name: "Camping",
        code: "CMG",
        demand: 4,
        style: &EQUIPMENT,
        nouns: &[
            noun("two-person tent", 70, 320)
                .sized(&[("weight_g", 1490, 4090)])
                .of(&["ripstop nylon", "recycled polyester", "cotton canvas"]),
            noun("sleeping bag", 35, 190)
                .sized(&[("weight_g", 790, 1990)])
                .of(&["ripstop nylon", "recycled polyester"]),
            noun("camping stove", 22, 95)
                .sized(&[("weight_g", 90, 440)])
                .of(&["aluminium", "steel", "titanium"])
                .without(&["waterproof", "seasons"]),
            noun("head torch", 12, 60)
                .sized(&[("weight_g", 90, 140)])
                .of(&["aluminium", "recycled plastic"])
                .without(&["seasons", "waterproof"]),
            noun("enamel mess set", 16, 45)
                .sized(&[("weight_g", 590, 990)])
                .of(&["enamelled steel"])
                .without(&["seasons", "waterproof"]),
            noun("folding chair", 20, 75)
                .sized(&[("weight_g", 990, 3990)])
                .of(&["aluminium", "cotton canvas", "beech"])
                .without(&["seasons", "waterproof"]),
            noun("sleeping mat", 18, 120)
                .sized(&[("weight_g", 390, 990)])
                .of(&["recycled polyester", "ripstop nylon"])
                .without(&["waterproof"]),
            noun("cool box", 22, 110)
                .sized(&[("weight_g", 1990, 4790)])
                .of(&["recycled plastic", "steel"])
                .without(&["seasons", "waterproof"]),
        ],
        materials: &[
            "ripstop nylon",
            "recycled polyester",
            "aluminium",
            "steel",
            "cotton canvas",
        ],
        colours: FIELD,
        brands: WALKERS,
        facts: &[
            number(
                "weight_g",
                (90, 4800, 50),
                "It weighs {} g, so it earns its place in the pack.",
            )
            .named("g"),
            flag("waterproof", 65, "Seams are taped and zips are covered."),
            choice(
                "seasons",
                &["two-season", "three-season", "four-season"],
                "It is rated {}.",
            ),
        ],
        uses: &[
            "It packs down smaller than you would think.",
            "You can put it together in the dark, and at some point you will.",
            "It has been up Scafell Pike in February.",
            "It is as useful at a festival as on a hill.",
        ],
        season: Season::Summer,
        goes_with: &["walking", "chargers-and-cables"],
    },
    Category {
        slug: "walking",
        name: "Walking",
        code: "WLK",
        demand: 5,
        style: &EQUIPMENT,
        nouns: &[
            noun("rucksack", 32, 160)
                .sized(&[("weight_g", 600, 1900)])
                .of(&["recycled polyester", "waxed cotton"]),
            noun("pair of walking poles", 28, 110)
                .sized(&[("weight_g", 380, 560)])
                .of(&["aluminium", "carbon fibre"])
                .without(&["waterproof", "fit"]),
            noun("water bottle", 9, 38)
                .sized(&[("weight_g", 120, 300)])
                .of(&["stainless steel", "aluminium", "recycled plastic"])
                .without(&["waterproof", "fit"]),
            noun("vacuum flask", 16, 48)
                .sized(&[("weight_g", 260, 600)])
                .of(&["stainless steel"])
                .without(&["waterproof", "fit"]),
            noun("map case", 8, 24)
                .sized(&[("weight_g", 60, 160)])
                .of(&["waxed cotton", "recycled polyester"])
                .without(&["fit"]),
            noun("waterproof jacket", 55, 240)
                .sized(&[("weight_g", 280, 700)])
                .of(&["recycled polyester", "waxed cotton"]),
            noun("pair of walking socks", 8, 24)
                .sized(&[("weight_g", 60, 120)])
                .of(&["merino wool", "alpaca", "recycled wool"])
                .without(&["waterproof", "repairable"]),
        ],
        materials: &[
            "recycled polyester",
            "merino wool",
            "waxed cotton",
            "aluminium",
            "stainless steel",
        ],
        colours: FIELD,
        brands: WALKERS,
        facts: &[
            number("weight_g", (60, 1900, 20), "It weighs {} g."),
            flag("waterproof", 55, "It keeps the weather out."),
            choice("fit", &["small", "medium", "large", "one size"], "Size: {}.").named(""),
            flag(
                "repairable",
                60,
                "The maker repairs it for as long as you own it.",
            ),
        ],
        uses: &[
            "It is made for long days and changeable weather.",
            "You will forget that you are carrying it.",
            "It looks as good in town as on the coast path.",
            "The reflective trim helps on dark lanes.",
        ],
        season: Season::Autumn,
        goes_with: &["camping", "scarves-and-gloves", "bags"],
    },
    Category {
        slug: "bird-care",
        name: "Bird Care",
        code: "BRD",
        demand: 4,
        style: &EQUIPMENT,
        nouns: &[
            noun("bird feeder", 9, 45).sized(&[("height_cm", 18, 46)]).of(&[
                "FSC cedar",
                "powder-coated steel",
                "recycled plastic",
            ]),
            noun("nest box", 14, 48).sized(&[("height_cm", 22, 36)]).of(&[
                "FSC cedar",
                "larch",
                "recycled plastic",
            ]),
            noun("bird bath", 22, 95)
                .sized(&[("height_cm", 20, 80)])
                .of(&["stoneware", "powder-coated steel", "cast iron"])
                .without(&["squirrel_proof"]),
            noun("bird table", 28, 110)
                .sized(&[("height_cm", 120, 160)])
                .of(&["FSC cedar", "larch"]),
            noun("insect hotel", 15, 52)
                .of(&["FSC cedar", "larch", "bamboo"])
                .without(&["squirrel_proof", "for_species"]),
            noun("window feeder", 9, 26)
                .sized(&[("height_cm", 12, 22)])
                .of(&["recycled plastic", "recycled glass"]),
        ],
        materials: &[
            "FSC cedar",
            "powder-coated steel",
            "larch",
            "recycled plastic",
            "stoneware",
        ],
        colours: FIELD,
        brands: GARDENERS,
        facts: &[
            number("height_cm", (12, 90, 2), "It is {} cm high.").named("cm"),
            flag("squirrel_proof", 35, "Squirrels have tried and failed."),
            choice(
                "for_species",
                &["tits and finches", "robins", "house sparrows", "all garden birds"],
                "It suits {}.",
            ),
        ],
        uses: &[
            "Hang it where you can watch it from the kitchen.",
            "It opens for cleaning without tools.",
            "It may take a week, but then they come every day.",
            "It stands up to wind, rain and pigeons.",
        ],
        season: Season::Winter,
        goes_with: &["garden-tools", "planters"],
    },
];
