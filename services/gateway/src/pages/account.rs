//! `/account`: profile, preferences, loyalty points, address book, sessions.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::Problem;
use emporium_service_kit::client::CallError;
use emporium_service_kit::extract::Form;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::app::App;
use crate::clients::users::{Address, ProfileChange, User};
use crate::cookies;
use crate::error::Error;
use crate::pages::addresses::Place;
use crate::pages::chrome::{Chrome, Visitor};
use crate::pages::form::{self, Field};
use crate::pages::params::Params;
use crate::pages::{part, personal, see_other};

/// The preferences that the shop itself asks for: key, words, explanation.
const SWITCHES: [(&str, &str, &str); 3] = [
    ("newsletter", "News by e-mail", "Once a month at most."),
    (
        "plain_packaging",
        "Less packaging",
        "We reuse boxes where we can.",
    ),
    (
        "gift_receipts",
        "No prices on delivery notes",
        "For those who buy presents.",
    ),
];
/// The preference for couriers.
const DELIVERY_NOTE: &str = "delivery_note";

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    pub chrome: Chrome,
    pub user: User,
    pub profile: Vec<Field>,
    pub profile_error: Option<String>,
    pub switches: Vec<Switch>,
    pub delivery: Field,
    pub preferences_error: Option<String>,
    /// `None`: the address book does not answer.
    pub addresses: Option<Vec<Entry>>,
}

/// A preference that is on or off.
pub(super) struct Switch {
    pub key: &'static str,
    pub label: &'static str,
    pub meaning: &'static str,
    pub on: bool,
}

/// An entry of the address book.
pub(super) struct Entry {
    pub id: Uuid,
    pub place: Place,
    pub is_default: bool,
}

impl From<&Address> for Entry {
    fn from(address: &Address) -> Self {
        Self {
            id: address.id,
            place: Place::of(address),
            is_default: address.is_default,
        }
    }
}

/// `GET /account`.
pub async fn show(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    let mut page = load(&app, &visitor).await?;
    page.chrome = page.chrome.noting(params.get("note"));
    Ok(personal(StatusCode::OK, &page))
}

async fn load(app: &App, visitor: &Visitor) -> Result<AccountPage, Error> {
    let me = visitor.signed_in()?.user_id;
    let (chrome, user, addresses) = tokio::join!(
        Chrome::of(app, visitor),
        app.clients.users.user(me),
        part("address book", app.clients.users.addresses(me)),
    );
    // A session without its account cannot be used for anything.
    let user = user?.ok_or(Error::SignInRequired)?;
    let note = user
        .preferences
        .get(DELIVERY_NOTE)
        .and_then(Value::as_str)
        .unwrap_or_default();
    Ok(AccountPage {
        profile: vec![name_field(&user.name)],
        profile_error: None,
        switches: switches(|key| user.preferences.get(key) == Some(&Value::Bool(true))),
        delivery: delivery_field(note),
        preferences_error: None,
        addresses: addresses.map(|list| list.iter().map(Entry::from).collect()),
        user,
        chrome,
    })
}

fn name_field(name: &str) -> Field {
    Field::new("name", "Your name")
        .autocomplete("name")
        .length(0, 200)
        .value(name)
}

fn delivery_field(note: &str) -> Field {
    Field::new(DELIVERY_NOTE, "Note for deliveries")
        .optional()
        .hint("For instance where to leave a parcel.")
        .value(note)
}

fn switches(on: impl Fn(&str) -> bool) -> Vec<Switch> {
    SWITCHES
        .into_iter()
        .map(|(key, label, meaning)| Switch {
            key,
            label,
            meaning,
            on: on(key),
        })
        .collect()
}

/// The form of the profile.
#[derive(Deserialize)]
pub struct ProfileForm {
    #[serde(default)]
    name: String,
}

/// `POST /account/profile`.
pub async fn change_profile(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<ProfileForm>,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    let change = ProfileChange {
        name: Some(form.name.trim()),
        preferences: None,
    };
    let Err(error) = app.clients.users.change_profile(me, &change).await else {
        return Ok(see_other("/account?note=profile"));
    };
    let problem = refused(error)?;
    let mut page = load(&app, &visitor).await?;
    page.profile = vec![name_field(&form.name)];
    page.profile_error = form::complain(&mut page.profile, &problem);
    Ok(personal(problem.status, &page))
}

/// A refusal that is shown next to the form; everything else is an error of its own.
fn refused(error: CallError) -> Result<Problem, Error> {
    match error {
        CallError::Problem { problem, .. } if problem.status.is_client_error() => Ok(*problem),
        error => Err(error.into()),
    }
}

/// The form of the preferences: a box that is not ticked is absent.
#[derive(Deserialize)]
pub struct PreferencesForm {
    newsletter: Option<String>,
    plain_packaging: Option<String>,
    gift_receipts: Option<String>,
    #[serde(default)]
    delivery_note: String,
}

impl PreferencesForm {
    fn on(&self, key: &str) -> bool {
        match key {
            "newsletter" => self.newsletter.is_some(),
            "plain_packaging" => self.plain_packaging.is_some(),
            "gift_receipts" => self.gift_receipts.is_some(),
            _ => false,
        }
    }

    /// Only what the page asks for is changed; preferences set elsewhere stay.
    fn patch(&self) -> Map<String, Value> {
        let note = match self.delivery_note.trim() {
            "" => Value::Null,
            note => Value::String(note.to_owned()),
        };
        let switches = SWITCHES
            .into_iter()
            .map(|(key, ..)| (key.to_owned(), Value::Bool(self.on(key))));
        switches.chain([(DELIVERY_NOTE.to_owned(), note)]).collect()
    }
}

/// `POST /account/preferences`.
pub async fn change_preferences(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<PreferencesForm>,
) -> Result<Response, Error> {
    /// As in the text field.
    const NOTE_CHARS_MAX: usize = 200;
    let me = visitor.signed_in()?.user_id;
    let patch = form.patch();
    let change = ProfileChange {
        name: None,
        preferences: Some(&patch),
    };
    let problem = if form.delivery_note.chars().count() > NOTE_CHARS_MAX {
        Problem::invalid([(
            DELIVERY_NOTE.to_owned(),
            format!("length is greater than {NOTE_CHARS_MAX}"),
        )])
    } else {
        let Err(error) = app.clients.users.change_profile(me, &change).await else {
            return Ok(see_other("/account?note=preferences"));
        };
        refused(error)?
    };
    let mut page = load(&app, &visitor).await?;
    page.switches = switches(|key| form.on(key));
    page.delivery = delivery_field(&form.delivery_note);
    page.preferences_error = form::complain(std::slice::from_mut(&mut page.delivery), &problem);
    Ok(personal(problem.status, &page))
}

/// `POST /account/sign-out-everywhere`, also for the blocked.
pub async fn sign_out_everywhere(State(app): State<App>, visitor: Visitor) -> Result<Response, Error> {
    let me = visitor.signed_in_or_blocked()?.user_id;
    app.clients.sessions.revoke_all(me).await?;
    let mut answer = see_other("/?note=signed-out-everywhere");
    cookies::forget(answer.headers_mut(), &app.config, cookies::SESSION);
    Ok(answer)
}
