//! A history of orders for a store that is filled beforehand: through the store's own projection, in the batches in which a
//! consumer group applies them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use emporium_benches::load::check_interrupted;
use emporium_event_bus::{CloudEvent, Consumer};
use emporium_service_kit::Clock;
use emporium_service_kit::bulk::micros;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use serde_json::value::to_raw_value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::orders::{Fate, Order, Script};

/// As many as a group applies in one transaction.
const BATCH: usize = 2_000;
/// The orders' time.
const YEARS_2: Duration = Duration::from_hours(2 * 365 * 24);

/// Makes events of two years that end now.
pub struct History {
    /// Goods in the order of their popularity.
    pub products: Vec<Uuid>,
    script: Script,
    rng: StdRng,
    now: OffsetDateTime,
}

impl History {
    /// Of so many goods and customers.
    pub fn new(seed: u64, products: usize, customers: usize) -> anyhow::Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let products: Vec<Uuid> = (0..products)
            .map(|_| uuid::Builder::from_random_bytes(rng.random()).into_uuid())
            .collect();
        Ok(Self {
            script: Script::new(seed, products.clone(), customers)?,
            products,
            rng,
            now: Clock::System.now(),
        })
    }

    /// Has the goods applied.
    pub async fn fill_products(&self, projection: &Arc<dyn Consumer>) -> anyhow::Result<()> {
        let event = |(number, id): (usize, &Uuid)| {
            let data = json!({
                "id": id, "sku": format!("BENCH-{number}"), "name": format!("Thing {number}"), "category": format!("c-{}", number % 60),
                "brand": null, "status": "active", "version": 1,
            });
            event("/catalog", "product.created.v1", self.now - YEARS_2, *id, &data)
        };
        let events: Vec<CloudEvent> = self
            .products
            .iter()
            .enumerate()
            .map(event)
            .collect::<anyhow::Result<_>>()?;
        for batch in events.chunks(BATCH) {
            apply(projection, batch).await?;
        }
        Ok(())
    }

    /// What so many orders, at random moments of the two years, make owners tell; `tell` makes the events of one.
    pub fn orders(
        &mut self,
        count: usize,
        tell: impl Fn(&Order) -> anyhow::Result<Vec<CloudEvent>>,
    ) -> anyhow::Result<Vec<CloudEvent>> {
        let mut events = Vec::new();
        for _ in 0..count {
            let order = self.order();
            events.extend(tell(&order)?);
        }
        Ok(events)
    }

    fn order(&mut self) -> Order {
        let age = YEARS_2.mul_f64(self.rng.random::<f64>());
        self.script.order(micros(self.now - age))
    }

    /// Has so many orders applied, at random moments of the two years; `tell` makes the events of one. Gives how long the store
    /// took, without making them.
    pub async fn fill_orders(
        &mut self,
        projection: &Arc<dyn Consumer>,
        count: usize,
        tell: impl Fn(&Order) -> anyhow::Result<Vec<CloudEvent>>,
    ) -> anyhow::Result<Duration> {
        let (mut took, mut told) = (Duration::ZERO, Instant::now());
        let mut events = Vec::new();
        for number in 1..=count {
            let order = self.order();
            events.extend(tell(&order)?);
            if events.len() >= BATCH || number == count {
                check_interrupted()?;
                let began = Instant::now();
                apply(projection, &events).await?;
                took += began.elapsed();
                events.clear();
            }
            if told.elapsed() > Duration::from_secs(10) {
                eprintln!("  {number} of {count} orders");
                told = Instant::now();
            }
        }
        Ok(took)
    }
}

/// A confirmed order, as orders tells it.
pub fn confirmed(order: &Order) -> anyhow::Result<CloudEvent> {
    let data = json!({
        "order_id": order.id, "customer_id": order.customer, "status": "confirmed", "lines": order.lines, "charges": [],
        "total": super::events::pounds(order.total), "placed_at": order.placed_at.format(&Rfc3339)?, "country": order.country,
        "reason": null, "source": "shop", "version": 4,
    });
    event("/orders", "order.confirmed.v1", order.placed_at, order.id, &data)
}

/// All that orders and payments tell of an order.
pub fn whole(order: &Order) -> anyhow::Result<Vec<CloudEvent>> {
    let mut events = vec![confirmed(order)?];
    let with_kind = |kind: &str, like: &CloudEvent| CloudEvent {
        id: Uuid::now_v7(),
        kind: kind.to_owned(),
        ..like.clone()
    };
    events.push(with_kind("order.placed.v1", &events[0]));
    let charge = |amount: i64| {
        json!({"saga_id": order.saga, "order_id": order.id, "customer_id": order.customer,
            "amount": super::events::pounds(amount), "reason": null, "version": 2})
    };
    let (at, saga) = (order.placed_at, order.saga);
    if order.fate == Fate::Declined {
        "order.cancelled.v1".clone_into(&mut events[0].kind);
        events.push(event(
            "/payments",
            "payment.declined.v1",
            at,
            saga,
            &charge(order.total),
        )?);
        return Ok(events);
    }
    events.push(event(
        "/payments",
        "payment.succeeded.v1",
        at,
        saga,
        &charge(order.total),
    )?);
    if order.fate == Fate::Refunded {
        let refund = order.refund();
        let data = json!({"refund_id": refund.id, "order_id": order.id, "customer_id": order.customer,
            "amount": super::events::pounds(refund.amount), "lines": [refund.line], "version": 5});
        events.push(event("/orders", "order.refunded.v1", at, order.id, &data)?);
        events.push(event(
            "/payments",
            "payment.refunded.v1",
            at,
            saga,
            &charge(refund.amount),
        )?);
    }
    Ok(events)
}

fn event(
    source: &str,
    kind: &str,
    time: OffsetDateTime,
    subject: Uuid,
    data: &serde_json::Value,
) -> anyhow::Result<CloudEvent> {
    Ok(CloudEvent {
        specversion: "1.0".to_owned(),
        id: Uuid::now_v7(),
        source: source.to_owned(),
        kind: kind.to_owned(),
        subject: subject.to_string(),
        time,
        datacontenttype: "application/json".to_owned(),
        aggregateversion: 1,
        traceparent: None,
        data: to_raw_value(data)?,
    })
}

async fn apply(projection: &Arc<dyn Consumer>, events: &[CloudEvent]) -> anyhow::Result<()> {
    let wanted: Vec<&CloudEvent> = events
        .iter()
        .filter(|event| projection.kinds().contains(&&*event.kind))
        .collect();
    projection
        .apply(&wanted)
        .await
        .context("the store refuses its filling")
}
