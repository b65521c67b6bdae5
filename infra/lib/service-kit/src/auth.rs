//! Service tokens: who calls, and whether that caller may.
//!
//! Each service has one secret. The token it shows to a callee is `HMAC-SHA256(secret, callee)`, so a token that leaks at
//! one callee opens no other. A callee keeps only the SHA-256 of the tokens it accepts, so its own settings cannot be
//! used to act as somebody else.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Problem;

/// The parties that call each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceName {
    /// Composes the others for browsers and API clients.
    Gateway,
    /// Identity, addresses, loyalty points.
    Users,
    /// Login sessions.
    Sessions,
    /// Products, search, inventory.
    Catalog,
    /// Shopping carts.
    Carts,
    /// Orders and the checkout saga.
    Orders,
    /// Charges, refunds, the ledger.
    Payments,
    /// What goes with what, and for whom.
    Recommendations,
    /// Ratings and texts of products.
    Reviews,
    /// Figures of the business.
    Analytics,
    /// Time series of every service.
    Monitoring,
    /// Not a service: the `emporium` program when it seeds, imports and administers.
    Operator,
}

impl ServiceName {
    /// Every party, in the order of their ports.
    pub const ALL: [Self; 12] = [
        Self::Gateway,
        Self::Users,
        Self::Sessions,
        Self::Catalog,
        Self::Carts,
        Self::Orders,
        Self::Payments,
        Self::Recommendations,
        Self::Reviews,
        Self::Analytics,
        Self::Monitoring,
        Self::Operator,
    ];

    /// The parties that listen: all but the operator, in the order of their ports.
    pub fn listening() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|name| *name != Self::Operator)
    }

    /// The name in lower case, as in settings, table prefixes and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Users => "users",
            Self::Sessions => "sessions",
            Self::Catalog => "catalog",
            Self::Carts => "carts",
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Recommendations => "recommendations",
            Self::Reviews => "reviews",
            Self::Analytics => "analytics",
            Self::Monitoring => "monitoring",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no service.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a service; the services are gateway, users, sessions, catalog, carts, orders, payments, recommendations, \
     reviews, analytics, monitoring"
)]
pub struct UnknownService(String);

impl FromStr for ServiceName {
    type Err = UnknownService;
    fn from_str(text: &str) -> Result<Self, UnknownService> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| UnknownService(text.to_owned()))
    }
}

/// A service's own secret, from which it derives the token for each callee.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A new random secret of 256 bits.
    pub fn generate() -> Self {
        Self(hex(&rand::random::<[u8; 32]>()).into())
    }

    /// A secret as written in settings.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text to keep in a private file.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The bearer token to present to `callee`.
    pub fn token_for(&self, callee: ServiceName) -> String {
        // HMAC takes keys of every length, so this cannot fail; an empty tag would simply be refused.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()) else {
            return String::new();
        };
        mac.update(callee.as_str().as_bytes());
        hex(&mac.finalize().into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 of a token, in hexadecimal: what a callee keeps.
pub fn fingerprint(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// The callers that a service accepts, by the fingerprint of their token.
#[derive(Debug, Clone, Default)]
pub struct Callers(Arc<HashMap<String, ServiceName>>);

impl Callers {
    /// From pairs of caller and token fingerprint.
    pub fn new(pairs: impl IntoIterator<Item = (ServiceName, String)>) -> Self {
        Self(Arc::new(
            pairs.into_iter().map(|(name, print)| (print, name)).collect(),
        ))
    }

    /// The callers of `callee`, when all secrets are at hand (the one-process program, tests).
    pub fn from_secrets<'a>(
        callee: ServiceName,
        secrets: impl IntoIterator<Item = (ServiceName, &'a Secret)>,
    ) -> Self {
        Self::new(
            secrets
                .into_iter()
                .map(|(name, secret)| (name, fingerprint(&secret.token_for(callee)))),
        )
    }

    /// As in settings: `gateway=<fingerprint>,orders=<fingerprint>`.
    pub fn to_setting(&self) -> String {
        let mut pairs: Vec<String> = self
            .0
            .iter()
            .map(|(print, name)| format!("{name}={print}"))
            .collect();
        pairs.sort();
        pairs.join(",")
    }

    fn identify(&self, parts: &Parts) -> Option<ServiceName> {
        let token = parts
            .headers
            .get(AUTHORIZATION)?
            .to_str()
            .ok()?
            .strip_prefix("Bearer ")?;
        self.0.get(&fingerprint(token)).copied()
    }
}

/// Why a list of callers cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadCallers {
    /// A name is none.
    #[error(transparent)]
    Name(#[from] UnknownService),
    /// A fingerprint is none: that caller would never be let in.
    #[error("{0} needs a fingerprint of 64 hexadecimal digits; run `emporium keys`")]
    Fingerprint(ServiceName),
    /// Two callers with one token could not be told apart.
    #[error("{0} has the fingerprint of another caller; give each service a secret of its own")]
    Shared(ServiceName),
}

impl FromStr for Callers {
    type Err = BadCallers;
    fn from_str(text: &str) -> Result<Self, BadCallers> {
        let mut callers = HashMap::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, print) = pair.split_once('=').unwrap_or((pair, ""));
            let name: ServiceName = name.parse()?;
            if print.len() != 64 || !print.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(BadCallers::Fingerprint(name));
            }
            let before = callers.insert(print.to_ascii_lowercase(), name);
            if before.is_some_and(|other| other != name) {
                return Err(BadCallers::Shared(name));
            }
        }
        Ok(Self(Arc::new(callers)))
    }
}

/// Who called: available to handlers behind an allow-list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller(pub ServiceName);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().copied().ok_or_else(token_required)
    }
}

/// Server-wide layer: notes who the caller is, when the token is known.
pub(crate) async fn identify(State(callers): State<Callers>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Some(name) = callers.identify(&parts) {
        parts.extensions.insert(Caller(name));
    }
    next.run(Request::from_parts(parts, body)).await
}

/// Route layer: refuses everybody who is not on the route's list.
pub(crate) async fn allow(
    State(allowed): State<&'static [ServiceName]>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Caller(name) = request
        .extensions()
        .get::<Caller>()
        .copied()
        .ok_or_else(token_required)?;
    if !allowed.contains(&name) {
        return Err(Problem::forbidden(
            "caller-not-allowed",
            format!("{name} may not call this address."),
        ));
    }
    Ok(next.run(request).await)
}

fn token_required() -> Problem {
    Problem::unauthorized(
        "service-token-required",
        "This address needs a known service token.",
    )
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_caller_at_one_callee_only() {
        let (orders, gateway) = (Secret::generate(), Secret::generate());
        let secrets = [(ServiceName::Orders, &orders), (ServiceName::Gateway, &gateway)];
        let users = Callers::from_secrets(ServiceName::Users, secrets);
        let payments = Callers::from_secrets(ServiceName::Payments, secrets);
        let ask = |callers: &Callers, token: String| {
            let request = Request::builder()
                .header(AUTHORIZATION, format!("Bearer {token}"))
                .body(())
                .unwrap();
            callers.identify(&request.into_parts().0)
        };
        assert_eq!(
            ask(&users, orders.token_for(ServiceName::Users)),
            Some(ServiceName::Orders)
        );
        assert_eq!(ask(&payments, orders.token_for(ServiceName::Users)), None);
        assert_eq!(
            ask(&users, Secret::generate().token_for(ServiceName::Users)),
            None
        );
        let setting = users.to_setting();
        let refused = |text: &str| text.parse::<Callers>().unwrap_err().to_string();
        assert!(refused("gateway").contains("gateway needs a fingerprint"));
        assert!(refused("gateway=abc").contains("gateway needs a fingerprint"));
        assert!(refused("gate=abc").contains("is not a service"));
        let print = fingerprint(&gateway.token_for(ServiceName::Users));
        assert!(
            refused(&format!("carts={print},orders={print}")).contains("the fingerprint of another caller")
        );
        let read: Callers = setting.parse().unwrap();
        assert_eq!(
            ask(&read, gateway.token_for(ServiceName::Users)),
            Some(ServiceName::Gateway)
        );
    }
}
