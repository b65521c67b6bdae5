//! The address book: `/account/addresses/…`.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::Problem;
use emporium_service_kit::client::CallError;
use emporium_service_kit::extract::{Form, Path};
use serde::Deserialize;
use uuid::Uuid;

use crate::app::App;
use crate::clients::users::{Address, AddressText};
use crate::error::Error;
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::countries;
use crate::pages::form::{self, Field};
use crate::pages::params::{Params, link, local_path};
use crate::pages::{personal, see_other};

/// An address to read: its lines from top to bottom, none empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub lines: Vec<String>,
}

impl Place {
    pub fn of(address: &Address) -> Self {
        Self::from_parts([
            Some(address.street.as_str()),
            Some(&address.city),
            Some(&address.postal_code),
            Some(&address.country),
        ])
    }

    /// Street, city, postal code, country code; what is missing is left out.
    pub fn from_parts(parts: [Option<&str>; 4]) -> Self {
        let [street, city, postal_code, country] = parts.map(Option::unwrap_or_default);
        let town = format!("{city} {postal_code}");
        let lines = [street, town.trim(), countries::name(country)];
        let lines = lines.into_iter().filter(|line| !line.is_empty());
        Self {
            lines: lines.map(str::to_owned).collect(),
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        self.lines.join(", ")
    }
}

#[derive(Template)]
#[template(path = "address.html")]
struct AddressPage {
    pub chrome: Chrome,
    pub heading: &'static str,
    pub action: String,
    pub next: String,
    pub fields: Vec<Field>,
    pub error: Option<String>,
}

/// The fields of an empty address, or with what is in one.
pub(super) fn fields(address: Option<&Address>) -> Vec<Field> {
    match address {
        Some(address) => filled(
            &address.street,
            &address.city,
            &address.postal_code,
            &address.country,
        ),
        None => filled("", "", "", "GB"),
    }
}

fn filled(street: &str, city: &str, postal_code: &str, country: &str) -> Vec<Field> {
    vec![
        Field::new("street", "Street and number")
            .autocomplete("address-line1")
            .length(0, 200)
            .value(street),
        Field::new("city", "Town or city")
            .autocomplete("address-level2")
            .length(0, 100)
            .value(city),
        Field::new("postal_code", "Postcode")
            .autocomplete("postal-code")
            .length(0, 20)
            .value(postal_code),
        Field::new("country", "Country")
            .autocomplete("country")
            .choices(countries::choices(country)),
    ]
}

/// The form.
#[derive(Deserialize)]
pub struct AddressForm {
    #[serde(default)]
    street: String,
    #[serde(default)]
    city: String,
    #[serde(default)]
    postal_code: String,
    #[serde(default)]
    country: String,
    #[serde(default)]
    next: String,
}

impl AddressForm {
    fn text(&self) -> AddressText<'_> {
        AddressText {
            street: self.street.trim(),
            city: self.city.trim(),
            postal_code: self.postal_code.trim(),
            country: self.country.trim(),
            is_default: false,
        }
    }

    fn same(&self, address: &Address) -> bool {
        let text = self.text();
        (text.street, text.city, text.postal_code, text.country)
            == (
                &*address.street,
                &*address.city,
                &*address.postal_code,
                &*address.country,
            )
    }

    fn fields(&self) -> Vec<Field> {
        filled(&self.street, &self.city, &self.postal_code, &self.country)
    }

    /// Where to go afterwards: back to the checkout when that asked for an address.
    fn done(&self, note: &'static str) -> Response {
        match local_path(&self.next) {
            Some("/checkout") => see_other(&link("/checkout", [("note", note)])),
            _ => see_other(&link("/account", [("note", note)])),
        }
    }
}

/// `GET /account/addresses/new`.
pub async fn show_new(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    visitor.signed_in()?;
    let chrome = Chrome::of(&app, &visitor).await;
    let next = params.get("next").and_then(local_path).unwrap_or_default();
    let page = AddressPage {
        next: next.to_owned(),
        ..blank(chrome, None, fields(None))
    };
    Ok(personal(StatusCode::OK, &page))
}

fn blank(chrome: Chrome, id: Option<Uuid>, fields: Vec<Field>) -> AddressPage {
    AddressPage {
        heading: if id.is_some() {
            "Change address"
        } else {
            "New address"
        },
        action: id.map_or_else(
            || "/account/addresses/new".to_owned(),
            |id| format!("/account/addresses/{id}"),
        ),
        next: String::new(),
        error: None,
        fields,
        chrome,
    }
}

/// `POST /account/addresses/new`. What is in the address book already is not added again, so that a second click does
/// not either.
pub async fn add(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<AddressForm>,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    let users = &app.clients.users;
    let known = users.addresses(me).await?;
    if known.iter().any(|address| form.same(address)) {
        return Ok(form.done("address-added"));
    }
    match users.add_address(me, &form.text()).await {
        Ok(_) => Ok(form.done("address-added")),
        Err(error) => again(&app, &visitor, None, &form, error).await,
    }
}

/// `GET /account/addresses/{id}`.
pub async fn show(State(app): State<App>, visitor: Visitor, Path(id): Path<Uuid>) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    let (chrome, book) = tokio::join!(Chrome::of(&app, &visitor), app.clients.users.addresses(me),);
    let book = book?;
    let address = book.iter().find(|address| address.id == id);
    let page = blank(
        chrome,
        Some(id),
        fields(Some(address.ok_or(Error::Unknown("address"))?)),
    );
    Ok(personal(StatusCode::OK, &page))
}

/// `POST /account/addresses/{id}`.
pub async fn change(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
    Form(form): Form<AddressForm>,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    match app.clients.users.change_address(me, id, &form.text()).await {
        Ok(_) => Ok(form.done("address-changed")),
        Err(error) => again(&app, &visitor, Some(id), &form, error).await,
    }
}

/// Shows the form again, with the complaints next to the fields.
async fn again(
    app: &App,
    visitor: &Visitor,
    id: Option<Uuid>,
    form: &AddressForm,
    error: CallError,
) -> Result<Response, Error> {
    if error.is_not_found() {
        return Err(error.into());
    }
    let problem = Problem::from(error);
    let mut fields = form.fields();
    let rest = form::complain(&mut fields, &problem);
    let mut chrome = Chrome::of(app, visitor).await;
    if problem.status.is_server_error() {
        chrome.notices.push(Notice::warning(
            "Nothing was saved; please try again in a moment.",
        ));
    }
    let next = local_path(&form.next).unwrap_or_default().to_owned();
    let page = AddressPage {
        next,
        error: rest,
        ..blank(chrome, id, fields)
    };
    Ok(personal(problem.status, &page))
}

/// `POST /account/addresses/{id}/delete`. One that is gone already is gone.
pub async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    match app.clients.users.remove_address(me, id).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(see_other("/account?note=address-removed")),
    }
}

/// `POST /account/addresses/{id}/default`.
pub async fn make_default(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    app.clients.users.set_default_address(me, id).await?;
    Ok(see_other("/account?note=address-default"))
}
