//! Servers that speak HTTP.

use emporium_service_kit::client::http_builder;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use super::Answer;

/// A server's address for HTTP, whatever its URL's scheme; the user and the password in it go along with each question.
struct Server {
    client: Client,
    url: Url,
}

impl Server {
    fn new(url: &str) -> Result<Self, String> {
        let (_, rest) = url.split_once("://").ok_or("this is no URL")?;
        let mut url = Url::parse(&format!("http://{rest}")).map_err(|error| error.to_string())?;
        url.set_path("/");
        Ok(Self {
            client: http_builder().build().map_err(|error| error.to_string())?,
            url,
        })
    }

    fn get(&self, path: &str) -> Result<RequestBuilder, String> {
        let url = self.url.join(path).map_err(|error| error.to_string())?;
        Ok(self.client.get(url))
    }

    async fn json(&self, path: &str) -> Result<Value, String> {
        let answer = sent(self.get(path)?).await?;
        answer
            .json()
            .await
            .map_err(|error| error.without_url().to_string())
    }

    async fn text(&self, path: &str) -> Result<String, String> {
        let answer = sent(self.get(path)?).await?;
        answer
            .text()
            .await
            .map_err(|error| error.without_url().to_string())
    }
}

async fn sent(request: RequestBuilder) -> Result<Response, String> {
    let answer = request.send().await.and_then(Response::error_for_status);
    answer.map_err(|error| error.without_url().to_string())
}

fn answer(version: &str) -> Answer {
    Answer {
        version: version.to_owned(),
        process: None,
    }
}

pub(super) async fn elasticsearch(url: &str) -> Result<Answer, String> {
    let server = Server::new(url)?;
    let root = server.json("/").await?;
    let version = root["version"]["number"]
        .as_str()
        .ok_or("it is no Elasticsearch")?;
    let health = server
        .json("/_cluster/health?wait_for_status=yellow&timeout=1s")
        .await?;
    if health["timed_out"] == Value::Bool(true) {
        return Err("its state is red".to_owned());
    }
    Ok(answer(version))
}

pub(super) async fn clickhouse(url: &str) -> Result<Answer, String> {
    let server = Server::new(url)?;
    let version = server.text("/?query=SELECT+version()").await?;
    Ok(answer(version.trim()))
}

pub(super) async fn prometheus(url: &str) -> Result<Answer, String> {
    let server = Server::new(url)?;
    server.text("/-/ready").await?;
    let build = server.json("/api/v1/status/buildinfo").await?;
    let version = build["data"]["version"].as_str().ok_or("it is no Prometheus")?;
    Ok(answer(version))
}
