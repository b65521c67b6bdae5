//! The Icecat importer: every attribute with its type, and nothing that cannot be sold.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use emporium_seed::Icecat;
use emporium_seed::icecat::Report;
use emporium_seed::records::{Currency, ProductRecord};
use emporium_seed::rejects::RejectFile;
use time::macros::datetime;

fn import_file(path: &Path) -> (Vec<ProductRecord>, Report, String) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let rejected = folder.path().join("rejected.csv");
    let mut rejects = RejectFile::new(&rejected).expect("reject file");
    let mut catalogue = Icecat::open(path, Currency::GBP, &mut rejects).expect("open");
    let mut products = Vec::new();
    while let Some(product) = catalogue.next_product().expect("readable") {
        products.push(product);
    }
    let report = catalogue.report();
    (
        products,
        report,
        std::fs::read_to_string(rejected).unwrap_or_default(),
    )
}

fn import(lines: &str) -> (Vec<ProductRecord>, Report, String) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("products.jsonl");
    std::fs::write(&file, lines).expect("write");
    import_file(&file)
}

#[test]
fn a_product_keeps_all_its_attributes_with_their_types() {
    let (products, report, rejected) = import(
        r#"{"id":"7","name":"dv7","title":"HP  Pavilion\tdv7 Notebook Silver","ean":["1","2"],"short_description":"Fast.","date_released":"2008-12-19T00:00:00Z","supplier":"HP","price":10995,"attr_n_display_diagonal":17.3,"attr_n_usb_ports":4.0,"attr_b_touchscreen":false,"attr_t_contrast_ratio__typical_":"200:1","attr_t_height_adjustment":"yes","attr_n_height_adjustment":130.0,"attr_b_height_adjustment":true,"attr_t_ean":"own"}"#,
    );
    assert_eq!((report.lines_loaded, rejected.as_str()), (1, ""));
    let product = &products[0];
    assert_eq!(
        (&*product.sku, &*product.name, product.price.amount),
        ("IC-7", "HP Pavilion dv7 Notebook Silver", 10_995)
    );
    assert_eq!(
        (
            product.brand.as_deref(),
            product.category.as_str(),
            product.description.as_str()
        ),
        (Some("HP"), "laptops", "Fast.")
    );
    assert_eq!(product.created_at, datetime!(2008-12-19 00:00 UTC));
    let json = serde_json::to_string(&product.attributes).expect("JSON");
    let expected = r#"{"contrast_ratio_typical":"200:1","display_diagonal":17.3,"ean":"1, 2","ean_text":"own","height_adjustment":"yes","height_adjustment_flag":true,"height_adjustment_number":130,"icecat_id":"7","manufacturer_part_number":"dv7","stock_invented":true,"touchscreen":false,"usb_ports":4}"#;
    assert_eq!(json, expected);
}

#[test]
fn bad_lines_are_rejected_with_line_and_reason() {
    let (products, report, rejected) = import(concat!(
        "not json\n",
        r#"{"id":"1","name":"a","title":"A","price":0}"#,
        "\n\n",
        r#"{"id":"2","name":"b","title":"B","price":5}"#,
        "\n",
        r#"{"id":"2","name":"b","title":"B again","price":5}"#,
        "\n",
        r#"{"id":"3","name":"c","title":" ","price":5}"#,
        "\n",
        r#"{"id":"4","name":"c","title":"D","price":"5"}"#,
    ));
    assert_eq!(
        (report.lines_read, report.lines_loaded, report.lines_rejected),
        (6, 1, 5)
    );
    assert_eq!(
        (products[0].description.as_str(), products[0].brand.as_deref()),
        ("B", None)
    );
    let lines: Vec<_> = rejected
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().expect("number"))
        .collect();
    assert_eq!(lines, ["1", "2", "5", "6", "7"]);
    assert!(rejected.contains("2,1,the price is 0"), "{rejected}");
}

#[test]
fn the_real_file() {
    let Some(file) = support::dataset("icecat/products.jsonl.gz") else {
        return;
    };
    let start = std::time::Instant::now();
    let (products, report, rejected) = import_file(&file);
    println!(
        "{} products in {:?}\n{report}\n{rejected}",
        products.len(),
        start.elapsed()
    );
    assert_eq!((report.lines_read, report.lines_rejected), (19_406, 0));
    let mut categories = BTreeMap::<&str, usize>::new();
    let mut names = BTreeMap::<&str, &str>::new();
    for product in &products {
        *categories.entry(&product.category).or_default() += 1;
        assert_eq!(
            *names.entry(&product.category).or_insert(&product.category_name),
            product.category_name
        );
        assert!(product.stock >= 100 && product.price.amount > 0 && !product.description.is_empty());
    }
    println!("{} categories: {categories:?}", categories.len());
    assert!((20..=40).contains(&categories.len()));
    assert!(categories["other-electronics"] * 10 < products.len());
    assert_eq!(
        products
            .iter()
            .map(|product| product.id)
            .collect::<BTreeSet<_>>()
            .len(),
        products.len()
    );
    let attributes: usize = products.iter().map(|product| product.attributes.len()).sum();
    let keys: BTreeSet<_> = products
        .iter()
        .flat_map(|product| product.attributes.keys())
        .collect();
    println!("{attributes} attributes under {} keys", keys.len());
    assert_eq!(products, import_file(&file).0, "a second run differs");
}
