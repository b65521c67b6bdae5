//! Calls for criterion.

use std::time::{Duration, Instant};

use super::compare::{Order, Workload};

/// One caller that goes on from one batch of criterion's to the next.
pub struct Stepper {
    workload: Workload,
    next: usize,
}

impl Stepper {
    /// The adapter's side of a workload.
    pub fn new(workload: &Workload) -> Self {
        Self {
            workload: workload.clone(),
            next: 0,
        }
    }

    /// Makes so many calls; gives their time, without what has to be brought back in between.
    pub async fn steps(&mut self, count: u64) -> anyhow::Result<Duration> {
        let mut took = Duration::ZERO;
        for _ in 0..count {
            if let Order::Once(count, restore) | Order::Own(count, restore) = &self.workload.order
                && self.next == *count
            {
                restore(*count).await?;
                self.next = 0;
            }
            let index = match &self.workload.order {
                Order::Cycle(count) => self.next % count,
                _ => self.next,
            };
            let call = (self.workload.adapter_side)(0, index);
            let started = Instant::now();
            call.await?;
            took += started.elapsed();
            self.next += 1;
        }
        Ok(took)
    }

    /// Leaves everything as it was.
    pub async fn finish(self) -> anyhow::Result<()> {
        match &self.workload.order {
            Order::Once(_, restore) | Order::Own(_, restore) if self.next > 0 => restore(self.next).await,
            _ => Ok(()),
        }
    }
}
