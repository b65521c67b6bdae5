//! A small piece of the gift shop's data, written by us.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/// 600 orders in five countries' worth of dirt: guests, postage, a cancellation, damaged goods, a line that cannot be read.
pub fn dirty(folder: &Path) -> PathBuf {
    let mut text = format!("{HEADER}\n");
    for n in 0..3_000 {
        let (invoice, code) = (600_000 + n / 5, 20_000 + n % 97);
        let customer = if invoice % 11 == 0 {
            String::new()
        } else {
            (12_000 + invoice % 53).to_string()
        };
        writeln!(text, "{invoice},{code},RED TIN NUMBER {code},{},2010-07-01 12:{:02}:00,{}.{:02},{customer},United Kingdom", 1 + n % 6, n / 5 % 60, n % 9, n % 100).unwrap();
    }
    for line in [
        "600900,POST,POSTAGE,1,2010-07-02 09:00:00,18.00,12001,France",
        "C600901,20001,RED TIN NUMBER 20001,-1,2010-07-03 09:00:00,1.01,12004,United Kingdom",
        "600902,20001,damaged,-7,2010-07-04 09:00:00,0,,United Kingdom",
        "600903,20001,not a number,x,2010-07-04 09:00:00,1,,United Kingdom",
    ] {
        writeln!(text, "{line}").unwrap();
    }
    written(folder, &text)
}

/// Baskets that can be counted by hand: of each the invoice, the day of June 2011, the customer and the goods' codes.
pub fn baskets(folder: &Path, baskets: &[(&str, u8, &str, &[u32])]) -> PathBuf {
    let mut text = format!("{HEADER}\n");
    for (invoice, day, customer, goods) in baskets {
        for code in *goods {
            writeln!(
                text,
                "{invoice},{code}a,TIN NUMBER {code},2,2011-06-{day:02} 10:00:00,1.50,{customer},United Kingdom"
            )
            .unwrap();
        }
    }
    written(folder, &text)
}

/// A season of 60 customers who buy what goes with what they bought before, and some of the best-sellers: enough for lists whose
/// places are close to each other. The same each time.
pub fn season(folder: &Path) -> PathBuf {
    let mut text = format!("{HEADER}\n");
    let mut draw = 42_u64;
    let mut below = |bound: u64| {
        // An ordinary linear congruential generator (Knuth's constants): its upper bits are good enough for this.
        draw = draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % bound
    };
    for invoice in 0..480_u64 {
        let (customer, day, hour) = (below(60), 1 + invoice / 16, 8 + below(10));
        for _ in 0..=below(9) {
            let good = match below(4) {
                0 => below(6),
                _ => 6 + (customer % 7) * 12 + below(14),
            };
            writeln!(
                text,
                "{},{}a,TIN NUMBER {good},{},2011-06-{day:02} {hour:02}:00:00,1.50,{},United Kingdom",
                500_000 + invoice,
                20_000 + good,
                1 + below(12),
                12_000 + customer
            )
            .unwrap();
        }
    }
    written(folder, &text)
}

fn written(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("gift-shop.csv");
    std::fs::write(&path, text).unwrap();
    path
}
