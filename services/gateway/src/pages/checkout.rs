//! `GET /checkout`: where to, how to pay, and the total one last time. `confirm` takes the answer.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::Money;
use uuid::Uuid;

use crate::activity::Did;
use crate::app::App;
use crate::cart::{self, CartCookie};
use crate::clients::users::Address;
use crate::error::Error;
use crate::pages::addresses::{self, Place};
use crate::pages::cart::{Line, count};
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::form::{Choice, Field};
use crate::pages::params::Params;
use crate::pages::{personal, see_other};

/// The simulated provider's tokens, with what they do.
const TOKENS: [(&str, &str, &str); 5] = [
    ("tok_ok", "Card that is accepted", "The payment succeeds at once."),
    (
        "tok_decline",
        "Card that is declined",
        "The order is cancelled, everything is undone, and your basket stays as it is.",
    ),
    (
        "tok_timeout",
        "Provider that never answers",
        "We keep asking; in the end the order is cancelled and nothing is taken.",
    ),
    (
        "tok_twice",
        "Provider that answers twice",
        "You pay once all the same.",
    ),
    (
        "tok_later",
        "Payment later",
        "The order waits until the provider calls back, at most a day.",
    ),
];

#[derive(Template)]
#[template(path = "checkout.html")]
struct CheckoutPage {
    pub chrome: Chrome,
    pub lines: Vec<Line>,
    pub total: Money,
    pub addresses: Vec<AddressChoice>,
    pub billing: Vec<Choice>,
    pub billing_same: bool,
    pub tokens: Vec<Token>,
    /// Makes one order of any number of clicks on this very form.
    pub key: String,
    /// Fields of a first address, when the address book is empty.
    pub address_fields: Vec<Field>,
    /// Something is wrong with what was chosen.
    pub address_error: Option<&'static str>,
}

/// An address to choose.
pub(super) struct AddressChoice {
    pub id: Uuid,
    pub place: Place,
    pub is_default: bool,
    pub selected: bool,
}

/// A way to pay.
pub(super) struct Token {
    pub value: &'static str,
    pub label: &'static str,
    pub meaning: &'static str,
    pub selected: bool,
}

/// What was chosen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    pub address: Option<Uuid>,
    /// `None`: the same as the shipping address.
    pub billing: Option<Uuid>,
    pub token: String,
    /// The form's key; a new one when there is none, or when the old one has had its answer.
    pub key: Option<String>,
    pub address_error: Option<&'static str>,
}

/// `GET /checkout`.
pub async fn show(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    let seen = params.get("seen").and_then(|seen| seen.parse().ok());
    let note = params.get("note").map(str::to_owned);
    let mut sheet = Sheet::load(&app, &visitor).await?;
    sheet.chrome = sheet.chrome.noting(note.as_deref());
    if let (Some(seen), Some(total)) = (seen, sheet.total)
        && seen != total.amount
    {
        let seen = Money::new(seen, total.currency);
        sheet.chrome.notices.push(Notice::warning(format!(
            "A price has changed: your basket came to {seen} when you last looked, and comes to {total} now.",
        )));
    }
    let mut answer = sheet.show(&app, StatusCode::OK, Chosen::default());
    if answer.status().is_success() {
        Did::checkout()
            .by(visitor.shopper.identity.as_ref())
            .note(&mut answer);
    }
    Ok(answer)
}

/// Everything a checkout page shows, fetched at once.
pub(super) struct Sheet {
    pub chrome: Chrome,
    lines: Vec<Line>,
    total: Option<Money>,
    addresses: Vec<Address>,
    cookie: CartCookie,
}

impl Sheet {
    /// Needs a customer, their basket with prices, and their address book: without one of these there is no checkout.
    pub async fn load(app: &App, visitor: &Visitor) -> Result<Self, Error> {
        let me = visitor.signed_in()?.user_id;
        let (opened, addresses) =
            tokio::join!(cart::open(app, &visitor.shopper), app.clients.users.addresses(me),);
        let opened = opened?;
        let view = opened.view;
        let catalog_answers = view.degraded.is_empty();
        let lines: Vec<Line> = view
            .items
            .iter()
            .map(|line| Line::of(line, catalog_answers))
            .collect();
        let mut chrome = Chrome::with_count(visitor, Some(count(&view)));
        if lines.iter().any(|line| line.problem.is_some()) {
            chrome.notices.push(Notice::warning(
                "Some of the goods cannot be bought as they are; please look at your basket first.",
            ));
        }
        Ok(Self {
            chrome,
            lines,
            // Half a total is none.
            total: view.total.filter(|_| catalog_answers),
            addresses: addresses?,
            cookie: opened.cookie,
        })
    }

    /// The page. Without goods or prices there is nothing to confirm: back to the basket, which says why.
    pub fn show(self, app: &App, status: StatusCode, chosen: Chosen) -> Response {
        let cookie = self.cookie;
        let mut answer = match self.total {
            Some(total) if !self.lines.is_empty() => personal(status, &self.page(total, chosen)),
            _ => see_other("/cart"),
        };
        cookie.apply(&app.config, answer.headers_mut());
        answer
    }

    fn page(self, total: Money, chosen: Chosen) -> CheckoutPage {
        let usual = self.addresses.iter().find(|address| address.is_default);
        let shipping = chosen
            .address
            .or(usual.or(self.addresses.first()).map(|address| address.id));
        let token = if chosen.token.is_empty() {
            TOKENS[0].0
        } else {
            &chosen.token
        };
        CheckoutPage {
            addresses: self
                .addresses
                .iter()
                .map(|address| choice(address, shipping))
                .collect(),
            billing: billing(&self.addresses, chosen.billing.or(shipping)),
            billing_same: chosen.billing.is_none(),
            tokens: tokens(token),
            key: chosen.key.unwrap_or_else(|| Uuid::new_v4().to_string()),
            address_fields: if self.addresses.is_empty() {
                addresses::fields(None)
            } else {
                Vec::new()
            },
            address_error: chosen.address_error,
            lines: self.lines,
            total,
            chrome: self.chrome,
        }
    }
}

fn choice(address: &Address, selected: Option<Uuid>) -> AddressChoice {
    AddressChoice {
        id: address.id,
        place: Place::of(address),
        is_default: address.is_default,
        selected: Some(address.id) == selected,
    }
}

fn billing(addresses: &[Address], selected: Option<Uuid>) -> Vec<Choice> {
    let choice = |address: &Address| Choice {
        value: address.id.to_string(),
        label: Place::of(address).line(),
        selected: Some(address.id) == selected,
    };
    addresses.iter().map(choice).collect()
}

fn tokens(selected: &str) -> Vec<Token> {
    TOKENS
        .into_iter()
        .map(|(value, label, meaning)| Token {
            value,
            label,
            meaning,
            selected: value == selected,
        })
        .collect()
}
