//! Who is asking. Every request is looked up at the sessions service anew, so that a session that was ended is ended
//! everywhere at once.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use uuid::Uuid;

use crate::app::App;
use crate::clients::Role;
use crate::clients::carts::CartLine;
use crate::clients::sessions::NewSession;
use crate::cookies;
use crate::error::Error;

/// API clients without cookies name their anonymous cart here.
pub const CART_HEADER: &str = "x-cart-id";
/// No token is longer.
const TOKEN_BYTES_MAX: usize = 128;

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Identity {
    /// Which user.
    pub user_id: Uuid,
    /// What they may do.
    pub role: Role,
    /// The session's token, for ending it.
    pub token: String,
    /// True while an administrator has blocked them: the session can only be ended.
    blocked: bool,
}

impl Identity {
    /// True while an administrator has blocked them.
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Somebody who may do more than sign out; 403 otherwise.
    fn unblocked(self) -> Result<Self, Error> {
        if self.blocked {
            return Err(Error::UserBlocked);
        }
        Ok(self)
    }
}

/// A handler's demand for somebody who is signed in; 401 for everybody else, 403 for the blocked.
pub struct SignedIn(pub Identity);

/// A demand for somebody who is signed in, blocked or not; 401 for everybody else. For signing out only.
pub struct SignedInOrBlocked(pub Identity);

/// A handler's demand for an administrator; 401 or 403 for everybody else.
pub struct Administrator(pub Identity);

/// Somebody with a cart: signed in or not. As a handler's demand: 403 for the blocked.
pub struct Shopper {
    /// Who, when signed in.
    pub identity: Option<Identity>,
    /// The cart from before signing in, as the browser or the API client knows it.
    pub anonymous_cart: Option<Uuid>,
}

/// Somebody who looks at what everybody may see: signed in or not. As a handler's demand: 403 for the blocked, 401 for a
/// wrong `Authorization` header. While nobody can say who it is, it is nobody.
pub struct Onlooker {
    identity: Option<Identity>,
    /// True when a session was presented and the sessions service did not say whose it is.
    pub sessions_away: bool,
}

impl Onlooker {
    /// Who, when that is known.
    pub fn user_id(&self) -> Option<Uuid> {
        self.identity.as_ref().map(|identity| identity.user_id)
    }
}

/// The anonymous cart that a request names: `X-Cart-Id`, else the cookie. Only random ids count (UUID version 4): the id
/// is all that protects the cart.
pub struct AnonymousCart(pub Option<Uuid>);

/// How a token was presented.
enum Presented<'a> {
    /// `Authorization: Bearer`, or something else in that header.
    Header(Option<&'a str>),
    /// The cookie, which may be left over from a session that is over.
    Cookie(&'a str),
}

fn presented(headers: &HeaderMap) -> Option<Presented<'_>> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return Some(Presented::Header(value.to_str().ok().and_then(bearer)));
    }
    cookies::read(headers, cookies::SESSION).map(Presented::Cookie)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The session's token that a request presents, whatever it is worth.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    match presented(headers)? {
        Presented::Header(token) => token,
        Presented::Cookie(token) => Some(token),
    }
    .filter(|token| !token.is_empty())
}

/// True when the request carries a bearer token, so that no browser added its authority by itself.
pub fn has_bearer(headers: &HeaderMap) -> bool {
    matches!(presented(headers), Some(Presented::Header(Some(_))))
}

/// Who is asking, blocked or not; `None` when nobody says so or a cookie is left over from a session that is over. A wrong
/// `Authorization` header is 401, whatever is asked for; 503 when the sessions service is away.
pub async fn identify(app: &App, headers: &HeaderMap) -> Result<Option<Identity>, Error> {
    match presented(headers) {
        None => Ok(None),
        Some(Presented::Cookie(token)) => look_up(app, token).await,
        Some(Presented::Header(token)) => {
            let token = token.ok_or(Error::SignInRequired)?;
            look_up(app, token).await?.map(Some).ok_or(Error::SignInRequired)
        }
    }
}

async fn look_up(app: &App, token: &str) -> Result<Option<Identity>, Error> {
    let well_formed = (1..=TOKEN_BYTES_MAX).contains(&token.len())
        && token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !well_formed {
        return Ok(None);
    }
    let session = app.clients.sessions.look_up(token).await?;
    Ok(session.map(|session| Identity {
        user_id: session.user_id,
        role: session.role,
        token: token.to_owned(),
        blocked: session.blocked,
    }))
}

impl FromRequestParts<App> for SignedInOrBlocked {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let identity = identify(app, &parts.headers).await?;
        identity.map(Self).ok_or(Error::SignInRequired)
    }
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let SignedInOrBlocked(identity) = SignedInOrBlocked::from_request_parts(parts, app).await?;
        identity.unblocked().map(Self)
    }
}

impl FromRequestParts<App> for Administrator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let SignedIn(identity) = SignedIn::from_request_parts(parts, app).await?;
        match identity.role {
            Role::Admin => Ok(Self(identity)),
            Role::Customer => Err(Error::AdministratorsOnly),
        }
    }
}

impl FromRequestParts<App> for Onlooker {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        match identify(app, &parts.headers).await {
            Ok(identity) => Ok(Self {
                identity: identity.map(Identity::unblocked).transpose()?,
                sessions_away: false,
            }),
            Err(Error::Call(error)) => {
                tracing::warn!(%error, "answering without knowing who is asking");
                Ok(Self {
                    identity: None,
                    sessions_away: true,
                })
            }
            Err(error) => Err(error),
        }
    }
}

impl FromRequestParts<App> for Shopper {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let identity = identify(app, &parts.headers).await?;
        Ok(Self {
            identity: identity.map(Identity::unblocked).transpose()?,
            anonymous_cart: anonymous_cart(&parts.headers),
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AnonymousCart {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(anonymous_cart(&parts.headers)))
    }
}

/// The anonymous cart that a request names, as [`AnonymousCart`] finds it.
pub fn anonymous_cart(headers: &HeaderMap) -> Option<Uuid> {
    let header = headers.get(CART_HEADER).and_then(|value| value.to_str().ok());
    let text = header.or_else(|| cookies::read(headers, cookies::CART))?;
    let id = Uuid::try_parse(text).ok()?;
    (id.get_version_num() == 4).then_some(id)
}

/// The outcome of signing in.
pub struct SignIn {
    /// The new session.
    pub session: NewSession,
    /// True when there is no anonymous cart any more: its cookie can go.
    pub cart_merged: bool,
    /// What did not fit into the customer's cart.
    pub dropped: Vec<CartLine>,
}

/// Signs in, and moves the anonymous cart's lines into the customer's. Signing in does not depend on the carts service:
/// when it is away the browser keeps the anonymous cart's id, and the next look at the cart merges it.
pub async fn sign_in(
    app: &App,
    email: &str,
    password: &str,
    anonymous_cart: Option<Uuid>,
) -> Result<SignIn, Error> {
    let session = app.clients.sessions.sign_in(email, password).await?;
    let merged = match anonymous_cart {
        None => None,
        Some(id) => {
            let merged = app.clients.carts.merge(session.user_id, id).await;
            merged
                .inspect_err(|error| {
                    tracing::warn!(%error, "cart not merged at sign-in; the next look at the cart tries again");
                })
                .ok()
        }
    };
    Ok(SignIn {
        session,
        cart_merged: merged.is_some(),
        dropped: merged.map(|cart| cart.dropped).unwrap_or_default(),
    })
}
