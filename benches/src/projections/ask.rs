//! Asking a service by HTTP, one caller, one question after the other.

use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::results::Times;
use crate::http::{Answer, write_request};
use crate::load::{self, Measured, Worker};

/// Asks these paths in turn.
struct Asker {
    to: SocketAddr,
    bearer: String,
    paths: Vec<String>,
    next: usize,
}

impl Worker for Asker {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let line = format!("GET {}", self.paths[self.next % self.paths.len()]);
        self.next += 1;
        write_request(request, self.to, &line, &[("authorization", &self.bearer)], "");
        true
    }

    fn accepts(&mut self, answer: &Answer<'_>) -> bool {
        answer.status == 200
    }
}

/// Asks for so long, `first` being where to begin.
pub fn ask(
    (to, bearer): &(SocketAddr, String),
    paths: &[String],
    first: usize,
    time: Duration,
) -> anyhow::Result<Measured> {
    let asker = Asker {
        to: *to,
        bearer: bearer.clone(),
        paths: paths.to_vec(),
        next: first,
    };
    load::closed(*to, vec![Box::new(asker)], time)
}

/// Asks each path once, so that caches have what they are going to have.
pub fn ask_once((to, bearer): &(SocketAddr, String), paths: &[String]) -> anyhow::Result<()> {
    let mut api = crate::http::Api::open(&format!("http://{to}"))?;
    api.sign_in_with(bearer.trim_start_matches("Bearer "));
    for path in paths {
        api.text(&format!("GET {path}"), "")?;
    }
    Ok(())
}

/// Milliseconds of a histogram of microseconds.
pub fn times(us: &Histogram<u64>) -> Times {
    let ms = |quantile| f64::from(u32::try_from(us.value_at_quantile(quantile)).unwrap_or(u32::MAX)) / 1e3;
    Times {
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        max_ms: ms(1.0),
        calls: us.len(),
    }
}
