//! The floor has to send what the shop sends, or its ratios mean nothing.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn the_floor_sends_the_statements_that_the_shop_sends() {
    let output = Command::new(env!("CARGO_BIN_EXE_emporium-benches"))
        .args(["audit", "--quick", "--scale", "tiny"])
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.matches("shop and floor agree").count(), 4, "{out}");
}
