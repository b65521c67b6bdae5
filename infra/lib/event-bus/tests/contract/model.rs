//! Random sequences of verbs on the bus and on a model of it in memory; every answer has to be the same.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::bus::{Batch, BusError, Capability};
use emporium_event_bus::{Bus, CloudEvent, EventData};
use uuid::Uuid;

use crate::support::place::Place;
use crate::support::random::Random;
use crate::support::{Ping, built_from, travelling};

mod oracle;

use oracle::{LONG, Model};

const SEQUENCES: u64 = 500;
const LENGTH: usize = 28;
const GROUPS: [&str; 2] = ["a", "b"];
const MEMBERS: usize = 3;
const KINDS: [&str; 1] = [Ping::TYPE];

struct World {
    bus: Arc<dyn Bus>,
    model: Model,
    members: [Uuid; MEMBERS],
    /// What each member of each group was given last.
    batches: BTreeMap<(usize, usize), Batch>,
    trace: String,
}

fn held(result: &Result<(), BusError>) -> bool {
    match result {
        Ok(()) => true,
        Err(BusError::LeaseLost(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Whose history a group is built from: each has one of its own.
fn sources(group: &str) -> [String; 1] {
    [format!("/{group}")]
}

impl World {
    async fn new(bus: Arc<dyn Bus>) -> Self {
        for group in GROUPS {
            built_from(&bus, group, &sources(group), 0).await;
        }
        Self {
            model: Model {
                parallel: !bus.lacks().contains(&Capability::Parallel),
                log: BTreeMap::new(),
                end: 0,
                trimmed: 0,
                groups: Default::default(),
            },
            bus,
            members: [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()],
            batches: BTreeMap::new(),
            trace: String::new(),
        }
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        writeln!(self.trace, "{what}").unwrap();
    }

    async fn step(&mut self, random: &mut Random) {
        let (g, m) = (random.index(2), random.index(MEMBERS));
        match random.below(100) {
            0..25 => self.append(random).await,
            25..55 => self.claim(random, g, m).await,
            55..75 => self.acknowledge(g, m).await,
            75..80 => {
                self.note(format_args!("release {g} {m}"));
                self.bus.release(GROUPS[g], self.members[m]).await.unwrap();
                let group = &mut self.model.groups[g];
                if group.ready() {
                    group.abandon(m);
                } else {
                    group.builder = group.builder.filter(|(who, _)| *who != m);
                }
            }
            80..85 => self.renew(random, g, m).await,
            85..88 => {
                let (first, end) = (self.model.trimmed, self.model.end);
                let position = first + random.below((end - first).unsigned_abs() + 1).cast_signed();
                self.note(format_args!("set {g} {position}"));
                self.bus.set_group(GROUPS[g], position).await.unwrap();
                self.model.groups[g].rebuilding = false;
                self.model.groups[g].restart(position);
            }
            88..92 => self.rebuild(random, g, m).await,
            92..95 => {
                let paused = random.below(3) == 0;
                self.note(format_args!("paused {g} {paused}"));
                self.bus.set_paused(GROUPS[g], paused).await.unwrap();
                self.model.groups[g].paused = paused;
            }
            _ => {
                self.note(format_args!("trim"));
                let removed = self.bus.trim(Duration::ZERO).await.unwrap();
                assert_eq!(removed, self.model.trim());
            }
        }
        self.compare(g).await;
    }

    async fn append(&mut self, random: &mut Random) {
        let known: Vec<CloudEvent> = self.model.log.values().map(|(event, _)| event.clone()).collect();
        if random.below(4) == 0 && !known.is_empty() {
            let again = known[random.index(known.len())].clone();
            self.note(format_args!("append again {}", again.aggregateversion));
            self.bus.append(&[again]).await.unwrap();
            self.model.end = self.bus.end().await.unwrap(); // an adapter may leave a hole
            return;
        }
        let mut events = Vec::new();
        for _ in 0..=random.below(4) {
            let mut event = travelling(1);
            if random.below(4) == 0 {
                "other.v1".clone_into(&mut event.kind);
            }
            events.push(event);
        }
        let mark = self.bus.publish(&events, None).await.unwrap().unwrap();
        let first = mark.position - i64::try_from(events.len()).unwrap() + 1;
        self.note(format_args!("append {first}..={}", mark.position));
        assert_eq!(first, self.model.end + 1);
        self.model.end = mark.position;
        for (position, event) in (first..).zip(events) {
            let wanted = KINDS.contains(&event.kind.as_str());
            self.model.log.insert(position, (event, wanted));
        }
    }

    async fn claim(&mut self, random: &mut Random, g: usize, m: usize) {
        let (max, lease) = (1 + random.index(5), random.lease());
        let batch = self
            .bus
            .claim(
                GROUPS[g],
                self.members[m],
                &KINDS,
                i64::try_from(max).unwrap(),
                lease,
            )
            .await
            .unwrap();
        let given = batch.as_ref().map(|batch| {
            let positions: Vec<i64> = batch.deliveries.iter().map(|taken| taken.position).collect();
            (positions, batch.position)
        });
        self.note(format_args!("claim {g} {m} {max} {lease:?}: {given:?}"));
        let expected = self.model.claim(g, m, max, lease.is_zero());
        assert_eq!(given, expected);
        if let Some(batch) = batch {
            for taken in &batch.deliveries {
                assert_eq!(taken.event.id, self.model.log[&taken.position].0.id);
            }
            self.batches.insert((g, m), batch);
        }
    }

    async fn acknowledge(&mut self, g: usize, m: usize) {
        let Some(batch) = self.batches.get(&(g, m)).cloned() else {
            return;
        };
        let result = self.bus.acknowledge(GROUPS[g], self.members[m], &batch).await;
        self.note(format_args!("acknowledge {g} {m}: {}", held(&result)));
        assert_eq!(held(&result), self.model.acknowledge(g, m, &batch));
    }

    async fn renew(&mut self, random: &mut Random, g: usize, m: usize) {
        let lease = random.lease();
        let result = self.bus.renew(GROUPS[g], self.members[m], lease).await;
        self.note(format_args!("renew {g} {m} {lease:?}: {}", held(&result)));
        let group = &mut self.model.groups[g];
        let own = if group.ready() {
            group.leases.get_mut(&m)
        } else {
            let builder = group.builder.as_mut().filter(|(who, _)| *who == m);
            builder.map(|(_, over)| over)
        };
        assert_eq!(held(&result), own.is_some());
        if let Some(over) = own {
            *over = lease.is_zero();
        }
    }

    async fn rebuild(&mut self, random: &mut Random, g: usize, m: usize) {
        let (end, name, member) = (self.model.end, GROUPS[g], self.members[m]);
        let builder = self.model.groups[g].builder;
        if self.model.groups[g].ready() {
            self.note(format_args!("missed {g}"));
            let nothing = self.bus.begin_rebuild(name, member, LONG, &sources(name)).await;
            assert_eq!(nothing.unwrap(), None, "a group that is ready");
            self.bus.missed(&sources(name)[0]).await.unwrap();
            self.model.groups[g].rebuilding = true;
            self.model.groups[g].builder = None;
            self.model.groups[g].fence();
            return;
        }
        if random.below(2) == 0 {
            let result = self.bus.finish_rebuild(name, member).await;
            self.note(format_args!("finish {g} {m}: {}", held(&result)));
            let mine = builder.is_some_and(|(who, _)| who == m);
            assert_eq!(held(&result), mine);
            self.model.groups[g].rebuilding = !mine;
            return;
        }
        let lease = random.lease();
        let begun = self.bus.begin_rebuild(name, member, lease, &sources(name)).await;
        let begun = begun.unwrap();
        self.note(format_args!("begin {g} {m} {lease:?}: {begun:?}"));
        let paused = self.model.groups[g].paused;
        let free = !paused && builder.is_none_or(|(who, over)| who == m || over);
        assert_eq!(begun, free.then_some(end));
        if free {
            self.model.groups[g].restart(end);
            self.model.groups[g].builder = Some((m, lease.is_zero()));
        }
    }

    async fn compare(&mut self, g: usize) {
        let progress = self.bus.progress(GROUPS[g]).await.unwrap();
        let group = &self.model.groups[g];
        let expected = group.ready().then(|| {
            let pending = i64::try_from(group.pending().len()).unwrap();
            (
                group.position(),
                self.model.end - group.reached + pending,
                group.paused,
            )
        });
        assert_eq!(
            progress.map(|progress| (progress.position, progress.lag, progress.paused)),
            expected
        );
    }

    /// Whoever comes when all others are gone gets all the rest, each event once.
    async fn drain(&mut self, g: usize) {
        self.note(format_args!("drain {g}"));
        let (name, last) = (GROUPS[g], Uuid::new_v4());
        assert_eq!(
            self.bus.is_paused(name).await.unwrap(),
            self.model.groups[g].paused
        );
        self.bus.set_paused(name, false).await.unwrap();
        if !self.model.groups[g].ready() {
            self.bus.missed(&sources(name)[0]).await.unwrap();
            self.bus
                .begin_rebuild(name, last, LONG, &sources(name))
                .await
                .unwrap()
                .unwrap();
            self.bus.finish_rebuild(name, last).await.unwrap();
            let end = self.model.end;
            self.model.groups[g].restart(end);
        }
        for member in self.members {
            self.bus.release(name, member).await.unwrap();
        }
        let group = &self.model.groups[g];
        let mut expected = group.pending();
        expected.extend(self.model.wanted_after(group.reached));
        let mut came = Vec::new();
        while self.bus.progress(name).await.unwrap().unwrap().lag > 0 {
            let batch = self
                .bus
                .claim(name, last, &KINDS, 50, LONG)
                .await
                .unwrap()
                .unwrap();
            came.extend(batch.deliveries.iter().map(|taken| taken.position));
            self.bus.acknowledge(name, last, &batch).await.unwrap();
        }
        assert_eq!(came, expected.into_iter().collect::<Vec<_>>());
    }
}

/// Prints what was done when the test fails on the way.
struct Traced(World, u64);

impl Drop for Traced {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("sequence with seed {}:\n{}", self.1, self.0.trace);
        }
    }
}

pub async fn random_sequences_do_what_the_model_does(place: Place) {
    let seed = emporium_test_kit::seed();
    let (bus, cleaner) = (place.bus().await, place.cleaner().await);
    for n in 0..SEQUENCES {
        let seed = seed.wrapping_add(n);
        let mut random = Random(seed);
        let mut traced = Traced(World::new(bus.clone()).await, seed);
        let world = &mut traced.0;
        for _ in 0..LENGTH {
            world.step(&mut random).await;
        }
        for g in 0..GROUPS.len() {
            world.drain(g).await;
        }
        drop(traced);
        cleaner.clean().await;
    }
}
