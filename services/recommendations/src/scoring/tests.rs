//! The formulas by hand, and the bounds.

use std::hash::BuildHasher;

use time::Duration;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-03-10 12:00 UTC);

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn basket(order: u128, age_days: i64, goods: &[u128]) -> Basket {
    Basket {
        order_id: id(order),
        at: NOW - Duration::days(age_days),
        goods: goods.iter().copied().map(id).collect(),
    }
}

fn anchor(good: u128, weight: f64) -> Anchor {
    Anchor {
        good: id(good),
        weight,
    }
}

fn scores(anchors: &[Anchor], baskets: &[Basket]) -> Vec<(u128, f64, u32)> {
    let mut found: Vec<(u128, f64, u32)> = Baskets::new(NOW, anchors, BASKETS_MAX, baskets)
        .companions()
        .into_iter()
        .map(|companion| (companion.good.as_u128(), companion.score, companion.together))
        .collect();
    found.sort_by_key(|found| found.0);
    found
}

fn assert_near(value: f64, expected: f64) {
    assert!(
        (value - expected).abs() <= expected.abs() * 1e-12,
        "{value} for {expected}"
    );
}

#[test]
fn pairs_weigh_by_age_and_size() {
    let baskets = [
        basket(1, 0, &[1, 2]),
        basket(2, 60, &[1, 2, 3]),
        basket(3, 120, &[2, 3]),
    ];
    let found = scores(&[anchor(1, 1.0)], &baskets);
    assert_eq!(
        found.len(),
        2,
        "not the anchor itself, and nothing of the third basket"
    );
    assert_near(found[0].1, 1.0 / 2.0 + 0.5 / 3.0);
    assert_near(found[1].1, 0.5 / 3.0);
    assert_eq!((found[0].2, found[1].2), (2, 1));
}

/// Beyond six and a half half-lives age makes no difference any more, however high it is.
#[test]
fn what_is_old_still_tells() {
    let baskets = [
        basket(1, 0, &[1, 2]),
        basket(2, 360, &[1, 3]),
        basket(3, 399, &[1, 4]),
        basket(4, 5_500, &[1, 5]),
    ];
    let found = scores(&[anchor(1, 1.0)], &baskets);
    let expected = [0.5, 2_f64.powi(-6) / 2.0, 0.005, 0.005];
    assert_eq!(found.len(), expected.len());
    for ((_, score, _), expected) in found.into_iter().zip(expected) {
        assert_near(score, expected);
    }
}

/// Of a good that sold years ago all sums are gone: what is left of the formulas is finite, and in the order of the rarest.
#[test]
fn faded_goods_have_a_score() {
    let faded = |baskets| Demand {
        baskets,
        season: 0.0,
        week: 0.0,
    };
    assert_near(
        faded(90).candidate(),
        10_f64.powf(-0.7) * (0.1_f64 / 100.0).powf(0.3),
    );
    assert!(faded(90).candidate() < faded(9).candidate());
    assert_near(faded(90).anchor(), 10_f64.powf(-0.3));
    assert_near(faded(90).again(2), 2.0);
    let sells = |week| Demand { week, ..faded(90) }.popularity();
    assert!(sells(0.009) == 0.0 && sells(0.0) == 0.0 && sells(0.011) > 0.01);
}

#[test]
fn anchors_add_up_and_the_strongest_is_the_reason() {
    let baskets = [
        basket(1, 0, &[1, 2, 9]),
        basket(2, 0, &[2, 9]),
        basket(3, 0, &[1, 8]),
    ];
    let anchors = [anchor(1, 10.0), anchor(2, 3.0)];
    let found = scores(&anchors, &baskets);
    let by_good: HashMap<u128, f64> = found.iter().map(|(good, score, _)| (*good, *score)).collect();
    assert_near(by_good[&9], 13.0 / 3.0 + 3.0 / 2.0);
    assert_near(by_good[&8], 10.0 / 2.0);
    // An anchor is a companion of the other ones, and not of itself.
    assert_near(by_good[&1], 3.0 / 3.0);
    assert_near(by_good[&2], 10.0 / 3.0);
    let reasons = Baskets::new(NOW, &anchors, BASKETS_MAX, &baskets).reasons(&[id(9), id(8), id(1), id(7)]);
    assert_eq!(reasons, [Some(id(1)), Some(id(1)), Some(id(2)), None]);
}

#[test]
fn only_the_newest_baskets_of_each_anchor_tell() {
    let newest = u128::try_from(BASKETS_MAX).unwrap();
    // As many baskets as count with 1 and 2; an older one with 1 and 3; an even older one with 4 and 5, which is another anchor's.
    let mut baskets: Vec<Basket> = (0..newest).map(|n| basket(n, 1, &[1, 2])).collect();
    baskets.push(basket(newest + 1, 2, &[1, 3]));
    baskets.push(basket(newest + 2, 3, &[4, 5]));
    let goods = |anchors: &[Anchor], baskets: &[Basket]| -> Vec<u128> {
        scores(anchors, baskets).iter().map(|found| found.0).collect()
    };
    assert_eq!(goods(&[anchor(1, 1.0), anchor(4, 1.0)], &baskets), [2, 5]);
    assert_eq!(goods(&[anchor(1, 1.0)], &baskets[1..]), [2, 3]);
    let large: Vec<u128> = (1..=u128::try_from(BASKET_GOODS_MAX).unwrap()).collect();
    assert_eq!(
        goods(&[anchor(1, 1.0)], &[basket(1, 0, &large)]).len(),
        large.len() - 1
    );
    let larger: Vec<u128> = (1..=large.len() as u128 + 1).collect();
    assert!(goods(&[anchor(1, 1.0)], &[basket(1, 0, &larger)]).is_empty());
}

#[test]
fn the_same_baskets_give_the_same_bits() {
    let mut baskets: Vec<Basket> = (0..500)
        .map(|n| {
            basket(
                n,
                i64::try_from(n % 300).unwrap(),
                &[1, 2, 3 + n % 17, 20 + n % 13],
            )
        })
        .collect();
    let anchors = [anchor(1, 0.1), anchor(2, 0.7), anchor(5, 0.3)];
    let first = scores(&anchors, &baskets);
    baskets.reverse();
    assert_eq!(scores(&anchors, &baskets), first);
}

#[test]
fn formulas_are_those_of_the_documentation() {
    let demand = Demand {
        baskets: 90,
        season: 30.0,
        week: 4.9,
    };
    assert_near(
        demand.candidate(),
        40_f64.powf(-0.7) * (5.0_f64 / 100.0).powf(0.3),
    );
    assert_near(demand.anchor(), 40_f64.powf(-0.3));
    assert_near(demand.again(3), 3.0 * 5.9_f64.powf(0.3));
    assert_near(recency(4), 0.5);
    assert_near(all_goods(2.0, 4.0, 3.0, 6.0), 0.5 + 0.3 * 0.5);
    assert_near(all_goods(2.0, 4.0, 0.0, 0.0), 0.5);
}

/// Small numbers and random ones alike are spread over the places of a map.
#[test]
fn ids_are_spread() {
    let hash = BuildHasherDefault::<IdHasher>::default();
    let places = |ids: &mut dyn Iterator<Item = Uuid>| {
        let places: std::collections::HashSet<u64> = ids.map(|id| hash.hash_one(id) % 4_096).collect();
        places.len()
    };
    // Of 4,096 random ones, 1 − 1/e are taken: 2,589.
    assert!(places(&mut (0..4_096).map(id)) > 2_300);
    assert!(places(&mut (0..4_096).map(|_| Uuid::now_v7())) > 2_300);
}
