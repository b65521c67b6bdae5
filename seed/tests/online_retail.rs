//! The gift shop's importer: dirty lines, exact sums, the same records every time.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use emporium_seed::OnlineRetail;
use emporium_seed::online_retail::{Report, Value};
use emporium_seed::records::{ChargeKind, Order, OrderRecord, PaymentRecord, Refund, total};
use emporium_seed::rejects::RejectFile;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use time::macros::datetime;

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

/// What a file gives: the import and the reject file's text.
fn import_file(path: &Path) -> (OnlineRetail, String) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let rejected = folder.path().join("rejected.csv");
    let mut rejects = RejectFile::new(&rejected).expect("reject file");
    let shop = OnlineRetail::read(path, &mut rejects).expect("readable");
    (shop, std::fs::read_to_string(rejected).unwrap_or_default())
}

fn import(lines: &str) -> (OnlineRetail, String) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("lines.csv");
    std::fs::write(&file, format!("{HEADER}{lines}")).expect("write");
    let (shop, rejected) = import_file(&file);
    assert!(shop.report().is_balanced(), "{}", shop.report());
    (shop, rejected)
}

fn orders(shop: &OnlineRetail) -> BTreeMap<String, Order> {
    let orders = shop.orders().filter_map(|record| match record {
        OrderRecord::Order(order) => Some((order.reference.clone().expect("invoice"), order)),
        OrderRecord::Refund(_) => None,
    });
    orders.collect()
}

fn refunds(shop: &OnlineRetail) -> Vec<Refund> {
    let refunds = shop.orders().filter_map(|record| match record {
        OrderRecord::Refund(refund) => Some(refund),
        OrderRecord::Order(_) => None,
    });
    refunds.collect()
}

/// All records as NDJSON.
fn bytes(shop: &OnlineRetail) -> Vec<String> {
    fn lines<R: serde::Serialize>(records: impl Iterator<Item = R>) -> String {
        records
            .map(|record| serde_json::to_string(&record).expect("JSON") + "\n")
            .collect()
    }
    vec![
        lines(shop.products()),
        lines(shop.users()),
        lines(shop.orders()),
        lines(shop.payments()),
        lines(shop.adjustments()),
    ]
}

#[test]
fn an_invoice_becomes_an_order_with_its_customer_products_charges_and_payment() {
    let (shop, rejected) = import(
        "489434,85048,15CM CHRISTMAS GLASS BALL 20 LIGHTS,12,2010-07-01 07:46:00,6.95,13085,United Kingdom\n\
         489434,85048,15CM CHRISTMAS GLASS BALL 20 LIGHTS,12,2010-07-01 07:45:00,6.95,13085,United Kingdom\n\
         489434,POST,POSTAGE,1,2010-07-01 07:45:00,18,13085,United Kingdom\n\
         489434,D,Discount,-1,2010-07-01 07:45:00,5.5,13085,United Kingdom\n",
    );
    assert_eq!(rejected, "");
    let order = &orders(&shop)["489434"];
    assert_eq!(
        order.placed_at,
        datetime!(2010-07-01 06:45 UTC),
        "the earliest line, London's summer time"
    );
    assert_eq!(order.lines.len(), 2, "exact duplicates are two lines");
    assert_eq!((order.lines[0].quantity, order.lines[0].unit_price), (12, 695));
    assert_eq!(&*order.lines[0].name, "15cm Christmas Glass Ball 20 Lights");
    let charges: Vec<_> = order
        .charges
        .iter()
        .map(|charge| (charge.kind, charge.name.as_str(), charge.amount))
        .collect();
    assert_eq!(
        charges,
        [
            (ChargeKind::Postage, "Postage", 1800),
            (ChargeKind::Discount, "Discount", -550)
        ]
    );
    let user = shop.users().next().expect("a customer");
    assert_eq!(user.email, "customer-13085@gift-shop.example");
    assert!(user.name_invented && user.password.is_none() && user.origin == "imported");
    assert_eq!(
        (order.customer_id, user.addresses[0].country.as_str()),
        (Some(user.id), "GB")
    );
    let product = shop.products().next().expect("a product");
    assert_eq!(
        (&*product.sku, product.category.as_str(), product.price.amount),
        ("85048", "christmas", 695)
    );
    assert!(product.stock >= 100 && product.attributes["stock_invented"] == true.into());
    let payments: Vec<_> = shop.payments().collect();
    assert_eq!(payments.len(), 1);
    let PaymentRecord::Charge {
        saga_id, amount, at, ..
    } = &payments[0]
    else {
        panic!("a charge")
    };
    assert_eq!(
        (*saga_id, amount.amount, *at),
        (order.id, 12 * 695 * 2 + 1800 - 550, order.placed_at)
    );
}

#[test]
fn cancellations_find_the_most_recent_order_that_holds_enough() {
    let (shop, _) = import(
        "1001,21733,RED HEART,10,2010-01-01 10:00:00,2.00,7,France\n\
         1002,21733,RED HEART,3,2010-02-01 10:00:00,2.00,7,France\n\
         1003,21733,RED HEART,10,2010-02-02 10:00:00,2.00,8,France\n\
         C1004,21733,RED HEART,-2,2010-03-01 10:00:00,2.00,7,France\n\
         C1004,21733,RED HEART,-2,2010-03-01 10:00:00,2.00,7,France\n\
         C1004,22222,NEVER BOUGHT,-1,2010-03-01 10:00:00,1.00,7,France\n\
         C1004,21733,RED HEART,-9,2010-03-01 10:00:00,2.00,7,France\n\
         C1005,21733,RED HEART,-1,2010-03-01 10:00:00,2.00,,France\n\
         C1000,21733,RED HEART,-1,2009-12-31 10:00:00,2.00,7,France\n\
         C1006,21733,RED HEART,-1,2010-03-02 10:00:00,90.00,7,France\n",
    );
    let orders = orders(&shop);
    let found: BTreeMap<String, Vec<Option<&str>>> =
        refunds(&shop).iter().fold(BTreeMap::new(), |mut found, refund| {
            let order = orders
                .iter()
                .find(|(_, order)| Some(order.id) == refund.order_id)
                .map(|(number, _)| number.as_str());
            found
                .entry(refund.reference.clone().expect("invoice"))
                .or_insert_with(Vec::new)
                .push(order);
            found
        });
    assert_eq!(
        found["C1004"],
        [Some("1002"), Some("1001"), None, None],
        "split by line; 9 are in no order any more"
    );
    assert_eq!(found["C1005"], [None], "nobody knows whose it is");
    assert_eq!(found["C1000"], [None], "the order came later");
    assert_eq!(found["C1006"], [None], "more than the order was worth");
    assert_eq!(
        refunds(&shop).iter().map(|refund| refund.amount).sum::<i64>(),
        400 + 400 + 100 + 1800 + 200 + 200 + 9000
    );
    let matched: Vec<_> = shop
        .payments()
        .filter(|payment| {
            matches!(
                payment,
                PaymentRecord::Refund {
                    order_id: Some(_),
                    ..
                }
            )
        })
        .collect();
    assert_eq!(matched.len(), 2);
}

#[test]
fn odd_lines_are_kept_as_what_they_mean() {
    let (shop, rejected) = import(
        "2001,85123a,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-01-04 10:00:00,2.55,,EIRE\n\
         2001,85123A,WHITE HANGING HEART T-LIGHT HOLDER,1,2010-01-04 10:00:00,0.0,,EIRE\n\
         2002,85123A,damaged,-7,2010-01-05 10:00:00,0.0,,United Kingdom\n\
         2003,85123A,found,5,2010-01-05 10:00:00,0.0,,United Kingdom\n\
         2004,22000,,-3,2010-01-05 10:00:00,0.0,,United Kingdom\n\
         A2005,B,Adjust bad debt,1,2010-01-06 10:00:00,-53594.36,,United Kingdom\n\
         A2006,B,Adjust bad debt,1,2010-01-06 10:00:00,11062.06,,United Kingdom\n\
         C2007,M,Manual,1,2010-01-07 10:00:00,373.57,,United Kingdom\n\
         2008,PADS,PADS TO MATCH ALL CUSHIONS,1000,2010-01-08 10:00:00,0.001,16705,United Kingdom\n\
         C2009,AMAZONFEE,AMAZON FEE,-1,2010-01-09 10:00:00,13541.33,,United Kingdom\n\
         2010,22000,GIFT FOR A CUSTOMER,1,2010-01-10 10:00:00,0.0,16705,United Kingdom\n\
         2011,22001,RED MUG,-1,2010-01-11 10:00:00,3.00,16705,United Kingdom\n\
         2011,22002,BLUE MUG,2,2010-01-11 10:00:00,3.00,16705,United Kingdom\n",
    );
    assert_eq!(rejected, "");
    let orders = orders(&shop);
    assert_eq!(orders["2001"].customer_id, None, "a guest's order");
    assert_eq!(
        orders["2001"]
            .lines
            .iter()
            .map(|line| line.unit_price)
            .collect::<Vec<_>>(),
        [255, 0]
    );
    assert_eq!(
        orders["2001"].lines[0].product_id, orders["2001"].lines[1].product_id,
        "one product, two spellings"
    );
    assert_eq!(
        orders["2001"].shipping_address.as_ref().expect("address").country,
        "IE"
    );
    assert_eq!(
        (orders["A2006"].lines.len(), orders["A2006"].charges[0].amount),
        (0, 1_106_206)
    );
    assert_eq!(
        (orders["C2007"].charges[0].kind, orders["C2007"].charges[0].amount),
        (ChargeKind::Manual, 37_357)
    );
    assert_eq!(
        (orders["2008"].charges[0].kind, orders["2008"].charges[0].amount),
        (ChargeKind::Adjustment, 100)
    );
    assert_eq!(
        orders["2008"].charges[0].name,
        "Pads to Match All Cushions (1000 × 0.001)"
    );
    assert_eq!(total(&orders["2010"].lines, &orders["2010"].charges), 0);
    assert_eq!(
        (orders["2011"].lines.len(), orders["2011"].charges[0].amount),
        (1, -300)
    );
    let refunds: Vec<_> = refunds(&shop)
        .into_iter()
        .map(|refund| {
            (
                refund.reference.expect("invoice"),
                refund.charges[0].kind,
                refund.amount,
            )
        })
        .collect();
    let expected = [
        ("A2005", ChargeKind::Adjustment, 5_359_436),
        ("C2009", ChargeKind::Fee, 1_354_133),
    ];
    assert_eq!(
        refunds,
        expected.map(|(number, kind, amount)| (number.to_owned(), kind, amount))
    );
    let adjustments: Vec<_> = shop
        .adjustments()
        .map(|record| (record.reference, record.delta, record.reason))
        .collect();
    let expected = [
        ("2002", -7, "damaged"),
        ("2003", 5, "found"),
        ("2004", -3, "no reason recorded"),
    ];
    assert_eq!(
        adjustments,
        expected.map(|(number, delta, reason)| (number.to_owned(), delta, reason.to_owned()))
    );
    let hearts = shop
        .products()
        .find(|product| &*product.sku == "85123A")
        .expect("hearts");
    assert_eq!(
        &*hearts.name, "White Hanging Heart T-Light Holder",
        "not the warehouse's notes"
    );
    assert_eq!(
        shop.payments().count(),
        orders.len() - 1 + 2,
        "an order worth nothing has no payment"
    );
}

#[test]
fn what_cannot_be_represented_goes_into_the_reject_file_with_line_and_reason() {
    let (shop, rejected) = import(
        "3001,PADS,PADS TO MATCH ALL CUSHIONS,1,2010-01-19 17:04:00,0.001,16705,United Kingdom\n\
         3002,22000,RED MUG,x,2010-01-19 17:04:00,1.00,1,France\n\
         3003,22000,RED MUG,1,2010-01-19 17:04:00,one,1,France\n\
         3004,22000,RED MUG,1,19 January,1.00,1,France\n\
         3005,22000,RED MUG,0,2010-01-19 17:04:00,1.00,1,France\n\
         3006,22000,RED MUG,1,2010-01-19 17:04:00,1.00,1\n\
         ,22000,RED MUG,1,2010-01-19 17:04:00,1.00,1,France\n\
         3008,,RED MUG,1,2010-01-19 17:04:00,1.00,1,France\n\
         3009,POST,,1,2010-01-19 17:04:00,0.0,,France\n\
         3010,22000,RED MUG,2147483647,2010-01-19 17:04:00,1.00,1,France\n\
         3011,22000,RED MUG,1,2010-01-19 17:04:00,1.00,1,France\n",
    );
    let report = shop.report();
    assert_eq!(
        (report.lines_read, report.lines_loaded, report.lines_rejected),
        (11, 1, 10)
    );
    assert_eq!(report.value_rejected.to_string(), "4.001", "{rejected}");
    let lines: Vec<_> = rejected
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().expect("number"))
        .collect();
    assert_eq!(
        lines,
        ["2", "3", "4", "5", "6", "7", "8", "9", "11", "10"],
        "the ledger's come last"
    );
    assert!(
        rejected.contains("2,3001 PADS,\"quantity times price is not whole pennies")
            || rejected.contains("2,3001 PADS,quantity times price"),
        "{rejected}"
    );
    assert!(
        rejected.contains("7,3006 22000,7 fields instead of 8"),
        "{rejected}"
    );
}

#[test]
fn other_editions_of_the_file_are_read_too_and_other_files_are_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("edition.csv");
    let text = b"\xef\xbb\xbfInvoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n\
        489434,gift_0001_10,Gift Voucher \xa310.00,1,12/1/2009 7:45,10,13085.0,Nowhere\n";
    std::fs::write(&file, text).expect("write");
    let (shop, rejected) = import_file(&file);
    assert_eq!((rejected.as_str(), shop.report().orders), ("", 1));
    let product = shop.products().next().expect("the voucher");
    assert_eq!(
        (&*product.sku, &*product.name, product.category.as_str()),
        ("GIFT_0001_10", "Gift Voucher £10.00", "gift-vouchers")
    );
    assert_eq!(
        shop.users().next().expect("a customer").addresses[0].country,
        "ZZ"
    );
    std::fs::write(&file, "id,name\n1,x\n").expect("write");
    let mut rejects = RejectFile::new(&folder.path().join("r.csv")).expect("reject file");
    let error = OnlineRetail::read(&file, &mut rejects)
        .err()
        .expect("refused")
        .to_string();
    assert!(error.contains("InvoiceNo"), "{error}");
}

/// A further file that overlaps the first one gives the same ids for the same things.
#[test]
fn identity_does_not_depend_on_the_file() {
    let first = "4001,21733,RED HEART,10,2010-01-01 10:00:00,2.00,7,France\n";
    let rest = "4002,21733,PINK HEART,3,2010-02-01 10:00:00,2.50,7,Germany\n\
                C4003,21733,PINK HEART,-5,2010-03-01 10:00:00,2.00,7,France\n\
                C4003,21733,PINK HEART,-1,2010-03-01 10:00:00,2.00,7,France\n";
    let (whole, _) = import(&format!("{first}{rest}"));
    let (part, _) = import(rest);
    let ids = |shop: &OnlineRetail| {
        let ids = shop.orders().map(|record| match record {
            OrderRecord::Order(order) => order.id,
            OrderRecord::Refund(refund) => refund.id,
        });
        ids.collect::<BTreeSet<_>>()
    };
    assert!(ids(&part).is_subset(&ids(&whole)));
    assert_eq!(
        part.products().next().expect("heart").id,
        whole.products().next().expect("heart").id
    );
    assert_eq!(
        part.users().next().expect("customer").id,
        whole.users().next().expect("customer").id
    );
    let matched = |shop: &OnlineRetail| {
        refunds(shop)
            .iter()
            .map(|refund| refund.order_id.is_some())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (matched(&whole), matched(&part)),
        (vec![true, true], vec![false, true])
    );
}

fn dirty_line() -> impl Strategy<Value = String> {
    let invoice = prop_oneof![8 => "[1-4]", 3 => "C[1-4]", 1 => "A[1-2]", 1 => Just(String::new())];
    let code = prop_oneof![8 => "2[0-3]", 1 => "(POST|D|M|B|AMAZONFEE)", 1 => "[a-z\" ]{0,3}"];
    let description = prop_oneof![5 => "[A-Z ]{0,12}", 1 => "[a-z?]{0,5}"];
    let quantity = prop_oneof![8 => "-?[0-9]{1,3}", 1 => "[0-9.x-]{0,4}"];
    let time = prop_oneof![9 => "2010-(0[1-9]|1[0-2])-(0[1-9]|2[0-9]) (0[0-9]|1[0-9]):[0-5][0-9]:00", 1 => "[0-9 :-]{0,8}"];
    let price = prop_oneof![6 => "[0-9]{1,3}\\.[0-9]{1,2}", 1 => "-?[0-9]{1,2}\\.[0-9]{3}", 1 => Just("0.0".to_owned()), 1 => "[0-9.x-]{0,5}"];
    let customer = prop_oneof![5 => "1[0-3]", 2 => Just(String::new()), 1 => "[a-z ]{0,2}"];
    (
        invoice,
        code,
        description,
        quantity,
        time,
        price,
        customer,
        "(France|EIRE|)",
    )
        .prop_map(
            |(invoice, code, description, quantity, time, price, customer, country)| {
                let code = code.replace('"', "\"\"");
                format!("{invoice},\"{code}\",{description},{quantity},{time},{price},{customer},{country}\n")
            },
        )
}

proptest! {
    /// Whatever the lines are: nothing is lost to the penny, no refund exceeds its order, and it is the same twice.
    #[test]
    fn value_read_is_value_loaded_plus_value_rejected(lines in prop::collection::vec(dirty_line(), 0..40)) {
        let text = lines.concat();
        let (shop, rejected) = import(&text);
        let report = shop.report();
        prop_assert!(report.is_balanced(), "{report}\n{text}");
        prop_assert_eq!(report.lines_read, lines.len() as u64);
        prop_assert_eq!(rejected.lines().skip(1).count() as u64, report.lines_rejected);
        check_records(&shop);
        prop_assert_eq!(bytes(&shop), bytes(&import(&text).0));
    }
}

/// What must hold for the records of any file.
fn check_records(shop: &OnlineRetail) {
    assert_eq!(shop.check(), Ok(()), "an owner would refuse it");
    let mut ids = BTreeSet::new();
    let products: BTreeSet<_> = shop.products().map(|product| product.id).collect();
    assert!(
        shop.products()
            .all(|product| product.price.amount >= 0 && product.stock >= 100)
    );
    let customers: BTreeSet<_> = shop.users().map(|user| user.id).collect();
    let mut left = BTreeMap::new();
    let mut value = Value::default();
    for record in shop.orders() {
        let (id, customer, lines) = match record {
            OrderRecord::Order(order) => {
                let amount = total(&order.lines, &order.charges);
                assert!(amount >= 0, "{order:?}");
                value += Value::from_pennies(amount);
                left.insert(order.id, amount);
                (order.id, order.customer_id, order.lines)
            }
            OrderRecord::Refund(refund) => {
                assert!(
                    refund.amount > 0 && refund.amount == total(&refund.lines, &refund.charges),
                    "{refund:?}"
                );
                value = value - Value::from_pennies(refund.amount);
                if let Some(order) = refund.order_id {
                    let left = left.get_mut(&order).expect("the order comes before its refund");
                    *left -= refund.amount;
                    assert!(*left >= 0, "{refund:?}");
                }
                (refund.id, refund.customer_id, refund.lines)
            }
        };
        assert!(ids.insert(id), "{id} comes twice");
        assert!(customer.is_none_or(|customer| customers.contains(&customer)));
        assert!(
            lines
                .iter()
                .all(|line| line.quantity > 0 && line.unit_price >= 0 && products.contains(&line.product_id))
        );
    }
    assert_eq!(value, shop.report().value_loaded);
    for adjustment in shop.adjustments() {
        assert!(
            ids.insert(adjustment.id) && products.contains(&adjustment.product_id) && adjustment.delta != 0
        );
    }
    assert_eq!(shop.adjustments().count() as u64, shop.report().adjustments);
}

fn digest(shop: &OnlineRetail) -> Vec<u8> {
    bytes(shop)
        .iter()
        .fold(Sha256::new(), Sha256::chain_update)
        .finalize()
        .to_vec()
}

#[test]
fn the_real_file() {
    let Some(file) = support::dataset("online-retail/online_retail_2009-12_2011-09.csv.gz") else {
        return;
    };
    let start = std::time::Instant::now();
    let (shop, rejected) = import_file(&file);
    println!(
        "read and worked out in {:?}, peak memory {:?} MiB",
        start.elapsed(),
        support::peak_memory_mib()
    );
    let start = std::time::Instant::now();
    let counts = (
        shop.products().count(),
        shop.users().count(),
        shop.orders().count(),
        shop.payments().count(),
        shop.adjustments().count(),
    );
    println!("all records made in {:?}: {counts:?}", start.elapsed());
    let start = std::time::Instant::now();
    let size: usize = bytes(&shop).iter().map(String::len).sum();
    println!("written as {size} bytes of NDJSON in {:?}", start.elapsed());
    println!("{}", shop.report());
    for reason in rejected
        .lines()
        .skip(1)
        .map(|line| line.splitn(3, ',').nth(2).unwrap_or_default())
        .collect::<BTreeSet<_>>()
    {
        println!(
            "  {:>4} × {reason}",
            rejected.lines().filter(|line| line.ends_with(reason)).count()
        );
    }
    let mut categories = BTreeMap::<String, usize>::new();
    shop.products()
        .for_each(|product| *categories.entry(product.category).or_default() += 1);
    println!("{categories:?}");
    let Report {
        lines_read,
        lines_rejected,
        ..
    } = *shop.report();
    assert!(shop.report().is_balanced());
    assert_eq!(lines_read, 835_385);
    assert_eq!(shop.report().value_read.to_string(), "15145718.036");
    assert!(
        lines_rejected * 1000 < lines_read,
        "{lines_rejected} lines rejected"
    );
    assert_eq!(shop.report().customers, 5_343);
    check_records(&shop);
    assert_eq!(
        digest(&shop),
        digest(&import_file(&file).0),
        "a second run differs"
    );
}
