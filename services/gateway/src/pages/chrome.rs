//! What surrounds every page: who is signed in, how much is in the basket, notices, and the addresses of the assets.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use emporium_service_kit::ServiceName;
use emporium_service_kit::client::CallError;
use tokio::time::timeout;

use crate::app::App;
use crate::clients::Role;
use crate::clients::carts::CartKey;
use crate::error::Error;
use crate::identity::{self, Identity, Shopper};
use crate::pages::assets::{self, Assets};
use crate::pages::{PART_TIMEOUT, part};

/// Somebody who looks at a page. Unlike the API's extractors this never refuses: while the sessions service is away,
/// everybody is a stranger, and pages say so. Whoever is blocked is a stranger too, but is told where it matters.
pub struct Visitor {
    /// Who, and with which cart.
    pub shopper: Shopper,
    /// Who would be signed in if they were not blocked.
    pub blocked: Option<Identity>,
    /// True when a session was presented but nobody could say whose it is.
    pub sessions_away: bool,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(app, &parts.headers).await)
    }
}

impl Visitor {
    /// Looks the request's session up.
    pub async fn of(app: &App, headers: &HeaderMap) -> Self {
        let identified = match timeout(PART_TIMEOUT, identity::identify(app, headers)).await {
            Ok(Ok(identity)) => Ok(identity),
            // A header that browsers do not send by themselves; a page can be shown all the same.
            Ok(Err(Error::SignInRequired)) => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it took too long".to_owned()),
        };
        let sessions_away = identified.is_err();
        if let Err(error) = &identified {
            tracing::warn!(error, "a visitor's session could not be looked up");
        }
        let (blocked, identity) = match identified.unwrap_or_default() {
            Some(identity) if identity.is_blocked() => (Some(identity), None),
            identity => (None, identity),
        };
        Self {
            shopper: Shopper {
                identity,
                anonymous_cart: identity::anonymous_cart(headers),
            },
            blocked,
            sessions_away,
        }
    }

    /// Who is signed in; an error for everybody else.
    pub fn signed_in(&self) -> Result<&Identity, Error> {
        match &self.shopper.identity {
            Some(identity) => Ok(identity),
            None if self.blocked.is_some() => Err(Error::UserBlocked),
            None if self.sessions_away => Err(Error::Call(CallError::Unavailable {
                callee: ServiceName::Sessions,
                reason: "nobody can say who is asking".to_owned(),
            })),
            None => Err(Error::SignInRequired),
        }
    }

    /// Who is signed in, blocked or not; an error for everybody else. For signing out only.
    pub fn signed_in_or_blocked(&self) -> Result<&Identity, Error> {
        self.blocked.as_ref().map_or_else(|| self.signed_in(), Ok)
    }

    /// Who is signed in as an administrator; an error for everybody else.
    pub fn administrator(&self) -> Result<&Identity, Error> {
        let identity = self.signed_in()?;
        match identity.role {
            Role::Admin => Ok(identity),
            Role::Customer => Err(Error::AdministratorsOnly),
        }
    }

    fn cart_key(&self) -> Option<CartKey> {
        let own = self.shopper.identity.as_ref();
        own.map(|identity| CartKey::User(identity.user_id))
            .or(self.shopper.anonymous_cart.map(CartKey::Anonymous))
    }
}

/// What templates show around their content.
pub struct Chrome {
    /// Who the page is for.
    pub account: Account,
    /// How many things are in the basket; `None` when nobody can say.
    pub cart_count: Option<i64>,
    /// False when the carts service was asked and did not answer.
    pub carts_answer: bool,
    /// What the reader should know, in order.
    pub notices: Vec<Notice>,
    /// What was searched for, to stand in the search box.
    pub q: String,
    /// Addresses of the assets.
    pub assets: &'static Assets,
}

/// Who a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Nobody who signed in.
    Stranger,
    /// Nobody can say.
    Unknown,
    /// A customer.
    Customer,
    /// An administrator.
    Administrator,
}

/// Something to know, at the top of the page or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How it looks and how loudly it is announced.
    pub kind: NoticeKind,
    /// One or two sentences.
    pub text: String,
    /// Where to go from here: address and words.
    pub link: Option<(&'static str, &'static str)>,
}

/// How a notice looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// It worked.
    Done,
    /// Part of the page is missing, or something is not as expected.
    Warning,
    /// It did not work.
    Error,
}

impl NoticeKind {
    /// The stylesheet's name for it.
    pub fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Notice {
    /// It worked.
    pub fn done(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Done, text)
    }

    /// Part of the page is missing, or something is not as expected.
    pub fn warning(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Warning, text)
    }

    /// It did not work.
    pub fn error(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Error, text)
    }

    /// Not all of an anonymous cart fitted into the customer's.
    pub fn dropped() -> Self {
        Self::warning(
            "Not everything from the basket that you filled before signing in fitted into yours: 999 of a product and \
             100 products are the most. Please look through it.",
        )
    }

    /// The visitor would be signed in, were the account not blocked.
    pub fn blocked() -> Self {
        let text = "Your account is blocked, so you are treated as if you were not signed in. What was in your own basket \
            is kept. Please get in touch with us.";
        Self {
            link: Some(("/sign-out", "Sign out")),
            ..Self::warning(text)
        }
    }

    fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            link: None,
        }
    }
}

impl Chrome {
    /// What surrounds a visitor's page. Asks the carts service how much is in the basket, unless nobody has one.
    pub async fn of(app: &App, visitor: &Visitor) -> Self {
        let Some(key) = visitor.cart_key() else {
            // Somebody whose session cannot be looked up may well have a basket.
            return Self::with_count(visitor, (!visitor.sessions_away).then_some(0));
        };
        let count = cart_count(app, key).await;
        Self {
            carts_answer: count.is_some(),
            ..Self::with_count(visitor, count)
        }
    }

    /// The same for pages that know the basket's content themselves.
    pub fn with_count(visitor: &Visitor, cart_count: Option<i64>) -> Self {
        let account = match &visitor.shopper.identity {
            Some(identity) if identity.role == Role::Admin => Account::Administrator,
            Some(_) => Account::Customer,
            None if visitor.sessions_away => Account::Unknown,
            None => Account::Stranger,
        };
        let mut chrome = Self {
            account,
            cart_count,
            ..Self::bare()
        };
        if visitor.sessions_away {
            chrome.notices.push(Notice::warning(
                "We cannot tell who you are just now, so this page is shown as if you were not signed in. You are not \
                 signed out; please try again in a moment.",
            ));
        }
        chrome
    }

    /// For pages that are made without asking anybody.
    pub fn bare() -> Self {
        Self {
            account: Account::Unknown,
            cart_count: None,
            carts_answer: true,
            notices: Vec::new(),
            q: String::new(),
            assets: assets::addresses(),
        }
    }

    /// True when the page is for somebody in particular.
    pub fn signed_in(&self) -> bool {
        matches!(self.account, Account::Customer | Account::Administrator)
    }

    /// True when the page is for an administrator.
    pub fn administrator(&self) -> bool {
        self.account == Account::Administrator
    }

    /// True when it is known that nobody is signed in.
    pub fn stranger(&self) -> bool {
        self.account == Account::Stranger
    }

    /// Adds what a redirect before this page wanted to say: `?note=`, one of a fixed set.
    #[must_use]
    pub fn noting(mut self, note: Option<&str>) -> Self {
        self.notices.extend(note.and_then(note_text));
        self
    }
}

/// Words for `?note=`. Anything else says nothing, so that nobody can put words on our pages.
fn note_text(note: &str) -> Option<Notice> {
    let text = match note {
        "added" => {
            let link = Some(("/cart", "Look at your basket"));
            return Some(Notice {
                link,
                ..Notice::done("It is in your basket.")
            });
        }
        "changed" => "Your basket has been changed.",
        "removed" => "It has been taken out of your basket.",
        "welcome" => "Welcome! Your account is ready and you are signed in.",
        "signed-out" => "You are signed out.",
        "signed-out-everywhere" => "You are signed out on all devices.",
        "profile" => "Your profile has been saved.",
        "preferences" => "Your preferences have been saved.",
        "address-added" => "The address has been added.",
        "address-changed" => "The address has been changed.",
        "address-removed" => "The address has been deleted.",
        "address-default" => "Your default address has been changed.",
        "review-posted" => "Thank you! Your review is below.",
        "review-changed" => "Your review has been changed.",
        "review-hidden" => "The review has been hidden: readers do not see it any more.",
        "review-shown" => "Readers see the review again.",
        "review-answered" => "Your answer stands below the review.",
        "review-answer-removed" => "There is no answer below the review any more.",
        "review-reason" => {
            return Some(Notice::error(
                "To hide a review, please say why, in at most 500 characters.",
            ));
        }
        "review-answer-refused" => {
            return Some(Notice::error(
                "This cannot be an answer: plain text of at most 4,000 characters can.",
            ));
        }
        "product-added" => "The product has been added.",
        "product-changed" => "The product has been changed.",
        "product-archived" => "The product has been archived: it can be bought no more.",
        "stock" => "The stock has been changed.",
        "user-blocked" => {
            "The account has been blocked: it can order nothing, and whoever is signed in with it is told so."
        }
        "user-opened" => "The account can be used again.",
        "called-back" => "The provider's answer has been delivered.",
        "projection-paused" => "Paused: nothing more is delivered to it. Its events wait.",
        "projection-resumed" => "It goes on and catches up.",
        "projection-rebuild" => "It is rebuilt from the events' histories.",
        "not-rebuildable" => {
            return Some(Notice::error(
                "It cannot be rebuilt: what it keeps is in no history.",
            ));
        }
        "replayed" => "The event has been applied.",
        "replayed-all" => "All events that waited have been applied.",
        "replayed-some" => {
            return Some(Notice::warning(
                "Events have been replayed, but not all of them could be applied, or there are more: see below.",
            ));
        }
        "still-rejected" => {
            return Some(Notice::error(
                "The event could not be applied this time either; below is why.",
            ));
        }
        "registered" => {
            return Some(Notice::warning(
                "Your account is ready, but signing in did not work just now. Please sign in.",
            ));
        }
        "cart-dropped" => return Some(Notice::dropped()),
        "last-administrator" => {
            return Some(Notice::error(
                "That is the last administrator who is not blocked, so the account stays open: nobody could open it again.",
            ));
        }
        "quantity" => return Some(Notice::error("Please choose a whole number up to 999.")),
        "cart-full" => {
            return Some(Notice::error(
                "No more of this product fits into your basket: 999 is the most.",
            ));
        }
        _ => return None,
    };
    Some(Notice::done(text))
}

async fn cart_count(app: &App, key: CartKey) -> Option<i64> {
    let cart = part("basket", app.clients.carts.cart(key)).await?;
    let quantities = cart.items.iter().map(|line| line.quantity);
    Some(quantities.fold(0, i64::saturating_add))
}
