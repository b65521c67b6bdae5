//! MongoDB: a replica set of one, which a container's has to be made first.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};

use super::Answer;

/// Answers in this time or not at all.
const LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn ask(url: &str) -> Result<Answer, String> {
    // The driver's texts may have the address in them, but never a password.
    asked(url).await.map_err(|error| error.to_string())?
}

async fn asked(url: &str) -> mongodb::error::Result<Result<Answer, String>> {
    let mut options = ClientOptions::parse(url).await?;
    options.direct_connection = Some(true);
    options.repl_set_name = None;
    options.server_selection_timeout = Some(LIMIT);
    options.connect_timeout = Some(LIMIT);
    let address = options.hosts.first().map(ToString::to_string);
    let client = Client::with_options(options)?;
    let admin = client.database("admin");
    let hello = admin.run_command(doc! { "hello": 1 }).await?;
    // Asks for credentials, which `hello` does not.
    let build = admin.run_command(doc! { "buildInfo": 1 }).await?;
    let is_initiated = hello.get_str("setName").is_ok();
    if !is_initiated {
        initiate(&admin, &address.unwrap_or_default()).await?;
    }
    let is_writable = hello.get_bool("isWritablePrimary").unwrap_or_default();
    client.shutdown().immediate(true).await;
    if !is_initiated || !is_writable {
        return Ok(Err("it takes no writes yet".to_owned()));
    }
    Ok(Ok(Answer {
        version: product(&build),
        process: None,
    }))
}

/// The version, and whose it is: SecantusDB gives MongoDB's, and a commit that is none.
fn product(build: &Document) -> String {
    let version = build.get_str("version").unwrap_or_default();
    let commit = build.get_str("gitVersion").unwrap_or_default();
    if commit.bytes().all(|sign| sign == b'0') {
        format!("SecantusDB as MongoDB {version}")
    } else {
        version.to_owned()
    }
}

async fn initiate(admin: &Database, member: &str) -> mongodb::error::Result<()> {
    let set = doc! { "_id": "rs0", "members": [{ "_id": 0, "host": member }] };
    admin.run_command(doc! { "replSetInitiate": set }).await.map(drop)
}
