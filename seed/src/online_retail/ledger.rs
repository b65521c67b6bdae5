//! What each line becomes, and which order a cancelled line belongs to.
//!
//! * A cancellation (`C…`), or an invoice worth less than nothing (`A…`, bad debts), is a **reversal**: each line with a negative
//!   value becomes a refund of its own, lines with a positive value an order of that number.
//! * Any other invoice becomes one **order**. Amounts that no order line can show (a negative price, a negative
//!   quantity with a price, a price in fractions of a penny) become charges of the kind adjustment.
//! * Lines without value: a negative quantity is a stock **adjustment**; a positive one is an order line at price 0
//!   if somebody bought it (there is a customer, or the invoice is worth something), else an adjustment too.
//! * An **order that its owner would refuse** (too many lines, too much money, too long a record) is rejected with all
//!   lines of its invoice.
//! * Lines without value that are not goods either, on an invoice without customer and value, say nothing that any
//!   owner could keep: they are **rejected**.
//!
//! A refund is identified by its line (invoice and place within it), not by the order it was matched to. So a file
//! that overlaps another one gives the same refunds even where it sees fewer orders.

use std::collections::{BTreeMap, HashMap};

use emporium_service_kit::bulk::RECORD_BYTES_MAX;

use super::codes::{self, CodeKind};
use super::line::Value;
use super::table::{Line, NONE, Table};
use crate::limits::{AMOUNT_MAX, ORDER_LINES_MAX};

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
    /// Invoices that cannot be represented, with the reason; all their lines are rejected.
    pub refused: BTreeMap<u32, &'static str>,
}

impl Ledger {
    /// Works it out for all lines.
    pub fn new(table: &Table) -> Self {
        let count = table.lines.len();
        let mut ledger = Self {
            roles: vec![Role::Rejected; count],
            matched: vec![NONE; count],
            sequence: sequence(table),
            refused: BTreeMap::new(),
        };
        let sizes = line_sizes(table);
        for invoice in 0..table.invoice_numbers.len() {
            ledger.assign_roles(table, invoice);
            ledger.refuse_beyond_limits(table, invoice, &sizes);
        }
        ledger.match_refunds(table);
        ledger
    }

    fn assign_roles(&mut self, table: &Table, invoice: u32) {
        let places = table.places(invoice);
        let lines = &table.lines[places.clone()];
        let net: i128 = lines.iter().map(|line| i128::from(pennies(line))).sum();
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

    /// Rejects an invoice whose order is beyond what the orders service takes.
    fn refuse_beyond_limits(&mut self, table: &Table, invoice: u32, sizes: &[usize]) {
        let (mut count, mut total, mut bytes) = (0, 0_i128, ORDER_BYTES);
        for place in table.places(invoice) {
            if self.roles[place] == Role::Order {
                let line = &table.lines[place];
                count += 1;
                total += i128::from(pennies(line));
                bytes += sizes[line.code as usize];
            }
        }
        let reason = if count > ORDER_LINES_MAX {
            "its order would have more than 5,000 lines"
        } else if total > i128::from(AMOUNT_MAX) {
            "its order would be worth more than ten billion pounds"
        } else if bytes > RECORD_BYTES_MAX {
            "its order would be longer than 1 MiB"
        } else {
            return;
        };
        self.roles[table.places(invoice)].fill(Role::Rejected);
        self.refused.insert(invoice, reason);
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

/// An order as JSON, without its lines.
const ORDER_BYTES: usize = 1_024;
/// A line of an order as JSON, without SKU and name. A charge takes less, even with quantity and price in its name.
const LINE_BYTES: usize = 120;

/// How long a line of each code is as JSON, at most: with the longest name that the code may get, since names are chosen
/// later.
fn line_sizes(table: &Table) -> Vec<usize> {
    let mut names = vec![0; table.codes.len() as usize];
    for line in &table.lines {
        let name = &mut names[line.code as usize];
        *name = json_bytes(table.descriptions.text(line.description)).max(*name);
    }
    (0..table.codes.len())
        .zip(names)
        .map(|(code, name)| {
            // Goods without a name are called after their code.
            let code = json_bytes(table.codes.text(code));
            LINE_BYTES + code + name.max(code + 16)
        })
        .collect()
}

/// Small letters may be longer than their capitals: by half at most.
fn json_bytes(text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let bytes = if text.is_ascii() {
        text.len()
    } else {
        text.len() * 3 / 2
    };
    bytes + escaped
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
