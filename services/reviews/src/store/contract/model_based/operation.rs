//! What is done in a random sequence.

use proptest::prelude::*;

use super::{CUSTOMERS, PRODUCTS};

/// Who and what are small numbers, so that operations meet.
#[derive(Debug, Clone)]
pub enum Operation {
    Post {
        who: u8,
        what: u8,
        rating: i16,
    },
    /// From a version that is off by so much.
    Edit {
        who: u8,
        review: u8,
        rating: i16,
        off: i64,
    },
    Vote {
        who: u8,
        review: u8,
        helpful: Option<bool>,
    },
    Answer {
        review: u8,
        answer: u8,
        text: u8,
    },
    TakeBack {
        review: u8,
        answer: u8,
    },
    Hide {
        review: u8,
        reason: u8,
    },
    Show {
        review: u8,
    },
    Buy {
        who: u8,
        what: u8,
        units: i64,
    },
    Refund {
        who: u8,
        what: u8,
        units: i64,
    },
    Name {
        who: u8,
        active: bool,
        version: i64,
    },
    /// Some event comes once more.
    Again {
        event: u8,
    },
    /// The store's own events come by the bus.
    Own,
    List {
        what: u8,
        sort: u8,
        rating: Option<i16>,
        verified: Option<bool>,
    },
}

/// A random one.
pub fn operation() -> impl Strategy<Value = Operation> {
    let who = 0..CUSTOMERS;
    let what = 0..PRODUCTS;
    let review = 0..5_u8;
    let rating = 1..=5_i16;
    let off = prop_oneof![4 => Just(0_i64), 1 => -1..=1_i64];
    prop_oneof![
        8 => (who.clone(), what.clone(), rating.clone())
            .prop_map(|(who, what, rating)| Operation::Post { who, what, rating }),
        4 => (who.clone(), review.clone(), rating.clone(), off)
            .prop_map(|(who, review, rating, off)| Operation::Edit { who, review, rating, off }),
        5 => (who.clone(), review.clone(), proptest::option::of(any::<bool>()))
            .prop_map(|(who, review, helpful)| Operation::Vote { who, review, helpful }),
        2 => (review.clone(), 0..3_u8, 0..2_u8)
            .prop_map(|(review, answer, text)| Operation::Answer { review, answer, text }),
        1 => (review.clone(), 0..3_u8).prop_map(|(review, answer)| Operation::TakeBack { review, answer }),
        2 => (review.clone(), 0..2_u8).prop_map(|(review, reason)| Operation::Hide { review, reason }),
        2 => review.prop_map(|review| Operation::Show { review }),
        3 => (who.clone(), what.clone(), 1..3_i64).prop_map(|(who, what, units)| Operation::Buy { who, what, units }),
        3 => (who.clone(), what.clone(), 1..3_i64).prop_map(|(who, what, units)| Operation::Refund { who, what, units }),
        2 => (who, any::<bool>(), 1..6_i64).prop_map(|(who, active, version)| Operation::Name { who, active, version }),
        2 => any::<u8>().prop_map(|event| Operation::Again { event }),
        1 => Just(Operation::Own),
        3 => (what, 0..4_u8, proptest::option::of(rating), proptest::option::of(any::<bool>()))
            .prop_map(|(what, sort, rating, verified)| Operation::List { what, sort, rating, verified }),
    ]
}
