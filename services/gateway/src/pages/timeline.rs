//! An order in plain words: its status, why it is so, and what happened step by step.

use time::OffsetDateTime;

use crate::clients::orders::{Fulfilment, OrderStatus, TimelineEntry};
use crate::clients::payments::ChargeState;
use crate::pages::format::{self, words};

/// The steps of a checkout that goes well, in their order.
const STEPS: [&str; 8] = [
    "place",
    "reserve-stock",
    "add-points",
    "charge",
    "commit-stock",
    "confirm",
    "confirm-points",
    "clear-cart",
];

/// A step as the page shows it.
pub(super) struct Step {
    pub title: String,
    /// The state in a word or two.
    pub state: String,
    /// The stylesheet's name for it: `done`, `waiting`, `refused`, `undone` or `todo`.
    pub class: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// More, from the service.
    pub detail: Option<String>,
    pub time: String,
    pub iso: String,
}

/// The steps that happened and those that are still to come. Imported orders have no timeline.
pub(super) fn steps(timeline: &[TimelineEntry], status: OrderStatus, points: i64) -> Vec<Step> {
    let mut steps: Vec<Step> = timeline.iter().map(happened).collect();
    if status != OrderStatus::Cancelled && !timeline.is_empty() {
        let happened = |step: &str| timeline.iter().any(|entry| entry.step == step);
        let needed = |step: &str| points > 0 || !step.ends_with("-points");
        let missing = STEPS.into_iter().filter(|step| needed(step) && !happened(step));
        steps.extend(missing.map(to_come));
    }
    steps
}

fn happened(entry: &TimelineEntry) -> Step {
    let (state, class) = match entry.state.as_str() {
        "done" if undoes(&entry.step) => ("Done", "undone"),
        "done" => ("Done", "done"),
        "refused" => ("Refused", "refused"),
        "waiting" => ("Waiting", "waiting"),
        "unanswered" => ("No answer", "waiting"),
        _ => ("", "waiting"),
    };
    let state = if state.is_empty() {
        words(&entry.state)
    } else {
        state.to_owned()
    };
    Step {
        title: title(&entry.step),
        state,
        class,
        meaning: meaning(&entry.step, &entry.state),
        detail: entry
            .detail
            .as_deref()
            .and_then(|detail| detail_words(&entry.step, detail)),
        time: format::clock(entry.at),
        iso: format::iso(entry.at),
    }
}

/// The status says why an order was cancelled; other details are shown, codes as words.
fn detail_words(step: &str, detail: &str) -> Option<String> {
    if step == "cancel" || detail.is_empty() {
        return None;
    }
    let code = detail
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    Some(if code { words(detail) } else { detail.to_owned() })
}

fn to_come(step: &str) -> Step {
    Step {
        title: title(step),
        state: "To come".to_owned(),
        class: "todo",
        meaning: "",
        detail: None,
        time: String::new(),
        iso: String::new(),
    }
}

/// True for steps that take back what an earlier one did.
fn undoes(step: &str) -> bool {
    matches!(
        step,
        "cancel" | "void-charge" | "cancel-points" | "release-stock" | "refund"
    )
}

fn title(step: &str) -> String {
    let known = match step {
        "place" => "Order received",
        "reserve-stock" => "Goods set aside",
        "add-points" => "Loyalty points noted",
        "charge" => "Payment",
        "commit-stock" => "Goods taken from stock",
        "confirm" => "Order confirmed",
        "confirm-points" => "Loyalty points credited",
        "clear-cart" => "Basket cleared",
        "cancel" => "Order cancelled",
        "void-charge" => "Payment undone",
        "cancel-points" => "Loyalty points taken back",
        "release-stock" => "Goods put back",
        "refund" => "Money given back",
        _ => return words(step),
    };
    known.to_owned()
}

fn meaning(step: &str, state: &str) -> &'static str {
    match (step, state) {
        ("place", _) => {
            "Products, prices and addresses were written down; they stay as they are from here on."
        }
        ("reserve-stock", "done") => "Nobody else can buy these now.",
        ("reserve-stock", "refused") => "Something you ordered was not in stock any more.",
        ("reserve-stock", _) => "The warehouse has not answered yet.",
        ("add-points", "done") => "They count as soon as the order is confirmed.",
        ("charge", "done") => "The payment provider has taken the payment.",
        ("charge", "refused") => "The payment provider declined the payment. Nothing was taken.",
        ("charge", "waiting") => "The payment provider will tell us later whether it is paid.",
        ("charge", "unanswered") => {
            "The payment provider did not answer, so we keep asking before we decide anything."
        }
        ("commit-stock", "done") => "The goods have left the shelf for you.",
        ("commit-stock", "refused") => "The goods were not held for you any longer.",
        ("confirm", "done") => "The order is final.",
        ("confirm-points", "done") => "They are in your account.",
        ("clear-cart", "done") => "What you bought is no longer in your basket.",
        ("cancel", _) => "The order will not be carried out; everything done so far is being undone.",
        ("void-charge", "done") => "You are not charged. If money had been taken, it was given back.",
        ("void-charge", _) => "The payment provider was asked to forget this payment.",
        ("cancel-points", "done") => "The points of this order do not count.",
        ("release-stock", "done") => "Others can buy the goods again. Your basket is as it was.",
        ("refund", "done") => "The payment was given back.",
        (_, "unanswered") => "There was no answer; it is being tried again.",
        (_, "waiting") => "This takes a moment.",
        _ => "",
    }
}

/// An order's status for the customer.
pub(super) struct Status {
    pub title: &'static str,
    /// The stylesheet's name for it.
    pub class: &'static str,
    pub text: String,
}

/// What the status means, and why it is so.
pub(super) fn status(status: OrderStatus, fulfilment: Fulfilment, reason: Option<&str>) -> Status {
    let say = |title, class, text: &str| Status {
        title,
        class,
        text: text.to_owned(),
    };
    match (status, fulfilment) {
        (OrderStatus::Cancelled, _) => Status {
            title: "Cancelled",
            class: "refused",
            text: format!(
                "{} Nothing was bought, and you do not pay anything.",
                because(reason)
            ),
        },
        (OrderStatus::Confirmed, Fulfilment::None) => say(
            "Confirmed",
            "done",
            "Your order is confirmed. We are getting it ready to be sent.",
        ),
        (OrderStatus::Confirmed, Fulfilment::Shipped) => {
            say("On its way", "done", "Your order has been sent.")
        }
        (OrderStatus::Confirmed, Fulfilment::Delivered) => {
            say("Delivered", "done", "Your order has arrived.")
        }
        (OrderStatus::Confirmed, Fulfilment::Returned) => {
            say("Returned", "undone", "This order was sent back.")
        }
        (OrderStatus::Pending, _) if reason == Some("awaiting-payment") => say(
            "Waiting for payment",
            "waiting",
            "The payment provider will tell us later whether it is paid. We keep the goods for you until then.",
        ),
        (OrderStatus::Paid, _) => say(
            "Paid",
            "waiting",
            "The payment has been taken. A last check, and it is yours.",
        ),
        (OrderStatus::Reserved, _) => say(
            "Waiting for payment",
            "waiting",
            "The goods are set aside for you. The payment is being taken.",
        ),
        (OrderStatus::Pending, _) => say("Being checked", "waiting", "We are checking stock and payment."),
    }
}

fn because(reason: Option<&str>) -> String {
    let known = match reason {
        None => "This order was cancelled.",
        Some("out-of-stock") => "Something you ordered was not in stock any more.",
        Some("stock-refused") => "The goods could not be set aside.",
        Some("reservation-gone") => "The goods could not be held any longer.",
        Some("payment-declined") => "The payment provider declined the payment.",
        Some("payment-refused" | "payment-voided") => "The payment could not be taken.",
        Some("payment-timed-out") => "The payment provider did not answer in time.",
        Some("timed-out") => "A part of the shop did not answer in time.",
        Some(other) => return format!("This order was cancelled ({}).", words(other)),
    };
    known.to_owned()
}

/// A charge's state in words.
pub(super) fn charge(state: ChargeState) -> &'static str {
    match state {
        ChargeState::Succeeded => "Paid",
        ChargeState::Declined => "Declined",
        ChargeState::Pending => "No answer from the provider yet",
        ChargeState::Open => "Open until the provider calls back",
        ChargeState::Voided => "Undone",
    }
}

/// For `<time>`.
pub(super) struct Moment {
    pub iso: String,
    pub text: String,
}

impl Moment {
    pub fn new(at: OffsetDateTime) -> Self {
        Self {
            iso: format::iso(at),
            text: format::moment(at),
        }
    }

    /// To the second: for what moves.
    pub fn exact(at: OffsetDateTime) -> Self {
        Self {
            iso: format::iso(at),
            text: format!("{}, {} UTC", format::day(at), format::clock(at)),
        }
    }

    pub fn day(at: OffsetDateTime) -> Self {
        Self {
            iso: format::iso(at),
            text: format::day(at),
        }
    }
}
