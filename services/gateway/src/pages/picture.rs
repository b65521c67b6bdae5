//! Pictures of products: an icon of what it is before a ground whose colours and shape come from the product's id, so
//! that one product always looks the same and its neighbours do not.

use askama::Template;
use uuid::Uuid;

use crate::pages::assets;

/// A picture, drawn as SVG.
#[derive(Template)]
#[template(path = "part/picture.html")]
pub struct Picture {
    /// The symbol's name.
    pub icon: &'static str,
    /// The ground's hue, in degrees.
    pub hue: u32,
    /// The shape's hue.
    pub shape_hue: u32,
    /// Which shape stands behind the icon.
    pub shape: u8,
    icons: &'static str,
}

const SHAPES: u8 = 6;

impl Picture {
    /// The picture of a product.
    pub fn new(id: Uuid, category: &str) -> Self {
        // The last bytes of any UUID are random or a hash; the first ones are a time.
        let [.., shape, turn, hue] = id.into_bytes();
        let hue = u32::from(hue) * 360 / 256;
        Self {
            icon: icon(category),
            hue,
            shape_hue: (hue + 20 + u32::from(turn) % 50) % 360,
            shape: shape % SHAPES,
            icons: &assets::addresses().icons,
        }
    }

    /// The picture of a whole category.
    pub fn of_category(slug: &str) -> Self {
        let hash = slug.bytes().fold(7_u32, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u32::from(byte))
        });
        Self {
            icon: icon(slug),
            hue: hash % 360,
            shape_hue: (hash % 360 + 30) % 360,
            shape: 0,
            icons: &assets::addresses().icons,
        }
    }
}

/// Which icon stands for a category: the first one with a word that is in its slug. Narrow words come first.
const ICONS: &[(&str, &str)] = &[
    ("christmas", "tree"),
    ("easter", "egg"),
    ("voucher", "gift"),
    ("gift-wrap", "gift"),
    ("card", "card"),
    ("garden", "trowel"),
    ("planter", "planter"),
    ("plant", "planter"),
    ("camping", "tent"),
    ("walking", "boot"),
    ("bird", "bird"),
    ("umbrella", "umbrella"),
    ("headphone", "headphones"),
    ("speaker", "speaker"),
    ("smart-home", "home"),
    ("toner", "drop"),
    ("printer-paper", "paper"),
    ("network", "network"),
    ("cable", "plug"),
    ("charger", "plug"),
    ("power", "plug"),
    ("electrical", "plug"),
    ("batter", "battery"),
    ("server", "server"),
    ("rack", "server"),
    ("processor", "chip"),
    ("motherboard", "chip"),
    ("graphics", "chip"),
    ("memory", "chip"),
    ("monitor", "screen"),
    ("television", "screen"),
    ("projector", "camera"),
    ("printer", "printer"),
    ("camera", "camera"),
    ("phone", "phone"),
    ("tablet", "phone"),
    ("keyboard", "keyboard"),
    ("computer-accessories", "keyboard"),
    ("cooling", "fan"),
    ("software", "disc"),
    ("computer", "laptop"),
    ("notebooks", "notebook"),
    ("bags", "bag"),
    ("scarves", "scarf"),
    ("cloth", "scarf"),
    ("jewel", "ring"),
    ("food-storage", "jar"),
    ("jar", "jar"),
    ("mug", "mug"),
    ("tea", "mug"),
    ("cookware", "pan"),
    ("bak", "cake"),
    ("utensil", "utensils"),
    ("cutlery", "utensils"),
    ("tableware", "plate"),
    ("kitchen", "utensils"),
    ("dining", "plate"),
    ("glass", "glass"),
    ("appliance", "kettle"),
    ("candle", "candle"),
    ("lamp", "lamp"),
    ("light", "lamp"),
    ("clock", "clock"),
    ("frame", "frame"),
    ("decor", "frame"),
    ("sign", "frame"),
    ("basket", "basket"),
    ("storage", "disk"),
    ("vase", "vase"),
    ("cushion", "cushion"),
    ("bedding", "bed"),
    ("towel", "towel"),
    ("bath", "towel"),
    ("textile", "towel"),
    ("rug", "rug"),
    ("household", "broom"),
    ("toy", "toy"),
    ("game", "puzzle"),
    ("book", "book"),
    ("fiction", "book"),
    ("pen", "pen"),
    ("stationery", "pen"),
    ("office", "paper"),
    ("craft", "pen"),
    ("party", "cake"),
    ("gift", "gift"),
    ("electronic", "chip"),
];

fn icon(category: &str) -> &'static str {
    ICONS
        .iter()
        .find_map(|(word, icon)| category.contains(word).then_some(*icon))
        .unwrap_or("tag")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_is_drawn_and_ids_alone_decide_the_rest() {
        let drawn = include_str!("../../assets/icons.svg");
        for (word, icon) in ICONS {
            assert!(
                drawn.contains(&format!("<symbol id=\"{icon}\"")),
                "{word}: {icon}"
            );
        }
        let id = Uuid::from_u128(0x1234_5678);
        let (one, two) = (Picture::new(id, "mugs"), Picture::new(id, "mugs"));
        assert_eq!(one.render().unwrap(), two.render().unwrap());
        assert_eq!(Picture::new(id, "\"><script>").icon, "tag");
        assert!(Picture::new(Uuid::max(), "").hue < 360);
        assert!(Picture::of_category("a-slug-that-goes-on-and-on").shape_hue < 360);
    }
}
