//! What is said in each department, in the order of [`super::super::vocabulary::DEPARTMENTS`].

use super::leisure::{BOOKS, CHILDREN, ELECTRONICS, FASHION, GIFTS, OUTDOOR};
use super::{Aspect, Department, aspect};

/// Everywhere but with books.
pub const PACKING: Aspect = aspect(
    "well packed",
    "badly packed",
    &["It came in a stout box without any plastic, and without a scratch."],
    &["The box was far too thin, and one corner had suffered."],
);

/// The departments.
pub const DEPARTMENTS: [Department; 10] = [
    KITCHEN,
    DINING,
    HOME,
    TEXTILES,
    GIFTS,
    ELECTRONICS,
    OUTDOOR,
    BOOKS,
    CHILDREN,
    FASHION,
];

const COOKING: &[&str] = &["cookware", "bakeware"];

const KITCHEN: Department = Department {
    aspects: &[
        aspect(
            "easy to clean",
            "hard to clean",
            &[
                "It wipes clean in a moment.",
                "Even burnt sugar came off with warm water.",
            ],
            &[
                "Cleaning takes longer than cooking.",
                "Food sticks in every corner of it.",
            ],
        ),
        aspect(
            "solid",
            "feels flimsy",
            &[
                "It feels solid and sits well in the hand.",
                "It has a good weight without being heavy.",
            ],
            &[
                "It feels thinner than it looks.",
                "It wobbled on the worktop from the first day.",
            ],
        ),
        aspect(
            "heats evenly",
            "heats unevenly",
            &["It heats evenly, right to the edge.", "Nothing catches any more."],
            &["The middle burns while the edge is still cold."],
        )
        .only(COOKING),
        aspect(
            "right size",
            "smaller than expected",
            &["The size is just right for the four of us."],
            &["It is smaller than I thought; check the measurements."],
        ),
        aspect(
            "well finished",
            "rough edges",
            &["The finish is flawless."],
            &["One edge was so rough that I had to sand it."],
        ),
        aspect(
            "quiet",
            "loud",
            &["It is so quiet that nobody wakes up."],
            &["It is so loud that we cannot talk while it runs."],
        )
        .only(&["small-appliances"]),
        PACKING,
    ],
    stories: &[
        "I cook for six most evenings, so things have to last.",
        "It replaced one that my mother had for twenty years.",
        "My husband, who never notices such things, asked where it came from.",
        "We use it nearly every day.",
        "I bought it for my daughter's first flat.",
    ],
    captions: &[
        "The {noun} after a month of use",
        "Sunday lunch",
        "In its place in the kitchen",
        "Before the first wash",
    ],
    asked: (&["kitchen", "used"], &["every day", "every week", "now and then"]),
};

const DINING: Department = Department {
    aspects: &[
        aspect(
            "lovely glaze",
            "uneven glaze",
            &["The glaze has a depth that no photo shows."],
            &["The glaze has small holes in it."],
        )
        .only(&["mugs-and-cups", "tableware"]),
        aspect(
            "crystal clear",
            "cloudy",
            &["It is clear, thin at the rim, and rings when touched."],
            &["It was cloudy after a few washes."],
        )
        .only(&["glassware"]),
        aspect(
            "feels good in the hand",
            "heavy",
            &["It feels good in the hand."],
            &["It is heavier than it should be."],
        ),
        aspect(
            "survives the dishwasher",
            "fades in the dishwasher",
            &["The dishwasher has not harmed it so far."],
            &["The colour began to fade in the dishwasher."],
        ),
        aspect(
            "matches the rest",
            "differs from the picture",
            &["It goes with everything that we had."],
            &["The colour differs from the picture, so it does not go with the rest of mine."],
        ),
        aspect(
            "good size",
            "holds too little",
            &["The size is generous."],
            &["It holds less than I thought."],
        ),
        PACKING,
    ],
    stories: &[
        "We used it for the first time at a birthday, and three guests asked about it.",
        "I dropped it once already, and it survived.",
        "It is for the summer house, where things have to take a knock.",
        "My morning coffee tastes better for it.",
    ],
    captions: &[
        "The {noun} on our table",
        "Next to the old one, for size",
        "Breakfast",
        "In morning light",
    ],
    asked: (&["used_for"], &["every day", "guests", "a present"]),
};

const HOME: Department = Department {
    aspects: &[
        aspect(
            "beautiful",
            "looks cheap",
            &[
                "It makes the whole room look warmer.",
                "It is the first thing that visitors notice.",
            ],
            &["It looks cheaper than the pictures suggest."],
        ),
        aspect(
            "well made",
            "badly finished",
            &[
                "Every joint is as it should be.",
                "One can see that somebody took care with it.",
            ],
            &[
                "The back of it is not finished at all.",
                "There was glue to be seen at two places.",
            ],
        ),
        aspect(
            "right colour",
            "wrong colour",
            &["The colour is just as shown."],
            &["The colour is a good deal darker than shown."],
        ),
        aspect(
            "good size",
            "too small",
            &["It is a good size: I had feared that it would be smaller."],
            &["It gets lost on the shelf; check the measurements."],
        ),
        aspect(
            "fills the room with its scent",
            "hardly any scent",
            &["The scent is there without being too much."],
            &["One has to put one's nose into it to smell anything."],
        )
        .only(&["candles"]),
        aspect(
            "pleasant light",
            "too dim",
            &["The light is soft, and strong enough to read by."],
            &["It is too dim to read by."],
        )
        .only(&["lamps"]),
        aspect(
            "silent",
            "audible ticking",
            &["It is silent: I sleep next to it."],
            &["The ticking can be heard in the next room."],
        )
        .only(&["clocks"]),
        PACKING,
    ],
    stories: &[
        "We moved in March, and this was the first thing for the new place.",
        "It stands in the hall, where the light falls on it in the evening.",
        "It was a present to myself.",
        "I had one from a department store before, for twice the price.",
        "My flatmate wants one, too.",
    ],
    captions: &[
        "The {noun} in our living room",
        "In the hall",
        "In the evening",
        "Just unpacked",
    ],
    asked: (&["room"], &["living room", "bedroom", "hall", "study"]),
};

const TEXTILES: Department = Department {
    aspects: &[
        aspect(
            "soft",
            "scratchy",
            &["It is wonderfully soft.", "It got softer with each wash."],
            &["It is rather scratchy, even after three washes."],
        ),
        aspect(
            "keeps its shape",
            "shrank",
            &["It came out of the wash as it went in."],
            &["It shrank in the first wash, at thirty degrees."],
        ),
        aspect(
            "rich colour",
            "loses colour",
            &["The colour is rich and does not run."],
            &["It coloured everything else in the wash."],
        ),
        aspect(
            "thick",
            "thin",
            &["It is thick and feels as if it would last."],
            &["It is so thin that one can see through it."],
        ),
        aspect(
            "neat seams",
            "loose threads",
            &["The seams are straight and firm."],
            &["There were loose threads all along one side."],
        ),
        aspect(
            "no lint",
            "sheds fluff",
            &["It hardly sheds, even in the first week."],
            &["Fluff everywhere, for weeks."],
        ),
    ],
    stories: &[
        "The cat has claimed it, which says it all.",
        "We have it in the guest room, and guests ask about it.",
        "I am allergic to a lot, and have no trouble with this.",
        "It has been washed ten times by now.",
    ],
    captions: &[
        "The {noun} at home",
        "After ten washes",
        "The cat approves",
        "The colour by daylight",
    ],
    asked: (&["feel", "softness"], &["very soft", "soft", "firm", "rough"]),
};
