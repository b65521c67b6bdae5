//! The part of the suite about a shop that sold nothing for fifteen years, and then something: what was known is still there,
//! and what is new comes first.

use emporium_event_bus::CloudEvent;
use uuid::Uuid;

use super::history::order;
use super::{NOON, Store, apply, days_ago, goods, ids};
use crate::model::{Reason, Scope};

/// How long nobody bought anything, in days.
const GAP_DAYS: i64 = 15 * 365;

struct Shop {
    ada: Uuid,
    bob: Uuid,
    kettle: Uuid,
    cup: Uuid,
    saucer: Uuid,
    plate: Uuid,
    shade: Uuid,
    lamp: Uuid,
    bulb: Uuid,
}

impl Shop {
    async fn open(store: &Store) -> Self {
        let [kettle, cup, saucer, plate, shade, lamp, bulb] = goods(store).await;
        let (ada, bob) = (Uuid::now_v7(), Uuid::now_v7());
        Self {
            ada,
            bob,
            kettle,
            cup,
            saucer,
            plate,
            shade,
            lamp,
            bulb,
        }
    }

    /// What was bought before the gap. Kettles sold best, though not in its last months.
    fn old(&self) -> Vec<CloudEvent> {
        let sold = |times: i64, from: i64, goods: &[Uuid]| -> Vec<CloudEvent> {
            (0..times)
                .map(|n| order(None, days_ago(GAP_DAYS + from + n), goods))
                .collect()
        };
        let mut events = sold(9, 200, &[self.kettle]);
        events.extend(sold(5, 0, &[self.cup, self.saucer]));
        events.extend(sold(2, 0, &[self.cup, self.plate]));
        events.extend(sold(3, 0, &[self.lamp, self.shade]));
        events.push(order(Some(self.ada), days_ago(GAP_DAYS), &[self.cup]));
        events
    }

    /// The one order after it.
    fn live(&self) -> CloudEvent {
        order(Some(self.bob), NOON, &[self.lamp, self.bulb])
    }

    async fn check(&self, store: &Store) {
        let also = async |product| ids(&store.also_bought(product, 10).await.unwrap());
        // Nobody bought these since: in the order of what is known of them.
        assert_eq!(also(self.cup).await, [self.saucer, self.plate]);
        assert_eq!(also(self.saucer).await, [self.cup]);
        let together = store.bought_together(&[self.cup], 10).await.unwrap();
        assert_eq!(ids(&together), [self.saucer, self.plate]);
        // What was just bought shows each other, then what it went with before.
        let lamp = store.also_bought(self.lamp, 10).await.unwrap();
        assert_eq!(ids(&lamp), [self.bulb, self.shade]);
        // Three old orders are not nothing beside one of today.
        assert!(lamp.items[1].score > lamp.items[0].score / 100.0, "{lamp:?}");
        assert_eq!(also(self.bulb).await, [self.lamp]);
        self.check_popular(store).await;
        self.check_customers(store).await;
    }

    /// What sells now, by number of baskets since it sells alike; then what was bought most, whenever that was.
    async fn check_popular(&self, store: &Store) {
        let made = store.popular(10).await.unwrap();
        let by_baskets = [self.kettle, self.cup, self.saucer, self.shade, self.plate];
        let expected = [&[self.lamp, self.bulb], &by_baskets[..]].concat();
        assert_eq!(ids(&made), expected);
        let scores: Vec<f64> = made.items.iter().map(|item| item.score).collect();
        assert!(scores[..2].iter().all(|score| (score - 1.0).abs() < 1e-3));
        assert!(scores[2..].iter().all(|score| *score == 0.0), "{scores:?}");
        for limit in 1..expected.len() {
            let made = store.popular(limit).await.unwrap();
            assert_eq!(ids(&made), expected[..limit]);
        }
    }

    async fn check_customers(&self, store: &Store) {
        let made = store.for_you(self.ada, Scope::New, 10).await.unwrap();
        let expected = [
            self.saucer,
            self.plate,
            self.lamp,
            self.bulb,
            self.kettle,
            self.shade,
        ];
        assert_eq!(ids(&made), expected);
        for item in &made.items[..2] {
            assert_eq!(
                (item.reason, item.because),
                (Reason::BoughtTogether, Some(self.cup))
            );
            assert!(item.score.is_normal() && item.score > 0.0, "{item:?}");
        }
        let made = store.for_you(self.ada, Scope::All, 4).await.unwrap();
        assert_eq!(ids(&made), [self.cup, self.saucer, self.plate, self.lamp]);
        let made = store.for_you(self.bob, Scope::New, 2).await.unwrap();
        assert_eq!(ids(&made), [self.shade, self.kettle]);
        let newcomer = store.for_you(Uuid::now_v7(), Scope::New, 10).await.unwrap();
        assert_eq!(newcomer.items, store.popular(10).await.unwrap().items);
        let again = async |customer| ids(&store.buy_again(customer, 10).await.unwrap());
        assert_eq!(again(self.ada).await, [self.cup]);
        assert!(again(self.bob).await.is_empty(), "just bought");
    }
}

/// One order after the gap leaves every shelf filled.
pub async fn an_order_after_years_outdates_nothing(store: Store) {
    let shop = Shop::open(&store).await;
    apply(&store, &shop.old()).await;
    let before = store.also_bought(shop.cup, 10).await.unwrap();
    assert_eq!(ids(&before), [shop.saucer, shop.plate]);
    apply(&store, &[shop.live()]).await;
    shop.check(&store).await;
}

/// A history that is imported into a shop that sells already comes to the same.
pub async fn an_old_history_may_come_later(store: Store) {
    let shop = Shop::open(&store).await;
    apply(&store, &[shop.live()]).await;
    for event in shop.old().into_iter().rev() {
        apply(&store, &[event]).await;
    }
    shop.check(&store).await;
}
