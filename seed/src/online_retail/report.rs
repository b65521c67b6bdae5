//! What an import did, to be printed.

use std::fmt;

use super::line::Value;

/// The count of an import: lines and value read, loaded and rejected, and what they became.
///
/// Always `lines_read == lines_loaded + lines_rejected` and `value_read == value_loaded + value_rejected`; and what
/// the records are worth, `orders_value − refunds_value`, is `value_loaded`. Adjustments are worth nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records of the file, without its header.
    pub lines_read: u64,
    /// Lines that are part of an order, a refund or an adjustment.
    pub lines_loaded: u64,
    /// Lines in the reject file.
    pub lines_rejected: u64,
    /// Quantity times price of all lines where both can be read.
    pub value_read: Value,
    /// The same of the loaded lines.
    pub value_loaded: Value,
    /// The same of the rejected lines.
    pub value_rejected: Value,
    /// Products.
    pub products: u64,
    /// Products whose price is invented, since none was ever sold for money.
    pub products_price_invented: u64,
    /// Customers.
    pub customers: u64,
    /// Orders, those of guests included.
    pub orders: u64,
    /// Orders without a customer.
    pub orders_guest: u64,
    /// Orders that consist of charges alone.
    pub orders_charges_only: u64,
    /// What all orders are worth.
    pub orders_value: Value,
    /// Refunds, one for each cancelled line.
    pub refunds: u64,
    /// Refunds whose order was found.
    pub refunds_matched: u64,
    /// Refunds of a known customer; only those can be matched.
    pub refunds_with_customer: u64,
    /// What all refunds are worth.
    pub refunds_value: Value,
    /// What the matched refunds are worth.
    pub refunds_value_matched: Value,
    /// Stock adjustments.
    pub adjustments: u64,
}

impl Report {
    /// Whether all sums agree; anything else is a fault of the importer.
    pub fn is_balanced(&self) -> bool {
        self.lines_read == self.lines_loaded + self.lines_rejected
            && self.value_read == self.value_loaded + self.value_rejected
            && self.value_loaded == self.orders_value - self.refunds_value
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines_read == 0 {
            return f.write_str("The file holds a header and nothing else: there was nothing to import.");
        }
        let mut line = |name: &str, count: u64, value: Value| {
            writeln!(f, "{name:<10}{count:>12}{:>20}", value.to_string())
        };
        line("read", self.lines_read, self.value_read)?;
        line("loaded", self.lines_loaded, self.value_loaded)?;
        line("rejected", self.lines_rejected, self.value_rejected)?;
        line("orders", self.orders, self.orders_value)?;
        line("refunds", self.refunds, self.refunds_value)?;
        line("adjusted", self.adjustments, Value::default())?;
        writeln!(
            f,
            "{} products ({} with an invented price), {} customers, {} guest orders, {} orders of charges alone",
            self.products,
            self.products_price_invented,
            self.customers,
            self.orders_guest,
            self.orders_charges_only
        )?;
        write!(
            f,
            "{} of {} refunds matched to an order ({} of known customers), {} of {}",
            self.refunds_matched,
            self.refunds,
            self.refunds_with_customer,
            self.refunds_value_matched,
            self.refunds_value
        )
    }
}
