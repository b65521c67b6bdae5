//! The gift shop of the data set *Online Retail II* (Chen, UCI Machine Learning Repository, CC BY 4.0).
//!
//! One pass over the file fills a compact `table`; then the `ledger` decides what every line becomes, and the
//! iterators of [`OnlineRetail`] make the records one by one. What each line becomes is written in `ledger`, what
//! each code stands for in `codes`.
//!
//! ## Identity
//!
//! * A product is its stock code in capitals (also its SKU), a customer its number, an order its invoice number, a
//!   refund or an adjustment its line: invoice and place within it. Ids depend on nothing else but the invoice's
//!   time. So the same file gives the same bytes, and a further file, overlapping or not, the same ids for the
//!   same things. Owners keep what they have: the first file's name and price of a product stay.
//! * An invoice must not be torn between two files, for then both files hold an order of that number.
//! * A refund is matched within its file. A cancellation in a further file whose order is only in an earlier one
//!   becomes an unmatched refund: the importer never asks an owner, so that it works the same at every time.
//!
//! ## Times
//!
//! An invoice has the earliest time of its lines, in London's time, kept as UTC (see `london`).

mod codes;
mod countries;
mod customers;
mod ledger;
mod line;
mod london;
mod products;
mod reader;
mod records;
mod report;
mod rows;
mod table;
pub(crate) mod words;

use std::path::Path;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::error::ImportError;
use crate::limits::Limited;
use crate::records::{
    ChargeKind, OrderRecord, PaymentRecord, ProductRecord, StockAdjustmentRecord, UserRecord, total,
};
use crate::rejects::RejectFile;
use codes::CodeKind;
use customers::Customer;
use ledger::{Ledger, Role};
use london::London;
use products::Product;
use reader::Reader;
use table::Table;

pub use line::Value;
pub use report::Report;

/// The gift shop's file, read and worked out; the iterators make its records.
pub struct OnlineRetail {
    table: Table,
    ledger: Ledger,
    /// By number of the stock code.
    products: Vec<Option<Product>>,
    /// By number of the customer.
    customers: Vec<Customer>,
    /// Names of charges, by number of the description, tidy.
    charge_names: Vec<Arc<str>>,
    report: Report,
}

/// A line of the file.
#[derive(Debug, Clone, Copy)]
pub struct FileLine<'a> {
    /// The invoice's number, in capitals.
    pub invoice: &'a str,
    /// Whether the invoice is a cancellation.
    pub is_cancellation: bool,
    /// The invoice's earliest time.
    pub at: OffsetDateTime,
    /// The customer's number; none for a guest.
    pub customer: Option<&'a str>,
    /// The stock code, in capitals.
    pub code: &'a str,
    /// Never 0.
    pub quantity: i32,
    /// The price of one, in millionths of a pound.
    pub price_micros: i64,
}

impl OnlineRetail {
    /// Reads `path`, plain or gzip; lines that cannot be represented go into `rejects`.
    pub fn read(path: &Path, rejects: &mut RejectFile) -> Result<Self, ImportError> {
        let (mut table, report) = Reader::read(path, rejects)?;
        let zone = |error: jiff::Error| ImportError::TimeZone(error.to_string());
        let london = London::new().map_err(zone)?;
        for invoice in &mut table.invoices {
            invoice.at = london.to_utc(invoice.local_seconds).map_err(zone)?;
        }
        table.group();
        let ledger = Ledger::new(&table);
        let products = products::products(&table, &ledger);
        let customers = customers::customers(&table, &ledger);
        let mut shop = Self {
            charge_names: charge_names(&table),
            table,
            ledger,
            products,
            customers,
            report,
        };
        shop.reject_the_rest(rejects)?;
        rejects.finish()?;
        shop.count();
        Ok(shop)
    }

    /// What the import did.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The file's readable lines as they are, invoice by invoice, whatever becomes of them: for measuring.
    pub fn lines(&self) -> impl Iterator<Item = FileLine<'_>> + '_ {
        self.table.lines.iter().map(|line| {
            let invoice = &self.table.invoices[line.invoice as usize];
            let known = invoice.customer != table::NONE;
            FileLine {
                invoice: self.table.invoice_numbers.text(line.invoice),
                is_cancellation: self.table.is_cancellation(line.invoice),
                at: invoice.at,
                customer: known.then(|| &**self.table.customers.text(invoice.customer)),
                code: self.table.codes.text(line.code),
                quantity: line.quantity,
                price_micros: line.price_micros,
            }
        })
    }

    /// The products, in the order in which the file mentions them.
    pub fn products(&self) -> impl Iterator<Item = ProductRecord> + '_ {
        (0..)
            .zip(&self.products)
            .filter_map(|(code, product)| Some(self.product_record(code, product.as_ref()?)))
    }

    /// The customers, in the order in which the file mentions them.
    pub fn users(&self) -> impl Iterator<Item = UserRecord> + '_ {
        let known = (0..)
            .zip(&self.customers)
            .filter(|(_, customer)| customer.is_known());
        known.map(|(number, customer)| customers::record(&self.table, number, customer))
    }

    /// Orders and refunds by time.
    pub fn orders(&self) -> impl Iterator<Item = OrderRecord> + '_ {
        self.ledger.sequence.iter().flat_map(|invoice| {
            let order = self.order(*invoice).map(OrderRecord::Order);
            let refunds = self
                .table
                .places(*invoice)
                .filter(|place| self.ledger.roles[*place] == Role::Refund);
            order
                .into_iter()
                .chain(refunds.map(|place| OrderRecord::Refund(self.refund(*invoice, place))))
        })
    }

    /// The payments of the orders and refunds, by time; none where no money moved.
    pub fn payments(&self) -> impl Iterator<Item = PaymentRecord> + '_ {
        self.orders()
            .filter_map(|record| record.payment("Cancelled by the gift shop"))
    }

    /// The stock adjustments by time.
    pub fn adjustments(&self) -> impl Iterator<Item = StockAdjustmentRecord> + '_ {
        self.ledger.sequence.iter().flat_map(|invoice| {
            let places = self
                .table
                .places(*invoice)
                .filter(|place| self.ledger.roles[*place] == Role::Adjustment);
            places.filter_map(|place| self.adjustment(*invoice, place))
        })
    }

    /// Whether each record is one that its owner takes. Lines were looked at one by one and invoices as a whole, so this
    /// fails only by a fault of the importer; but to be asked before anything is sent, since a refused order's payment
    /// would be booked.
    ///
    /// The error names the records' kind and the reason.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        fn all<R: Limited>(
            what: &'static str,
            records: impl Iterator<Item = R>,
        ) -> Result<(), (&'static str, String)> {
            for record in records {
                record.check().map_err(|reason| (what, reason))?;
            }
            Ok(())
        }
        all("products", self.products())?;
        all("users", self.users())?;
        all("orders", self.orders())?;
        all("payments", self.payments())?;
        all("adjustments", self.adjustments())
    }

    /// Writes the lines that the ledger rejected into the reject file.
    fn reject_the_rest(&mut self, rejects: &mut RejectFile) -> Result<(), ImportError> {
        for (line, role) in self.table.lines.iter().zip(&self.ledger.roles) {
            if *role == Role::Rejected {
                self.report.lines_rejected += 1;
                self.report.value_rejected += Value::of(line.quantity, line.price_micros);
                let key = format!(
                    "{} {}",
                    self.table.invoice_numbers.text(line.invoice),
                    self.table.codes.text(line.code)
                );
                let refused = self.ledger.refused.get(&line.invoice);
                let reason =
                    refused.unwrap_or(&"no value, no goods, no customer: there is nothing to represent");
                rejects.reject(line.number.into(), &key, reason)?;
            }
        }
        Ok(())
    }

    /// Counts the lines from the table, and the orders and refunds from the records that are made of them: two ways
    /// to the same sum.
    fn count(&mut self) {
        let mut report = self.report.clone();
        for (line, role) in self.table.lines.iter().zip(&self.ledger.roles) {
            if *role != Role::Rejected {
                report.lines_loaded += 1;
                report.value_loaded += Value::of(line.quantity, line.price_micros);
            }
        }
        for record in self.orders() {
            match record {
                OrderRecord::Order(order) => {
                    report.orders += 1;
                    report.orders_guest += u64::from(order.customer_id.is_none());
                    report.orders_charges_only += u64::from(order.lines.is_empty());
                    report.orders_value += Value::from_pennies(total(&order.lines, &order.charges));
                }
                OrderRecord::Refund(refund) => {
                    let value = Value::from_pennies(total(&refund.lines, &refund.charges));
                    report.refunds += 1;
                    report.refunds_with_customer += u64::from(refund.customer_id.is_some());
                    report.refunds_value += value;
                    if refund.order_id.is_some() {
                        report.refunds_matched += 1;
                        report.refunds_value_matched += value;
                    }
                }
            }
        }
        report.adjustments = self.adjustments().count() as u64;
        report.products = self.products.iter().flatten().count() as u64;
        report.products_price_invented = self
            .products
            .iter()
            .flatten()
            .filter(|product| product.price_invented)
            .count() as u64;
        report.customers = self
            .customers
            .iter()
            .filter(|customer| customer.is_known())
            .count() as u64;
        self.report = report;
    }

    /// The kind of a line's charge: goods become one only where no order line can show them.
    fn charge_kind(&self, code: u32) -> ChargeKind {
        match codes::kind(self.table.codes.text(code)) {
            CodeKind::Charge(kind) => kind,
            CodeKind::Goods => ChargeKind::Adjustment,
        }
    }
}

fn charge_names(table: &Table) -> Vec<Arc<str>> {
    (0..table.descriptions.len())
        .map(|number| words::tidy(table.descriptions.text(number)).into())
        .collect()
}
