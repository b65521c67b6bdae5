//! The Docker engine: whether there is one, and whether it has an image.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::core::client::docker_client_instance;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::stores::progress;

/// Asking a local engine something.
const QUESTION_LIMIT: Duration = Duration::from_secs(10);
/// Elasticsearch's image has 700 MB.
const PULL_LIMIT: Duration = Duration::from_mins(10);
/// Removing some containers.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// Connections to the engine belong to the runtime that opened them, and every test has a runtime that ends with it.
/// This one lives as long as the process.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("docker")
        .enable_all()
        .build()
        .expect("a runtime starts")
});

/// What runs there while nobody waits for it.
static DETACHED: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// What is known of each image.
static IMAGES: Mutex<Option<HashMap<String, Result<(), String>>>> = Mutex::const_new(None);

/// Runs `work` where the connections to the engine live.
pub(super) async fn on_runtime<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    RUNTIME.spawn(work).await.expect("it does not panic")
}

/// Runs `work` there and does not wait; [`settle`] does.
pub(super) fn detached(work: impl Future<Output = ()> + Send + 'static) {
    DETACHED.spawn_on(work, RUNTIME.handle());
}

/// Waits for what runs detached, before this process ends.
pub(crate) async fn settle() {
    DETACHED.close();
    let _ = timeout(SETTLE_LIMIT, DETACHED.wait()).await; // the keeper sees to the rest
    DETACHED.reopen();
}

/// The engine's client.
pub(super) async fn client() -> Result<Docker, String> {
    let engine = docker_client_instance()
        .await
        .map_err(|error| format!("no Docker engine: {error}"))?;
    match timeout(QUESTION_LIMIT, engine.ping()).await {
        Ok(Ok(_)) => Ok(engine),
        Ok(Err(error)) => Err(format!("no Docker engine: {error}")),
        Err(_) => Err("the Docker engine does not answer in time".to_owned()),
    }
}

/// Makes sure that there is an engine which has this image. Asks once a process and image.
pub(super) async fn provide(name: &str, tag: &str) -> Result<(), String> {
    let mut images = IMAGES.lock().await;
    let known = images.get_or_insert_default();
    let image = format!("{name}:{tag}");
    if let Some(outcome) = known.get(&image) {
        return outcome.clone();
    }
    let outcome = provide_new(&image).await;
    known.insert(image, outcome.clone());
    outcome
}

async fn provide_new(image: &str) -> Result<(), String> {
    let owned = image.to_owned();
    let present = on_runtime(async move {
        let engine = client().await?;
        let found = timeout(QUESTION_LIMIT, engine.inspect_image(&owned)).await;
        Ok::<bool, String>(matches!(found, Ok(Ok(_))))
    });
    if present.await? {
        return Ok(());
    }
    let owned = image.to_owned();
    let pull = on_runtime(async move {
        let (name, tag) = owned.rsplit_once(':').unwrap_or((&owned, "latest"));
        let request = testcontainers::GenericImage::new(name, tag);
        match timeout(
            PULL_LIMIT,
            testcontainers::runners::AsyncRunner::pull_image(request),
        )
        .await
        {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("the image {owned} cannot be pulled: {error}")),
            Err(_) => Err(format!(
                "the image {owned} took more than {} min",
                PULL_LIMIT.as_secs() / 60
            )),
        }
    });
    progress::during(&format!("pulling the image {image}"), pull).await
}
