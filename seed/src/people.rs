//! Names and addresses of people who do not exist, in places that do.

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::records::AddressSnapshot;

#[rustfmt::skip]
const FIRST_NAMES: &[&str] = &[
    "Aaliyah", "Adam", "Aisha", "Alastair", "Alex", "Alice", "Amelia", "Amir", "Andrew", "Angus", "Anna",
    "Anthony", "Arjun", "Ava", "Beatrice", "Ben", "Bethany", "Callum", "Carys", "Catherine", "Charlotte",
    "Chloe", "Christopher", "Claire", "Connor", "Daisy", "Daniel", "David", "Deepa", "Dylan", "Edward",
    "Eilidh", "Eleanor", "Ella", "Emily", "Emma", "Ethan", "Euan", "Evie", "Fatima", "Fiona", "Florence",
    "Frances", "Freya", "Gareth", "George", "Georgia", "Grace", "Hamish", "Hannah", "Harriet", "Harry",
    "Hassan", "Helen", "Henry", "Holly", "Hugh", "Imogen", "Iona", "Isaac", "Isla", "Jack", "James",
    "Jasmine", "Jessica", "Joanna", "Joseph", "Joshua", "Julia", "Karen", "Katie", "Khadija", "Laura",
    "Leah", "Lewis", "Lily", "Louise", "Lucy", "Luke", "Maisie", "Marcus", "Maria", "Martha", "Martin",
    "Matilda", "Maya", "Megan", "Michael", "Miriam", "Mohammed", "Natalie", "Nathan", "Niamh", "Nicholas",
    "Nikhil", "Nina", "Olivia", "Oscar", "Owen", "Patrick", "Paul", "Peter", "Philippa", "Poppy", "Priya",
    "Rachel", "Rebecca", "Rhys", "Robert", "Rory", "Rosie", "Ruth", "Samuel", "Sanjay", "Sarah", "Sean",
    "Sian", "Simon", "Sophie", "Stephen", "Tariq", "Theo", "Thomas", "Tom", "Victoria", "William", "Yasmin",
    "Zara", "Zoe",
];

#[rustfmt::skip]
const LAST_NAMES: &[&str] = &[
    "Abbott", "Adams", "Ahmed", "Allen", "Anderson", "Archer", "Armstrong", "Bailey", "Baker", "Barker",
    "Barnes", "Begum", "Bell", "Bennett", "Brooks", "Brown", "Butler", "Campbell", "Carr", "Carter",
    "Chapman", "Clarke", "Collins", "Cook", "Cooper", "Cox", "Crawford", "Davies", "Davis", "Dixon",
    "Doyle", "Edwards", "Ellis", "Evans", "Fisher", "Fletcher", "Foster", "Fraser", "Gibson", "Gill",
    "Graham", "Grant", "Gray", "Green", "Griffiths", "Hall", "Hamilton", "Harris", "Harrison", "Harvey",
    "Henderson", "Hill", "Holmes", "Howard", "Hughes", "Hunt", "Hussain", "Iqbal", "Jackson", "James",
    "Jenkins", "Johnson", "Jones", "Kaur", "Kelly", "Kennedy", "Khan", "King", "Knight", "Lawrence", "Lee",
    "Lewis", "Lloyd", "MacDonald", "Marshall", "Martin", "Mason", "Matthews", "McCarthy", "Mehta", "Miller",
    "Mitchell", "Moore", "Morgan", "Morris", "Murphy", "Murray", "Nelson", "O'Brien", "O'Connor", "Palmer",
    "Parker", "Patel", "Pearson", "Phillips", "Powell", "Price", "Reid", "Reynolds", "Richards",
    "Richardson", "Roberts", "Robertson", "Robinson", "Rogers", "Ross", "Russell", "Ryan", "Saunders",
    "Scott", "Shah", "Sharma", "Shaw", "Simpson", "Singh", "Smith", "Spencer", "Stevens", "Stewart",
    "Sutherland", "Taylor", "Thomas", "Thompson", "Turner", "Walker", "Walsh", "Ward", "Watson", "Webb",
    "West", "White", "Wilkinson", "Williams", "Wilson", "Wood", "Wright", "Young",
];

#[rustfmt::skip]
const STREET_NAMES: &[&str] = &[
    "Acacia", "Albert", "Alma", "Ashfield", "Beech", "Birch", "Bramley", "Bridge", "Brook", "Cambridge",
    "Castle", "Cavendish", "Cedar", "Chapel", "Chestnut", "Church", "Clarence", "Clifton", "Cross", "Crown",
    "Devonshire", "Elm", "Fairfield", "Foundry", "George", "Gladstone", "Grange", "Green", "Grove",
    "Hawthorn", "Hazel", "Heath", "High", "Highfield", "Hillside", "Holly", "Kings", "Lansdowne", "Larch",
    "Laurel", "Lime", "Manor", "Maple", "Meadow", "Mill", "Montague", "Mount", "New", "North", "Nursery",
    "Oakfield", "Orchard", "Osborne", "Oxford", "Park", "Poplar", "Priory", "Quarry", "Queens", "Rectory",
    "Regent", "Richmond", "Rosebery", "Rowan", "School", "Sheldon", "Silver", "South", "Spring", "Stanley",
    "Station", "Sycamore", "Tower", "Union", "Vicarage", "Victoria", "Walnut", "Warwick", "Wellington",
    "West", "Willow", "Windsor", "Woodland", "York",
];

const STREET_KINDS: &[&str] = &[
    "Road", "Road", "Road", "Street", "Street", "Street", "Avenue", "Lane", "Close", "Drive", "Way",
    "Terrace", "Gardens", "Crescent", "Place",
];

/// A British town: its name, its postcode area and the highest district in it.
#[rustfmt::skip]
const TOWNS: &[(&str, &str, u8)] = &[
    ("Aberdeen", "AB", 25), ("Bath", "BA", 3), ("Belfast", "BT", 17), ("Birmingham", "B", 38),
    ("Bournemouth", "BH", 11), ("Bradford", "BD", 15), ("Brighton", "BN", 2), ("Bristol", "BS", 16),
    ("Cambridge", "CB", 5), ("Canterbury", "CT", 4), ("Cardiff", "CF", 24), ("Carlisle", "CA", 6),
    ("Cheltenham", "GL", 54), ("Chester", "CH", 4), ("Colchester", "CO", 5), ("Coventry", "CV", 6),
    ("Derby", "DE", 24), ("Dundee", "DD", 5), ("Durham", "DH", 1), ("Edinburgh", "EH", 17),
    ("Exeter", "EX", 5), ("Glasgow", "G", 53), ("Guildford", "GU", 5), ("Harrogate", "HG", 3),
    ("Hull", "HU", 9), ("Inverness", "IV", 3), ("Ipswich", "IP", 5), ("Lancaster", "LA", 2),
    ("Leeds", "LS", 19), ("Leicester", "LE", 5), ("Lincoln", "LN", 6), ("Liverpool", "L", 25),
    ("London", "E", 18), ("London", "N", 22), ("London", "NW", 11), ("London", "SE", 28),
    ("London", "SW", 20), ("London", "W", 14), ("Manchester", "M", 25), ("Milton Keynes", "MK", 15),
    ("Newcastle upon Tyne", "NE", 7), ("Newport", "NP", 20), ("Northampton", "NN", 5), ("Norwich", "NR", 7),
    ("Nottingham", "NG", 11), ("Oxford", "OX", 4), ("Peterborough", "PE", 7), ("Plymouth", "PL", 9),
    ("Portsmouth", "PO", 6), ("Preston", "PR", 5), ("Reading", "RG", 8), ("Sheffield", "S", 17),
    ("Shrewsbury", "SY", 5), ("Southampton", "SO", 19), ("St Albans", "AL", 4), ("Stoke-on-Trent", "ST", 6),
    ("Sunderland", "SR", 6), ("Swansea", "SA", 7), ("Swindon", "SN", 5), ("Truro", "TR", 4),
    ("Wolverhampton", "WV", 10), ("Worcester", "WR", 5), ("York", "YO", 32),
];

/// A place abroad: country, town, streets, and the postcode's pattern (`#` a digit, `@` a letter).
const ABROAD: &[(&str, &str, &[&str], &str)] = &[
    (
        "IE",
        "Dublin",
        &["Dorset Street", "Griffith Avenue", "Rathgar Road"],
        "D0# @#@#",
    ),
    (
        "IE",
        "Cork",
        &["Douglas Street", "Magazine Road", "Sunday's Well Road"],
        "T12 @#@#",
    ),
    (
        "FR",
        "Lyon",
        &["Rue de la République", "Rue Garibaldi", "Avenue Jean Jaurès"],
        "6900#",
    ),
    (
        "FR",
        "Nantes",
        &["Rue de Strasbourg", "Rue des Olivettes"],
        "44#00",
    ),
    (
        "DE",
        "Hamburg",
        &["Lindenallee", "Gärtnerstraße", "Bahnhofstraße"],
        "20#5#",
    ),
    (
        "DE",
        "Leipzig",
        &["Karl-Heine-Straße", "Nordstraße", "Gartenweg"],
        "0410#",
    ),
    (
        "NL",
        "Utrecht",
        &["Biltstraat", "Oudegracht", "Kanaalstraat"],
        "35## @@",
    ),
    ("BE", "Gent", &["Veldstraat", "Coupure Links"], "90#0"),
    ("ES", "Valencia", &["Calle de Colón", "Calle de la Paz"], "4600#"),
    ("SE", "Göteborg", &["Linnégatan", "Vasagatan"], "41# ##"),
    (
        "US",
        "Portland",
        &["Hawthorne Boulevard", "Alder Street", "Division Street"],
        "972##",
    ),
    ("AU", "Melbourne", &["Lygon Street", "Smith Street"], "30##"),
];

/// Letters that end a British postcode: those that are easily misread are not used.
const POSTCODE_LETTERS: &[u8] = b"ABDEFGHJLNPQRSTUWXYZ";

/// Customers abroad, out of a hundred.
const ABROAD_PERCENT: u32 = 8;

/// A first and a last name.
pub fn name(rng: &mut impl Rng) -> (&'static str, &'static str) {
    (pick(rng, FIRST_NAMES), pick(rng, LAST_NAMES))
}

/// An address, mostly in the United Kingdom.
pub fn address(rng: &mut impl Rng) -> AddressSnapshot {
    if rng.random_ratio(ABROAD_PERCENT, 100) {
        abroad(rng)
    } else {
        british(rng)
    }
}

fn british(rng: &mut impl Rng) -> AddressSnapshot {
    let (town, area, districts) = TOWNS.choose(rng).copied().unwrap_or(("London", "N", 22));
    let number = rng.random_range(1..=160);
    let mut street = format!("{number} {} {}", pick(rng, STREET_NAMES), pick(rng, STREET_KINDS));
    if rng.random_ratio(1, 8) {
        street.insert_str(0, &format!("Flat {}, ", rng.random_range(1..=12)));
    }
    let district = rng.random_range(1..=districts);
    let postal_code = format!("{area}{district} {}", fill(rng, "#@@"));
    AddressSnapshot {
        street,
        city: town.to_owned(),
        postal_code,
        country: "GB".to_owned(),
    }
}

fn abroad(rng: &mut impl Rng) -> AddressSnapshot {
    let (country, city, streets, pattern) = ABROAD.choose(rng).copied().unwrap_or(ABROAD[0]);
    let number = rng.random_range(1..=120);
    let street = pick(rng, streets);
    let street = match country {
        "DE" | "NL" | "BE" | "ES" | "SE" => format!("{street} {number}"),
        _ => format!("{number} {street}"),
    };
    AddressSnapshot {
        street,
        city: city.to_owned(),
        postal_code: fill(rng, pattern),
        country: country.to_owned(),
    }
}

/// Replaces `#` with digits and `@` with letters.
fn fill(rng: &mut impl Rng, pattern: &str) -> String {
    pattern
        .chars()
        .map(|sign| match sign {
            '#' => char::from(b'0' + rng.random_range(0..10_u8)),
            '@' => char::from(POSTCODE_LETTERS.choose(rng).copied().unwrap_or(b'A')),
            other => other,
        })
        .collect()
}

fn pick(rng: &mut impl Rng, from: &[&'static str]) -> &'static str {
    from.choose(rng).copied().unwrap_or_default()
}
