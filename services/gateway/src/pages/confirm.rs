//! `POST /checkout`: places the order. The form carries an idempotency key, so that clicking twice, reloading and going
//! back make one order, and the total that was shown, so that a price that moved is shown and confirmed anew.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::client::{Answer, CallError};
use emporium_service_kit::extract::Form;
use emporium_service_kit::{Money, Problem};
use serde::Deserialize;
use uuid::Uuid;

use crate::app::App;
use crate::clients::orders::{Checkout, Order};
use crate::error::Error;
use crate::pages::checkout::{Chosen, Sheet};
use crate::pages::chrome::{Notice, Visitor};
use crate::pages::form::hidden;
use crate::pages::see_other;

/// A second click waits this long for the first one's answer, this many times; together less than a request may take.
const WAIT: Duration = Duration::from_millis(500);
const WAITS_MAX: usize = 12;

/// The form. Everything is text here: what cannot be read is asked for again instead of refused.
#[derive(Deserialize)]
pub struct CheckoutForm {
    #[serde(default)]
    address_id: String,
    /// Present when the box is ticked.
    billing_same: Option<String>,
    #[serde(default)]
    billing_address_id: String,
    #[serde(default)]
    payment_token: String,
    #[serde(default)]
    idempotency_key: String,
    #[serde(default)]
    expected_amount: String,
    #[serde(default)]
    expected_currency: String,
}

impl CheckoutForm {
    fn chosen(&self) -> Chosen {
        let billing = Uuid::try_parse(&self.billing_address_id).ok();
        Chosen {
            address: Uuid::try_parse(&self.address_id).ok(),
            billing: billing.filter(|_| self.billing_same.is_none()),
            token: self.payment_token.clone(),
            key: self.key(),
            address_error: None,
        }
    }

    /// Only keys of our own making: they go into a header.
    fn key(&self) -> Option<String> {
        Uuid::try_parse(&self.idempotency_key)
            .ok()
            .map(|key| key.to_string())
    }

    fn expected_total(&self) -> Option<Money> {
        let amount = self.expected_amount.parse().ok()?;
        Some(Money::new(amount, hidden(&self.expected_currency)?))
    }
}

/// `POST /checkout`.
pub async fn place(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<CheckoutForm>,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    let mut chosen = form.chosen();
    let (Some(address_id), Some(key)) = (chosen.address, chosen.key.clone()) else {
        chosen.address_error = chosen
            .address
            .is_none()
            .then_some("Please choose where the goods shall go.");
        let sheet = Sheet::load(&app, &visitor).await?;
        return Ok(sheet.show(&app, StatusCode::UNPROCESSABLE_ENTITY, chosen));
    };
    let checkout = Checkout {
        address_id,
        billing_address_id: chosen.billing,
        payment_token: form.payment_token.clone(),
        expected_total: form.expected_total(),
    };
    match patiently(&app, me, &checkout, &key).await {
        Ok(answer) => Ok(see_other(&format!("/orders/{}?note=placed", answer.body.id))),
        Err(error) => again(&app, &visitor, chosen, error).await,
    }
}

/// Places the order; while the same form is being worked on already, waits for that answer.
async fn patiently(app: &App, me: Uuid, checkout: &Checkout, key: &str) -> Result<Answer<Order>, CallError> {
    for _ in 0..WAITS_MAX {
        match app.clients.orders.place(me, checkout, key).await {
            Err(error) if error.code() == Some("request-in-progress") => tokio::time::sleep(WAIT).await,
            answer => return answer,
        }
    }
    app.clients.orders.place(me, checkout, key).await
}

/// Shows the form again with what stands in the way.
async fn again(
    app: &App,
    visitor: &Visitor,
    mut chosen: Chosen,
    error: CallError,
) -> Result<Response, Error> {
    let (status, text) = match &error {
        CallError::Problem { problem, .. } if problem.status.is_client_error() => refusal(problem),
        _ => {
            tracing::warn!(%error, "checkout without an answer");
            (StatusCode::SERVICE_UNAVAILABLE, UNKNOWN.to_owned())
        }
    };
    // A decision belongs to its key for good: the next try is another request. Without one the key stays, so that trying
    // again cannot order twice.
    if decided(&error) {
        chosen.key = None;
    }
    if error.is_not_found() {
        chosen.address_error =
            Some("This address is no longer in your address book; please choose another one.");
        chosen.address = None;
    }
    let mut sheet = Sheet::load(app, visitor).await?;
    let elsewhere = matches!(
        error.code(),
        Some("request-in-progress" | "checkout-in-progress" | "idempotency-key-reused")
    );
    let notice = Notice {
        link: elsewhere.then_some(("/orders", "Your orders")),
        ..Notice::error(text)
    };
    sheet.chrome.notices.insert(0, notice);
    Ok(sheet.show(app, status, chosen))
}

const UNKNOWN: &str = "The part of the shop that takes orders does not answer just now, and we cannot say whether your order \
    has reached it. You can safely press the button again: it will not be ordered or paid twice.";

fn decided(error: &CallError) -> bool {
    let waiting = matches!(error.code(), Some("request-in-progress" | "checkout-in-progress"));
    error.status().is_some_and(|status| status.is_client_error()) && !waiting
}

fn refusal(problem: &Problem) -> (StatusCode, String) {
    let text = match &*problem.code {
        "prices-moved" => {
            "A price has changed since you saw this page. Below is the new total: please confirm it."
        }
        "product-unavailable" => "Something in your basket is no longer sold. Please take it out first.",
        "request-in-progress" => {
            "This order is being worked on. You will find it among your orders in a moment."
        }
        "checkout-in-progress" => {
            "Another order of this basket is being worked on or has just been placed. Please look at your orders first."
        }
        "user-blocked" => "This account may not order anything just now. Please get in touch with us.",
        "cart-empty" => "Your basket is empty.",
        "idempotency-key-reused" => {
            "This form has been sent before with other choices. Please look at your orders, then confirm again if you \
             want to order once more."
        }
        "not-found" => "The address cannot be found.",
        _ => {
            return (
                problem.status,
                format!("The order could not be placed: {}", problem.detail),
            );
        }
    };
    (problem.status, text.to_owned())
}
