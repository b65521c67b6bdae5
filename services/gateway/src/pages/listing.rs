//! Products in lists: cards.

use emporium_service_kit::Money;
use uuid::Uuid;

use crate::clients::catalog::{Product, ProductList};
use crate::pages::picture::Picture;
use crate::pages::stars::Stars;

/// From this stock on, nobody needs to hurry.
const LOW_STOCK: i64 = 10;

/// A product in a list.
pub struct Card {
    /// Which.
    pub id: Uuid,
    /// Its page.
    pub href: String,
    /// Its name, as HTML: escaped, with the words that were searched for in `<em>`.
    pub name: String,
    /// A part of the description with such words, as HTML.
    pub snippet: Option<String>,
    /// The maker.
    pub brand: Option<String>,
    /// What one costs.
    pub price: Money,
    /// How many there are.
    pub stock: Stock,
    /// What it looks like.
    pub picture: Picture,
    /// How it is rated, where that was asked for.
    pub stars: Option<Stars>,
    /// Why it is suggested.
    pub note: Option<String>,
    /// True on shelves of what was bought before.
    pub again: bool,
}

impl Card {
    /// True when one press puts it into the basket again.
    pub fn can_be_bought_again(&self) -> bool {
        self.again && matches!(self.stock, Stock::Plenty | Stock::Few(_))
    }
}

/// How many there are, as far as customers care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// Enough.
    Plenty,
    /// This many.
    Few(i64),
    /// None.
    Gone,
    /// It is not sold any more.
    Archived,
}

impl Stock {
    /// What a product's stock means.
    pub fn of(product: &Product) -> Self {
        use crate::clients::catalog::ProductStatus::Archived;
        match product.available() {
            _ if product.status == Archived => Self::Archived,
            0 => Self::Gone,
            few if few < LOW_STOCK => Self::Few(few),
            _ => Self::Plenty,
        }
    }

    /// In words.
    pub fn words(self) -> String {
        match self {
            Self::Plenty => "In stock".to_owned(),
            Self::Few(few) => format!("Only {few} left"),
            Self::Gone => "Out of stock".to_owned(),
            Self::Archived => "No longer sold".to_owned(),
        }
    }

    /// The stylesheet's name for it.
    pub fn class(self) -> &'static str {
        match self {
            Self::Plenty => "plenty",
            Self::Few(_) => "few",
            Self::Gone | Self::Archived => "gone",
        }
    }
}

impl From<&Product> for Card {
    fn from(product: &Product) -> Self {
        let marks = product.highlights.clone().unwrap_or_default();
        let name = marks.name.filter(|html| only_marks_words(html));
        Self {
            href: format!("/products/{}", product.id),
            name: name.unwrap_or_else(|| escaped(&product.name)),
            snippet: marks.description.filter(|html| only_marks_words(html)),
            brand: product.brand.clone(),
            price: product.price,
            stock: Stock::of(product),
            picture: Picture::new(product.id, &product.category),
            id: product.id,
            stars: None,
            note: None,
            again: false,
        }
    }
}

/// Whether HTML of another service is text with `<em>` in it and nothing else, each closed before the next is opened.
fn only_marks_words(html: &str) -> bool {
    let mut rest = html;
    while let Some((before, after)) = rest.split_once("<em>") {
        let Some((marked, after)) = after.split_once("</em>") else {
            return false;
        };
        if before.contains(['<', '>']) || marked.contains(['<', '>']) {
            return false;
        }
        rest = after;
    }
    !rest.contains(['<', '>'])
}

fn escaped(text: &str) -> String {
    let safe = askama::filters::escape(text, askama::filters::Html);
    safe.map_or_else(|_| String::new(), |safe| safe.to_string())
}

/// The cards of a list.
pub fn cards(list: &ProductList) -> Vec<Card> {
    list.items.iter().map(Card::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_and_nothing_else() {
        for html in [
            "",
            "a mug",
            "<em>mug</em>",
            "red <em>mug</em> &lt;b&gt; <em>set</em>.",
        ] {
            assert!(only_marks_words(html), "{html}");
        }
        for html in [
            "<em>mug",
            "mug</em>",
            "<em>a<em>b</em></em>",
            "<em><script></em>",
            "<em onclick=x>mug</em>",
            "<b>mug</b>",
            "<em>mug</em><img src=x>",
            ">",
        ] {
            assert!(!only_marks_words(html), "{html}");
        }
        assert_eq!(escaped("a <b> & \"c\""), "a &#60;b&#62; &#38; &#34;c&#34;");
    }
}
