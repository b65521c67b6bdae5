//! Lines that nobody should write and somebody will: what is loaded is what the owners take, and the rest is rejected
//! with its line and its value.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::collections::BTreeMap;

use emporium_seed::limits::Limited;
use emporium_seed::records::{Currency, OrderRecord, ProductRecord};
use emporium_seed::rejects::RejectFile;
use emporium_seed::{Icecat, OnlineRetail};
use proptest::prelude::*;
use serde_json::Value;

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/// The import of a whole file, and its reject file's lines: number, key and reason.
fn import(file: &[u8]) -> (OnlineRetail, Vec<(u64, String, String)>) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (path, rejected) = (
        folder.path().join("lines.csv"),
        folder.path().join("rejected.csv"),
    );
    std::fs::write(&path, file).expect("write");
    let mut rejects = RejectFile::new(&rejected).expect("reject file");
    let shop = OnlineRetail::read(&path, &mut rejects).expect("readable");
    let text = std::fs::read_to_string(rejected).unwrap_or_default();
    let mut lines: Vec<(u64, String, String)> = csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .map(|line| line.expect("a line of the reject file"))
        .collect();
    lines.sort();
    assert!(shop.report().is_balanced(), "{}", shop.report());
    assert_eq!(shop.report().lines_rejected, lines.len() as u64);
    check_all(&shop);
    (shop, lines)
}

fn csv_line(fields: &[&[u8]; 8]) -> Vec<u8> {
    let quoted = fields.map(|field| {
        let mut quoted = vec![b'"'];
        for byte in field {
            quoted.extend(std::iter::repeat_n(*byte, 1 + usize::from(*byte == b'"')));
        }
        quoted.push(b'"');
        quoted
    });
    [quoted.join(&b','), b"\n".to_vec()].concat()
}

/// The limits once more, seen from outside: no control character, no long text, no large number anywhere.
fn check_json(record: &impl serde::Serialize, texts_max: usize) {
    fn walk(value: &Value, texts_max: usize) {
        match value {
            Value::String(text) => {
                assert!(
                    text.len() <= texts_max && !text.contains(char::is_control),
                    "{text:?}"
                );
            }
            Value::Number(number) => {
                assert!(
                    number.as_f64().is_some_and(|number| number.abs() <= 1e15),
                    "{number}"
                );
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, texts_max)),
            Value::Object(fields) => fields.values().for_each(|field| walk(field, texts_max)),
            Value::Null | Value::Bool(_) => {}
        }
    }
    let json = serde_json::to_string(record).expect("JSON");
    assert!(json.len() <= 1 << 20, "{} bytes", json.len());
    walk(&serde_json::from_str(&json).expect("JSON"), texts_max);
}

fn check_all(shop: &OnlineRetail) {
    assert_eq!(shop.check(), Ok(()), "an owner would refuse it");
    shop.products().for_each(|record| check_json(&record, 500));
    shop.users().for_each(|record| check_json(&record, 500));
    shop.orders().for_each(|record| check_json(&record, 500));
    shop.payments().for_each(|record| check_json(&record, 500));
    shop.adjustments().for_each(|record| check_json(&record, 500));
    let emails: BTreeMap<_, _> = shop.users().map(|user| (user.email, user.id)).collect();
    assert_eq!(
        emails.len(),
        shop.users().count(),
        "two customers with one address"
    );
    let payments = shop.payments().count();
    assert!(payments <= shop.orders().count(), "a payment belongs to an order");
}

/// A field with nasty content, and the one that stands there otherwise.
fn field(usual: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let nasty = prop_oneof![
        Just(Vec::new()),
        Just(b"   ".to_vec()),
        Just(b"RED\0MUG".to_vec()),
        Just(b"RED\tMUG\r\nTWO\n".to_vec()),
        Just(b"\x1b[31mRED".to_vec()),
        Just("İ".repeat(100).into_bytes()),
        Just("Ⱥ".repeat(60).into_bytes()),
        Just("\u{85}\u{a0}\u{2028}".as_bytes().to_vec()),
        Just(b"Caf\xe9 \xa310".to_vec()),
        Just(b"\xff\xfe\x80".to_vec()),
        Just(vec![b'A'; 10_000]),
        Just(vec![b'9'; 10_000]),
        Just(b"\",\"".to_vec()),
        "(0|-1|NaN|inf|1e308|-1e308|999999999|-999999999|99999999|99999999.99|0.0000001|10000000|10000000.01)"
            .prop_map(String::into_bytes),
        "(9223372036854775808|-9223372036854775809|2147483648|0x10|1,5|١٢)".prop_map(String::into_bytes),
        "(0001|1969|1970|2099|2100|9999)-(01-01 00:00|12-31 23:59):00".prop_map(String::into_bytes),
        "\\PC{0,20}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..30),
    ];
    let usual = proptest::sample::select(usual).prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![12 => usual, 1 => nasty]
}

fn fields() -> impl Strategy<Value = [Vec<u8>; 8]> {
    (
        field(&["1", "2", "3", "C4", "C5", "A6"]),
        field(&["20", "21", "22a", "22A", "POST", "D", "M"]),
        field(&["RED MUG", "BLUE  MUG", "damaged", ""]),
        field(&["1", "7", "-2", "1000", "999999999"]),
        field(&["2010-01-19 17:04:00", "2011-07-19 17:04:00"]),
        field(&["1.00", "2.55", "0.0", "0.001", "-3.10", "9999999.99"]),
        field(&["13085", "ab", "AB", ""]),
        field(&["France", "EIRE", ""]),
    )
        .prop_map(<[Vec<u8>; 8]>::from)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Well-formed CSV of ill-formed fields: every line is loaded or rejected, under the number of its first line.
    #[test]
    fn nasty_fields_are_loaded_as_the_owners_take_them_or_rejected(lines in prop::collection::vec(fields(), 0..12)) {
        let mut file = format!("{HEADER}\n").into_bytes();
        let mut starts = Vec::new();
        for fields in &lines {
            let before = String::from_utf8_lossy(&file).replace("\r\n", "\n").replace('\r', "\n");
            starts.push(before.matches('\n').count() as u64 + 1);
            file.extend(csv_line(&fields.each_ref().map(Vec::as_slice)));
        }
        let (shop, rejected) = import(&file);
        prop_assert_eq!(shop.report().lines_read, lines.len() as u64);
        for (line, ..) in rejected {
            prop_assert!(starts.contains(&line), "{line} of {starts:?}");
        }
    }

    /// Bytes that are hardly CSV: missing columns, stray quotes, line ends of all kinds.
    #[test]
    fn nasty_bytes_are_loaded_as_the_owners_take_them_or_rejected(
        lines in prop::collection::vec(
            (prop::collection::vec(fields(), 1..2), 0_usize..10, "(,|,|,|,|\"|;)", "(\n|\r\n|\r|\n\n)"), 0..12)
    ) {
        let mut file = format!("{HEADER}\r\n").into_bytes();
        for (fields, count, separator, line_end) in &lines {
            let parts: Vec<&[u8]> = fields[0].iter().cycle().take(*count.max(&1)).map(Vec::as_slice).collect();
            file.extend(parts.join(separator.as_bytes()));
            file.extend(line_end.as_bytes());
        }
        import(&file);
    }
}

/// The tester's file: a NUL in a name, and a clean line with the same goods.
#[test]
fn a_line_that_no_owner_keeps_is_rejected_and_harms_no_other() {
    let long = "x".repeat(201);
    let file = format!(
        "{HEADER}\n\
         1,20001,RED\0MUG,2,2010-01-19 17:04:00,1.50,7,France\n\
         2,20001,RED MUG,1,2010-01-19 17:05:00,1.50,7,France\n\
         3,20001,{long},1,2010-01-19 17:06:00,1.50,7,France\n\
         4,20001,\"RED\tMUG\r\n LARGE \",1,2010-01-19 17:06:00,1.50,7,France\n\
         \x015,20001,RED MUG,1,2010-01-19 17:06:00,1.50,7,France\n\
         6,20001,RED MUG,1,9999-01-19 17:06:00,1.50,7,France\n\
         7,20001,RED MUG,1,2010-01-19 17:06:00,10000000.01,7,France\n\
         8,20001,RED MUG,1,2010-01-19 17:06:00,1.50,7,Fra\0nce\n"
    );
    let (shop, rejected) = import(file.as_bytes());
    let expected = [
        (2, "1 20001", "the description holds control characters"),
        (4, "3 20001", "the description is longer than 200 bytes"),
        (
            7,
            "\u{fffd}5 20001",
            "the invoice number holds control characters",
        ),
        (8, "6 20001", "the date is not a time from 1970 to 2099"),
        (9, "7 20001", "the price is more than ten million pounds"),
        (10, "8 20001", "the country holds control characters"),
    ];
    let expected = expected.map(|(line, key, reason)| (line, key.to_owned(), reason.to_owned()));
    assert_eq!(rejected, expected);
    assert_eq!(shop.report().value_rejected.to_string(), "10000009.01");
    let names: Vec<_> = shop
        .orders()
        .map(|record| match record {
            OrderRecord::Order(order) => (order.number, order.lines[0].name.to_string()),
            OrderRecord::Refund(refund) => panic!("{refund:?}"),
        })
        .collect();
    let expected = [("GS-2", "Red Mug"), ("GS-4", "Red Mug")];
    assert_eq!(
        names,
        expected.map(|(number, name)| (number.to_owned(), name.to_owned()))
    );
    assert_eq!(shop.payments().count(), 2, "none for what is rejected");
}

/// Lines that are fine one by one, and an invoice that is not.
#[test]
fn an_invoice_beyond_an_orders_limits_is_rejected_with_all_its_lines() {
    let line = |invoice: &str, name: &str, quantity: u32, price: &str| {
        format!("{invoice},20001,{name},{quantity},2010-01-19 17:04:00,{price},7,France\n")
    };
    let mut file = format!("{HEADER}\n");
    for _ in 0..5_001 {
        file += &line("1", "RED MUG", 1, "1.00");
    }
    for _ in 0..11 {
        file += &line("2", "RED MUG", 1_000, "1000000.00");
    }
    // Long names make a long record; the same number of lines with usual names is fine.
    let long = "\"\"".repeat(200);
    file += &format!("3,20002,\"{long}\",1,2010-01-19 17:04:00,1.00,8,France\n").repeat(2_000);
    for _ in 0..5_000 {
        file += &line("4", "15CM CHRISTMAS GLASS BALL 20 LIGHTS", 1, "1.00");
    }
    let (shop, rejected) = import(file.as_bytes());
    let mut reasons = BTreeMap::<&str, u64>::new();
    for (_, _, reason) in &rejected {
        *reasons.entry(reason).or_default() += 1;
    }
    let expected = [
        ("its order would be longer than 1 MiB", 2_000),
        ("its order would be worth more than ten billion pounds", 11),
        ("its order would have more than 5,000 lines", 5_001),
    ];
    assert_eq!(reasons, BTreeMap::from(expected));
    let report = shop.report();
    assert_eq!((report.orders, report.customers, report.products), (1, 1, 1));
    assert_eq!(report.value_rejected.to_string(), "11000007001.00");
    assert_eq!(report.orders_value.to_string(), "5000.00");
}

#[test]
fn line_numbers_are_those_of_an_editor() {
    let text = format!(
        "{HEADER}\n\
         1,20001,RED MUG,1,2010-01-19 17:04:00,1.00,7,France\n\
         \n\
         \n\
         2,20001,RED MUG,x,2010-01-19 17:04:00,1.00,7,France\n\
         3,20001,\"RED\n\nMUG\",x,2010-01-19 17:04:00,1.00,7,France\n\
         4,20001,RED MUG,x,2010-01-19 17:04:00,1.00,7,France\n\
         \n\
         5,20001,RED MUG,1,2010-01-19 17:04:00,1.00,7,France\n\
         6,POST,,1,2010-01-19 17:04:00,0.0,,France"
    );
    for line_end in ["\n", "\r\n"] {
        let (shop, rejected) = import(text.replace('\n', line_end).as_bytes());
        let lines: Vec<_> = rejected.iter().map(|(line, ..)| *line).collect();
        assert_eq!(lines, [5, 6, 9, 12], "{line_end:?}");
        assert!(
            rejected[1].2.ends_with("(a quoted field goes on to line 8)"),
            "{rejected:?}"
        );
        assert_eq!((shop.report().lines_read, shop.report().orders), (6, 2));
    }
}

#[test]
fn a_file_with_nothing_in_it_says_so() {
    for file in [
        HEADER.to_owned(),
        format!("{HEADER}\r\n"),
        format!("{HEADER}\n\n \n"),
    ] {
        let (shop, _) = import(file.as_bytes());
        let said = shop.report().to_string();
        assert_eq!(
            said,
            "The file holds a header and nothing else: there was nothing to import."
        );
    }
    assert!(catalogue(b"\n \n").1.contains("nothing to import"));
}

/// An Icecat file's products, its report and the reject file's reasons.
fn catalogue(file: &[u8]) -> (Vec<ProductRecord>, String, Vec<(u64, String, String)>) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (path, rejected) = (
        folder.path().join("lines.jsonl"),
        folder.path().join("rejected.csv"),
    );
    std::fs::write(&path, file).expect("write");
    let mut rejects = RejectFile::new(&rejected).expect("reject file");
    let mut icecat = Icecat::open(&path, Currency::GBP, &mut rejects).expect("open");
    let mut products = Vec::new();
    while let Some(product) = icecat.next_product().expect("readable") {
        product.check_whole().expect("the catalog takes it");
        check_json(&product, 30_000);
        products.push(product);
    }
    let report = icecat.report();
    assert_eq!(report.lines_read, report.lines_loaded + report.lines_rejected);
    assert_eq!(report.lines_loaded, products.len() as u64);
    let text = std::fs::read_to_string(rejected).unwrap_or_default();
    let rejected: Vec<_> = csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .map(|line| line.expect("a line of the reject file"))
        .collect();
    assert_eq!(report.lines_rejected, rejected.len() as u64);
    (products, report.to_string(), rejected)
}

#[test]
fn nasty_products_are_rejected_with_line_and_reason() {
    let long = "x".repeat(10_001);
    let base = serde_json::json!({"id": "1", "name": "a", "title": "A", "price": 7});
    let with = |key: &str, value: Value| {
        let mut product = base.clone();
        product[key] = value;
        product
    };
    let nasty = [
        (with("id", "1\0".into()), "id holds control characters"),
        (
            with("id", "9".repeat(62).into()),
            "the SKU is longer than 64 characters",
        ),
        (with("id", " \n".into()), "the id or the title is empty"),
        (with("title", "A\u{7}".into()), "title holds control characters"),
        (
            with("title", long.as_str().into()),
            "the name is longer than 300 characters",
        ),
        (with("name", "\u{7f}".into()), "name holds control characters"),
        (with("supplier", "\0".into()), "supplier holds control characters"),
        (
            with("supplier", long.as_str().into()),
            "the brand is longer than 100 characters",
        ),
        (
            with("short_description", long.as_str().into()),
            "the description is longer than 5000 characters",
        ),
        (with("ean", vec!["1\0"].into()), "ean holds control characters"),
        (with("price", (-5).into()), "the price is -5"),
        (
            with("price", 1_000_000_001_i64.into()),
            "the price must be 0 to 1,000,000,000 minor units",
        ),
        (with("price", u64::MAX.into()), "not a product: "),
        (with("price", 1e308.into()), "not a product: "),
        (
            with("date_released", "0001-01-01T00:00:00Z".into()),
            "the time must be a time from 1970 to 2099",
        ),
        (
            with("date_released", "9999-12-31T23:59:59Z".into()),
            "the time must be a time from 1970 to 2099",
        ),
        (
            with("attr_t_a", "\u{1}".into()),
            "attr_t_a holds control characters",
        ),
        (
            with("attr_t_a", long.as_str().into()),
            "the attribute a is longer than 10000 characters",
        ),
        (
            with("attr_n_a", 1e308.into()),
            "the attribute a must be within 10^15 of zero",
        ),
        (
            with(&format!("attr_t_{long}"), "b".into()),
            "an attribute's name is longer than 100 characters",
        ),
        (
            with("attr_t_a\0", "b".into()),
            "an attribute's name holds control characters",
        ),
        (with("attr_t_ ", "b".into()), "an attribute's name is empty"),
    ];
    let mut many = base.clone();
    for number in 0..250 {
        many[format!("attr_t_a{}", "_".repeat(number))] = "b".into();
    }
    let mut file: Vec<u8> = nasty
        .iter()
        .flat_map(|(product, _)| format!("{product}\r\n").into_bytes())
        .collect();
    file.extend(format!("{many}\n").into_bytes());
    file.extend(b"{\"id\":\"1\",\"name\":\"\xff\",\"title\":\"A\",\"price\":7}\n");
    file.extend(format!("{{\"id\":\"{}\"}}\n", "9".repeat(1 << 20)).into_bytes());
    file.extend(format!("{base}\n").into_bytes());
    let (products, _, rejected) = catalogue(&file);
    assert_eq!(products.len(), 1, "the rejected ones do not take its id");
    let reasons = nasty.iter().map(|(_, reason)| *reason);
    let reasons: Vec<_> = reasons
        .chain([
            "there are more than 200 attributes",
            "not a product: ",
            "the line is longer than 1 MiB",
        ])
        .collect();
    assert_eq!(rejected.len(), reasons.len());
    for ((line, _, found), (number, reason)) in rejected.iter().zip((1..).zip(reasons)) {
        assert_eq!(*line, number, "{reason}");
        assert!(
            found.starts_with(reason),
            "line {line}: {found} instead of {reason}"
        );
        assert!(found.len() < 300 && !found.contains(char::is_control), "{found}");
    }
}
