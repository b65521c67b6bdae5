//! Publishing on a fixed schedule. Every event is due at a moment that is known before anything is measured, and its lag counts
//! from that moment: what a stalled publisher, outbox, relay or bus holds up, counts (no coordinated omission).
//!
//! One order gives what orders and payments publish of one: placed, then paid or declined, then confirmed or cancelled; and of
//! some, later, a refund from each of the two. Besides, some accounts change.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use emporium_benches::load::check_interrupted;
use emporium_event_bus::NewEvent;
use emporium_service_kit::bulk::micros;
use emporium_service_kit::{Clock, ServiceName};
use time::OffsetDateTime;
use uuid::Uuid;

use super::book::Book;
use super::events::{self, Said};
use super::orders::{Fate, Order, Script};
use super::owner::Owner;
use super::world::World;

/// What is due within so much time is written in one transaction an owner.
const TICK: Duration = Duration::from_millis(10);
/// From placing an order to its payment, from that to its end, and to a refund.
const TO_PAYMENT: Duration = Duration::from_millis(40);
const TO_END: Duration = Duration::from_millis(80);
const TO_REFUND: Duration = Duration::from_secs(1);
/// A publisher that is so far behind is given up: it would only measure itself.
const BEHIND_MAX: Duration = Duration::from_secs(20);
/// Orders of which the end is to come.
const STAGES: usize = 3;

/// How much is published.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Orders a second.
    pub orders_per_s: f64,
    /// Changes of accounts a second.
    pub users_per_s: f64,
    /// How long orders are placed.
    pub time: Duration,
}

/// When an event was due.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// The event.
    pub id: Uuid,
    /// Its type.
    pub kind: &'static str,
    /// Since the run's beginning.
    pub at: Duration,
}

/// What was published.
pub struct Published {
    /// All events.
    pub due: Vec<Due>,
    /// The same, added up.
    pub book: Book,
    /// How late the publisher's own transactions were committed at worst, from the end of their tick.
    pub behind_max: Duration,
}

/// What one owner has to write in a tick.
#[derive(Default)]
struct Lane {
    events: Vec<NewEvent>,
}

struct Publisher {
    script: Script,
    pace: Pace,
    began: OffsetDateTime,
    /// Orders by what comes next: payment, end, refund; each in the order of time.
    next: [VecDeque<(Duration, Order)>; STAGES],
    orders: u64,
    users: u64,
    lanes: [Lane; 3],
    out: Published,
}

/// Publishes everything; `began` is the moment from which all times count.
pub async fn publish(world: &World, script: Script, pace: Pace, began: Instant) -> anyhow::Result<Published> {
    let owner = |name| world.owners.get(&name).context("an owner is missing");
    let owners = [
        owner(ServiceName::Orders)?,
        owner(ServiceName::Payments)?,
        owner(ServiceName::Users)?,
    ];
    let mut publisher = Publisher {
        script,
        pace,
        began: Clock::System.now() - began.elapsed(),
        next: Default::default(),
        orders: 0,
        users: 0,
        lanes: Default::default(),
        out: Published {
            due: Vec::new(),
            book: Book::default(),
            behind_max: Duration::ZERO,
        },
    };
    let mut until = Duration::ZERO;
    while until < pace.time || publisher.next.iter().any(|queue| !queue.is_empty()) {
        // A late tick takes all that is due by then.
        until = (until + TICK).max(began.elapsed());
        tokio::time::sleep_until((began + until).into()).await;
        check_interrupted()?;
        publisher.collect(until)?;
        publisher.write(owners).await?;
        let behind = began.elapsed().saturating_sub(until);
        publisher.out.behind_max = publisher.out.behind_max.max(behind);
        ensure!(
            behind < BEHIND_MAX,
            "the publisher is {} s behind",
            behind.as_secs()
        );
    }
    Ok(publisher.out)
}

/// When number `number` is due at so many a second.
fn due(number: u64, per_s: f64) -> Duration {
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    Duration::from_secs_f64(number as f64 / per_s)
}

impl Publisher {
    /// Makes the events that are due by now.
    fn collect(&mut self, until: Duration) -> anyhow::Result<()> {
        while due(self.orders, self.pace.orders_per_s) < until.min(self.pace.time) {
            let at = due(self.orders, self.pace.orders_per_s);
            self.orders += 1;
            let order = self.script.order(self.moment(at));
            self.out.book.placed(&order);
            let said = events::placed(&order, self.moment(at))?;
            self.say(0, at, said);
            self.next[0].push_back((at + TO_PAYMENT, order));
        }
        for stage in 0..STAGES {
            while self.next[stage].front().is_some_and(|(at, _)| *at < until) {
                if let Some((at, order)) = self.next[stage].pop_front() {
                    self.go_on(stage, at, order)?;
                }
            }
        }
        let users_per_s = self.pace.users_per_s;
        while users_per_s > 0.0 && due(self.users, users_per_s) < until.min(self.pace.time) {
            let at = due(self.users, users_per_s);
            self.users += 1;
            let user = self.script.user();
            let said = events::updated(&user, self.moment(at))?;
            self.out.book.updated(user);
            self.say(2, at, said);
        }
        Ok(())
    }

    fn go_on(&mut self, stage: usize, at: Duration, order: Order) -> anyhow::Result<()> {
        let moment = self.moment(at);
        let declined = order.fate == Fate::Declined;
        match stage {
            0 => {
                self.out.book.charged(&order, !declined, moment);
                let said = if declined { events::declined } else { events::paid };
                self.say(1, at, said(&order, moment)?);
                self.next[1].push_back((at + TO_END.saturating_sub(TO_PAYMENT), order));
            }
            1 if declined => {
                self.out.book.cancelled(&order);
                self.say(0, at, events::cancelled(&order, moment)?);
            }
            1 => {
                self.out.book.confirmed(&order);
                self.say(0, at, events::confirmed(&order, moment)?);
                if order.fate == Fate::Refunded {
                    self.next[2].push_back((at + TO_REFUND, order));
                }
            }
            _ => {
                let refund = order.refund();
                self.out.book.refunded(&order, &refund, moment);
                self.out.book.paid_back(&refund, moment);
                self.say(0, at, events::refunded(&order, &refund, moment)?);
                self.say(1, at, events::paid_back(&order, &refund, moment)?);
            }
        }
        Ok(())
    }

    fn say(&mut self, lane: usize, at: Duration, said: Said) {
        *self.out.book.events.entry(said.kind).or_default() += 1;
        self.out.due.push(Due {
            id: said.id,
            kind: said.kind,
            at,
        });
        self.lanes[lane].events.push(said.event);
    }

    /// All owners at once. What fails here fails the run, so that everything in the book was committed.
    async fn write(&mut self, owners: [&Owner; 3]) -> anyhow::Result<()> {
        let [orders, payments, users] = &self.lanes;
        futures::try_join!(
            owners[0].write(&orders.events),
            owners[1].write(&payments.events),
            owners[2].write(&users.events)
        )?;
        for lane in &mut self.lanes {
            lane.events.clear();
        }
        Ok(())
    }

    /// The clock's time at a moment of the run, as exact as databases keep it.
    fn moment(&self, at: Duration) -> OffsetDateTime {
        micros(self.began + at)
    }
}
