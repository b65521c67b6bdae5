//! The service beside an Elasticsearch that cannot be used, stands still, or dies.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use emporium_catalog::search::elasticsearch::ElasticSearch;
use emporium_service_kit::ServiceName;
use emporium_service_kit::client::http_builder;
use emporium_service_kit::metrics::Metrics;
use emporium_test_kit::{eventually, stores};
use serde_json::Value;
use support::corner::{Corner, answers_from_the_index, build, is_degraded};
use support::{create, gateway};

#[tokio::test]
async fn what_cannot_be_used_is_one_clear_line_at_the_start() {
    let plain = support::start().await;
    let refused = async |setting: &str| {
        let mut environment = plain.environment.clone();
        environment.metrics = Metrics::new(ServiceName::Catalog);
        let error = build(&environment, setting, 30).await.err().unwrap().to_string();
        assert!(
            error.starts_with("EMPORIUM_CATALOG_SEARCH: ")
                && !error.contains('\n')
                && !error.contains("secret"),
            "{error}"
        );
        error
    };
    assert!(
        refused("elasticsearch://u:secret@127.0.0.1:9")
            .await
            .contains("no answer")
    );
    assert!(
        refused("elasticsearch://u:secret@127.0.0.1:9/Not-a-prefix")
            .await
            .contains("index prefix")
    );
    assert!(
        refused("postgres://u:secret@elsewhere/catalog")
            .await
            .contains("own database")
    );
    assert!(refused("mysql://u:secret@h").await.contains("elasticsearch://"));
    let own_http = format!(
        "elasticsearch://u:secret@{}",
        plain.url.trim_start_matches("http://")
    );
    assert!(refused(&own_http).await.contains("no Elasticsearch"));
    let Some(secured) = stores::own_elasticsearch_with("right-password").await else {
        return;
    };
    let as_setting = |url: String| url.replacen("http://", "elasticsearch://", 1);
    let right = as_setting(secured.url.clone());
    let wrong = refused(&as_setting(secured.url_as("elastic", "secret"))).await;
    assert!(wrong.contains("user or password are refused"), "{wrong}");
    // Busy with starting, the server may refuse the right password, too, for a moment.
    eventually("the right password is taken", 60, async || {
        ElasticSearch::connect(&right, Metrics::new(ServiceName::Catalog))
            .await
            .ok()
    })
    .await;
    let corner = Corner::on(&secured.url);
    let catalog = corner.start(30).await;
    answers_from_the_index(&gateway(&catalog), 120).await;
    catalog.stop().await;
    plain.stop().await;
}

/// Stands before a server and holds up what matches.
async fn slow_front(server: String, holds_up: fn(&str) -> Duration) -> String {
    let http = http_builder().build().unwrap();
    let pass = async move |request: axum::extract::Request| {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        tokio::time::sleep(holds_up(parts.uri.path())).await;
        let url = format!("{}{}", server.trim_end_matches('/'), parts.uri);
        let json = "application/x-ndjson";
        let sent = http
            .request(parts.method, url)
            .header("content-type", json)
            .body(body);
        let answer = sent.send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let front = axum::Router::new().fallback(pass);
    tokio::spawn(async { axum::serve(listener, front).await });
    url
}

#[tokio::test]
async fn the_lease_outlasts_a_slow_write() {
    let Some(server) = stores::elasticsearch().await else {
        return;
    };
    let hold = |path: &str| Duration::from_secs(if path.ends_with("_bulk") { 8 } else { 0 });
    let corner = Corner::on(&slow_front(server.url.clone(), hold).await);
    let catalog = corner.start(30).await;
    answers_from_the_index(&gateway(&catalog), 20).await;
    let id = create(&gateway(&catalog), "MUG-SLOW", 1).await;
    let db = catalog.db();
    eventually(
        "it is written, and nobody could take over meanwhile",
        30,
        async || {
            let free = "SELECT count(*) FROM catalog_search_feed WHERE feeder IS NULL OR fed_until < now()";
            let free: i64 = sqlx::query_scalar(free).fetch_one(&db).await.unwrap();
            assert_eq!(free, 0, "the lease has run out");
            let found = corner.ask(&format!("{}/_doc/{id}", corner.alias)).await;
            (found["found"] == true).then_some(())
        },
    )
    .await;
    catalog.stop().await;
    Corner {
        http: server.url.clone(),
        ..corner
    }
    .clear()
    .await;
}

#[tokio::test]
async fn a_server_that_is_away_costs_little_and_comes_back() {
    let Some(server) = stores::own_elasticsearch().await else {
        return;
    };
    let corner = Corner::on(&server.url);
    let catalog = corner.start(30).await;
    let gateway = gateway(&catalog);
    let mut all = Vec::new();
    for number in 0..6 {
        all.push(create(&gateway, &format!("MUG-{number}"), 1).await);
    }
    answers_from_the_index(&gateway, 120).await;
    eventually("all are in it", 10, async || {
        (gateway.get("/products?q=mug").await.expect(200)["total"] == 6).then_some(())
    })
    .await;
    let sorts = ["price_asc", "newest", "popular", "name", "relevance"];
    let mut firsts = Vec::new();
    for sort in sorts {
        let path = format!("/products?q=mug&limit=2&sort={sort}");
        let page = eventually("a first page of the index", 30, async || {
            let page = gateway.get(&path).await.expect(200);
            (!is_degraded(&page)).then_some(page)
        })
        .await;
        firsts.push(page);
    }
    server.pause().await;
    let started = Instant::now();
    let page = gateway.get("/products?q=mug").await.expect(200);
    assert!(is_degraded(&page) && page["total"] == 6);
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let started = Instant::now();
    for (sort, first) in sorts.iter().zip(&firsts) {
        // The second page is the database's, and goes on where the index's first one ended.
        let cursor = first["next_cursor"].as_str().unwrap();
        let path = format!("/products?q=mug&limit=10&sort={sort}&cursor={cursor}");
        let second = gateway.get(&path).await.expect(200);
        assert!(is_degraded(&second));
        let mut seen: Vec<&Value> = first["items"].as_array().unwrap().iter().collect();
        seen.extend(second["items"].as_array().unwrap());
        let distinct: BTreeSet<&str> = seen.iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(seen.len(), 6, "{sort}");
        assert!(*sort == "relevance" || distinct.len() == 6, "{sort}");
    }
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "only the first waits: {:?}",
        started.elapsed()
    );
    let operator = catalog.as_caller(ServiceName::Operator);
    let error = async || operator.get("/search/reindex").await.expect(200)["error"].clone();
    eventually("it is told why the index is not fed", 10, async || {
        error().await.is_string().then_some(())
    })
    .await;
    server.resume().await;
    answers_from_the_index(&gateway, 5).await;
    eventually(
        "nothing is told any more, though nothing happened",
        5,
        async || error().await.is_null().then_some(()),
    )
    .await;

    server.kill().await;
    let page = gateway.get("/products?q=mug").await.expect(200);
    assert!(is_degraded(&page) && page["total"] == 6);
    let meanwhile = create(&gateway, "MUG-LATE", 1).await;
    gateway.delete(&format!("/products/{}", all[0])).await.expect(200);
    server.restart().await;
    answers_from_the_index(&gateway, 10).await;
    eventually("what happened meanwhile is in it", 10, async || {
        let page = gateway.get("/products?q=mug&sort=newest").await.expect(200);
        let newest = page["items"][0]["id"] == *meanwhile;
        (!is_degraded(&page) && newest && page["total"] == 6).then_some(())
    })
    .await;
    catalog.stop().await;
}
