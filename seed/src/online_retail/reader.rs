//! From the file to the [`Table`]: every line is read, and what cannot be is rejected with its reason.

use std::borrow::Cow;
use std::io::BufRead;
use std::path::Path;

use time::OffsetDateTime;

use super::line::{self, Value};
use super::report::Report;
use super::rows::{Row, Rows};
use super::table::{Invoice, Line, NONE, Table};
use crate::error::ImportError;
use crate::input;
use crate::limits;
use crate::rejects::RejectFile;

/// The columns, with the names that other editions of the data set give them.
const COLUMNS: [&[&str]; 8] = [
    &["InvoiceNo", "Invoice"],
    &["StockCode"],
    &["Description"],
    &["Quantity"],
    &["InvoiceDate"],
    &["UnitPrice", "Price"],
    &["CustomerID", "Customer ID"],
    &["Country"],
];

/// The longest invoice number, stock code or country that is taken for one.
const WORD_BYTES_MAX: usize = 64;
/// The longest description; the file's have at most 35 letters. It becomes a product's name (300 characters at most), a
/// reason (200 characters) and, with quantity and price behind it, the name of a charge (500 bytes); small letters may
/// take half as many bytes again as capitals.
const DESCRIPTION_BYTES_MAX: usize = 200;
/// The highest price that the catalog takes, in millionths of a pound.
const PRICE_MICROS_MAX: i64 = limits::PRICE_MAX * 10_000;

/// Reads lines into a table.
pub struct Reader<'a> {
    path: &'a Path,
    rejects: &'a mut RejectFile,
    table: Table,
    report: Report,
    /// Where each of [`COLUMNS`] stands.
    columns: [usize; 8],
    fields_expected: usize,
    /// The last time that was read: lines of an invoice share theirs.
    last_time: (Vec<u8>, Option<i64>),
}

/// What one line says, before its texts are numbered.
struct Fields<'a> {
    invoice: Cow<'a, str>,
    code: Cow<'a, str>,
    description: Cow<'a, str>,
    quantity: i32,
    price_micros: i64,
    local_seconds: i64,
    customer: Option<Cow<'a, str>>,
    country: Cow<'a, str>,
}

impl<'a> Reader<'a> {
    /// Reads the whole file.
    pub fn read(path: &'a Path, rejects: &'a mut RejectFile) -> Result<(Table, Report), ImportError> {
        let input = input::open(path)?;
        let mut reader = Self {
            path,
            rejects,
            table: Table::default(),
            report: Report::default(),
            columns: [0; 8],
            fields_expected: 0,
            last_time: (Vec::new(), None),
        };
        reader.read_all(input)?;
        Ok((reader.table, reader.report))
    }

    fn read_all(&mut self, input: Box<dyn BufRead + Send>) -> Result<(), ImportError> {
        let mut lines = Rows::new(input);
        let mut record = Row::default();
        let path = self.path;
        let failed = |source| ImportError::Read {
            path: path.to_owned(),
            source,
        };
        if !lines.read(&mut record).map_err(failed)? {
            return Err(ImportError::MissingColumn {
                path: path.to_owned(),
                column: COLUMNS[0][0],
            });
        }
        self.header(&record)?;
        while lines.read(&mut record).map_err(failed)? {
            self.line(&record)?;
        }
        Ok(())
    }

    fn header(&mut self, record: &Row) -> Result<(), ImportError> {
        let names: Vec<_> = record.iter().map(input::decode_text).collect();
        let is = |name: &str, accepted: &[&str]| {
            let name = name.trim_start_matches('\u{feff}').trim();
            accepted.iter().any(|other| other.eq_ignore_ascii_case(name))
        };
        for (place, accepted) in self.columns.iter_mut().zip(COLUMNS) {
            *place = names.iter().position(|name| is(name, accepted)).ok_or_else(|| {
                ImportError::MissingColumn {
                    path: self.path.to_owned(),
                    column: accepted[0],
                }
            })?;
        }
        self.fields_expected = names.len();
        Ok(())
    }

    fn line(&mut self, record: &Row) -> Result<(), ImportError> {
        self.report.lines_read += 1;
        // The value counts as read as soon as quantity and price can be read, whatever else is wrong.
        let quantity = self.text(record, 3).and_then(line::quantity);
        let price = self.text(record, 5).and_then(line::price_micros);
        let value = match (quantity, price) {
            (Some(quantity), Some(price)) => Value::of(quantity, price),
            _ => Value::default(),
        };
        self.report.value_read += value;
        let time = self.time(record);
        let fields = match self.fields(record, quantity, price, time) {
            Ok(fields) => fields,
            Err(reason) => return self.reject(record, value, &reason),
        };
        let numbered = number_texts(&mut self.table, &fields, record.line);
        let line = numbered.ok_or_else(|| ImportError::TooLarge {
            path: self.path.to_owned(),
        })?;
        self.table.lines.push(line);
        Ok(())
    }

    fn reject(&mut self, record: &Row, value: Value, reason: &str) -> Result<(), ImportError> {
        self.report.lines_rejected += 1;
        self.report.value_rejected += value;
        let part = |place: usize| {
            record
                .get(self.columns[place])
                .map(input::decode_text)
                .unwrap_or_default()
        };
        let key: String = format!("{} {}", part(0), part(1))
            .chars()
            .take(2 * WORD_BYTES_MAX)
            .collect();
        if record.last_line == record.line {
            return self.rejects.reject(record.line, &key, reason);
        }
        // An open quote takes the lines behind it with it, which is worth knowing.
        let reason = format!("{reason} (a quoted field goes on to line {})", record.last_line);
        self.rejects.reject(record.line, &key, &reason)
    }

    fn text<'r>(&self, record: &'r Row, column: usize) -> Option<&'r str> {
        std::str::from_utf8(record.get(self.columns[column])?).ok()
    }

    fn time(&mut self, record: &Row) -> Option<i64> {
        let bytes = record.get(self.columns[4])?;
        if bytes != self.last_time.0 {
            self.last_time.1 = std::str::from_utf8(bytes).ok().and_then(line::local_seconds);
            self.last_time.0.clear();
            self.last_time.0.extend_from_slice(bytes);
        }
        self.last_time.1
    }

    fn fields<'r>(
        &self,
        record: &'r Row,
        quantity: Option<i32>,
        price: Option<i64>,
        time: Option<i64>,
    ) -> Result<Fields<'r>, String> {
        if record.is_too_long {
            return Err("the record is longer than 1 MiB".to_owned());
        }
        if record.len() != self.fields_expected {
            return Err(format!(
                "{} fields instead of {}",
                record.len(),
                self.fields_expected
            ));
        }
        let quantity = quantity.ok_or("the quantity is not a whole number of at most nine digits")?;
        let price_micros =
            price.ok_or("the price is not an amount of at most eight digits and six decimals")?;
        if quantity == 0 {
            return Err("the quantity is 0".to_owned());
        }
        if price_micros.abs() > PRICE_MICROS_MAX {
            return Err("the price is more than ten million pounds".to_owned());
        }
        let whole = Value::of(quantity, price_micros).whole_pennies();
        whole.ok_or("quantity times price is not whole pennies, or more than a billion pounds")?;
        let local_seconds = time.ok_or("the date is not a time from 1970 to 2099")?;
        let text = |column: usize, name, bytes_max| {
            text(
                record.get(self.columns[column]).unwrap_or_default(),
                name,
                bytes_max,
            )
        };
        let filled = |column, name| {
            let text = text(column, name, WORD_BYTES_MAX)?;
            if text.is_empty() {
                return Err(format!("the {name} is empty"));
            }
            Ok(text)
        };
        let country = text(7, "country", WORD_BYTES_MAX)?;
        let customer = self.text(record, 6).map_or(Err(()), line::customer);
        Ok(Fields {
            invoice: capitals(filled(0, "invoice number")?),
            code: capitals(filled(1, "stock code")?),
            description: text(2, "description", DESCRIPTION_BYTES_MAX)?,
            quantity,
            price_micros,
            local_seconds,
            customer: customer
                .map_err(|()| "the customer's number is unreadable")?
                .map(|number| capitals(number.into())),
            country: if country.is_empty() {
                "Unspecified".into()
            } else {
                country
            },
        })
    }
}

/// A text that every owner keeps.
fn text<'r>(bytes: &'r [u8], name: &str, bytes_max: usize) -> Result<Cow<'r, str>, String> {
    let decoded = input::decode_text(bytes);
    let line = match &decoded {
        Cow::Borrowed(text) => input::one_line(text),
        Cow::Owned(text) => input::one_line(text).map(|line| line.into_owned().into()),
    };
    let line = line.ok_or_else(|| format!("the {name} holds control characters"))?;
    if line.len() > bytes_max {
        return Err(format!("the {name} is longer than {bytes_max} bytes"));
    }
    Ok(line)
}

/// `85123a` and `85123A` are the same product, `c489449` and `C489449` the same invoice.
fn capitals(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        Cow::Owned(text.to_ascii_uppercase())
    } else {
        text
    }
}

/// Numbers the texts and notes what belongs to the invoice; none when there are too many.
fn number_texts(table: &mut Table, fields: &Fields<'_>, number: u64) -> Option<Line> {
    let invoice = match table.lines.last() {
        Some(last) if **table.invoice_numbers.text(last.invoice) == *fields.invoice => last.invoice,
        _ => table.invoice_numbers.number(&fields.invoice)?,
    };
    if table.invoices.len() == invoice as usize {
        let country = table.countries.number(&fields.country)?;
        table.invoices.push(Invoice {
            local_seconds: fields.local_seconds,
            at: OffsetDateTime::UNIX_EPOCH,
            customer: NONE,
            country,
        });
    }
    // The first line with a customer decides, and the first line's country; the file's invoices all agree.
    let known = &mut table.invoices[invoice as usize];
    known.local_seconds = known.local_seconds.min(fields.local_seconds);
    if known.customer == NONE
        && let Some(customer) = &fields.customer
    {
        known.customer = table.customers.number(customer)?;
    }
    Some(Line {
        invoice,
        code: table.codes.number(&fields.code)?,
        description: table.descriptions.number(&fields.description)?,
        quantity: fields.quantity,
        price_micros: fields.price_micros,
        number: u32::try_from(number).ok()?,
    })
}
