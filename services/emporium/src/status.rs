//! `emporium status`: whether the shop of a data folder runs, and how its services are.

use std::time::Duration;

use comfy_table::{Table, presets};
use emporium_service_kit::ServiceName;
use emporium_service_kit::client::http_builder;

use crate::Error;
use crate::data_dir::DataDir;
use crate::running::RunningFile;
use crate::terminal::say;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Prints a line for each service; [`Error::NotRunning`] when there is no shop.
pub async fn status(dir: &DataDir) -> Result<(), Error> {
    if !dir.is_taken()? {
        return Err(Error::NotRunning(dir.path().to_path_buf()));
    }
    let file = RunningFile::read(dir)?.ok_or_else(|| Error::Unsettled(dir.path().to_path_buf()))?;
    let client = http_builder()
        .timeout(ANSWER_TIMEOUT)
        .build()
        .map_err(|error| Error::Other(format!("cannot ask the services: {error}; try again")))?;
    let listed = ServiceName::listening().filter_map(|name| file.urls.get(&name).map(|url| (name, url)));
    let states = listed.map(async |(name, url)| {
        let (live, ready) = futures::join!(
            is_well(&client, format!("{url}/health/live")),
            is_well(&client, format!("{url}/health/ready"))
        );
        [
            name.to_string(),
            url.clone(),
            word(live),
            word(ready),
            file.pid.to_string(),
        ]
    });
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["service", "address", "live", "ready", "process"]);
    table.add_rows(futures::future::join_all(states).await);
    say(table);
    Ok(())
}

async fn is_well(client: &reqwest::Client, url: String) -> bool {
    let answer = client.get(url).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

fn word(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}
