//! Reading descriptions: which ones are names, how they look tidy, and what they say about the category.

/// The category of goods whose words say nothing.
pub const OTHER: (&str, &str) = ("other-gifts", "Other Gifts");

/// Categories in the order in which they are tried; the first one with a word of the name wins. Occasions come
/// before things, and narrow things before wide ones.
const CATEGORIES: &[(&str, &str, &str)] = &[
    ("gift-vouchers", "Gift Vouchers", "voucher"),
    (
        "christmas",
        "Christmas",
        "christmas|xmas|advent|santa|reindeer|snowflake|snowman|bauble|baubles|stocking|nativity|noel",
    ),
    ("easter", "Easter", "easter|egg|eggs|bunny"),
    (
        "lighting",
        "Lighting",
        "light|lights|lamp|lampshade|chandelier|nightlight|torch|bulb|lamps",
    ),
    (
        "candles",
        "Candles",
        "candle|candles|candlestick|t-light|t-lights|tealight|tealights|lantern|candleholder|votive|\
             incense|oil|scented|diffuser",
    ),
    (
        "jewellery",
        "Jewellery",
        "necklace|bracelet|earrings|earring|ring|brooch|charm|bangle|pendant|bead|beads|diamante|\
             jewelled|choker|necklac|anklet|locket|tiara",
    ),
    (
        "bags",
        "Bags",
        "bag|bags|purse|shopper|handbag|tote|satchel|rucksack|backpack|wallet|suitcase|holdall|case",
    ),
    (
        "cards-and-wrap",
        "Cards & Gift Wrap",
        "card|cards|wrap|ribbon|ribbons|tissue|envelope|tag|tags|gift-wrap|bows",
    ),
    (
        "stationery",
        "Stationery",
        "notebook|pen|pens|pencil|pencils|eraser|erasers|ruler|stickers|sticker|paper|stationery|notepad|\
             journal|sketchbook|tape|stamp|stamps|letter|letters|calendar|organiser|memo|memoboard|\
             chalkboard|blackboard|crayons|chalk|book|sharpener|scissor|scissors|rubber|rubbers",
    ),
    (
        "baking",
        "Baking",
        "cake|cakes|cakestand|baking|cupcake|cookie|cutter|cutters|jelly|pastry|mould|moulds|muffin",
    ),
    (
        "mugs-and-tea",
        "Mugs & Tea",
        "mug|mugs|tea|teapot|teacup|coffee|cup|cups|cafetiere|saucer|teaspoons|infuser",
    ),
    (
        "kitchen-and-dining",
        "Kitchen & Dining",
        "kitchen|bowl|bowls|plate|plates|tray|trays|cutlery|jug|jar|jars|spoon|spoons|bottle|glass|\
             glasses|tumbler|goblet|dish|dishes|coaster|coasters|placemat|placemats|apron|oven|tin|tins|\
             lunch|lunchbox|breakfast|dinner|napkin|napkins|recipe|pantry|measuring|scales|jam|bread|butter|\
             spice|salt|pepper|egg-cup|corkscrew|straws|cocktail|teatowel|towel|towels|fork|knife|ladle|\
             colander|milk|picnic|snack|beaker",
    ),
    ("clocks", "Clocks", "clock|clocks|watch"),
    (
        "frames-and-mirrors",
        "Frames & Mirrors",
        "frame|frames|mirror|mirrors|photo|picture|pictures|album",
    ),
    (
        "cushions-and-textiles",
        "Cushions & Textiles",
        "cushion|cushions|quilt|throw|blanket|curtain|pillow|doormat|rug|mat|pouffe|pouf|tablecloth|\
             fabric|doorstop|draught|pads|pad|bedspread|duvet",
    ),
    (
        "garden",
        "Garden",
        "garden|plant|planter|pot|pots|watering|bird|birds|birdhouse|feeder|parasol|seeds|trowel|\
             flowerpot|gnome|wheelbarrow|trellis|secateurs|fork|gardeners|windmill",
    ),
    (
        "party",
        "Party",
        "party|birthday|bunting|balloon|balloons|garland|confetti|invites|piñata|bingo|streamers|disco|\
             wedding",
    ),
    (
        "toys-and-games",
        "Toys & Games",
        "toy|toys|game|games|puzzle|doll|dolly|jigsaw|playhouse|dominoes|skittles|marbles|cards|ludo|\
             kite|yo-yo|yoyo|soldiers|soldier|felt|feltcraft|knitting|craft|teddy|rabbit|dinosaur|spaceboy|\
             magic|skipping|spinning|animals|harmonica|childrens|childs|girl|boy|baby|kids|origami|sewing|kit",
    ),
    (
        "bath-and-beauty",
        "Bath & Beauty",
        "bath|soap|bathroom|hair|hairclip|hairband|cosmetic|cosmetics|toothbrush|wash|plasters|manicure|\
             lip|shower|sponge|slide|comb|brush|balm|hairslide|lavender",
    ),
    (
        "clothing-and-accessories",
        "Clothing & Accessories",
        "umbrella|scarf|gloves|hat|socks|slippers|mittens|poncho|sunglasses|shawl|wrap-around|keyring|\
             key-ring|phone|passport|luggage|sombrero|fan|parasol|warmer|warmers|boots",
    ),
    (
        "storage",
        "Storage",
        "box|boxes|basket|baskets|storage|drawer|drawers|cabinet|hook|hooks|hanger|hangers|shelf|shelves|\
             rack|holder|stand|crate|tidy|knob|knobs|wicker|trunk|peg|bin|tub|wastepaper|bucket",
    ),
    (
        "signs-and-wall-art",
        "Signs & Wall Art",
        "sign|signs|wall|art|poster|plaque|magnets|magnet|tile|tiles|canvas|print|hanging|number|mobile|\
             block|blocks|wicker|plaques",
    ),
    (
        "decorations",
        "Decorations",
        "decoration|decorations|ornament|ornaments|heart|hearts|star|angel|fairy|vase|flower|flowers|\
             rose|roses|wreath|figurine|butterfly|butterflies|tree|trinket|bell|bells|feather|string|strings|\
             artificial|cherub|dove|skull|skulls|buddha|globe|crystal|trophy|daisy|ball|glitter|charm",
    ),
];

/// Words that stay small within a name.
const SMALL_WORDS: &[&str] = &[
    "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with",
];

/// Notes of the warehouse, as words in small letters.
#[rustfmt::skip]
const NOTES: &[&str] = &[
    "adjust", "adjustment", "amazon", "amended", "broken", "check", "checked", "code", "counted", "credit",
    "crushed", "damage", "damaged", "damages", "dotcom", "ebay", "error", "faulty", "found", "given",
    "incorrect", "lost", "mailout", "missing", "mixed", "mouldy", "rusty", "sale", "sales", "sample",
    "samples", "smashed", "sold", "test", "thrown", "unsaleable", "update", "wet", "wrong",
];

/// Whether a description names goods. Lines without a price (`strict`) hold notes of the warehouse more often than
/// names; names are written in capitals there, notes mostly are not.
pub fn is_name(text: &str, strict: bool) -> bool {
    let letters = || text.chars().filter(|sign| sign.is_alphabetic());
    if letters().count() < 3 || text.contains('?') {
        return false;
    }
    if !strict {
        return true;
    }
    let is_note = text
        .split(|sign: char| !sign.is_alphanumeric())
        .any(|word| NOTES.iter().any(|note| note.eq_ignore_ascii_case(word)));
    let capitals = letters().filter(|letter| letter.is_uppercase()).count();
    !is_note && capitals * 2 > letters().count() && text.len() >= 8
}

/// `WHITE HANGING HEART T-LIGHT  HOLDER ` → `White Hanging Heart T-Light Holder`.
pub fn tidy(text: &str) -> String {
    let text =
        text.trim_matches(|sign: char| sign.is_whitespace() || matches!(sign, '*' | ',' | '.' | ';' | '-'));
    let text = text.replace(" ,", ",");
    let mut name = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !name.is_empty() {
            name.push(' ');
        }
        if !name.is_empty() && SMALL_WORDS.iter().any(|small| small.eq_ignore_ascii_case(word)) {
            name.push_str(&word.to_lowercase());
        } else if word.chars().any(char::is_lowercase) {
            // Mixed letters were written on purpose.
            name.push_str(word);
        } else {
            capitalise(word, &mut name);
        }
    }
    name
}

/// The first letter after each separator is large, the others are small; so are units after a number.
fn capitalise(word: &str, into: &mut String) {
    let mut before = ' ';
    for letter in word.chars() {
        let starts = matches!(before, ' ' | '-' | '/' | '(' | '"' | '+' | '&' | '.' | ',');
        if starts {
            into.push(letter);
        } else {
            into.extend(letter.to_lowercase());
        }
        before = letter;
    }
}

/// Slug and name of every category.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    CATEGORIES
        .iter()
        .map(|(slug, name, _)| (*slug, *name))
        .chain([OTHER])
}

/// Slug and name of the category that the words of a name speak of.
pub fn category(name: &str) -> (&'static str, &'static str) {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower
        .split(|sign: char| !(sign.is_alphanumeric() || sign == '-'))
        .collect();
    CATEGORIES
        .iter()
        .find(|(_, _, speaks)| speaks.split('|').any(|word| words.contains(&word)))
        .map_or(OTHER, |(slug, name, _)| (*slug, *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_look_tidy() {
        assert_eq!(
            tidy("WHITE HANGING HEART T-LIGHT  HOLDER "),
            "White Hanging Heart T-Light Holder"
        );
        assert_eq!(
            tidy("15CM CHRISTMAS GLASS BALL 20 LIGHTS"),
            "15cm Christmas Glass Ball 20 Lights"
        );
        assert_eq!(tidy("POPCORN HOLDER , SMALL"), "Popcorn Holder, Small");
        assert_eq!(
            tidy("SET OF 3 CAKE TINS PANTRY DESIGN."),
            "Set of 3 Cake Tins Pantry Design"
        );
        assert_eq!(tidy("*Boombox Ipod Classic"), "Boombox Ipod Classic");
        assert_eq!(tidy("CHILDREN'S APRON DOLLY GIRL"), "Children's Apron Dolly Girl");
    }

    #[test]
    fn notes_of_the_warehouse_are_no_names() {
        for note in [
            "",
            "?",
            "damaged",
            "Damaged",
            "DAMAGED STOCK",
            "sold as set on dotcom",
            "21494",
            "wet/rusty",
            "mia",
        ] {
            assert!(!is_name(note, true), "{note}");
        }
        assert!(is_name("PINK CHERRY LIGHTS", true));
        assert!(is_name("Dotcomgiftshop Gift Voucher £10.00", false));
    }

    #[test]
    fn words_give_the_category() {
        assert_eq!(category("Gift Bag Christmas Tree").0, "christmas");
        assert_eq!(category("White Hanging Heart T-Light Holder").0, "candles");
        assert_eq!(category("Jumbo Bag Red Retrospot").0, "bags");
        assert_eq!(category("Nothing in Particular"), OTHER);
    }
}
