//! Waiting for new events: `XREAD BLOCK` on a connection of its own, shared by all who wait.

use std::sync::OnceLock;
use std::time::Duration;

use ::redis::streams::StreamReadReply;
use emporium_service_kit::{Redis, StoreError};
use tokio::sync::watch::{Receiver, Sender};
use tokio::task::JoinHandle;

/// How long one read blocks. Shorter than the kit's time-out of a command, so that a server which answers nothing is told
/// from one that has nothing.
const BLOCK: Duration = Duration::from_millis(500);
/// After a failed read; and after a successful one, so that a busy stream is not read event by event.
const PAUSE_FAILED: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Watch {
    reader: Redis,
    stream: String,
    /// The bus's end, as far as it is known.
    end: Sender<i64>,
    /// Started by the first who waits: a publisher waits for nothing.
    task: OnceLock<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn new(reader: Redis, stream: &str) -> Self {
        Self {
            reader,
            stream: stream.to_owned(),
            end: Sender::new(0),
            task: OnceLock::new(),
        }
    }

    /// Somebody has seen that the bus ends here. That may be before what was known: the bus was lost.
    pub(super) fn saw(&self, end: i64) {
        self.end.send_if_modified(|known| {
            let moved = *known != end;
            *known = end;
            moved
        });
    }

    /// Waits until the bus goes on after `seen`, at most `timeout`.
    pub(super) async fn wait(&self, seen: i64, timeout: Duration) {
        self.task
            .get_or_init(|| tokio::spawn(follow(self.reader.clone(), self.stream.clone(), self.end.clone())));
        let mut end: Receiver<i64> = self.end.subscribe();
        // Neither the time being up nor the sender's end is of interest: the caller looks either way.
        let _ = tokio::time::timeout(timeout, end.wait_for(|end| *end > seen)).await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

async fn follow(reader: Redis, stream: String, end: Sender<i64>) {
    loop {
        let known = *end.borrow();
        match read_after(&reader, &stream, known).await {
            Ok(Some(position)) => {
                end.send_if_modified(|known| {
                    let moved = *known < position;
                    *known = position.max(*known);
                    moved
                });
                tokio::time::sleep(PAUSE).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "cannot wait for events; polling goes on");
                tokio::time::sleep(PAUSE_FAILED).await;
            }
        }
    }
}

/// The position of the next event, if one comes soon.
async fn read_after(reader: &Redis, stream: &str, position: i64) -> Result<Option<i64>, StoreError> {
    let mut read = ::redis::cmd("XREAD");
    read.arg("COUNT").arg(1);
    read.arg("BLOCK")
        .arg(u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX));
    read.arg("STREAMS").arg(stream).arg(format!("{position}-0"));
    let reply: Option<StreamReadReply> = reader.command("XREAD", &read).await?;
    let entry = reply.and_then(|reply| reply.keys.into_iter().next()?.ids.into_iter().next());
    Ok(entry.and_then(|entry| entry.id.split('-').next()?.parse().ok()))
}
