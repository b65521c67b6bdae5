//! Start-up: many at once, and servers that cannot be used.

use emporium_test_kit::stores;
use futures::future::join_all;

use super::{on, shop};
use crate::store::RecommendationStore;
use crate::store::neo4j::check::ConnectError;
use crate::store::neo4j::client::Statement;

/// Processes that start at once on an empty server make all of it once; what is in the way, or newer, is told.
#[tokio::test(flavor = "multi_thread")]
async fn many_may_start_at_once_on_an_empty_server() {
    const OTHER: [Statement; 3] = [
        Statement {
            name: "x",
            text: "DROP INDEX recommendations_has",
        },
        Statement {
            name: "x",
            text: "CREATE INDEX recommendations_has FOR ()-[n:HAS]-() ON (n.other)",
        },
        Statement {
            name: "x",
            text: "MATCH (m:Migration) DELETE m",
        },
    ];
    const NEWER: Statement = Statement {
        name: "x",
        text: "CREATE (:Migration {service: 'recommendations', version: 99})",
    };
    let Some(server) = stores::own_neo4j().await else {
        return;
    };
    let opened = join_all((0..5).map(|_| shop(&server.url, "the-same"))).await;
    let opened: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    assert!(opened.iter().all(|store| store.projection.store().shop == 1));
    for store in &opened {
        store.ping().await.unwrap();
    }
    let other = on(&server.url).await;
    assert_eq!(other.projection.store().shop, 2);

    let wrong = server.url_as("neo4j", "no-secret");
    let refused = shop(&wrong, "x").await.err().unwrap();
    assert!(matches!(refused, ConnectError::Credentials(_)), "{refused:?}");

    let statements: &'static [Statement] = &OTHER;
    for statement in statements {
        let done = other
            .client
            .first_transaction(move |tx| Box::pin(async move { tx.run(statement, []).await }));
        done.await.unwrap();
    }
    let refused = shop(&server.url, "x").await.err().unwrap();
    assert!(
        matches!(&refused, ConnectError::Taken(name) if name == "recommendations_has"),
        "{refused:?}"
    );
    let done = other
        .client
        .first_transaction(|tx| Box::pin(async move { tx.run(&NEWER, []).await }));
    done.await.unwrap();
    assert!(matches!(
        shop(&server.url, "x").await,
        Err(ConnectError::Newer(99))
    ));
}
