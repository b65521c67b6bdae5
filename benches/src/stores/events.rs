//! The event bus: appending one event and a hundred, and consuming a hundred.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use emporium_event_bus::bus::{Batch, Bus};
use emporium_event_bus::{CloudEvent, bus};
use emporium_service_kit::stores::EVENTS;
use emporium_service_kit::{Environment, ServiceName};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::bare::Dependent;
use super::compare::{Order, Restore, Side, Workload};
use super::places::{self, Place};
use super::prepare::{fill, id, record, replay};
use super::record::fresh::Template;
use super::record::{Command, same};
use super::sessions::present;
use super::stage::Stage;

/// Events of a batch, appended or consumed.
const BATCH: usize = 100;
/// Batches that a group consumes before it is set back, at most.
const BATCHES_MAX: usize = 50;
const LEASE: Duration = Duration::from_secs(30);
const KIND: &str = "stock.changed.v1";

/// All workloads on all stores that can be had.
pub async fn workloads(stage: &mut Stage) -> anyhow::Result<Vec<Workload>> {
    let groups = stage.plan.callers.iter().copied().max().unwrap_or(1);
    let mut all = Vec::new();
    for (number, size) in stage.plan.events.clone().into_iter().enumerate() {
        let database = format!("events_{size}");
        let place = places::bus_on_postgres(&stage.postgres, &database).await?;
        let measured = of(&place, size, groups).await?;
        stage.postgres.settle(&database).await?;
        stage.keep(place, &mut all, measured);
        if let Some(redis) = &stage.redis {
            let place = places::on_redis(redis, ServiceName::Operator, EVENTS, number).await?;
            let measured = of(&place, size, groups).await?;
            places::settle_redis(redis).await?;
            stage.keep(place, &mut all, measured);
        }
    }
    Ok(all)
}

async fn open(environment: &Environment) -> anyhow::Result<Arc<dyn Bus>> {
    Ok(bus::open(environment).await?)
}

async fn of(place: &Place, size: usize, groups: usize) -> anyhow::Result<Vec<Workload>> {
    ensure!(
        size >= BATCH,
        "a bus of fewer than {BATCH} events is no bus to consume from"
    );
    let filling = open(&place.filling).await?;
    let first = event(0)?;
    fill(size.div_ceil(BATCH), move |number| {
        let (bus, first) = (filling.clone(), first.clone());
        Box::pin(async move {
            let count = BATCH.min(size - number * BATCH);
            let events: Vec<CloudEvent> = (0..count).map(|_| with_id(&first, Uuid::now_v7())).collect();
            Ok(bus.append(&events).await?)
        })
    })
    .await?;
    let (bus, recorded) = (open(&place.environment).await?, open(&place.recorded).await?);
    let consume = consume(place, size, groups, &bus, &recorded).await?;
    Ok(vec![
        consume,
        append(place, size, 1, "append 1", &bus, &recorded).await?,
        append(place, size, BATCH, "append 100", &bus, &recorded).await?,
    ])
}

/// A change of a product's stock, as the catalog publishes it.
fn event(number: usize) -> anyhow::Result<CloudEvent> {
    let data = serde_json::json!({
        "product_id": id("product", number), "available": 17, "on_hand": 20, "reserved": 3, "in_stock": true,
        "popularity": 1234, "reason": "reservation", "reservation_id": id("reservation", number),
    });
    Ok(CloudEvent {
        specversion: "1.0".to_owned(),
        id: id("event", number),
        source: "/catalog".to_owned(),
        kind: KIND.to_owned(),
        subject: id("product", number).to_string(),
        time: present(),
        datacontenttype: "application/json".to_owned(),
        aggregateversion: 1,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        data: RawValue::from_string(data.to_string())?,
    })
}

fn with_id(event: &CloudEvent, id: Uuid) -> CloudEvent {
    CloudEvent { id, ..event.clone() }
}

/// New events each time: one that is on the bus already would be left out.
async fn append(
    place: &Place,
    size: usize,
    count: usize,
    work: &'static str,
    bus: &Arc<dyn Bus>,
    recorded: &Arc<dyn Bus>,
) -> anyhow::Result<Workload> {
    let first = event(0)?;
    let make = move || -> Vec<CloudEvent> { (0..count).map(|_| with_id(&first, Uuid::now_v7())).collect() };
    // The first one connects and prepares.
    recorded.append(&make()).await?;
    let events = make();
    let sent = record(place, 1, |_| async { Ok(recorded.append(&events).await?) }).await?;
    let commands = sent.into_iter().next().context("nothing was recorded")?.commands;
    let dependent = positions(&commands, count);
    let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    let template = Arc::new(Template::new(commands, &ids));
    ensure!(
        template.places() >= count,
        "the ids of the events are not in what is sent"
    );
    check_append(place, bus, &template, dependent, count).await?;
    let (bus, bare) = (bus.clone(), place.bare.clone());
    let adapter: Side = Arc::new(move |_, _| {
        let (bus, events) = (bus.clone(), make());
        Box::pin(async move { Ok(bus.append(&events).await?) })
    });
    let bare: Side = Arc::new(move |_, _| {
        let (bare, commands) = (bare.clone(), template.with(&new_ids(count)));
        Box::pin(async move { bare.run(&commands, dependent).await })
    });
    Ok(place.workload(work, size, adapter, bare, Order::Endless))
}

fn new_ids(count: usize) -> Vec<Uuid> {
    (0..count).map(|_| Uuid::now_v7()).collect()
}

/// On PostgreSQL the first statement tells the position that the second one writes to.
fn positions(commands: &[Command], count: usize) -> Option<Dependent> {
    let find = |part: &str| {
        commands
            .iter()
            .position(|it| matches!(it, Command::Statement(it) if it.sql.contains(part)))
    };
    Some(Dependent {
        from: find("UPDATE bus_head")?,
        column: "position",
        into: find("INSERT INTO bus_log")?,
        less: i64::try_from(count).ok()?,
    })
}

/// Fails unless what the bare client appends comes out of the bus: those events, in that order.
async fn check_append(
    place: &Place,
    bus: &Arc<dyn Bus>,
    template: &Template,
    dependent: Option<Dependent>,
    count: usize,
) -> anyhow::Result<()> {
    let (ids, group, member) = (new_ids(count), format!("check-{count}"), id("member", count));
    bus.set_group(&group, bus.end().await?).await?;
    place.bare.run(&template.with(&ids), dependent).await?;
    let batch = claim(bus, &group, member).await?;
    let found: Vec<Uuid> = batch
        .deliveries
        .iter()
        .map(|delivery| delivery.event.id)
        .collect();
    ensure!(
        found == ids,
        "DIFFERENT ANSWER: {found:?} came out of the bus, {ids:?} went in"
    );
    let expected = event(0)?;
    let wrong = batch
        .deliveries
        .iter()
        .find(|it| it.event.data.get() != expected.data.get());
    ensure!(wrong.is_none(), "DIFFERENT ANSWER: {wrong:?}");
    Ok(bus.remove_group(&group).await?)
}

async fn claim(bus: &Arc<dyn Bus>, group: &str, member: Uuid) -> anyhow::Result<Batch> {
    let batch = bus
        .claim(group, member, &[KIND], i64::try_from(BATCH)?, LEASE)
        .await?;
    batch.with_context(|| format!("the group {group} gives nothing to its only member"))
}

/// A group a caller; each takes a batch and acknowledges it.
async fn consume(
    place: &Place,
    size: usize,
    groups: usize,
    bus: &Arc<dyn Bus>,
    recorded: &Arc<dyn Bus>,
) -> anyhow::Result<Workload> {
    let count = (size / BATCH).min(BATCHES_MAX);
    let end = bus.end().await?;
    let start = end - i64::try_from(count * BATCH)?;
    let setting = bus.clone();
    let restore: Restore = Arc::new(move |_| {
        let bus = setting.clone();
        Box::pin(async move {
            for group in 0..groups {
                bus.set_group(&name(group), start).await?;
            }
            Ok(())
        })
    });
    let take = |bus: &Arc<dyn Bus>| -> Side {
        let bus = bus.clone();
        Arc::new(move |caller, _| {
            let bus = bus.clone();
            Box::pin(async move {
                let (group, member) = (name(caller), id("member", caller));
                let batch = claim(&bus, &group, member).await?;
                ensure!(
                    batch.deliveries.len() == BATCH,
                    "a batch of {}",
                    batch.deliveries.len()
                );
                Ok(bus.acknowledge(&group, member, &batch).await?)
            })
        })
    };
    restore(0).await?;
    let through = take(recorded);
    through(0, 0).await?;
    restore(0).await?;
    let exchanges = record(place, groups * count, |number| through(number / count, number)).await?;
    expect(bus, groups, end).await?;
    restore(0).await?;
    for (number, exchange) in exchanges.iter().enumerate() {
        place.recorded_bare.run(&exchange.commands, None).await?;
        let mut bare = place.recorder.take()?;
        if number == 0 {
            bare.commands
                .retain(|command| exchange.commands.contains(command));
        } else {
            // Both read the same events; the first one's answer has what connecting told in it.
            same(exchange, &bare, true)?;
        }
    }
    expect(bus, groups, end).await?;
    restore(0).await?;
    let replayed = replay(&place.bare, exchanges);
    let bare: Side = Arc::new(move |caller, index| replayed(caller, caller * count + index));
    Ok(place.workload("consume 100", size, take(bus), bare, Order::Own(count, restore)))
}

fn name(group: usize) -> String {
    format!("bench-{group}")
}

/// Fails unless every group has got to the end.
async fn expect(bus: &Arc<dyn Bus>, groups: usize, end: i64) -> anyhow::Result<()> {
    for group in 0..groups {
        let position = bus.group_position(&name(group)).await?;
        ensure!(
            position == Some(end),
            "DIFFERENT ANSWER: group {group} is at {position:?}, not at {end}"
        );
    }
    Ok(())
}
