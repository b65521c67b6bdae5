//! Goods and orders for stores that are fed by events: the same ones in each run and on each adapter.
//!
//! The first good is in every order, as no real best-seller is: the worst case of a graph. The others are drawn by Zipf's law.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use emporium_event_bus::{CloudEvent, Consumer};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Zipf};
use serde_json::json;
use serde_json::value::to_raw_value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::prepare::id;

/// Goods that are sold.
pub const GOODS: usize = 2_000;
/// Days in which they are.
pub const DAYS: i64 = 730;
const CATEGORIES: usize = 60;
const COUNTRIES: [&str; 5] = ["GB", "GB", "DE", "FR", "IE"];
/// Events that are applied at once.
const APPLIED: usize = 2_000;

/// A good, by its rank: the second and following ones sell by Zipf's law.
pub fn good(number: usize) -> Uuid {
    id("good", number)
}

/// A good's category.
pub fn category(number: usize) -> String {
    format!("c-{}", number % CATEGORIES)
}

fn event(
    kind: &str,
    subject: Uuid,
    time: OffsetDateTime,
    data: &serde_json::Value,
) -> anyhow::Result<CloudEvent> {
    let source = kind.split('.').next().unwrap_or_default();
    Ok(CloudEvent {
        specversion: "1.0".to_owned(),
        id: id(kind, usize::try_from(subject.as_u128() >> 65)?),
        source: format!("/{source}"),
        kind: kind.to_owned(),
        subject: subject.to_string(),
        time,
        datacontenttype: "application/json".to_owned(),
        aggregateversion: 1,
        traceparent: None,
        data: to_raw_value(data)?,
    })
}

/// What the catalog tells.
fn goods(now: OffsetDateTime) -> anyhow::Result<Vec<CloudEvent>> {
    let made = |number| {
        let data = json!({"id": good(number), "sku": format!("BENCH-{number}"), "name": format!("Thing {number}"),
            "category": category(number), "brand": null, "status": "active", "version": 1});
        event(
            "product.created.v1",
            good(number),
            now - Duration::days(DAYS),
            &data,
        )
    };
    (0..GOODS).map(made).collect()
}

/// What orders and payments tell of order number `number`.
fn order(number: usize, orders: usize, now: OffsetDateTime) -> anyhow::Result<Vec<CloudEvent>> {
    let mut rng = StdRng::seed_from_u64(number as u64);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // ranks
    let mut drawn = || Zipf::new((GOODS - 1) as f64, 1.0).map_or(1, |zipf| zipf.sample(&mut rng) as usize);
    let mut quantities = BTreeMap::from([(good(0), 1)]);
    for _ in 0..=(number % 4) {
        quantities.insert(good(drawn().clamp(1, GOODS - 1)), 1 + number % 3);
    }
    let price = |id: &Uuid| i64::try_from(id.as_u128() % 100).map(|pounds| pounds * 100 + 99);
    let (mut lines, mut total) = (Vec::new(), 0);
    for (product, quantity) in &quantities {
        let price = price(product)?;
        total += price * i64::try_from(*quantity)?;
        lines.push(json!({"product_id": product, "quantity": quantity, "unit_price": price}));
    }
    // Evenly over the days, the last one now.
    let age = Duration::days(DAYS - 1) * (i32::try_from(orders - 1 - number)?) / i32::try_from(orders)?;
    let (at, order) = (now - age, id("order", number));
    let money = json!({"amount": total, "currency": "GBP"});
    let customer = (!number.is_multiple_of(10)).then(|| id("customer", number % (orders / 4).max(1)));
    let of_order = |status: &str| -> anyhow::Result<serde_json::Value> {
        Ok(
            json!({"order_id": order, "customer_id": customer, "status": status, "lines": lines, "charges": [], "total": money,
            "placed_at": at.format(&Rfc3339)?, "country": COUNTRIES[number % COUNTRIES.len()], "reason": null, "source": "shop",
            "version": 4}),
        )
    };
    let paid = json!({"saga_id": order, "order_id": order, "customer_id": customer, "amount": money, "reason": null, "version": 2});
    Ok(vec![
        event("order.placed.v1", order, at, &of_order("placed")?)?,
        event("order.confirmed.v1", order, at, &of_order("confirmed")?)?,
        event("payment.succeeded.v1", order, at, &paid)?,
    ])
}

/// Has goods and so many orders applied.
pub async fn fill(projection: &Arc<dyn Consumer>, orders: usize, now: OffsetDateTime) -> anyhow::Result<()> {
    let mut events = goods(now)?;
    for number in 0..orders {
        events.extend(order(number, orders, now)?);
        if events.len() >= APPLIED || number + 1 == orders {
            let wanted: Vec<&CloudEvent> = events
                .iter()
                .filter(|event| projection.kinds().contains(&&*event.kind))
                .collect();
            projection.apply(&wanted).await.context("filling the store")?;
            events.clear();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn events_are_the_same_each_time_and_have_ids_of_their_own() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let all = |now| -> Vec<CloudEvent> {
            (0..300)
                .flat_map(|number| order(number, 300, now).unwrap())
                .collect()
        };
        let ids: HashSet<Uuid> = all(now)
            .iter()
            .chain(&goods(now).unwrap())
            .map(|event| event.id)
            .collect();
        assert_eq!(ids.len(), 900 + GOODS);
        let text = |event: &CloudEvent| event.data.get().to_owned();
        assert!(all(now).iter().map(text).eq(all(now).iter().map(text)));
        assert!(all(now)[1].data.get().contains(&good(0).to_string()));
    }
}
