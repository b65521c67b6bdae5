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

fn written(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("gift-shop.csv");
    std::fs::write(&path, text).unwrap();
    path
}
