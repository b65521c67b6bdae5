//! What a stock code stands for: goods, or one of the shop's own book-keeping entries.

use crate::records::ChargeKind;

/// What a line with a code is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// A product, gift vouchers included: they are sold by the piece at a price.
    Goods,
    /// An amount that belongs to the order but is not a product.
    Charge(ChargeKind),
}

/// The kind of a code in capitals; whatever is not in the list is goods.
pub fn kind(code: &str) -> CodeKind {
    CodeKind::Charge(match code {
        // Postage, Dotcom postage, carriage.
        "POST" | "DOT" | "C2" | "C3" => ChargeKind::Postage,
        "D" => ChargeKind::Discount,
        "AMAZONFEE" | "BANK CHARGES" | "CRUK" => ChargeKind::Fee,
        // Manual entries, samples, and two test products that nobody should find in the catalogue.
        "M" | "S" | "TEST001" | "TEST002" => ChargeKind::Manual,
        // Corrections of the books, and written-off debts.
        "ADJUST" | "ADJUST2" | "B" => ChargeKind::Adjustment,
        _ => return CodeKind::Goods,
    })
}

/// What a charge is called when its line has no description.
pub fn charge_name(kind: ChargeKind) -> &'static str {
    match kind {
        ChargeKind::Postage => "Postage",
        ChargeKind::Discount => "Discount",
        ChargeKind::Fee => "Fee",
        ChargeKind::Manual => "Manual entry",
        ChargeKind::Adjustment => "Adjustment",
    }
}
