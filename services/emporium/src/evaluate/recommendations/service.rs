//! The service's lists: its own store in an empty database, or on another store that is empty, which learns the training baskets
//! as events.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;

use emporium_embedded_postgres::{Server, Settings};
use emporium_recommendations::evaluation::{Basket, LENGTH, Test, TrainError, Trained};
use emporium_service_kit::auth::{Callers, Secret};
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::stores::RECOMMENDATIONS_STORE;
use emporium_service_kit::{Db, Environment, ServiceName, StoreError, StoreUrls};
use futures::{StreamExt, TryStreamExt, stream};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio_util::sync::CancellationToken;

use super::{Lists, SCOPES, SERVICE, interrupted};
use crate::Error;
use crate::terminal::Later;

/// Lists that are asked for at once.
const AT_ONCE: usize = 4;

/// The service's lists in both scopes. The database is made for this and goes with it, also when `stop` is cancelled.
pub(super) async fn lists(
    train: &[Basket],
    tests: &[Test],
    progress: &mut Later,
    stop: &CancellationToken,
) -> Result<Vec<Lists>, Error> {
    progress.tell("starting a database for the service under test");
    let folder = tempfile::Builder::new()
        .prefix("emporium-evaluate-")
        // Started as root, the server runs as another user, who has to pass.
        .permissions(PermissionsExt::from_mode(0o711))
        .tempdir()
        .map_err(|error| {
            Error::Other(format!(
                "cannot make a temporary folder: {error}; make room, or set TMPDIR"
            ))
        })?;
    let settings = Settings::new(folder.path().join("postgres"))
        // Nobody misses it after a crash.
        .with("fsync", "off")
        .with("synchronous_commit", "off");
    let server = Server::start_async(settings, |_| {}).await?;
    let db = Db::connect(
        options(&server),
        u32::try_from(AT_ONCE).unwrap_or(1) + 1,
        Metrics::new(ServiceName::Operator),
    );
    let asked = async {
        learning(progress, train);
        let trained = Trained::open(db.clone(), train).await;
        ask(&trained.map_err(|error| not_trained(&error))?, tests, progress).await
    };
    let asked = stop.run_until_cancelled(asked).await;
    db.pool().close().await;
    let stopped = server.stop_async().await;
    let lists = asked.ok_or_else(interrupted)??;
    stopped?;
    Ok(lists)
}

/// A new cluster's `postgres` database is empty.
fn options(server: &Server) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(server.port())
        .username(server.superuser())
        .password(server.password())
        .database("postgres")
        .ssl_mode(PgSslMode::Disable)
}

/// The settings of a service whose store is at this URL.
pub(super) fn setting(url: &str) -> Result<StoreUrls, Error> {
    let mut urls = StoreUrls::default();
    urls.set(RECOMMENDATIONS_STORE, url.to_owned())?;
    Ok(urls)
}

/// The service's lists in both scopes, of the store that the settings name. What it learns stays there.
pub(super) async fn lists_on(
    stores: StoreUrls,
    train: &[Basket],
    tests: &[Test],
    progress: &mut Later,
    stop: &CancellationToken,
) -> Result<Vec<Lists>, Error> {
    let environment = Environment {
        service: ServiceName::Recommendations,
        db: None,
        events_url: None,
        stores,
        peers: HashMap::new(),
        secret: Secret::generate(),
        callers: Callers::default(),
        clock: Trained::clock(train),
        metrics: Metrics::new(ServiceName::Operator),
        shutdown: stop.clone(),
    };
    let asked = async {
        let nobody = emporium_recommendations::store::Group::default();
        let opened = emporium_recommendations::store::open_side(environment, nobody).await?;
        learning(progress, train);
        let trained = Trained::on(opened.store, train).await;
        ask(&trained.map_err(|error| not_trained(&error))?, tests, progress).await
    };
    stop.run_until_cancelled(asked).await.ok_or_else(interrupted)?
}

fn learning(progress: &mut Later, train: &[Basket]) {
    progress.tell(format_args!("the service learns {} baskets", train.len()));
}

/// Applying returned when everything was committed: whoever asks now sees all of it.
async fn ask(trained: &Trained, tests: &[Test], progress: &mut Later) -> Result<Vec<Lists>, Error> {
    let mut all = Vec::with_capacity(SCOPES.len());
    for (name, scope) in SCOPES {
        let counted: Vec<&Test> = tests
            .iter()
            .filter(|test| !test.truth(scope).is_empty())
            .collect();
        let total = counted.len();
        let questions = counted.into_iter().map(|test| async move {
            let list = trained.list(&test.customer, scope, LENGTH).await;
            Ok::<_, Error>((test, list.map_err(|error| not_answered(&error))?))
        });
        let mut answers = stream::iter(questions).buffered(AT_ONCE);
        let mut lists = Vec::with_capacity(total);
        while let Some(answer) = answers.try_next().await? {
            lists.push(answer);
            progress.tell(format_args!(
                "the service, {name} goods: {} of {total} customers",
                lists.len()
            ));
        }
        all.push(Lists::of(SERVICE, (name, scope), lists));
    }
    Ok(all)
}

fn not_trained(error: &TrainError) -> Error {
    Error::Other(format!(
        "the service under test could not learn: {error}; try again"
    ))
}

fn not_answered(error: &StoreError) -> Error {
    Error::Other(format!(
        "the service under test did not answer: {error}; try again"
    ))
}
