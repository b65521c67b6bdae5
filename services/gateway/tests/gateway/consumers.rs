//! Stand-ins for services that consume events.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wiremock::matchers::path_regex;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::*;

/// A consumer as its service tells of it. Each look at it is a moment: events come, histories are read.
#[derive(Default)]
pub struct Consumer {
    name: &'static str,
    paused: bool,
    lag: i64,
    read: Option<i64>,
    pub equal: Option<bool>,
    /// The last rebuild was the bus's, so that nothing was compared.
    pub for_the_bus: bool,
    pub letters: Vec<(i64, bool)>,
    /// Replaying this letter fails, for no reason of its own.
    pub breaks_at: Option<i64>,
}

impl Consumer {
    fn named(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    fn goes_on(&mut self) {
        self.lag = if self.paused { self.lag + 7 } else { 0 };
        self.read = match self.read {
            Some(3) => {
                self.equal = Some(self.equal.unwrap_or(true));
                None
            }
            read => read.map(|read| read + 1),
        };
    }

    fn status(&self) -> Value {
        let rebuild = self.read.map(|read| {
            json!({ "id": id(1), "cause": "operator", "phase": "reading", "started_at": AT, "events": read, "total": 4 })
        });
        let outcome = self.equal.filter(|_| self.read.is_none()).map(|equal| {
            json!({ "id": id(1), "cause": "operator", "started_at": AT, "finished_at": AT, "events": 4, "equal": if self.for_the_bus { Value::Null } else { json!(equal) },
                "tables": [{ "table": "ratings", "rows_live": 1234, "rows_rebuilt": 1234, "equal": equal }],
                "differences": if equal { vec![] } else { vec!["ratings: <b>row</b> 7 differs"] } })
        });
        json!({ "name": self.name, "state": if self.paused { "paused" } else { "running" }, "failures": 0, "position": 100,
            "end": 100 + self.lag, "lag_events": self.lag, "lag_ms": self.lag * 1000, "as_of": AT,
            "dead_letters": self.letters.iter().filter(|letter| !letter.1).count(), "rebuildable": true,
            "rebuild": rebuild, "outcome": outcome, "later_field": 1 })
    }

    fn letter(&self, id: i64) -> Option<Value> {
        let (_, replayed) = self.letters.iter().find(|letter| letter.0 == id)?;
        Some(
            json!({ "id": id, "group": self.name, "attempts": 5, "at": AT, "error": "no <such> field",
            "event": { "type": "order.confirmed.v1", "subject": "s", "data": { "text": "</pre><script>alert(1)</script>" } },
            "replayed_at": replayed.then_some(AT) }),
        )
    }

    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        let at = request.url.path().to_owned();
        let rest = at
            .strip_prefix(&format!("/projections/{}", self.name))
            .map(str::to_owned);
        match (request.method.as_str(), rest.as_deref()) {
            ("GET", None) if at == "/projections" => {
                self.goes_on();
                ok(&json!({ "items": [self.status()] }))
            }
            ("GET", Some("")) => {
                self.goes_on();
                ok(&self.status())
            }
            ("POST", Some("/pause")) => {
                self.paused = true;
                ok(&self.status())
            }
            ("POST", Some("/resume")) => {
                self.paused = false;
                ok(&self.status())
            }
            ("POST", Some("/rebuild")) => {
                self.read = Some(0);
                ResponseTemplate::new(202).set_body_json(self.status())
            }
            ("GET", Some("/dead-letters")) => self.list(request),
            ("POST", Some(rest)) => self.replay(rest),
            _ => problem(404, "not-found"),
        }
    }

    fn list(&self, request: &Request) -> ResponseTemplate {
        let number = |name: &str| {
            let pair = request.url.query_pairs().find(|pair| pair.0 == name);
            pair.unwrap().1.parse::<i64>().unwrap()
        };
        let (after, limit) = (number("after"), usize::try_from(number("limit")).unwrap());
        assert!(limit <= 100);
        let ids = self
            .letters
            .iter()
            .map(|letter| letter.0)
            .filter(|id| *id > after);
        let items: Vec<Value> = ids.take(limit).filter_map(|id| self.letter(id)).collect();
        ok(&json!({ "items": items }))
    }

    /// Letters with an odd id cannot be applied still.
    fn replay(&mut self, rest: &str) -> ResponseTemplate {
        let id: i64 = rest.split('/').nth(2).unwrap().parse().unwrap();
        let found = self.letters.iter_mut().find(|letter| letter.0 == id);
        match found {
            None => problem(404, "not-found"),
            Some(_) if self.breaks_at == Some(id) => problem(503, "service-unavailable"),
            Some(_) if id % 2 == 1 => problem(409, "still-rejected"),
            Some(letter) => {
                letter.1 = true;
                ok(&self.letter(id).unwrap())
            }
        }
    }
}

pub type Shared = Arc<Mutex<Consumer>>;

async fn has(server: &MockServer, consumer: Consumer) -> Shared {
    let shared = Arc::new(Mutex::new(consumer));
    let answering = Arc::clone(&shared);
    Mock::given(path_regex("^/projections"))
        .respond_with(move |request: &Request| answering.lock().unwrap().answer(request))
        .mount(server)
        .await;
    shared
}

/// All services that consume events.
pub async fn consuming() -> (Shop, Shared) {
    let shop = Shop::open().await;
    has(&shop.sessions, Consumer::named("sessions")).await;
    has(&shop.catalog, Consumer::named("catalog")).await;
    has(&shop.orders, Consumer::named("orders")).await;
    has(&shop.recommendations, Consumer::named("recommendations")).await;
    has(&shop.analytics, Consumer::named("analytics")).await;
    let ratings = has(&shop.reviews, Consumer::named("reviews.ratings")).await;
    (shop, ratings)
}
