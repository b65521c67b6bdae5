//! Products in lists: cards.

use emporium_service_kit::Money;

use crate::clients::catalog::{Product, ProductList};
use crate::pages::picture::Picture;

/// From this stock on, nobody needs to hurry.
const LOW_STOCK: i64 = 10;

/// A product in a list.
pub struct Card {
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// The maker.
    pub brand: Option<String>,
    /// What one costs.
    pub price: Money,
    /// How many there are.
    pub stock: Stock,
    /// What it looks like.
    pub picture: Picture,
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
        Self {
            href: format!("/products/{}", product.id),
            name: product.name.clone(),
            brand: product.brand.clone(),
            price: product.price,
            stock: Stock::of(product),
            picture: Picture::new(product.id, &product.category),
        }
    }
}

/// The cards of a list.
pub fn cards(list: &ProductList) -> Vec<Card> {
    list.items.iter().map(Card::from).collect()
}
