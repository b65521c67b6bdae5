//! What is said of what one gives, plugs in, uses outdoors, reads, plays with and wears.

use super::departments::PACKING;
use super::{Department, aspect};

pub const OUTDOOR: Department = Department {
    aspects: &[
        aspect(
            "sturdy",
            "bends easily",
            &[
                "It takes a lot, and I have given it a lot.",
                "There is not a mark on it after a season.",
            ],
            &["It bent the first time I used it in earnest."],
        ),
        aspect(
            "stands the weather",
            "rusts",
            &["It has been out in rain and frost and looks like new."],
            &["There was rust on it after the first rain."],
        ),
        aspect(
            "good in the hand",
            "awkward to use",
            &["It is a pleasure to use."],
            &["My wrists hurt after half an hour with it."],
        ),
        aspect(
            "light",
            "heavy to carry",
            &["It is light enough for me, and I am not young."],
            &["It is too heavy to carry far."],
        ),
        aspect(
            "birds found it at once",
            "birds ignore it",
            &["The first robin came within the hour."],
            &["Not one bird has come near it."],
        )
        .only(&["bird-care"]),
        aspect(
            "keeps dry",
            "lets water in",
            &["Two days of Welsh rain, and everything stayed dry."],
            &["Water came in at the seams in the first shower."],
        )
        .only(&["camping", "walking"]),
        PACKING,
    ],
    stories: &[
        "My allotment is on heavy clay, which is hard on everything.",
        "It has been up Snowdon twice.",
        "I bought it in spring and waited a season before writing this.",
        "The neighbour has borrowed it twice and now wants one.",
    ],
    captions: &[
        "The {noun} in the garden",
        "After a wet week",
        "On the path",
        "Ready to go",
    ],
    asked: (&["tried", "weather"], &["sun", "rain", "frost", "wind"]),
};

pub const BOOKS: Department = Department {
    aspects: &[
        aspect(
            "hard to put down",
            "slow",
            &["I read it in two evenings.", "I missed my stop because of it."],
            &["It takes two hundred pages until anything happens."],
        ),
        aspect(
            "well written",
            "careless language",
            &["There is not a word too many in it."],
            &["It would have deserved an editor."],
        ),
        aspect(
            "lovely edition",
            "pages come loose",
            &["The paper is good, and it opens well."],
            &["The binding broke before I was half through."],
        ),
        aspect(
            "for reading twice",
            "predictable",
            &["I have begun it again."],
            &["One knows after a third of it how it ends."],
        ),
        aspect(
            "recipes that work",
            "vague recipes",
            &["I have tried eight recipes, and all of them worked."],
            &["Quantities are missing from several recipes."],
        )
        .only(&["cookery-books"]),
        aspect(
            "lovely pictures",
            "dark pictures",
            &["There is something new to find in the pictures each time."],
            &["The pictures are printed so dark that one sees little."],
        )
        .only(&["cookery-books", "childrens-books"]),
        aspect(
            "stays with you",
            "quickly forgotten",
            &["I still think about it."],
            &["A week later I had forgotten the names."],
        ),
    ],
    stories: &[
        "Our reading group argued about it for a whole evening.",
        "My mother lent it to me, and then I had to buy my own.",
        "I read it on the train.",
        "I do not usually read this kind of thing.",
    ],
    captions: &["On my bedside table", "My favourite page", "It has been read"],
    asked: (&["read", "finished"], &["yes", "not yet", "gave up"]),
};

pub const CHILDREN: Department = Department {
    aspects: &[
        aspect(
            "played with for hours",
            "soon boring",
            &[
                "They played with it all afternoon.",
                "It is asked for every single day.",
            ],
            &["It was boring after ten minutes."],
        ),
        aspect(
            "sturdy",
            "broke soon",
            &["It has been thrown, sat on and chewed, and is whole."],
            &["A part broke off in the first week."],
        ),
        aspect(
            "safe",
            "sharp edges",
            &["No sharp edges, no smell, no small parts."],
            &["I had to file an edge before I could give it to a child."],
        ),
        aspect(
            "age is right",
            "age is wrong",
            &["The age that is given is right."],
            &["The age that is given is two years out."],
        ),
        aspect(
            "beautiful colours",
            "paint comes off",
            &["The colours are lovely, and nothing comes off."],
            &["Paint came off on the first day."],
        ),
        aspect(
            "clear rules",
            "unclear rules",
            &["The rules fit on one page, and everybody understood them."],
            &["We still do not agree on what the rules mean."],
        )
        .only(&["puzzles-and-games"]),
    ],
    stories: &[
        "We have three children, so it had to last.",
        "It was for my godson's third birthday.",
        "The grandparents enjoy it as much.",
        "It lives at the nursery where I work, with twenty children.",
    ],
    captions: &["The {noun} in action", "All of it on the carpet", "Already loved"],
    asked: (&["child", "age"], &["3 to 5", "under 3", "6 to 8", "9 and over"]),
};

pub const FASHION: Department = Department {
    aspects: &[
        aspect(
            "warm",
            "not warm enough",
            &["It kept me warm through January."],
            &["It is not warm enough for anything below ten degrees."],
        )
        .only(&["scarves-and-gloves"]),
        aspect(
            "roomy",
            "too little room",
            &["Everything that I need in a day fits in."],
            &["Not even a paperback fits beside my purse."],
        )
        .only(&["bags"]),
        aspect(
            "well sewn",
            "seam came loose",
            &["The stitching is straight and tight everywhere."],
            &["A seam came loose in the second week."],
        ),
        aspect(
            "comfortable",
            "uncomfortable",
            &["It is so comfortable that I forget it is there."],
            &["It is not comfortable for long."],
        ),
        aspect(
            "lovely colour",
            "colour differs",
            &["The colour goes with everything that I have."],
            &["The colour is nothing like the picture."],
        ),
        aspect(
            "wears well",
            "wears quickly",
            &["After three months it looks as it did on the first day."],
            &["After three weeks it looks three years old."],
        ),
        PACKING,
    ],
    stories: &[
        "I have had compliments from strangers.",
        "I take it to work every day.",
        "I hesitated over the price, and am glad that I gave in.",
        "My sister got one for Christmas, and I got one for myself.",
    ],
    captions: &[
        "The {noun}, worn",
        "The colour outdoors",
        "The detail of the seam",
        "After three months",
    ],
    asked: (&["fit", "size"], &["true to size", "runs small", "runs large"]),
};

pub const GIFTS: Department = Department {
    aspects: &[
        aspect(
            "lovely design",
            "dull print",
            &["The design is even lovelier than on the screen."],
            &["The print is duller than on the screen."],
        ),
        aspect(
            "good quality",
            "thin material",
            &["One notices the quality as soon as one touches it."],
            &["The material is thin and bends at once."],
        ),
        aspect(
            "a good present",
            "too plain for a present",
            &[
                "The person it was for was delighted.",
                "As a present it needs nothing else.",
            ],
            &["It is too plain to be given to anybody."],
        ),
        aspect(
            "arrived in time",
            "came late",
            &["It came two days before the date, as promised."],
            &["It came a day after the birthday."],
        ),
        aspect(
            "good value",
            "dear",
            &["For the price one cannot do better."],
            &["That is a lot of money for so little."],
        ),
        aspect(
            "writes smoothly",
            "ink shows through",
            &[
                "Ink neither bleeds nor shows through.",
                "It writes smoothly, and I write a lot.",
            ],
            &["Every pen shows through on the other side."],
        )
        .only(&["notebooks", "pens-and-pencils"]),
    ],
    stories: &[
        "I buy one for every birthday in the family.",
        "It was for a colleague who has everything.",
        "I kept it in the end.",
        "My grandmother put it on the mantelpiece at once.",
    ],
    captions: &[
        "The {noun}, unwrapped",
        "All ready to be given",
        "The detail that I like most",
        "On my desk",
    ],
    asked: (
        &["occasion"],
        &["birthday", "Christmas", "no special one", "wedding"],
    ),
};

pub const ELECTRONICS: Department = Department {
    aspects: &[
        aspect(
            "easy to set up",
            "hard to set up",
            &[
                "It worked two minutes after I had unpacked it.",
                "Setting it up needed no manual.",
            ],
            &["Setting it up took an evening and three restarts."],
        ),
        aspect(
            "works reliably",
            "drops out",
            &["It has not failed once in two months."],
            &["It drops out several times a day."],
        ),
        aspect(
            "good workmanship",
            "feels cheap",
            &["Nothing creaks, nothing rattles."],
            &["The plastic feels cheap and creaks."],
        ),
        aspect(
            "long battery life",
            "short battery life",
            &["The battery lasts longer than they say."],
            &["The battery lasts half as long as they say."],
        )
        .only(&["headphones", "smart-home"]),
        aspect(
            "great sound",
            "tinny sound",
            &[
                "The sound is clear, with bass where it belongs.",
                "Voices are so clear that I follow the news again.",
            ],
            &["It sounds tinny at any volume."],
        )
        .only(&["headphones", "speakers"]),
        aspect(
            "does not get hot",
            "gets hot",
            &["It stays cool, even after hours."],
            &["It gets hotter than I am comfortable with."],
        ),
        aspect(
            "clear manual",
            "poor manual",
            &["The manual is short, and in real English."],
            &["The manual is a leaflet in tiny print that explains nothing."],
        ),
    ],
    stories: &[
        "I work from home, so it runs eight hours a day.",
        "My father is eighty-one and got along with it at once.",
        "I compared five of them before I bought this one.",
        "It replaced one that cost three times as much.",
    ],
    captions: &[
        "The {noun} on my desk",
        "What is in the box",
        "Next to a coin, for size",
        "In daily use",
    ],
    asked: (
        &["use", "how_long"],
        &["some weeks", "a month", "some days", "three months"],
    ),
};
