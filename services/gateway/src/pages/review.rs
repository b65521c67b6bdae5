//! `/products/{id}/review`: writing one's review of a product, or changing it. Votes. `/account/reviews`: all of one's own.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::Problem;
use emporium_service_kit::client::CallError;
use emporium_service_kit::extract::{Form, Path};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::clients::catalog::Product;
use crate::clients::reviews::Review;
use crate::error::Error;
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::params::{Params, link, local_path};
use crate::pages::personal;
use crate::pages::review_form::{ReviewForm, Sent};
use crate::pages::review_item::ReviewItem;
use crate::pages::see_other;
use crate::reviews::{self, MyReviewList};

const PAGE_SIZE: u32 = 20;

#[derive(Template)]
#[template(path = "review.html")]
struct ReviewPage {
    pub chrome: Chrome,
    pub product: Product,
    pub form: ReviewForm,
    /// True while readers do not see the review.
    pub hidden: bool,
}

/// Everything that the form needs.
struct Desk {
    me: Uuid,
    chrome: Chrome,
    product: Product,
    /// The review so far.
    before: Option<Review>,
}

impl Desk {
    async fn open(app: &App, visitor: &Visitor, product: Uuid) -> Result<Self, Error> {
        let me = visitor.signed_in()?.user_id;
        let (chrome, found, before) = tokio::join!(
            Chrome::of(app, visitor),
            app.clients.catalog.product(product),
            app.clients.reviews.own(product, me),
        );
        Ok(Self {
            me,
            chrome,
            product: found?.ok_or(Error::Unknown("product"))?,
            before: before?,
        })
    }

    fn page(self, status: StatusCode, form: ReviewForm) -> Response {
        let hidden = self.before.is_some_and(|review| ReviewItem::of(&review).hidden);
        let page = ReviewPage {
            chrome: self.chrome,
            product: self.product,
            form,
            hidden,
        };
        personal(status, &page)
    }
}

/// `GET /products/{id}/review`.
pub async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(product): Path<Uuid>,
) -> Result<Response, Error> {
    let desk = Desk::open(&app, &visitor, product).await?;
    let form = match &desk.before {
        Some(review) => ReviewForm::of(product, &Sent::from_review(review)),
        None => ReviewForm::new(product),
    };
    Ok(desk.page(StatusCode::OK, form))
}

/// `POST /products/{id}/review`: a new review, or one that is changed when the form names a version.
pub async fn send(
    State(app): State<App>,
    visitor: Visitor,
    Path(product): Path<Uuid>,
    Form(sent): Form<Sent>,
) -> Result<Response, Error> {
    let desk = Desk::open(&app, &visitor, product).await?;
    let done = |id: Uuid, note| {
        let page = link(&format!("/products/{product}"), [("note", note)]);
        see_other(&format!("{page}#review-{id}"))
    };
    let outcome = match (&desk.before, sent.version()) {
        (Some(review), Some(version)) => {
            let changed = change(&app, &desk, &sent, review, version).await;
            changed.map(|review| done(review.id, "review-changed"))
        }
        // Somebody who has two pages open has written one already; nothing of what was typed is lost.
        (Some(review), None) => {
            let version = review.version;
            return Ok(again(version, desk, sent, ALREADY));
        }
        (None, _) => post(&app, product, &desk, &sent)
            .await
            .map(|id| done(id, "review-posted")),
    };
    match outcome {
        Ok(answer) => Ok(answer),
        Err(error) => refused(&app, &visitor, desk, sent, error).await,
    }
}

const ALREADY: &str =
    "You have reviewed this product already. Save again to put this in place of what you wrote.";
const MOVED_ON: &str =
    "Your review was changed elsewhere since you opened it. Save again to put this in place of that.";

async fn change(app: &App, desk: &Desk, sent: &Sent, before: &Review, version: i64) -> Result<Review, Error> {
    let opinion = sent.opinion(Some(before))?;
    let reviews = &app.clients.reviews;
    Ok(reviews.edit(before.id, desk.me, version, &opinion).await?)
}

async fn post(app: &App, product: Uuid, desk: &Desk, sent: &Sent) -> Result<Uuid, Error> {
    let opinion = sent.opinion(None)?;
    let posted = reviews::post(app, product, desk.me, &opinion).await?;
    Ok(posted.review.id)
}

/// The form again with what was typed, and with what is to be done about it.
fn again(version: i64, mut desk: Desk, sent: Sent, notice: &str) -> Response {
    desk.chrome.notices.push(Notice::warning(notice));
    let form = ReviewForm::of(desk.product.id, &sent.at_version(version));
    desk.page(StatusCode::CONFLICT, form)
}

async fn refused(
    app: &App,
    visitor: &Visitor,
    desk: Desk,
    sent: Sent,
    error: Error,
) -> Result<Response, Error> {
    let problem = match error {
        Error::Request(problem) => problem,
        Error::Call(CallError::Problem { problem, .. }) if problem.status.is_client_error() => *problem,
        error => return Err(error),
    };
    match &*problem.code {
        "version-differs" => {
            let version = problem.extensions.get("version").and_then(Value::as_i64);
            Ok(again(version.unwrap_or(1), desk, sent, MOVED_ON))
        }
        "already-reviewed" => {
            let fresh = Desk::open(app, visitor, desk.product.id).await?;
            let version = fresh.before.as_ref().map_or(1, |review| review.version);
            Ok(again(version, fresh, sent, ALREADY))
        }
        _ => Ok(incomplete(desk, &sent, &problem)),
    }
}

fn incomplete(desk: Desk, sent: &Sent, problem: &Problem) -> Response {
    let form = ReviewForm::of(desk.product.id, sent).refused(problem);
    desk.page(problem.status, form)
}

/// A vote.
#[derive(Deserialize)]
pub struct VoteForm {
    /// `true`, `false`, or `none` to take it back.
    #[serde(default)]
    helpful: String,
    /// Where the reader was.
    #[serde(default)]
    back: String,
}

impl VoteForm {
    /// What cannot be read takes no vote back.
    fn vote(&self) -> Result<Option<bool>, Problem> {
        match &*self.helpful {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            "none" => Ok(None),
            _ => {
                let message = "must be true, false or none".to_owned();
                Err(Problem::invalid([("helpful".to_owned(), message)]))
            }
        }
    }
}

/// `POST /products/{id}/reviews/{review_id}/vote`.
pub async fn vote(
    State(app): State<App>,
    visitor: Visitor,
    Path((product, review)): Path<(Uuid, Uuid)>,
    Form(form): Form<VoteForm>,
) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    let helpful = form.vote()?;
    reviews::vote(&app, (product, review), me, helpful).await?;
    let page = format!("/products/{product}");
    let back = local_path(&form.back).filter(|back| back.starts_with(&page) && !back.contains('#'));
    Ok(see_other(&format!("{}#review-{review}", back.unwrap_or(&page))))
}

#[derive(Template)]
#[template(path = "my_reviews.html")]
struct MyReviewsPage {
    pub chrome: Chrome,
    pub rows: Vec<Row>,
    pub first_href: Option<String>,
    pub next_href: Option<String>,
}

/// One of one's own reviews.
struct Row {
    /// What it is about; `None` while the catalog is away.
    product: Option<String>,
    item: ReviewItem,
}

/// `GET /account/reviews`.
pub async fn mine(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    let me = visitor.signed_in()?.user_id;
    let cursor = params.get("cursor");
    let mut page = vec![("limit", PAGE_SIZE.to_string())];
    page.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
    let (chrome, list) = tokio::join!(Chrome::of(&app, &visitor), reviews::of_author(&app, me, &page));
    let page = my_page(chrome, list?, cursor.is_some());
    Ok(personal(StatusCode::OK, &page))
}

fn my_page(mut chrome: Chrome, list: MyReviewList, later: bool) -> MyReviewsPage {
    if !list.degraded.is_empty() {
        chrome.notices.push(Notice::warning(
            "The catalogue does not answer just now, so products' names are missing.",
        ));
    }
    let rows = list.items.into_iter().map(|one| Row {
        product: one.product_name,
        item: ReviewItem::of(&one.review.review),
    });
    MyReviewsPage {
        chrome,
        rows: rows.collect(),
        first_href: later.then(|| "/account/reviews".to_owned()),
        next_href: list
            .next_cursor
            .map(|cursor| link("/account/reviews", [("cursor", cursor.as_str())])),
    }
}
