//! The file's lines in memory, compactly: texts are kept once and referred to by number.

use std::collections::HashMap;
use std::sync::Arc;

use time::OffsetDateTime;

/// "None" among numbers.
pub const NONE: u32 = u32::MAX;

/// Texts, each kept once, numbered in the order in which they appeared.
#[derive(Default)]
pub struct Interner {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Interner {
    /// The number of `text`; none when there are too many texts to number.
    pub fn number(&mut self, text: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        let number = u32::try_from(self.texts.len())
            .ok()
            .filter(|number| *number != NONE)?;
        let text: Arc<str> = text.into();
        self.texts.push(text.clone());
        self.numbers.insert(text, number);
        Some(number)
    }

    /// The text with that number.
    pub fn text(&self, number: u32) -> &Arc<str> {
        &self.texts[number as usize]
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        u32::try_from(self.texts.len()).unwrap_or(NONE)
    }
}

/// A line that could be read and has a whole value.
#[derive(Clone, Copy)]
pub struct Line {
    /// Its invoice.
    pub invoice: u32,
    /// Its stock code, in capitals.
    pub code: u32,
    /// Its description.
    pub description: u32,
    /// Never 0.
    pub quantity: i32,
    /// The price of one.
    pub price_micros: i64,
    /// Where it stands in the file, for the reject file.
    pub number: u32,
}

/// What all lines of an invoice share.
pub struct Invoice {
    /// The earliest time of its lines, as London's clocks showed it.
    pub local_seconds: i64,
    /// The same as UTC; filled in when all lines are read.
    pub at: OffsetDateTime,
    /// The customer, or [`NONE`] for a guest.
    pub customer: u32,
    /// The country.
    pub country: u32,
}

/// All that was read.
#[derive(Default)]
pub struct Table {
    /// The readable lines; after [`Table::group`], those of an invoice stand together, in the file's order.
    pub lines: Vec<Line>,
    /// By invoice number.
    pub invoices: Vec<Invoice>,
    /// Invoice numbers, in capitals.
    pub invoice_numbers: Interner,
    /// Stock codes, in capitals.
    pub codes: Interner,
    /// Descriptions, as they are.
    pub descriptions: Interner,
    /// Customers' numbers.
    pub customers: Interner,
    /// Countries' names.
    pub countries: Interner,
    /// Where each invoice's lines begin, and the end of the last one's.
    starts: Vec<u32>,
}

impl Table {
    /// Puts the lines of each invoice together. They nearly are already, so a stable sort is quick.
    pub fn group(&mut self) {
        if !self.lines.is_sorted_by_key(|line| line.invoice) {
            self.lines.sort_by_key(|line| line.invoice);
        }
        self.starts = vec![0; self.invoices.len() + 1];
        for line in &self.lines {
            self.starts[line.invoice as usize + 1] += 1;
        }
        for place in 1..self.starts.len() {
            self.starts[place] += self.starts[place - 1];
        }
    }

    /// The places of an invoice's lines.
    pub fn places(&self, invoice: u32) -> std::ops::Range<usize> {
        self.starts[invoice as usize] as usize..self.starts[invoice as usize + 1] as usize
    }

    /// Whether the invoice is a cancellation.
    pub fn is_cancellation(&self, invoice: u32) -> bool {
        self.invoice_numbers.text(invoice).starts_with('C')
    }
}
