//! Random interleavings of writing, publishing, consuming, rebuilding, killing, pausing, redelivery and the passing of months.
//! At the end every event counts once, and no rebuild ever found a difference.

use std::fmt::Write;
use std::time::Duration;

use emporium_event_bus::consumer::Unit;
use emporium_event_bus::projection::BuildError;
use emporium_event_bus::{BusError, Consumer, ConsumerGroup, inbox};

use crate::support::place::Place;
use crate::support::random::Random;
use crate::support::sums::{NAME, World, added};

const SEQUENCES: u64 = 12;
const LENGTH: usize = 90;
const PAGE: i64 = 5;
/// Short, so that what a killed member held is soon free.
const LEASE: Duration = Duration::from_millis(60);

struct Play {
    world: World,
    members: Vec<ConsumerGroup>,
    pings: Vec<(i64, i64)>,
    /// Nothing before this position comes again: it is months old.
    floor: i64,
    trace: String,
}

impl Drop for Play {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.trace);
        }
    }
}

/// Being relieved is no failure.
fn went<T>(result: anyhow::Result<T>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        Err(error) if matches!(error.downcast_ref(), Some(BusError::LeaseLost(_))) => None,
        Err(error) if matches!(error.downcast_ref(), Some(BuildError::Lost)) => None,
        Err(error) => panic!("{error:#}"),
    }
}

impl Play {
    async fn act(&mut self, random: &mut Random) {
        let m = random.index(self.members.len());
        let action = random.below(100);
        writeln!(self.trace, "{action} by {m}").unwrap();
        match action {
            0..18 => self.write(random).await,
            18..30 => {
                self.world
                    .outbox
                    .relay_step(self.world.bus.as_ref())
                    .await
                    .unwrap();
            }
            30..45 => {
                went(self.members[m].step().await);
            }
            45..60 => self.unit(m).await,
            60..72 => Box::pin(self.all_at_once(m)).await,
            72..80 => Box::pin(self.kill(random, m)).await,
            80..86 => {
                self.members[m].request_rebuild().await.unwrap();
            }
            86..89 => self.members[m].pause().await.unwrap(),
            89..93 => self.members[m].resume().await.unwrap(),
            93..96 => self.redeliver(random).await,
            96..97 => self.world.bus.missed("/users").await.unwrap(),
            97..99 => self.months_pass().await,
            _ => {
                self.world.projection().await.reap(inbox::KEPT).await.unwrap();
            }
        }
    }

    async fn write(&mut self, random: &mut Random) {
        let some: Vec<(i64, i64)> = (0..=random.below(6))
            .map(|_| {
                (
                    random.below(4).cast_signed(),
                    random.below(1_000).cast_signed() + 100,
                )
            })
            .collect();
        self.world.write(&some).await;
        self.pings.extend(some);
    }

    async fn unit(&mut self, m: usize) {
        let unit = went(self.members[m].rebuild_unit().await);
        writeln!(self.trace, "  {unit:?}").unwrap();
        if unit == Some(Unit::Switched) {
            self.was_equal().await;
        }
    }

    async fn was_equal(&self) {
        let outcome = self.world.standing().await.outcome.unwrap();
        assert_ne!(outcome.equal, Some(false), "{:?}", outcome.differences);
    }

    async fn all_at_once(&mut self, m: usize) {
        let (first, second) = (&self.members[m], &self.members[1 - m]);
        let (step, other, unit, relayed) = tokio::join!(
            first.step(),
            second.step(),
            second.rebuild_unit(),
            self.world.outbox.relay_step(self.world.bus.as_ref()),
        );
        went(step);
        went(other);
        relayed.unwrap();
        if went(unit) == Some(Unit::Switched) {
            self.was_equal().await;
        }
    }

    /// A member dies at some moment of its work, and another process takes its place.
    async fn kill(&mut self, random: &mut Random, m: usize) {
        let moment = Duration::from_micros(random.below(9_000));
        let member = &self.members[m];
        let work = async {
            let _ = tokio::join!(member.step(), member.rebuild_unit());
        };
        let _ = tokio::time::timeout(moment, work).await;
        self.members[m] = self.world.member(LEASE).await;
    }

    async fn redeliver(&mut self, random: &mut Random) {
        let bus = &self.world.bus;
        let Some(progress) = bus.progress(NAME).await.unwrap() else {
            return;
        };
        let span = (progress.position - self.floor).max(0).unsigned_abs();
        let position = self.floor + random.below(span + 1).cast_signed();
        bus.set_group(NAME, position.min(progress.position))
            .await
            .unwrap();
    }

    /// All that was written is a month older, if all of it was delivered.
    async fn months_pass(&mut self) {
        let unpublished = self.world.outbox.unpublished().await.unwrap();
        let Some(progress) = self.world.bus.progress(NAME).await.unwrap() else {
            return;
        };
        if unpublished > 0 || progress.lag > 0 {
            return;
        }
        writeln!(self.trace, "  months pass").unwrap();
        self.floor = progress.end;
        self.world
            .run_sql(
                "UPDATE users_outbox SET recorded_at = recorded_at - interval '31 days';
                 UPDATE users_inbox SET handled_at = handled_at - interval '31 days';
                 UPDATE users_projections SET live_since = live_since - interval '31 days'",
            )
            .await;
        self.world.projection().await.reap(inbox::KEPT).await.unwrap();
    }

    async fn settle(&mut self) {
        self.members[0].resume().await.unwrap();
        for _ in 0..2_000 {
            self.world.relay().await;
            for m in 0..self.members.len() {
                went(self.members[m].step().await);
                self.unit(m).await;
            }
            let progress = self.world.bus.progress(NAME).await.unwrap();
            if progress.is_some_and(|progress| progress.lag == 0)
                && self.world.standing().await.rebuild.is_none()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it does not come to an end");
    }
}

pub async fn whatever_happens_every_event_counts_once(place: Place) {
    let seed = emporium_test_kit::seed();
    let cleaner = place.cleaner().await;
    let world = World::on(place, PAGE).await;
    let mut play = Play {
        members: vec![world.member(LEASE).await, world.member(LEASE).await],
        world,
        pings: Vec::new(),
        floor: 0,
        trace: String::new(),
    };
    for n in 0..SEQUENCES {
        let seed = seed.wrapping_add(n);
        play.trace = format!("sequence with seed {seed}\n");
        let mut random = Random(seed);
        for _ in 0..LENGTH {
            play.act(&mut random).await;
        }
        play.settle().await;
        assert_eq!(play.world.content().await, added(&play.pings));
        // And once more beside the live one, where nothing disturbs it.
        play.members[0].request_rebuild().await.unwrap();
        play.settle().await;
        assert_eq!(play.world.content().await, added(&play.pings));
        play.world
            .run_sql(
                "TRUNCATE users_sum, users_inbox, users_outbox, users_projections;
                 UPDATE users_outbox_head SET sequenced = 0, published = 0, bus = NULL, bus_event = NULL,
                   bus_position = NULL",
            )
            .await;
        cleaner.clean().await;
        play.pings.clear();
        play.floor = 0;
        play.members = vec![play.world.member(LEASE).await, play.world.member(LEASE).await];
    }
}
