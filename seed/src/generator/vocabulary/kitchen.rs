//! Kitchen: five categories.

use super::dining::GLAZES;
use super::styles::{HOMEWARE, TECHNOLOGY};
use super::{Category, Season, choice, flag, noun, number};

const METALS: &[&str] = &[
    "Brushed Steel",
    "Matt Black",
    "Copper",
    "Cream",
    "Racing Green",
    "Graphite",
];
const COOKS: &[&str] = &[
    "Cookhaven",
    "Ashby & Rowe",
    "Ferro",
    "Larkham",
    "Pantry & Co",
    "Brindle",
    "Holt Forge",
];

pub const CATEGORIES: &[Category] = &[
    Category {
        slug: "cookware",
        name: "Cookware",
        code: "CKW",
        demand: 6,
        style: &HOMEWARE,
        nouns: &[
            noun("saucepan", 22, 75),
            noun("frying pan", 18, 80),
            noun("casserole dish", 35, 180).of(&["cast iron", "enamelled cast iron", "stoneware"]),
            noun("stockpot", 30, 110),
            noun("wok", 24, 70).of(&["carbon steel", "cast iron"]),
            noun("griddle pan", 25, 68).of(&["cast iron", "hard-anodised aluminium"]),
        ],
        materials: &[
            "cast iron",
            "stainless steel",
            "hard-anodised aluminium",
            "carbon steel",
            "copper",
        ],
        colours: METALS,
        brands: COOKS,
        facts: &[
            number("diameter_cm", (16, 32, 2), "It measures {} cm across.").named("cm"),
            flag(
                "induction_ready",
                75,
                "It works on every hob, induction included.",
            ),
            flag("oven_safe", 70, "It goes from the hob straight into the oven."),
            number(
                "weight_g",
                (700, 5200, 100),
                "At {} g it sits steadily on the ring.",
            ),
        ],
        uses: &[
            "Heat spreads evenly to the edge, so nothing catches in the middle.",
            "The handle stays cool through a long simmer.",
            "Use it for Sunday roasts, weekday curries and everything between.",
            "It only gets better with age and a little oil.",
        ],
        season: Season::Winter,
        goes_with: &["kitchen-utensils", "cookery-books", "bakeware"],
    },
    Category {
        slug: "bakeware",
        name: "Bakeware",
        code: "BAK",
        demand: 6,
        style: &HOMEWARE,
        nouns: &[
            noun("loaf tin", 7, 22).of(&["carbon steel", "tinned steel", "silicone"]),
            noun("cake tin", 8, 26).of(&["carbon steel", "tinned steel"]),
            noun("pie dish", 9, 30)
                .of(&["stoneware", "enamelled steel", "borosilicate glass"])
                .without(&["non_stick"]),
            noun("baking tray", 8, 24).of(&["carbon steel", "tinned steel"]),
            noun("muffin tin", 9, 22).of(&["carbon steel", "silicone"]),
            noun("mixing bowl", 10, 36)
                .of(&["stoneware", "stainless steel", "borosilicate glass"])
                .without(&["non_stick"]),
            noun("set of ~cookie cutters", 5, 15)
                .of(&["stainless steel", "tinned steel"])
                .without(&["length_cm", "non_stick", "freezer_safe"]),
        ],
        materials: &[
            "carbon steel",
            "stoneware",
            "silicone",
            "tinned steel",
            "borosilicate glass",
        ],
        colours: GLAZES,
        brands: COOKS,
        facts: &[
            number("length_cm", (18, 40, 2), "It is {} cm long.").named("cm"),
            flag("non_stick", 65, "The non-stick coating lets go cleanly."),
            flag("freezer_safe", 55, "It can go into the freezer between bakes."),
        ],
        uses: &[
            "Bread comes out with a crisp, even crust.",
            "The rolled rim gives oven gloves something to hold.",
            "It turns out everything from gingerbread to lasagne.",
            "Children like it as much as grown-ups do, and it forgives both.",
        ],
        season: Season::Christmas,
        goes_with: &["kitchen-utensils", "cookery-books", "small-appliances"],
    },
    Category {
        slug: "kitchen-utensils",
        name: "Kitchen Utensils",
        code: "UTN",
        demand: 8,
        style: &HOMEWARE,
        nouns: &[
            noun("chef's knife", 18, 90)
                .sized(&[("length_cm", 28, 38)])
                .of(&["carbon steel", "stainless steel", "Damascus steel"])
                .without(&["dishwasher_safe"]),
            noun("paring knife", 9, 35)
                .sized(&[("length_cm", 16, 22)])
                .of(&["carbon steel", "stainless steel"]),
            noun("spatula", 5, 14)
                .sized(&[("length_cm", 24, 34)])
                .of(&["beech", "silicone", "olive wood"]),
            noun("ladle", 6, 18).sized(&[("length_cm", 26, 34)]).of(&[
                "stainless steel",
                "olive wood",
                "silicone",
            ]),
            noun("chopping board", 12, 48)
                .of(&["beech", "olive wood", "acacia", "bamboo", "oak"])
                .without(&["handle", "dishwasher_safe"]),
            noun("rolling pin", 8, 24)
                .of(&["beech", "marble", "olive wood"])
                .without(&["handle"]),
            noun("whisk", 5, 16)
                .sized(&[("length_cm", 20, 32)])
                .of(&["stainless steel", "silicone"]),
            noun("pepper mill", 14, 46)
                .sized(&[("length_cm", 12, 30)])
                .of(&["beech", "walnut", "acacia"])
                .without(&["handle", "dishwasher_safe"]),
            noun("colander", 10, 32)
                .sized(&[("length_cm", 20, 32)])
                .of(&["stainless steel", "enamelled steel"])
                .without(&["handle"]),
        ],
        materials: &["beech", "olive wood", "stainless steel", "acacia", "bamboo"],
        colours: &["Natural", "Walnut", "Matt Black", "Brushed Steel", "Cream"],
        brands: COOKS,
        facts: &[
            number("length_cm", (14, 46, 2), "It is {} cm from end to end.").named("cm"),
            flag("dishwasher_safe", 45, "It can be washed in the machine."),
            choice(
                "handle",
                &["riveted", "moulded", "turned", "hollow"],
                "The {} handle sits well in either hand.",
            ),
        ],
        uses: &[
            "It is light enough for quick jobs and strong enough for the big ones.",
            "Hang it by the hob and you will use it every day.",
            "A rub with oil now and then keeps it looking new.",
            "Cooks tell us it is the last one they expect to buy.",
        ],
        season: Season::Even,
        goes_with: &["cookware", "bakeware", "food-storage"],
    },
    Category {
        slug: "small-appliances",
        name: "Small Appliances",
        code: "APP",
        demand: 5,
        style: &TECHNOLOGY,
        nouns: &[
            noun("kettle", 25, 120).sized(&[("power_w", 2000, 3000)]),
            noun("toaster", 22, 130)
                .sized(&[("power_w", 800, 1600)])
                .without(&["removable_filter"]),
            noun("hand blender", 20, 85)
                .sized(&[("power_w", 300, 1000)])
                .without(&["removable_filter"]),
            noun("coffee grinder", 24, 140)
                .sized(&[("power_w", 100, 300)])
                .without(&["removable_filter"]),
            noun("stand mixer", 90, 420)
                .sized(&[("power_w", 500, 1500)])
                .without(&["removable_filter"]),
            noun("slow cooker", 28, 95)
                .sized(&[("power_w", 200, 400)])
                .without(&["removable_filter"]),
            noun("milk frother", 18, 70)
                .sized(&[("power_w", 400, 600)])
                .without(&["removable_filter"]),
            noun("filter coffee machine", 35, 180).sized(&[("power_w", 800, 1500)]),
        ],
        materials: &["brushed steel", "enamelled steel", "glass", "matt plastic"],
        colours: METALS,
        brands: &[
            "Voltaine",
            "Hearth & Hob",
            "Kettlewell",
            "Brisk",
            "Orlane",
            "Domo Works",
        ],
        facts: &[
            number(
                "power_w",
                (300, 3000, 100),
                "With {} W it is quick without being noisy.",
            )
            .named("W"),
            number("cable_length_cm", (75, 150, 5), "The lead is {} cm long."),
            flag("removable_filter", 40, "The filter lifts out for cleaning."),
            choice(
                "energy_rating",
                &["A", "B", "C"],
                "It has an energy rating of {}.",
            ),
        ],
        uses: &[
            "The controls are large, clear and easy to wipe.",
            "It is quiet enough for early mornings.",
            "It stores away under a standard wall cupboard.",
            "One button does what you want nine times out of ten.",
        ],
        season: Season::Christmas,
        goes_with: &["mugs-and-cups", "bakeware", "food-storage"],
    },
    Category {
        slug: "food-storage",
        name: "Food Storage",
        code: "STO",
        demand: 5,
        style: &HOMEWARE,
        nouns: &[
            noun("storage jar", 5, 20).sized(&[("capacity_ml", 300, 2000)]),
            noun("lunch box", 8, 28)
                .sized(&[("capacity_ml", 700, 1500)])
                .of(&["stainless steel", "bamboo", "tinplate"]),
            noun("bread bin", 22, 68)
                .of(&["bamboo", "tinplate", "stainless steel"])
                .without(&["capacity_ml", "airtight"]),
            noun("cake tin with lid", 10, 30).of(&["tinplate", "stainless steel"]),
            noun("spice rack", 14, 48)
                .of(&["bamboo", "oak", "stainless steel"])
                .without(&["capacity_ml", "airtight", "stackable"]),
            noun("set of three ~canisters", 18, 56),
            noun("biscuit barrel", 12, 34),
        ],
        materials: &["glass", "tinplate", "bamboo", "stoneware", "stainless steel"],
        colours: &["Clear", "Cream", "Sage", "Charcoal", "Duck Egg", "Mustard"],
        brands: &["Pantry & Co", "Larkham", "Keepwell", "Hartley Potts", "Stow"],
        facts: &[
            number("capacity_ml", (300, 5000, 100), "It holds {} ml.").named("ml"),
            flag("airtight", 75, "An airtight seal keeps things fresh."),
            flag("stackable", 60, "It stacks with others of its kind."),
        ],
        uses: &[
            "Things keep their crunch, and you keep your order.",
            "It earns its place on the worktop.",
            "It looks tidy on an open shelf.",
            "It puts an end to flat bags and half-used packets.",
        ],
        season: Season::Spring,
        goes_with: &["kitchen-utensils", "small-appliances", "storage-baskets"],
    },
];
