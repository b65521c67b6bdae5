//! Electronics: five categories.

use super::styles::TECHNOLOGY;
use super::{Category, Season, choice, flag, noun, number};

const CASES: &[&str] = &["Black", "White", "Graphite", "Silver", "Navy", "Sand", "Mint"];
const AUDIO: &[&str] = &["Sonara", "Voxley", "Auralis", "Tonewell", "Brightwave", "Hark"];
const DEVICES: &[&str] = &[
    "Voltaine",
    "Plugmere",
    "Kestrel Digital",
    "Orbix",
    "Nimbly",
    "Wattson & Lee",
];

/// What only things with a plug have.
const COMPUTER_FACTS: &[&str] = &["connection", "ports", "works_with_mac_and_windows"];

pub const CATEGORIES: &[Category] = &[
    Category {
        slug: "headphones",
        name: "Headphones",
        code: "HPH",
        demand: 6,
        style: &TECHNOLOGY,
        nouns: &[
            noun("pair of over-ear headphones", 40, 320).sized(&[("weight_g", 180, 340)]),
            noun("pair of on-ear headphones", 25, 150).sized(&[("weight_g", 120, 220)]),
            noun("pair of wireless earbuds", 22, 220)
                .sized(&[("weight_g", 5, 60)])
                .of(&["matt plastic", "recycled plastic"])
                .without(&["connection"]),
            noun("pair of wired earphones", 8, 45)
                .sized(&[("weight_g", 5, 30)])
                .of(&["aluminium", "recycled plastic"])
                .without(&["battery_hours", "noise_cancelling", "connection"]),
            noun("gaming headset", 28, 160).sized(&[("weight_g", 200, 340)]),
            noun("pair of children's headphones", 14, 40).sized(&[("weight_g", 90, 160)]),
        ],
        materials: &["matt plastic", "aluminium", "recycled plastic", "leatherette"],
        colours: CASES,
        brands: AUDIO,
        facts: &[
            number("battery_hours", (6, 60, 2), "A charge lasts about {} hours."),
            flag(
                "noise_cancelling",
                45,
                "Active noise cancelling takes the edge off trains and offices.",
            ),
            choice(
                "connection",
                &["Bluetooth 5.3", "Bluetooth 5.2", "USB-C", "3.5 mm jack"],
                "It connects by {}.",
            )
            .named(""),
            number("weight_g", (5, 340, 5), "It weighs just {} g."),
        ],
        uses: &[
            "Voices sound clear and music sounds warm.",
            "It stays comfortable through a whole afternoon.",
            "The microphone makes calls easy to follow.",
            "It folds up small and comes with a pouch.",
        ],
        season: Season::Christmas,
        goes_with: &["chargers-and-cables", "speakers", "computer-accessories"],
    },
    Category {
        slug: "speakers",
        name: "Speakers & Radios",
        code: "SPK",
        demand: 4,
        style: &TECHNOLOGY,
        nouns: &[
            noun("portable speaker", 20, 180).sized(&[("power_w", 5, 40)]),
            noun("bookshelf speaker pair", 90, 480).without(&["battery_hours", "waterproof"]),
            noun("DAB radio", 32, 160)
                .sized(&[("power_w", 5, 30)])
                .without(&["waterproof"]),
            noun("soundbar", 70, 380).without(&["battery_hours", "waterproof"]),
            noun("shower speaker", 14, 45).sized(&[("power_w", 5, 15)]),
            noun("record player", 60, 290).without(&["battery_hours", "waterproof", "power_w"]),
        ],
        materials: &["walnut veneer", "woven fabric", "aluminium", "matt plastic"],
        colours: CASES,
        brands: AUDIO,
        facts: &[
            number("power_w", (5, 200, 5), "It plays with {} W.").named("W"),
            number(
                "battery_hours",
                (5, 30, 1),
                "It runs for {} hours away from a socket.",
            ),
            flag("waterproof", 40, "Rain and splashes do it no harm."),
            flag("bluetooth", 85, "It pairs over Bluetooth in seconds."),
        ],
        uses: &[
            "It fills a kitchen without shaking the windows.",
            "Speech stays clear even at low volume.",
            "Two of them make a stereo pair.",
            "The knob turns with a pleasing weight.",
        ],
        season: Season::Christmas,
        goes_with: &["headphones", "chargers-and-cables", "smart-home"],
    },
    Category {
        slug: "chargers-and-cables",
        name: "Chargers & Cables",
        code: "CHG",
        demand: 9,
        style: &TECHNOLOGY,
        nouns: &[
            noun("USB-C cable", 6, 24)
                .of(&["braided nylon", "silicone"])
                .without(&["ports"]),
            noun("wall charger", 12, 60)
                .of(&["recycled plastic", "aluminium"])
                .without(&["cable_length_cm"]),
            noun("power bank", 16, 85)
                .of(&["recycled plastic", "aluminium"])
                .without(&["cable_length_cm"]),
            noun("wireless charging pad", 14, 55)
                .of(&["recycled plastic", "silicone", "cork"])
                .without(&["ports"]),
            noun("car charger", 9, 32)
                .of(&["aluminium", "recycled plastic"])
                .without(&["cable_length_cm"]),
            noun("extension lead", 10, 38)
                .of(&["recycled plastic", "braided nylon"])
                .without(&["power_w", "fast_charging"]),
            noun("travel adapter", 9, 36)
                .of(&["recycled plastic"])
                .without(&["cable_length_cm", "fast_charging"]),
        ],
        materials: &["braided nylon", "recycled plastic", "aluminium", "silicone"],
        colours: CASES,
        brands: DEVICES,
        facts: &[
            number("power_w", (5, 140, 5), "It delivers up to {} W.").named("W"),
            number("cable_length_cm", (30, 300, 10), "The cable is {} cm long."),
            number("ports", (1, 6, 1), "Number of ports: {}."),
            flag(
                "fast_charging",
                70,
                "It charges a phone to half in under thirty minutes.",
            ),
        ],
        uses: &[
            "It stays cool, even overnight.",
            "It is tested for ten thousand bends.",
            "Keep one in your bag and one at work.",
            "It fits behind furniture where others do not.",
        ],
        season: Season::Even,
        goes_with: &["headphones", "computer-accessories", "smart-home"],
    },
    Category {
        slug: "smart-home",
        name: "Smart Home",
        code: "SMH",
        demand: 4,
        style: &TECHNOLOGY,
        nouns: &[
            noun("smart bulb", 8, 42)
                .of(&["glass", "matt plastic"])
                .without(&["battery_months"]),
            noun("smart plug", 9, 35)
                .of(&["matt plastic", "recycled plastic"])
                .without(&["battery_months"]),
            noun("motion sensor", 14, 48),
            noun("video doorbell", 50, 190),
            noun("indoor camera", 25, 110),
            noun("smart thermostat", 80, 230),
            noun("leak detector", 15, 50),
        ],
        materials: &["matt plastic", "recycled plastic", "glass", "aluminium"],
        colours: CASES,
        brands: DEVICES,
        facts: &[
            choice(
                "protocol",
                &["Matter", "Zigbee", "Wi-Fi", "Thread"],
                "It speaks {}.",
            )
            .named(""),
            flag(
                "works_without_cloud",
                50,
                "It keeps working when the internet does not.",
            ),
            number("battery_months", (6, 36, 3), "A battery lasts about {} months."),
            flag("voice_control", 75, "It works with all common voice assistants."),
        ],
        uses: &[
            "Set-up takes five minutes and one app.",
            "Routines do the boring things for you.",
            "It remembers its settings after a power cut.",
            "It saves a little energy every day.",
        ],
        season: Season::Winter,
        goes_with: &["chargers-and-cables", "lamps", "speakers"],
    },
    Category {
        slug: "computer-accessories",
        name: "Computer Accessories",
        code: "CMP",
        demand: 5,
        style: &TECHNOLOGY,
        nouns: &[
            noun("wireless mouse", 12, 85)
                .sized(&[("weight_g", 60, 140)])
                .of(&["recycled plastic", "matt plastic", "aluminium"])
                .without(&["ports"]),
            noun("mechanical keyboard", 38, 190)
                .sized(&[("weight_g", 500, 1400)])
                .of(&["aluminium", "recycled plastic"])
                .without(&["ports"]),
            noun("laptop stand", 16, 70)
                .sized(&[("weight_g", 300, 1400)])
                .of(&["aluminium", "bamboo"])
                .without(COMPUTER_FACTS),
            noun("USB hub", 14, 75)
                .sized(&[("weight_g", 40, 160)])
                .of(&["aluminium", "recycled plastic"]),
            noun("webcam", 25, 140)
                .sized(&[("weight_g", 60, 200)])
                .of(&["aluminium", "matt plastic"])
                .without(&["ports"]),
            noun("laptop sleeve", 12, 45)
                .sized(&[("weight_g", 120, 300)])
                .of(&["felt", "recycled leather", "canvas"])
                .without(COMPUTER_FACTS),
            noun("monitor arm", 35, 130)
                .sized(&[("weight_g", 1400, 3600)])
                .of(&["aluminium", "steel"])
                .without(COMPUTER_FACTS),
        ],
        materials: &["aluminium", "recycled plastic", "felt", "matt plastic"],
        colours: CASES,
        brands: DEVICES,
        facts: &[
            choice(
                "connection",
                &["USB-C", "USB-A", "Bluetooth", "2.4 GHz wireless"],
                "It connects by {}.",
            )
            .named(""),
            number("ports", (1, 10, 1), "Number of ports: {}."),
            flag(
                "works_with_mac_and_windows",
                80,
                "It works with Mac, Windows and Linux without drivers.",
            ),
            number("weight_g", (60, 1400, 20), "It weighs {} g."),
        ],
        uses: &[
            "It makes a kitchen table feel like an office.",
            "Nothing flexes, rattles or squeaks.",
            "It packs into any laptop bag.",
            "Your wrists will notice the difference.",
        ],
        season: Season::BackToSchool,
        goes_with: &["chargers-and-cables", "headphones", "notebooks"],
    },
];
