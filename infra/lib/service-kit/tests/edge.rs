//! What every service does at its edge, over real connections.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use axum::Json;
use emporium_service_kit::auth::Secret;
use emporium_service_kit::client::{CallError, Client};
use emporium_service_kit::extract::Body;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::serve::{self, Running};
use emporium_service_kit::{Api, Clock, Environment, Problem, Service, ServiceName};
use emporium_test_kit::http::Reply;
use emporium_test_kit::{Caller, Keys};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::routes;

#[derive(Serialize, Deserialize, garde::Validate, ToSchema)]
#[garde(allow_unvalidated)]
struct Number {
    #[garde(range(max = 10))]
    number: i64,
}

/// Gives the number back.
#[utoipa::path(post, path = "/echo", request_body = Number, responses((status = 200, body = Number)))]
async fn echo(Body(number): Body<Number>) -> Json<Number> {
    Json(number)
}

/// Takes as many milliseconds as the number says.
#[utoipa::path(post, path = "/slow", request_body = Number, responses((status = 200, body = Number)))]
async fn slow(Body(number): Body<Number>) -> Json<Number> {
    tokio::time::sleep(Duration::from_millis(300)).await;
    Json(number)
}

const LARGE_BYTES: usize = 16 * 1024 * 1024;

/// Answers with more than the system takes at once.
#[utoipa::path(get, path = "/large", responses((status = 200)))]
async fn large() -> Vec<u8> {
    vec![b'x'; LARGE_BYTES]
}

/// Panics.
#[utoipa::path(get, path = "/panic", responses((status = 500)))]
async fn panics() -> Json<Number> {
    panic!("on purpose")
}

/// Is busy.
#[utoipa::path(get, path = "/busy", responses((status = 503)))]
async fn busy() -> Problem {
    Problem::unavailable("busy", "Not now.")
}

#[derive(OpenApi)]
struct Document;

const GATEWAY: &[ServiceName] = &[ServiceName::Gateway];

struct Server {
    keys: Keys,
    url: String,
    running: Running,
    stop: CancellationToken,
}

async fn start() -> Server {
    let keys = Keys::default();
    let stop = CancellationToken::new();
    let environment = Environment {
        service: ServiceName::Users,
        db: None,
        events_url: None,
        stores: emporium_service_kit::StoreUrls::default(),
        peers: [].into(),
        secret: keys.secret(ServiceName::Users).clone(),
        callers: keys.callers(ServiceName::Users),
        clock: Clock::System,
        metrics: Metrics::new(ServiceName::Users),
        shutdown: stop.clone(),
    };
    let api = Api::<()>::new(Document::openapi())
        .allow(GATEWAY, routes!(echo))
        .allow(GATEWAY, routes!(slow))
        .allow(GATEWAY, routes!(large))
        .allow(GATEWAY, routes!(panics))
        .allow(GATEWAY, routes!(busy));
    let listener = serve::listen("127.0.0.1:0").await.unwrap();
    let running = serve::start(&environment, Service::new(api.with_state(())), listener).unwrap();
    Server {
        keys,
        url: format!("http://{}", running.address),
        running,
        stop,
    }
}

impl Server {
    fn caller(&self) -> Caller {
        Caller::new(
            &self.url,
            ServiceName::Users,
            Some(self.keys.secret(ServiceName::Gateway)),
        )
    }

    async fn raw(&self) -> TcpStream {
        TcpStream::connect(self.running.address).await.unwrap()
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_problems() {
    let server = start().await;
    let caller = server.caller();
    caller
        .post("/echo", serde_json::json!({ "number": 7 }))
        .await
        .expect(200);
    let send = |kind: &'static str, body: String| {
        Reply::read(
            caller
                .request("POST", "/echo")
                .header("content-type", kind)
                .body(body),
        )
    };
    send("application/json; charset=utf-8", "{\"number\":1}".into())
        .await
        .expect(200);
    for bad in [
        "",
        "[7]",
        "7",
        "{",
        "{\"number\":\"7\"}",
        "{\"number\":99999999999999999999}",
    ] {
        send("application/json", bad.into())
            .await
            .expect_problem(400, "bad-json");
    }
    let quoted = format!("{{\"number\":\"{}\"}}", "ü".repeat(10_000));
    let refused = send("application/json", quoted)
        .await
        .expect_problem(400, "bad-json");
    assert!(refused["detail"].as_str().unwrap().chars().count() < 400);
    send("application/json", "{\"number\":11}".into())
        .await
        .expect_problem(422, "invalid");
    send("text/plain", "{\"number\":1}".into())
        .await
        .expect_problem(415, "unsupported-media-type");
    let deep = format!(
        "{{\"number\":1,\"x\":{}{}}}",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    assert!(send("application/json", deep).await.status < 500);
    let large = format!("{{\"number\":1,\"x\":\"{}\"}}", "x".repeat(serve::BODY_BYTES_MAX));
    send("application/json", large)
        .await
        .expect_problem(413, "body-too-large");
    caller.get("/nowhere").await.expect_problem(404, "not-found");
    caller
        .get("/echo")
        .await
        .expect_problem(405, "method-not-allowed");
    caller.get("/panic").await.expect_problem(500, "internal");
    let unknown = server
        .caller()
        .with_token("nobody's")
        .post("/echo", serde_json::json!({ "number": 1 }))
        .await;
    assert!(unknown.headers.contains_key("www-authenticate"));
    unknown.expect_problem(401, "service-token-required");
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_waits_for_nobody_else() {
    let server = start().await;
    let mut idle = server.raw().await;
    let mut half = server.raw().await;
    half.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\n")
        .await
        .unwrap();
    let caller = server.caller();
    let slow = tokio::spawn(async move { caller.post("/slow", serde_json::json!({ "number": 3 })).await });
    let under_way = async || {
        let text = server.caller().get("/metrics").await.text;
        // One is this very request for the metrics.
        text.lines()
            .any(|line| line.starts_with("emporium_http_requests_in_flight") && line.ends_with(" 2"))
            .then_some(())
    };
    emporium_test_kit::eventually("the slow request is under way", 5, under_way).await;
    let began = Instant::now();
    server.running.stop().await;
    assert!(server.stop.is_cancelled());
    assert!(
        began.elapsed() < serve::DRAIN_TIMEOUT / 2,
        "idle and half-sent connections hold nothing up"
    );
    assert_eq!(slow.await.unwrap().expect(200)["number"], 3);
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "the idle connection is closed");
}

#[tokio::test]
async fn a_busy_answer_is_not_repeated_and_opens_no_breaker() {
    let server = start().await;
    let client = |secret: &Secret, url: &str| {
        Client::new(
            ServiceName::Gateway,
            ServiceName::Users,
            url,
            secret,
            Metrics::new(ServiceName::Gateway),
        )
    };
    let secret = server.keys.secret(ServiceName::Gateway).clone();
    let users = client(&secret, &server.url);
    for _ in 0..30 {
        let error = users.get("/busy").done().await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
    }
    users
        .post("/echo")
        .json(&Number { number: 1 })
        .done()
        .await
        .expect("other addresses still answer");
    let text = server.caller().get("/metrics").await.text;
    let busy = "route=\"/busy\",status=\"5xx\",service=\"users\"} 30";
    assert!(
        text.lines()
            .any(|line| line.contains("_count{") && line.ends_with(busy)),
        "{text}"
    );
    // A service that is not there does open it.
    let url = server.url.clone();
    server.running.stop().await;
    let gone = client(&secret, &url);
    let mut reasons = Vec::new();
    for _ in 0..12 {
        match gone.get("/busy").once().done().await {
            Err(CallError::Unavailable { reason, .. }) => reasons.push(reason),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reasons[0], "no connection");
    assert_eq!(reasons[11], "the circuit breaker is open");
}

/// An answer that is given but not yet read is not cut off by the end.
#[tokio::test]
async fn a_stop_lets_a_large_answer_leave() {
    let server = start().await;
    let mut socket = server.raw().await;
    let token = server
        .keys
        .secret(ServiceName::Gateway)
        .token_for(ServiceName::Users);
    let head = format!("GET /large HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 1];
    socket.read_exact(&mut first).await.unwrap();
    let mut rest = Vec::new();
    let slow_reader = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        socket.read_to_end(&mut rest).await
    };
    let ((), read) = tokio::join!(server.running.stop(), slow_reader);
    read.unwrap();
    assert!(rest.len() > LARGE_BYTES, "{} bytes came", rest.len());
}

/// A service that takes all the time there is gets no second call; one that cannot be reached does.
#[tokio::test]
async fn the_timeout_is_for_all_attempts_together() {
    let server = start().await;
    let secret = server.keys.secret(ServiceName::Gateway);
    let metrics = Metrics::new(ServiceName::Gateway);
    let attempts = |method: &str| {
        let start = "emporium_client_call_duration_seconds_count{";
        let text = metrics.render();
        let line = text
            .lines()
            .find(|line| line.starts_with(start) && line.contains(method));
        line.map_or("0".to_owned(), |line| line.rsplit(' ').next().unwrap().to_owned())
    };
    let users = Client::new(
        ServiceName::Gateway,
        ServiceName::Users,
        &server.url,
        secret,
        metrics.clone(),
    );
    let call = users.post("/slow").json(&Number { number: 1 });
    let error = call.idempotent().timeout(Duration::from_millis(100)).done().await;
    assert!(error.unwrap_err().is_unavailable());
    assert_eq!(attempts("POST"), "1");
    server.running.stop().await;
    assert!(users.get("/busy").done().await.unwrap_err().is_unavailable());
    assert_eq!(attempts("GET"), "3");
}

/// A request's head is bounded, and so is what a connection may hold.
#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = start().await;
    let mut socket = server.raw().await;
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let line = format!("X-Long: {}\r\n", "x".repeat(16 * 1024));
    for _ in 0..16 {
        if socket.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let _ = socket.write_all(b"\r\n").await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    server.caller().get("/health/live").await.expect(200);
    server.running.stop().await;
}
