//! The Icecat catalogue: real electronics products, one JSON object a line (Open Content License of Icecat, by way of
//! the Chorus project).
//!
//! * Identity is the Icecat id; the SKU is `IC-` and that id, because neither the maker's part number (`name`) nor
//!   part number and supplier together are unique.
//! * Every `attr_t_`, `attr_n_` and `attr_b_` becomes a text, a number or a flag under its plain key
//!   (`attr_t_contrast_ratio__typical_` → `contrast_ratio_typical`). Where a product has one key in several types,
//!   the text keeps the plain key and the others become `…_number` and `…_flag`.
//! * Added attributes: `icecat_id`, `manufacturer_part_number`, `ean` (all of them, separated by commas), and `stock_invented`.
//! * Prices are taken as the shop's currency, in minor units.

pub(crate) mod categories;

use std::collections::HashSet;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

use crate::error::ImportError;
use crate::ids;
use crate::input;
use crate::limits::{ATTRIBUTES_MAX, Limited};
use crate::records::{AttributeValue, Attributes, Currency, Money, ProductRecord};
use crate::rejects::RejectFile;

/// Ids carry this time, so that they do not depend on a product's release date, which another file may correct.
const DATA_SET_EPOCH: OffsetDateTime = datetime!(2020-01-01 00:00 UTC);
/// No product's line is longer; the longest of the data set has some 20,000 bytes.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// The least stock that is invented.
const STOCK_MIN: u64 = 100;
/// One more than the largest addition to it.
const STOCK_SPREAD: u64 = 400;

/// What an import did, to be printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines of the file, empty ones left out.
    pub lines_read: u64,
    /// Products.
    pub lines_loaded: u64,
    /// Lines in the reject file.
    pub lines_rejected: u64,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.lines_read == 0 {
            return f.write_str("The file holds no lines: there was nothing to import.");
        }
        writeln!(f, "read      {:>12}", self.lines_read)?;
        writeln!(f, "loaded    {:>12}", self.lines_loaded)?;
        write!(f, "rejected  {:>12}", self.lines_rejected)
    }
}

/// Reads the catalogue product by product.
pub struct Icecat<'a> {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    rejects: &'a mut RejectFile,
    currency: Currency,
    line: Vec<u8>,
    line_number: u64,
    /// Ids that were seen, so that none comes twice.
    seen: HashSet<String>,
    report: Report,
}

/// The fields every product has; all others are attributes.
#[derive(Deserialize)]
struct RawProduct {
    id: String,
    name: String,
    title: String,
    #[serde(default)]
    ean: Vec<String>,
    #[serde(default)]
    supplier: Option<String>,
    price: i64,
    #[serde(default)]
    short_description: Option<String>,
    #[serde(default)]
    date_released: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl<'a> Icecat<'a> {
    /// Opens `path`, plain or gzip; lines that cannot be represented go into `rejects`.
    pub fn open(path: &Path, currency: Currency, rejects: &'a mut RejectFile) -> Result<Self, ImportError> {
        Ok(Self {
            path: path.to_owned(),
            input: input::open(path)?,
            rejects,
            currency,
            line: Vec::new(),
            line_number: 0,
            seen: HashSet::new(),
            report: Report::default(),
        })
    }

    /// The next product; none at the end of the file.
    pub fn next_product(&mut self) -> Result<Option<ProductRecord>, ImportError> {
        loop {
            let read = input::read_line(&mut *self.input, &mut self.line, LINE_BYTES_MAX);
            if !read.map_err(|source| ImportError::Read {
                path: self.path.clone(),
                source,
            })? {
                self.rejects.finish()?;
                return Ok(None);
            }
            self.line_number += 1;
            if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            self.report.lines_read += 1;
            match self.product() {
                Ok(product) => {
                    self.report.lines_loaded += 1;
                    return Ok(Some(product));
                }
                Err((key, reason)) => {
                    self.report.lines_rejected += 1;
                    self.rejects.reject(self.line_number, &key, &reason)?;
                }
            }
        }
    }

    /// What was read so far.
    pub fn report(&self) -> Report {
        self.report
    }

    /// The product of the current line, or its key and the reason why there is none.
    fn product(&mut self) -> Result<ProductRecord, (String, String)> {
        let mut raw: RawProduct = serde_json::from_slice(&self.line).map_err(|error| {
            let is_cut = self.line.len() >= LINE_BYTES_MAX;
            let reason = if is_cut {
                "the line is longer than 1 MiB".to_owned()
            } else {
                format!("not a product: {error}")
            };
            (String::new(), reason)
        })?;
        let product = self.checked(&mut raw);
        product.map_err(|reason| (raw.id.chars().take(64).collect(), reason))
    }

    /// The product, if the catalog takes it.
    fn checked(&mut self, raw: &mut RawProduct) -> Result<ProductRecord, String> {
        raw.id = tidy("id", &raw.id)?;
        if raw.id.is_empty() || raw.title.trim().is_empty() {
            return Err("the id or the title is empty".to_owned());
        }
        if raw.price <= 0 {
            return Err(format!("the price is {}", raw.price));
        }
        if self.seen.contains(&raw.id) {
            return Err("the id was already on an earlier line".to_owned());
        }
        let product = self.record(raw)?;
        product.check_whole()?;
        self.seen.insert(raw.id.clone());
        Ok(product)
    }

    fn record(&self, raw: &RawProduct) -> Result<ProductRecord, String> {
        let product_type = raw.others.get("attr_t_product_type").and_then(Value::as_str);
        let (category, category_name) = categories::category(&raw.title, product_type);
        let name = tidy("title", &raw.title)?;
        let description = tidy_option("short_description", raw.short_description.as_deref())?;
        let released = raw
            .date_released
            .as_deref()
            .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        let stock = STOCK_MIN + ids::stable_hash("icecat/stock", raw.id.as_bytes()) % STOCK_SPREAD;
        Ok(ProductRecord {
            id: ids::derive(DATA_SET_EPOCH, "icecat/product", raw.id.as_bytes()),
            sku: format!("IC-{}", raw.id).into(),
            description: description.unwrap_or_else(|| name.clone()),
            name: name.into(),
            category: category.to_owned(),
            category_name: category_name.to_owned(),
            brand: tidy_option("supplier", raw.supplier.as_deref())?,
            price: Money {
                amount: raw.price,
                currency: self.currency,
            },
            attributes: attributes(raw)?,
            source: "icecat".to_owned(),
            stock: i64::try_from(stock).unwrap_or(i64::MAX),
            popularity: 0,
            created_at: released.unwrap_or(DATA_SET_EPOCH),
        })
    }
}

/// One space between words. The real catalogue's texts hold a few control characters of the upper range (0x80 to 0x9f),
/// left over from another encoding: they separate words, too. All others are a reason to reject the line.
fn tidy(name: &str, text: &str) -> Result<String, String> {
    let text = text.replace(|sign: char| ('\u{80}'..='\u{9f}').contains(&sign), " ");
    let line = input::one_line(&text).ok_or_else(|| format!("{} holds control characters", shown(name)))?;
    Ok(line.into_owned())
}

/// [`tidy`]; an empty text is none.
fn tidy_option(name: &str, text: Option<&str>) -> Result<Option<String>, String> {
    let text = tidy(name, text.unwrap_or_default())?;
    Ok((!text.is_empty()).then_some(text))
}

/// A key as it may stand in a reason, which has no place for a long one.
fn shown(key: &str) -> String {
    key.chars().take(100).collect()
}

/// All attributes; texts first, so that they keep the plain key where types meet.
fn attributes(raw: &RawProduct) -> Result<Attributes, String> {
    let mut attributes = Attributes::new();
    attributes.insert("icecat_id".to_owned(), raw.id.as_str().into());
    attributes.insert(
        "manufacturer_part_number".to_owned(),
        tidy("name", &raw.name)?.into(),
    );
    attributes.insert("stock_invented".to_owned(), true.into());
    if !raw.ean.is_empty() {
        attributes.insert("ean".to_owned(), tidy("ean", &raw.ean.join(", "))?.into());
    }
    for (prefix, suffix) in [("attr_t_", "text"), ("attr_n_", "number"), ("attr_b_", "flag")] {
        for (key, value) in &raw.others {
            if !key.starts_with(prefix) {
                continue;
            }
            let Some(value) = attribute_value(key, value)? else {
                continue;
            };
            // Here already, since looking for a free key takes longer the more there are.
            if attributes.len() >= ATTRIBUTES_MAX {
                return Err(format!("there are more than {ATTRIBUTES_MAX} attributes"));
            }
            let plain = readable(&key[prefix.len()..]);
            let mut free = plain.clone();
            let mut attempt = 1;
            while attributes.contains_key(&free) {
                free = if attempt == 1 {
                    format!("{plain}_{suffix}")
                } else {
                    format!("{plain}_{suffix}_{attempt}")
                };
                attempt += 1;
            }
            attributes.insert(free, value);
        }
    }
    Ok(attributes)
}

fn attribute_value(key: &str, value: &Value) -> Result<Option<AttributeValue>, String> {
    Ok(match value {
        Value::String(text) => Some(tidy(key, text)?.into()),
        Value::Bool(flag) => Some((*flag).into()),
        Value::Number(number) => Some(AttributeValue::Number(whole(number))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    })
}

/// `17.0` is written as `17`.
fn whole(number: &serde_json::Number) -> serde_json::Number {
    /// Up to here every whole number has a double of its own.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number within the exact range"
        )]
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT_MAX => {
            (float as i64).into()
        }
        _ => number.clone(),
    }
}

/// `contrast_ratio__typical_` → `contrast_ratio_typical`.
fn readable(key: &str) -> String {
    let words: Vec<&str> = key.split('_').filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        "attribute".to_owned()
    } else {
        words.join("_")
    }
}
