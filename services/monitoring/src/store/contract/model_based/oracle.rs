//! The model: what services count, what they say when they are asked, and what each point adds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use time::OffsetDateTime;

use super::Doing;
use crate::model::Scrape;
use crate::store::contract::{START, counter, down, gauge, histogram, scrape};

/// A service's process.
#[derive(Debug, Clone, Default)]
pub struct Process {
    counted: Option<u32>,
    buckets: [i64; 4],
    sum: f64,
}

/// What the last scrape of a service that was up said.
#[derive(Debug, Clone)]
pub struct Said {
    at: OffsetDateTime,
    process: Process,
}

/// What a point adds, by metric.
#[derive(Debug, Clone)]
pub enum Adds {
    Gauge(f64),
    /// Increase, in how many seconds, and whether the scrape before did not have it.
    Counter(f64, f64, bool),
    /// In each bucket, in how many seconds, and whether it began anew.
    Observed([i64; 4], f64, bool),
}

#[derive(Debug, Clone)]
pub struct Point {
    pub service: usize,
    at: OffsetDateTime,
    pub adds: Adds,
}

pub struct Model {
    pub names: [String; 2],
    pub now: OffsetDateTime,
    processes: [Process; 2],
    pub said: [Option<Said>; 2],
    pub points: Vec<Point>,
}

impl Model {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        Self {
            names: [format!("a{number}"), format!("b{number}")],
            now: START,
            processes: [Process::default(), Process::default()],
            said: [None, None],
            points: Vec::new(),
        }
    }

    pub fn metric(&self, what: &str) -> String {
        // As naming conventions have it.
        let end = if what == "c" { "_total" } else { "" };
        format!("{what}_{}{end}", self.names[0])
    }

    /// Does what the services do; gives what they say.
    pub fn round(&mut self, doings: &[Doing; 2]) -> Vec<Scrape> {
        (0..2)
            .map(|service| self.one(service, &doings[service]))
            .collect()
    }

    fn one(&mut self, service: usize, doing: &Doing) -> Scrape {
        let process = &mut self.processes[service];
        if doing.restarts {
            *process = Process::default();
        }
        if let Some(counts) = doing.counts {
            process.counted = Some(process.counted.unwrap_or(0) + u32::from(counts));
        }
        for bucket in &doing.observes {
            process.buckets[*bucket] += 1;
            process.sum += [0.5, 1.5, 4.0, 9.0][*bucket];
        }
        let (name, at) = (self.names[service].clone(), self.now);
        if !doing.is_up {
            return down(&name, at);
        }
        let process = process.clone();
        let mut readings = vec![histogram(
            &name,
            &self.metric("h"),
            cumulative(process.buckets),
            process.sum,
        )];
        if let Some(counted) = process.counted {
            readings.push(counter(&name, &self.metric("c"), f64::from(counted)));
        }
        if let Some(gauged) = doing.gauge {
            readings.push(gauge(&name, &self.metric("g"), f64::from(gauged)));
            self.points.push(Point {
                service,
                at,
                adds: Adds::Gauge(f64::from(gauged)),
            });
        }
        if let Some(before) = self.said[service].clone() {
            let took = (at - before.at).as_seconds_f64().max(0.0);
            let is_new = before.process.counted.is_none();
            let old = before.process.counted.unwrap_or(0);
            if let Some(new) = process.counted {
                let increase = if new >= old { new - old } else { new };
                self.points.push(Point {
                    service,
                    at,
                    adds: Adds::Counter(f64::from(increase), took, is_new),
                });
            }
            let old = before.process.buckets;
            let is_anew = (0..4).any(|n| process.buckets[n] < old[n]);
            let more = |n: usize| process.buckets[n] - if is_anew { 0 } else { old[n] };
            let adds = Adds::Observed([more(0), more(1), more(2), more(3)], took, is_anew);
            self.points.push(Point { service, at, adds });
        }
        self.said[service] = Some(Said { at, process });
        scrape(&name, at, readings)
    }

    /// The points of a metric, by service and step.
    pub fn in_steps(
        &self,
        what: &str,
        from: OffsetDateTime,
        step_s: i64,
        count: usize,
    ) -> BTreeMap<(usize, usize), Vec<&Adds>> {
        let mut steps: BTreeMap<(usize, usize), Vec<&Adds>> = BTreeMap::new();
        for point in &self.points {
            let is_meant = matches!(
                (what, &point.adds),
                ("g", Adds::Gauge(_)) | ("c", Adds::Counter(..)) | ("h", Adds::Observed(..))
            );
            let after_us = (point.at - from).whole_microseconds();
            let step = usize::try_from(after_us.div_euclid(i128::from(step_s) * 1_000_000));
            if let (true, Ok(step)) = (is_meant, step)
                && step < count
            {
                steps.entry((point.service, step)).or_default().push(&point.adds);
            }
        }
        steps
    }
}

fn cumulative(buckets: [i64; 4]) -> [i64; 4] {
    let mut below = 0;
    buckets.map(|count| {
        below += count;
        below
    })
}
