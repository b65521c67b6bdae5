//! The loader against owners that behave, refuse, break off and lie.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use emporium_seed::records::Currency;
use emporium_seed::{BulkTarget, DEFAULT_SEED, LoadError, Owner, Progress, Scale, Targets};
use futures::StreamExt;

/// How the owners of a test answer.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    Refuses,
    RefusesUnread,
    BreaksOff,
    Miscounts,
    /// Takes all but one record of orders and products.
    RefusesOne,
}

#[derive(Clone)]
struct Owners {
    manner: Manner,
    /// Path and number of lines of each request, in the order in which they ended.
    seen: Arc<Mutex<Vec<(String, usize)>>>,
}

async fn bulk(State(owners): State<Owners>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    assert_eq!(headers["authorization"], "Bearer secret");
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert_eq!(headers["traceparent"], "00-1-2-01");
    let problem = (
        StatusCode::FORBIDDEN,
        r#"{"title":"Forbidden","detail":"the caller is not on the list"}"#,
    );
    if owners.manner == Manner::RefusesUnread {
        return problem.into_response();
    }
    let mut lines = 0;
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        // A body that breaks off is never a whole one.
        let Ok(part) = part else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        lines += part.split(|byte| *byte == b'\n').count() - 1;
        assert!(owners.manner != Manner::BreaksOff, "the owner dies");
    }
    if owners.manner == Manner::Refuses {
        return problem.into_response();
    }
    owners
        .seen
        .lock()
        .expect("lock")
        .push((uri.path().to_owned(), lines));
    let loaded = if owners.manner == Manner::Miscounts {
        lines.saturating_sub(1)
    } else {
        lines
    };
    let refuses = owners.manner == Manner::RefusesOne && !uri.path().ends_with("/users");
    let refused = usize::from(refuses && lines > 0);
    let rejected: Vec<_> = (0..refused)
        .map(|_| serde_json::json!({"line": lines, "reason": "name holds control characters"}))
        .collect();
    let answer = serde_json::json!({"received": lines, "loaded": loaded - refused, "unchanged": 0,
        "rejected_count": refused, "rejected": rejected});
    axum::Json(answer).into_response()
}

/// Owners on a port of their own.
async fn owners(manner: Manner) -> (Targets, Owners) {
    let owners = Owners {
        manner,
        seen: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let router = Router::new().fallback(bulk).with_state(owners.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (targets(&url), owners)
}

fn targets(url: &str) -> Targets {
    let target = BulkTarget {
        url: url.to_owned(),
        token: "secret".to_owned(),
        extra: vec![("traceparent".to_owned(), "00-1-2-01".to_owned())],
    };
    Targets {
        client: emporium_service_kit::client::http_builder()
            .build()
            .unwrap_or_default(),
        currency: Currency::GBP,
        users: target.clone(),
        catalog: target.clone(),
        orders: target.clone(),
        payments: target.clone(),
        reviews: target,
    }
}

async fn generated(targets: &Targets) -> Result<emporium_seed::LoadOutcome, LoadError> {
    emporium_seed::load_generated(targets, Scale::Small, DEFAULT_SEED, &Progress::silent()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sample_data_arrives_completely_and_in_order() {
    let (targets, owners) = owners(Manner::Good).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    let progress = Progress::new(move |event| listener.lock().expect("lock").push(event));
    let outcome = emporium_seed::load_generated(&targets, Scale::Small, DEFAULT_SEED, &progress)
        .await
        .expect("loaded");
    let seen = owners.seen.lock().expect("lock").clone();
    let paths: Vec<_> = seen.iter().map(|(path, _)| path.as_str()).collect();
    let place = |path: &str| paths.iter().position(|seen| *seen == path).expect("sent");
    for later in [place("/bulk/orders"), place("/bulk/reviews")] {
        assert!(place("/bulk/products") < later && place("/bulk/users") < later);
    }
    assert_eq!((paths.len(), paths.contains(&"/bulk/payments")), (5, true));
    assert_eq!(
        (
            outcome.answers["products"].loaded,
            outcome.answers["users"].loaded
        ),
        (2_000, 1_000)
    );
    assert!(outcome.answers["orders"].loaded > 4_000 && outcome.rejected_count() == 0);
    let finished: Vec<_> = told
        .lock()
        .expect("lock")
        .iter()
        .filter(|event| event.finished)
        .map(|event| event.what)
        .collect();
    assert_eq!(finished.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn importers_load_their_files_and_name_a_missing_one() {
    let (targets, _owners) = owners(Manner::Good).await;
    let folder = tempfile::tempdir().expect("temporary folder");
    let (file, rejects) = (folder.path().join("shop.csv"), folder.path().join("rejects.csv"));
    std::fs::write(
        &file,
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
         1,22000,RED MUG,2,2010-01-19 17:04:00,1.00,1,France\n\
         2,22000,smashed,-2,2010-01-19 17:04:00,0.00,,France\n",
    )
    .expect("write");
    let progress = Progress::silent();
    let (report, outcome) = emporium_seed::load_online_retail(&targets, &file, &rejects, &progress)
        .await
        .expect("loaded");
    assert_eq!((report.orders, outcome.loaded()), (1, 5));
    std::fs::write(&file, r#"{"id":"1","name":"a","title":"A","price":7}"#).expect("write");
    let (report, outcome) = emporium_seed::load_icecat(&targets, &file, &rejects, &progress)
        .await
        .expect("loaded");
    assert_eq!((report.lines_loaded, outcome.answers["products"].loaded), (1, 1));
    let missing = folder.path().join("missing.jsonl");
    let error = emporium_seed::load_icecat(&targets, &missing, &rejects, &progress)
        .await
        .expect_err("no file");
    assert!(error.to_string().contains("missing.jsonl"), "{error}");
}

/// A record that an owner refuses although the importer took it: an error that says whose, which and why.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_makes_an_import_fail() {
    let (targets, _owners) = owners(Manner::RefusesOne).await;
    let folder = tempfile::tempdir().expect("temporary folder");
    let (file, rejects) = (folder.path().join("shop.csv"), folder.path().join("rejects.csv"));
    let header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    // Without goods there are no products, so the orders are the first that are refused.
    let line = "1,POST,POSTAGE,2,2010-01-19 17:04:00,1.00,1,France\n";
    std::fs::write(&file, format!("{header}{line}")).expect("write");
    let progress = Progress::silent();
    let error = emporium_seed::load_online_retail(&targets, &file, &rejects, &progress)
        .await
        .expect_err("refused");
    let text = error.to_string();
    let said = "orders refused 1 of the orders, the first one (line 1 of the stream) because: name holds control characters";
    assert!(text.contains(said) && !text.contains('\n'), "{text}");
    std::fs::write(&file, r#"{"id":"1","name":"a","title":"A","price":7}"#).expect("write");
    let error = emporium_seed::load_icecat(&targets, &file, &rejects, &progress)
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("catalog refused 1 of the products"),
        "{error}"
    );
    // A file with nothing in it has nothing to refuse.
    std::fs::write(&file, header).expect("write");
    let (report, outcome) = emporium_seed::load_online_retail(&targets, &file, &rejects, &progress)
        .await
        .expect("loaded");
    assert_eq!(outcome.loaded(), 0);
    assert!(report.to_string().contains("nothing to import"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_name_the_owner_and_say_that_repeating_is_safe() {
    for manner in [
        Manner::Refuses,
        Manner::RefusesUnread,
        Manner::BreaksOff,
        Manner::Miscounts,
    ] {
        let (targets, _owners) = owners(manner).await;
        let error = generated(&targets).await.expect_err("must fail");
        let text = error.to_string();
        assert!(text.contains("catalog") || text.contains("users"), "{text}");
        assert!(text.contains("repeating the command continues safely"), "{text}");
        match manner {
            Manner::Refuses => assert!(matches!(error, LoadError::Refused { status: 403, .. }), "{text}"),
            Manner::Miscounts => assert!(matches!(error, LoadError::Answer { .. }), "{text}"),
            // Depending on who is faster, the answer arrives or the connection is reset while sending.
            _ => assert!(
                matches!(error, LoadError::Refused { .. } | LoadError::Connection { .. }),
                "{text}"
            ),
        }
    }
    let error = generated(&targets("http://127.0.0.1:1"))
        .await
        .expect_err("nobody listens");
    assert!(
        matches!(
            error,
            LoadError::Connection {
                owner: Owner::Catalog | Owner::Users,
                ..
            }
        ),
        "{error}"
    );
}
