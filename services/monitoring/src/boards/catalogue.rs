//! The boards.

use super::{Ask, BoardPlan, PanelPlan, Source};
use crate::question::As;

const REQUESTS: &str = "emporium_http_request_duration_seconds";
const CALLS: &str = "emporium_store_call_duration_seconds";
/// Requests of whoever watches the service; with them a service that nobody uses would seem busy and quick.
const WATCHERS: &[(&str, &str)] = &[
    ("route", "/metrics"),
    ("route", "/health/live"),
    ("route", "/health/ready"),
    ("route", "/openapi.json"),
];

/// Calls that wait for something to happen, on purpose: with them a bus on which nothing happens would seem slow.
const WAITS: &[(&str, &str)] = &[("operation", "XREAD")];

const fn source(metric: &'static str, how: As, by: &'static [&'static str]) -> Source {
    Source {
        metric,
        how,
        labels: &[],
        without: &[],
        by,
    }
}

const fn requests(how: As, labels: &'static [(&'static str, &'static str)]) -> Source {
    Source {
        metric: REQUESTS,
        how,
        labels,
        without: WATCHERS,
        by: &["service"],
    }
}

/// How long stores take to answer.
const fn calls(how: As) -> Source {
    Source {
        metric: CALLS,
        how,
        labels: &[],
        without: WAITS,
        by: BY_STORE,
    }
}

const fn panel(name: &'static str, title: &'static str, unit: &'static str, source: Source) -> PanelPlan {
    PanelPlan {
        name,
        title,
        unit,
        ask: Ask::History(source),
    }
}

const fn share(name: &'static str, title: &'static str, part: Source, whole: Source) -> PanelPlan {
    PanelPlan {
        name,
        title,
        unit: "share",
        ask: Ask::Share(part, whole),
    }
}

const SERVICES: &[PanelPlan] = &[
    panel("up", "Up", "share", source("up", As::Avg, &["service"])),
    panel("request_rate", "Requests", "per second", requests(As::Rate, &[])),
    share(
        "error_share",
        "Requests that failed (5xx)",
        requests(As::Rate, &[("status", "5xx")]),
        requests(As::Rate, &[]),
    ),
    panel(
        "duration_p50",
        "Duration, median",
        "seconds",
        requests(As::Quantile(0.5), &[]),
    ),
    panel(
        "duration_p99",
        "Duration, 99th percentile",
        "seconds",
        requests(As::Quantile(0.99), &[]),
    ),
    panel(
        "in_flight",
        "Requests being answered, at most",
        "requests",
        source("emporium_http_requests_in_flight", As::Max, &["service"]),
    ),
];

const BY_STORE: &[&str] = &["service", "store"];

const STORES: &[PanelPlan] = &[
    panel(
        "call_rate",
        "Calls",
        "per second",
        source(CALLS, As::Rate, BY_STORE),
    ),
    share(
        "error_share",
        "Calls that failed",
        source("emporium_store_errors_total", As::Rate, BY_STORE),
        source(CALLS, As::Rate, BY_STORE),
    ),
    panel(
        "duration_p50",
        "Duration, median",
        "seconds",
        calls(As::Quantile(0.5)),
    ),
    panel(
        "duration_p99",
        "Duration, 99th percentile",
        "seconds",
        calls(As::Quantile(0.99)),
    ),
    panel(
        "row_rate",
        "Rows",
        "per second",
        source("emporium_store_rows_total", As::Rate, BY_STORE),
    ),
];

const BY_GROUP: &[&str] = &["service", "group"];

const CONSUMERS: &[PanelPlan] = &[
    panel(
        "lag",
        "Lag in events, at most",
        "events",
        source("emporium_consumer_lag", As::Max, BY_GROUP),
    ),
    panel(
        "lag_seconds",
        "Lag in time, at most",
        "seconds",
        source("emporium_consumer_lag_seconds", As::Max, BY_GROUP),
    ),
    panel(
        "dead_letters",
        "Events put aside",
        "events",
        source("emporium_dead_letters_total", As::Increase, BY_GROUP),
    ),
    panel(
        "search_lag",
        "Lag of the search index, at most",
        "events",
        source("emporium_search_lag", As::Max, &["service"]),
    ),
];

const SAGAS: &[PanelPlan] = &[
    panel(
        "sagas",
        "Sagas under way, by step",
        "sagas",
        source("emporium_orders_sagas", As::Avg, &["step"]),
    ),
    panel(
        "ended",
        "Orders that ended, by outcome",
        "orders",
        source("emporium_orders_ended_total", As::Increase, &["outcome"]),
    ),
    panel(
        "duration_p99",
        "From placing to the end, 99th percentile",
        "seconds",
        source(
            "emporium_orders_duration_seconds",
            As::Quantile(0.99),
            &["outcome"],
        ),
    ),
    panel(
        "owing",
        "Ended orders that owe something",
        "orders",
        source("emporium_orders_owing", As::Max, &[]),
    ),
];

const POOLS: &[PanelPlan] = &[
    panel(
        "connections",
        "Connections, by state",
        "connections",
        source("emporium_pool_connections", As::Avg, &["service", "state"]),
    ),
    panel(
        "connections_peak",
        "Connections, by state, at most",
        "connections",
        source("emporium_pool_connections", As::Max, &["service", "state"]),
    ),
    panel(
        "connections_max",
        "Connections that there may be",
        "connections",
        source("emporium_pool_connections_max", As::Max, &["service"]),
    ),
];

const EVENTS: &[PanelPlan] = &[
    panel(
        "unpublished",
        "Events that wait to be published, at most",
        "events",
        source("emporium_outbox_unpublished", As::Max, &["service"]),
    ),
    panel(
        "lag",
        "Lag of the consumers, at most",
        "events",
        source("emporium_consumer_lag", As::Max, BY_GROUP),
    ),
    panel(
        "dead_letters",
        "Events put aside",
        "events",
        source("emporium_dead_letters_total", As::Increase, BY_GROUP),
    ),
];

/// Every board.
pub const ALL: &[BoardPlan] = &[
    BoardPlan {
        name: "services",
        title: "Services: requests, failures, durations",
        panels: SERVICES,
    },
    BoardPlan {
        name: "stores",
        title: "Stores: calls, failures, durations",
        panels: STORES,
    },
    BoardPlan {
        name: "consumers",
        title: "Consumers of events: lag, dead letters",
        panels: CONSUMERS,
    },
    BoardPlan {
        name: "sagas",
        title: "Checkout sagas: states, outcomes, durations",
        panels: SAGAS,
    },
    BoardPlan {
        name: "pools",
        title: "Pools of connections",
        panels: POOLS,
    },
    BoardPlan {
        name: "events",
        title: "The event bus",
        panels: EVENTS,
    },
];
