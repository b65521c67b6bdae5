//! What is said of anything, by rating: from 1 to 5.

/// Sentences by rating.
pub type Words = [&'static [&'static str]; 5];

/// First sentences.
pub const OPENERS: Words = [
    &[
        "I wanted to like this {noun}, but it is going back.",
        "Not what I expected from the pictures.",
        "I rarely write reviews, but this one I have to warn about.",
        "My {noun} lasted three weeks.",
        "I should have read the other reviews first.",
        "Very disappointed with this {noun}.",
    ],
    &[
        "It does the job, but only just.",
        "I had hoped for more from this {noun}.",
        "There are better ones for the price.",
        "It looks better in the photos than on the table.",
        "I keep it because sending it back is more trouble.",
        "Fine at first, less so after a month.",
    ],
    &[
        "It is all right, no more and no less.",
        "A decent {noun} with one or two weak points.",
        "Three stars, because it is neither good nor bad.",
        "Some things are well thought out, others are not.",
        "For the price I cannot complain much.",
        "I am in two minds about this {noun}.",
    ],
    &[
        "A good {noun}, and I would buy it again.",
        "Very nearly perfect.",
        "It does what it promises.",
        "I have used it for a month now and am happy with it.",
        "It arrived quickly, well packed, and is just what I was looking for.",
        "Much nicer than the one I had before.",
    ],
    &[
        "I love this {noun}.",
        "Exactly what I was looking for.",
        "I cannot fault it.",
        "This is my second {noun} of this kind; the first was given away as a present within a week.",
        "Even better than in the pictures.",
        "I had looked for a good {noun} for months, and this is it.",
        "Worth every penny.",
        "From the moment I opened the box I knew that I would keep it.",
    ],
];

/// Last sentences.
pub const CLOSERS: Words = [
    &[
        "I have asked for my money back.",
        "I would not buy it again.",
        "Save your money.",
        "One star, because there is no less to give.",
    ],
    &[
        "I will look for another one.",
        "At half the price it would be all right.",
        "Perhaps I was unlucky with mine.",
        "I would not give it as a present.",
    ],
    &[
        "Have a good look at it before you decide.",
        "It will do until I find something better.",
        "Not bad, but I would wait for an offer.",
        "If that does not matter to you, go ahead.",
    ],
    &[
        "Recommended.",
        "Only small things could be better.",
        "I am glad that I chose this one.",
        "A friend has ordered one since.",
    ],
    &[
        "I recommend it to everybody.",
        "I have already ordered another one.",
        "Thank you for a lovely {noun}.",
        "It will be a present for my sister, too.",
        "Ten out of ten.",
        "I would buy it again at once.",
    ],
];

/// Titles.
pub const TITLES: Words = [
    &[
        "Not worth it",
        "Went straight back",
        "Very disappointing",
        "Look elsewhere",
        "Poor quality",
        "Not as described",
    ],
    &[
        "Expected more",
        "Not for me",
        "Could be a lot better",
        "A let-down",
        "Mediocre {noun}",
        "Too dear for what it is",
    ],
    &[
        "All right",
        "Does the job",
        "Mixed feelings",
        "Good in parts",
        "A fair {noun}",
        "It is fine",
    ],
    &[
        "Very good {noun}",
        "Happy with it",
        "Nearly perfect",
        "Good value",
        "Just right",
        "A solid {noun}",
        "Would buy again",
    ],
    &[
        "Lovely {noun}",
        "Perfect",
        "Could not be happier",
        "Beautiful",
        "The best {noun} I have had",
        "Everything it should be",
        "A real joy",
        "Highly recommended",
        "Exactly as hoped",
    ],
];

/// What the seller answers.
pub const ANSWERS: Words = [
    &[
        "We are sorry to read this. That is not how a {noun} of ours should be: please send it back at our expense, and we will \
         replace it or refund you, as you prefer.",
        "Thank you for telling us. We have passed this on to the maker. Please get in touch with your order number, and we will \
         put it right.",
    ],
    &[
        "Thank you for your honest words. If you would like to exchange the {noun}, you have thirty days to do so.",
        "We are sorry that it is not what you hoped for. Do get in touch: perhaps we can suggest one that suits you better.",
    ],
    &[
        "Thank you for weighing it up so fairly. We have shown your remarks to the maker.",
        "That helps others to choose. Thank you for taking the time.",
    ],
    &[
        "Thank you. We are glad that you like the {noun}.",
        "Thank you for the kind words, and for the hint: we will add it to the description.",
    ],
    &[
        "Thank you very much. Reviews like this make our day.",
        "How kind. We hope that you enjoy the {noun} for many years.",
    ],
];
