//! The load generator: threads with one connection each. Closed loop for throughput, open loop for latency.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use hdrhistogram::Histogram;

use crate::http::{Answer, Connection};

/// Connections of the open loop: so many answers may be outstanding before a request has to wait for a connection, a wait
/// that counts, since latency is measured from the time the request was due.
pub const OPEN_CONNECTIONS: usize = 64;
/// An open loop that has fallen behind is given up after so many times its planned duration.
const OVERRUN_MAX: u32 = 3;
const LATENCY_US_MAX: u64 = 120_000_000;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ends all loops as soon as possible.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Fails when [`interrupt`] was called.
pub fn check_interrupted() -> anyhow::Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        Err(anyhow!("interrupted"))
    } else {
        Ok(())
    }
}

fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// The requests of one connection.
pub trait Worker: Send {
    /// Writes the next request into `request`; false when there is none left.
    fn next(&mut self, request: &mut Vec<u8>) -> bool;

    /// Whether the answer is what the flow is about.
    fn accepts(&mut self, answer: &Answer<'_>) -> bool {
        answer.is_success()
    }
}

/// What a loop saw.
pub struct Measured {
    /// Good answers.
    pub completed: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Microseconds; from sending in a closed loop, from the intended time in an open one.
    pub latency_us: Histogram<u64>,
    /// Requests that were sent later than a millisecond after their time, because no connection was free.
    pub late: u64,
}

impl Measured {
    /// Good answers per second.
    #[allow(clippy::cast_precision_loss)] // a rate to look at
    pub fn per_s(&self) -> f64 {
        if self.seconds > 0.0 {
            self.completed as f64 / self.seconds
        } else {
            0.0
        }
    }
}

struct Part {
    completed: u64,
    late: u64,
    latency_us: Histogram<u64>,
    last: Instant,
    error: Option<String>,
}

impl Part {
    fn new(start: Instant) -> anyhow::Result<Self> {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?;
        Ok(Self {
            completed: 0,
            late: 0,
            latency_us,
            last: start,
            error: None,
        })
    }

    fn note(&mut self, since: Instant) {
        self.last = Instant::now();
        let us = u64::try_from(self.last.duration_since(since).as_micros()).unwrap_or(LATENCY_US_MAX);
        self.latency_us.saturating_record(us.clamp(1, LATENCY_US_MAX));
        self.completed += 1;
    }
}

/// Each worker sends its next request when the last one is answered, for `duration` or until the requests run out. Any
/// answer that a worker does not accept fails the loop.
pub fn closed(
    address: SocketAddr,
    workers: Vec<Box<dyn Worker>>,
    duration: Duration,
) -> anyhow::Result<Measured> {
    let (start, parts) = run(address, workers, move |mut worker, connection, start, part| {
        let end = start + duration;
        let mut request = Vec::new();
        while Instant::now() < end && !interrupted() && worker.next(&mut request) {
            let sent = Instant::now();
            exchange(connection, worker.as_mut(), &request)?;
            part.note(sent);
        }
        Ok(())
    })?;
    finish(start, parts)
}

/// Requests are due at a constant rate whatever the answers do; latency counts from the time a request was due.
pub fn open(
    address: SocketAddr,
    workers: Vec<Box<dyn Worker>>,
    rate_per_s: f64,
    duration: Duration,
) -> anyhow::Result<Measured> {
    if rate_per_s <= 0.0 {
        bail!("an open loop needs a rate");
    }
    let interval = Duration::from_secs_f64(1.0 / rate_per_s);
    let slots = AtomicU64::new(0);
    let (start, parts) = run(address, workers, move |mut worker, connection, start, part| {
        let mut request = Vec::new();
        loop {
            let slot = slots.fetch_add(1, Ordering::Relaxed);
            let due = start + interval.mul_f64(index(slot));
            let stop = due >= start + duration || Instant::now() > start + duration * OVERRUN_MAX;
            if stop || interrupted() || !worker.next(&mut request) {
                return Ok(());
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if due.elapsed() > Duration::from_millis(1) {
                part.late += 1;
            }
            exchange(connection, worker.as_mut(), &request)?;
            part.note(due);
        }
    })?;
    finish(start, parts)
}

#[allow(clippy::cast_precision_loss)] // slots stay far below 2^52
fn index(slot: u64) -> f64 {
    slot as f64
}

fn exchange(connection: &mut Connection, worker: &mut dyn Worker, request: &[u8]) -> Result<(), String> {
    let failed = |what: String| {
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        format!("{} → {what}", String::from_utf8_lossy(line))
    };
    let answer = connection
        .exchange(request)
        .map_err(|error| failed(error.to_string()))?;
    if worker.accepts(&answer) {
        Ok(())
    } else {
        Err(failed(answer.excerpt()))
    }
}

type Loop<'a> =
    dyn Fn(Box<dyn Worker>, &mut Connection, Instant, &mut Part) -> Result<(), String> + Sync + 'a;

/// Runs one thread a worker, all starting at once when all are connected.
fn run<F>(address: SocketAddr, workers: Vec<Box<dyn Worker>>, body: F) -> anyhow::Result<(Instant, Vec<Part>)>
where
    F: Fn(Box<dyn Worker>, &mut Connection, Instant, &mut Part) -> Result<(), String> + Sync,
{
    check_interrupted()?;
    let body: &Loop<'_> = &body;
    let mut connected = Vec::new();
    for worker in workers {
        connected.push((worker, Connection::open(address)?));
    }
    let start = Instant::now() + Duration::from_millis(20);
    let barrier = Arc::new(Barrier::new(connected.len()));
    let parts = thread::scope(|scope| {
        let spawned: Vec<_> = connected
            .into_iter()
            .map(|(worker, mut connection)| {
                let barrier = barrier.clone();
                scope.spawn(move || {
                    // The system's usual slack of 50 µs would be part of every latency.
                    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
                    barrier.wait();
                    thread::sleep(start.saturating_duration_since(Instant::now()));
                    let mut part = Part::new(start)?;
                    part.error = body(worker, &mut connection, start, &mut part).err();
                    anyhow::Ok(part)
                })
            })
            .collect();
        let joined = spawned
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        joined.collect::<anyhow::Result<Vec<Part>>>()
    })?;
    Ok((start, parts))
}

fn finish(start: Instant, parts: Vec<Part>) -> anyhow::Result<Measured> {
    check_interrupted()?;
    let mut all = Part::new(start)?;
    let mut errors = Vec::new();
    for part in parts {
        all.completed += part.completed;
        all.late += part.late;
        all.latency_us.add(&part.latency_us)?;
        all.last = all.last.max(part.last);
        errors.extend(part.error);
    }
    if let Some(first) = errors.first() {
        bail!(
            "{} of the connections failed, the first one at {first}",
            errors.len()
        );
    }
    let seconds = all.last.duration_since(start).as_secs_f64();
    Ok(Measured {
        completed: all.completed,
        seconds,
        latency_us: all.latency_us,
        late: all.late,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    const STALL: Duration = Duration::from_millis(300);

    struct Ask;

    impl Worker for Ask {
        fn next(&mut self, request: &mut Vec<u8>) -> bool {
            request.clear();
            request.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
            true
        }
    }

    /// Answers one connection's requests; stalls at the tenth, and refuses the one with number `refused`.
    fn server(refused: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            for number in 1.. {
                if stream.read(&mut request).unwrap_or(0) == 0 {
                    return;
                }
                if number == 10 {
                    thread::sleep(STALL);
                }
                let status = if number == refused { "500 No" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn a_stall_shows_in_every_request_that_was_due_meanwhile() {
        let measured = open(server(0), vec![Box::new(Ask)], 200.0, Duration::from_secs(1)).unwrap();
        assert_eq!(measured.completed, 200);
        // 60 requests were due during the stall; on average they waited half of it.
        let slow = measured.latency_us.count_between(50_000, LATENCY_US_MAX);
        assert!((40..=70).contains(&slow), "{slow} slow requests");
        let (worst, stall) = (
            measured.latency_us.max(),
            u64::try_from(STALL.as_micros()).unwrap(),
        );
        assert!(worst >= stall - 1_000, "{worst}");
    }

    #[test]
    fn an_unexpected_answer_fails_the_loop() {
        let refused = closed(server(3), vec![Box::new(Ask)], Duration::from_secs(5));
        let told = refused.err().unwrap().to_string();
        assert!(told.contains("GET / HTTP/1.1 → 500"), "{told}");
    }
}
