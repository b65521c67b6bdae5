//! What each line becomes, and which order a cancelled line belongs to.
//!
//! * A cancellation (`C…`), or an invoice worth less than nothing (`A…`, bad debts), is a **reversal**: each line with a negative
//!   value becomes a refund of its own, lines with a positive value an order of that number.
//! * Any other invoice becomes one **order**. Amounts that no order line can show (a negative price, a negative
//!   quantity with a price, a price in fractions of a penny) become charges of the kind adjustment.
//! * Lines without value: a negative quantity is a stock **adjustment**; a positive one is an order line at price 0
//!   if somebody bought it (there is a customer, or the invoice is worth something), else an adjustment too.
//! * Lines without value that are not goods either, on an invoice without customer and value, say nothing that any
//!   owner could keep: they are **rejected**.
//!
//! A refund is identified by its line (invoice and place within it), not by the order it was matched to. So a file
//! that overlaps another one gives the same refunds even where it sees fewer orders.

use std::collections::HashMap;

use super::codes::{self, CodeKind};
use super::line::Value;
use super::table::{Line, NONE, Table};

/// What a line becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Part of its invoice's order.
    Order,
    /// A refund.
    Refund,
    /// A stock adjustment.
    Adjustment,
    /// Nothing.
    Rejected,
}

/// The roles of all lines, and the orders of the refunds.
pub struct Ledger {
    /// By place of the line.
    pub roles: Vec<Role>,
    /// By place of the line: the invoice of the order that a refund belongs to, or [`NONE`].
    pub matched: Vec<u32>,
    /// Invoices by time; at the same moment, orders before refunds.
    pub sequence: Vec<u32>,
}

impl Ledger {
    /// Works it out for all lines.
    pub fn new(table: &Table) -> Self {
        let count = table.lines.len();
        let mut ledger = Self {
            roles: vec![Role::Rejected; count],
            matched: vec![NONE; count],
            sequence: sequence(table),
        };
        for invoice in 0..table.invoice_numbers.len() {
            ledger.assign_roles(table, invoice);
        }
        ledger.match_refunds(table);
        ledger
    }

    fn assign_roles(&mut self, table: &Table, invoice: u32) {
        let places = table.places(invoice);
        let lines = &table.lines[places.clone()];
        let net: i64 = lines.iter().map(pennies).sum();
        let is_reversal = table.is_cancellation(invoice) || net < 0;
        let is_sale = !is_reversal
            && (table.invoices[invoice as usize].customer != NONE
                || lines.iter().any(|line| line.price_micros != 0));
        for (place, line) in places.zip(lines) {
            let is_goods = codes::kind(table.codes.text(line.code)) == CodeKind::Goods;
            self.roles[place] = match pennies(line) {
                0 if is_sale && line.quantity > 0 => Role::Order,
                0 if is_goods => Role::Adjustment,
                0 => Role::Rejected,
                value if is_reversal && value < 0 => Role::Refund,
                _ => Role::Order,
            };
        }
    }

    /// Finds each refund's order: the customer's most recent earlier one that holds the code with enough quantity
    /// not refunded yet, and that was worth enough.
    fn match_refunds(&mut self, table: &Table) {
        let mut bought: HashMap<(u32, u32), Vec<Bought>> = HashMap::new();
        let mut left_pennies = vec![0_i64; table.invoices.len()];
        for &invoice in &self.sequence {
            let customer = table.invoices[invoice as usize].customer;
            if customer == NONE {
                continue;
            }
            for place in table.places(invoice) {
                let line = &table.lines[place];
                let value = pennies(line);
                match self.roles[place] {
                    Role::Order => {
                        left_pennies[invoice as usize] += value;
                        if value > 0 && line.quantity > 0 {
                            add(
                                bought.entry((customer, line.code)).or_default(),
                                invoice,
                                line.quantity,
                            );
                        }
                    }
                    Role::Refund => {
                        let Some(candidates) = bought.get_mut(&(customer, line.code)) else {
                            continue;
                        };
                        let quantity = line.quantity.saturating_abs();
                        let found = candidates.iter_mut().rev().find(|candidate| {
                            candidate.quantity_left >= quantity
                                && left_pennies[candidate.invoice as usize] >= -value
                        });
                        if let Some(found) = found {
                            found.quantity_left -= quantity;
                            left_pennies[found.invoice as usize] += value;
                            self.matched[place] = found.invoice;
                        }
                    }
                    Role::Adjustment | Role::Rejected => {}
                }
            }
        }
    }
}

/// How much of a code an order holds that was not refunded yet.
struct Bought {
    invoice: u32,
    quantity_left: i32,
}

/// Lines of one order with the same code count together.
fn add(bought: &mut Vec<Bought>, invoice: u32, quantity: i32) {
    match bought.last_mut() {
        Some(last) if last.invoice == invoice => {
            last.quantity_left = last.quantity_left.saturating_add(quantity);
        }
        _ => bought.push(Bought {
            invoice,
            quantity_left: quantity,
        }),
    }
}

fn sequence(table: &Table) -> Vec<u32> {
    let mut sequence: Vec<u32> = (0..table.invoice_numbers.len()).collect();
    sequence.sort_by(|one, other| {
        let key = |invoice: u32| {
            let number = table.invoice_numbers.text(invoice);
            (
                table.invoices[invoice as usize].at,
                table.is_cancellation(invoice),
                number,
            )
        };
        key(*one).cmp(&key(*other))
    });
    sequence
}

/// A line's value; the reader rejected lines whose value is not whole.
pub fn pennies(line: &Line) -> i64 {
    Value::of(line.quantity, line.price_micros)
        .whole_pennies()
        .unwrap_or(0)
}
