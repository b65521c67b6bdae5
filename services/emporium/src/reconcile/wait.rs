//! Waiting until analytics has applied what was published when the command began.

use std::time::{Duration, Instant};

use emporium_event_bus::consumer::GroupState;

use super::totals::Books;
use crate::Error;
use crate::terminal::Later;

const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Returns when analytics' projection has reached what was the bus's end at the first look.
pub(super) async fn caught_up(books: &Books, deadline: Instant, progress: &mut Later) -> Result<(), Error> {
    let mut goal = None;
    loop {
        let group = books.projection().await?.group;
        if group.state == GroupState::Paused && group.lag_events != Some(0) {
            return Err(Error::Away(
                "the projection analytics is paused and lacks events; resume it on the page of projections"
                    .to_owned(),
            ));
        }
        goal = goal.or(group.end);
        let waits_for = match (group.position, goal) {
            (Some(position), Some(goal)) if position >= goal => return Ok(()),
            (Some(position), Some(goal)) => format!("it is at position {position} of {goal}"),
            _ => "it is being built from the histories".to_owned(),
        };
        let trouble = group
            .error
            .map_or_else(String::new, |error| format!(" ({error})"));
        if Instant::now() > deadline {
            return Err(Error::Away(format!(
                "analytics has not caught up: {waits_for}{trouble}; wait longer with --wait"
            )));
        }
        progress.tell(format_args!("waiting for analytics: {waits_for}{trouble}"));
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
