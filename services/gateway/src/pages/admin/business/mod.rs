//! `/admin/business`: what was sold, to whom, and how it went; every part as analytics tells it.

mod groups;
mod range;
mod views;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emporium_service_kit::days::Days;
use time::{Date, OffsetDateTime};

use super::section::{Section, section};
use crate::administration::{self, BestSellers};
use crate::app::App;
use crate::clients::analytics::{Baskets, Cohorts, Funnel, Live, Repeat, Revenue};
use crate::clients::catalog::Category;
use crate::error::Error;
use crate::pages::charts::{Heat, Plot};
use crate::pages::chrome::{Chrome, Notice, Visitor};
use crate::pages::params::Params;
use crate::pages::timeline::Moment;
use crate::pages::{part, personal};
use range::{Choice, Range, Sold};
use views::{BarTable, Fact};

const ANALYTICS: &str = "analytics";

#[derive(Template)]
#[template(path = "admin/business.html")]
struct BusinessPage {
    chrome: Chrome,
    from: String,
    to: String,
    choices: Vec<Choice>,
    periods: Vec<Choice>,
    as_of: Option<Moment>,
    facts: Section<Vec<Fact>>,
    revenue: Section<Plot>,
    categories: Section<BarTable>,
    countries: Section<BarTable>,
    products: Section<BarTable>,
    funnel: Section<BarTable>,
    /// The days that the funnel is of, when they are fewer than asked for.
    funnel_cut: bool,
    cohorts: Section<Heat>,
    /// The same for cohorts.
    cohorts_cut: bool,
    baskets: Section<BarTable>,
    basket_facts: Vec<Fact>,
    repeat: Section<Vec<Fact>>,
    /// `None`: nothing was sold.
    live: Section<Option<Plot>>,
    live_facts: Vec<Fact>,
}

/// All that analytics is asked, as it comes.
struct Answers {
    revenue: Section<Revenue>,
    categories: Section<Revenue>,
    countries: Section<Revenue>,
    products: Section<BestSellers>,
    funnel: Section<Funnel>,
    cohorts: Section<Cohorts>,
    baskets: Section<Baskets>,
    repeat: Section<Repeat>,
    live: Section<Live>,
    names: Vec<Category>,
}

/// `GET /admin/business`.
pub async fn show(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Error> {
    visitor.administrator()?;
    let today = app.clock.now().date();
    let (mut chrome, sold) = tokio::join!(Chrome::of(&app, &visitor), sold(&app, today));
    let (sold, away) = match sold {
        Ok(sold) => (sold, None),
        Err(why) => (None, Some(why)),
    };
    let (range, mistake) = Range::read(&params, sold.as_ref().map(|sold| sold.days), today);
    let status = if mistake.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    chrome.notices.extend(mistake.map(Notice::error));
    let answers = match away {
        // Nobody waits twice for a service that has just not answered.
        Some(why) => Answers::away(&why),
        None => Box::pin(ask(&app, &range)).await,
    };
    let page = page(chrome, &range, sold.as_ref(), today, answers);
    Ok(personal(status, &page))
}

impl Answers {
    /// Analytics does not answer, for that reason.
    fn away(why: &str) -> Self {
        fn missing<T>(why: &str) -> Section<T> {
            Err(why.to_owned())
        }
        Self {
            revenue: missing(why),
            categories: missing(why),
            countries: missing(why),
            products: missing(why),
            funnel: missing(why),
            cohorts: missing(why),
            baskets: missing(why),
            repeat: missing(why),
            live: missing(why),
            names: Vec::new(),
        }
    }
}

/// When the shop sold anything; `None` when it never did.
async fn sold(app: &App, today: Date) -> Section<Option<Sold>> {
    let ask = |days: Days| async move {
        let (from, to) = Range::text(days);
        let terms = [("from", &*from), ("to", &*to), ("by", "month")];
        section(ANALYTICS, app.clients.analytics.revenue(&terms)).await
    };
    let [earlier, later] = range::long_ago(today);
    let (earlier, later) = tokio::try_join!(ask(earlier), ask(later))?;
    Ok(range::sold([&earlier, &later], today))
}

async fn ask(app: &App, range: &Range) -> Answers {
    let analytics = &app.clients.analytics;
    let (from, to) = Range::text(range.days);
    let span = [("from", &*from), ("to", &*to)];
    let by = |by| [span[0], span[1], ("by", by), ("limit", "200")];
    let (by_period, by_category, by_country) = (by(range.period.as_str()), by("category"), by("country"));
    let top = [span[0], span[1], ("by", "revenue"), ("limit", "12")];
    let (listed_from, listed_to) = Range::text(range.listed());
    let listed = [("from", &*listed_from), ("to", &*listed_to)];
    let (cohorts_from, cohorts_to) = Range::text(range.cohorts());
    let months = [("from", &*cohorts_from), ("to", &*cohorts_to)];
    let (revenue, categories, countries, products, funnel, cohorts, baskets, repeat, live, names) = tokio::join!(
        section(ANALYTICS, analytics.revenue(&by_period)),
        section(ANALYTICS, analytics.revenue(&by_category)),
        section(ANALYTICS, analytics.revenue(&by_country)),
        section(ANALYTICS, administration::best_sellers(app, &top)),
        section(ANALYTICS, analytics.funnel(&listed)),
        section(ANALYTICS, analytics.cohorts(&months)),
        section(ANALYTICS, analytics.baskets(&span)),
        section(ANALYTICS, analytics.repeat_rate(&span)),
        section(ANALYTICS, analytics.live(&[])),
        part("categories", app.clients.catalog.categories()),
    );
    Answers {
        revenue,
        categories,
        countries,
        products,
        funnel,
        cohorts,
        baskets,
        repeat,
        live,
        names: names.unwrap_or_default(),
    }
}

fn page(chrome: Chrome, range: &Range, sold: Option<&Sold>, today: Date, answers: Answers) -> BusinessPage {
    let (from, to) = Range::text(range.days);
    let names = &answers.names;
    let as_of: Option<OffsetDateTime> = answers.revenue.as_ref().ok().and_then(|revenue| revenue.as_of);
    let (revenue, facts) = both(answers.revenue, |revenue| {
        (
            views::revenue(revenue, range.period),
            views::facts(&revenue.total),
        )
    });
    let (baskets, basket_facts) = both(answers.baskets, |baskets| {
        (views::baskets(baskets), views::basket_facts(baskets))
    });
    let (live, live_facts) = both(answers.live, |live| (views::live(live), views::live_facts(live)));
    BusinessPage {
        chrome,
        from,
        to,
        choices: range.choices(sold, today),
        periods: range.periods(),
        as_of: as_of.map(Moment::new),
        facts,
        revenue,
        categories: answers
            .categories
            .map(|revenue| groups::categories(&revenue, names)),
        countries: answers.countries.map(|revenue| groups::countries(&revenue)),
        products: answers.products.map(|top| views::products(top.items)),
        funnel: answers.funnel.map(|funnel| views::funnel(&funnel.total)),
        funnel_cut: range.listed() != range.days,
        cohorts: answers.cohorts.map(|cohorts| views::cohorts(&cohorts)),
        cohorts_cut: range.cohorts() != range.days,
        baskets,
        basket_facts: basket_facts.unwrap_or_default(),
        repeat: answers.repeat.map(|repeat| views::repeat(&repeat)),
        live,
        live_facts: live_facts.unwrap_or_default(),
    }
}

/// Two views of one answer, or its absence twice.
fn both<T, A, B>(answer: Section<T>, views: impl FnOnce(&T) -> (A, B)) -> (Section<A>, Section<B>) {
    match answer {
        Ok(answer) => {
            let (a, b) = views(&answer);
            (Ok(a), Ok(b))
        }
        Err(why) => (Err(why.clone()), Err(why)),
    }
}
