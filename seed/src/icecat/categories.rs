//! The category of a product, from the words of its title: Icecat's own category is not in the data set.

/// Where no word of the title helps.
pub const OTHER: (&str, &str) = ("other-electronics", "Other Electronics");

/// Phrases in the order in which they are tried. Supplies and accessories come before the machines whose names they
/// mention ("toner for HP LaserJet printer"), narrow things before wide ones. A phrase matches whole words.
const CATEGORIES: &[(&str, &str, &str)] = &[
    ("toner-and-ink", "Toner & Ink", "singlepack|multipack"),
    (
        "bags-and-cases",
        "Bags & Cases",
        "notebook case|backpack|briefcase|sleeve case|messenger case|laptop case|laptop sleeve|tablet case",
    ),
    (
        "memory",
        "Memory",
        "flash drive|usb flash drive|memory module|memory card",
    ),
    (
        "toys-and-games",
        "Toys & Games",
        "doll|dolls|toy|toys|sylvanian|sylvanian families|jigsaw|board game|baby born|lol|l.o.l",
    ),
    (
        "toner-and-ink",
        "Toner & Ink",
        "toner|ink cartridge|ink cartridges|inkjet cartridge|ink|print cartridge|toner cartridge|\
             imaging unit|drum|imaging drum|fuser|printhead|print head|developer unit|waste toner|\
             transfer kit|maintenance kit|cartridge|printer ribbon|ribbon|transfer roller|transfer unit|\
             photoconductor|refill kit",
    ),
    (
        "printer-paper",
        "Printer Paper & Labels",
        "paper|photo paper|labels|label|label-making|printer label|film|transparency|canvas|\
             self-adhesive|vinyl|envelopes|plotter paper|art paper",
    ),
    (
        "network-cables",
        "Network Cables",
        "networking cable|patch cable|patch cord|patchcord|cat5e|cat6|cat6a|cat5|cat7|category 5e|\
             fiber optic cable|fibre optic cable|fiber optic|fibre optic|lc/lc|sc/sc|lc/sc|lc/st|rj45 cable|\
             crossover|utp|s/ftp|f/utp|u/utp|sf/utp|multimode|singlemode|patchbox",
    ),
    (
        "power-and-ups",
        "Power & UPS",
        "uninterruptible power supply|uninterruptible power supplies|ups|smart-ups|back-ups|\
             power distribution unit|pdu|surge protector|power extension|power supply unit|power supply|\
             power adapter|power adapter/inverter|adapter/inverter|power cable|power cord|inverter|symmetra|\
             ups battery|ups accessory|outlet|outlets|ac outlet|power|charger|mobile device charger|\
             sealed lead acid|vrla",
    ),
    (
        "batteries",
        "Batteries",
        "battery|batteries|rechargeable battery|li-ion|alkaline|power bank",
    ),
    (
        "audio-video-cables",
        "Audio & Video Cables",
        "hdmi cable|hdmi|vga cable|dvi cable|displayport|dvi-d|dvi-i|audio cable|video cable|s-video|\
             coaxial cable|coax|rca|svga|vga|composite|component video|toslink|bnc|speaker wire|3.5mm|\
             kvm cable|video splitter",
    ),
    (
        "computer-cables",
        "Computer Cables & Adapters",
        "usb cable|serial cable|parallel cable|scsi cable|sata cable|firewire cable|cable|cables|adapter|\
             gender changers|gender changer|cable gender changer|coupler|converter|connector|wire connector|\
             cable interface|y-cable|interface hub|interface cards/adapter|null modem|cord|lead|keystone|hub|\
             media converter|db9|db25",
    ),
    (
        "racks-and-mounts",
        "Racks & Mounts",
        "rack|rack cabinet|wall mount|mount|flat panel|ceiling mount|bracket|stand|cabinet|enclosure|\
             netshelter|mounting kit|monitor arm|pole|freestanding|desk mount|chassis",
    ),
    (
        "laptops",
        "Laptops",
        "notebook|netbook|chromebook|ultrabook|mobile workstation|hybrid (2-in-1)|hybrid",
    ),
    (
        "bags-and-cases",
        "Bags & Cases",
        "backpack|briefcase|sleeve case|messenger case|sleeve|case|cover|pouch|bag|trolley case|\
             handheld mobile computer case|skin|folio",
    ),
    ("processors", "Processors", "processor|xeon|cpu|opteron"),
    (
        "motherboards",
        "Motherboards",
        "motherboard|desktop board|server/workstation board",
    ),
    (
        "graphics-cards",
        "Graphics Cards",
        "graphics card|geforce|radeon|quadro|gddr5|gddr6|graphics adapter",
    ),
    (
        "memory",
        "Memory",
        "memory module|memory|ddr|ddr2|ddr3|ddr4|ddr4-sdram|ddr3-sdram|dimm|so-dimm|sdram|memory card|\
             flash drive|usb flash drive|compactflash|sd|microsd",
    ),
    (
        "data-storage",
        "Data Storage",
        "hard drive|hard disk|hdd|ssd|solid state drive|internal solid state drive|internal hard drive|\
             external hard drive|disk array|tape drive|optical disc drive|dvd-rw|blu-ray dvd combo|nas|\
             storage server|backup storage media|data tape|blank data tape|dvd-r|dvd+r|cd-r|cd-rw|dvd+rw|\
             blank|lto|storage drive|disk drive|raid|tape autoloader|tape cartridge",
    ),
    (
        "monitors",
        "Monitors",
        "monitor|computer monitor|lcd monitor|touch screen monitor|privacy filter|\
             display privacy filters|screen protector|public display|digital signage|signage display",
    ),
    (
        "televisions",
        "Televisions",
        "tv|television|hdtv|led tv|lcd tv|set-top box|media player|blu-ray player|dvd player|\
             dvd/blu-ray player|home cinema system|home theatre|remote control",
    ),
    (
        "projectors",
        "Projectors",
        "projector|projector lamp|projection screen|projection lamp|projection lens",
    ),
    (
        "printers-and-scanners",
        "Printers & Scanners",
        "printer|laser printer|multifunctional|mfp|laserjet|officejet|scanner|photocopier|plotter|fax|\
             large format printer|label printer|tray & feeder|tray/feeder|printer/scanner|input tray|\
             printing equipment|duplex unit|fax machine|all-in-one",
    ),
    ("servers", "Servers", "server|blade|poweredge|proliant"),
    (
        "computers",
        "Computers",
        "pc|pc/workstation|pc/workstation barebone|workstation|desktop|barebone|thin client|mini pc|tower",
    ),
    (
        "networking",
        "Networking",
        "network switch|switch|router|wireless router|access point|network card|network transceiver|\
             network transceiver module|modem|firewall|wlan|wi-fi|bridge|gateway|ethernet|network antenna|\
             antenna|network extender|powerline|hardware firewall|kvm switch|kvm extender|kvm|print server|\
             console server|serial server|transceiver|sfp|voip|ip phone|network",
    ),
    (
        "headphones",
        "Headphones",
        "headphones|headset|headphones/headset|earbuds|earphones|headphone",
    ),
    (
        "speakers-and-audio",
        "Speakers & Audio",
        "speaker|speakers|loudspeaker|soundbar|radio|cd player|mp3/mp4 player|mp3 player|audio|hi-fi|\
             microphone|amplifier|turntable|docking speaker|portable stereo|mp3|clock radio|gogear|sound card",
    ),
    (
        "cameras",
        "Cameras",
        "camera|digital camera|slr|lens|camera lens|camcorder|webcam|flash|tripod|camera filter|\
             lens hood|security camera|ip camera|camera flash|binocular|picture frame|digital photo frame|\
             dioptric",
    ),
    (
        "phones",
        "Phones",
        "smartphone|mobile phone|telephone|phone|dect|handset|pda|ipaq|navigator|sim|gps|smartwatch|\
             activity tracker",
    ),
    (
        "tablets",
        "Tablets & E-Readers",
        "tablet|e-book reader|ipad|stylus|stylus pen",
    ),
    (
        "keyboards-and-mice",
        "Keyboards & Mice",
        "keyboard|mouse|mice|trackball|input device|joystick|gamepad|mouse pad|numeric keypad|wrist rest|\
             presenter|game controller|gaming controller|keypad",
    ),
    (
        "cooling",
        "Cooling",
        "fan|cooler|heatsink|computer cooling|air conditioner|hardware cooling|liquid cooling|cooling",
    ),
    (
        "software-and-warranties",
        "Software & Warranties",
        "warranty|warranty & support|license|licence|software|upgrade|support|care pack|service",
    ),
    (
        "household",
        "Household",
        "coffee maker|shaver|men's shaver|vacuum|vacuum cleaner|iron|toothbrush|kettle|blender|fryer|\
             hair|hair dryer|epilator|baby|refrigerator|freezer|dishwasher|oven|hob|cooker hood|\
             washing machine|tumble dryer|toaster|food|microwave|air purifier|steam|trimmer|led bulb|lamp|\
             bulb|light|heater|thermostat|mixer|juicer|machine|breast pump",
    ),
    (
        "toys-and-games",
        "Toys & Games",
        "doll|dolls|toy|figure|puzzle|jigsaw|game|sylvanian|born|playset|board game|building|children's|\
             kids'|plush|lego|pieces|baby born|surprise",
    ),
    (
        "office-supplies",
        "Office Supplies",
        "calculator|binder|laminator|shredder|paper shredder|pen|marker|stapler|folder|file|desk|\
             whiteboard|tape|laminator pouch|binding machine|hole punch|cleaning|cleaning kit|air duster|\
             chair|equipment cleansing kit|clipboard|divider|box|tray",
    ),
    (
        "electrical-installation",
        "Security & Installation",
        "sensor|alarm|security|cable lock|lock|environment sensor|smart card reader|card reader|\
             bar code reader|barcode|rfid|video surveillance|intercom|switchbox|patch panel|cable tie|\
             cable organizer|cable management|wire|tool|crimping|cable tray|blanking panel",
    ),
    // What the wide words of a title still say when none of the above does.
    (
        "toner-and-ink",
        "Toner & Ink",
        "original|tri-color|black original",
    ),
    (
        "printer-paper",
        "Printer Paper & Labels",
        "large format media|media|herma|dymo|sheets|labelwriter|matte|glossy",
    ),
    (
        "printers-and-scanners",
        "Printers & Scanners",
        "dpi|ppm|photosmart|deskjet|designjet|phaser|feeder|forms card",
    ),
    ("motherboards", "Motherboards", "lga|atx|micro atx"),
    (
        "data-storage",
        "Data Storage",
        "sata|serial ata|serial ata ii|nvme|sas|rpm|m.2|docking|media spindle",
    ),
    ("monitors", "Monitors", "lcd|led display|full hd|touchscreen"),
    ("phones", "Phones", "galaxy|nokia|gsm|sgh|docking station"),
    ("cameras", "Cameras", "usm|photoframe|mp|megapixel"),
    ("batteries", "Batteries", "mah|ah"),
    (
        "power-and-ups",
        "Power & UPS",
        "surge|surge suppressor|ac|outlet(s)|isobar|apc",
    ),
    (
        "computer-cables",
        "Computer Cables & Adapters",
        "usb|firewire|serial|pci|m/m|m/f|usb-c|junctionbox",
    ),
    (
        "software-and-warranties",
        "Software & Warranties",
        "warranty/support|year|1yr|3yr|onsite|nextbusday|e-icard|svc|supp|windows",
    ),
    (
        "household",
        "Household",
        "cooker|slow cooker|espresso|senseo|nappies|pampers|exhaust filter|filter|coffee|podholder|bottle|knife",
    ),
    (
        "toys-and-games",
        "Toys & Games",
        "playhouse letterbox|playhouse flag|axi|creative|playmobil|paw patrol|barbie|disney",
    ),
];

/// Slug and name of every category.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    CATEGORIES
        .iter()
        .map(|(slug, name, _)| (*slug, *name))
        .chain([OTHER])
}

/// Slug and name of the category; the product type decides where it says something, else the title does.
pub fn category(title: &str, product_type: Option<&str>) -> (&'static str, &'static str) {
    product_type
        .and_then(|product_type| find(&words(product_type)))
        .or_else(|| find(&words(title)))
        .unwrap_or(OTHER)
}

fn find(words: &str) -> Option<(&'static str, &'static str)> {
    CATEGORIES
        .iter()
        .find(|(_, _, phrases)| phrases.split('|').any(|phrase| contains_phrase(words, phrase)))
        .map(|(slug, name, _)| (*slug, *name))
}

/// The text in small letters with one space between words, and nothing at their ends but letters and digits.
fn words(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split_whitespace()
        .map(|word| word.trim_matches(|sign: char| !sign.is_alphanumeric() && sign != '\''))
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

fn contains_phrase(words: &str, phrase: &str) -> bool {
    words.match_indices(phrase).any(|(start, _)| {
        let end = start + phrase.len();
        let at_start = start == 0 || words.as_bytes()[start - 1] == b' ';
        at_start && (end == words.len() || words.as_bytes()[end] == b' ')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supplies_come_before_machines_and_types_before_titles() {
        assert_eq!(
            category(
                "Xerox 006R90321 toner cartridge Original Black 6 pc(s)",
                Some("Original")
            )
            .0,
            "toner-and-ink"
        );
        assert_eq!(
            category("HP Pavilion dv7-1211ea Notebook Silver", Some("Notebook")).0,
            "laptops"
        );
        assert_eq!(category("Philips SHE2550 headphones", None).0, "headphones");
        assert_eq!(category("Something nobody has heard of", Some("1")), OTHER);
    }
}
