//! What a server that will not do is told by: one line, without the URL.

use emporium_service_kit::ServiceName;
use emporium_service_kit::metrics::Metrics;
use emporium_test_kit::stores;

use super::super::{ClickHouse, ConnectError};

async fn refused(url: &str) -> ConnectError {
    let error = ClickHouse::connect(url, Metrics::new(ServiceName::Analytics))
        .await
        .err();
    let error = error.expect("it is refused");
    let text = error.to_string();
    assert!(!text.contains("secret") && text.lines().count() == 1, "{text}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_will_not_do_are_told() {
    let away = refused("clickhouse://default:secret@127.0.0.1:9/x").await;
    assert!(matches!(away, ConnectError::Unreachable(_)), "{away:?}");
    let Some(server) = stores::own_clickhouse_with("rightword").await else {
        return;
    };
    let url = |rest: &str| format!("clickhouse://default:{rest}");
    let port = server.port();
    let wrong = refused(&url(&format!("secret@127.0.0.1:{port}"))).await;
    assert!(matches!(wrong, ConnectError::Credentials), "{wrong:?}");
    let nameless = refused(&format!("clickhouse://127.0.0.1:{port}")).await;
    assert!(matches!(nameless, ConnectError::Credentials), "{nameless:?}");
    let missing = refused(&url(&format!("rightword@127.0.0.1:{port}/nowhere"))).await;
    assert!(matches!(missing, ConnectError::Database(_)), "{missing:?}");
    let right = url(&format!("rightword@127.0.0.1:{port}"));
    let store = super::opened(&right).await;
    crate::store::AnalyticsStore::ping(&store).await.unwrap();
    server.kill().await;
    let gone = refused(&right).await;
    assert!(matches!(gone, ConnectError::Unreachable(_)), "{gone:?}");
}

/// Something answers there, but in no HTTP, or in no ClickHouse's.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_clickhouse_is_told() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for answer in [
        "-ERR unknown command\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let _ = connection.read(&mut [0; 1024]).await;
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        });
        let foreign = refused(&format!("clickhouse://127.0.0.1:{port}")).await;
        assert!(matches!(foreign, ConnectError::Foreign), "{answer}: {foreign:?}");
        serve.abort();
    }
}
