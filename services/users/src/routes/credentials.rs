//! Who may sign in, and the administrator.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::extract::Body;
use emporium_service_kit::validate::line;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::accounts::Registration;
use crate::error::Error;
use crate::input;
use crate::model::{Role, User};
use crate::store::Login;

/// An attempt to sign in.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Credentials {
    /// In whatever case.
    #[garde(length(chars, max = 512), custom(line))]
    email: String,
    /// As typed.
    #[garde(length(chars, max = 512))]
    password: String,
}

/// Whose credentials they are.
#[derive(Serialize, ToSchema)]
pub struct Verified {
    /// The account.
    user_id: Uuid,
    /// What it may do.
    role: Role,
    /// False when it is blocked; the caller decides what that means.
    active: bool,
}

/// Checks an e-mail address and a password. An unknown address takes the same time and gives the same answer as a wrong
/// password, so that addresses cannot be tried out.
#[utoipa::path(post, path = "/credentials/verify", request_body = Credentials, responses(
    (status = 200, body = Verified), (status = 401, description = "`wrong-credentials`"),
    (status = 503, description = "`busy`")))]
pub async fn verify(State(app): State<App>, Body(asked): Body<Credentials>) -> Result<Json<Verified>, Error> {
    let login = app.store.login(&input::normal_email(&asked.email)).await?;
    let hash = login.as_ref().and_then(|login| login.password_hash.clone());
    let right = app.passwords.verify(asked.password, hash).await?;
    match login {
        Some(Login {
            user_id,
            role,
            active,
            ..
        }) if right => Ok(Json(Verified {
            user_id,
            role,
            active,
        })),
        _ => Err(Error::WrongCredentials),
    }
}

/// Sees to it that there is an administrator with this e-mail address and password: makes the account once; when it is
/// there already, only the password is brought in line.
#[utoipa::path(put, path = "/administrator", request_body = Registration, responses(
    (status = 201, body = User), (status = 200, body = User), (status = 409, description = "`email-taken` by a customer")))]
pub async fn put_administrator(
    State(app): State<App>,
    Body(asked): Body<Registration>,
) -> Result<(StatusCode, Json<User>), Error> {
    let email = input::normal_email(&asked.email);
    if let Some(login) = app.store.login(&email).await? {
        return app.keep_administrator(login, asked.password).await;
    }
    match app
        .register(email.clone(), asked.password.clone(), &asked.name, Role::Admin)
        .await
    {
        Ok(user) => Ok((StatusCode::CREATED, Json(user))),
        // The same request at the same moment was faster.
        Err(Error::EmailTaken) => {
            let login = app.store.login(&email).await?.ok_or(Error::EmailTaken)?;
            app.keep_administrator(login, asked.password).await
        }
        Err(error) => Err(error),
    }
}

impl App {
    async fn keep_administrator(
        &self,
        login: Login,
        password: String,
    ) -> Result<(StatusCode, Json<User>), Error> {
        if login.role != Role::Admin {
            return Err(Error::EmailTaken);
        }
        let right = self
            .passwords
            .verify(password.clone(), login.password_hash)
            .await?;
        let user = if right {
            self.store.find(login.user_id).await?.ok_or(Error::UnknownUser)?
        } else {
            let hash = self.passwords.hash(password).await?;
            self.store.set_password(login.user_id, &hash).await?
        };
        Ok((StatusCode::OK, Json(user)))
    }
}
