//! The bus as it should be, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use emporium_event_bus::CloudEvent;
use emporium_event_bus::bus::Batch;

/// A lease that outlives the test.
pub(super) const LONG: Duration = Duration::from_hours(1);

/// A group as it should be.
#[derive(Default)]
pub(super) struct Group {
    /// Whether it is being rebuilt.
    pub(super) rebuilding: bool,
    /// Whether nobody is given anything.
    pub(super) paused: bool,
    /// Who rebuilds it, and whether that lease is over.
    pub(super) builder: Option<(usize, bool)>,
    /// What was given to members up to here (with one member at a time: acknowledged up to here).
    pub(super) reached: i64,
    /// Members with a lease, and whether it is over.
    pub(super) leases: BTreeMap<usize, bool>,
    /// What members have and did not acknowledge; only where they work in parallel.
    pub(super) held: BTreeMap<usize, BTreeSet<i64>>,
    /// What nobody holds any more.
    pub(super) free: BTreeSet<i64>,
}

impl Group {
    pub(super) fn ready(&self) -> bool {
        !self.rebuilding
    }

    pub(super) fn fence(&mut self) {
        self.leases.clear();
        for (_, held) in std::mem::take(&mut self.held) {
            self.free.extend(held);
        }
    }

    pub(super) fn restart(&mut self, position: i64) {
        self.fence();
        self.free.clear();
        self.reached = position;
    }

    pub(super) fn pending(&self) -> BTreeSet<i64> {
        self.held.values().flatten().chain(&self.free).copied().collect()
    }

    pub(super) fn position(&self) -> i64 {
        self.pending().first().map_or(self.reached, |first| first - 1)
    }

    pub(super) fn abandon(&mut self, member: usize) {
        self.leases.remove(&member);
        self.free.extend(self.held.remove(&member).unwrap_or_default());
    }
}

pub(super) struct Model {
    pub(super) parallel: bool,
    /// Position and event, and whether the groups want it.
    pub(super) log: BTreeMap<i64, (CloudEvent, bool)>,
    pub(super) end: i64,
    pub(super) trimmed: i64,
    pub(super) groups: [Group; 2],
}

impl Model {
    pub(super) fn wanted_after(&self, position: i64) -> Vec<i64> {
        let after = self.log.range(position + 1..);
        after
            .filter(|(_, (_, wanted))| *wanted)
            .map(|(position, _)| *position)
            .collect()
    }

    /// What a claim gives: positions, and the batch's last position.
    pub(super) fn claim(
        &mut self,
        group: usize,
        member: usize,
        max: usize,
        over: bool,
    ) -> Option<(Vec<i64>, i64)> {
        let (new, end) = (self.wanted_after(self.groups[group].reached), self.end);
        let group = &mut self.groups[group];
        if !group.ready() || group.paused {
            return None;
        }
        let others: Vec<(usize, bool)> = group
            .leases
            .iter()
            .map(|(m, over)| (*m, *over))
            .filter(|(m, _)| *m != member)
            .collect();
        if !self.parallel {
            if others.iter().any(|(_, over)| !over) {
                return None;
            }
            group.leases = BTreeMap::from([(member, over)]);
            let given: Vec<i64> = new.into_iter().take(max).collect();
            let position = if given.len() == max {
                *given.last().unwrap()
            } else {
                end
            };
            return Some((given, position));
        }
        for (other, over) in others {
            if over {
                group.abandon(other);
            }
        }
        group.leases.insert(member, over);
        let own = group.held.entry(member).or_default();
        if !own.is_empty() {
            let given: Vec<i64> = own.iter().copied().take(max).collect();
            let last = *given.last().unwrap();
            return Some((given, last));
        }
        let mut given: Vec<i64> = group.free.iter().copied().take(max).collect();
        let mut last = given.last().copied().unwrap_or(0);
        for position in &given {
            group.free.remove(position);
        }
        if given.len() < max {
            given.extend(new.into_iter().take(max - given.len()));
            let full = given.len() == max;
            let reached = if full { *given.last().unwrap() } else { end };
            if reached > group.reached {
                group.reached = reached;
                last = reached;
            }
        }
        own.extend(&given);
        Some((given, last))
    }

    pub(super) fn acknowledge(&mut self, group: usize, member: usize, batch: &Batch) -> bool {
        let group = &mut self.groups[group];
        if !group.ready() || !group.leases.contains_key(&member) {
            return false;
        }
        if !self.parallel {
            group.reached = group.reached.max(batch.position);
            return true;
        }
        let mine = group.held.entry(member).or_default().clone();
        let foreign: BTreeSet<i64> = group.pending().difference(&mine).copied().collect();
        let positions = || batch.deliveries.iter().map(|taken| taken.position);
        if positions().any(|position| foreign.contains(&position)) {
            return false;
        }
        let own = group.held.entry(member).or_default();
        positions().for_each(|position| {
            own.remove(&position);
        });
        true
    }

    pub(super) fn trim(&mut self) -> u64 {
        let floor = self.groups.iter().map(Group::position).min().unwrap();
        self.trimmed = self.trimmed.max(floor);
        let keep = self.log.split_off(&(floor + 1));
        let removed = std::mem::replace(&mut self.log, keep);
        removed.len() as u64
    }
}
