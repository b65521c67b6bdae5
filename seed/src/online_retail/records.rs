//! Making single records out of the table.

use crate::ids;
use crate::records::{
    Attributes, Currency, Money, Order, OrderCharge, OrderLine, ProductRecord, Refund, StockAdjustmentRecord,
};

use super::codes::{self, CodeKind};
use super::ledger::{Role, pennies};
use super::products::Product;
use super::table::{Line, NONE};
use super::{OnlineRetail, customers};

/// The value of `source`.
const SOURCE: &str = "online-retail";
/// The data set's amounts are pounds.
const CURRENCY: Currency = Currency::GBP;
/// The least stock that is invented.
const STOCK_MIN: u64 = 100;
/// One more than the largest addition to it.
const STOCK_SPREAD: u64 = 900;

/// A line of an order or a refund: goods, or else a charge.
enum Item {
    Goods(OrderLine),
    Charge(OrderCharge),
}

impl OnlineRetail {
    pub(super) fn product_record(&self, code: u32, product: &Product) -> ProductRecord {
        let code = self.table.codes.text(code);
        let mut attributes = Attributes::from([
            ("stock_code".to_owned(), (&**code).into()),
            ("stock_invented".to_owned(), true.into()),
        ]);
        if product.price_invented {
            attributes.insert("price_invented".to_owned(), true.into());
        }
        if product.name_missing {
            attributes.insert("name_invented".to_owned(), true.into());
        }
        let stock = STOCK_MIN + ids::stable_hash("online-retail/stock", code.as_bytes()) % STOCK_SPREAD;
        ProductRecord {
            id: product.id,
            sku: code.clone(),
            name: product.name.clone(),
            description: format!(
                "{}, from the range of a British gift shop, stock code {code}.",
                product.name
            ),
            category: product.category.0.to_owned(),
            category_name: product.category.1.to_owned(),
            brand: None,
            price: Money {
                amount: product.price,
                currency: CURRENCY,
            },
            attributes,
            source: SOURCE.to_owned(),
            stock: i64::try_from(stock).unwrap_or(i64::MAX),
            popularity: 0,
            created_at: product.first_at,
        }
    }

    /// The order of an invoice; none if no line of it belongs to one.
    pub(super) fn order(&self, invoice: u32) -> Option<Order> {
        let head = &self.table.invoices[invoice as usize];
        let places = self.table.places(invoice);
        let mut order: Option<Order> = None;
        for place in places
            .clone()
            .filter(|place| self.ledger.roles[*place] == Role::Order)
        {
            let order = order.get_or_insert_with(|| {
                let number = self.table.invoice_numbers.text(invoice);
                Order {
                    id: self.order_id(invoice),
                    number: format!("GS-{number}"),
                    customer_id: self.customer_id(head.customer),
                    placed_at: head.at,
                    fulfilment: "delivered".to_owned(),
                    source: SOURCE.to_owned(),
                    reference: Some(number.to_string()),
                    currency: CURRENCY,
                    lines: Vec::with_capacity(places.len()),
                    charges: Vec::new(),
                    shipping_address: Some(customers::address(self.table.countries.text(head.country))),
                }
            });
            match self.item(place, 1) {
                Item::Goods(line) => order.lines.push(line),
                Item::Charge(charge) => order.charges.push(charge),
            }
        }
        order
    }

    /// The refund of one cancelled line.
    pub(super) fn refund(&self, invoice: u32, place: usize) -> Refund {
        let head = &self.table.invoices[invoice as usize];
        let matched = self.ledger.matched[place];
        let (lines, charges) = match self.item(place, -1) {
            Item::Goods(line) => (vec![line], Vec::new()),
            Item::Charge(charge) => (Vec::new(), vec![charge]),
        };
        Refund {
            id: ids::derive(head.at, "online-retail/refund", &self.line_key(invoice, place)),
            order_id: (matched != NONE).then(|| self.order_id(matched)),
            customer_id: self.customer_id(head.customer),
            at: head.at,
            source: SOURCE.to_owned(),
            reference: Some(self.table.invoice_numbers.text(invoice).to_string()),
            currency: CURRENCY,
            amount: -pennies(&self.table.lines[place]),
            lines,
            charges,
        }
    }

    pub(super) fn adjustment(&self, invoice: u32, place: usize) -> Option<StockAdjustmentRecord> {
        let line = &self.table.lines[place];
        let quantity = i64::from(line.quantity);
        let reason = self.table.descriptions.text(line.description);
        let reason = if reason.is_empty() {
            "no reason recorded"
        } else {
            reason
        };
        Some(StockAdjustmentRecord {
            id: ids::derive(
                self.table.invoices[invoice as usize].at,
                "online-retail/adjustment",
                &self.line_key(invoice, place),
            ),
            product_id: self.products[line.code as usize].as_ref()?.id,
            // What a cancellation takes back comes in; all other lines mean what they say.
            delta: if self.table.is_cancellation(invoice) {
                -quantity
            } else {
                quantity
            },
            reason: reason.to_owned(),
            at: self.table.invoices[invoice as usize].at,
            reference: self.table.invoice_numbers.text(invoice).to_string(),
        })
    }

    /// A line as part of an order (`sign` 1) or a refund (−1, which turns its amounts around).
    fn item(&self, place: usize, sign: i64) -> Item {
        let line = &self.table.lines[place];
        let quantity = sign * i64::from(line.quantity);
        let product = self.products[line.code as usize].as_ref();
        let is_plain = quantity > 0 && line.price_micros >= 0 && line.price_micros % 10_000 == 0;
        match product {
            Some(product) if is_plain && codes::kind(self.table.codes.text(line.code)) == CodeKind::Goods => {
                Item::Goods(OrderLine {
                    product_id: product.id,
                    sku: self.table.codes.text(line.code).clone(),
                    name: product.name.clone(),
                    quantity,
                    unit_price: line.price_micros / 10_000,
                })
            }
            _ => Item::Charge(OrderCharge {
                kind: self.charge_kind(line.code),
                name: self.charge_name(line),
                amount: sign * pennies(line),
            }),
        }
    }

    fn charge_name(&self, line: &Line) -> String {
        let kind = self.charge_kind(line.code);
        let name = &self.charge_names[line.description as usize];
        let name = if name.is_empty() {
            codes::charge_name(kind)
        } else {
            name
        };
        if codes::kind(self.table.codes.text(line.code)) == CodeKind::Goods {
            // What no order line can show is at least said in words.
            format!(
                "{name} ({} × {})",
                line.quantity,
                super::Value::of(1, line.price_micros)
            )
        } else {
            name.to_owned()
        }
    }

    fn customer_id(&self, customer: u32) -> Option<uuid::Uuid> {
        (customer != NONE).then(|| self.customers[customer as usize].id)
    }

    fn order_id(&self, invoice: u32) -> uuid::Uuid {
        let number = self.table.invoice_numbers.text(invoice);
        ids::derive(
            self.table.invoices[invoice as usize].at,
            "online-retail/order",
            number.as_bytes(),
        )
    }

    /// What identifies a line: its invoice and its place among the invoice's readable lines.
    fn line_key(&self, invoice: u32, place: usize) -> Vec<u8> {
        let ordinal = place - self.table.places(invoice).start;
        format!("{}/{ordinal}", self.table.invoice_numbers.text(invoice)).into_bytes()
    }
}
