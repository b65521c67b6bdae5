//! Requests that wait for their order's end, told by the worker in the same process. It is a matter of latency only: who
//! waits also looks into the database, since another process may be the worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

/// Who waits for which order.
#[derive(Clone, Default)]
pub struct Waiters(Arc<Mutex<HashMap<Uuid, Waiting>>>);

#[derive(Default)]
struct Waiting {
    notify: Arc<Notify>,
    count: usize,
}

/// A place among the waiting; given up when dropped.
pub struct Place {
    waiters: Waiters,
    order_id: Uuid,
    notify: Arc<Notify>,
}

impl Waiters {
    /// Begins to wait for `order_id`.
    pub fn enter(&self, order_id: Uuid) -> Place {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = all.entry(order_id).or_default();
        waiting.count += 1;
        Place {
            waiters: self.clone(),
            order_id,
            notify: waiting.notify.clone(),
        }
    }

    /// Tells those who wait for `order_id` that something happened.
    pub fn tell(&self, order_id: Uuid) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = all.get(&order_id) {
            // Keeps the news for one who is not listening at this moment, and wakes all who are.
            waiting.notify.notify_waiters();
            waiting.notify.notify_one();
        }
    }
}

impl Place {
    /// Waits until something happened.
    pub async fn news(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.waiters.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = all.get_mut(&self.order_id) {
            waiting.count -= 1;
            if waiting.count == 0 {
                all.remove(&self.order_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn news_wake_who_waits_and_leave_nothing_behind() {
        let (waiters, id) = (Waiters::default(), Uuid::new_v4());
        let place = waiters.enter(id);
        waiters.tell(id);
        place.news().await;
        waiters.tell(Uuid::new_v4());
        drop(place);
        assert!(waiters.0.lock().unwrap().is_empty());
    }
}
