//! Carts: setting the quantity of a product that is in the cart already.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use emporium_carts::model::CartKey;
use emporium_carts::store::{CartStore, Moment, SetLine};
use emporium_service_kit::stores::CARTS_STORE;
use emporium_service_kit::{Environment, ServiceName};
use time::Duration;
use uuid::Uuid;

use super::compare::{Order, Side, Workload};
use super::places::{self, Place};
use super::prepare::{check, fill, id, record, replay};
use super::sessions::present;
use super::stage::Stage;

/// Carts that are written to, in turn.
const WRITTEN: usize = 1_000;
/// Lines of a cart.
const LINES: usize = 2;
/// The quantities that are set by turns, so that each write changes something.
const QUANTITIES: [u16; 2] = [2, 3];

async fn open(environment: &Environment) -> anyhow::Result<Arc<dyn CartStore>> {
    Ok(emporium_carts::store::open_side(environment.clone()).await?.store)
}

/// All workloads on all stores that can be had.
pub async fn workloads(stage: &mut Stage) -> anyhow::Result<Vec<Workload>> {
    let mut all = Vec::new();
    for (number, size) in stage.plan.entries.clone().into_iter().enumerate() {
        let database = format!("carts_{size}");
        let place = places::on_postgres(&stage.postgres, ServiceName::Carts, &database).await?;
        let measured = of(&place, size).await?;
        stage.postgres.settle(&database).await?;
        stage.keep(place, &mut all, vec![measured]);
        if let Some(redis) = &stage.redis {
            let place = places::on_redis(redis, ServiceName::Carts, CARTS_STORE, number).await?;
            let measured = of(&place, size).await?;
            places::settle_redis(redis).await?;
            stage.keep(place, &mut all, vec![measured]);
        }
    }
    Ok(all)
}

async fn of(place: &Place, size: usize) -> anyhow::Result<Workload> {
    let now = present();
    let at = Moment {
        now,
        expires_at: now + Duration::days(30),
    };
    let filling = open(&place.filling).await?;
    fill(size * LINES, move |number| {
        let store = filling.clone();
        Box::pin(async move {
            let set = store
                .set_line(key(number / LINES), product(number % LINES), 1, at)
                .await?;
            ensure!(set != SetLine::Full, "a cart is full");
            Ok(())
        })
    })
    .await?;
    let (store, recorded) = (open(&place.environment).await?, open(&place.recorded).await?);
    let count = size.min(WRITTEN);
    let step = size / count;
    let write = |store: &Arc<dyn CartStore>| -> Side {
        let store = store.clone();
        Arc::new(move |_, index| {
            let store = store.clone();
            let (cart, quantity) = (key(index % count * step), QUANTITIES[index / count]);
            Box::pin(async move {
                let set = store.set_line(cart, product(0), quantity, at).await?;
                ensure!(set != SetLine::Full, "a cart is full");
                Ok(())
            })
        })
    };
    let through = write(&recorded);
    // Connects and prepares; what it sets is not what comes first.
    through(0, count).await?;
    let exchanges = record(place, count * QUANTITIES.len(), |number| through(0, number)).await?;
    for (number, quantity) in QUANTITIES.into_iter().enumerate() {
        expect(
            &store,
            count,
            step,
            at,
            if number == 0 { QUANTITIES[1] } else { QUANTITIES[0] },
        )
        .await?;
        check(place, &exchanges[number * count..(number + 1) * count], false).await?;
        expect(&store, count, step, at, quantity).await?;
    }
    let bare = replay(&place.bare, exchanges);
    let order = Order::Cycle(count * QUANTITIES.len());
    Ok(place.workload("set line", size, write(&store), bare, order))
}

fn key(number: usize) -> CartKey {
    CartKey::user(id("user", number))
}

fn product(number: usize) -> Uuid {
    id("product", number)
}

/// Fails unless every cart that is written to has this quantity of the product, and its other line.
async fn expect(
    store: &Arc<dyn CartStore>,
    count: usize,
    step: usize,
    at: Moment,
    quantity: u16,
) -> anyhow::Result<()> {
    for number in 0..count {
        let cart = store
            .find(key(number * step), at.now)
            .await?
            .context("a cart is gone")?;
        let quantities: Vec<_> = (0..LINES)
            .map(|line| cart.lines.get(&product(line)).map(|line| line.quantity))
            .collect();
        if quantities != [Some(quantity), Some(1)] || cart.expires_at != at.expires_at {
            bail!("DIFFERENT ANSWER: {cart:?}, where {quantity} were set");
        }
    }
    Ok(())
}
