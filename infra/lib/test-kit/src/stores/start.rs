//! Starting a server from the first source that has it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::kind::{SharedStore, Source, Store};
use super::server::Server;
use super::spec::Spec;
use super::{progress, ready, state};

/// The environment variable with the seconds in which somebody else's server has to answer.
const ANSWER_VARIABLE: &str = "EMPORIUM_TEST_ANSWER_SECONDS";
/// Seconds in which it has to when that is not set.
const ANSWER_SECONDS: u64 = 30;

/// The store to share: somebody else's if the environment names one, else one of our own, with the server to hold.
pub(crate) async fn shared(store: Store) -> Result<(SharedStore, Option<Server>), String> {
    if let Some(folder) = state::folder() {
        return Ok((state::decision(&folder, store).await?, None));
    }
    if let Some(found) = from_environment(store).await {
        return Ok((found?, None));
    }
    let (server, version, source) = server(Spec::plain(store)).await?;
    let url = server.url();
    Ok((SharedStore { url, source, version }, Some(server)))
}

/// The server the environment names, once it answers. One that does not is an error: nobody wants another server then.
async fn from_environment(store: Store) -> Option<Result<SharedStore, String>> {
    let variable = store.url_variable()?;
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty())?;
    let seconds = std::env::var(ANSWER_VARIABLE).ok();
    let seconds = seconds
        .and_then(|text| text.parse().ok())
        .unwrap_or(ANSWER_SECONDS);
    let waiting = ready::wait(store, &url, Duration::from_secs(seconds), || None);
    let answer = progress::during(&format!("{store}: waiting for the server of {variable}"), waiting).await;
    Some(match answer {
        Ok(answer) => Ok(SharedStore {
            url,
            source: Source::Environment,
            version: answer.version,
        }),
        Err(why) => Err(format!("the server of {variable} cannot be used: {why}")),
    })
}

/// Starts a server from the first source that has it. What keeps one from being used is said; all of it is the error if
/// there is none.
pub(crate) async fn server(spec: Spec) -> Result<(Server, String, Source), String> {
    let store = spec.store();
    let mut reasons = Vec::new();
    for source in sources(store).await? {
        match Server::start(source, spec.clone()).await {
            Ok((server, version)) => return Ok((server, version, source)),
            Err(why) => {
                say_once(&format!("{store}: not from {source}: {why}"));
                reasons.push(format!("{source}: {why}"));
            }
        }
    }
    Err(reasons.join("; "))
}

/// Where to look, in order: where the runner has found this store, else everywhere.
async fn sources(store: Store) -> Result<Vec<Source>, String> {
    // A container does not reach the services that it would have to scrape: they listen on this machine's loopback alone.
    if store == Store::Prometheus {
        return Ok(vec![Source::Scripts]);
    }
    let all = vec![Source::Docker, Source::Scripts];
    let Some(folder) = state::folder() else {
        return Ok(all);
    };
    Ok(match state::decision(&folder, store).await?.source {
        Source::Environment => all,
        found => vec![found],
    })
}

/// Once a process is enough.
fn say_once(line: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(line.to_owned()) {
        progress::say(line);
    }
}
