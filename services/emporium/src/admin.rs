//! The administrator's account. It is made before the gateway serves anybody, so nobody can take its address first.

use std::time::Duration;

use emporium_service_kit::auth::hex;
use emporium_service_kit::client::{CallError, Client};
use serde::{Deserialize, Serialize};

use crate::data_dir::DataDir;
use crate::terminal::Steps;
use crate::{Error, keys};

/// The file with the administrator's e-mail address and password.
pub const FILE: &str = "admin.json";
const EMAIL: &str = "admin@emporium.example";
/// Random addresses are not taken twice in a row.
const TRIES: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Serialize, Deserialize)]
struct Admin {
    email: String,
    password: String,
}

impl Admin {
    fn new(email: String) -> Self {
        Self {
            email,
            password: keys::password(),
        }
    }
}

/// Sees to it that the account of `admin.json` is there with its password. The file is written before the account is made:
/// a crash in between leaves a file whose account the next start makes. An address that belongs to a customer is replaced
/// by another one.
pub async fn ensure(dir: &DataDir, users: &Client, steps: &Steps) -> Result<(), Error> {
    let mut admin = match dir.read::<Admin>(FILE)? {
        Some(admin) => admin,
        None => write(dir, Admin::new(EMAIL.to_owned()))?,
    };
    for _ in 1..TRIES {
        match put(users, &admin).await {
            Err(error) if error.code() == Some("email-taken") => {
                let email = format!("admin-{}@emporium.example", hex(&rand::random::<[u8; 6]>()));
                steps.note(format_args!(
                    "{} belongs to a customer; the administrator is now {email}, see {}",
                    admin.email,
                    dir.file(FILE).display()
                ));
                admin = write(dir, Admin::new(email))?;
            }
            settled => return settled.map_err(failed),
        }
    }
    put(users, &admin).await.map_err(failed)
}

fn write(dir: &DataDir, admin: Admin) -> Result<Admin, Error> {
    dir.write(FILE, &admin)?;
    Ok(admin)
}

async fn put(users: &Client, admin: &Admin) -> Result<(), CallError> {
    let body =
        serde_json::json!({ "email": admin.email, "password": admin.password, "name": "Administrator" });
    users
        .put("/administrator")
        .json(&body)
        .timeout(TIMEOUT)
        .done()
        .await
}

fn failed(source: CallError) -> Error {
    Error::Call {
        what: "making the administrator's account",
        source,
    }
}
